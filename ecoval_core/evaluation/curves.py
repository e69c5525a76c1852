"""Point-removal curves: the test score while rows are removed in the order of their value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_regressor

from ecoval_core.evaluation.measures import draw_rows, main_measure
from ecoval_core.evaluation.subsets import N_DRAWS, by_measure, score_rows, score_subsets
from ecoval_core.valuation.fitting import seed_estimator
from ecoval_core.valuation.parallel import Monitor, Progress, ShouldStop

STRATEGIES = ("lowest", "highest", "random", "random_clusters")
DEFAULT_SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)


def removal_order(
    strategy: str, values: NDArray, clusters: NDArray | None, random: np.random.Generator
) -> NDArray[np.int64]:
    """Order in which rows are removed.

    Parameters
    ----------
    strategy : {"lowest", "highest", "random", "random_clusters"}
        Lowest or highest value first, rows at random, or whole clusters at random.
    values : ndarray of shape (n_samples,)
        Value of each row.
    clusters : ndarray of shape (n_samples,) or None
        Cluster of each row; needed for "random_clusters".
    random : numpy.random.Generator
        Draws the random orders.

    Returns
    -------
    ndarray of shape (n_samples,), int
        Row positions, the first to go first.

    Raises
    ------
    ValueError
        If the strategy is unknown, or needs clusters that were not given.
    """
    if strategy == "lowest":
        return np.argsort(values, kind="stable")
    if strategy == "highest":
        return np.argsort(-values, kind="stable")
    if strategy == "random":
        return random.permutation(len(values))
    if strategy != "random_clusters":
        raise ValueError(f"Unknown strategy {strategy!r}; choose from {', '.join(STRATEGIES)}.")
    if clusters is None:
        raise ValueError('The strategy "random_clusters" needs the clusters of the rows.')
    rank = random.permutation(int(clusters.max()) + 1)[clusters]
    return np.lexsort((random.random(len(values)), rank))


def removed_rows(
    order: NDArray[np.int64], share: float, classes: NDArray | None = None
) -> NDArray[np.int64]:
    """Rows that are gone once a share is removed.

    Parameters
    ----------
    order : ndarray of shape (n_samples,), int
        Row positions, the first to go first.
    share : float
        Part of the rows to remove, in [0, 1).
    classes : ndarray of shape (n_samples,) or None, default=None
        With classes, the share is taken of each class alone, so that the balance stays.

    Returns
    -------
    ndarray of int
        Row positions.
    """
    if classes is None:
        return order[: round(share * len(order))]
    parts = [order[classes[order] == label] for label in np.unique(classes)]
    return np.concatenate([part[: round(share * len(part))] for part in parts])


def score_on_test(
    estimator: Any, X: NDArray, y: NDArray, X_test: NDArray, y_test: NDArray, metric: str
) -> float:
    """Fit on some rows and score on the test part.

    Parameters
    ----------
    estimator : estimator
        Unfitted.
    X, y, X_test, y_test : ndarray
        Data.
    metric : str
        A measure, see :func:`ecoval_core.evaluation.measures.measure`.

    Returns
    -------
    float
        The score; NaN if the rows left cannot be fitted (one class only, or too few).
    """
    found = score_rows(estimator, X, y, X_test, y_test)
    return found.get(metric, (np.nan,))[0]


def removal_curves(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    values: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    strategies: Sequence[str] = ("lowest", "highest", "random"),
    shares: Sequence[float] = DEFAULT_SHARES,
    class_balanced: bool = False,
    n_random: int = 10,
    metric: str | None = None,
    every_measure: bool = False,
    random_state: int = 0,
    n_jobs: int | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> pd.DataFrame:
    """Test score while more and more rows are removed, refitting at every step.

    Parameters
    ----------
    estimator : estimator
        Unfitted model, the one the values are about.
    X, y : array-like of shape (n_samples, n_features), (n_samples,)
        Training rows.
    X_test, y_test : array-like
        Test rows, used neither to fit nor to value.
    values : array-like of shape (n_samples,)
        Value of each training row.
    clusters : array-like of shape (n_samples,) or None, default=None
        Their clusters, for the control "random_clusters".
    strategies : sequence of str, default=("lowest", "highest", "random")
        Orders of removal, see :func:`removal_order`.
    shares : sequence of float
        Parts of the rows removed, in [0, 1).
    class_balanced : bool, default=False
        Remove the share of each class alone. Removing the highest values can otherwise look good by
        deleting whole classes.
    n_random : int, default=10
        Orders drawn for each random strategy.
    metric : str or None, default=None
        A measure, see :func:`ecoval_core.evaluation.measures.measure`; None is accuracy, or R2 for a
        regressor.
    every_measure : bool, default=False
        Return every measure, with its interval over a bootstrap of the test rows.
    random_state : int, default=0
        Seeds the random orders and the model.
    n_jobs : int or None, default=None
        As in joblib.
    progress, should_stop : callable or None
        As in :meth:`EcoVal.fit`.

    Returns
    -------
    DataFrame
        Columns strategy, repeat, share, n_removed, score; a row a refit, in a fixed order. The score is
        NaN where the rows left hold one class only. With `every_measure` also measure, low and high (a
        90 % interval), and a row for each refit and measure.

    Raises
    ------
    ValueError
        If a strategy or share is invalid.
    Cancelled
        If `should_stop` returned True.
    """
    X, y, X_test, y_test, values = map(np.asarray, (X, y, X_test, y_test, values))
    clusters = None if clusters is None else np.asarray(clusters)
    invalid = [share for share in shares if not 0 <= share < 1]
    if invalid:
        raise ValueError(f"A share to remove must lie in [0, 1), but one is {invalid[0]}.")
    estimator = seed_estimator(estimator, random_state)
    metric = metric or main_measure(estimator)
    classes = y if class_balanced and not is_regressor(estimator) else None
    random = np.random.default_rng(random_state)
    steps: list[tuple[str, int, float]] = []
    removals: list[NDArray] = []
    for strategy in strategies:
        for repeat in range(n_random if strategy.startswith("random") else 1):
            order = removal_order(strategy, values, clusters, random)
            steps += [(strategy, repeat, share) for share in shares]
            removals += [removed_rows(order, share, classes) for share in shares]
    everything = np.arange(len(X))
    kept = [np.delete(everything, gone) for gone in removals]
    draws = draw_rows(len(y_test), random_state, N_DRAWS) if every_measure else None
    found = score_subsets(
        estimator, X, y, X_test, y_test, kept, draws=draws, n_jobs=n_jobs,
        monitor=Monitor(progress, should_stop),
    )  # fmt: skip
    frame = pd.DataFrame(steps, columns=["strategy", "repeat", "share"])
    frame["n_removed"] = [len(gone) for gone in removals]
    if every_measure:
        return by_measure(frame, found)
    return frame.assign(score=[scores.get(metric, (np.nan,))[0] for scores in found])


def count_refits(
    strategies: Sequence[str], shares: Sequence[float] = DEFAULT_SHARES, n_random: int = 10
) -> int:
    """Refits that :func:`removal_curves` will do.

    Parameters
    ----------
    strategies : sequence of str
        Orders of removal.
    shares : sequence of float
        Parts of the rows removed; that of 0 is fitted once for all orders.
    n_random : int, default=10
        Orders drawn for each random strategy.

    Returns
    -------
    int
        Number of fits.
    """
    orders = sum(n_random if strategy.startswith("random") else 1 for strategy in strategies)
    moving = sum(share > 0 for share in shares)
    return orders * moving + (moving < len(shares))


def summarise_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Mean and band of each strategy over its repeats.

    Parameters
    ----------
    curves : DataFrame
        From :func:`removal_curves`, :func:`ecoval_core.evaluation.comparison.method_curves` or
        :func:`ecoval_core.evaluation.addition.acquisition_curves`, of one measure.

    Returns
    -------
    DataFrame
        Columns method (where there is one), strategy, share, n_removed (or n_added), mean, low, high; low
        and high are the 10th and 90th percentile of the repeats.
    """
    keys = [name for name in ("method", "strategy", "share") if name in curves]
    count = "n_added" if "n_added" in curves else "n_removed"
    summary = curves.groupby(keys, sort=False).agg(
        **{count: (count, "first")},
        mean=("score", "mean"),
        low=("score", lambda score: score.quantile(0.1)),
        high=("score", lambda score: score.quantile(0.9)),
    )
    return summary.reset_index()
