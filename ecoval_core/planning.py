"""What a valuation will take, told before it starts: granularity allowed, fits, seconds."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import shuffle

from ecoval_core.clustering import target_bins
from ecoval_core.fitting import fit_model, seed_estimator, single_threaded
from ecoval_core.quality import N_FOLDS
from ecoval_core.scoring import Task


def count_fits(n_clusters: int) -> int:
    """Model fits that one valuation takes: on all data, without each cluster, without each fold.

    Parameters
    ----------
    n_clusters : int
        Clusters, K.

    Returns
    -------
    int
        K + 6.
    """
    return n_clusters + 1 + N_FOLDS


def cluster_bounds(y: NDArray, task: Task) -> tuple[int, int]:
    """Coarsest and finest granularity of a training target.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels or targets.
    task : {"classification", "regression"}
        The task.

    Returns
    -------
    least, most : int
        Number of classes (regression: target bins) and number of points.
    """
    n_groups = len(np.unique(y)) if task == "classification" else len(target_bins(y)) + 1
    return n_groups, len(y)


def estimate_seconds(
    estimator: Any, X: NDArray, y: NDArray, X_val: NDArray, n_clusters: int, *, n_jobs: int = 1,
    max_fit_samples: int = 10_000,
) -> float:  # fmt: skip
    """Estimate the time of a valuation by timing one fit of each kind.

    One fit from scratch stands for the fit on all data and the folds; one without a cluster-sized part,
    warm-started where the model allows it, stands for the refits.

    Parameters
    ----------
    estimator : estimator
        Unfitted model.
    X, y : ndarray of shape (n_samples, n_features), (n_samples,)
        Training data.
    X_val : ndarray of shape (n_val, n_features)
        Validation points, predicted after each fit.
    n_clusters : int
        Clusters, K.
    n_jobs : int, default=1
        Refits at once.
    max_fit_samples : int, default=10_000
        As in :class:`EcoVal`.

    Returns
    -------
    float
        Seconds, on this machine at its present load.

    Raises
    ------
    RefitError
        If the model cannot be fitted.
    """
    estimator = seed_estimator(estimator, 0)
    X, y = shuffle(X, y, n_samples=min(len(X), max_fit_samples), random_state=0)
    left_out = max(1, len(X) // n_clusters)
    with single_threaded():
        started = time.perf_counter()
        full = fit_model(estimator, X, y, "on all rows")
        full.predict(X_val)
        fitted = time.perf_counter()
        fit_model(estimator, X[left_out:], y[left_out:], "in part", start=full).predict(X_val)
        refitted = time.perf_counter()
    from_scratch = (fitted - started) * (1 + N_FOLDS / n_jobs)
    return from_scratch + (refitted - fitted) * n_clusters / n_jobs
