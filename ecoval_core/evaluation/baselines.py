"""What users compare EcoVal with: random values, leave-one-out, KNN-Shapley.

pyDVL holds these too, but its release needs numpy < 2; the benchmarks run it in an environment of its
own and check these against it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import NearestNeighbors

from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.kernels import BLOCK_PAIRS, shapley_by_rank


def random_values(n_samples: int, random_state: int | None = None) -> NDArray[np.float64]:
    """Values that know nothing, uniform in [0, 1).

    Parameters
    ----------
    n_samples : int
        Rows.
    random_state : int or None, default=None
        Seeds the draw.

    Returns
    -------
    ndarray of shape (n_samples,)
        Values.
    """
    return np.random.default_rng(random_state).random(n_samples)


def leave_one_out_values(
    estimator: Any, X: ArrayLike, y: ArrayLike, X_val: ArrayLike, y_val: ArrayLike,
    *, scoring: str | None = None, n_jobs: int | None = None, random_state: int | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Fall of the utility when a row alone is left out: EcoVal's first stage at its finest.

    Parameters
    ----------
    estimator : estimator
        Unfitted model.
    X, y : array-like of shape (n_samples, n_features), (n_samples,)
        Training rows.
    X_val, y_val : array-like of shape (n_val, n_features), (n_val,)
        Validation rows.
    scoring, n_jobs, random_state
        As in :class:`EcoVal`.

    Returns
    -------
    ndarray of shape (n_samples,)
        Values in units of the score.
    """
    finest = EcoVal(
        estimator, n_clusters=len(np.asarray(y)), scoring=scoring, max_fit_samples=None,
        n_jobs=n_jobs, random_state=random_state,
    ).fit(X, y, X_val, y_val)  # fmt: skip
    return finest.cluster_values_[finest.labels_]


def knn_shapley_values(
    X: ArrayLike, y: ArrayLike, X_val: ArrayLike, y_val: ArrayLike, *, n_neighbors: int = 5
) -> NDArray[np.float64]:
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

    Returns
    -------
    ndarray of shape (n_samples,)
        Values in units of the probability that the classifier gives to the true class.

    References
    ----------
    R. Jia et al., "Efficient Task-Specific Data Valuation for Nearest Neighbor Algorithms",
    VLDB 2019, theorem 1.
    """
    X, y, X_val, y_val = map(np.asarray, (X, y, X_val, y_val))
    values = np.zeros(len(X))
    index = NearestNeighbors(n_neighbors=len(X)).fit(X)
    step = max(1, BLOCK_PAIRS // len(X))
    for start in range(0, len(X_val), step):
        order = index.kneighbors(X_val[start : start + step], return_distance=False)
        match = y[order] == y_val[start : start + step, None]
        np.add.at(values, order, shapley_by_rank(match, n_neighbors))
    return values / len(X_val)
