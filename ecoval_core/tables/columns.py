"""Columns: what each column of a frame holds, and whether it can be the target."""

import re

import numpy as np
import pandas as pd
from pandas.api import types

from ecoval_core.tables.limits import TableError
from ecoval_core.target_type import (
    LARGEST_NUMBER,
    MAX_INTEGER_CLASSES,
    Task,
    detect_task,
    numeric_values,
)

MAX_CLASSES = 1_000
MIN_ROWS = 10
TARGET_NAMES = (
    *("target", "label", "class", "outcome", "response", "output"),
    *("species", "survived", "diagnosis", "price", "y"),
)
ID_NAME = re.compile(
    r"(?i:^(index|row|rowid|rowname|rownames|unnamed: \d+)$|(^|[\W_])(id|uuid|guid|key)([\W_]|$))"
    r"|[a-z](Id|ID|Key)$"
)


def detect_target(frame: pd.DataFrame) -> str:
    """Guess the column to predict.

    It is one named like a target; else the last or first column if it holds few classes; else the
    last that could be one.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        At least one column, named by text.

    Returns
    -------
    column : str
        The last useful column where nothing better is found.
    """
    by_name = {str(column).lower(): str(column) for column in reversed(frame.columns)}
    for name in TARGET_NAMES:
        if name in by_name:
            return by_name[name]
    left_out = suggest_exclusions(frame)
    columns = [str(column) for column in frame.columns if column not in left_out]
    if not columns:
        return str(frame.columns[-1])
    few = [c for c in (columns[-1], columns[0]) if 2 <= frame[c].nunique() <= MAX_INTEGER_CLASSES]
    for column in (
        *(c for c in few if detect_task(frame[c]) == "classification"),
        *reversed(columns),
    ):
        try:
            check_target(frame[column], detect_task(frame[column]))
        except TableError:
            continue
        return column
    return columns[-1]


def suggest_exclusions(frame: pd.DataFrame, target: str | None = None) -> dict[str, str]:
    """Propose the columns that carry no information on the target, each with the reason.

    They are columns without a value, with a single value, with lists or bytes for values, and ids: whole
    numbers that count the rows, or whole numbers or codes that differ in (nearly) every row.
    Measurements that happen to be unique, dates and free text are no ids.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        The table.
    target : str, default=None
        Column that is never proposed.

    Returns
    -------
    reasons : dict of str to str
        Column to reason, in the order of the columns.
    """
    reasons = {name: _reason_to_exclude(frame[name]) for name in frame.columns if name != target}
    return {column: reason for column, reason in reasons.items() if reason}


def _reason_to_exclude(column: pd.Series) -> str:
    present = column.dropna()
    if present.empty:
        return "every value is missing"
    if column.dtype == object and present.map(_is_nested).any():
        return "holds lists or bytes, not single values"
    n_distinct = present.nunique()
    if n_distinct == 1 and len(present) == len(column):
        return f"the same value in every row ({present.iloc[0]})"
    if len(column) < MIN_ROWS:
        return ""
    share_unique = n_distinct / len(column)
    has_id_name = bool(ID_NAME.search(str(column.name)))
    if types.is_integer_dtype(column):
        counts = present.is_monotonic_increasing or present.is_monotonic_decreasing
        consecutive = float(present.max()) - float(present.min()) == len(column) - 1
        if share_unique == 1 and ((counts and len(column) >= 20) or consecutive):
            return "looks like a row number"
        return "looks like an id" if has_id_name and share_unique >= 0.9 else ""
    if not (types.is_string_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype)):
        return ""
    is_id = share_unique >= 0.9 if has_id_name else share_unique == 1 and _is_code(present)
    return "looks like an id (a different text in every row)" if is_id else ""


def _is_nested(value: object) -> bool:
    return types.is_list_like(value) or isinstance(value, bytes)


def _is_code(text: pd.Series) -> bool:
    text = text.astype(str)
    has_space = text.str.strip().str.contains(r"\s").mean()
    date_or_amount = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\D?[+-]?[\d.,]+\D{0,3}"
    return has_space < 0.1 and text.str.fullmatch(date_or_amount).mean() < 0.5


def target_array(y: pd.Series, task: Task) -> np.ndarray:
    """Return the target as a plain array that scikit-learn takes.

    Parameters
    ----------
    y : Series of shape (n_rows,)
        Without missing values.
    task : {"classification", "regression"}
        What it is used for.

    Returns
    -------
    y : ndarray of shape (n_rows,)
        Regression: float64. Classification: int64 for whole numbers, else text.
    """
    if task == "regression":
        return y.to_numpy(dtype="float64")
    if isinstance(y.dtype, pd.CategoricalDtype):
        y = y.astype(y.cat.categories.dtype)
    values = numeric_values(y)
    if values is not None and (values == np.floor(values)).all() and abs(values).max() < 2**53:
        return y.to_numpy(dtype="int64")
    return y.astype(str).to_numpy(dtype=np.str_)


# --- Fit for valuation ---------------------------------------------------------------------


def has_target(y: pd.Series) -> np.ndarray:
    """Mark the rows that have a target.

    Parameters
    ----------
    y : Series of shape (n_rows,)
        The target; blank text counts as missing.

    Returns
    -------
    present : ndarray of shape (n_rows,)
        Truth values.
    """
    present = y.notna()
    if types.is_string_dtype(y):
        present &= y.str.strip().ne("").fillna(False)
    return present.to_numpy(dtype=bool)


def check_finite(column: pd.Series) -> None:
    """Refuse a column of numbers too large to compute with; columns of anything else pass.

    Parameters
    ----------
    column : Series of shape (n_rows,)
        Named, and in the order of the row ids.

    Raises
    ------
    TableError
        If a number is infinite or beyond `LARGEST_NUMBER`.
    """
    values = numeric_values(column)
    if values is None:
        return
    too_large = np.flatnonzero(np.abs(values) > LARGEST_NUMBER)
    if too_large.size:
        row = too_large[0]
        what = "an infinite number" if np.isinf(values[row]) else f"the number {values[row]:g}"
        raise TableError(
            f"Column {column.name!r} holds {what} in row {row} (the first row is 0): "
            "correct it or leave the cell empty."
        )


def check_target(y: pd.Series, task: Task) -> None:
    """Refuse a column that cannot be predicted.

    Parameters
    ----------
    y : Series of shape (n_rows,)
        With row ids as index; rows without a value are set aside.
    task : {"classification", "regression"}
        What it would be used for.

    Raises
    ------
    TableError
        If fewer than `MIN_ROWS` values are there, they do not suit the task, do not vary, or a
        class has a single row or there are too many of them.
    """
    labelled = y[has_target(y)]
    if len(labelled) < MIN_ROWS:
        raise TableError(
            f"The target {y.name!r} has a value in {len(labelled)} of {len(y)} rows: at least "
            f"{MIN_ROWS} are needed, so fill it in or choose another target."
        )
    check_finite(y)
    if task == "regression":
        _check_amounts(labelled)
    elif y.dtype == object and labelled.map(_is_nested).any():
        raise TableError(
            f"The target {y.name!r} holds lists or bytes: choose a column with one label in a row."
        )
    else:
        _check_classes(labelled)


def _check_amounts(y: pd.Series) -> None:
    if numeric_values(y) is None:
        row, value = _first_text(y) or (y.index[0], y.iloc[0])
        raise TableError(
            f"The target {y.name!r} holds {str(value)!r} in row {row} (the first row is 0), which is "
            "not an amount: correct it, or choose the task classification or another target."
        )
    if np.ptp(target_array(y, "regression")) == 0:
        raise TableError(
            f"The target {y.name!r} has the same value in every row: choose another target."
        )


def _check_classes(y: pd.Series) -> None:
    classes, counts = np.unique(target_array(y, "classification"), return_counts=True)
    if len(classes) == 1:
        raise TableError(
            f"The target {y.name!r} has one class only ({classes[0]}): choose another target."
        )
    if len(classes) > min(MAX_CLASSES, len(y) / 2):
        raise TableError(
            f"The target {y.name!r} has {len(classes):,} distinct labels in {len(y):,} rows: "
            f"{_explain_many_labels(y)}."
        )
    single = [repr(str(label)) for label in classes[counts == 1]]
    if single:
        names = ", ".join(single[:3]) + (f" and {len(single) - 3} more" if len(single) > 3 else "")
        have = "Class {} has" if len(single) == 1 else "Classes {} each have"
        raise TableError(
            f"{have.format(names)} a single row in {y.name!r}, too few to both learn and measure: "
            "merge with another class, remove the row, or empty its label to set it aside."
        )


def _explain_many_labels(y: pd.Series) -> str:
    if numeric_values(y) is not None:
        return "it looks like an amount or an id, so choose the task regression or another target"
    text = y.astype(str)
    first = _first_text(text)
    if first and pd.to_numeric(text, errors="coerce").isna().mean() < 0.1:
        return (
            f"it looks like an amount but for {first[1]!r} in row {first[0]} (the first row is 0), "
            "so correct that or choose another target"
        )
    return "it looks like an id or free text, so choose another target"


def _first_text(y: pd.Series) -> tuple[int, str] | None:
    """Return row id and text of the first value that is not a number."""
    text = y.astype(str)
    rows = np.flatnonzero(pd.to_numeric(text, errors="coerce").isna())
    return (int(y.index[rows[0]]), text.iloc[rows[0]]) if rows.size else None
