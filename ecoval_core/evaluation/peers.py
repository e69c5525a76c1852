"""Values that others propose: KNN-Shapley, leave-one-out, Data-OOB, self-confidence, random.

pyDVL holds some of these too, but its release needs numpy < 2; the benchmarks run it in an environment of its
own and check these against it. X is standardised; a `monitor` takes a step after each part of the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_regressor
from sklearn.ensemble import BaggingClassifier, BaggingRegressor
from sklearn.neighbors import NearestNeighbors
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import check_random_state
from sklearn.utils.parallel import delayed

from ecoval_core.models.catalog import (
    fit_model,
    seed_estimator,
    single_threaded,
    starts_from_solution,
)
from ecoval_core.models.parallel import Monitor, run_tasks
from ecoval_core.target_type import Task
from ecoval_core.valuation.kernels import BLOCK_PAIRS, shapley_by_rank
from ecoval_core.valuation.problem import Problem, make_problem
from ecoval_core.valuation.quality import identical_rows, make_folds
from ecoval_core.valuation.refitting import out_of_fold_output
from ecoval_core.valuation.scoring import check_classes, residuals

N_NEIGHBORS = 5
N_TREES = 300
# Trees between two reports of progress; their number changes no value.
TREES_A_STEP = 10


def random_values(n_samples: int, random_state: int | None = None) -> NDArray[np.float64]:
    """Values that know nothing, uniform in [0, 1)."""
    return np.random.default_rng(random_state).random(n_samples)


def leave_one_out_values(
    estimator: Any, X: ArrayLike, y: ArrayLike, X_val: ArrayLike, y_val: ArrayLike,
    *, scoring: str | None = None, class_weight: Any = None, random_state: int | None = None,
    monitor: Monitor | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Fall of the utility when a row alone is left out: EcoVal's first stage at its finest."""
    problem = _make_problem(
        estimator, X, y, X_val, y_val, scoring=scoring, class_weight=class_weight,
        random_state=random_state,
    )  # fmt: skip
    monitor = monitor or Monitor()
    monitor.total = len(problem.X) + 1
    monitor.check()
    with single_threaded():
        full = fit_model(problem.estimator, problem.X, problem.y, "on all rows")
        worth = _utility(problem, full)
    monitor.step()
    start = full if starts_from_solution(full) else None
    tasks = [delayed(_worth_without)(problem, start, row) for row in range(len(problem.X))]
    return worth - np.array(list(run_tasks(tasks, monitor=monitor)))


def _utility(problem: Problem, model: Any) -> float:
    scores = problem.scores(problem.output(model, problem.X_val))
    return float((scores * problem.row_weights).mean())


def _worth_without(problem: Problem, start: Any, row: int) -> float:
    with single_threaded():
        X, y = np.delete(problem.X, row, axis=0), np.delete(problem.y, row)
        model = fit_model(problem.estimator, X, y, f"without row {row}", start=start)
        return _utility(problem, model)


def _make_problem(
    estimator: Any, X: ArrayLike, y: ArrayLike, X_val: ArrayLike, y_val: ArrayLike, *,
    random_state: int | None, scoring: str | None = None, class_weight: Any = None,
) -> Problem:  # fmt: skip
    X, y, X_val, y_val = map(np.asarray, (X, y, X_val, y_val))
    classes = None if is_regressor(estimator) else check_classes(y)
    # EcoVal seeds its model like this, so that one seed means one model.
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    return make_problem(
        seed_estimator(estimator, seed), X, y, X_val, y_val, classes, scoring=scoring,
        class_weight=class_weight,
    )  # fmt: skip


def data_oob_values(
    X: ArrayLike, y: ArrayLike, *, task: Task = "classification", n_trees: int = N_TREES,
    random_state: int = 0, monitor: Monitor | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Data-OOB (Kwon and Zou, ICML 2023): correctness, or minus the squared error over the variance."""
    X, y = np.asarray(X), np.asarray(y)
    is_regression = task == "regression"
    make = BaggingRegressor if is_regression else BaggingClassifier
    base: Any = DecisionTreeRegressor() if is_regression else DecisionTreeClassifier()
    bags: Any = make(base, warm_start=True, random_state=random_state)
    variance = float(np.var(y)) or 1.0 if is_regression else 1.0
    total, n_out = np.zeros(len(y)), np.zeros(len(y))
    monitor = monitor or Monitor()
    monitor.total = -(-n_trees // TREES_A_STEP)
    monitor.check()
    for grown in range(TREES_A_STEP, n_trees + TREES_A_STEP, TREES_A_STEP):
        with single_threaded():
            bags.set_params(n_estimators=min(grown, n_trees)).fit(X, y)
        # The samples are those of the trees grown last.
        samples = bags.estimators_samples_
        for tree, bag in zip(bags.estimators_[-len(samples) :], samples, strict=True):
            out = np.setdiff1d(np.arange(len(y)), bag)
            if not len(out):
                continue
            predicted = tree.predict(X[out])
            if is_regression:
                total[out] -= (predicted - y[out]) ** 2 / variance
            else:
                total[out] += bags.classes_[predicted.astype(int)] == y[out]
            n_out[out] += 1
        monitor.step()
        monitor.check()
    # Rows in every bag get the mean of the others.
    mean = np.divide(total, n_out, out=np.full(len(y), np.nan), where=n_out > 0)
    return np.where(n_out > 0, mean, np.nanmean(mean))


def self_confidence_values(
    estimator: Any, X: ArrayLike, y: ArrayLike, *, random_state: int | None = None,
    monitor: Monitor | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Self-confidence (Northcutt et al., JAIR 2021): probability of the label, or minus the residual."""
    X, y = np.asarray(X), np.asarray(y)
    problem = _make_problem(estimator, X, y, X, y, random_state=random_state)
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    folds = make_folds(identical_rows(X, problem.codes), problem.codes, problem.scale, seed)
    monitor = monitor or Monitor()
    monitor.total = int(folds.max()) + 1
    output = out_of_fold_output(problem, folds, monitor=monitor)
    if problem.classes is None:
        return -np.abs(residuals(output, problem.codes, problem.scale)[:, 0])
    return output[np.arange(len(y)), problem.codes]


def knn_shapley_values(
    X: ArrayLike, y: ArrayLike, X_val: ArrayLike, y_val: ArrayLike, *,
    n_neighbors: int = N_NEIGHBORS, monitor: Monitor | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Exact Shapley values of a k-nearest-neighbour classifier (Jia et al., VLDB 2019, theorem 1)."""
    X, y, X_val, y_val = map(np.asarray, (X, y, X_val, y_val))

    def of_block(order: NDArray, targets: NDArray) -> NDArray[np.float64]:
        return shapley_by_rank(y[order] == targets[:, None], n_neighbors)

    return _mean_over_validation(X, X_val, y_val, of_block, monitor or Monitor())


def knn_shapley_regression_values(
    X: ArrayLike, y: ArrayLike, X_val: ArrayLike, y_val: ArrayLike, *,
    n_neighbors: int = N_NEIGHBORS, monitor: Monitor | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Exact Shapley values of a k-nearest-neighbour regressor (Jia et al., VLDB 2019, theorem 6).

    The utility of a set of rows, at a validation row, is minus the squared error of the sum of the targets
    of its k nearest members over k, where targets are deviations from the training mean: a set of fewer
    than k rows predicts that its missing neighbours are average, and the empty set predicts the mean.

    Shapley values average marginal contributions to sets in which every other row is present with
    probability p, over p uniform in (0, 1). Swapping the rows of rank i and i + 1 changes the prediction
    only of sets with fewer than k nearer members, which gives the difference of their values in closed
    form: the probability of such a set is min(k, i) / i, and the mean of a third row's share in the k
    nearest of it is :func:`_company_weight`.
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
    """Shapley values of rows, targets nearest first by validation row: (n_val, n_samples)."""
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
