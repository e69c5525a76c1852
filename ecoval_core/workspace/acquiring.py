"""Tasks on the rows of a second file: their values by a fitted run, and what adding them brings."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from ecoval_core.evaluation.acquisition import rank_unlabelled, value_new
from ecoval_core.evaluation.addition import acquisition_curves, count_additions, measure_addition
from ecoval_core.tables import Prepared
from ecoval_core.tables.matching import Matched, match_columns
from ecoval_core.tables.preparation import vectorise_new
from ecoval_core.workspace.bench import Bench, Payload
from ecoval_core.workspace.orders import N_RANDOM
from ecoval_core.workspace.parquet import write_frame

ORDERS = ("priority", "value")


def _match(bench: Bench, prepared: Prepared) -> Matched:
    return match_columns(
        prepared.table,
        bench.frame(),
        name=bench.parameters["name"],
        train_ids=prepared.ids_train,
    )


def _labelled(
    bench: Bench, matched: Matched, prepared: Prepared
) -> tuple[pd.DataFrame, np.ndarray]:
    fitted = bench.fit(bench.parameters["weight"])
    X = vectorise_new(prepared, matched.frame.iloc[matched.ids])
    return value_new(fitted, X, matched.labels, matched.ids), X


def value_new_rows(bench: Bench) -> Payload:
    """Value the labelled rows of a second file, and rank those without a label by doubt."""
    prepared = bench.prepared()
    matched = _match(bench, prepared)
    valued = pd.DataFrame()
    if len(matched.ids):
        valued, _ = _labelled(bench, matched, prepared)
    blank = matched.unlabelled_ids if matched.has_target else np.arange(matched.n_rows)
    doubts = pd.DataFrame()
    if len(blank):
        X = vectorise_new(prepared, matched.frame.iloc[blank])
        doubts = rank_unlabelled(bench.fit(bench.parameters["weight"]), X, blank)
    payload = {
        "n_rows": matched.n_rows,
        "n_valued": len(valued),
        "n_unlabelled": len(doubts),
        "n_unknown": len(matched.unknown_labels),
        "n_repeated": len(matched.repeated_ids),
        "has_target": matched.has_target,
        "notes": list(matched.notes),
        "warnings": list(matched.warnings),
    }

    def write(folder: Path) -> None:
        for name, frame in (("valued", valued), ("doubts", doubts)):
            if len(frame):
                write_frame(frame.reset_index(names="row_id"), folder / f"{name}.parquet")

    return bench.keep(payload, write)


def measure_acquisition(bench: Bench) -> Payload:
    """Measure the test score while the labelled rows of a second file join the training rows."""
    started = time.perf_counter()
    run = bench.run(bench.parameters["weight"])
    prepared = run.prepared
    matched = _match(bench, prepared)
    if not len(matched.ids):
        raise ValueError(
            "None of the new rows has a label that the model knows, so nothing can be measured."
        )
    valued, X_new = _labelled(bench, matched, prepared)
    data = prepared.X_test, prepared.y_test
    model = run.make_estimator()
    y_new = matched.labels.astype(np.result_type(run.y, matched.labels))
    curves = acquisition_curves(
        model, run.X, run.y, X_new, y_new, *data, {name: valued[name] for name in ORDERS},
        n_random=N_RANDOM, random_state=run.settings.random_state, progress=bench.report,
    )  # fmt: skip
    effect = measure_addition(
        model, run.X, run.y, X_new, y_new, *data, random_state=run.settings.random_state,
        balanced=run.settings.balanced,
    )  # fmt: skip
    payload = {
        "main": effect.main,
        "changes": [asdict(one) for one in effect.changes],
        "n_refits": count_additions(len(ORDERS), n_random=N_RANDOM),
        "seconds": time.perf_counter() - started,
    }
    return bench.keep(payload, lambda folder: write_frame(curves, folder / "curves.parquet"))
