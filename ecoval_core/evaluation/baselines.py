"""What users compare EcoVal with: every baseline by key, on the rows of a run, fold by fold if need be."""

from __future__ import annotations

import time
from collections.abc import Sequence
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
class Baseline:
    """Another way to value the rows of a run; its explanation says in one sentence what its values mean."""

    title: str
    explanation: str
    needs_validation: bool = False


BASELINES: dict[str, Baseline] = {
    "knn_shapley": Baseline(
        "KNN-Shapley",
        "How much a row improves the prediction of the validation rows by their five nearest "
        "neighbours, averaged over all subsets of the other rows.",
        needs_validation=True,
    ),
    "data_oob": Baseline(
        "Data-OOB",
        "How well decision trees that have not seen a row predict its target. Validation rows "
        "are not used.",
    ),
    "leave_one_out": Baseline(
        "Leave-one-out",
        "How much the score of the run falls when this row alone is removed: one fit for "
        "every row.",
        needs_validation=True,
    ),
    "self_confidence": Baseline(
        "Self-confidence",
        "How well the model of the run, fitted without the row's fold, predicts its target. "
        "Validation rows are not used.",
    ),
    "random": Baseline("Random", "Random values: any agreement with them is due to chance."),
}


def baseline_values(
    key: str, estimator: Any, X: ArrayLike, y: ArrayLike, X_val: Any = None, y_val: Any = None, *,
    scoring: str | None = None, class_weight: Any = None, random_state: int = 0,
    progress: Progress | None = None, should_stop: ShouldStop | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Value training rows by a baseline; only the order of values is comparable between baselines."""
    baseline, monitor = BASELINES[key], Monitor(progress, should_stop)
    if baseline.needs_validation and (X_val is None or y_val is None):
        raise ValueError(f"{baseline.title} needs validation rows: give X_val and y_val.")
    monitor.check()
    if key == "knn_shapley":
        value = knn_shapley_regression_values if is_regressor(estimator) else knn_shapley_values
        return value(X, y, X_val, y_val, monitor=monitor)
    if key == "data_oob":
        task: Task = "regression" if is_regressor(estimator) else "classification"
        return data_oob_values(X, y, task=task, random_state=random_state, monitor=monitor)
    if key == "leave_one_out":
        return leave_one_out_values(
            estimator, X, y, X_val, y_val, scoring=scoring, class_weight=class_weight,
            random_state=random_state, monitor=monitor,
        )  # fmt: skip
    if key == "self_confidence":
        return self_confidence_values(estimator, X, y, random_state=random_state, monitor=monitor)
    return random_values(len(np.asarray(y)), random_state)


def cross_baseline_values(
    key: str, estimator: Any, X: ArrayLike, y: ArrayLike, fold: ArrayLike = (), *,
    folds: Sequence[tuple[NDArray, NDArray]] | None = None, progress: Progress | None = None,
    **settings: Any,
) -> NDArray[np.float64]:  # fmt: skip
    """Value every row, fold by fold: `fold` is where each validates, unless `folds` names who trains."""
    X, y, fold = map(np.asarray, (X, y, fold))
    if not BASELINES[key].needs_validation:
        return baseline_values(key, estimator, X, y, progress=progress, **settings)
    if folds is None:
        numbers = np.unique(fold[fold >= 0])
        folds = [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in numbers]
    monitor = Monitor(progress)
    total = np.zeros(len(y))
    for part, (train, held) in enumerate(folds):
        total[train] += baseline_values(
            key, estimator, X[train], y[train], X[held], y[held],
            progress=monitor.part(part, len(folds)), **settings,
        )  # fmt: skip
    return total / len(folds)


def estimate_baseline_seconds(
    key: str, estimator: Any, X: ArrayLike, y: ArrayLike, X_val: Any = None, y_val: Any = None,
    *, n_folds: int = 1, enough: float = ENOUGH_SECONDS, **settings: Any,
) -> float:  # fmt: skip
    """Estimate the time of a baseline by doing its first steps, for `enough` seconds."""
    if not BASELINES[key].needs_validation:
        n_folds = 1
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
        return (time.perf_counter() - started) * n_folds
    (first, *_), (last, done, total) = steps[0], steps[-1]
    # The first step bears what is done once, such as the fit on all rows.
    a_step = (last - first) / (done - 1) if done > 1 else first
    return (first + a_step * (total - 1)) * n_folds
