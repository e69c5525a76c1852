"""Targets: which task they pose, their codes, and a validation part set aside for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.model_selection import train_test_split
from sklearn.utils.multiclass import check_classification_targets

from ecoval_core.target_type import Task, detect_task

MAX_VALIDATION_ROWS = 10_000


def resolve_task(estimator: Any, y: NDArray) -> Task:
    """Task that an estimator and a target pose.

    Parameters
    ----------
    estimator : estimator or None
        Decides, if it is a classifier or a regressor.
    y : ndarray of shape (n_samples,)
        Decides otherwise, by :func:`ecoval_core.target_type.detect_task`.

    Returns
    -------
    {"classification", "regression"}
        The task.

    Raises
    ------
    ValueError
        If the estimator is a classifier and the target is continuous.
    """
    if estimator is not None and is_regressor(estimator):
        return "regression"
    is_declared = estimator is not None and is_classifier(estimator)
    if not is_declared and detect_task(pd.Series(y)) == "regression":
        return "regression"
    check_classification_targets(y)
    return "classification"


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
