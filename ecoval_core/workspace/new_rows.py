"""New rows: a second file beside a run, valued with its models, ranked, and added to its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ecoval_core.evaluation.new_rows import (
    ADDED_SHARES,
    acquisition_curves,
    measure_addition,
    rank_unlabelled,
    value_new,
)
from ecoval_core.evaluation.pruning import Effect
from ecoval_core.tables.matching import Matched, match_columns
from ecoval_core.tables.preparation import Prepared, vectorise_new
from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.parallel import Progress, ShouldStop
from ecoval_core.workspace.runs import Run

RECOMMENDED, BY_VALUE = "recommended", "value"


@dataclass(frozen=True, eq=False)
class NewRows:
    """A second file in the columns of a fitted table, and as numbers.

    Attributes
    ----------
    matched : Matched
        The file, with what does not fit.
    X : ndarray of shape (n_rows, n_features)
        All its rows, in the features of the fit.
    """

    matched: Matched
    X: NDArray[np.float64]

    @property
    def ids(self) -> NDArray[np.int64]:
        """Row ids with a usable label."""
        return self.matched.ids

    @property
    def y(self) -> NDArray:
        """Targets of `ids`."""
        return self.matched.labels

    def positions(self, ids: ArrayLike) -> NDArray[np.int64]:
        """Return the positions of some row ids among `ids`; those without a usable label have none."""
        return np.flatnonzero(np.isin(self.ids, np.asarray(ids)))


def read_new_rows(prepared: Prepared, frame: pd.DataFrame, name: str = "The new file") -> NewRows:
    """Lay a second file over the columns of a prepared table and vectorise it.

    Parameters
    ----------
    prepared : Prepared
        The table of the run.
    frame : DataFrame of shape (n_rows, n_columns)
        The second file as read, mended as the table was.
    name : str, default="The new file"
        What messages call it.

    Returns
    -------
    NewRows
        The file.

    Raises
    ------
    TableError
        As :func:`ecoval_core.tables.matching.match_columns` does.
    """
    matched = match_columns(prepared.table, frame, name=name, train_ids=prepared.ids_train)
    return NewRows(matched, vectorise_new(prepared, matched.frame))


def value_new_rows(fitted: EcoVal | CrossValuation, new: NewRows) -> pd.DataFrame:
    """Value the rows that have a usable label, and rank them.

    Parameters
    ----------
    fitted : EcoVal or CrossValuation
        The models of the run, at its extrinsic weight:
        :func:`ecoval_core.workspace.valuations.read_fit`, reweighted.
    new : NewRows
        The second file.

    Returns
    -------
    DataFrame
        See :func:`ecoval_core.evaluation.acquisition.value_new`; no row if none has a usable label.

    Raises
    ------
    ValueError
        If the valuation has no models.
    """
    if not len(new.ids):
        # Of one row that is made up, for the columns alone.
        first = np.asarray(fitted.suggested_labels_[:1])
        return value_new(fitted, new.X[:1], first).iloc[:0]
    return value_new(fitted, new.X[new.ids], new.y, new.ids)


def rank_new_rows(fitted: EcoVal | CrossValuation, new: NewRows) -> pd.DataFrame:
    """Rank all rows of the file as if none had a label.

    Parameters
    ----------
    fitted : EcoVal or CrossValuation
        As in :func:`value_new_rows`.
    new : NewRows
        The second file.

    Returns
    -------
    DataFrame
        See :func:`ecoval_core.evaluation.acquisition.rank_unlabelled`.

    Raises
    ------
    ValueError
        If the valuation has no models.
    """
    return rank_unlabelled(fitted, new.X, np.arange(new.matched.n_rows))


def addition_curves(
    run: Run, new: NewRows, valued: pd.DataFrame, *, shares: Sequence[float] = ADDED_SHARES,
    n_random: int = 10, n_jobs: int | None = None, progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Measure the test scores while new rows join those of the run.

    Parameters
    ----------
    run : Run
        Its rows, model and test rows are taken.
    new : NewRows
        The second file.
    valued : DataFrame
        From :func:`value_new_rows`, all of it or the rows that may be added.
    shares, n_random, n_jobs, progress, should_stop
        As in :func:`ecoval_core.evaluation.addition.acquisition_curves`.

    Returns
    -------
    DataFrame
        See there; the strategies are "recommended", "value" (highest total value first) and "random".

    Raises
    ------
    ValueError, Cancelled
        As there.
    """
    chosen = new.positions(valued.index)
    valued = valued.loc[new.ids[chosen]]
    orders = {RECOMMENDED: valued["priority"].to_numpy(), BY_VALUE: valued["value"].to_numpy()}
    data = run.prepared
    X_new = new.X[new.ids[chosen]]
    watch: dict[str, Any] = {"n_jobs": n_jobs, "progress": progress, "should_stop": should_stop}
    return acquisition_curves(
        run.make_estimator(), run.X, run.y, X_new, new.y[chosen], data.X_test, data.y_test, orders,
        shares=shares, n_random=n_random, random_state=run.settings.random_state, **watch,
    )  # fmt: skip


def addition_effect(run: Run, new: NewRows, ids: ArrayLike) -> Effect:
    """Measure what adding some of the new rows does to the test scores.

    Parameters
    ----------
    run : Run
        Its rows, model and test rows are taken.
    new : NewRows
        The second file.
    ids : array-like of int
        Row ids to add; those without a usable label are left out.

    Returns
    -------
    Effect
        Every measure before and after.

    Raises
    ------
    ValueError
        If none of the rows has a usable label.
    """
    chosen = new.positions(ids)
    data = run.prepared
    return measure_addition(
        run.make_estimator(), run.X, run.y, new.X[new.ids[chosen]], new.y[chosen], data.X_test,
        data.y_test, random_state=run.settings.random_state, balanced=run.settings.balanced,
    )  # fmt: skip
