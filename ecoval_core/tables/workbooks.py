"""Workbooks: read the first sheet of an Excel file as a stream, keeping nothing but its filled cells.

openpyxl builds a tree of whatever elements a sheet holds: 43 KB that unpack to ten million empty ones
cost it 0.9 GB and 17 s, and each true cell 7 µs. Expat alone takes 3 µs and no memory, so that it cuts the
XML here, and openpyxl says which number formats are dates and which dates the numbers are.
"""

import posixpath
import zipfile
import zlib
from typing import Any
from xml.parsers import expat

import numpy as np
import pandas as pd

from ecoval_core.tables.limits import TableError, check_size, column_names, refuse, refuse_empty
from ecoval_core.tables.workbook_parts import (
    DamagedWorkbookError,
    Parts,
    Start,
    check_depth,
    local_name,
)
from ecoval_core.tables.worksheets import Columns, Values, read_cells, read_strings

_SMALL_PART = 2**23  # of the list of sheets, its relations, the styles


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
        cells = _read_first_sheet(Parts(data, name))
    except (TableError, MemoryError):
        raise
    except (
        zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, expat.ExpatError, ValueError,
        LookupError,
    ) as error:  # fmt: skip
        refuse(name, "is an Excel workbook that is damaged or protected", error)
    return _to_frame(cells, name)


def _read_first_sheet(parts: Parts) -> Columns:
    rooms, styles = _Rooms(), _Styles()
    _parse_small(parts, "xl/workbook.xml", rooms.start_workbook)
    _parse_small(parts, "xl/_rels/workbook.xml.rels", rooms.start_relation)
    sheet = next((rooms.paths[key] for key in rooms.sheets if key in rooms.paths), None)
    if sheet is None:
        raise DamagedWorkbookError("no sheet")
    if rooms.styles in parts:
        _parse_small(parts, rooms.styles, styles.start)
    strings = read_strings(parts, rooms.strings) if rooms.strings in parts else []
    return read_cells(parts, sheet, Values(strings, styles.kind, rooms.is_1904, parts.name))


def _parse_small(parts: Parts, path: str, start: Start) -> None:
    depth = 0

    def begin(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        check_depth(depth)
        start(tag, attributes)

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parts.check(path, _SMALL_PART)
    parts.parse(path, begin, end)


class _Rooms:
    """Where the parts of a workbook are."""

    def __init__(self) -> None:
        self.sheets: list[str] = []
        self.paths: dict[str, str] = {}
        self.strings = self.styles = ""
        self.is_1904 = False

    def start_workbook(self, tag: str, attributes: dict[str, str]) -> None:
        if local_name(tag) == "sheet":
            self.sheets += [value for key, value in attributes.items() if key.endswith(":id")]
        elif local_name(tag) == "workbookPr":
            self.is_1904 = attributes.get("date1904") in ("1", "true")

    def start_relation(self, tag: str, attributes: dict[str, str]) -> None:
        if local_name(tag) != "Relationship":
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
        self._shown: dict[int, str] = {}
        self._in_formats = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        local = local_name(tag)
        if local == "numFmt":
            self.codes[int(attributes["numFmtId"])] = attributes.get("formatCode", "")[:255]
        elif local in ("cellXfs", "cellStyles", "dxfs"):
            self._in_formats = local == "cellXfs"
        elif local == "xf" and self._in_formats:
            number = int(attributes.get("numFmtId", 0))
            if number not in self._shown:
                code = self.codes.get(number)
                is_time = (
                    "duration" if self.is_duration(code) else "date" if self.is_date(code) else ""
                )
                self._shown[number] = is_time
            self.kinds.append(self._shown[number])

    def kind(self, style: str | None) -> str:
        index = int(style) if style else 0
        return self.kinds[index] if 0 <= index < len(self.kinds) else ""


def _to_frame(cells: Columns, name: str) -> pd.DataFrame:
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
