"""Subsets: what a model scores on test rows when it is fitted on a part of the rows, for many parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_regressor
from sklearn.utils.parallel import delayed

from ecoval_core.evaluation.measures import interval, measure, predict
from ecoval_core.valuation.parallel import Monitor, run_tasks

# By measure: the score, and the ends of its 90 % interval over a bootstrap of the test rows.
Scores = dict[str, tuple[float, float, float]]
# Bootstrap samples of the test rows at every fit.
N_DRAWS = 200


def score_rows(
    estimator: Any, X: NDArray, y: NDArray, X_test: NDArray, y_test: NDArray,
    draws: NDArray | None = None,
) -> Scores:  # fmt: skip
    """Fit on some rows and score by every measure.

    Parameters
    ----------
    estimator : estimator
        Unfitted, its random states set.
    X, y, X_test, y_test : ndarray
        Rows to fit on, and test rows.
    draws : ndarray of shape (n_draws, n_test) or None, default=None
        From :func:`ecoval_core.evaluation.measures.draw_rows`; None for no intervals, which are then NaN.

    Returns
    -------
    dict of str to (float, float, float)
        Score and interval of every measure; empty if the rows cannot be fitted (one class only, or none).
    """
    regression = is_regressor(estimator)
    if len(X) == 0 or (not regression and len(np.unique(y)) < 2):
        return {}
    classes = None if regression else np.unique(np.concatenate([y, y_test]))
    prediction = predict(estimator, X, y, X_test, classes, f"on {len(X)} of the rows")
    scores = measure(y_test, prediction, np.ones((1, len(y_test))))
    if draws is None:
        return {name: (float(score[0]), np.nan, np.nan) for name, score in scores.items()}
    drawn = measure(y_test, prediction, draws)
    return {name: (float(score[0]), *interval(drawn[name])) for name, score in scores.items()}


def _score_subset(
    estimator: Any, X: NDArray, y: NDArray, X_test: NDArray, y_test: NDArray,
    draws: NDArray | None, rows: NDArray,
) -> Scores:  # fmt: skip
    return score_rows(estimator, X[rows], y[rows], X_test, y_test, draws)


def score_subsets(
    estimator: Any, X: NDArray, y: NDArray, X_test: NDArray, y_test: NDArray,
    subsets: Sequence[NDArray[np.int64]], *, draws: NDArray | None = None,
    n_jobs: int | None = None, monitor: Monitor | None = None,
) -> list[Scores]:  # fmt: skip
    """Fit on each of many subsets of the rows and score by every measure.

    Parameters
    ----------
    estimator, X, y, X_test, y_test, draws
        As in :func:`score_rows`.
    subsets : sequence of ndarray of int
        Row positions of each fit; those with the same rows are fitted once.
    n_jobs : int or None, default=None
        As in joblib.
    monitor : Monitor or None, default=None
        Takes a step after each fit; its total is set here.

    Returns
    -------
    list of dict
        Scores in the order of `subsets`.

    Raises
    ------
    RefitError
        If the model refuses some of the rows.
    Cancelled
        If the caller asked to stop.
    """
    # In ascending order, so that what a fit draws by chance depends on its rows alone.
    ascending = [np.sort(rows) for rows in subsets]
    distinct = {rows.tobytes(): rows for rows in ascending}
    monitor = monitor or Monitor()
    monitor.total = len(distinct)
    tasks = [
        delayed(_score_subset)(estimator, X, y, X_test, y_test, draws, rows)
        for rows in distinct.values()
    ]
    found = dict(zip(distinct, run_tasks(tasks, n_jobs, monitor), strict=True))
    return [found[rows.tobytes()] for rows in ascending]


def by_measure(steps: pd.DataFrame, found: Sequence[Scores]) -> pd.DataFrame:
    """Join scores to the steps of a curve, by measure.

    Parameters
    ----------
    steps : DataFrame of shape (n_steps, n_columns)
        What each fit was.
    found : sequence of dict, of length n_steps
        From :func:`score_subsets`.

    Returns
    -------
    DataFrame
        A row for each measure and step: the columns of `steps`, and measure, score, low, high; NaN where
        the rows could not be fitted.
    """
    names = list(dict.fromkeys(name for scores in found for name in scores))
    unknown = (np.nan, np.nan, np.nan)
    steps = steps.reset_index(drop=True)
    parts = [
        steps.assign(measure=name).join(
            pd.DataFrame([scores.get(name, unknown) for scores in found],
                         columns=["score", "low", "high"])
        )
        for name in names
    ]  # fmt: skip
    empty = steps.assign(measure="", score=np.nan, low=np.nan, high=np.nan).iloc[:0]
    return pd.concat(parts, ignore_index=True) if parts else empty
