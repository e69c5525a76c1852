"""What a report consists of, before it is HTML: sections of text, facts, tables and figures.

Text of the user's (names, labels, cells) goes through :func:`said`; the template escapes whatever is no
``Markup``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
from markupsafe import Markup
from pandas.api import types

from ecoval_core.text import DASH, MINUS

MAX_LETTERS = 100


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    words: str


@dataclass(frozen=True)
class Notice:
    """A sentence that must not be overlooked; `tone` is "warning", "good" or "plain"."""

    kind: ClassVar[str] = "notice"
    words: str
    tone: str = "warning"


@dataclass(frozen=True)
class Facts:
    """Terms, each with what it is here."""

    kind: ClassVar[str] = "facts"
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Card:
    """A headline figure with its unit or share, and a sentence that explains it."""

    title: str
    figure: str
    unit: str
    words: str


@dataclass(frozen=True)
class Cards:
    """Headline figures side by side."""

    kind: ClassVar[str] = "cards"
    cards: Sequence[Card]


@dataclass(frozen=True)
class Grid:
    """A table; columns named in `numbers` are aligned to the right, the first column heads its row."""

    kind: ClassVar[str] = "grid"
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[str] = frozenset()
    note: str = ""


@dataclass(frozen=True)
class Plot:
    """A figure, and the same in words or as a table for readers without scripts.

    Attributes
    ----------
    id : str
        Names the figure in the page.
    title, caption : str
        Above and below it.
    alt : str
        What it shows, for those who do not see it.
    data : str
        Figure as JSON, see :func:`ecoval_core.reporting.figures.drawn`.
    height : int
        Pixels.
    instead : Grid or Text
        Stands for the figure.
    """

    kind: ClassVar[str] = "plot"
    id: str
    title: str
    caption: str
    alt: str
    data: str
    height: int
    instead: Grid | Text


@dataclass(frozen=True)
class Download:
    """Text that is shown and can be saved as a file."""

    kind: ClassVar[str] = "download"
    title: str
    file_name: str
    link: str
    text: str


Block = Text | Notice | Facts | Cards | Grid | Plot | Download


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
    return known(float(value), ",.6g")


def known(amount: float, form: str) -> str:
    """Write an amount in a format of Python's, or a dash where it is not known."""
    return f"{amount:{form}}".replace("-", MINUS) if math.isfinite(amount) else DASH


def counted(n: int, noun: str, plural: str = "") -> str:
    """Write a count with its noun: "1 row", "1,200 rows"."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listed(parts: Iterable[str], limit: int = 8) -> Markup:
    """Join parts by commas, with a count of those beyond a limit."""
    parts = list(parts)
    shown = Markup(", ").join(parts[:limit])
    return shown if len(parts) <= limit else shown + f" and {len(parts) - limit:,} more"


def more(n_all: int, n_shown: int, noun: str = "row", plural: str = "") -> str:
    """Say how many are not shown; nothing if all are."""
    left = n_all - n_shown
    return f"And {left:,} more {noun if left == 1 else plural or noun + 's'}." if left > 0 else ""
