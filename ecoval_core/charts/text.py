"""How charts write text: numbers, counts, and names cut to fit."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

MINUS = "−"


def number(value: float, *, signed: bool = False) -> str:
    """Write a number with three significant digits and a true minus sign."""
    if not math.isfinite(value):
        return "–"
    if 0 < abs(value) < 1e-6 or abs(value) >= 1e6:
        text = f"{value:+.2e}" if signed else f"{value:.2e}"
    else:
        decimals = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
        text = f"{value:+,.{decimals}f}" if signed and value else f"{value:,.{decimals}f}"
    return text.replace("-", MINUS)


def aligned(values: Sequence[float], *, signed: bool = False) -> list[str]:
    """Write numbers with the same decimals: those that the largest needs for three digits."""
    largest = max((abs(value) for value in values), default=0.0)
    if not largest or largest < 1e-6 or largest >= 1e6:
        return [number(value, signed=signed) for value in values]
    decimals = max(0, 2 - math.floor(math.log10(largest)))
    sign = "+" if signed else ""
    texts = [f"{value:{sign if value else ''},.{decimals}f}" for value in values]
    return [text.replace("-", MINUS) if float(text.replace(",", "")) else "0" for text in texts]


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Write a count with its noun: "1 row", "1,200 rows"."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def with_unit(title: str, unit: str) -> str:
    """Title of what is measured in a unit; without one, the title alone."""
    return f"{title} ({shorten(unit, 40)})" if unit else title


def shorten(text: object, length: int = 24) -> str:
    """Text for a label: on one line, cut to a length, safe within Plotly's mark-up."""
    line = " ".join(str(text).split())
    return html.escape(line if len(line) <= length else line[: length - 1] + "…", quote=False)


def short_names(names: Sequence[object], length: int = 24) -> list[str]:
    """Shorten names for a list; where that makes two alike, all that were cut keep their ends."""
    short = [shorten(name, length) for name in names]
    if len(set(short)) == len(short):
        return short
    lines = [" ".join(str(name).split()) for name in names]
    head = (length - 1) // 2
    tail = length - 1 - head
    cut = [t if len(t) <= length else f"{t[:head]}…{t[-tail:]}" for t in lines]
    return [html.escape(text, quote=False) for text in cut]
