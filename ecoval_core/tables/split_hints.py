"""Hints: columns by which the rows should perhaps be split, each for the user to take up or not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pandas.api import types

from ecoval_core.columns.guess import ID_NAME
from ecoval_core.columns.target import holds_nested
from ecoval_core.files.limits import TableError
from ecoval_core.tables.split_columns import complete_words, guess_part, read_times
from ecoval_core.target_type import numeric_values
from ecoval_core.text import number

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
    hints = []
    frame = frame[[column for column in frame if not holds_nested(frame[column])]]
    columns = [str(column) for column in frame if column != target]
    if target not in frame:
        return []
    for column in columns:
        cells = frame[column]
        if _has_parts(cells):
            sentence = f"{column!r} says which rows are for training and which for testing."
            hints.append(Hint("column", column, sentence))
        elif _has_dates(cells):
            sentence = f"{column!r} holds dates: train on the past and measure on what came after."
            hints.append(Hint("time", column, sentence))
    taken = {hint.column for hint in hints}
    groups = [_look_for_groups(frame, column, target) for column in columns if column not in taken]
    found = sorted((one for one in groups if one is not None), key=lambda one: -one[0])
    return hints + [hint for _, hint in found[:2]]


def _has_parts(cells: pd.Series) -> bool:
    if types.is_numeric_dtype(cells) or types.is_datetime64_any_dtype(cells):
        return False
    present = cells.dropna()
    values = present.unique()
    if not 2 <= len(values) <= 5 or "train" not in map(guess_part, values):
        return False
    try:
        complete_words(present)
    except TableError:
        return False
    return True


def _has_dates(cells: pd.Series) -> bool:
    if not types.is_datetime64_any_dtype(cells):
        if not types.is_string_dtype(cells) or types.is_bool_dtype(cells):
            return False
        text = cells.dropna().iloc[:1_000].astype("str")
        if text.empty or text.str.fullmatch(_DATE).mean() < 1:
            return False
    try:
        times = read_times(cells)
    except TableError:
        return False
    return len(np.unique(times[~np.isnan(times)])) >= MIN_GROUPS


def _look_for_groups(frame: pd.DataFrame, column: str, target: str) -> tuple[float, Hint] | None:
    """Return how alike the rows within the values of a column are, with the hint; None where they are not."""
    cells = frame[column]
    numbers = numeric_values(cells)
    if numbers is not None:
        whole = numbers[~np.isnan(numbers)]
        if (
            types.is_bool_dtype(cells)
            or not (np.isfinite(whole) & (whole == np.floor(whole))).all()
        ):
            return None
    elif not (types.is_string_dtype(cells) or isinstance(cells.dtype, pd.CategoricalDtype)):
        return None
    is_named = bool(GROUP_NAME.search(column) or ID_NAME.search(column))
    if numbers is not None and not is_named:
        # Many a measurement is a whole number: only one whose rows stand together may be a group.
        n_runs = 1 + int((numbers[1:] != numbers[:-1]).sum())
        if n_runs > len(cells) / 2 or n_runs > cells.nunique():
            return None
    counts = cells.value_counts()
    counts = counts[counts > 0]
    n_present = int(counts.sum())
    is_grouped = counts[counts > 1].sum() >= MIN_GROUPED_SHARE * n_present
    if n_present < 0.5 * len(cells) or len(counts) < MIN_GROUPS or not is_grouped:
        return None
    if len(counts) > n_present / 2:
        return None
    # Whole groups, not single rows of many.
    kept = counts.index[np.cumsum(counts.to_numpy()[::-1])[::-1] <= MAX_LOOKED_AT]
    rows = frame[cells.isin(kept)] if n_present > MAX_LOOKED_AT else frame[cells.notna()]
    codes = pd.factorize(rows[column])[0]
    if codes.max(initial=0) < MIN_GROUPS - 1:
        return None
    others = [name for name in frame if name not in (column, target)][:MAX_COMPARED]
    shares = [_between(rows[name], codes) for name in others]
    alike = float(np.mean(shares)) if shares else 0.0
    of_target = _between(rows[target], codes)
    enough = ALIKE if is_named else ALIKE_WITHOUT_NAME
    if max(alike, of_target) < enough if is_named else alike < enough:
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
    n_rows, n_groups = len(codes), len(sizes)
    within = total = 0.0
    for column in columns:
        spread = column.var() or 1.0
        mean = np.bincount(codes, column) / sizes
        within += float(np.sum((column - mean[codes]) ** 2)) / spread / max(n_rows - n_groups, 1)
        total += float(np.sum((column - column.mean()) ** 2)) / spread / (n_rows - 1)
    return max(0.0, 1 - within / total) if total > 0 else 0.0
