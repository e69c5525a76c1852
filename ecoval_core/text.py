"""How every part of EcoVal writes counts, lists, signs, and text that is cut to fit."""

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


def known(amount: float, form: str) -> str:
    """Return an amount in a format of Python's such as ".0%", or a dash where it is not known."""
    return f"{amount:{form}}".replace("-", MINUS) if math.isfinite(amount) else DASH


def file_stem(name: str) -> str:
    """Return the name of a table or run as the beginning of file names that every system takes."""
    stem = _ENDINGS.sub("", name)
    return re.sub(r"[^\w-]+", "_", stem)[:60].strip("_") or "table"
