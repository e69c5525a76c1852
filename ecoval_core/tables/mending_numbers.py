"""Mending numbers: a column that is text for its signs or for a few cells becomes one of numbers."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from pandas.api import types

from ecoval_core.tables.limits import shorten
from ecoval_core.tables.mends import Kind, Mend, count_of, is_mark, quote, stand_for_missing, these
from ecoval_core.tables.spelt_numbers import DECIMALS, is_bare, is_code, is_percentage, read_numbers

# A column is one of numbers if this share of its cells are.
NUMBER_SHARE = 0.9
MAX_STRAYS = 50
_SAMPLE = 300


def suggest_numbers(column: str, texts: Mapping[str, int], cells: pd.Series) -> Mend | None:
    """Find a column of numbers that is text for its signs or for a few cells.

    Parameters
    ----------
    column : str
        Name of the column.
    texts : mapping of str to int
        How often each text is there.
    cells : Series of shape (n_rows,)
        The column.

    Returns
    -------
    mend : Mend or None
        Of kind "percent", "amount", "number" or "stray".
    """
    decimal = _find_decimal(texts)
    if decimal is None:
        return None
    numbers = dict(zip(texts, read_numbers(list(texts), decimal), strict=True))
    written = {text: texts[text] for text, number in numbers.items() if not np.isnan(number)}
    strays = {text: n for text, n in texts.items() if text not in written}
    marks = {text: n for text, n in strays.items() if is_mark(text)}
    others = {text: n for text, n in strays.items() if text not in marks}
    n_good = sum(written.values())
    if (
        len(written) < 2
        or n_good < NUMBER_SHARE * (n_good + sum(others.values()))
        or len(strays) > MAX_STRAYS
        or any(map(is_code, written))
    ):
        return None
    n_percent = sum(n for text, n in written.items() if is_percentage(text))
    shares = [abs(numbers[text]) <= 1 for text in written if not is_percentage(text)]
    if n_percent and shares and (all(shares) or n_percent < n_good / 2):
        return None  # 0.12 beside 12 % may be the same or not

    name = repr(shorten(column))
    is_plain = decimal == "." and all(map(is_bare, written))
    kind: Kind = "percent" if n_percent else "number" if is_plain else "amount"
    n_cells = n_good + sum(strays.values())
    if is_plain and others:
        kind, n_cells = "stray", sum(strays.values())
        text = next(iter(others))
        row = int((cells.astype(object).map(str) == text).to_numpy().argmax())
        sentence = (
            f"{name} holds numbers but for {count_of(n_cells, 'cell')}, such as {quote(text)} in row {row} "
            "(the first row is 0): correct them in the file, or empty them to use the column as numbers."
        )
    elif is_plain and marks:
        n_cells = sum(marks.values())
        sentence = (
            f"{name} holds {stand_for_missing(marks)}: empty {these(marks)}, and the column is one of "
            "numbers."
        )
    else:
        what = {"percent": "percentages", "amount": "amounts"}.get(kind, "numbers")
        typical = next((text for text in written if not is_bare(text)), next(iter(written)))
        sentence = (
            f"{name} holds {what} as text in {count_of(n_good, 'row')}, such as {quote(typical)}: read them "
            f"as numbers ({numbers[typical]:.10g})"
        )
        if strays:
            sentence += (
                f", and empty {count_of(sum(strays.values()), 'cell')} without a number, such as "
            )
            sentence += quote(next(iter(others or marks)))
        sentence += "."
    return Mend(
        column, kind, sentence, n_cells, tuple((text, None) for text in sorted(strays)), decimal
    )


def _find_decimal(texts: Mapping[str, int]) -> str | None:
    """Return the decimal sign with which most of the frequent cells are numbers, None if few are."""
    sample = [text for text in list(texts)[:_SAMPLE] if not is_mark(text)]
    weights = np.array([texts[text] for text in sample], dtype=float)
    if not sample:
        return None
    shares = {
        decimal: weights[~np.isnan(read_numbers(sample, decimal))].sum() / weights.sum()
        for decimal in DECIMALS
    }
    best = max(DECIMALS, key=shares.__getitem__)
    return best if shares[best] >= NUMBER_SHARE / 2 else None


def mend_numbers(column: pd.Series, one: Mend) -> pd.Series:
    """Do a mend of any kind of numbers; see `mending.mend`."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if types.is_numeric_dtype(column):
        return column
    known = dict(one.mapping)
    different = column.dropna().unique()
    texts = [cell for cell in different if isinstance(cell, str)]
    changes = {
        cell: float(cell) if isinstance(cell, (int, float, np.number)) else np.nan
        for cell in different
    }
    changes |= dict(zip(texts, read_numbers(texts, one.decimal), strict=True))
    changes |= {text: np.nan for text in texts if text in known}
    numbers = column.astype(object).map(changes, na_action="ignore").astype("float64")
    is_whole = numbers.notna().all() and bool((numbers == np.floor(numbers)).all())
    return numbers.astype("int64") if is_whole and numbers.abs().max() < 2**53 else numbers
