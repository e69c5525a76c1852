"""What users compare EcoVal with: every baseline by key, on the rows of a run, fold by fold if need be."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_regressor

from ecoval_core.evaluation.peers import (
    data_oob_values,
    knn_shapley_regression_values,
    knn_shapley_values,
    leave_one_out_values,
    random_values,
    self_confidence_values,
)
from ecoval_core.models.parallel import Cancelled, Monitor, Progress, ShouldStop
from ecoval_core.target_type import Task

ENOUGH_SECONDS = 0.5


@dataclass(frozen=True)
class Request:
    """What a baseline is given."""

    estimator: Any
    X: NDArray
    y: NDArray
    X_val: Any
    y_val: Any
    scoring: str | None
    class_weight: Any
    n_jobs: int | None
    random_state: int
    monitor: Monitor

    @property
    def task(self) -> Task:
        """Task that the estimator poses."""
        return "regression" if is_regressor(self.estimator) else "classification"


@dataclass(frozen=True)
class Baseline:
    """Another way to value the rows of a run; its explanation says in one sentence what its values mean."""

    key: str
    title: str
    explanation: str
    tasks: tuple[Task, ...]
    needs_validation: bool
    function: Callable[[Request], NDArray[np.float64]]


def _knn_shapley(of: Request) -> NDArray[np.float64]:
    value = knn_shapley_values if of.task == "classification" else knn_shapley_regression_values
    return value(of.X, of.y, of.X_val, of.y_val, monitor=of.monitor)


def _data_oob(of: Request) -> NDArray[np.float64]:
    return data_oob_values(
        of.X, of.y, task=of.task, n_jobs=of.n_jobs, random_state=of.random_state, monitor=of.monitor
    )


def _leave_one_out(of: Request) -> NDArray[np.float64]:
    return leave_one_out_values(
        of.estimator, of.X, of.y, of.X_val, of.y_val, scoring=of.scoring,
        class_weight=of.class_weight, n_jobs=of.n_jobs, random_state=of.random_state,
        monitor=of.monitor,
    )  # fmt: skip


def _self_confidence(of: Request) -> NDArray[np.float64]:
    return self_confidence_values(
        of.estimator, of.X, of.y, n_jobs=of.n_jobs, random_state=of.random_state, monitor=of.monitor
    )


def _random(of: Request) -> NDArray[np.float64]:
    of.monitor.total = 1
    values = random_values(len(of.y), of.random_state)
    of.monitor.step()
    return values


_BOTH: tuple[Task, ...] = ("classification", "regression")


BASELINES: dict[str, Baseline] = {
    baseline.key: baseline
    for baseline in (
        Baseline(
            "knn_shapley", "KNN-Shapley",
            "How much a row improves the prediction of the validation rows by their five nearest "
            "neighbours, averaged over all subsets of the other rows.",
            _BOTH, needs_validation=True, function=_knn_shapley,
        ),
        Baseline(
            "data_oob", "Data-OOB",
            "How well decision trees that have not seen a row predict its target. Validation rows "
            "are not used.",
            _BOTH, needs_validation=False, function=_data_oob,
        ),
        Baseline(
            "leave_one_out", "Leave-one-out",
            "How much the score of the run falls when this row alone is removed: one fit for "
            "every row.",
            _BOTH, needs_validation=True, function=_leave_one_out,
        ),
        Baseline(
            "self_confidence", "Self-confidence",
            "How well the model of the run, fitted without the row's fold, predicts its target. "
            "Validation rows are not used.",
            _BOTH, needs_validation=False, function=_self_confidence,
        ),
        Baseline(
            "random", "Random",
            "Random values: any agreement with them is due to chance.",
            _BOTH, needs_validation=False, function=_random,
        ),
    )
}  # fmt: skip


def baselines_for(task: Task) -> dict[str, str]:
    """Keys and titles of the baselines that serve a task."""
    return {key: one.title for key, one in BASELINES.items() if task in one.tasks}


def baseline_values(
    key: str, estimator: Any, X: ArrayLike, y: ArrayLike, X_val: Any = None, y_val: Any = None, *,
    scoring: str | None = None, class_weight: Any = None, random_state: int = 0,
    n_jobs: int | None = None, progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Value training rows by a baseline; only the order of values is comparable between baselines."""
    monitor = Monitor(progress, should_stop)
    request = Request(
        estimator, np.asarray(X), np.asarray(y), X_val, y_val, scoring, class_weight, n_jobs,
        random_state, monitor,
    )  # fmt: skip
    baseline = _baseline(key, request.task)
    if baseline.needs_validation and (X_val is None or y_val is None):
        raise ValueError(f"{baseline.title} needs validation rows: give X_val and y_val.")
    monitor.check()
    return baseline.function(request)


def _baseline(key: str, task: Task) -> Baseline:
    if key not in baselines_for(task):
        offered = ", ".join(baselines_for(task))
        raise ValueError(f"There is no baseline {key!r} for {task}: choose one of {offered}.")
    return BASELINES[key]


def cross_baseline_values(
    key: str, estimator: Any, X: ArrayLike, y: ArrayLike, fold: ArrayLike = (), *,
    folds: Sequence[tuple[NDArray, NDArray]] | None = None, progress: Progress | None = None,
    should_stop: ShouldStop | None = None, **settings: Any,
) -> NDArray[np.float64]:  # fmt: skip
    """Value every row by a baseline, fold by fold, as :func:`ecoval_core.cross_value` does.

    `fold` is the fold in which each row validates, unless `folds` names the rows that train and validate.
    """
    X, y, fold = map(np.asarray, (X, y, fold))
    baseline = _baseline(key, "regression" if is_regressor(estimator) else "classification")
    if not baseline.needs_validation:
        return baseline_values(
            key, estimator, X, y, progress=progress, should_stop=should_stop, **settings
        )
    if folds is None:
        numbers = np.unique(fold[fold >= 0])
        folds = [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in numbers]
    monitor = Monitor(progress)
    total = np.zeros(len(y))
    for part, (train, held) in enumerate(folds):
        total[train] += baseline_values(
            key, estimator, X[train], y[train], X[held], y[held],
            progress=monitor.part(part, len(folds)), should_stop=should_stop, **settings,
        )  # fmt: skip
    return total / len(folds)


def estimate_baseline_seconds(
    key: str, estimator: Any, X: ArrayLike, y: ArrayLike, X_val: Any = None, y_val: Any = None,
    *, n_folds: int = 1, enough: float = ENOUGH_SECONDS, **settings: Any,
) -> float:  # fmt: skip
    """Estimate the time of a baseline by doing its first steps, for `enough` seconds."""
    started = time.perf_counter()
    steps: list[tuple[float, int, int]] = []

    def note(done: int, total: int) -> None:
        steps.append((time.perf_counter() - started, done, total))

    def is_enough() -> bool:
        return bool(steps) and steps[-1][0] > enough

    try:
        baseline_values(
            key, estimator, X, y, X_val, y_val, progress=note, should_stop=is_enough, **settings
        )
    except Cancelled:
        pass
    else:
        return _over_folds(key, time.perf_counter() - started, n_folds)
    (first, *_), (last, done, total) = steps[0], steps[-1]
    # The first step bears what is done once, such as the fit on all rows.
    a_step = (last - first) / (done - 1) if done > 1 else first
    return _over_folds(key, first + a_step * (total - 1), n_folds)


def _over_folds(key: str, seconds: float, n_folds: int) -> float:
    return seconds * n_folds if BASELINES[key].needs_validation else seconds
