"""KNN-Shapley: exact Shapley values of training rows in the game of the k nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import NearestNeighbors

from ecoval_core.valuation.kernels import BLOCK_PAIRS, shapley_by_rank
from ecoval_core.valuation.parallel import Monitor

N_NEIGHBORS = 5


def knn_shapley_values(
    X: ArrayLike, y: ArrayLike, X_val: ArrayLike, y_val: ArrayLike, *,
    n_neighbors: int = N_NEIGHBORS, monitor: Monitor | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Exact Shapley values of a k-nearest-neighbour classifier.

    The utility of a set of rows, at a validation row, is the number of its k nearest members of the set
    that carry its label, over k.

    Parameters
    ----------
    X, y : array-like of shape (n_samples, n_features), (n_samples,)
        Training rows, standardised.
    X_val, y_val : array-like of shape (n_val, n_features), (n_val,)
        Validation rows.
    n_neighbors : int, default=5
        k.
    monitor : Monitor or None, default=None
        Takes a step after each block of validation rows.

    Returns
    -------
    ndarray of shape (n_samples,)
        Values in units of the probability that the classifier gives to the true class.

    Raises
    ------
    Cancelled
        If the caller asked to stop.

    References
    ----------
    R. Jia et al., "Efficient Task-Specific Data Valuation for Nearest Neighbor Algorithms",
    VLDB 2019, theorem 1.
    """
    X, y, X_val, y_val = map(np.asarray, (X, y, X_val, y_val))

    def of_block(order: NDArray, targets: NDArray) -> NDArray[np.float64]:
        return shapley_by_rank(y[order] == targets[:, None], n_neighbors)

    return _mean_over_validation(X, X_val, y_val, of_block, monitor or Monitor())


def knn_shapley_regression_values(
    X: ArrayLike, y: ArrayLike, X_val: ArrayLike, y_val: ArrayLike, *,
    n_neighbors: int = N_NEIGHBORS, monitor: Monitor | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    r"""Exact Shapley values of a k-nearest-neighbour regressor.

    The utility of a set of rows, at a validation row, is minus the squared error of the sum of the targets
    of its k nearest members over k, where targets are deviations from the training mean: a set of fewer
    than k rows predicts that its missing neighbours are average, and the empty set predicts the mean.

    Parameters
    ----------
    X, y : array-like of shape (n_samples, n_features), (n_samples,)
        Training rows, standardised, and their targets.
    X_val, y_val : array-like of shape (n_val, n_features), (n_val,)
        Validation rows.
    n_neighbors : int, default=5
        k.
    monitor : Monitor or None, default=None
        Takes a step after each block of validation rows.

    Returns
    -------
    ndarray of shape (n_samples,)
        Values in units of squared error over the variance of the training target.

    Raises
    ------
    Cancelled
        If the caller asked to stop.

    Notes
    -----
    Shapley values average marginal contributions to sets in which every other row is present with
    probability p, over p uniform in (0, 1). Swapping the rows of rank i and i + 1 changes the prediction
    only of sets with fewer than k nearer members, which gives the difference of their values in closed
    form: the probability of such a set is min(k, i) / i, and the mean of a third row's share in the k
    nearest of it is :func:`_company_weight`.

    References
    ----------
    R. Jia et al., "Efficient Task-Specific Data Valuation for Nearest Neighbor Algorithms",
    VLDB 2019, theorem 6, whose recursion this is but for the centred targets.
    """
    X, X_val = np.asarray(X), np.asarray(X_val)
    y, y_val = np.asarray(y, dtype=np.float64), np.asarray(y_val, dtype=np.float64)
    deviation = y.std() or 1.0
    centred = (y - y.mean()) / deviation

    def of_block(order: NDArray, targets: NDArray) -> NDArray[np.float64]:
        wanted = (targets - y.mean()) / deviation
        return _regression_by_rank(centred[order], wanted, n_neighbors)

    return _mean_over_validation(X, X_val, y_val, of_block, monitor or Monitor())


def _mean_over_validation(
    X: NDArray, X_val: NDArray, y_val: NDArray,
    of_block: Callable[[NDArray, NDArray], NDArray[np.float64]], monitor: Monitor,
) -> NDArray[np.float64]:  # fmt: skip
    """Mean over the validation rows of values that follow from the order of the distances."""
    values = np.zeros(len(X))
    index = NearestNeighbors(n_neighbors=len(X)).fit(X)
    step = max(1, BLOCK_PAIRS // len(X))
    monitor.total = -(-len(X_val) // step)
    monitor.check()
    for start in range(0, len(X_val), step):
        part = slice(start, start + step)
        order = index.kneighbors(X_val[part], return_distance=False)
        np.add.at(values, order, of_block(order, y_val[part]))
        monitor.step()
        monitor.check()
    return values / len(X_val)


def _company_weight(rank: NDArray, k: int) -> NDArray[np.float64]:
    """Mean over sets of a row's being among the k - 1 nearest of `rank` - 1 rows, by rank from 1."""
    most = np.minimum(k - 1, rank - 1)
    pairs = np.maximum(rank * (rank - 1), 1)
    return most * (most + 1) / (2.0 * pairs)


def _regression_by_rank(targets: NDArray, wanted: NDArray, k: int) -> NDArray[np.float64]:
    """Shapley values of rows ranked by distance.

    Parameters
    ----------
    targets : ndarray of shape (n_val, n_samples)
        Targets of the rows, nearest first.
    wanted : ndarray of shape (n_val,)
        Targets of the validation rows.
    k : int
        Neighbours.

    Returns
    -------
    ndarray of shape (n_val, n_samples)
        Values, in the order of the ranks.
    """
    n = targets.shape[1]
    rank = np.arange(1, n + 1)
    reached = np.minimum(k, rank) / rank
    company = _company_weight(rank, k)
    nearer = np.cumsum(targets, axis=1) - targets
    # A row beyond the pair stands where it would with one of the two away.
    weighted = targets * np.r_[0.0, company[:-1]]
    farther = np.cumsum(weighted[:, ::-1], axis=1)[:, ::-1] - weighted
    first, second = targets[:, :-1], targets[:, 1:]
    both = reached[:-1] * ((first + second) / k - 2 * wanted[:, None])
    others = 2 / k * (company[:-1] * nearer[:, :-1] + farther[:, 1:])
    gains = (second - first) / k * (both + others)
    last = targets[:, -1] / k
    alone = reached[-1] * (last - 2 * wanted) + 2 / k * company[-1] * nearer[:, -1]
    later = np.hstack([gains[:, ::-1].cumsum(axis=1)[:, ::-1], np.zeros((len(targets), 1))])
    return later - (last * alone)[:, None]
