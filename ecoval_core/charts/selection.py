"""Which rows a gesture is about: inside an outline on a map, or behind the bars of a chart."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecoval_core.charts.style import label_groups

Mode = Literal["replace", "add", "remove"]
Points = NDArray[np.float64]
N_BINS = 60


def inside_polygon(coords: Points, polygon: Points) -> NDArray[np.bool_]:
    """Tell which points lie inside a polygon of finite vertices, by the even-odd rule."""
    inside = np.zeros(len(coords), dtype=bool)
    near = np.flatnonzero(inside_box(coords, polygon))
    # Sorted by ordinate, the points that an edge can separate stand side by side.
    near = near[np.argsort(coords[near, 1], kind="stable")]
    x, y = coords[near].T
    # A ray to the right crosses the outline an odd number of times if the point is inside (Shimrat, 1962).
    odd = np.zeros(len(near), dtype=bool)
    start, end = polygon, np.roll(polygon, -1, axis=0)
    upward = np.where((start[:, 1] <= end[:, 1])[:, None, None], np.stack([start, end], axis=1),
                      np.stack([end, start], axis=1))  # fmt: skip
    # An edge holds its lower end and not its upper one, so that no vertex is counted twice.
    first = np.searchsorted(y, upward[:, 0, 1], side="left")
    last = np.searchsorted(y, upward[:, 1, 1], side="left")
    for (lower, upper), begin, stop in zip(upward, first, last, strict=True):
        if begin < stop:
            share = (y[begin:stop] - lower[1]) / (upper[1] - lower[1])
            odd[begin:stop] ^= x[begin:stop] < lower[0] + share * (upper[0] - lower[0])
    inside[near[odd]] = True
    return inside


def inside_box(coords: Points, corners: Points) -> NDArray[np.bool_]:
    """Tell which points lie inside the smallest box around some corners, its edges included."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    return np.asarray(((coords >= low) & (coords <= high)).all(axis=1))


def change_selection(
    before: NDArray[np.bool_], taken: NDArray[np.bool_], mode: Mode
) -> NDArray[np.bool_]:
    """Return what is selected once a gesture that is about `taken` has changed the selection."""
    if mode == "add":
        return before | taken
    return before & ~taken if mode == "remove" else taken


def value_bins(values: NDArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the edges of a histogram's bins and the bin of each value; no bin holds both signs."""
    low, high = np.percentile(values, (0.5, 99.5))
    low, high = min(low, 0.0), max(high, 0.0)
    width = (high - low) / min(N_BINS, max(10, 2 * math.isqrt(len(values)))) or 1.0
    # A few values of the other sign lie beyond the percentiles, and have a bin all the same.
    first = min(np.floor(low / width), -1.0 if (values < 0).any() else 0.0)
    last = max(np.ceil(high / width), 1.0 if (values >= 0).any() else 0.0)
    edges = width * np.arange(first, last + 1)
    # What lies beyond the edges counts in the first or last bin.
    bins = np.searchsorted(edges, values, side="right") - 1
    return edges, np.clip(bins, 0, len(edges) - 2).astype(np.int64)


def bar_key(kind: str, name: object) -> str:
    """Return the key of a bar, which the browser reports when it is clicked."""
    return f"{kind}:{name}"


def rows_behind(frame: pd.DataFrame, keys: Iterable[str]) -> list[int]:
    """Return the ids of the rows behind bars of a label, a cluster or a bin of values, by their keys."""
    frame = frame.dropna(subset=["value"])
    if frame.empty:
        return []
    bars = {
        "label": label_groups(frame["label"]),
        "cluster": frame["cluster"],
        "bin": pd.Series(value_bins(frame["value"].to_numpy(float))[1], frame.index),
    }
    wanted, taken = set(keys), pd.Series(False, index=frame.index)
    for kind, names in bars.items():
        taken |= (f"{kind}:" + names.astype(str)).isin(wanted)
    return [int(row) for row in taken.index[taken]]
