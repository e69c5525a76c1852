"""Values that others propose: leave-one-out, Data-OOB, out-of-fold self-confidence, random.

pyDVL holds some of these too, but its release needs numpy < 2; the benchmarks run it in an environment of its
own and check these against it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_regressor
from sklearn.ensemble import BaggingClassifier, BaggingRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import check_random_state
from sklearn.utils.parallel import delayed

from ecoval_core.target_type import Task
from ecoval_core.valuation.fitting import (
    fit_model,
    seed_estimator,
    single_threaded,
    starts_from_solution,
)
from ecoval_core.valuation.parallel import Monitor, run_tasks
from ecoval_core.valuation.quality import identical_rows, make_folds
from ecoval_core.valuation.refitting import Problem, out_of_fold_output
from ecoval_core.valuation.scoring import Scale, check_scoring, has_probabilities, residuals
from ecoval_core.valuation.targets import check_classes, encode, weigh

N_TREES = 300
# Trees between two reports of progress; their number changes no value.
TREES_A_STEP = 10


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
    *, scoring: str | None = None, class_weight: Any = None, n_jobs: int | None = None,
    random_state: int | None = None, monitor: Monitor | None = None,
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
        As in :class:`ecoval_core.EcoVal`.
    class_weight : "balanced", dict or None, default=None
        Weights of the validation rows by class, as in :class:`ecoval_core.EcoVal`; those of the model are
        the estimator's own.
    monitor : Monitor or None, default=None
        Takes a step after each of the n_samples + 1 fits.

    Returns
    -------
    ndarray of shape (n_samples,)
        Values in units of the score.

    Raises
    ------
    RefitError
        If the model cannot be fitted without some row.
    Cancelled
        If the caller asked to stop.
    """
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
    return worth - np.array(list(run_tasks(tasks, n_jobs, monitor)))


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
    scoring: str | None = None, class_weight: Any = None, random_state: int | None = None,
) -> Problem:  # fmt: skip
    X, y, X_val, y_val = map(np.asarray, (X, y, X_val, y_val))
    task: Task = "regression" if is_regressor(estimator) else "classification"
    classes = check_classes(y) if task == "classification" else None
    # EcoVal seeds its model like this, so that one seed means one model.
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    codes, codes_val = encode(y, classes, "y"), encode(y_val, classes, "y_val")
    weights = weigh(class_weight, classes, codes, codes_val)
    proba = classes is not None and has_probabilities(estimator)
    return Problem(
        estimator=seed_estimator(estimator, seed),
        X=X,
        y=codes if classes is None else y,
        codes=codes,
        X_val=X_val,
        codes_val=codes_val,
        classes=classes,
        scale=Scale.of(codes, task, weights.of_classes),
        scoring=check_scoring(scoring, task, proba or classes is None),
        proba=proba,
        row_weights=weights.of_rows,
        class_weights=weights.of_classes,
    )


def data_oob_values(
    X: ArrayLike, y: ArrayLike, *, task: Task = "classification", n_trees: int = N_TREES,
    n_jobs: int | None = None, random_state: int | None = None, monitor: Monitor | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Data-OOB: how well the trees that did not see a row predict its target.

    Parameters
    ----------
    X, y : array-like of shape (n_samples, n_features), (n_samples,)
        Training rows; no validation rows are used.
    task : {"classification", "regression"}, default="classification"
        Whether targets are labels or amounts.
    n_trees : int, default=300
        Bagged decision trees.
    n_jobs : int or None, default=None
        As in joblib.
    random_state : int or None, default=None
        Seeds the bags and the trees.
    monitor : Monitor or None, default=None
        Takes a step after every ten trees.

    Returns
    -------
    ndarray of shape (n_samples,)
        Classification: mean out-of-bag correctness, in [0, 1]. Regression: minus the mean squared error out
        of bag, over the variance of the target. Rows in every bag get the mean of the others.

    Raises
    ------
    Cancelled
        If the caller asked to stop.

    References
    ----------
    Y. Kwon and J. Zou, "Data-OOB: Out-of-bag Estimate as a Simple and Efficient Data Value", ICML 2023.
    """
    X, y = np.asarray(X), np.asarray(y)
    is_regression = task == "regression"
    # A number also for None: what grows later must know which seeds were used before.
    seed = check_random_state(None).randint(2**31) if random_state is None else random_state
    make = BaggingRegressor if is_regression else BaggingClassifier
    base: Any = DecisionTreeRegressor() if is_regression else DecisionTreeClassifier()
    bags: Any = make(base, warm_start=True, n_jobs=n_jobs, random_state=seed)
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
    mean = np.divide(total, n_out, out=np.full(len(y), np.nan), where=n_out > 0)
    return np.where(n_out > 0, mean, np.nanmean(mean))


def self_confidence_values(
    estimator: Any, X: ArrayLike, y: ArrayLike, *, n_jobs: int | None = None,
    random_state: int | None = None, monitor: Monitor | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Judge each row by the model out of fold: the probability of its label, or how far it is off.

    Parameters
    ----------
    estimator : estimator
        Unfitted model.
    X, y : array-like of shape (n_samples, n_features), (n_samples,)
        Training rows; no validation rows are used.
    n_jobs : int or None, default=None
        As in joblib.
    random_state : int or None, default=None
        Seeds the five folds, stratified and with identical rows together, and the model.
    monitor : Monitor or None, default=None
        Takes a step after each fold.

    Returns
    -------
    ndarray of shape (n_samples,)
        Classification: probability of the given label (without ``predict_proba`` 1 if it is predicted,
        else 0), in [0, 1]. Regression: minus the absolute residual, over the deviation of the target.

    Raises
    ------
    RefitError
        If the model cannot be fitted without some fold.
    Cancelled
        If the caller asked to stop.

    References
    ----------
    C. Northcutt et al., "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021, where
    it is called self-confidence.
    """
    X, y = np.asarray(X), np.asarray(y)
    problem = _make_problem(estimator, X, y, X, y, random_state=random_state)
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    folds = make_folds(identical_rows(X, problem.codes), problem.codes, problem.scale, seed)
    monitor = monitor or Monitor()
    monitor.total = int(folds.max()) + 1
    output = out_of_fold_output(problem, folds, n_jobs=n_jobs, monitor=monitor)
    if problem.classes is None:
        return -np.abs(residuals(output, problem.codes, problem.scale)[:, 0])
    return output[np.arange(len(y)), problem.codes]
