"""Worksheets: the cells of a sheet, and the texts they share, out of their XML."""

import re
from collections.abc import Callable
from datetime import datetime, time, timedelta
from xml.parsers import expat

from ecoval_core.tables import limits
from ecoval_core.tables.limits import MISSING_WORDS, check_bytes, check_size
from ecoval_core.tables.workbook_parts import (
    DamagedWorkbookError,
    Parts,
    check_depth,
    local_name,
    refuse_cells,
)

_LAST_COLUMN = 16_384

Cell = str | int | float | bool | datetime | time | timedelta
Columns = dict[int, tuple[list[int], list[Cell]]]


def read_strings(parts: Parts, path: str) -> list[str]:
    """Return the texts that cells refer to by number.

    Parameters
    ----------
    parts : Parts
        The workbook.
    path : str
        The part with the texts.

    Returns
    -------
    strings : list of str
    """
    parts.check(path, limits.MAX_BYTES)
    strings: list[str] = []
    runs: list[str] = []
    depth, n_bytes, is_reading_aid = 0, 0, False
    parser = expat.ParserCreate()

    def start(tag: str, _: dict[str, str]) -> None:
        nonlocal depth, is_reading_aid
        depth += 1
        local = local_name(tag)
        if local == "t":
            parser.CharacterDataHandler = None if is_reading_aid else runs.append
        elif local == "rPh":
            is_reading_aid = True
        check_depth(depth)

    def end(tag: str) -> None:
        nonlocal depth, is_reading_aid, n_bytes
        depth -= 1
        local = local_name(tag)
        if local == "t":
            parser.CharacterDataHandler = None
        elif local == "rPh":
            is_reading_aid = False
        elif local == "si":
            strings.append("".join(runs))
            runs.clear()
            n_bytes += _memory(strings[-1])
            check_bytes(n_bytes, parts.name, "of text")

    parts.parse(path, start, end, parser)
    return strings


def _memory(text: str) -> int:
    return len(text) if text.isascii() else 4 * len(text)


class Values:
    """What the text of a cell means."""

    def __init__(
        self, strings: list[str], style_kind: Callable[[str], str], is_1904: bool, name: str
    ) -> None:
        from openpyxl.utils import datetime as dates

        self._strings, self._style_kind, self._name = strings, style_kind, name
        self._from_excel, self._from_iso = dates.from_excel, dates.from_ISO8601
        self._epoch = dates.MAC_EPOCH if is_1904 else dates.WINDOWS_EPOCH
        self._dates: dict[tuple[str, str], Cell | None] = {}
        self._n_bytes = 0

    def convert(self, kind: str, style: str, text: str) -> Cell | None:
        """Return the value of a cell, None for a missing one."""
        if kind == "n":
            shown = self._style_kind(style) if style else ""
            return self._to_date(text, shown) if shown else _to_number(text)
        if kind == "s":
            index = int(text)
            if index < 0:
                raise DamagedWorkbookError("a text before the first")
            return self._count(self._strings[index])
        if kind in ("str", "inlineStr"):
            return self._count(text)
        if kind == "b":
            return text.strip() in ("1", "true")
        if kind == "d":
            return self._from_iso(text)
        if kind == "e":
            return None
        raise DamagedWorkbookError(f"a cell of kind {kind[:20]!r}")

    def _to_date(self, text: str, shown: str) -> Cell | None:
        if (text, shown) not in self._dates:
            try:
                date = self._from_excel(float(text), self._epoch, timedelta=shown == "duration")
            except (OverflowError, ValueError):
                date = None  # as Excel, which shows ####
            if len(self._dates) > 50_000:
                self._dates.clear()
            self._dates[text, shown] = date
        return self._dates[text, shown]

    def _count(self, text: str) -> str | None:
        if text in MISSING_WORDS:
            return None
        self._n_bytes += _memory(text)
        if self._n_bytes > limits.MAX_BYTES:
            check_bytes(self._n_bytes, self._name, "of text")
        return text


def _to_number(text: str) -> int | float:
    # A whole number of more digits than a float holds is an id that some program wrote.
    if len(text) <= 18 and text.isdecimal():
        return int(text)
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**63 else number


def read_cells(parts: Parts, path: str, values: Values) -> Columns:
    """Return the filled cells by column: the numbers of their rows, and their values.

    Parameters
    ----------
    parts : Parts
        The workbook.
    path : str
        The part with the sheet.
    values : Values
        What the cells mean.

    Returns
    -------
    columns : dict of int to (list of int, list of object)

    Raises
    ------
    TableError
        If there are too many rows, columns or cells.
    """
    parts.check(path, limits.MAX_BYTES)
    name = parts.name
    columns: Columns = {}
    numbers_of_letters: dict[str, int] = {}
    runs: list[str] = []
    add, convert = runs.append, values.convert
    depth = row = column = n_cells = n_rows = filled_row = 0
    kind, style = "n", ""
    is_reading_aid = False
    parser = expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, row, column, kind, style, is_reading_aid
        depth += 1
        if tag not in _TAGS:
            tag = local_name(tag)
        if tag == "c":
            reference = attributes.get("r")
            if reference is None:
                column += 1
            else:
                letters = reference.rstrip("0123456789")
                if letters not in numbers_of_letters:
                    numbers_of_letters[letters] = _column_number(letters)
                column = numbers_of_letters[letters]
            kind = attributes.get("t", "n")
            style = attributes.get("s", "")
            runs.clear()
        elif tag == "v":
            parser.CharacterDataHandler = add
        elif tag == "t":
            parser.CharacterDataHandler = None if is_reading_aid else add
        elif tag == "row":
            number = attributes.get("r")
            row = int(number) if number else row + 1
            column = 0
        elif tag == "rPh":
            is_reading_aid = True
        check_depth(depth)

    def end(tag: str) -> None:
        nonlocal depth, n_cells, n_rows, filled_row, is_reading_aid
        depth -= 1
        if tag not in _TAGS:
            tag = local_name(tag)
        if tag in ("v", "t"):
            parser.CharacterDataHandler = None
        elif tag == "rPh":
            is_reading_aid = False
        elif tag == "c" and runs:
            value = convert(kind, style, runs[0] if len(runs) == 1 else "".join(runs))
            runs.clear()
            if value is None:
                return
            if column not in columns:
                columns[column] = ([], [])
                check_size(n_rows - 1, len(columns), name)
            if row != filled_row:
                n_rows += 1
                filled_row = row
                check_size(n_rows - 1, len(columns), name)
            n_cells += 1
            if n_cells > limits.MAX_SHEET_CELLS:
                refuse_cells(name)
            rows, found = columns[column]
            rows.append(row)
            found.append(value)

    parts.parse(path, start, end, parser)
    return columns


_TAGS = frozenset(("c", "v", "t", "row", "rPh", "is", "f"))


def _column_number(letters: str) -> int:
    if not re.fullmatch("[A-Z]{1,3}", letters):
        raise DamagedWorkbookError(f"a cell named {letters[:20]!r}")
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - 64
    if number > _LAST_COLUMN:
        raise DamagedWorkbookError("a column beyond the last")
    return number
