"""Mending categories: spellings of one category become one, marks of missing values become missing."""

import re
import unicodedata
from collections.abc import Mapping

import numpy as np
import pandas as pd

from ecoval_core.tables.limits import shorten
from ecoval_core.tables.mends import (
    MARKS_AMONG_CATEGORIES,
    Mend,
    is_mark,
    join,
    quote,
    stand_for_missing,
    these,
    tidy,
)

MAX_CATEGORIES = 1_000


def spelling_key(text: str) -> str:
    """Return what is left of a category when case, blanks and punctuation are set aside.

    Signs that mean something stay: those of numbers and ranges (``-1``, ``10-20``, ``<5``) and of names such
    as C++. Texts of the same key are spellings of one category.
    """
    key = tidy(unicodedata.normalize("NFKC", text)).casefold()
    letter = r"[^\W\d_]"
    key = re.sub(rf"(?<={letter})[\s_\-]+(?=\w)|(?<=\w)[\s_\-]+(?={letter})", " ", key)
    key = re.sub(rf"(?<={letter})\.(?={letter})", "", key)
    stripped = key.strip("\"'`´‘’“”")
    stripped = re.sub(rf"(?<={letter})[.,;:!?]+$", "", stripped)
    return stripped.strip() or key


def suggest_categories(column: str, texts: Mapping[str, int]) -> list[Mend]:
    """Find spellings of one category and marks of missing values.

    Parameters
    ----------
    column : str
        Name of the column.
    texts : mapping of str to int
        How often each text is there.

    Returns
    -------
    mends : list of Mend
        Of kind "missing" and "spelling", at most one of each.
    """
    if len(texts) > min(MAX_CATEGORIES, sum(texts.values()) / 2):
        return []
    name, found = repr(shorten(column)), []
    marks = {text: n for text, n in texts.items() if is_mark(text, MARKS_AMONG_CATEGORIES)}
    if any(tidy(text) == "+" for text in texts):  # beside which a minus is a category
        marks = {}
    if marks and len(marks) < len(texts):
        sentence = f"{name} holds {stand_for_missing(marks)}: empty {these(marks)}."
        emptied = tuple((text, None) for text in sorted(marks))
        found.append(Mend(column, "missing", sentence, sum(marks.values()), emptied))
        texts = {text: n for text, n in texts.items() if text not in marks}

    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(spelling_key(text), []).append(text)
    alike = [group for group in groups.values() if len(group) > 1]
    if not alike:
        return found
    mapping: dict[str, str] = {}
    for group in alike:
        group.sort(key=lambda text: (-texts[text], text != tidy(text), text))
        mapping |= dict.fromkeys(group, tidy(group[0]))
    worst = max(alike, key=lambda group: sum(texts[text] for text in group[1:]))
    named = [f"{quote(text)} ({texts[text]:,})" for text in worst[:4]]
    several = "a category" if len(alike) == 1 else f"{len(alike):,} categories"
    sentence = (
        f"{name} spells {several} in several ways, such as {join(named)}: spell each in its commonest way, "
        f"such as {quote(mapping[worst[0]])}."
    )
    n_cells = sum(texts[text] for text, new in mapping.items() if text != new)
    found.append(Mend(column, "spelling", sentence, n_cells, tuple(sorted(mapping.items()))))
    return found


def mend_categories(column: pd.Series, one: Mend) -> pd.Series:
    """Do a mend of kind "spelling" or "missing"; see `mending.mend`."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    known = dict(one.mapping)
    by_key = {spelling_key(new): new for new in known.values() if new is not None}
    marks = frozenset(tidy(old).casefold() for old in known)

    def change(cell: object) -> object:
        if not isinstance(cell, str):
            return known.get(str(cell), cell) if one.kind == "spelling" else cell
        if one.kind == "missing":
            return None if is_mark(cell, marks) else cell
        return known.get(cell) or by_key.get(spelling_key(cell), cell)

    changes = {cell: change(cell) for cell in column.dropna().unique()}
    mended = column.astype(object).map(changes, na_action="ignore")
    if isinstance(column.dtype, pd.StringDtype):
        return mended.astype(column.dtype)
    return mended.where(mended.notna(), np.nan).infer_objects()
