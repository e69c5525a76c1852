"""Siblings: columns that say the same as the target, such as the 0 and 1 of its other classes."""

import re

import numpy as np
import pandas as pd
from pandas.api import types

from ecoval_core.columns.target import holds_nested
from ecoval_core.text import join, shorten

_SEPARATOR = r"[_.=:\-/ ]+"
# How people call what is predicted; of columns with these names several may hold at once.
_TARGET_STEMS = {"target", "label", "labels", "class", "classes", "y", "outcome", "tag", "category"}
MAX_NAMED = 4
_SAMPLE = 1_000


def copies_of_target(frame: pd.DataFrame, target: str) -> dict[str, str]:
    """Propose to leave out the siblings of the target, and columns of its name that say the same."""
    reasons: dict[str, str] = {}
    for columns, is_one_label in _groups_of_flags(frame):
        names = join([repr(shorten(column, 30)) for column in columns[:MAX_NAMED]], len(columns))
        others = [column for column in columns if column != target]
        if target in columns:
            how = "one label" if is_one_label else "labels of the same rows"
            reason = f"{names} are {how}, so it would give the target away"
        elif is_one_label and _says_the_same(_argmax(frame[others]), frame[target]):
            reason = f"{names} are the target {target!r} in columns of 0 and 1"
        else:
            continue
        reasons = dict.fromkeys(others, reason) | reasons
    for column in frame.columns:
        if (
            column != target
            and column not in reasons
            and _shares_name(str(column), target)
            and _says_the_same(frame[column], frame[target])
        ):
            reasons[column] = (
                f"says the same as the target {target!r}, one value for each of its classes"
            )
    return reasons


def _groups_of_flags(frame: pd.DataFrame) -> list[tuple[list[str], bool]]:
    """Find columns of 0 and 1 with one stem, such as ``class_``, that encode one label or several of a row.

    Of one label exactly one is 1 in every row.
    """
    by_stem: dict[str, list[str]] = {}
    for column in (str(name) for name, cells in frame.items() if _is_flag(cells)):
        for match in re.finditer(_SEPARATOR, column):
            if match.end() < len(column):
                by_stem.setdefault(column[: match.end()], []).append(column)
    groups = []
    for stem in sorted(by_stem, key=len):
        columns = by_stem[stem]
        flags = frame[columns].astype("int64")
        is_one_label = bool((flags.sum(axis="columns") == 1).all() and flags.any().all())
        is_target = re.sub(_SEPARATOR, "", stem.lower()) in _TARGET_STEMS
        if len(columns) > 1 and (is_one_label or is_target):
            groups.append((columns, is_one_label))
    return groups


def _is_flag(column: pd.Series) -> bool:
    """Tell whether a column holds nothing but 0 and 1, or truth values."""
    if not types.is_numeric_dtype(column):
        return False
    return bool(column.iloc[:_SAMPLE].isin((0, 1)).all() and column.isin((0, 1)).all())


def _argmax(columns: pd.DataFrame) -> pd.Series:
    return pd.Series(columns.to_numpy(dtype=np.float64).argmax(axis=1), columns.index)


def words_of(name: str) -> list[str]:
    """Return the words of a name such as "defaultNextMonth" or "ID_code", in small letters."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def _shares_name(column: str, target: str) -> bool:
    """Tell whether the words of one name are among those of the other: species and species_code."""
    one, other = set(words_of(column)), set(words_of(target))
    return bool(one and other) and (one <= other or other <= one)


def _says_the_same(cells: pd.Series, target: pd.Series) -> bool:
    """Tell whether each value goes with one class, and each class with one value."""
    both = cells.notna().to_numpy() & target.notna().to_numpy()
    if holds_nested(cells) or holds_nested(target) or not both.any():
        return False
    for n_rows in (_SAMPLE, len(cells)):
        codes, values = pd.factorize(cells[both][:n_rows])
        classes, labels = pd.factorize(target[both][:n_rows])
        n_pairs = len(np.unique(codes * max(1, len(labels)) + classes))
        if not n_pairs == len(values) == len(labels):
            return False
    # Amounts that all differ go with each other whatever they are.
    return 1 < len(labels) <= both.sum() / 2
