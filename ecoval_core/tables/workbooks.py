"""Workbooks: read the first sheet of an Excel file as a stream, keeping nothing but its filled cells.

openpyxl builds a tree of whatever elements a sheet holds: 43 KB that unpack to ten million empty ones
cost it 0.9 GB and 17 s, and each true cell 7 µs. Expat alone takes 3 µs and no memory, so that it cuts the
XML here, and openpyxl says which number formats are dates and which dates the numbers are.
"""

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime, time, timedelta
from typing import Any, NoReturn
from xml.parsers import expat

import numpy as np
import pandas as pd

from ecoval_core.tables import limits
from ecoval_core.tables.limits import (
    TableError,
    check_bytes,
    check_size,
    column_names,
    refuse,
    refuse_empty,
)

# What pandas takes for missing in text (``na_values`` of `pandas.read_csv`).
MISSING_WORDS = frozenset(
    (
        *(
            "",
            "#N/A",
            "#N/A N/A",
            "#NA",
            "-1.#IND",
            "-1.#QNAN",
            "-NaN",
            "-nan",
            "1.#IND",
            "1.#QNAN",
        ),
        *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    )
)
MAX_PARTS = 20_000
MAX_DEPTH = 64
_PIECE = 2**18
_SMALL_PART = 2**24  # of the list of sheets, its relations, the styles
_MAX_TAG = 2**20
_LAST_COLUMN = 16_384
# A cell is two elements, one with its text in place or a formula three; cells may be blank.
_MAX_ELEMENTS = 4

_Start = Callable[[str, dict[str, str]], None]
_Cell = str | int | float | bool | datetime | time | timedelta
_Columns = dict[int, tuple[list[int], list[_Cell]]]


class _Damaged(Exception):  # noqa: N818 - becomes a TableError of one sentence
    """What cannot be a workbook that Excel or anything like it has written."""


def read_workbook(data: bytes, name: str) -> pd.DataFrame:
    """Read the first sheet of a workbook.

    Parameters
    ----------
    data : bytes
        An .xlsx or .xlsm file.
    name : str
        What messages call the file.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        The first row that is not blank holds the names; blank rows and columns are dropped, and errors
        such as ``#DIV/0!`` are missing. Formulas have the value that was saved with them.

    Raises
    ------
    TableError
        If it is damaged, protected, too large, or has no cell.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(_checked_directory(data))) as archive:
            cells = _read_first_sheet(archive, name)
    except (TableError, MemoryError):
        raise
    except (
        zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, expat.ExpatError, _Damaged,
        ValueError, LookupError,
    ) as error:  # fmt: skip
        refuse(name, "is an Excel workbook that is damaged or protected", error)
    return _to_frame(cells, name)


# --- Parts of the archive ------------------------------------------------------------------


def _checked_directory(data: bytes) -> bytes:
    if data.count(b"PK\x01\x02") > MAX_PARTS:
        raise _Damaged("too many parts")
    return data


def _open(archive: zipfile.ZipFile, path: str, name: str, max_bytes: int) -> zipfile.ZipInfo:
    info = archive.getinfo(path)
    if info.file_size > max_bytes:
        refuse(name, "is an Excel workbook too large to unpack")
    # The other methods unpack a piece as a whole, however large it becomes.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _Damaged("unusual compression")
    return info


def _pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    # zipfile stops at the size that the directory states, whatever is packed.
    with archive.open(info) as part:
        while piece := part.read(_PIECE):
            yield piece


def _check_elements(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> None:
    """Refuse a part of too many elements, or of a tag without end, before it is parsed."""
    n_elements, since_tag = 0, 0
    for piece in _pieces(archive, info):
        n_tags = piece.count(b"<")
        n_elements += n_tags - piece.count(b"</")
        since_tag = 0 if n_tags else since_tag + len(piece)
        if since_tag > _MAX_TAG:
            raise _Damaged("a tag or text without end")
        if n_elements > _MAX_ELEMENTS * limits.MAX_SHEET_CELLS:
            _refuse_size(name)


def _parse(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, start: _Start, end: Callable[[str], None],
    parser: expat.XMLParserType | None = None,
) -> None:  # fmt: skip
    def refuse_definitions(*_: object) -> None:
        raise _Damaged("definitions, which can unfold without limit")

    parser = parser or expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse_definitions
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    for piece in _pieces(archive, info):
        parser.Parse(piece, False)
    parser.Parse(b"", True)


def _refuse_size(name: str) -> NoReturn:
    raise TableError(
        f"{name} has more than {limits.MAX_SHEET_CELLS:,} cells, the limit for Excel: save the table as CSV "
        "(UTF-8) or Parquet and load that."
    )


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]


def _read_first_sheet(archive: zipfile.ZipFile, name: str) -> _Columns:
    rooms = _Rooms()
    _parse_small(archive, "xl/workbook.xml", rooms.start_workbook, name)
    _parse_small(archive, "xl/_rels/workbook.xml.rels", rooms.start_relation, name)
    sheet = next((rooms.paths[key] for key in rooms.sheets if key in rooms.paths), None)
    if sheet is None:
        raise _Damaged("no sheet")
    styles = _Styles()
    if rooms.styles in archive.NameToInfo:
        _parse_small(archive, rooms.styles, styles.start, name)
    strings: list[str] = []
    if rooms.strings in archive.NameToInfo:
        strings = _read_strings(archive, rooms.strings, name)
    info = _open(archive, sheet, name, limits.MAX_BYTES)
    _check_elements(archive, info, name)
    return _read_cells(archive, info, _Values(strings, styles, rooms.is_1904, name), name)


def _parse_small(archive: zipfile.ZipFile, path: str, start: _Start, name: str) -> None:
    info = _open(archive, path, name, _SMALL_PART)
    _check_elements(archive, info, name)
    _parse(archive, info, start, lambda _: None)


class _Rooms:
    """Where the parts of a workbook are."""

    def __init__(self) -> None:
        self.sheets: list[str] = []
        self.paths: dict[str, str] = {}
        self.strings = self.styles = ""
        self.is_1904 = False

    def start_workbook(self, tag: str, attributes: dict[str, str]) -> None:
        if _local(tag) == "sheet":
            self.sheets += [value for key, value in attributes.items() if key.endswith(":id")]
        elif _local(tag) == "workbookPr":
            self.is_1904 = attributes.get("date1904") in ("1", "true")

    def start_relation(self, tag: str, attributes: dict[str, str]) -> None:
        if _local(tag) != "Relationship":
            return
        kind = attributes.get("Type", "").rpartition("/")[2]
        path = posixpath.normpath(posixpath.join("/xl", attributes.get("Target", "")))[1:]
        if kind == "worksheet":
            self.paths[attributes["Id"]] = path
        elif kind == "sharedStrings":
            self.strings = path
        elif kind == "styles":
            self.styles = path


class _Styles:
    """Which cell formats show dates, and which durations."""

    def __init__(self) -> None:
        from openpyxl.styles import numbers

        self.is_date, self.is_duration = numbers.is_date_format, numbers.is_timedelta_format
        self.codes = dict(numbers.BUILTIN_FORMATS)
        self.kinds: list[str] = []
        self._in_formats = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        local = _local(tag)
        if local == "numFmt":
            self.codes[int(attributes["numFmtId"])] = attributes.get("formatCode", "")[:255]
        elif local in ("cellXfs", "cellStyles", "dxfs"):
            self._in_formats = local == "cellXfs"
        elif local == "xf" and self._in_formats:
            code = self.codes.get(int(attributes.get("numFmtId", 0)))
            kind = "duration" if self.is_duration(code) else "date" if self.is_date(code) else ""
            self.kinds.append(kind)

    def kind(self, style: str | None) -> str:
        index = int(style) if style else 0
        return self.kinds[index] if 0 <= index < len(self.kinds) else ""


def _read_strings(archive: zipfile.ZipFile, path: str, name: str) -> list[str]:
    """Return the texts that cells refer to by number."""
    info = _open(archive, path, name, limits.MAX_BYTES)
    _check_elements(archive, info, name)
    strings: list[str] = []
    runs: list[str] = []
    depth, n_bytes, is_reading_aid = 0, 0, False
    parser = expat.ParserCreate()

    def start(tag: str, _: dict[str, str]) -> None:
        nonlocal depth, is_reading_aid
        depth += 1
        local = _local(tag)
        if local == "t":
            parser.CharacterDataHandler = None if is_reading_aid else runs.append
        elif local == "rPh":
            is_reading_aid = True
        if depth > MAX_DEPTH:
            raise _Damaged("elements nested too deep")

    def end(tag: str) -> None:
        nonlocal depth, is_reading_aid, n_bytes
        depth -= 1
        local = _local(tag)
        if local == "t":
            parser.CharacterDataHandler = None
        elif local == "rPh":
            is_reading_aid = False
        elif local == "si":
            strings.append("".join(runs))
            runs.clear()
            n_bytes += _memory(strings[-1])
            check_bytes(n_bytes, name, "of text")

    _parse(archive, info, start, end, parser)
    return strings


def _memory(text: str) -> int:
    return len(text) if text.isascii() else 4 * len(text)


# --- Cells ---------------------------------------------------------------------------------


class _Values:
    """What the text of a cell means."""

    def __init__(self, strings: list[str], styles: _Styles, is_1904: bool, name: str) -> None:
        from openpyxl.utils import datetime as dates

        self._strings, self._styles, self._name = strings, styles, name
        self._from_excel, self._from_iso = dates.from_excel, dates.from_ISO8601
        self._epoch = dates.MAC_EPOCH if is_1904 else dates.WINDOWS_EPOCH
        self._dates: dict[tuple[str, str], _Cell | None] = {}
        self._n_bytes = 0

    def convert(self, kind: str, style: str, text: str) -> _Cell | None:
        if kind == "n":
            shown = self._styles.kind(style) if style else ""
            return self._to_date(text, shown) if shown else _to_number(text)
        if kind == "s":
            index = int(text)
            if index < 0:
                raise _Damaged("a text before the first")
            return self._count(self._strings[index])
        if kind in ("str", "inlineStr"):
            return self._count(text)
        if kind == "b":
            return text.strip() in ("1", "true")
        if kind == "d":
            return self._from_iso(text)
        if kind == "e":
            return None
        raise _Damaged(f"a cell of kind {kind[:20]!r}")

    def _to_date(self, text: str, shown: str) -> _Cell | None:
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


def _read_cells(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, values: _Values, name: str
) -> _Columns:
    """Return the filled cells by column: the numbers of their rows, and their values."""
    columns: _Columns = {}
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
            tag = _local(tag)
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
        if depth > MAX_DEPTH:
            raise _Damaged("elements nested too deep")

    def end(tag: str) -> None:
        nonlocal depth, n_cells, n_rows, filled_row, is_reading_aid
        depth -= 1
        if tag not in _TAGS:
            tag = _local(tag)
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
                _refuse_size(name)
            rows, found = columns[column]
            rows.append(row)
            found.append(value)

    _parse(archive, info, start, end, parser)
    return columns


_TAGS = frozenset(("c", "v", "t", "row", "rPh", "is", "f"))


def _column_number(letters: str) -> int:
    if not re.fullmatch("[A-Z]{1,3}", letters):
        raise _Damaged(f"a cell named {letters[:20]!r}")
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - 64
    if number > _LAST_COLUMN:
        raise _Damaged("a column beyond the last")
    return number


def _to_frame(cells: _Columns, name: str) -> pd.DataFrame:
    if not cells:
        refuse_empty(name)
    rows = np.unique(np.concatenate([np.unique(rows) for rows, _ in cells.values()]))
    check_size(len(rows) - 1, len(cells), name)
    header: list[Any] = []
    columns: dict[int, pd.Series] = {}
    for column in sorted(cells):
        numbers, values = cells.pop(column)
        filled = np.full(len(rows), np.nan, dtype=object)
        places = np.searchsorted(rows, numbers)
        for place, value in zip(places.tolist(), values, strict=True):
            filled[place] = value
        header.append("" if filled[0] is np.nan else filled[0])
        columns[len(columns)] = pd.Series(filled[1:], dtype=object).infer_objects()
    frame = pd.DataFrame(columns, copy=False)
    frame.columns = pd.Index(column_names(header, name))
    return frame
