"""The cost of a valuation before it starts: granularity allowed, fits, seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils import shuffle

from ecoval_core.models.catalog import fit_model, seed_estimator, single_threaded
from ecoval_core.models.leave_out import find_shortcut
from ecoval_core.target_type import Task
from ecoval_core.valuation.clustering import cluster_groups, target_bins
from ecoval_core.valuation.kernels import Forest, LeftOut, ProximityKernel
from ecoval_core.valuation.quality import N_CONFIDENCE_FOLDS, nearest_neighbors
from ecoval_core.valuation.refitting import MAX_FIT_SAMPLES
from ecoval_core.valuation.scoring import Scale

N_NEIGHBORS = 10
N_TIMED_REFITS, ENOUGH_SECONDS = 3, 0.5
N_TIMED_ROWS = 1_000


def count_fits(n_clusters: int, n_folds: int = 1) -> int:
    """Count the fits of a valuation, K + 6: on all data, without each cluster, without each of five folds."""
    return n_folds * (n_clusters + 1 + N_CONFIDENCE_FOLDS)


def cluster_bounds(y: NDArray, task: Task) -> tuple[int, int]:
    """Coarsest and finest granularity of a training target."""
    n_groups = len(np.unique(y)) if task == "classification" else len(target_bins(y)) + 1
    return n_groups, len(y)


def estimate_seconds(
    estimator: Any, X: NDArray, y: NDArray, X_val: NDArray, n_clusters: int, *, n_alone: int = 0,
    n_folds: int = 1,
) -> float:  # fmt: skip
    """Estimate the time of a valuation by a small part of each step; `n_alone` rows are left out singly."""
    estimator = seed_estimator(estimator, 0)
    X, y = shuffle(X, y, random_state=0)
    with single_threaded():
        fitted = slice(MAX_FIT_SAMPLES)
        fits = _time_fits(estimator, X[fitted], y[fitted], X_val, n_clusters, n_alone)
        return n_folds * (fits + _time_stages(estimator, X, y, X_val, n_clusters))


def _seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result


def _time_fits(
    estimator: Any, X: NDArray, y: NDArray, X_val: NDArray, n_clusters: int, n_alone: int
) -> float:  # fmt: skip
    def fit(rows: NDArray, where: str, start: Any = None) -> Any:
        model = fit_model(estimator, X[rows], y[rows], where, start=start)
        model.predict(X_val)
        return model

    everything = np.arange(len(X))
    scratch, full = _seconds(lambda: fit(everything, "on all rows"))
    clusters = []
    for anchor in everything[:N_TIMED_REFITS]:
        # A random part would be missed less than a cluster, and a warm start be over sooner.
        distance = ((X - X[anchor]) ** 2).sum(axis=1)
        if is_classifier(estimator):
            distance[y != y[anchor]] = np.inf
        clusters.append(np.argsort(distance)[: max(1, len(X) // n_clusters)])
    short = find_shortcut(full, X, y)
    if short is not None:
        seen = short.look(X_val, len(clusters[0]))

        def leave_out() -> list[Any]:
            solved = short.without(clusters)
            return [one is not None and short.output(one, seen) is not None for one in solved]

        seconds, solved = _seconds(leave_out)
        if all(solved):
            n_left_out = n_clusters + n_alone
            return scratch * (1 + N_CONFIDENCE_FOLDS) + seconds / len(clusters) * n_left_out
    refits: list[float] = []
    for cluster in clusters:
        rest = np.setdiff1d(everything, cluster)
        if len(rest) and sum(refits) <= ENOUGH_SECONDS:
            refits.append(_seconds(partial(fit, rest, "in part", full))[0])
    refit = np.mean(refits) if refits else scratch
    return float(scratch * (1 + N_CONFIDENCE_FOLDS) + refit * n_clusters)


def _time_stages(estimator: Any, X: NDArray, y: NDArray, X_val: NDArray, n_clusters: int) -> float:
    n_rows, n_part = len(X), min(len(X), N_TIMED_ROWS)
    if is_classifier(estimator):
        codes = np.unique(y[:n_part], return_inverse=True)[1]
        scale = Scale.of(codes, "classification")
    else:
        codes, scale = y[:n_part].astype(float), Scale.of(y[:n_part].astype(float), "regression")
    groups = codes if is_classifier(estimator) else np.zeros(n_part, dtype=np.int64)
    k_part = n_part if n_clusters >= n_rows else min(n_clusters, max(1, n_part // 2))
    clustering, _ = _seconds(lambda: cluster_groups(X[:n_part], groups, k_part, 0))
    neighbors, _ = _seconds(lambda: nearest_neighbors(X, N_NEIGHBORS, X[:n_part]))
    everything = np.arange(n_part)
    judging, forest = _seconds(lambda: Forest(X[:n_part], codes, scale, everything, 0))
    kernel = ProximityKernel(forest, X[:n_part], X_val)
    left = LeftOut(
        labels=np.minimum(everything, k_part - 1),
        own=np.ones((n_part, scale.n_classes)),
        output_val=np.ones((1, len(X_val), scale.n_classes)),
        effects=np.ones((k_part, len(X_val))),
        codes_val=np.zeros(len(X_val), dtype=codes.dtype),
        row_weights=np.ones(len(X_val)),
        scale=scale,
    )
    propagation, _ = _seconds(lambda: kernel.predict(left, np.arange(min(50, len(X_val)))))
    fitted = min(n_rows, MAX_FIT_SAMPLES)
    per_row = clustering * n_clusters / k_part + neighbors + judging * fitted / n_rows + propagation
    return per_row * n_rows / n_part
