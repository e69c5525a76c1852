"""Classes or amounts: what a target is, which tables and the valuation both need to know."""

from __future__ import annotations

import warnings
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types
from sklearn.base import is_classifier, is_regressor
from sklearn.utils.multiclass import check_classification_targets, type_of_target

Task = Literal["classification", "regression"]
MAX_INTEGER_CLASSES = 20
# Beyond this, squares (variances, distances) overflow a float64.
LARGEST_NUMBER = 1e100
# Beyond it a float is whole for want of digits.
MAX_EXACT_INTEGER = 2**53


def detect_task(y: pd.Series) -> Task:
    """Take numbers for amounts, unless they are two, or whole, few and each of three rows on average."""
    values = numeric_values(y)
    if values is None:
        return "classification"
    values = values[~np.isnan(values)]
    n_distinct = len(np.unique(values))
    are_few = n_distinct <= min(MAX_INTEGER_CLASSES, len(values) / 3)
    are_classes = n_distinct <= 2 or (are_few and (values == np.floor(values)).all())
    return "classification" if are_classes else "regression"


def numeric_values(column: pd.Series) -> np.ndarray | None:
    """Return numbers as float64 with NaN for missing values; None for truth values, dates and text."""
    if column.dtype == object:
        kind = types.infer_dtype(column, skipna=True)
        is_number = kind in ("integer", "floating", "mixed-integer-float", "decimal")
    else:
        is_number = types.is_numeric_dtype(column) and not types.is_bool_dtype(column)
    if not is_number or types.is_complex_dtype(column):
        return None
    try:
        return column.to_numpy(dtype="float64", na_value=np.nan)
    except OverflowError:
        # Integers of hundreds of digits name something; they count nothing.
        return None


def resolve_task(estimator: Any, y: NDArray, task: str = "auto") -> Task:
    """Return the task that the caller names, else the estimator poses, else the target suggests."""
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
