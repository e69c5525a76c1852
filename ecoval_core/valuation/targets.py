"""Targets: which task they pose, their codes, and a validation part set aside for them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.model_selection import train_test_split
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from ecoval_core.target_type import LARGEST_NUMBER, MAX_INTEGER_CLASSES, Task, numeric_values

MAX_VALIDATION_ROWS = 10_000
# Below this part of its even share a class is too rare for an unweighted utility to see.
EVEN_SHARE = 1 / 3
# Beyond it a float is whole for want of digits.
MAX_EXACT_INTEGER = 2**53


def resolve_task(estimator: Any, y: NDArray, task: str = "auto") -> Task:
    """Task that an estimator and a target pose.

    Parameters
    ----------
    estimator : estimator or None
        Decides, if it is a classifier or a regressor.
    y : ndarray of shape (n_samples,)
        Decides otherwise, as scikit-learn's :func:`~sklearn.utils.multiclass.type_of_target` does. Whole
        numbers with fewer than three rows a value are taken for amounts all the same.
    task : {"auto", "classification", "regression"}, default="auto"
        Decides before both.

    Returns
    -------
    {"classification", "regression"}
        The task.

    Raises
    ------
    ValueError
        If the task contradicts the estimator, or classes are asked of a continuous target.

    Warns
    -----
    UserWarning
        If the target alone decides and its whole numbers could be either; names the choice and `task`.
    """
    declared: Task | None = None
    if estimator is not None and is_regressor(estimator):
        declared = "regression"
    elif estimator is not None and is_classifier(estimator):
        declared = "classification"
    if task == "auto":
        chosen = declared or _guess_task(y)
    elif declared not in (None, task):
        raise ValueError(f"task={task!r} contradicts the estimator, which serves {declared}.")
    else:
        chosen = cast("Task", task)
    if chosen == "classification":
        check_classification_targets(y)
    elif numeric_values(pd.Series(y)) is None:
        raise ValueError(f"task='regression' needs numbers, but y holds {str(y[0])!r}.")
    return chosen


def _guess_task(y: NDArray) -> Task:
    values = numeric_values(pd.Series(y))
    if values is not None and np.abs(values).max() > MAX_EXACT_INTEGER:
        return "regression"
    with warnings.catch_warnings():
        # Its own warning, of more classes than half the rows, is contained in ours.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        if type_of_target(y, input_name="y").startswith("continuous"):
            return "regression"
    n_distinct = len(np.unique(y))
    if values is None or n_distinct <= 2:
        return "classification"
    task: Task = "classification" if n_distinct <= len(y) / 3 else "regression"
    if task == "regression" or n_distinct > MAX_INTEGER_CLASSES:
        taken, other = ("classes", "regression") if task == "classification" else (
            "amounts", "classification"
        )  # fmt: skip
        warnings.warn(
            f"y holds whole numbers with {n_distinct} distinct values, taken for {taken}; pass "
            f"task={other!r} if they are not, or task={task!r} to say so.",
            stacklevel=5,
        )  # fmt: skip
    return task


def rarest_of_even_share(labels: NDArray) -> float:
    """Share of the rarest class over the share it would have if all had the same.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Labels.

    Returns
    -------
    float
        1 where classes are even; below `EVEN_SHARE` they should count alike, whatever their number.
    """
    counts = np.unique(labels, return_counts=True)[1]
    return float(counts.min() * len(counts) / counts.sum())


@dataclass(frozen=True)
class ClassWeights:
    """What a class weight means for each part of a valuation.

    Attributes
    ----------
    of_rows : ndarray of shape (n_val,)
        Weights of the validation rows, of mean 1.
    of_classes : ndarray of shape (n_classes,) or None
        By which judgements and the prior predictor multiply the probabilities of the classes; None for
        no weights.
    """

    of_rows: NDArray[np.float64]
    of_classes: NDArray[np.float64] | None


def weigh(
    class_weight: Any, classes: NDArray | None, codes: NDArray, codes_val: NDArray
) -> ClassWeights:
    """Work out the weights of validation rows and of classes.

    Parameters
    ----------
    class_weight : None, "balanced" or dict
        "balanced" lets every class count alike: validation rows by one over the share of their class among
        the validation rows, judgements by one over its share among the training rows. A dict gives the
        weight of each label, 1 where it names none.
    classes : ndarray of shape (n_classes,) or None
        Sorted labels; None for regression.
    codes, codes_val : ndarray of shape (n_samples,), (n_val,)
        Class indices of the training and validation rows.

    Returns
    -------
    ClassWeights
        The weights.

    Raises
    ------
    ValueError
        If the task is regression, the dict names an unknown label, or a weight is negative or not finite.
    """
    uniform = np.ones(len(codes_val))
    if class_weight is None:
        return ClassWeights(uniform, None)
    if classes is None:
        raise ValueError("class_weight needs classes, but the task is regression: leave it None.")
    if class_weight == "balanced":
        shares = np.bincount(codes, minlength=len(classes)) / len(codes)
        shares_val = np.bincount(codes_val, minlength=len(classes)) / len(codes_val)
        of_rows = 1 / shares_val[codes_val]
        return ClassWeights(of_rows / of_rows.mean(), 1 / shares)
    unknown = [label for label in class_weight if label not in classes]
    if unknown:
        raise ValueError(f"class_weight names the label {unknown[0]!s}, which y does not hold.")
    weights = np.array([class_weight.get(label, 1.0) for label in classes.tolist()], dtype=float)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights[codes_val].any()):
        raise ValueError(
            "class_weight must give finite weights of at least 0, not all of them 0, but it is "
            f"{class_weight}."
        )
    of_rows = weights[codes_val]
    return ClassWeights(of_rows / of_rows.mean(), weights)


def check_classes(y: NDArray) -> NDArray:
    """Sorted class labels of a classification target.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.

    Returns
    -------
    ndarray of shape (n_classes,)
        The labels.

    Raises
    ------
    ValueError
        If there is one class only.
    """
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            f"Valuation needs at least two classes, but y holds one class only: {classes[0]!s}."
        )
    return classes


def encode(y: NDArray, classes: NDArray | None, name: str) -> NDArray:
    """Codes of a target: class indices, or floats for regression.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels or targets.
    classes : ndarray of shape (n_classes,) or None
        Sorted labels seen in training; None for regression.
    name : str
        What to call `y` in an error.

    Returns
    -------
    ndarray of shape (n_samples,)
        The codes.

    Raises
    ------
    ValueError
        If a label was never seen in training; the message names it.
    """
    if classes is None:
        return np.asarray(y, dtype=np.float64)
    unseen = [label for label in np.unique(y) if label not in classes]
    if unseen:
        raise ValueError(
            f"{name} has a label that was never seen in training: {unseen[0]!s}. Labels seen: "
            f"{', '.join(map(str, classes[:10]))}{', …' if len(classes) > 10 else ''}."
        )
    return np.searchsorted(classes, y)


def suggest(judged: NDArray, classes: NDArray | None) -> NDArray:
    """Labels that judges find likeliest.

    Parameters
    ----------
    judged : ndarray of shape (n_points, n_outputs)
        Pooled probabilities, or predicted targets.
    classes : ndarray of shape (n_classes,) or None
        Sorted labels; None for regression.

    Returns
    -------
    ndarray of shape (n_points,)
        Labels, or the predicted targets.
    """
    return judged[:, 0] if classes is None else classes[judged.argmax(axis=1)]


def check_magnitude(numbers: NDArray, name: str) -> None:
    """Refuse numbers whose squares would overflow.

    Parameters
    ----------
    numbers : ndarray
        Features or targets.
    name : str
        What to call them in an error.

    Raises
    ------
    ValueError
        If one is beyond `LARGEST_NUMBER`.
    """
    largest = float(np.abs(numbers).max(initial=0.0))
    if largest > LARGEST_NUMBER:
        raise ValueError(
            f"{name} holds a number of size {largest:.3g}, too large to compute with: divide by a power "
            f"of ten, so that all lie within {LARGEST_NUMBER:g}."
        )


def target_groups(codes: NDArray, edges: NDArray | None) -> NDArray[np.int64]:
    """Return the groups within which clusters are made.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Class indices or targets.
    edges : ndarray or None
        Inner edges of the target bins; None for classification.

    Returns
    -------
    ndarray of shape (n_samples,), int
        The class, or the target bin.
    """
    return codes if edges is None else np.searchsorted(edges, codes, side="right")


def set_validation_aside(
    y: NDArray, classes: NDArray | None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows into those to value and a fifth to validate on.

    Stratified by class; a class of a single row stays with the rows to value.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels or targets.
    classes : ndarray or None
        Sorted labels; None for regression.
    seed : int
        Seeds the split.

    Returns
    -------
    train, validation : ndarray of int
        Sorted row positions.

    Raises
    ------
    ValueError
        If there are too few rows to set any aside.
    """
    n_samples = len(y)
    rows = np.arange(n_samples)
    if n_samples < 5:
        raise ValueError(
            f"n_samples={n_samples} rows are too few to set a validation part aside; give at least "
            "5, or pass X_val and y_val."
        )
    n_val = min(max(1, n_samples // 5), MAX_VALIDATION_ROWS)
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
