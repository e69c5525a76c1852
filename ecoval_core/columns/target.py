"""Columns: whether a column can be the target, and the target as an array."""

import numpy as np
import pandas as pd
from pandas.api import types

from ecoval_core.files.limits import TableError
from ecoval_core.files.workbook import MISSING_WORDS
from ecoval_core.target_type import LARGEST_NUMBER, MAX_EXACT_INTEGER, Task, numeric_values
from ecoval_core.text import join

MAX_CLASSES = 1_000
MIN_ROWS = 10


def target_array(y: pd.Series, task: Task) -> np.ndarray:
    """Return the target as a plain array that scikit-learn takes."""
    if task == "regression":
        return y.to_numpy(dtype="float64")
    if isinstance(y.dtype, pd.CategoricalDtype):
        y = y.astype(y.cat.categories.dtype)
    values = numeric_values(y)
    if values is not None and are_whole(values):
        return y.to_numpy(dtype="int64")
    return y.astype(str).to_numpy(dtype=np.str_)


def are_whole(values: np.ndarray) -> bool:
    """Tell whether numbers are whole, none is missing, and a float holds each exactly."""
    return bool((np.abs(values) < MAX_EXACT_INTEGER).all() and (values == np.floor(values)).all())


def empty_words(frame: pd.DataFrame, target: str | None = None) -> pd.DataFrame:
    """Empty the cells of text that hold a word for a missing value, but for those of the target."""
    emptied = {}
    for column in frame.columns:
        if column == target or not isinstance(frame[column].dtype, pd.StringDtype):
            continue
        is_word = frame[column].isin(MISSING_WORDS)
        if is_word.any():
            emptied[column] = frame[column].mask(is_word)
            if is_word.all() or emptied[column].isna().all():
                emptied[column] = emptied[column].astype("float64")
    return frame.assign(**emptied) if emptied else frame


def is_present(column: pd.Series) -> np.ndarray:
    """Mark the cells that hold something; blank text does not."""
    present = column.notna().to_numpy()
    if types.is_string_dtype(column) or column.dtype == object:
        blank = column.map(lambda cell: isinstance(cell, str) and not cell.strip())
        present = present & ~blank.fillna(False).to_numpy(dtype=bool)
    return present


def holds_nested(column: pd.Series) -> bool:
    """Tell whether a column holds lists, bytes or the like for values."""
    return column.dtype == object and any(
        types.is_list_like(cell) or isinstance(cell, bytes) for cell in column
    )


def check_finite(column: pd.Series) -> None:
    """Refuse a column of numbers too large to compute with; columns of anything else pass."""
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
    """Refuse a column that cannot be predicted."""
    labelled = y[is_present(y)]
    if len(labelled) < MIN_ROWS:
        raise TableError(
            f"The target {y.name!r} has a value in {len(labelled)} of {len(y)} rows: at least "
            f"{MIN_ROWS} are needed, so fill it in or choose another target."
        )
    check_finite(y)
    if task == "regression":
        _check_amounts(labelled)
    elif holds_nested(labelled):
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
        names = join(single[:3], len(single))
        have = "Class {} has" if len(single) == 1 else "Classes {} each have"
        raise TableError(
            f"{have.format(names)} a single row in {y.name!r}, too few for training and "
            "validation: merge with another class, remove the row, or empty its label to set it "
            "aside."
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
