"""Text for messages: one line of what may be long, a number with its noun, an enumeration."""

from collections.abc import Sequence


def shorten(text: object, width: int = 60) -> str:
    """Return a value as one line of text of at most `width` characters."""
    start = str(text)[: 4 * width]
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in start).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def count_of(count: int, noun: str) -> str:
    """Return a number and its noun, in the plural where it is one: "1 row", "1,200 rows"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def join(parts: Sequence[str], total: int | None = None) -> str:
    """Return an enumeration: "a, b and c", or "a, b and 7 more" if there are more in `total`."""
    if total is not None and total > len(parts):
        return f"{', '.join(parts)} and {total - len(parts):,} more"
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
