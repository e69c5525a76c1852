"""Tasks: what a worker process does for an order, from the workspace and back into it.

Whatever has a place in the workspace is written there before the worker says that it is done.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ecoval_core.evaluation.curves import STRATEGIES, count_refits, removal_curves
from ecoval_core.evaluation.projection import umap_projection
from ecoval_core.evaluation.pruning import measure_effect
from ecoval_core.tables import (
    MIN_ROWS,
    Table,
    detect_target,
    load_sample,
    make_table,
    prepare,
    read_frame,
    suggest_exclusions,
)
from ecoval_core.tables.mending import Mend, mend, suggest_mends
from ecoval_core.tables.table import content_digest
from ecoval_core.valuation.parallel import Progress
from ecoval_core.valuation.record import Valuation, findings_of
from ecoval_core.workspace.acquiring import measure_acquisition, value_file
from ecoval_core.workspace.bench import Bench, Payload
from ecoval_core.workspace.comparing import measure_methods, value_rows
from ecoval_core.workspace.orders import N_RANDOM, result_key
from ecoval_core.workspace.parquet import write_arrays, write_frame
from ecoval_core.workspace.runs import estimate_run, rows_to_value, value_prepared
from ecoval_core.workspace.stability import repeat_run
from ecoval_core.workspace.store import Store
from ecoval_core.workspace.valuations import write_valuation
from ecoval_core.workspace.workspace import Workspace

SPLIT = (0.6, 0.2, 0.2)


# --- Tables ---------------------------------------------------------------------------------


def _open(bench: Bench) -> Payload:
    asked = bench.parameters
    source, name = asked["source"], asked["name"]
    if "sample" in source:
        return _prepare(bench, load_sample(source["sample"]), None, [])
    if "file" in source:
        frame = read_frame(bench.uploads / source["file"], name)
        frame.columns = frame.columns.astype(str)
    else:
        kept = bench.workspace.find(lambda store: store.load_frame(source["frame"]))
        if kept is None:
            raise ValueError(f"{name} is no longer in the workspace: load the file again.")
        frame = kept
    original, suggested = content_digest(frame), [one.to_json() for one in suggest_mends(frame)]
    bench.workspace.write(lambda store: store.save_frame(original, frame))
    mended = mend(frame, [Mend.from_json(one) for one in asked["mends"]])
    excluded = asked["excluded"]
    try:
        if asked["left_out"]:
            excluded = suggest_exclusions(mended, asked["target"]) | asked["left_out"]
        table = make_table(mended, name, asked["target"], asked["task"], excluded)
        return _prepare(bench, table, original, suggested)
    except ValueError as error:
        columns = [str(column) for column in frame.columns]
        if len(frame) < MIN_ROWS or len(columns) < 2 or len(set(columns)) < len(columns):
            raise
        target = asked["target"] or _guess(mended)
        # Mending may be what lets it open: three spellings of a class make a class that is too small.
        offered = [one for one in suggested if one not in asked["mends"]]
        return {
            "refusal": str(error), "frame": original, "columns": columns, "target": target,
            "suggested": offered,
        }  # fmt: skip


def _guess(frame: Any) -> str:
    try:
        return detect_target(frame)
    except ValueError:
        return str(frame.columns[-1])


def _prepare(bench: Bench, table: Table, original: str | None, suggested: list[Payload]) -> Payload:
    asked = bench.parameters
    prepared = prepare(
        table,
        proportions=asked["proportions"] or SPLIT,
        noise=asked["noise"],
        random_state=asked["random_state"],
    )
    # Kept under what was made of it: a run then knows how its table was mended.
    named = {"preparation": prepared.fingerprint}
    mending = {
        "mends": asked["mends"],
        "suggested": suggested,
        "content": original or table.content,
    }

    def save(store: Store) -> None:
        store.save_frame(table.content, table.frame)
        store.save_prepared(prepared)
        if suggested or asked["mends"]:
            store.save_result(result_key("mends", named), "mends", named, mending)

    bench.workspace.write(save)
    return {"preparation": prepared.fingerprint, "frame": table.content}


# --- Values ---------------------------------------------------------------------------------


def _value(bench: Bench) -> Payload:
    run = value_prepared(bench.prepared(), bench.settings(), progress=bench.report)
    ecoval = run.ecoval
    payload = {
        "seconds": run.seconds,
        "surplus": float(ecoval.surplus_),
        "full_score": float(ecoval.full_score_),
        "prior_score": float(ecoval.prior_score_),
        "n_rows": len(run.ids),
        "n_clusters": int(ecoval.n_clusters_),
        "reliable": bool(ecoval.reliable_),
    }
    return bench.keep(payload, lambda folder: write_valuation(ecoval, folder))


def _timing(bench: Bench) -> Payload:
    return {"seconds": estimate_run(bench.prepared(), bench.settings())}


def _repeats(bench: Bench) -> Payload:
    found = repeat_run(bench.run(0.0), progress=bench.report)

    def write(folder: Path) -> None:
        for number, one in enumerate(found):
            part = folder / f"repeat_{number}"
            part.mkdir()
            without_models = hasattr(one, "estimators_")
            write_valuation(one if without_models else Valuation(findings_of(one), 0.0), part)

    return bench.keep({"n_repeats": len(found)}, write)


# --- What values are good for ---------------------------------------------------------------


def _curves(bench: Bench) -> Payload:
    asked, started = bench.parameters, time.perf_counter()
    run = bench.run(asked.get("weight", 0.0))
    prepared = run.prepared
    frame = removal_curves(
        run.make_estimator(),
        run.X,
        run.y,
        prepared.X_test,
        prepared.y_test,
        run.ecoval.values_,
        clusters=run.ecoval.labels_,
        strategies=STRATEGIES,
        class_balanced=asked["balanced"],
        n_random=N_RANDOM,
        random_state=run.settings.random_state,
        every_measure=True,
        progress=bench.report,
    )
    payload = {
        "seconds": time.perf_counter() - started,
        "n_refits": count_refits(STRATEGIES, n_random=N_RANDOM),
    }
    return bench.keep(payload, lambda folder: write_frame(frame, folder / "curves.parquet"))


def _effect(bench: Bench) -> Payload:
    asked = bench.parameters
    run = bench.run(0.0)
    positions = {int(row): position for position, row in enumerate(run.ids)}
    y_after = run.y.copy()
    if asked["relabelled"]:
        rows, labels = zip(*asked["relabelled"], strict=True)
        # A longer label than any before would be cut off in an array of fixed width.
        y_after = y_after.astype(np.result_type(y_after, np.asarray(labels)))
        y_after[[positions[row] for row in rows]] = labels
    found = measure_effect(
        run.make_estimator(),
        run.X,
        run.y,
        run.prepared.X_test,
        run.prepared.y_test,
        ~np.isin(run.ids, asked["removed"]),
        y_after=y_after,
        random_state=run.settings.random_state,
        balanced=run.settings.balanced,
    )
    return bench.keep({"main": found.main, "changes": [asdict(one) for one in found.changes]})


def _umap(bench: Bench) -> Payload:
    rows = rows_to_value(bench.prepared(), bench.parameters["every_row"])
    coordinates = umap_projection(rows.X, random_state=0)
    return bench.keep(
        {}, lambda folder: write_arrays({"coordinates": coordinates}, folder / "umap.parquet")
    )


def _read(bench: Bench) -> Payload:
    asked = bench.parameters
    frame = read_frame(bench.uploads / asked["source"]["file"], asked["name"])
    frame.columns = frame.columns.astype(str)
    digest = content_digest(frame)
    bench.workspace.write(lambda store: store.save_frame(digest, frame))
    return {"frame": digest, "n_rows": len(frame)}


TASKS: dict[str, Callable[[Bench], Payload]] = {
    "read": _read,
    "open": _open,
    "value": _value,
    "timing": _timing,
    "repeats": _repeats,
    "baseline": value_rows,
    "method_curves": measure_methods,
    "new_rows": value_file,
    "acquisition": measure_acquisition,
    "curves": _curves,
    "effect": _effect,
    "umap": _umap,
}


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """Send whatever goes through joblib to a Dask cluster, if there is one."""
    if not address:
        yield
        return
    from distributed import Client
    from joblib import parallel_config

    try:
        client = Client(address, timeout="10s", set_as_default=True)
    except (OSError, TimeoutError, ValueError) as error:
        raise ValueError(
            f"The Dask scheduler at {address} does not answer: start it, or start the app without "
            "ECOVAL_DASK."
        ) from error
    with client, parallel_config("dask"):
        yield


def perform(task: str, parameters: Payload, context: Payload, report: Progress) -> Payload:
    """Do a piece of work in this process.

    Parameters
    ----------
    task : str
        A key of :data:`TASKS`.
    parameters : dict
        Parameters of the order.
    context : dict
        "root" and "spare" name the folders of the workspace, "uploads" that of uploaded files, "dask" the
        scheduler, if there is one.
    report : callable
        Takes steps done and steps in all.

    Returns
    -------
    dict
        "done" with what the task found, "trouble" with why it could not be kept, empty if it could.

    Raises
    ------
    ValueError
        One sentence for the user.
    """
    workspace = Workspace(Path(context["root"]), Path(context["spare"]))
    bench = Bench(workspace, Path(context["uploads"]), task, parameters, report)
    with _cluster(context.get("dask")):
        payload = TASKS[task](bench)
    return {"done": payload, "trouble": workspace.trouble}
