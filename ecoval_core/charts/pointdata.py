"""Rows as points: where they lie, which of them are drawn, and what is said of each."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ecoval_core.charts.points import MAX_LOWEST, _descriptions, _sums
from ecoval_core.charts.text import shorten

MAX_DRAWN = 50_000


@dataclass(frozen=True, eq=False)
class PointData:
    """Rows as points.

    Attributes
    ----------
    ids : ndarray of shape (n_rows,), int
        Row ids.
    coords : ndarray of shape (n_rows, 2), float
        Where the rows lie; not finite for those that lie nowhere.
    drawn : ndarray of shape (n_drawn,), int
        Positions of the rows that are drawn, in ascending order.
    texts : callable
        Returns what is said of each drawn row, in lines, as plain text. At 50,000 rows it takes half a
        second, for which no drawing needs to wait.
    """

    ids: NDArray[np.int64]
    coords: NDArray[np.float64]
    drawn: NDArray[np.int64]
    texts: Callable[[], Sequence[str]]

    def __post_init__(self) -> None:
        if self.coords.shape != (len(self.ids), 2):
            raise ValueError(
                f"coords must have the shape ({len(self.ids)}, 2), but it is {self.coords.shape}."
            )

    def mask(self, ids: Iterable[int]) -> NDArray[np.bool_]:
        """Tell which rows are among some.

        Parameters
        ----------
        ids : iterable of int
            Row ids; those of no row are passed over.

        Returns
        -------
        ndarray of shape (n_rows,), bool
            Whether each row is among them.
        """
        return np.isin(self.ids, np.fromiter(ids, dtype=np.int64))


def make_points(
    frame: pd.DataFrame,
    coords: ArrayLike,
    *,
    unit: str = "",
    hover: pd.DataFrame | None = None,
    limit: int = MAX_DRAWN,
) -> PointData:
    """Make points of valued rows.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, ...)
        :attr:`ecoval_core.workspace.runs.Run.frame`, its values in any unit.
    coords : array-like of shape (n_rows, 2)
        Where the rows lie, in the order of `frame`.
    unit : str, default=""
        Unit of the values, in words.
    hover : DataFrame or None, default=None
        Original columns to tell of a row, the first six of them; indexed by row id.
    limit : int, default=50,000
        Rows that are drawn at most. Beyond it, the 5,000 of the lowest values and a random sample are.

    Returns
    -------
    PointData
        All rows; drawn are those with a value and coordinates, up to `limit`.

    Raises
    ------
    ValueError
        If `coords` do not fit `frame`.
    """
    coords = np.asarray(coords, dtype=np.float64)
    if coords.shape != (len(frame), 2):
        raise ValueError(f"coords must have the shape ({len(frame)}, 2), but it is {coords.shape}.")
    values = frame["value"].to_numpy(dtype=float)
    drawn = np.flatnonzero(np.isfinite(values) & np.isfinite(coords).all(axis=1))
    if len(drawn) > limit:
        lowest_first = drawn[np.argsort(values[drawn], kind="stable")]
        sample = np.random.default_rng(0).permutation(drawn)
        n_lowest = min(MAX_LOWEST, limit)
        ranked = pd.unique(np.concatenate([lowest_first[:n_lowest], sample]))
        drawn = np.sort(ranked[:limit])
    points = frame.iloc[drawn]

    def texts() -> list[str]:
        ending = f" {html.unescape(shorten(unit, 40))}" if unit else ""
        descriptions = (
            html.unescape(text.replace("<br>", "\n")) for text in _descriptions(points, hover)
        )
        return [
            f"value = intrinsic + extrinsic\n{amounts}{ending}\nlabel {description}"
            for amounts, description in zip(_sums(points), descriptions, strict=True)
        ]

    return PointData(frame.index.to_numpy(dtype=np.int64), coords, drawn, texts)
