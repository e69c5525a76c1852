"""Targets as codes and weights, and the per-sample scores whose weighted mean is the utility.

A *code* is a class index, or the target itself for regression. A model's *output* is an array of shape
(m, n_classes) of class probabilities aligned to all classes of the problem (one-hot predictions where a
classifier has no probabilities), or of shape (m, 1) of predictions for regression. Scores and residuals are
functions of outputs and codes:

    U = mean_v w_v s(f; v),   Y = U(f_D) - U(prior predictor),   r = onehot(y) - p  or  (y - f) / deviation
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import train_test_split

from ecoval_core.target_type import LARGEST_NUMBER, Task

# Validation rows beyond it move the values of clusters by less than their errors, and cost time.
MAX_VAL_SAMPLES = 2_000
# Below this part of its even share a class is too rare for an unweighted utility to see.
EVEN_SHARE = 1 / 3
_LEAST_PROBABILITY = 1e-3


@dataclass(frozen=True)
class Score:
    """A per-sample score on offer; the unit is written after a number."""

    task: Task
    title: str
    unit: str


SCORINGS: dict[str, Score] = {
    "probability": Score("classification", "probability given to the true class", "of probability"),
    "log_loss": Score(
        "classification", "logarithm of that probability (at least 0.001)", "of log-probability"
    ),
    "brier": Score(
        "classification",
        "minus the squared distance between probabilities and truth",
        "of Brier score",
    ),
    "accuracy": Score(
        "classification", "1 where the predicted class is right, else 0", "of accuracy"
    ),
    "squared_error": Score(
        "regression",
        "minus the squared error in units of the target's variance (at most 4)",
        "of squared error over the target's variance",
    ),
    "absolute_error": Score(
        "regression",
        "minus the absolute error in units of the target's deviation (at most 2)",
        "of the target's standard deviation",
    ),
}


def available_scorings(task: Task, has_proba: bool = True) -> tuple[str, ...]:
    """Names of the per-sample scores that a task and a model allow, the default first."""
    if task == "classification" and not has_proba:
        return ("accuracy",)
    return tuple(name for name, score in SCORINGS.items() if score.task == task)


def check_scoring(scoring: str | None, task: Task, has_proba: bool = True) -> str:
    """Resolve the name of a score, None being the default; raise ValueError if it does not fit."""
    allowed = available_scorings(task, has_proba)
    if scoring is None:
        return allowed[0]
    if scoring not in allowed:
        hint = "" if has_proba else " with a model that has no predict_proba"
        raise ValueError(
            f"scoring={scoring!r} does not fit {task}{hint}; choose from {', '.join(allowed)}."
        )
    return scoring


@dataclass(frozen=True)
class Scale:
    """The training target's mean, deviation and class frequencies, to which scores refer."""

    task: Task
    n_classes: int  # 1 for regression
    prior: NDArray[np.float64]  # output of the predictor that knows no features
    deviation: float  # of the target; 1 for classification

    @classmethod
    def of(
        cls, codes: NDArray, task: Task, class_weights: NDArray | None = None,
        sample_weight: NDArray | None = None,
    ) -> Scale:  # fmt: skip
        """Scale of a training target."""
        if task == "classification":
            counts = np.bincount(codes, sample_weight)
            prior = counts * (1.0 if class_weights is None else class_weights)
            return cls(task, len(prior), prior / prior.sum(), 1.0)
        if sample_weight is None:
            return cls(task, 1, np.array([codes.mean()]), float(codes.std()) or 1.0)
        mean = np.average(codes, weights=sample_weight)
        variance = np.average((codes - mean) ** 2, weights=sample_weight)
        return cls(task, 1, np.array([mean]), float(variance**0.5) or 1.0)


def model_output(estimator: Any, X: ArrayLike, classes: NDArray | None) -> NDArray[np.float64]:
    """Output of a fitted model, its columns aligned to all classes of the problem."""
    if classes is None:
        return np.asarray(estimator.predict(X), dtype=np.float64).reshape(-1, 1)
    if not hasattr(estimator, "predict_proba"):
        return np.eye(len(classes))[np.searchsorted(classes, estimator.predict(X))]
    probabilities = np.asarray(estimator.predict_proba(X), dtype=np.float64)
    if probabilities.shape[1] == len(classes):
        return probabilities
    output = np.zeros((len(probabilities), len(classes)))
    output[:, np.searchsorted(classes, estimator.classes_)] = probabilities
    return output


def sample_scores(
    output: NDArray, codes: NDArray, scoring: str, scale: Scale
) -> NDArray[np.float64]:
    """Score of each sample, higher is better."""
    if scale.task == "regression":
        error = np.abs(codes - output[:, 0]) / scale.deviation
        return -np.minimum(error**2, 4.0) if scoring == "squared_error" else -np.minimum(error, 2.0)
    if scoring == "accuracy":
        return (output.argmax(axis=1) == codes).astype(np.float64)
    if scoring == "brier":
        return -(residuals(output, codes, scale) ** 2).sum(axis=1)
    probability = output[np.arange(len(codes)), codes]
    if scoring == "log_loss":
        return np.log(np.maximum(probability, _LEAST_PROBABILITY))
    return probability


def prior_scores(codes: NDArray, scoring: str, scale: Scale) -> NDArray[np.float64]:
    """Scores of the prior predictor: class frequencies, or the mean of the training target."""
    output = np.broadcast_to(scale.prior, (len(codes), scale.n_classes))
    return sample_scores(output, codes, scoring, scale)


def residuals(output: NDArray, codes: NDArray, scale: Scale) -> NDArray[np.float64]:
    """Direction in which each sample pulls a model's output: truth minus output."""
    if scale.task == "regression":
        return (codes[:, None] - output) / scale.deviation
    difference = -np.asarray(output, dtype=np.float64)
    difference[np.arange(len(codes)), codes] += 1.0
    return difference


def rarest_of_even_share(labels: NDArray) -> float:
    """Share of the rarest class over the share it would have if all had the same."""
    counts = np.unique(labels, return_counts=True)[1]
    return float(counts.min() * len(counts) / counts.sum())


def weigh(
    class_weight: Any, classes: NDArray | None, codes: NDArray, codes_val: NDArray,
    sample_weight: NDArray | None = None, sample_weight_val: NDArray | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:  # fmt: skip
    """Weigh validation rows, mean 1, and classes' probabilities: by 1 / share, by a dict, or None: alike."""
    given = np.ones(len(codes_val)) if sample_weight_val is None else sample_weight_val
    if class_weight is None:
        return given / given.mean(), None
    if classes is None:
        raise ValueError("class_weight needs classes, but the task is regression: leave it None.")
    if class_weight == "balanced":
        shares = np.bincount(codes, sample_weight, len(classes))
        shares = shares / shares.sum()
        if not shares.all():
            label = classes[shares.argmin()]
            raise ValueError(f"sample_weight is 0 for every row of {label!s}: leave its rows out.")
        shares_val = np.bincount(codes_val, given, len(classes)) / given.sum()
        of_rows = np.divide(given, shares_val[codes_val], out=np.zeros(len(given)), where=given > 0)
        return of_rows / of_rows.mean(), 1 / shares
    unknown = [label for label in class_weight if label not in classes]
    if unknown:
        raise ValueError(f"class_weight names the label {unknown[0]!s}, which y does not hold.")
    weights = np.array([class_weight.get(label, 1.0) for label in classes.tolist()], dtype=float)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights[codes_val].any()):
        raise ValueError(
            "class_weight must give finite weights of at least 0, not all of them 0, but it is "
            f"{class_weight}."
        )
    of_rows = weights[codes_val] * given
    if not of_rows.any():
        raise ValueError("class_weight and sample_weight_val together leave no validation row.")
    return of_rows / of_rows.mean(), weights


def check_classes(y: NDArray) -> NDArray:
    """Sorted class labels of a classification target."""
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            f"Valuation needs at least two classes, but y holds one class only: {classes[0]!s}."
        )
    return classes


def encode(y: NDArray, classes: NDArray | None, name: str) -> NDArray:
    """Return class indices, or floats for regression; raise ValueError for a label not in `classes`."""
    if classes is None:
        return np.asarray(y, dtype=np.float64)
    unseen = [label for label in np.unique(y) if label not in classes]
    if unseen:
        raise ValueError(
            f"{name} has a label that was never seen in training: {unseen[0]!s}. Labels seen: "
            f"{', '.join(map(str, classes[:10]))}{', …' if len(classes) > 10 else ''}."
        )
    return np.searchsorted(classes, y)


def decode(codes: NDArray, classes: NDArray | None) -> NDArray:
    """Return the labels of class indices; targets are their own codes."""
    return codes if classes is None else classes[codes]


def check_magnitude(numbers: NDArray, name: str) -> None:
    """Refuse numbers whose squares would overflow."""
    largest = float(np.nan_to_num(np.abs(numbers), nan=0.0).max(initial=0.0))
    if largest > LARGEST_NUMBER:
        raise ValueError(
            f"{name} holds a number of size {largest:.3g}, too large to compute with: divide by a power "
            f"of ten, so that all lie within {LARGEST_NUMBER:g}."
        )


def set_validation_aside(
    y: NDArray, classes: NDArray | None, seed: int, max_rows: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split off a stratified fifth of the rows to validate on; the only row of a class stays to be valued."""
    n_samples = len(y)
    rows = np.arange(n_samples)
    if n_samples < 5:
        raise ValueError(
            f"n_samples={n_samples} rows are too few to set a validation part aside; give at least "
            "5, or pass X_val and y_val."
        )
    n_val = min(max(1, n_samples // 5), max_rows or n_samples)
    if classes is None:
        train, validation = train_test_split(rows, test_size=n_val, random_state=seed)
        return np.sort(train), np.sort(validation)
    codes = np.searchsorted(classes, y)
    single = np.bincount(codes)[codes] == 1
    strata, candidates = codes[~single], rows[~single]
    if len(candidates) < 2 or min(n_val, len(candidates) - n_val) < len(np.unique(strata)):
        # Too few rows for a share of every class: every class keeps a row to learn from.
        order = np.random.default_rng(seed).permutation(candidates)
        _, first = np.unique(codes[order], return_index=True)
        spare = np.delete(order, first)
        validation = np.sort(spare[:n_val])
    else:
        _, validation = train_test_split(
            candidates, test_size=n_val, random_state=seed, stratify=strata
        )
        validation = np.sort(validation)
    if not len(validation):
        raise ValueError(
            f"n_samples={n_samples} rows in {len(classes)} classes leave none to validate on; pass "
            "X_val and y_val."
        )
    return np.setdiff1d(rows, validation), validation
