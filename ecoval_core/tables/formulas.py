"""Formulas: text that a spreadsheet would run is disarmed in CSV files, and given back on reading.

A cell of text that begins with one of ``= + - @``, their full-width forms, a tab or a line end is a formula
to Excel and LibreOffice, and a formula can call programs and send the table away (OWASP, "CSV injection"). An
apostrophe in front makes it text. Text that has apostrophes before such a sign gets one more, so that
taking one away gives back what was there.
"""

import re
from decimal import Decimal
from numbers import Number

import pandas as pd
from pandas.api import types

_SIGNS = "=+\\-@\t\r\n＝＋－＠"
_WOULD_RUN = f"^'*[{_SIGNS}]"
_GUARDED = f"^'+[{_SIGNS}]"
_BARE = f"^[{_SIGNS}]"
_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+|inf)(?:[eE][+-]?\d+)?$"


def guard_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before every text, column names included, that could run as a formula.

    Parameters
    ----------
    frame : DataFrame
        What is to be written as CSV; not modified.

    Returns
    -------
    DataFrame
        Numbers, truth values, dates and missing cells are untouched.
    """
    guarded = {i: _guard(frame.iloc[:, i]) for i in range(frame.shape[1])}
    result = pd.DataFrame(guarded, index=frame.index, copy=False)
    result.columns = pd.Index([_guard_text(str(name)) for name in frame.columns], dtype=object)
    return result


def _guard(column: pd.Series) -> pd.Series:
    dtype = column.dtype
    if (
        types.is_numeric_dtype(dtype)
        or types.is_bool_dtype(dtype)
        or types.is_datetime64_any_dtype(dtype)
    ):
        return column
    if isinstance(dtype, pd.StringDtype):
        risky = column.str.contains(_WOULD_RUN, regex=True).fillna(False).astype(bool)
        return column.where(~risky, "'" + column) if risky.any() else column
    return column.astype(object).map(_guard_cell, na_action="ignore")


def _guard_cell(cell: object) -> object:
    if isinstance(cell, (Number, Decimal)):
        return cell
    text = str(cell)
    guarded = _guard_text(text)
    return cell if guarded == text else guarded


def _guard_text(text: str) -> str:
    return f"'{text}" if re.match(_WOULD_RUN, text) else text


def unguard_formulas(column: pd.Series) -> pd.Series:
    """Take the apostrophes of `guard_formulas` away again.

    Parameters
    ----------
    column : Series of text
        As read from CSV.

    Returns
    -------
    Series
        The column as it was, if it is unambiguous that it was guarded: some cells begin with an apostrophe
        and a sign, and none that is no number with a bare sign. Otherwise `column` itself.
    """
    guarded = column.str.contains(_GUARDED, regex=True).fillna(False).astype(bool)
    if not guarded.any():
        return column
    bare = column[column.str.contains(_BARE, regex=True).fillna(False).astype(bool)]
    if not bare.str.contains(_NUMBER, regex=True).all():
        return column
    return column.where(~guarded, column.str.slice(1))
