"""Which rows stand behind the bar of a chart: classes, groups of a target, clusters, bins of values."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecoval_core.charts.style import label_groups

N_BINS = 60


def value_bins(values: NDArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Edges of the bins of a histogram of values, and the bin of each value.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        Finite values, at least one.

    Returns
    -------
    edges : ndarray of shape (n_bins + 1,)
        From about the 0.5th to the 99.5th percentile; one lies at zero, so that no bin holds values of both
        signs.
    bins : ndarray of shape (n_rows,), int
        Position of each value's bin; what lies beyond the edges is in the first or last.
    """
    low, high = np.percentile(values, (0.5, 99.5))
    low, high = min(low, 0.0), max(high, 0.0)
    width = (high - low) / min(N_BINS, max(10, 2 * math.isqrt(len(values)))) or 1.0
    edges = width * np.arange(np.floor(low / width), np.ceil(high / width) + 1)
    edges = edges if len(edges) > 1 else np.array([0.0, width])
    bins = np.searchsorted(edges, values, side="right") - 1
    return edges, np.clip(bins, 0, len(edges) - 2).astype(np.int64)


def key_of(kind: str, name: object) -> str:
    """Key of a bar, which the browser reports when it is clicked.

    Parameters
    ----------
    kind : {"label", "cluster", "bin"}
        What the bar stands for.
    name : object
        Class or range of the target as :func:`ecoval_core.charts.style.label_groups` names it, number of the
        cluster, position of the bin.
    """
    return f"{kind}:{name}"


def keys_of(frame: pd.DataFrame, kind: str) -> pd.Series:
    """Key of the bar that each row is in.

    Parameters
    ----------
    frame : DataFrame
        :attr:`ecoval_core.workspace.runs.Run.frame` in the unit of the chart, of rows that have a value.
    kind : {"label", "cluster", "bin"}
        What the bars stand for.

    Returns
    -------
    Series of str
        Indexed by row id.

    Raises
    ------
    ValueError
        If bars cannot stand for it.
    """
    if kind == "bin":
        names = pd.Series(value_bins(frame["value"].to_numpy(float))[1], index=frame.index)
    elif kind == "label":
        names = label_groups(frame["label"])
    elif kind == "cluster":
        names = frame["cluster"]
    else:
        raise ValueError(f"Bars stand for a label, a cluster or a bin, not for {kind!r}.")
    return f"{kind}:" + names.astype(str)


def rows_behind(frame: pd.DataFrame, keys: Iterable[str]) -> list[int]:
    """Row ids behind some bars.

    Parameters
    ----------
    frame : DataFrame
        :attr:`ecoval_core.workspace.runs.Run.frame`, in the unit of the chart.
    keys : iterable of str
        From :func:`key_of`; bars that there are not are passed over.

    Returns
    -------
    list of int
        In the order of `frame`.
    """
    wanted = set(keys)
    frame = frame.dropna(subset=["value"])
    taken = pd.Series(False, index=frame.index)
    if frame.empty:
        return []
    for kind in ("label", "cluster", "bin"):
        if any(key.startswith(f"{kind}:") for key in wanted):
            taken |= keys_of(frame, kind).isin(wanted)
    return [int(row) for row in taken.index[taken]]
