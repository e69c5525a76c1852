"""Columns that split: the parts, times, groups and weights that the cells of a column stand for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import pandas as pd
from pandas.api import types

from ecoval_core.columns.target import is_present
from ecoval_core.files.limits import TableError
from ecoval_core.target_type import numeric_values
from ecoval_core.text import join, shorten

Part = Literal["train", "validation", "test", "none"]
PART_NAMES: tuple[Part, ...] = get_args(Part)
# How people write the parts; "eval" is the test part of some, so that a page shows what was taken.
_WORDS: dict[Part, str] = {
    "train": "train training trn tr learn learning fit",
    "validation": "validation validate valid val dev devel development eval evaluation tune tuning",
    "test": "test testing tst te holdout heldout",
}
_PART_OF = {word: part for part, words in _WORDS.items() for word in words.split()}
# A column with the parts has few values.
MAX_WORDS = 40


def guess_part(value: object) -> Part | None:
    """Return the part that a word stands for, or None."""
    return _PART_OF.get("".join(letter for letter in str(value).casefold() if letter.isalpha()))


def complete_words(column: pd.Series, chosen: Mapping[str, Part] | None = None) -> dict[str, Part]:
    """Return the part of each value of a column: as chosen, or else as its word is understood."""
    chosen = chosen or {}
    values = [str(value) for value in column[is_present(column)].unique()]
    if len(values) > MAX_WORDS:
        raise TableError(
            f"Column {column.name!r} has {len(values):,} different values, such as {values[0]!r}: a column "
            "with the parts has a few, for training, validation and test."
        )
    named = join([repr(shorten(value, 30)) for value in values[:12]], len(values))
    for value in chosen:
        if value not in values:
            raise TableError(f"Column {column.name!r} has no value {value!r}: it has {named}.")
    found = {value: chosen.get(value) or guess_part(value) for value in values}
    unknown = [repr(shorten(value, 30)) for value, part in found.items() if part is None]
    if unknown:
        raise TableError(
            f"Column {column.name!r} holds {join(unknown[:12], len(unknown))}, which names no part: say "
            "whether it is train, validation, test or none of them."
        )
    parts: dict[str, Part] = {value: part for value, part in found.items() if part is not None}
    if "train" not in parts.values():
        raise TableError(f"Column {column.name!r} has no training rows: say which value is train.")
    if set(parts.values()) <= {"train", "none"}:
        raise TableError(
            f"Column {column.name!r} has training rows only ({named}): "
            "choose another column, or split at random."
        )
    return parts


def read_times(column: pd.Series) -> np.ndarray:
    """Return numbers in the order of time, NaN where there is none; refuse what is no time."""
    values = numeric_values(column)
    if values is not None:
        return values.astype("float64")
    present = is_present(column)
    times = _to_times(column.where(present))
    bad = np.flatnonzero(present & times.isna().to_numpy())
    if bad.size:
        raise TableError(
            f"Column {column.name!r} holds {shorten(str(column.iloc[bad[0]]), 40)!r} in row "
            f"{column.index[bad[0]]} (the first row is 0), which is no date, time or number: correct it, "
            "empty the cell to set the row aside, or choose another column."
        )
    found = times.astype("datetime64[us, UTC]").astype("int64").to_numpy(dtype="float64")
    return np.where(present, found, np.nan)


def _to_times(column: pd.Series) -> pd.Series:
    """Read dates, ISO first, then with the month and at last with the day in front."""
    if types.is_datetime64_any_dtype(column):
        return pd.to_datetime(column, utc=True)
    best = pd.Series(pd.NaT, column.index, dtype="datetime64[us, UTC]")
    text = column.astype("str").where(column.notna())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for how in ({"format": "ISO8601"}, {}, {"dayfirst": True}, {"format": "mixed"}):
            found = pd.to_datetime(text, errors="coerce", utc=True, **how)
            if found.notna().sum() > best.notna().sum():
                best = found
            if best.notna().sum() == column.notna().sum():
                break
    return best


def read_groups(column: pd.Series) -> np.ndarray:
    """Give numbers to the groups of a column; an empty cell belongs with no other."""
    present = is_present(column)
    codes = pd.factorize(column.where(present), use_na_sentinel=True)[0].astype(np.int64)
    codes[~present] = codes.max(initial=-1) + 1 + np.arange((~present).sum())
    return codes


def read_weights(column: pd.Series, rows: np.ndarray, where: str = "") -> np.ndarray:
    """Return the weights of some rows, given by position; refuse what is no weight."""
    values = numeric_values(column)
    if values is None:
        text = pd.to_numeric(column.astype("str"), errors="coerce")
        bad = np.flatnonzero(text.isna() & is_present(column))
        shown = f", such as {shorten(str(column.iloc[bad[0]]), 40)!r}" if bad.size else ""
        raise TableError(
            f"Column {column.name!r}{where} holds no numbers{shown}: choose another one for the weights."
        )
    weights = values[rows].astype("float64")
    bad = rows[~(np.isfinite(weights) & (weights >= 0))]
    if bad.size:
        value = values[bad[0]]
        what = "no weight" if np.isnan(value) else f"the weight {value:g}"
        raise TableError(
            f"Column {column.name!r}{where} holds {what} in row {bad[0]} (the first row is 0): weights are "
            "numbers of 0 or more."
        )
    if not weights.any():
        raise TableError(
            f"Column {column.name!r}{where} weighs every row 0: choose another one for the weights."
        )
    return weights
