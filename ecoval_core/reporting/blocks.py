"""What a report consists of, before it is HTML: sections of text, facts, tables and figures.

Text of the user's (names, labels, cells) goes through :func:`said`; the template escapes whatever is no
``Markup``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup
from pandas.api import types

from ecoval_core.text import DASH, MINUS, count_of, number

MAX_LETTERS = 100


class Block:
    """Part of a section."""

    @property
    def kind(self) -> str:
        """How the template tells the parts apart."""
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Text(Block):
    """A paragraph."""

    words: str


@dataclass(frozen=True)
class Notice(Block):
    """A sentence that must not be overlooked; `tone` is "warning", "good" or "plain"."""

    words: str
    tone: str = "warning"


@dataclass(frozen=True)
class Facts(Block):
    """Terms, each with what it is here."""

    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Card:
    """A headline figure with its unit or share, and a sentence that explains it."""

    title: str
    figure: str
    unit: str
    words: str


@dataclass(frozen=True)
class Cards(Block):
    """Headline figures side by side."""

    cards: Sequence[Card]


@dataclass(frozen=True)
class Grid(Block):
    """A table; numbers are aligned to the right, and the first column heads its row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    # Columns of numbers: all but the first, if they are not named.
    numbers: Collection[str] = ()


@dataclass(frozen=True)
class Plot(Block):
    """A figure as JSON, light and what differs in the dark, and the same in words or as a table."""

    id: str
    title: str
    caption: str
    # What it shows, for those who do not see it.
    alt: str
    data: str
    instead: Grid | Text


@dataclass(frozen=True)
class Download(Block):
    """Text that is shown and can be saved as a file."""

    title: str
    file_name: str
    link: str
    text: str


@dataclass(frozen=True)
class Section:
    """A part of the report with its heading."""

    id: str
    title: str
    blocks: Sequence[Block]


def without_controls(text: str) -> str:
    """Replace what is no text; some of it ends a page for a parser."""
    return "".join(c if c >= "\xa0" or c.isprintable() or c == "\n" else "\ufffd" for c in text)


def said(text: object, length: int = MAX_LETTERS) -> Markup:
    """Write text of the user's: on one line, cut to a length, escaped, its direction kept to itself."""
    line = " ".join(str(text).split())
    line = line if len(line) <= length else line[: length - 1] + "…"
    return Markup("<bdi>{}</bdi>").format(without_controls(line))


def cell(value: Any) -> str:
    """Write a cell of the user's table: numbers as numbers, other things as text."""
    is_number = types.is_number(value) and not types.is_bool(value) and not types.is_complex(value)
    if not is_number:
        return DASH if types.is_scalar(value) and pd.isna(value) else said(value, 60)
    if types.is_integer(value):
        return f"{value:,}".replace("-", MINUS)
    return number(float(value), 6, trim=True)


def more(n_all: int, n_shown: int, noun: str = "row", plural: str = "") -> str:
    """Say how many are not shown; nothing if all are."""
    left = n_all - n_shown
    return f"And {count_of(left, f'more {noun}', plural and f'more {plural}')}." if left > 0 else ""
