"""How every part of EcoVal writes numbers, ranks, counts and lists, and text that is cut to fit."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

_ENDINGS = re.compile(r"(\.(csv|tsv|txt|json|jsonl|ndjson|parquet|xlsx?|gz))+$", re.IGNORECASE)
MINUS, DASH = "−", "–"
# Not printable, but without them words of Persian and of Hindi fall apart.
_JOINERS = "\u200c\u200d"


def shorten(text: object, width: int = 60) -> str:
    """Return a value as one line of text of at most `width` characters, for a message."""
    start = str(text)[: 4 * width]
    printable = (sign if sign.isprintable() or sign in _JOINERS else " " for sign in start)
    line = " ".join("".join(printable).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def count_of(count: int, noun: str, plural: str = "") -> str:
    """Return a number and its noun, in the plural where it is one: "1 row", "1,078 rows"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def join(parts: Sequence[str], total: int | None = None) -> str:
    """Return an enumeration: "a, b and c", or "a, b and 7 more" if there are more in `total`."""
    if total is not None and total > len(parts):
        return f"{', '.join(parts)} and {total - len(parts):,} more"
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def rank_of(n_below: int, total: int) -> str:
    """Write the rank of an amount from the nearer end: "27th lowest of 1,078", "highest of 1,078"."""
    n_above = total - n_below
    rank, end = (n_below + 1, "lowest") if n_below < n_above else (n_above, "highest")
    ending = (
        "th" if rank % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    )
    return f"{end} of {total:,}" if rank == 1 else f"{rank:,}{ending} {end} of {total:,}"


def number(amount: float, digits: int = 3, *, signed: bool = False, trim: bool = False) -> str:
    """Write a number with its significant digits and all before the point, with a true minus sign.

    With `trim` zeros at the end go: the amounts of a table, which are not estimates. Only amounts that hardly
    any table holds, below 1e-6 or from 1e15 on, are written as a power of ten.
    """
    if not math.isfinite(amount):
        return DASH
    if amount and not 1e-6 <= abs(amount) < 1e15:
        return known(amount, f"{'+' * signed}.{digits - 1}e")
    text = known(amount, f"{'+' * signed},.{decimals_of(amount, digits)}f")
    return text.rstrip("0").rstrip(".") if trim and "." in text else text


def decimals_of(amount: float, digits: int = 3) -> int:
    """Return how many decimals show an amount with so many significant digits; none for 0."""
    exponent = int(f"{amount:.{digits - 1}e}".partition("e")[2])
    return max(0, digits - 1 - exponent) if amount else 0


def known(amount: float, form: str) -> str:
    """Return an amount in a format of Python's such as ".0%", or a dash where it is not known."""
    if not math.isfinite(amount):
        return DASH
    text = f"{amount:{form}}"
    # What is rounded to nothing has no sign.
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def file_stem(name: str) -> str:
    """Return the name of a table or run as the beginning of file names that every system takes."""
    stem = _ENDINGS.sub("", name)
    return re.sub(r"[^\w-]+", "_", stem)[:60].strip("_") or "table"
