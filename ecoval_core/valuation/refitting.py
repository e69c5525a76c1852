"""Stage 1: the model on all data, and once more without each cluster.

The refits are independent of each other, so they go through joblib: serial, threads, processes, or a
cluster that :func:`joblib.parallel_config` names. The value of cluster c is the weighted mean over the
validation rows v of its effects

    Delta_c(v) = s(f_D; v) - s(f_-c; v),   Phi_c = mean_v w_v Delta_c(v)

with s the per-sample score, f_D the model on all rows and f_-c the model without the cluster. Where f_-c
follows from f_D (see leave_out.py) nothing is refitted.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.parallel import delayed

from ecoval_core.models.catalog import single_threaded, starts_from_solution
from ecoval_core.models.inputs import take
from ecoval_core.models.leave_out import Shortcut
from ecoval_core.models.parallel import Monitor, run_tasks
from ecoval_core.valuation.kernels import Predictions
from ecoval_core.valuation.problem import Problem
from ecoval_core.valuation.quality import mean_of_identical

# Above it, refits use a sample stratified by cluster.
MAX_FIT_SAMPLES = 10_000
# Unseen points are valued with the models without each cluster; large forests are not worth the memory.
MAX_KEPT_BYTES = 128 * 2**20
# The same of what they give at the validation points.
MAX_OUTPUT_BYTES = 128 * 2**20
# Rows times classes: beyond it none is left out alone, even without a refit.
MAX_OUTPUTS_ALONE = 20_000
# Clusters and members that a task of the short way takes at once.
BLOCK_CLUSTERS, BLOCK_MEMBERS = 64, 2_000


@dataclass(frozen=True)
class Refits:
    """What the leave-cluster-out fits hand on."""

    estimator: Any  # f_D, fitted on all rows, or on the sample
    scores_full: NDArray[np.float64]  # s(f_D; v)
    effects: NDArray[np.float64]  # Delta_c(v), of shape (K, n_val)
    # f_-c at the validation points, (K, n_val, n_outputs); that of f_D, (1, ...), if larger than
    # `MAX_OUTPUT_BYTES`: clusters are then so many that leaving one out changes little.
    output_val: NDArray
    output_own: NDArray[np.float64]  # f_-c at the members of c: (n_samples, n_outputs)
    models: dict[int, Any]  # f_-c where it was refitted; none if larger than `MAX_KEPT_BYTES`
    rows: NDArray[np.int64]  # fitted on

    def standard_errors(self, row_weights: NDArray) -> NDArray[np.float64]:
        """Return the standard error of each cluster's mean effect over the validation rows."""
        weighted = self.effects * row_weights
        spread = weighted - weighted.mean(axis=1, keepdims=True) * row_weights
        return np.sqrt((spread**2).mean(axis=1) / self.effects.shape[1])

    def output_without(
        self, problem: Problem, labels: NDArray, clusters: NDArray, X: NDArray
    ) -> NDArray[np.float64]:
        """Output at points, for each by the model without its cluster; f_D's where none was kept."""
        output = problem.output(self.estimator, X)
        present = [int(c) for c in np.unique(clusters)]
        asked = [c for c in present if c not in self.models]
        for c in set(present) - set(asked):
            points = np.flatnonzero(clusters == c)
            output[points] = problem.output(self.models[c], take(X, points))
        short = problem.shortcut(self.estimator, self.rows) if asked else None
        if short is not None:
            members = [np.flatnonzero(labels[self.rows] == c) for c in asked]
            seen = short.look(X, max(len(rows) for rows in members))
            for c, parameters in zip(asked, short.without(members), strict=True):
                points = np.flatnonzero(clusters == c)
                if parameters is not None:
                    output[points] = short.output(parameters, seen[points])
        return output


def _without_clusters(
    problem: Problem, short: Shortcut, at_val: NDArray, position: NDArray, clusters: list[NDArray]
) -> list[tuple[NDArray, NDArray] | None]:
    with single_threaded():
        fitted = [position[members][position[members] >= 0] for members in clusters]
        sizes = [len(members) for members in clusters]
        own = short.look(take(problem.X, np.concatenate(clusters)), max(map(len, fitted)))
        outputs: list[tuple[NDArray, NDArray] | None] = []
        members = np.split(own, np.cumsum(sizes)[:-1])
        for parameters, seen in zip(short.without(fitted), members, strict=True):
            if parameters is None:
                outputs.append(None)
            else:
                outputs.append((short.output(parameters, at_val), short.output(parameters, seen)))
        return outputs


def _without_cluster(
    problem: Problem, start: Any, rows: NDArray, labels: NDArray, cluster: int, keep: bool
) -> tuple[NDArray, NDArray, Any]:
    with single_threaded():
        rest = rows[labels[rows] != cluster]
        members = np.flatnonzero(labels == cluster)
        where = f"without cluster {cluster} ({len(members)} rows left out, {len(rest)} kept)"
        model = problem.fit(rest, where, start)
        at_val, at_members = (
            problem.output(model, X) for X in (problem.X_val, take(problem.X, members))
        )
        return at_val, at_members, model if keep else None


def _without_fold(
    problem: Problem, rows: NDArray, folds: NDArray, fold: int
) -> tuple[NDArray, NDArray]:
    with single_threaded():
        rest = rows[folds[rows] != fold]
        members = np.flatnonzero(folds == fold)
        where = f"without fold {fold + 1} ({len(rest)} rows kept)"
        model = problem.fit(rest, where)
        return members, problem.output(model, take(problem.X, members))


def _size_of(model: Any) -> float:
    """Bytes of a model, infinite for one that does not pickle."""
    try:
        return len(pickle.dumps(model))
    except Exception:  # a lambda, a lock, an open file: each raises an error of its own
        return float("inf")


def fit_full(problem: Problem, rows: NDArray) -> tuple[Any, Shortcut | None]:
    """Fit f_D, and find its short way to models without clusters."""
    with single_threaded():
        full = problem.fit(rows, "on all rows")
        short = problem.shortcut(full, rows)
        return full if short is None else short.estimator, short


def leave_clusters_out(
    problem: Problem, labels: NDArray, *, rows: NDArray | None = None, n_jobs: int | None = None,
    monitor: Monitor | None = None, fitted: tuple[Any, Shortcut | None] | None = None,
) -> Refits:  # fmt: skip
    """Fit on all `rows`, unless `fitted`, and without each cluster; every row is predicted. K + 1 steps."""
    rows = np.arange(len(labels)) if rows is None else rows
    n_clusters = int(labels.max()) + 1
    monitor = monitor or Monitor()
    monitor.check()
    full, short = fitted or fit_full(problem, rows)
    with single_threaded():
        output_full = problem.output(full, problem.X_val)
    monitor.step()
    # Probabilities fit into half the memory; amounts can be too large for it.
    precision = np.float64 if problem.classes is None else np.float32
    output_val = output_full[None].astype(precision)
    is_kept = output_val.nbytes * n_clusters <= MAX_OUTPUT_BYTES
    if is_kept:
        output_val = np.repeat(output_val, n_clusters, axis=0)
    scores_full = problem.scores(output_full)
    effects = np.empty((n_clusters, len(problem.codes_val)))
    output_own = np.empty((len(labels), problem.scale.n_classes))
    clusters = np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1])

    def take(cluster: int, at_val: NDArray, at_members: NDArray) -> None:
        effects[cluster] = scores_full - problem.scores(at_val)
        if is_kept:
            output_val[cluster] = at_val
        output_own[clusters[cluster]] = at_members

    remaining = list(range(n_clusters))
    if short is not None:
        remaining = []
        solved = _go_short_way(problem, short, rows, clusters, n_jobs, monitor)
        for cluster, outputs in enumerate(solved):
            if outputs is None:
                remaining.append(cluster)
            else:
                take(cluster, *outputs)
    keep = _size_of(full) * len(remaining) <= MAX_KEPT_BYTES
    models = {}
    # A large forest need not travel with every task when nothing starts from it.
    start = full if starts_from_solution(full) else None
    tasks = [
        delayed(_without_cluster)(problem, start, rows, labels, cluster, keep)
        for cluster in remaining
    ]
    for cluster, (*outputs, model) in zip(
        remaining, run_tasks(tasks, n_jobs, monitor), strict=True
    ):
        take(cluster, *outputs)
        if keep:
            models[cluster] = model
    return Refits(full, scores_full, effects, output_val, output_own, models, rows)


def leaves_rows_out(n_samples: int, n_classes: int, scoring: str) -> bool:
    """Whether rows are few enough to be left out alone, and the score is one that a single row moves."""
    # A single row seldom changes whether a prediction is right.
    return n_samples * n_classes <= MAX_OUTPUTS_ALONE and scoring != "accuracy"


def leave_rows_out(
    problem: Problem, short: Shortcut, refits: Refits, labels: NDArray, identical: NDArray, *,
    columns: NDArray, n_jobs: int | None, monitor: Monitor,
) -> Predictions:  # fmt: skip
    """Effects w_v Delta_i(v) of leaving out each fitted row alone."""
    sizes: NDArray = np.bincount(labels)
    means: NDArray = np.zeros(len(labels))
    sums = np.zeros_like(refits.effects)
    some: NDArray = np.zeros((len(labels), len(columns)), dtype=np.float32)
    alone = list(refits.rows[:, None])
    solved = _go_short_way(problem, short, refits.rows, alone, n_jobs, monitor)
    for row, outputs in zip(refits.rows, solved, strict=True):
        cluster = labels[row]
        if outputs is None:
            # As for the last row of a class: its part of the effect of its cluster.
            effects = refits.effects[cluster] / sizes[cluster]
        else:
            effects = refits.scores_full - problem.scores(outputs[0])
        effects = effects * problem.row_weights
        means[row], some[row] = effects.mean(), effects[columns]
        sums[cluster] += effects
    if problem.sample_weight is None:
        # Solved for in different blocks, those of identical rows differ in the last bits.
        means, some = mean_of_identical(means, identical), mean_of_identical(some, identical)
    return Predictions(means, sums, some)


def _go_short_way(
    problem: Problem, short: Shortcut, rows: NDArray, clusters: list[NDArray], n_jobs: int | None,
    monitor: Monitor,
) -> Iterator[tuple[NDArray, NDArray] | None]:  # fmt: skip
    """Output of f_-c at validation rows and members, cluster by cluster; None where it must be refitted."""
    position = np.full(len(problem.codes), -1)
    position[rows] = np.arange(len(rows))
    sizes = np.array([len(members) for members in clusters])
    at_val = short.look(problem.X_val, int(sizes.max()))
    starts, n_members = [0], 0
    for cluster, size in enumerate(sizes):
        n_members += size
        if cluster - starts[-1] >= BLOCK_CLUSTERS or n_members > BLOCK_MEMBERS:
            if cluster > starts[-1]:
                starts.append(cluster)
            n_members = size
    tasks = [
        delayed(_without_clusters)(problem, short, at_val, position, clusters[start:end])
        for start, end in pairwise([*starts, len(clusters)])
    ]

    def count(results: list[Any]) -> int:
        return sum(result is not None for result in results)

    for results in run_tasks(tasks, n_jobs, monitor, count=count):
        yield from results


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
