"""Values that were found elsewhere become a run, with the model that found them."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from ecoval_core.models.catalog import name_of
from ecoval_core.runs.opened import Opened, describe_table, save_opened, split_table
from ecoval_core.runs.run import Values, values_of
from ecoval_core.runs.stored_models import save_models, save_own_model
from ecoval_core.tables import make_table
from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.workspace import history
from ecoval_core.workspace.schema import OpenSpec, RunSpec, Settings, SplitSpec, key_of
from ecoval_core.workspace.workspace import Workspace

PART, TARGET = "part", "target"


def take_values(
    workspace: Workspace, fitted: EcoVal | CrossValuation, frame: pd.DataFrame, target: Any,
    test: pd.DataFrame | None, name: str,
) -> str:  # fmt: skip
    """Keep the values of a fitted valuation with the rows of a frame; return the id of the run.

    `target` names a column of the frame, or holds the targets. Rows of `test` are for curves and effects.
    """
    n_rows = len(fitted.values_)
    if len(frame) != n_rows:
        raise ValueError(
            f"The frame has {len(frame):,} rows and {n_rows:,} were valued: give one for each, in the order "
            "in which they were fitted."
        )
    table, target, part = _join(frame, target, test)
    opened = _open(table, name, target, fitted.task_, part)
    settings = _settings(fitted)
    values = _in_labels_of(values_of(fitted), opened, fitted.labels_)
    digest = blake2b(fitted.values_.tobytes() + fitted.standard_errors_.tobytes()).hexdigest()
    key = key_of("given", opened.key, settings.dump(), digest)
    save_opened(workspace, opened)
    arguments = {"key": key, "split": opened.key, "settings": settings.dump()}
    workspace.save(key, "value", values, owner=opened.key, arguments=arguments)
    one = _first(fitted)
    save_own_model(workspace, key, clone(one.estimator_), opened.table, one)
    spec = RunSpec(table=opened.spec.table, split=opened.spec.split, settings=settings)
    content = opened.table.content
    save_models(workspace, key, fitted)
    return history.start_run(workspace, spec, key=key, split=opened.key, frame=content, name=name)


def _join(
    frame: pd.DataFrame, target: Any, test: pd.DataFrame | None
) -> tuple[pd.DataFrame, str, str | None]:
    """Return one table of valued and test rows, the name of its target, and of the column with the parts."""
    if not isinstance(target, str):
        name = _free(TARGET, frame)
        frame, target = frame.assign(**{name: np.asarray(target)}), name
    if target not in frame:
        raise ValueError(
            f"The frame has no column {target!r} with the targets: name another, or give the targets "
            "themselves."
        )
    if test is None:
        return frame, target, None
    if missing := [str(column) for column in frame if column not in test]:
        raise ValueError(
            f"The test rows have no column {missing[0]!r}: give them with all columns."
        )
    part = _free(PART, frame)
    both = pd.concat([frame, test[frame.columns]], ignore_index=True)
    both[part] = np.where(np.arange(len(both)) < len(frame), "train", "test")
    return both, target, part


def _free(name: str, frame: pd.DataFrame) -> str:
    while name in frame:
        name += "_"
    return name


def _open(table: pd.DataFrame, name: str, target: str, task: Any, part: str | None) -> Opened:
    excluded = {} if part is None else {part: "says which part a row is in"}
    made = make_table(table, name, target, task, excluded)
    if len(made.unlabelled_ids):
        row = int(made.unlabelled_ids[0])
        raise ValueError(f"Row {row} has no target in column {target!r}: every row needs one.")
    spec = OpenSpec(table=describe_table(made), split=SplitSpec(kind="given", column=part))
    return split_table(made, spec)


def _first(fitted: EcoVal | CrossValuation) -> Any:
    return fitted.estimators_[0] if isinstance(fitted, CrossValuation) else fitted


def _settings(fitted: EcoVal | CrossValuation) -> Settings:
    one = _first(fitted)
    seed = one.random_state
    return Settings(
        model=name_of(one.estimator_), n_clusters=one.n_clusters_, scoring=one.scoring_,
        extrinsic_weight=one.extrinsic_weight, balanced=one.class_weight == "balanced",
        random_state=seed if isinstance(seed, int) else 0,
    )  # fmt: skip


def _in_labels_of(values: Values, opened: Opened, clusters: NDArray) -> Values:
    """Spell classes as the table does, after a look at whether its rows are those that were valued."""
    if opened.table.task == "regression":
        return values
    given = opened.table.frame[opened.table.target].to_numpy()
    ours, ids = opened.table.labels, opened.split.ids_train
    labels = pd.Series(ours[ids])[clusters >= 0]
    mixed = labels.groupby(clusters[clusters >= 0]).nunique()
    if (mixed > 1).any():
        raise ValueError(
            f"Cluster {mixed.index[mixed > 1][0]} holds rows of one class, and several in column "
            f"{opened.table.target!r}: give the rows in the order in which they were fitted."
        )
    spelled = {}
    classes = np.concatenate([np.asarray(found.classes) for found in values.findings])
    for one in np.unique(classes).tolist():
        here = np.flatnonzero(given == one)
        if not len(here):
            raise ValueError(
                f"Class {one!r} was valued, and no row has it in column {opened.table.target!r}: give the "
                "targets that were fitted."
            )
        spelled[one] = ours[here[0]]

    def spell(labels: Any) -> NDArray:
        return np.array([spelled[one] for one in np.asarray(labels).tolist()])

    findings = [
        replace(one, classes=spell(one.classes), suggested_labels=spell(one.suggested_labels))
        for one in values.findings
    ]
    return replace(values, findings=findings)
