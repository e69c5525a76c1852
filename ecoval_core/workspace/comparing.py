"""Tasks that set a run beside another: a baseline's values, and the removal curves of both."""

from __future__ import annotations

import time

import pandas as pd

from ecoval_core.evaluation.curves import count_method_refits, method_curves
from ecoval_core.workspace.baselines import value_by_baseline
from ecoval_core.workspace.bench import Bench, Payload
from ecoval_core.workspace.orders import N_RANDOM, result_key
from ecoval_core.workspace.parquet import read_arrays, write_arrays, write_frame
from ecoval_core.workspace.runs import Run, Settings
from ecoval_core.workspace.valuations import read_valuation

MIN_COMMON_ROWS = 20


def value_rows(bench: Bench) -> Payload:
    """Value the rows of a run by another method, on the same folds where the run has some."""
    started = time.perf_counter()
    values = value_by_baseline(bench.parameters["baseline"], bench.run(0.0), progress=bench.report)
    return bench.keep(
        {"seconds": time.perf_counter() - started},
        lambda folder: write_arrays({"values": values}, folder / "values.parquet"),
    )


def _other_values(bench: Bench, run: Run) -> pd.Series:
    """Values of the other method or run, by row id."""
    other = bench.parameters["other"]
    if "baseline" in other:
        named = {name: bench.parameters[name] for name in ("preparation", "valuation", "settings")}
        key = result_key("baseline", {**named, "baseline": other["baseline"]})
        values = read_arrays(bench.valuation(key).folder / "values.parquet")["values"]
        return pd.Series(values, run.frame.index)
    kept = bench.workspace.find(lambda store: store.load_prepared(other["preparation"]))
    if kept is None:
        raise ValueError("The table of the other run is no longer in the workspace.")
    settings = Settings(**{**other["settings"], "extrinsic_weight": other["weight"]})
    valuation = read_valuation(bench.valuation(other["valuation"]).folder)
    return Run(kept, settings, valuation.reweight(other["weight"])).frame["value"]


def measure_methods(bench: Bench) -> Payload:
    """Measure the removal curves of a run and of another method or run on the rows that both value."""
    asked, started = bench.parameters, time.perf_counter()
    run = bench.run(asked["weight"])
    other = _other_values(bench, run).reindex(run.frame.index)
    common = other.notna().to_numpy()
    if common.sum() < MIN_COMMON_ROWS:
        raise ValueError(
            f"The two runs value {int(common.sum())} rows in common, too few for curves: compare runs of one "
            "split."
        )
    frame = method_curves(
        run.make_estimator(), run.X[common], run.y[common], run.prepared.X_test, run.prepared.y_test,
        {"a": run.ecoval.values_[common], "b": other.to_numpy()[common]},
        class_balanced=asked["balanced"], n_random=N_RANDOM, random_state=run.settings.random_state,
        progress=bench.report,
    )  # fmt: skip
    payload = {
        "seconds": time.perf_counter() - started,
        "n_refits": count_method_refits(2, n_random=N_RANDOM),
        "n_rows": int(common.sum()),
    }
    return bench.keep(payload, lambda folder: write_frame(frame, folder / "curves.parquet"))
