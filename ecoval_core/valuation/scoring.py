"""Per-sample scores, the utility they average to, and the predictor that knows no features.

A model's *output* is an array of shape (m, n_classes) of class probabilities aligned to all classes of
the problem (one-hot predictions where a classifier has no probabilities), or of shape (m, 1) of
predictions for regression. A *code* is a class index, or the target itself for regression. Scores and
residuals are functions of outputs and codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecoval_core.target_type import Task


@dataclass(frozen=True)
class Score:
    """A per-sample score on offer.

    Attributes
    ----------
    task : {"classification", "regression"}
        Task that it measures.
    title : str
        What it is, for people.
    unit : str
        Its unit, as written after a number.
    """

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
_LEAST_PROBABILITY = 1e-3
_LEAST_SPREAD = 1e-12


def available_scorings(task: Task, has_proba: bool = True) -> tuple[str, ...]:
    """Names of the per-sample scores that a task and a model allow, the default first.

    Parameters
    ----------
    task : {"classification", "regression"}
        The task.
    has_proba : bool, default=True
        Whether the classifier has ``predict_proba``; without it only accuracy can be measured.

    Returns
    -------
    tuple of str
        Keys of `SCORINGS`.
    """
    if task == "classification" and not has_proba:
        return ("accuracy",)
    return tuple(name for name, score in SCORINGS.items() if score.task == task)


def check_scoring(scoring: str | None, task: Task, has_proba: bool = True) -> str:
    """Resolve and check the name of a per-sample score.

    Parameters
    ----------
    scoring : str or None
        Key of `SCORINGS`; None takes the default of the task.
    task : {"classification", "regression"}
        The task.
    has_proba : bool, default=True
        Whether the classifier has ``predict_proba``.

    Returns
    -------
    str
        A key of `SCORINGS`.

    Raises
    ------
    ValueError
        If the score does not fit the task or the model; the message lists those that do.
    """
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
    """The training target's mean, deviation and class frequencies, to which scores refer.

    Attributes
    ----------
    task : {"classification", "regression"}
        The task.
    n_classes : int
        Number of classes; 1 for regression.
    prior : ndarray of shape (n_classes,)
        Output of the prior predictor: (weighted) class frequencies, or the target's mean.
    deviation : float
        Standard deviation of the target (regression), 1 for classification.
    """

    task: Task
    n_classes: int
    prior: NDArray[np.float64]
    deviation: float

    @classmethod
    def of(cls, codes: NDArray, task: Task, class_weights: NDArray | None = None) -> Scale:
        """Scale of a training target.

        Parameters
        ----------
        codes : ndarray of shape (n_samples,)
            Class indices, or continuous targets.
        task : {"classification", "regression"}
            The task.
        class_weights : ndarray of shape (n_classes,) or None, default=None
            Multiply the class frequencies in the prior predictor.

        Returns
        -------
        Scale
            The scale of that target.
        """
        if task == "classification":
            prior = np.bincount(codes) * (1.0 if class_weights is None else class_weights)
            return cls(task, len(prior), prior / prior.sum(), 1.0)
        return cls(task, 1, np.array([codes.mean()]), float(codes.std()) or 1.0)


def has_probabilities(estimator: Any) -> bool:
    """Whether an estimator, fitted or not, offers ``predict_proba``.

    Parameters
    ----------
    estimator : estimator
        Any scikit-learn estimator or pipeline.

    Returns
    -------
    bool
        True if it does.
    """
    return hasattr(estimator, "predict_proba")


def model_output(
    estimator: Any, X: ArrayLike, classes: NDArray | None, *, proba: bool
) -> NDArray[np.float64]:
    """Output of a fitted model, its columns aligned to all classes of the problem.

    Parameters
    ----------
    estimator : estimator
        Fitted model; a classifier has ``classes_``.
    X : array-like of shape (m, n_features)
        Points to predict.
    classes : ndarray of shape (n_classes,) or None
        Sorted classes of the whole problem, of which the model may have seen fewer; None for
        regression.
    proba : bool
        Use ``predict_proba``; otherwise the one-hot of the prediction.

    Returns
    -------
    ndarray of shape (m, n_classes) or (m, 1)
        Probabilities, one-hot predictions, or predicted targets.
    """
    if classes is None:
        return np.asarray(estimator.predict(X), dtype=np.float64).reshape(-1, 1)
    if not proba:
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
    """Score of each sample, higher is better.

    Parameters
    ----------
    output : ndarray of shape (m, n_classes) or (m, 1)
        A model's output.
    codes : ndarray of shape (m,)
        True class indices or targets.
    scoring : str
        Key of `SCORINGS`.
    scale : Scale
        Scale of the training target.

    Returns
    -------
    ndarray of shape (m,)
        The scores; their mean is the utility.
    """
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
    """Scores of the prior predictor: class frequencies, or the mean of the training target.

    Parameters
    ----------
    codes : ndarray of shape (m,)
        True class indices or targets.
    scoring : str
        Key of `SCORINGS`.
    scale : Scale
        Scale of the training target.

    Returns
    -------
    ndarray of shape (m,)
        Scores whose mean is U(empty).
    """
    output = np.broadcast_to(scale.prior, (len(codes), scale.n_classes))
    return sample_scores(output, codes, scoring, scale)


def residuals(output: NDArray, codes: NDArray, scale: Scale) -> NDArray[np.float64]:
    """Direction in which each sample pulls a model's output: truth minus output.

    Parameters
    ----------
    output : ndarray of shape (m, n_classes) or (m, 1)
        A model's output.
    codes : ndarray of shape (m,)
        True class indices or targets.
    scale : Scale
        Scale of the training target.

    Returns
    -------
    ndarray of shape (m, n_classes) or (m, 1)
        ``onehot(y) - p``, or ``(y - prediction)`` in units of the target's deviation.
    """
    if scale.task == "regression":
        return (codes[:, None] - output) / scale.deviation
    difference = -np.asarray(output, dtype=np.float64)
    difference[np.arange(len(codes)), codes] += 1.0
    return difference


def agreement(output: NDArray, codes: NDArray, scale: Scale, spread: float) -> NDArray[np.float64]:
    """How far an output agrees with the given label, in [0, 1].

    Parameters
    ----------
    output : ndarray of shape (m, n_classes) or (m, 1)
        Predictions.
    codes : ndarray of shape (m,)
        Given class indices or targets.
    scale : Scale
        Scale of the training target.
    spread : float
        Regression: median absolute residual, in units of the target's deviation.

    Returns
    -------
    ndarray of shape (m,)
        Probability of the given class; regression: exp(-|residual| / (2 * 1.4826 * spread)).
    """
    if scale.task == "classification":
        return output[np.arange(len(codes)), codes]
    distance = np.abs(residuals(output, codes, scale)[:, 0])
    return np.exp(-distance / (2 * 1.4826 * max(spread, _LEAST_SPREAD)))
