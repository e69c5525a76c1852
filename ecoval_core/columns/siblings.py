"""Siblings: columns that say the same as the target, such as the 0 and 1 of its other classes."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api import types

from ecoval_core.text import join, shorten

_SEPARATOR = r"[_.=:\-/ ]+"
# How people call what is predicted; of columns with these names several may hold at once.
_TARGET_STEMS = {"target", "label", "labels", "class", "classes", "y", "outcome", "tag", "category"}
MAX_NAMED = 4
_SAMPLE = 1_000


@dataclass(frozen=True)
class Siblings:
    """Columns of 0 and 1 with one stem, such as ``class_``."""

    stem: str
    columns: tuple[str, ...]
    # Exactly one of them is 1 in every row; otherwise several labels may hold at once.
    is_one_label: bool

    @property
    def names(self) -> str:
        """Name some of the columns."""
        return join(
            [repr(shorten(column, 30)) for column in self.columns[:MAX_NAMED]], len(self.columns)
        )


def find_siblings(frame: pd.DataFrame) -> list[Siblings]:
    """Find columns of 0 and 1 that encode one label, or several labels of the rows."""
    by_stem: dict[str, list[str]] = {}
    for column in map(str, frame.columns):
        for end in (match.end() for match in re.finditer(_SEPARATOR, column)):
            if 0 < end < len(column):
                by_stem.setdefault(column[:end], []).append(column)
    found: list[Siblings] = []
    taken: set[str] = set()
    flags: dict[str, bool] = {}
    for stem in sorted(by_stem, key=len):
        columns = [column for column in by_stem[stem] if column not in taken]
        for column in columns:
            if column not in flags:
                flags[column] = _is_flag(frame[column])
        columns = [column for column in columns if flags[column]]
        if len(columns) < 2:
            continue
        sums = frame[columns].astype("float64").sum(axis="columns")
        is_one_label = bool((sums == 1).all()) and bool((frame[columns].sum() > 0).all())
        if is_one_label or re.sub(_SEPARATOR, "", stem.lower()) in _TARGET_STEMS:
            found.append(Siblings(stem, tuple(columns), is_one_label))
            taken |= set(columns)
    return found


def _is_flag(column: pd.Series) -> bool:
    """Tell whether a column holds nothing but 0 and 1, or truth values."""
    if types.is_bool_dtype(column):
        return not column.isna().any()
    if not types.is_numeric_dtype(column) or types.is_complex_dtype(column):
        return False
    return bool(column.iloc[:_SAMPLE].isin((0, 1)).all() and column.isin((0, 1)).all())


def copies_of_target(frame: pd.DataFrame, target: str) -> dict[str, str]:
    """Propose to leave out the siblings of the target, and columns of its name that say the same."""
    reasons: dict[str, str] = {}
    for group in find_siblings(frame):
        others = [column for column in group.columns if column != target]
        if target in group.columns:
            how = "one label" if group.is_one_label else "labels of the same rows"
            reason = f"{group.names} are {how}, so it would give the target away"
        elif group.is_one_label and _says_the_same(_argmax(frame[others]), frame[target]):
            reason = f"{group.names} are the target {target!r} in columns of 0 and 1"
        else:
            continue
        reasons |= dict.fromkeys(others, reason)
    for column in frame.columns:
        if column != target and column not in reasons and _shares_name(str(column), target):
            cells = frame[column]
            if not _is_hashable(cells) or not _says_the_same(cells, frame[target]):
                continue
            reasons[column] = (
                f"says the same as the target {target!r}, one value for each of its classes"
            )
    return reasons


def _argmax(columns: pd.DataFrame) -> pd.Series:
    return pd.Series(columns.to_numpy(dtype=np.float64).argmax(axis=1), columns.index)


def _is_hashable(cells: pd.Series) -> bool:
    return cells.dtype != object or types.infer_dtype(cells, skipna=True) in (
        "string",
        "boolean",
        "integer",
    )


def _shares_name(column: str, target: str) -> bool:
    """Tell whether the words of one name are among those of the other: species and species_code."""
    one, other = (
        {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
        for name in (column, target)
    )
    return bool(one and other) and (one <= other or other <= one)


def _says_the_same(cells: pd.Series, target: pd.Series) -> bool:
    """Tell whether each value goes with one class, and each class with one value."""
    both = cells.notna().to_numpy() & target.notna().to_numpy()
    if not _is_hashable(target) or not both.any():
        return False
    for n_rows in (_SAMPLE, len(cells)):
        codes, values = pd.factorize(cells[both][:n_rows])
        classes, labels = pd.factorize(target[both][:n_rows])
        n_pairs = len(np.unique(codes * max(1, len(labels)) + classes))
        if not n_pairs == len(values) == len(labels):
            return False
    # Amounts that all differ go with each other whatever they are.
    return 1 < len(labels) <= both.sum() / 2
