"""Stage 1: the model on all data, and once more without each cluster.

The refits are independent of each other, so they go through joblib: serial, threads, processes, or a
cluster that :func:`joblib.parallel_config` names. Every worker holds BLAS and OpenMP to one thread: two
threads on a busy machine were measured to make a 0.08 s fit take 1 s.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.parallel import delayed

from ecoval_core.valuation.fitting import (
    RefitError,
    fit_model,
    name_of,
    single_threaded,
    starts_from_solution,
)
from ecoval_core.valuation.parallel import Monitor, run_tasks
from ecoval_core.valuation.scoring import Scale, model_output, sample_scores

# Unseen points are valued with the models without each cluster; large forests are not worth the memory.
MAX_KEPT_BYTES = 128 * 2**20


@dataclass(frozen=True)
class Problem:
    """What is fitted and what it is scored on.

    Attributes
    ----------
    estimator : estimator
        Unfitted, its random states set.
    X, y : ndarray of shape (n_samples, n_features), (n_samples,)
        Training data; labels as the user gave them, so that class weights by label work.
    codes : ndarray of shape (n_samples,)
        Class indices, or `y` for regression.
    X_val, codes_val : ndarray of shape (n_val, n_features), (n_val,)
        Validation data, never used to fit.
    classes : ndarray of shape (n_classes,) or None
        Sorted labels; None for regression.
    scale : Scale
        Scale of the training target.
    scoring : str
        Per-sample score.
    proba : bool
        Whether the model gives probabilities.
    row_weights : ndarray of shape (n_val,)
        Weights of the validation rows, of mean 1.
    class_weights : ndarray of shape (n_classes,) or None, default=None
        By which a judgement's probabilities are multiplied, one over the class shares if classes are
        balanced; None for no weights.
    """

    estimator: Any
    X: NDArray
    y: NDArray
    codes: NDArray
    X_val: NDArray
    codes_val: NDArray
    classes: NDArray | None
    scale: Scale
    scoring: str
    proba: bool
    row_weights: NDArray
    class_weights: NDArray | None = None

    def __sizeof__(self) -> int:
        # Dask sends an argument once per worker, not once per task, if `__sizeof__` shows that it is large.
        return sum(getattr(getattr(self, f.name), "nbytes", 64) for f in fields(self))

    def output(self, model: Any, X: NDArray) -> NDArray[np.float64]:
        """Output of a fitted model, aligned to all classes of the problem.

        Raises
        ------
        RefitError
            If the model gives numbers that are not finite.
        """
        output = model_output(model, X, self.classes, proba=self.proba)
        if not np.isfinite(output).all():
            raise RefitError(
                f"{name_of(model)} gives predictions that are not finite numbers; a constant column "
                "or a scale too wide may be the cause."
            )
        return output

    def scores(self, output: NDArray) -> NDArray[np.float64]:
        """Per-sample scores of a model's output on the validation data."""
        return sample_scores(output, self.codes_val, self.scoring, self.scale)


@dataclass(frozen=True)
class Refits:
    """What the leave-cluster-out fits hand on.

    Attributes
    ----------
    estimator : estimator
        f_D, fitted on all data (on the fitted sample, above ``max_fit_samples``).
    scores_full : ndarray of shape (n_val,)
        s(f_D; v).
    effects : ndarray of shape (K, n_val)
        Delta_c(v) = s(f_D; v) - s(f_{-c}; v).
    output_val : ndarray of shape (K, n_val, n_outputs), float32 (float64 for regression)
        f_{-c} at the validation points.
    output_own : ndarray of shape (n_samples, n_outputs)
        f_{-c(i)} at x_i: the model's output at a point without its cluster.
    models : tuple of estimator or None
        The K models f_{-c}; None where together they would take more than `MAX_KEPT_BYTES`.
    """

    estimator: Any
    scores_full: NDArray[np.float64]
    effects: NDArray[np.float64]
    output_val: NDArray
    output_own: NDArray[np.float64]
    models: tuple[Any, ...] | None

    def without(self, cluster: int) -> Any:
        """Return f_{-c}, or f_D where the models were too large to keep."""
        return self.estimator if self.models is None else self.models[cluster]


def _without_cluster(
    problem: Problem, start: Any, rows: NDArray, labels: NDArray, cluster: int, keep: bool
) -> tuple[NDArray, NDArray, Any]:
    with single_threaded():
        kept = rows[labels[rows] != cluster]
        members = np.flatnonzero(labels == cluster)
        where = f"without cluster {cluster} ({len(members)} rows left out, {len(kept)} kept)"
        model = fit_model(problem.estimator, problem.X[kept], problem.y[kept], where, start=start)
        at_val, at_members = (problem.output(model, X) for X in (problem.X_val, problem.X[members]))
        return at_val, at_members, model if keep else None


def _without_fold(
    problem: Problem, rows: NDArray, folds: NDArray, fold: int
) -> tuple[NDArray, NDArray]:
    with single_threaded():
        kept = rows[folds[rows] != fold]
        members = np.flatnonzero(folds == fold)
        where = f"without fold {fold + 1} ({len(kept)} rows kept)"
        model = fit_model(problem.estimator, problem.X[kept], problem.y[kept], where)
        return members, problem.output(model, problem.X[members])


def sample_by_cluster(labels: NDArray, n_rows: int, random_state: int) -> NDArray[np.int64]:
    """Rows to fit on: a sample stratified by cluster, each cluster keeping at least one.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,), int
        Cluster of each point.
    n_rows : int
        Rows wanted.
    random_state : int
        Seeds the draw.

    Returns
    -------
    ndarray of shape (about n_rows,), int
        Sorted row positions; all rows if there are no more than `n_rows`.
    """
    n_samples = len(labels)
    if n_samples <= n_rows:
        return np.arange(n_samples)
    order = np.random.default_rng(random_state).permutation(n_samples)
    by_cluster = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels)
    rank = np.arange(n_samples) - np.repeat(np.cumsum(counts) - counts, counts)
    quota = np.maximum(1, np.round(counts * n_rows / n_samples)).astype(int)
    return np.sort(by_cluster[rank < np.repeat(quota, counts)])


def _size_of(model: Any) -> float:
    """Bytes of a model, infinite for one that does not pickle."""
    try:
        return len(pickle.dumps(model))
    except Exception:  # a lambda, a lock, an open file: each raises an error of its own
        return float("inf")


def leave_clusters_out(
    problem: Problem, labels: NDArray, *, rows: NDArray | None = None, n_jobs: int | None = None,
    monitor: Monitor | None = None,
) -> Refits:  # fmt: skip
    """Fit once on all data and once without each cluster.

    Parameters
    ----------
    problem : Problem
        The model and its data.
    labels : ndarray of shape (n_samples,), int
        Cluster of each point, 0 to K - 1.
    rows : ndarray of int or None, default=None
        Rows used to fit (all if None); every row is still predicted.
    n_jobs : int or None, default=None
        As in joblib.
    monitor : Monitor or None, default=None
        Takes a step after each of the K + 1 fits.

    Returns
    -------
    Refits
        Effects and outputs.

    Raises
    ------
    Cancelled
        If the caller asked to stop.
    RefitError
        If the model cannot be fitted without a cluster.
    """
    rows = np.arange(len(labels)) if rows is None else rows
    n_clusters = int(labels.max()) + 1
    monitor = monitor or Monitor()
    monitor.check()
    with single_threaded():
        full = fit_model(problem.estimator, problem.X[rows], problem.y[rows], "on all rows")
        scores_full = problem.scores(problem.output(full, problem.X_val))
    monitor.step()
    n_outputs = problem.scale.n_classes
    effects = np.empty((n_clusters, len(problem.X_val)))
    # Probabilities fit into half the memory; amounts can be too large for it.
    precision = np.float64 if problem.classes is None else np.float32
    output_val = np.empty((n_clusters, len(problem.X_val), n_outputs), dtype=precision)
    output_own = np.empty((len(labels), n_outputs))
    keep = _size_of(full) * n_clusters <= MAX_KEPT_BYTES
    models = []
    # A large forest need not travel with every task when nothing starts from it.
    start = full if starts_from_solution(full) else None
    tasks = [
        delayed(_without_cluster)(problem, start, rows, labels, cluster, keep)
        for cluster in range(n_clusters)
    ]
    for cluster, result in enumerate(run_tasks(tasks, n_jobs, monitor)):
        at_val, at_members, model = result
        effects[cluster] = scores_full - problem.scores(at_val)
        output_val[cluster] = at_val
        output_own[labels == cluster] = at_members
        models.append(model)
    kept = tuple(models) if keep else None
    return Refits(full, scores_full, effects, output_val, output_own, kept)


def out_of_fold_output(
    problem: Problem, folds: NDArray, *, rows: NDArray | None = None, n_jobs: int | None = None,
    monitor: Monitor | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Output of the model at each training point, fitted without the point's fold.

    Always fitted cold: a start from f_D would have seen the labels that are to be judged.

    Parameters
    ----------
    problem : Problem
        The model and its data.
    folds : ndarray of shape (n_samples,), int
        Fold of each point.
    rows : ndarray of int or None, default=None
        Rows used to fit (all if None).
    n_jobs : int or None, default=None
        As in joblib.
    monitor : Monitor or None, default=None
        Takes a step after each fit.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs)
        Out-of-fold probabilities, one-hot predictions, or predicted targets.

    Raises
    ------
    Cancelled
        If the caller asked to stop.
    RefitError
        If the model cannot be fitted without a fold.
    """
    rows = np.arange(len(folds)) if rows is None else rows
    output = np.empty((len(folds), problem.scale.n_classes))
    tasks = [delayed(_without_fold)(problem, rows, folds, f) for f in range(folds.max() + 1)]
    for members, predicted in run_tasks(tasks, n_jobs, monitor):
        output[members] = predicted
    return output
