"""Classes or amounts: what a target is, which tables and the valuation both need to know."""

from typing import Literal

import numpy as np
import pandas as pd
from pandas.api import types

Task = Literal["classification", "regression"]


MAX_INTEGER_CLASSES = 20
# Beyond this, squares (variances, distances) overflow a float64.
LARGEST_NUMBER = 1e100


def detect_task(y: pd.Series) -> Task:
    """Decide whether a target holds classes or amounts.

    Parameters
    ----------
    y : Series of shape (n_rows,)
        The target; missing values are ignored.

    Returns
    -------
    task : {"classification", "regression"}
        Regression for numbers, unless they are whole and of at most 20 distinct values that
        repeat (three rows each on average), or of two distinct values.
    """
    return "classification" if _is_class_like(y) else "regression"


def _is_class_like(y: pd.Series) -> bool:
    values = numeric_values(y)
    if values is None:
        return True
    values = values[~np.isnan(values)]
    n_distinct = len(np.unique(values))
    few = n_distinct <= min(MAX_INTEGER_CLASSES, len(values) / 3)
    return n_distinct <= 2 or (few and bool((values == np.floor(values)).all()))


def numeric_values(column: pd.Series) -> np.ndarray | None:
    """Return a column of numbers as float64 with NaN for missing values, else None.

    Decimals and numbers kept as Python objects are numbers; truth values, dates,
    categories and integers too large for float64 are not.
    """
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
