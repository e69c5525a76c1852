"""Where a set of rows stands on a point-removal curve, and which rows are gone at a point of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ecoval_core.evaluation.curves import removal_order, removed_rows

ORDERED = ("lowest", "highest")


@dataclass(frozen=True)
class Standing:
    """Where a set of rows stands.

    Attributes
    ----------
    strategy : {"lowest", "highest"}
        The order by value that removes more of the rows up to their number.
    share : float
        Their number as a part of all rows.
    n_rows : int
        Their number.
    n_removed : int
        How many of them are gone where that share is removed in that order.
    """

    strategy: str
    share: float
    n_rows: int
    n_removed: int


def rows_removed(
    values: pd.Series, strategy: str, share: float, classes: pd.Series | None = None
) -> list[int]:
    """Row ids that are gone at a point of a curve.

    Parameters
    ----------
    values : Series of float
        Value of each row, by row id, in the order of the fit.
    strategy : {"lowest", "highest"}
        Which end goes first.
    share : float
        Part of the rows removed, in [0, 1].
    classes : Series or None, default=None
        Class of each row where the share is taken of each class alone.

    Returns
    -------
    list of int
        The first to go first; of each class in turn, where there are classes.

    Raises
    ------
    ValueError
        If the strategy is no order by value.
    """
    if strategy not in ORDERED:
        raise ValueError(f"Rows are removed lowest or highest first, not {strategy!r}.")
    # Neither order draws anything.
    order = removal_order(strategy, values.to_numpy(float), None, np.random.default_rng(0))
    gone = removed_rows(order, share, None if classes is None else classes.to_numpy())
    return [int(row) for row in values.index[gone]]


def standing_of(
    ids: Iterable[int], values: pd.Series, classes: pd.Series | None = None
) -> Standing | None:
    """Find where a set of rows stands among all, ranked by value.

    Parameters
    ----------
    ids : iterable of int
        Row ids; those that have no value are left out.
    values, classes : Series
        As for :func:`rows_removed`.

    Returns
    -------
    Standing or None
        None without a row.
    """
    rows = set(ids) & set(values.index)
    if not rows:
        return None
    share = len(rows) / len(values)
    found = {
        strategy: len(rows & set(rows_removed(values, strategy, share, classes)))
        for strategy in ORDERED
    }
    best = max(ORDERED, key=lambda strategy: found[strategy])
    return Standing(best, share, len(rows), found[best])
