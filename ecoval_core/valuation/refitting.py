"""Stage 1: the model on all data, and once more without each cluster.

The refits are independent of each other, so they go through joblib: serial, threads, processes, or a
cluster that :func:`joblib.parallel_config` names. The value of cluster c is the weighted mean over the
validation rows v of its effects

    Delta_c(v) = s(f_D; v) - s(f_-c; v),   Phi_c = mean_v w_v Delta_c(v)

with s the per-sample score, f_D the model on all rows and f_-c the model without the cluster.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.parallel import delayed

from ecoval_core.valuation.models import (
    RefitError,
    fit_model,
    name_of,
    single_threaded,
    starts_from_solution,
)
from ecoval_core.valuation.parallel import Monitor, run_tasks
from ecoval_core.valuation.scoring import (
    Scale,
    check_magnitude,
    check_scoring,
    encode,
    has_probabilities,
    model_output,
    sample_scores,
    weigh,
)

# Above it, refits use a sample stratified by cluster.
MAX_FIT_SAMPLES = 10_000
# Unseen points are valued with the models without each cluster; large forests are not worth the memory.
MAX_KEPT_BYTES = 128 * 2**20


@dataclass(frozen=True)
class Problem:
    """What is fitted and what it is scored on."""

    estimator: Any  # unfitted, its random states set
    X: NDArray
    y: NDArray  # labels as given, so that class weights by label work
    codes: NDArray  # class indices, or `y` for regression
    X_val: NDArray
    codes_val: NDArray  # never used to fit
    classes: NDArray | None  # sorted labels; None for regression
    scale: Scale
    scoring: str
    proba: bool  # whether the model gives probabilities
    row_weights: NDArray  # of the validation rows, of mean 1
    class_weights: NDArray | None = None  # multiply a judgement's probabilities

    def __sizeof__(self) -> int:
        # Dask sends an argument once per worker, not once per task, if `__sizeof__` shows that it is large.
        return sum(getattr(getattr(self, f.name), "nbytes", 64) for f in fields(self))

    def output(self, model: Any, X: NDArray) -> NDArray[np.float64]:
        """Output of a fitted model, aligned to all classes of the problem."""
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


def make_problem(
    estimator: Any, X: NDArray, y: NDArray, X_val: NDArray, y_val: NDArray, classes: NDArray | None,
    *, scoring: str | None = None, class_weight: Any = None,
) -> Problem:  # fmt: skip
    """Encode and check the data of a seeded estimator; `classes` is None for regression."""
    proba = classes is not None and has_probabilities(estimator)
    codes, codes_val = encode(y, classes, "y"), encode(y_val, classes, "y_val")
    check_magnitude(X, "X")
    check_magnitude(X_val, "X_val")
    if classes is None:
        check_magnitude(codes, "y")
        check_magnitude(codes_val, "y_val")
    weights = weigh(class_weight, classes, codes, codes_val)
    scale = Scale.of(
        codes, "regression" if classes is None else "classification", weights.of_classes
    )
    return Problem(
        estimator=estimator,
        X=X,
        y=codes if classes is None else y,
        codes=codes,
        X_val=X_val,
        codes_val=codes_val,
        classes=classes,
        scale=scale,
        scoring=check_scoring(scoring, scale.task, proba or classes is None),
        proba=proba,
        row_weights=weights.of_rows,
        class_weights=weights.of_classes,
    )


@dataclass(frozen=True)
class Refits:
    """What the leave-cluster-out fits hand on."""

    estimator: Any  # f_D, fitted on all rows, or on the sample
    scores_full: NDArray[np.float64]  # s(f_D; v)
    effects: NDArray[np.float64]  # Delta_c(v), of shape (K, n_val)
    output_val: NDArray  # f_-c at the validation points: (K, n_val, n_outputs)
    output_own: NDArray[np.float64]  # f_-c at the members of c: (n_samples, n_outputs)
    models: tuple[Any, ...] | None  # f_-c; None if larger than `MAX_KEPT_BYTES`

    def without(self, cluster: int) -> Any:
        """Return f_{-c}, or f_D where the models were too large to keep."""
        return self.estimator if self.models is None else self.models[cluster]


def _without_cluster(
    problem: Problem, start: Any, rows: NDArray, labels: NDArray, cluster: int, keep: bool
) -> tuple[NDArray, NDArray, Any]:
    with single_threaded():
        rest = rows[labels[rows] != cluster]
        members = np.flatnonzero(labels == cluster)
        where = f"without cluster {cluster} ({len(members)} rows left out, {len(rest)} kept)"
        model = fit_model(problem.estimator, problem.X[rest], problem.y[rest], where, start=start)
        at_val, at_members = (problem.output(model, X) for X in (problem.X_val, problem.X[members]))
        return at_val, at_members, model if keep else None


def _without_fold(
    problem: Problem, rows: NDArray, folds: NDArray, fold: int
) -> tuple[NDArray, NDArray]:
    with single_threaded():
        rest = rows[folds[rows] != fold]
        members = np.flatnonzero(folds == fold)
        where = f"without fold {fold + 1} ({len(rest)} rows kept)"
        model = fit_model(problem.estimator, problem.X[rest], problem.y[rest], where)
        return members, problem.output(model, problem.X[members])


def sample_by_cluster(labels: NDArray, n_rows: int, random_state: int) -> NDArray[np.int64]:
    """Draw about `n_rows` rows to fit on, stratified by cluster, at least one of each."""
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
    """Fit once on all `rows` and once without each cluster; every row is predicted. Takes K + 1 steps."""
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
    return Refits(
        full, scores_full, effects, output_val, output_own, tuple(models) if keep else None
    )


def out_of_fold_output(
    problem: Problem, folds: NDArray, *, rows: NDArray | None = None, n_jobs: int | None = None,
    monitor: Monitor | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Predict each row by a model fitted without its fold, cold: f_D has seen the labels to be judged."""
    rows = np.arange(len(folds)) if rows is None else rows
    output = np.empty((len(folds), problem.scale.n_classes))
    tasks = [delayed(_without_fold)(problem, rows, folds, f) for f in range(folds.max() + 1)]
    for members, predicted in run_tasks(tasks, n_jobs, monitor):
        output[members] = predicted
    return output
