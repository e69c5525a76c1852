"""Cleaning: notice what keeps a column from being what it is, and fix it when asked.

Three spellings of one category, a question mark among numbers, percent signs and currencies: each
is noticed by `suggest_fixes`, said in a sentence and done by `clean`, and by nothing else. A `Fix`
goes into a recipe and cleans other rows alike.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Literal

import numpy as np
import pandas as pd
from pandas.api import types
from pydantic import BaseModel, ConfigDict, Field

from ecoval_core.columns.clean_numbers import (
    DECIMALS,
    is_bare,
    is_code,
    read_numbers,
)
from ecoval_core.columns.target import are_whole
from ecoval_core.text import count_of, join, shorten

# Of categories: spellings, and marks of missing values. Of numbers: those that are text for percent signs;
# for currencies, grouped digits or decimal commas; for blanks or marks; or for a few cells.
Kind = Literal["spelling", "missing", "percent", "amount", "number", "stray"]
# What people write where they have no value. In a column of numbers it is any of them; in one of
# categories only those that can be no category.
MARKS_AMONG_CATEGORIES = frozenset(
    ("", "?", "??", "-", "--", "---", "–", "—", ".", "..", "n/a", "na", "n.a.", "n.a", "n/k", "nk", "null",
     "(null)", "nan", "<na>", "(blank)", "undefined", "\\n", "#n/a", "#value!", "#ref!", "#div/0!", "#name?",
     "#num!", "#null!")
)  # fmt: skip
MISSING_MARKS = MARKS_AMONG_CATEGORIES | frozenset(
    ("*", "none", "nil", "missing", "unknown", "not available", "not applicable", "blank", "empty")
)
MAX_CATEGORIES = 1_000
# A column is one of numbers if this share of its cells are.
NUMBER_SHARE = 0.9
MAX_STRAYS = 50
_SAMPLE = 300


class Fix(BaseModel):
    """One thing to fix in one column: made by `suggest_fixes`, done by `clean`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    kind: Kind
    # What was noticed, with counts and examples, and what the fix does, for the user.
    sentence: str
    # Cells that become other ones.
    n_cells: int = Field(strict=True)
    # What each of these texts becomes, None for missing. Other texts of a column of numbers become
    # the number that they spell, with this sign before the decimals.
    mapping: tuple[tuple[str, str | None], ...]
    decimal: Literal[".", ","] = "."


def suggest_fixes(frame: pd.DataFrame) -> tuple[Fix, ...]:
    """Find what could be fixed in the columns of text, in their order.

    A column of categories may have two fixes, one of numbers has one; empty if nothing was noticed.
    """
    fixes: list[Fix] = []
    for column in frame.columns:
        texts = _count_texts(frame[column])
        if not texts:
            continue
        numbers = suggest_numbers(str(column), texts, frame[column])
        fixes += [numbers] if numbers else suggest_categories(str(column), texts)
    return tuple(fixes)


def clean(frame: pd.DataFrame, fixes: Iterable[Fix]) -> pd.DataFrame:
    """Return the frame with fixes done, in their order; those of absent columns are passed over.

    It may be another frame than they were suggested for, such as new rows of the same kind: of a
    column of numbers every cell that spells none becomes missing, and a category that differs from
    a known one in nothing but its spelling becomes that. Fixed categories are text; fixed numbers
    int64, or float64 where some have decimals or are missing.
    """
    cleaned = frame.copy(deep=False)
    for fix in fixes:
        if fix.column in cleaned:
            work = fix_categories if fix.kind in ("spelling", "missing") else fix_numbers
            cleaned[fix.column] = work(plain_categories(cleaned[fix.column]), fix)
    return cleaned


def _count_texts(column: pd.Series) -> dict[str, int]:
    """Count the different texts of a column, most frequent first; none if it is not of text."""
    cells = plain_categories(column).dropna()
    if cells.dtype == object:  # a column of a workbook may mix text and numbers
        kinds = set(map(type, cells))
        if str not in kinds or any(not issubclass(one, str | Number) for one in kinds):
            return {}
        cells = cells.map(str)
    elif not isinstance(cells.dtype, pd.StringDtype):
        return {}
    return {str(text): n for text, n in cells.value_counts().items()}


# --- Categories ----------------------------------------------------------------------------


def spelling_key(text: str) -> str:
    """Return what is left of a category when case, blanks and punctuation are set aside.

    Signs that mean something stay: those of numbers and ranges (``-1``, ``10-20``, ``<5``) and of
    names such as C++. Texts of the same key are spellings of one category.
    """
    key = tidy(unicodedata.normalize("NFKC", text)).casefold()
    letter = r"[^\W\d_]"
    key = re.sub(rf"(?<={letter})[\s_\-]+(?=\w)|(?<=\w)[\s_\-]+(?={letter})", " ", key)
    key = re.sub(rf"(?<={letter})\.(?={letter})", "", key)
    stripped = key.strip("\"'`´‘’“”")
    stripped = re.sub(rf"(?<={letter})[.,;:!?]+$", "", stripped)
    return stripped.strip() or key


def suggest_categories(column: str, texts: Mapping[str, int]) -> list[Fix]:
    """Find marks of missing values and spellings of one category, given how often each text is."""
    if len(texts) > min(MAX_CATEGORIES, sum(texts.values()) / 2):
        return []
    name, fixes = repr(shorten(column)), []
    marks = {text: n for text, n in texts.items() if is_mark(text, MARKS_AMONG_CATEGORIES)}
    if any(tidy(text) == "+" for text in texts):  # beside which a minus is a category
        marks = {}
    if marks and len(marks) < len(texts):
        named = [f"{quote(text)} in {count_of(n, 'row')}" for text, n in marks.items()]
        sentence = f"{name} holds {join(named[:3], len(named))} for missing values: empty them."
        fixes.append(
            Fix(column=column, kind="missing", sentence=sentence, n_cells=sum(marks.values()),
                mapping=tuple((text, None) for text in sorted(marks)))
        )  # fmt: skip
        texts = {text: n for text, n in texts.items() if text not in marks}

    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(spelling_key(text), []).append(text)
    alike = [group for group in groups.values() if len(group) > 1]
    if not alike:
        return fixes
    mapping: dict[str, str] = {}
    for group in alike:
        group.sort(key=lambda text: (-texts[text], text != tidy(text), text))
        mapping |= dict.fromkeys(group, tidy(group[0]))
    worst = max(alike, key=lambda group: sum(texts[text] for text in group[1:]))
    spellings = join([f"{quote(text)} ({texts[text]:,})" for text in worst[:4]])
    several = "a category" if len(alike) == 1 else f"{len(alike):,} categories"
    sentence = (
        f"{name} spells {several} in several ways, such as {spellings}: spell each in its "
        f"commonest way, such as {quote(mapping[worst[0]])}."
    )
    n_cells = sum(texts[text] for text, new in mapping.items() if text != new)
    fixes.append(
        Fix(column=column, kind="spelling", sentence=sentence, n_cells=n_cells,
            mapping=tuple(sorted(mapping.items())))
    )  # fmt: skip
    return fixes


def fix_categories(column: pd.Series, fix: Fix) -> pd.Series:
    """Do a fix of kind "spelling" or "missing"."""
    new_texts = dict(fix.mapping)
    by_key = {spelling_key(new): new for new in new_texts.values() if new is not None}
    marks = frozenset(tidy(old).casefold() for old in new_texts)

    def change(cell: object) -> object:
        text = str(cell)
        if fix.kind == "missing":
            return None if is_mark(text, marks) else cell
        return new_texts.get(text) or by_key.get(spelling_key(text), cell)

    changes = {cell: change(cell) for cell in column.dropna().unique()}
    fixed = column.astype(object).map(changes, na_action="ignore")
    if isinstance(column.dtype, pd.StringDtype):
        return fixed.astype(column.dtype)
    return fixed.where(fixed.notna(), np.nan).infer_objects()


# --- Numbers -------------------------------------------------------------------------------


def suggest_numbers(column: str, texts: Mapping[str, int], cells: pd.Series) -> Fix | None:
    """Find a column of numbers that is text for its signs or for a few cells."""
    decimal = _find_decimal(texts)
    if decimal is None:
        return None
    numbers = dict(zip(texts, read_numbers(list(texts), decimal), strict=True))
    written = {text: n for text, n in texts.items() if not np.isnan(numbers[text])}
    strays = {text: n for text, n in texts.items() if text not in written}
    marks = {text: n for text, n in strays.items() if is_mark(text)}
    others = {text: n for text, n in strays.items() if text not in marks}
    n_good, n_strays = sum(written.values()), sum(strays.values())
    is_numeric = n_good >= NUMBER_SHARE * (n_good + sum(others.values()))
    if not is_numeric or len(written) < 2 or len(strays) > MAX_STRAYS or any(map(is_code, written)):
        return None
    percentages = {text for text in written if "%" in text}
    n_percent = sum(written[text] for text in percentages)
    shares = [abs(numbers[text]) <= 1 for text in written if text not in percentages]
    if percentages and shares and (all(shares) or n_percent < n_good / 2):
        return None  # 0.12 beside 12 % may be the same or not

    is_plain = decimal == "." and all(map(is_bare, written))
    kind: Kind = (
        "percent" if percentages else "amount" if not is_plain else "stray" if others else "number"
    )
    plural = {"percent": "percentages", "amount": "amounts"}.get(kind, "numbers")
    typical = next((text for text in written if not is_bare(text)), next(iter(written)))
    sentence = (
        f"{shorten(column)!r} holds {plural} as text in {count_of(n_good, 'row')}, such as "
        f"{quote(typical)}: read them as numbers ({numbers[typical]:.10g})"
    )
    if strays:
        stray = next(iter(others or marks))
        row = int((cells.astype(object).map(str) == stray).to_numpy().argmax())
        sentence += (
            f", and empty {count_of(n_strays, 'cell')} without a number, such as {quote(stray)} in row "
            f"{row} (the first row is 0)"
        )
    return Fix(
        column=column, kind=kind, sentence=f"{sentence}.", decimal=decimal,
        n_cells=n_strays if is_plain and strays else n_good + n_strays,
        mapping=tuple((text, None) for text in sorted(strays)),
    )  # fmt: skip


def _find_decimal(texts: Mapping[str, int]) -> Literal[".", ","] | None:
    """Return the decimal sign with which most of the frequent cells are numbers, if many are."""
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


def fix_numbers(column: pd.Series, fix: Fix) -> pd.Series:
    """Do a fix of any kind of numbers."""
    if types.is_numeric_dtype(column):
        return column
    texts = [cell for cell in column.dropna().unique() if isinstance(cell, str)]
    changes: dict[object, float] = dict(zip(texts, read_numbers(texts, fix.decimal), strict=True))
    changes |= dict.fromkeys((text for text, _ in fix.mapping), np.nan)
    cells = column.astype(object).map(lambda cell: changes.get(cell, cell))
    numbers = pd.to_numeric(cells, errors="coerce").astype("float64")
    return numbers.astype("int64") if are_whole(numbers.to_numpy()) else numbers


# --- Cells and words -----------------------------------------------------------------------


def plain_categories(column: pd.Series) -> pd.Series:
    """Return a column of categories as one of what the categories are; any other as it is."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype(column.cat.categories.dtype)
    return column


def tidy(text: str) -> str:
    """Take away blanks at the ends and doubled ones within."""
    return " ".join(text.split())


def is_mark(text: str, marks: frozenset[str] = MISSING_MARKS) -> bool:
    """Tell whether a text is one of the marks, case and blanks aside."""
    return tidy(text).casefold() in marks


def quote(text: str) -> str:
    """Return a cell in quotation marks, its blanks in sight."""
    return repr(shorten(text, 30) if text == tidy(text) else text[:30])
