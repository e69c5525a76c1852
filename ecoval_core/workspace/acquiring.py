"""Tasks on the rows of a second file: their values by a fitted run, and what adding them brings."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from ecoval_core.evaluation.new_rows import count_additions, rank_unlabelled
from ecoval_core.workspace.bench import Bench, Payload
from ecoval_core.workspace.new_rows import (
    addition_curves,
    addition_effect,
    read_new_rows,
    value_new_rows,
)
from ecoval_core.workspace.orders import N_RANDOM
from ecoval_core.workspace.parquet import write_frame

# By priority and by value.
N_ORDERS = 2


def value_file(bench: Bench) -> Payload:
    """Value the labelled rows of a second file, and rank those without a label by doubt."""
    new = read_new_rows(bench.prepared(), bench.mended_frame(), bench.parameters["name"])
    fitted = bench.fit(bench.parameters["weight"])
    matched = new.matched
    valued = value_new_rows(fitted, new)
    blank = matched.unlabelled_ids
    doubts = rank_unlabelled(fitted, new.X[blank], blank) if len(blank) else pd.DataFrame()
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
    weight = bench.parameters["weight"]
    run = bench.run(weight)
    new = read_new_rows(run.prepared, bench.mended_frame(), bench.parameters["name"])
    if not len(new.ids):
        raise ValueError(
            "None of the new rows has a label that the model knows, so nothing can be measured."
        )
    valued = value_new_rows(bench.fit(weight), new)
    curves = addition_curves(run, new, valued, n_random=N_RANDOM, progress=bench.report)
    effect = addition_effect(run, new, new.ids)
    payload = {
        "main": effect.main,
        "changes": [asdict(one) for one in effect.changes],
        "n_refits": count_additions(N_ORDERS, n_random=N_RANDOM),
        "seconds": time.perf_counter() - started,
    }
    return bench.keep(payload, lambda folder: write_frame(curves, folder / "curves.parquet"))
