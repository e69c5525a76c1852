"""Mending: notice what keeps a column from being what it is, and mend it when asked.

Three spellings of one category, a question mark among numbers, percent signs and currencies: each is found by
`suggest_mends`, said in a sentence and done by `mend`, and by nothing else. A `Mend` goes into a recipe and
mends other rows alike.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from pandas.api import types

from ecoval_core.tables.mending_categories import mend_categories, suggest_categories
from ecoval_core.tables.mending_numbers import mend_numbers, suggest_numbers
from ecoval_core.tables.mends import Mend

__all__ = ["Mend", "mend", "suggest_mends"]


def suggest_mends(frame: pd.DataFrame) -> tuple[Mend, ...]:
    """Find what could be mended in the columns of text.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        Columns named by text; not modified.

    Returns
    -------
    mends : tuple of Mend
        In the order of the columns; a column of categories may have two, one of numbers has one. Empty if
        nothing was noticed.
    """
    found: list[Mend] = []
    for column in frame.columns:
        texts = _count_texts(frame[column])
        if not texts:
            continue
        numbers = suggest_numbers(str(column), texts, frame[column])
        found += [numbers] if numbers else suggest_categories(str(column), texts)
    return tuple(found)


def mend(frame: pd.DataFrame, mends: Iterable[Mend]) -> pd.DataFrame:
    """Mend the columns of a frame.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        Not modified. It may be another one than the mends were suggested for, such as new rows of the same
        kind: of a column of numbers every cell that spells none becomes missing, and a category that differs
        from a known one in nothing but its spelling becomes that.
    mends : iterable of Mend
        Done in this order; those of columns that the frame does not have are passed over.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        Same columns and index. Mended categories are text; mended numbers int64, or float64 where some have
        decimals or are missing.
    """
    mended = frame.copy(deep=False)
    for one in mends:
        if one.column in mended:
            work = mend_categories if one.kind in ("spelling", "missing") else mend_numbers
            mended[one.column] = work(mended[one.column], one)
    return mended


def _count_texts(column: pd.Series) -> dict[str, int]:
    """Count the different texts of a column, most frequent first; none in a column that is no text."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if column.dtype == object:
        if types.infer_dtype(column, skipna=True) not in ("string", "mixed", "mixed-integer"):
            return {}
        column = column.dropna()
        if not column.map(lambda cell: isinstance(cell, (str, int, float, np.number))).all():
            return {}
        column = column.map(str)
    elif not isinstance(column.dtype, pd.StringDtype):
        return {}
    counts = column.value_counts()
    return dict(zip(counts.index.tolist(), counts.tolist(), strict=True))
