"""Small things to keep: an opened table, values whose numbers are drawn, a run with all that goes with it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
from data_files import make_frame

from ecoval_core.evaluation.measures import Change
from ecoval_core.evaluation.pruning import Effect, PruneList
from ecoval_core.runs.fitting import rows_to_value
from ecoval_core.runs.opened import describe_table, save_frame, save_opened, split_table
from ecoval_core.runs.run import Values
from ecoval_core.tables import clean, make_table, suggest_fixes
from ecoval_core.valuation.record import Findings, Sampling
from ecoval_core.work import slow
from ecoval_core.work.slow import Curves
from ecoval_core.workspace import history
from ecoval_core.workspace.schema import OpenSpec, Review, RunSpec, Settings, SplitSpec
from ecoval_core.workspace.workspace import Workspace

SETTINGS = Settings(model="logistic_regression", n_clusters=4, scoring="probability")


def open_table(table, **split):
    """Split a table as a task does."""
    spec = OpenSpec(table=describe_table(table), split=SplitSpec(**split))
    return split_table(table, spec)


@lru_cache
def small_table(noise=0.0):
    """The small table of `make_frame`, opened; two classes, a text column."""
    return open_table(make_table(make_frame(60), "small.csv", "label"), noise=noise)


@lru_cache
def cleaned_table():
    """A frame as it was read, and the table that its fixes make of it, opened."""
    frame = make_frame(60).assign(rate=[f"{number}%" for number in range(59)] + ["?"])
    fixes = suggest_fixes(frame)
    table = make_table(clean(frame, fixes), "small.csv", "label")
    content = describe_table(make_table(frame, "small.csv", "label")).content
    spec = OpenSpec(table=describe_table(table, content=content, fixes=fixes))
    return frame, split_table(table, spec)


def drawn_values(opened, seed=0, settings=SETTINGS):
    """Values of the rows of a table whose numbers are drawn, not computed."""
    random = np.random.default_rng(seed)
    y = rows_to_value(opened.split).y
    n, k = len(y), settings.n_clusters
    classes = np.unique(y) if opened.table.task == "classification" else None
    n_outputs = 1 if classes is None else len(classes)
    found = Findings(
        labels=np.r_[np.arange(k), random.integers(0, k, n - k)],
        quality=random.random(n), label_quality=random.random(n),
        raw_extrinsic=random.normal(0, 0.01, n), judged=random.random((n, n_outputs)),
        suggested_labels=random.permutation(y), label_issues=random.random(n) < 0.1,
        sampling=Sampling(random.random((n, 4)), random.random((20, 3))),
        cluster_values=random.normal(0, 0.01, k), cluster_standard_errors=random.random(k),
        full_score=0.9, prior_score=0.4, surplus_standard_error=0.01,
        scoring=settings.scoring, task=opened.table.task, classes=classes,
    )  # fmt: skip
    return Values([found], [], {}, 1.5)


def make_workspace(folder):
    """A workspace in a folder, with a temporary one beside it."""
    return Workspace(folder / "root", folder / "temporary")


def keep_run(workspace, opened=None, *, seed=0, settings=SETTINGS, name="small", frame=None):
    """Keep a run as the tasks do; return its id and the key of its values."""
    opened = opened or small_table()
    settings = settings.replace(random_state=seed)
    spec = RunSpec(table=opened.spec.table, split=opened.spec.split, settings=settings)
    if frame is not None:
        save_frame(workspace, frame, spec.table.content)
    save_opened(workspace, opened)
    run = history.start_run(workspace, spec, frame=opened.table.content, name=name)
    values = drawn_values(opened, seed, settings)
    arguments = {"key": spec.key, "split": opened.key, "settings": settings.dump()}
    workspace.save(spec.key, "value", values, owner=opened.key, arguments=arguments)
    return run, spec.key


def keep(workspace, task, value):
    """Keep what a task might have returned."""
    owner = task.arguments.get("run") or task.arguments["split"]
    workspace.save(task.key, task.name, value, owner=owner, arguments=task.arguments)
    return task.key


def curves(**columns):
    """Curves of two steps."""
    frame = pd.DataFrame(
        {
            "strategy": ["lowest", "random"], "repeat": [0, 1], "share": [0.0, 0.1], "n_removed": [0, 9],
            "measure": ["accuracy", "accuracy"], "score": [0.5, np.nan],
            "low": [0.4, 0.1], "high": [0.6, 0.2],
        }
    )  # fmt: skip
    return Curves(frame.assign(**columns), 7, 2.5, 36)


def keep_everything(workspace, opened=None, *, seed=0, name="small"):
    """Keep a run with a result of every kind and a review; return its id and the tasks."""
    opened = opened or small_table()
    run, key = keep_run(workspace, opened, seed=seed, name=name)
    random = np.random.default_rng(seed)
    ids = rows_to_value(opened.split).ids.tolist()
    effect = Effect("accuracy", (Change("accuracy", 0.5, 0.6, float("nan"), 0.1, 9),))
    beside = {"baseline": "knn_shapley"}
    made = {
        slow.curves(key, weight=0.25): curves(),
        slow.curves(key, weight=0.25, balanced=True): curves(),
        slow.effect(key, ids[:2]): effect,
        slow.umap(opened.key): random.normal(size=(len(ids), 2)).astype(np.float32),
        slow.baseline(key, "knn_shapley"): random.normal(size=len(ids)),
        slow.method_curves(key, beside, weight=0.25): curves(method=["a", "b"]),
        slow.repeats(key): [drawn_values(opened, seed + n) for n in range(2)],
    }
    for task, value in made.items():
        keep(workspace, task, value)
    rules = PruneList(0.1, -0.5, frozenset(ids[:2]), frozenset(ids[2:4]), 0.4)
    review = Review(
        selected=tuple(ids[:5]), picked=ids[0], extrinsic_weight=0.5, prune=rules, prune_past=(rules,),
        labels={ids[0]: "accept"}, labels_past=({}, {ids[1]: "keep"}),
    )  # fmt: skip
    history.save_review(workspace, f"review of {run}", run, "ada", review)
    return run, made


def frames():
    """Frames of the kinds of columns that files have, by name."""
    index = pd.RangeIndex(6)
    mixed = ["a", 1, 2.5, None, True, pd.Timestamp("2026-01-02")]
    return {
        "numbers": pd.DataFrame(
            {
                "whole": range(6), "real": [0.1, np.nan, -0.0, 1e-300, 3, 4],
                "small": np.arange(6, dtype="int8"),
            }
        ),
        "text": pd.DataFrame({"text": ["a", None, "", "é", "a\nb", "'"], "label": list("xyxyxy")}),
        "truth": pd.DataFrame({"flag": [True, False] * 3, "maybe": pd.array([True, None] * 3, "boolean")}),
        "nullable": pd.DataFrame({"n": pd.array([1, None, 3, 4, 5, 6], "Int64"), "y": range(6)}),
        "dates": pd.DataFrame(
            {
                "day": pd.date_range("2026-01-01", periods=6),
                "zoned": pd.date_range("2026-01-01", periods=6, tz="Europe/Berlin"),
                "lapse": pd.to_timedelta(range(6), unit="s"),
            }
        ),
        "categories": pd.DataFrame(
            {
                "c": pd.Categorical(list("abcabc"), categories=list("cbad")),
                "o": pd.Categorical(list("llhhll"), categories=["l", "h"], ordered=True),
            }
        ),
        "mixed": pd.DataFrame({"mixed": pd.Series(mixed, dtype=object), "y": range(6)}, index=index),
        "lists": pd.DataFrame({"l": pd.Series([[1, 2], [], [3], None, [4], [5]], dtype=object)}),
    }  # fmt: skip
