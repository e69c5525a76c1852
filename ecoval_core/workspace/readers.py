"""Results back from the workspace, each in the type that its task made, with the bytes that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecoval_core.evaluation.measures import Change
from ecoval_core.evaluation.pruning import Effect
from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.record import Valuation
from ecoval_core.workspace.parquet import read_arrays, read_frame
from ecoval_core.workspace.store import Result
from ecoval_core.workspace.valuations import read_valuation


def _read_curves(found: Result) -> tuple[int, pd.DataFrame]:
    frame = read_frame(found.folder / "curves.parquet")
    return int(frame.memory_usage(deep=True).sum()), frame


def _read_effect(found: Result) -> tuple[int, Effect]:
    changes = tuple(Change(**one) for one in found.payload["changes"])
    return 0, Effect(found.payload["main"], changes)


def _read_umap(found: Result) -> tuple[int, NDArray[np.float32]]:
    coordinates = read_arrays(found.folder / "umap.parquet")["coordinates"]
    return coordinates.nbytes, coordinates


def _read_baseline(found: Result) -> tuple[int, NDArray[np.float64]]:
    values = read_arrays(found.folder / "values.parquet")["values"]
    return values.nbytes, values


def _read_repeats(found: Result) -> tuple[int, list[Valuation | CrossValuation]]:
    parts = [found.folder / f"repeat_{n}" for n in range(found.payload["n_repeats"])]
    repeats = [read_valuation(part) for part in parts]
    return sum(200 * len(one.values_) for one in repeats), repeats


def _read_new_rows(found: Result) -> tuple[int, dict[str, pd.DataFrame]]:
    paths = {name: found.folder / f"{name}.parquet" for name in ("valued", "doubts")}
    frames = {
        name: read_frame(path).set_index("row_id") if path.exists() else pd.DataFrame()
        for name, path in paths.items()
    }
    return sum(int(frame.memory_usage(deep=True).sum()) for frame in frames.values()), frames


def _read_acquisition(found: Result) -> tuple[int, tuple[pd.DataFrame, Effect]]:
    size, curves = _read_curves(found)
    return size, (curves, _read_effect(found)[1])


READERS: dict[str, Callable[[Result], tuple[int, Any]]] = {
    "curves": _read_curves,
    "method_curves": _read_curves,
    "new_rows": _read_new_rows,
    "acquisition": _read_acquisition,
    "effect": _read_effect,
    "umap": _read_umap,
    "baseline": _read_baseline,
    "repeats": _read_repeats,
}
