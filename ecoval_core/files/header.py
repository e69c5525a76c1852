"""The header of a file: which of its rows hold the names of the columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from ecoval_core.files.limits import TableError

# Rows that are looked at, and what stands for a missing value there.
MAX_ROWS = 200
_MISSING = frozenset(("", "?", "na", "n/a", "nan", "null", "none", "-", "."))
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?\d{1,3}(,\d{3})*([.,]\d+)?")
_MOSTLY = 0.9


class Reading(BaseModel):
    """How a file was read: the rows that hold its names, from 1 and none where it has no header; its sheet.

    The default is what needs no telling: names in the first row that is not blank, of the first sheet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    header: tuple[int, ...] | None = None
    sheet: str | None = None
    sheets: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


USUAL = Reading()


def parse_header(text: str) -> tuple[int, ...]:
    """Read what a user says of a header: "3", "3,4" or "none"."""
    if text.strip().lower() in ("none", "0"):
        return ()
    rows = text.replace(" ", "").split(",")
    if not 1 <= len(rows) <= 2 or not all(row.isdigit() and int(row) for row in rows):
        raise TableError(
            f"The header is {text!r}: give the number of the row with the names, two such as 1,2, or none."
        )
    return tuple(sorted({int(row) for row in rows}))


def say_header(rows: Sequence[int]) -> str:
    """Say which rows hold the names, as :func:`parse_header` takes it."""
    return ",".join(map(str, rows)) or "none"


def find_header(
    rows: Sequence[Sequence[str]], numbers: Sequence[int], chosen: Sequence[int] | None, name: str
) -> tuple[list[str], int, tuple[int, ...] | None]:
    """Return the names of the columns, how many rows end with them, and which hold them as in `Reading`.

    They are in the rows with the `chosen` numbers, or where they seem to be.
    """
    if chosen is None:
        positions = guess_header(rows)
    elif missing := [row for row in chosen if row not in numbers]:
        raise TableError(
            f"{name} has no names in row {missing[0]}: choose another header, or none."
        )
    else:
        positions = [numbers.index(row) for row in chosen]
    top = [rows[i] for i in positions]
    names = _join_names(top, max(map(len, top or rows[:51])))
    header = None if positions == [0] else tuple(numbers[i] for i in positions)
    return names, positions[-1] + 1 if positions else 0, header


def guess_header(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the positions of the rows with the names among the first rows of a file, none blank.

    Titles above the header have few cells. The first full row is data where it holds a number in every
    column of numbers, or words that recur below. A second row of names has words over columns of numbers.
    """
    filled = [[cell.strip() for cell in row] for row in rows[:MAX_ROWS]]
    widths = [sum(map(bool, row)) for row in filled]
    usual = Counter(widths).most_common(1)[0][0]
    first = 0
    if usual > 1:
        first = next(i for i, width in enumerate(widths) if width > max(1, usual / 2))
    # A title with a comma in it is shorter than the names below it.
    while len(filled) > first + 3 and _is_title(filled[first : first + 2], filled[first + 2 :]):
        first += 1
    head, below = filled[first], filled[first + 1 :]
    if _is_data(head, below):
        # Above data, a row with some names is no title.
        has_names = first and widths[first - 1] > 1 and len(filled[first - 1]) == len(head)
        return [first - 1] if has_names else []
    if first and widths[first - 1] > 1 and len(set(head)) < len(head):
        return [first - 1, first]
    if len(below) > 2 and _are_units(below[0], below[1:]):
        return [first, first + 1]
    return [first]


def _over(row: Sequence[str], below: Sequence[Sequence[str]]) -> list[tuple[str, list[str]]]:
    """Pair the cells of a row with what the rows below hold in their columns, missing values aside."""
    columns = (
        [other[i] for other in below if i < len(other) and other[i].lower() not in _MISSING]
        for i in range(len(row))
    )
    return list(zip(row, columns, strict=True))


def _over_numbers(row: Sequence[str], below: Sequence[Sequence[str]]) -> list[str]:
    """Return the cells of a row that stand over columns of numbers."""
    return [
        cell
        for cell, cells in _over(row, below)
        if cells and sum(map(_is_number, cells)) >= _MOSTLY * len(cells)
    ]


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None


def _is_data(head: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Tell whether a row is one of the rows below it."""
    numbers = [cell for cell in _over_numbers(head, below) if cell.lower() not in _MISSING]
    if numbers:
        return all(map(_is_number, numbers)) and not _are_numbered(numbers)
    # Of what differs in nearly every row, such as free text, nothing recurs.
    recurs = [
        cell in cells
        for cell, cells in _over(head, below)
        if cell.lower() not in _MISSING and len(cells) > 2 and len(set(cells)) <= len(cells) * 0.7
    ]
    return sum(recurs) > len(recurs) / 2


def _is_title(pair: Sequence[Sequence[str]], below: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first of two rows is a title, and the second holds names over columns of numbers."""
    title, names = pair
    if len(title) >= len(names) or len(names) != len(below[0]) or not all(names):
        return False
    over = _over_numbers(names, below)
    return bool(over) and not any(map(_is_number, over))


def _are_numbered(names: Sequence[str]) -> bool:
    """Tell whether names count: 0, 1, 2 as columns without names are called, or years."""
    if not all(name.isdigit() for name in names):
        return False
    numbers = [int(name) for name in names]
    counts = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return (counts and len(numbers) > 1) or all(1900 <= number <= 2100 for number in numbers)


def _are_units(second: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Tell whether a second row has words, such as units, over columns of numbers, and recurs nowhere."""
    over = _over_numbers(second, below)
    are_words = not any(cell.lower() in _MISSING or _is_number(cell) for cell in over)
    return (
        len(over) > 1
        and are_words
        and not any(cell in cells for cell, cells in _over(second, below) if cell)
    )


def _join_names(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return the names in one row or two; a name of the upper row holds until the next."""
    padded = [[*(cell.strip() for cell in row), *[""] * (width - len(row))] for row in rows]
    if len(padded) < 2:
        return padded[0] if padded else [f"column_{i}" for i in range(1, width + 1)]
    upper, lower = padded
    if "" in upper and "" not in lower:
        for i in range(1, width):
            upper[i] = upper[i] or upper[i - 1]
    return [" ".join(filter(None, pair)) for pair in zip(upper, lower, strict=True)]
