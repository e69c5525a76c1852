"""What a model scores on test rows: overall, and for each class, with its uncertainty.

One number hides what a rare class pays, so every measurement holds the recall of each class beside
accuracy, balanced accuracy and ROC AUC. Uncertainty is a bootstrap of the test rows, the same draws for every
model that is compared; intervals are of 90 %.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecoval_core.models.catalog import fit_model, single_threaded
from ecoval_core.target_type import Task

N_DRAWS = 500
CONFIDENCE = 0.9
MAIN_MEASURES = {
    "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "roc_auc": "ROC AUC", "r2": "R²",
}  # fmt: skip
_RECALL = "recall: "


@dataclass(frozen=True)
class Prediction:
    """What a fitted model says of the test rows."""

    predicted: NDArray
    scores: NDArray[np.float64] | None = None  # probabilities or decision values, by class
    classes: NDArray | None = None  # of the columns of `scores`


def predict(
    estimator: Any, X: NDArray, y: NDArray, X_test: NDArray, classes: NDArray | None, where: str
) -> Prediction:
    """Fit a seeded model and predict the test rows; `classes` are all labels, None for regression."""
    with single_threaded():
        model = fit_model(estimator, X, y, where)
        predicted = model.predict(X_test)
        if classes is None:
            return Prediction(predicted)
        if hasattr(model, "predict_proba"):
            output = model.predict_proba(X_test)
        elif hasattr(model, "decision_function"):
            output = model.decision_function(X_test)
            output = np.column_stack([-output, output]) if output.ndim == 1 else output
        else:
            return Prediction(predicted)
    scores = np.full((len(output), len(classes)), output.min())
    scores[:, np.searchsorted(classes, model.classes_)] = output
    return Prediction(predicted, scores, classes)


def draw_rows(n_test: int, random_state: int = 0, n_draws: int = N_DRAWS) -> NDArray[np.float64]:
    """How often each test row is drawn in each bootstrap sample: (n_draws, n_test)."""
    random = np.random.default_rng(random_state)
    return random.multinomial(n_test, np.full(n_test, 1 / n_test), size=n_draws).astype(float)


def measure(y_test: NDArray, prediction: Prediction, draws: NDArray) -> dict[str, NDArray]:
    """Score by every measure for each row of `draws`; NaN where a draw has no row of a class."""
    if y_test.dtype.kind == "f":
        return {"r2": _r2(y_test, prediction.predicted, draws)}
    labels = np.unique(y_test)
    right = (prediction.predicted == y_test).astype(float)
    measured = {"accuracy": draws @ right / draws.sum(axis=1)}
    with np.errstate(invalid="ignore", divide="ignore"):
        recalls = np.array(
            [
                (draws[:, y_test == label] @ right[y_test == label])
                / draws[:, y_test == label].sum(axis=1)
                for label in labels
            ]
        )
    measured["balanced_accuracy"] = _mean_known(recalls)
    if prediction.scores is not None and prediction.classes is not None and len(labels) > 1:
        areas = [
            _area_under_roc(prediction.scores[:, column], y_test == label, draws)
            for label, column in zip(
                labels, np.searchsorted(prediction.classes, labels), strict=True
            )
        ]
        measured["roc_auc"] = _mean_known(np.array(areas))
    return measured | {recall_of(label): row for label, row in zip(labels, recalls, strict=True)}


def recall_of(label: Any) -> str:
    """Name of the measure that is the recall of a class."""
    return f"{_RECALL}{label}"


def title_of(measure: str, say: Callable[[object], str] = str) -> str:
    """Name of a measure for people; `say` writes the name of a class."""
    if measure.startswith(_RECALL):
        return f"recall of {say(measure.removeprefix(_RECALL))}"
    return MAIN_MEASURES.get(measure, measure)


def _mean_known(by_class: NDArray) -> NDArray[np.float64]:
    known = ~np.isnan(by_class)
    return np.where(known, by_class, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def _r2(y: NDArray, predicted: NDArray, draws: NDArray) -> NDArray[np.float64]:
    n = draws.sum(axis=1)
    scale = np.abs(y - y.mean()).max() or 1.0
    centred, error = (y - y.mean()) / scale, (y - predicted) / scale
    spread = draws @ centred**2 - (draws @ centred) ** 2 / n
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - draws @ error**2 / spread


def _area_under_roc(score: NDArray, positive: NDArray, draws: NDArray) -> NDArray[np.float64]:
    """Weighted area under the ROC curve for many weightings at once; ties count half."""
    order = np.argsort(score, kind="stable")
    positive, weights = positive[order], draws[:, order]
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])
    ups = np.add.reduceat(weights * positive, starts, axis=1)
    downs = np.add.reduceat(weights * ~positive, starts, axis=1)
    below = np.cumsum(downs, axis=1) - downs / 2
    pairs = ups.sum(axis=1) * downs.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (ups * below).sum(axis=1) / pairs


@dataclass(frozen=True)
class Change:
    """A measure before and after a change of the training rows, and an interval of the difference."""

    measure: str
    before: float
    after: float
    low: float
    high: float
    n_test: int  # test rows that the measure counts: all, or those of the class

    @property
    def difference(self) -> float:
        """Gain of the test score by the change."""
        return self.after - self.before


def compare(
    y_test: NDArray, before: Prediction, after: Prediction, random_state: int = 0
) -> tuple[Change, ...]:
    """Compare two models on the same test rows by every measure."""
    draws = draw_rows(len(y_test), random_state)
    whole = np.ones((1, len(y_test)))
    points = [measure(y_test, p, whole) for p in (before, after)]
    drawn = [measure(y_test, p, draws) for p in (before, after)]
    changes = []
    for name in points[0]:
        if name not in points[1]:
            continue
        gain = drawn[1][name] - drawn[0][name]
        low, high = interval(gain)
        n_test = len(y_test)
        if name.startswith(_RECALL):
            n_test = int(sum(recall_of(label) == name for label in y_test))
        changes.append(
            Change(name, float(points[0][name][0]), float(points[1][name][0]), low, high, n_test)
        )
    return tuple(changes)


def interval(drawn: NDArray) -> tuple[float, float]:
    """Return the middle 90 % of what bootstrap samples gave; NaN where none gave anything."""
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return float("nan"), float("nan")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail))
    return float(low), float(high)


def main_measure(task: Task, *, balanced: bool = False) -> str:
    """Return the measure that stands for all: "r2", "balanced_accuracy" or "accuracy"."""
    if task == "regression":
        return "r2"
    return "balanced_accuracy" if balanced else "accuracy"
