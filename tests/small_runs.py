"""Small things to keep: tables, prepared tables, and valuations whose numbers are drawn."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
from data_files import make_frame
from ecoval_core.tables.mending import mend, suggest_mends
from ecoval_core.workspace.valuations import write_valuation

from ecoval_core.tables import make_table, prepare
from ecoval_core.tables.table import content_digest
from ecoval_core.valuation.record import Findings, Sampling, Valuation
from ecoval_core.workspace import history, orders
from ecoval_core.workspace.runs import Settings, rows_to_value

SETTINGS = Settings("logistic_regression", 4, "probability")


@lru_cache
def prepared_table(noise=0.0):
    """The small table of `make_frame`, prepared; two classes, a text column."""
    return prepare(make_table(make_frame(60), "small.csv", "label"), noise=noise)


def drawn_valuation(prepared, seed=0, settings=SETTINGS):
    """A valuation of the rows of a prepared table whose numbers are drawn, not computed."""
    random = np.random.default_rng(seed)
    y = rows_to_value(prepared, settings.every_row).y
    n, k = len(y), settings.n_clusters
    classes = np.unique(y) if prepared.task == "classification" else None
    n_outputs = 1 if classes is None else len(classes)
    found = Findings(
        labels=np.r_[np.arange(k), random.integers(0, k, n - k)],
        quality=random.random(n), label_quality=random.random(n),
        raw_extrinsic=random.normal(0, 0.01, n), judged=random.random((n, n_outputs)),
        suggested_labels=random.permutation(y),
        sampling=Sampling(random.random((n, 4)), random.random((20, 3))),
        cluster_values=random.normal(0, 0.01, k), cluster_standard_errors=random.random(k),
        full_score=0.9, prior_score=0.4, surplus_standard_error=0.01,
        scoring=settings.scoring, task=prepared.task, classes=classes,
    )  # fmt: skip
    return Valuation(found, settings.extrinsic_weight)


def keep_run(store, prepared=None, *, seed=0, settings=SETTINGS, name="small", valuation=None):
    """Keep a run whole, as the workers do, and return its id and the key of its values."""
    prepared = prepared or prepared_table()
    seeded = replace(settings, random_state=settings.random_state + seed)
    order = orders.value(prepared, seeded)
    valuation = valuation or drawn_valuation(prepared, seed, settings)
    store.save_frame(prepared.table.content, prepared.table.frame)
    store.save_prepared(prepared)
    run = history.start_run(store, order.key, prepared.fingerprint, seeded, name)
    payload = {
        "seconds": 1.5, "surplus": valuation.surplus_, "full_score": valuation.full_score_,
        "n_rows": len(valuation.values_), "reliable": valuation.reliable_,
    }  # fmt: skip
    store.save_result(
        order.key,
        "value",
        order.parameters,
        payload,
        lambda folder: write_valuation(valuation, folder),
    )
    return run, order.key


def mended_table():
    """A frame as it was read, what was mended in it, and the table that was made of it, prepared."""
    frame = make_frame(60).assign(rate=[f"{number}%" for number in range(59)] + ["?"])
    mends = suggest_mends(frame)
    return frame, mends, prepare(make_table(mend(frame, mends), "small.csv", "label"))


def keep_mends(store, frame, mends, prepared):
    """Keep how a table was mended, and the file it was read from, as the workers do."""
    content = content_digest(frame)
    made = [one.to_json() for one in mends]
    order = orders.mends(prepared.fingerprint)
    store.save_frame(content, frame)
    payload = {"mends": made, "suggested": made, "content": content}
    store.save_result(order.key, "mends", order.parameters, payload)


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
