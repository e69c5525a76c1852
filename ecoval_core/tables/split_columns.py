"""Columns that split: the parts, times, groups and weights of rows that a column holds, and hints at them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from pandas.api import types

from ecoval_core.columns.clean import plain_categories
from ecoval_core.columns.guess import ID_NAME
from ecoval_core.columns.target import holds_nested, is_present
from ecoval_core.files.limits import TableError
from ecoval_core.target_type import numeric_values
from ecoval_core.text import join, number, shorten

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
# What the rows of a group are often of; a name alone points nothing out.
GROUP_NAME = re.compile(
    r"(?i)(^|[\W_])(patient|subject|person|participant|respondent|customer|client|user|member|player|"
    r"household|family|session|document|doc|article|author|speaker|writer|group|site|batch|school|store|"
    r"device|machine|sensor|animal|case|match|game|query|account|company|well|field|plot|tree|donor|"
    r"ticket|order|trip|route|scene|video|recording)s?([\W_]?(id|no|nr|number|name|code))?($|[\W_])"
)
MIN_GROUPS, MIN_GROUPED_SHARE = 8, 0.8
# Share of the variance that is between the groups, beyond what chance would put there.
ALIKE, ALIKE_WITHOUT_NAME = 0.2, 0.7
MAX_LOOKED_AT, MAX_COMPARED = 20_000, 30
_DATE = r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([T ].*)?\s*"


def guess_part(value: object) -> Part | None:
    """Return the part that a word stands for, or None."""
    return _PART_OF.get("".join(letter for letter in str(value).casefold() if letter.isalpha()))


def complete_words(column: pd.Series, chosen: Mapping[str, Part] | None = None) -> dict[str, Part]:
    """Return the part of each value of a column: as chosen, or else as its word is understood."""
    chosen = chosen or {}
    values = [str(value) for value in column[is_present(column)].unique()]
    found = {value: chosen.get(value) or guess_part(value) for value in values}
    parts: dict[str, Part] = {value: part for value, part in found.items() if part is not None}
    named = join([repr(shorten(value, 30)) for value in values[:12]], len(values))
    unknown = [repr(shorten(value, 30)) for value in values if value not in parts]
    if len(values) > MAX_WORDS:
        problem = (
            f"has {len(values):,} different values, such as {values[0]!r}: a column with the parts has a "
            "few, for training, validation and test"
        )
    elif absent := [value for value in chosen if value not in values]:
        problem = f"has no value {absent[0]!r}: it has {named}"
    elif unknown:
        problem = (
            f"holds {join(unknown[:12], len(unknown))}, which names no part: say whether it is train, "
            "validation, test or none of them"
        )
    elif "train" not in parts.values():
        problem = "has no training rows: say which value is train"
    elif set(parts.values()) <= {"train", "none"}:
        problem = f"has training rows only ({named}): choose another column, or split at random"
    else:
        return parts
    raise TableError(f"Column {column.name!r} {problem}.")


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


# --- Hints ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hint:
    """A column by which the rows could be split, and why."""

    kind: Literal["groups", "time", "column"]
    column: str
    sentence: str


def suggest_splits(frame: pd.DataFrame, target: str) -> list[Hint]:
    """Point out columns with parts, with dates, and with groups of rows that seem to belong together.

    A column looks like groups if it has many values, most of them in several rows, and the rows of a value
    are more alike, or their targets are, than chance would make them; much more where its name says nothing.
    """
    frame = frame[[column for column in frame if not holds_nested(frame[column])]]
    if target not in frame:
        return []
    hints, groups = [], []
    for column in (str(column) for column in frame if column != target):
        cells = frame[column]
        if _has_parts(cells):
            sentence = f"{column!r} says which rows are for training and which for testing."
            hints.append(Hint("column", column, sentence))
        elif _has_dates(cells):
            sentence = f"{column!r} holds dates: train on the past and measure on what came after."
            hints.append(Hint("time", column, sentence))
        elif group := _look_for_groups(frame, column, target):
            groups.append(group)
    groups.sort(key=lambda one: -one[0])
    return hints + [hint for _, hint in groups[:2]]


def _has_parts(cells: pd.Series) -> bool:
    if types.is_numeric_dtype(cells) or types.is_datetime64_any_dtype(cells):
        return False
    values = cells.dropna().unique()
    if not 2 <= len(values) <= 5 or "train" not in map(guess_part, values):
        return False
    try:
        complete_words(cells)
    except TableError:
        return False
    return True


def _has_dates(cells: pd.Series) -> bool:
    if not types.is_datetime64_any_dtype(cells):
        text = cells.dropna().iloc[:1_000]
        if not types.is_string_dtype(cells) or text.empty or not text.str.fullmatch(_DATE).all():
            return False
    try:
        times = read_times(cells)
    except TableError:
        return False
    return len(np.unique(times[~np.isnan(times)])) >= MIN_GROUPS


def _look_for_groups(frame: pd.DataFrame, column: str, target: str) -> tuple[float, Hint] | None:
    """Return how alike the rows within the values of a column are, with the hint; None where they are not."""
    cells = plain_categories(frame[column])
    is_named = bool(GROUP_NAME.search(column) or ID_NAME.search(column))
    numbers = numeric_values(cells)
    if numbers is not None:
        present = numbers[~np.isnan(numbers)]
        is_whole = bool((np.isfinite(present) & (present == np.floor(present))).all())
        # Many a measurement is a whole number: only one whose rows stand together may be a group.
        n_runs = 1 + int((numbers[1:] != numbers[:-1]).sum())
        stand_together = n_runs <= min(len(cells) / 2, cells.nunique())
        if not is_whole or not (is_named or stand_together):
            return None
    elif not types.is_string_dtype(cells):
        return None
    counts = cells.value_counts()
    n_present = int(counts.sum())
    is_grouped = counts[counts > 1].sum() >= MIN_GROUPED_SHARE * n_present
    is_common = n_present >= len(cells) / 2 and MIN_GROUPS <= len(counts) <= n_present / 2
    if not is_common or not is_grouped:
        return None
    # Whole groups, not single rows of many.
    kept = counts.index[np.cumsum(counts.to_numpy()[::-1])[::-1] <= MAX_LOOKED_AT]
    if len(kept) < MIN_GROUPS:
        return None
    rows = frame[cells.isin(kept)]
    codes = pd.factorize(rows[column])[0]
    others = [name for name in frame if name not in (column, target)][:MAX_COMPARED]
    alike = float(np.mean([_between(rows[name], codes) for name in others] or [0.0]))
    of_target = _between(rows[target], codes)
    if max(alike, of_target) < ALIKE if is_named else alike < ALIKE_WITHOUT_NAME:
        return None
    what = "the target is" if of_target > alike else "rows are"
    size = number(n_present / len(counts), trim=True)
    sentence = (
        f"{column!r} looks like a group: {len(counts):,} values with {size} rows each on average, "
        f"and {what} similar within them. If rows of one group are in several parts, scores are "
        "too optimistic."
    )
    return max(alike, of_target), Hint("groups", column, sentence)


def _between(cells: pd.Series, codes: np.ndarray) -> float:
    """Return the share of the variance of a column that is between groups, less what chance puts there."""
    values = numeric_values(cells)
    if values is None:
        levels = pd.factorize(cells)[0]
        common = np.bincount(levels[levels >= 0], minlength=1).argsort()[::-1][:5]
        columns = [(levels == level).astype(float) for level in common]
    else:
        is_known = ~np.isnan(values)
        columns = [np.where(is_known, values, values[is_known].mean())] if is_known.any() else []
    sizes = np.bincount(codes)
    n_free = max(len(codes) - len(sizes), 1)
    shares = []
    for column in columns:
        if total := column.var(ddof=1):
            mean = np.bincount(codes, column) / sizes
            shares.append(np.sum((column - mean[codes]) ** 2) / n_free / total)
    return max(0.0, 1 - float(np.mean(shares))) if shares else 0.0
