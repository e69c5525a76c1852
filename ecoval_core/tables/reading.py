"""Reading: turn a CSV, Parquet or Excel file into a frame, and refuse what is not a table."""

import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NoReturn

import pandas as pd
from pandas.api import types

MAX_BYTES = 200 * 2**20
SEPARATORS = (",", ";", "\t", "|")


class TableError(ValueError):
    """A table that cannot be valued; the message is one sentence for the user."""


def read_frame(source: bytes | str | Path | BinaryIO, name: str | None = None) -> pd.DataFrame:
    """Read a table from CSV, Parquet or Excel, whichever the content turns out to be.

    Text may be separated by comma, semicolon, tab or bar and be encoded in UTF-8, in UTF-16
    with its mark, or in Latin-1 (as Windows writes it); where the separator is not a comma, numbers
    may have a decimal comma. Of a workbook the first sheet is read. A named index of a Parquet
    file becomes a column.

    Parameters
    ----------
    source : bytes, path or binary file
        The content, or where it is. At most `MAX_BYTES`.
    name : str, default=None
        The file's name, used in messages. None takes the name that `source` has.

    Returns
    -------
    frame : DataFrame
        The columns as in the file, with row ids 0 to n - 1 as index. It may still be invalid for
        valuation; `make_table` checks that.

    Raises
    ------
    TableError
        If the file is too large, empty, not a table, damaged, or has unusable column names.
    """
    if isinstance(source, str):
        source = Path(source)
    name = name or Path(str(getattr(source, "name", "the file"))).name
    data = _read_bytes(source, name)
    if not data.strip():
        refuse_empty(name)
    if data.startswith(b"PAR1"):
        return _read_parquet(data, name)
    if data.startswith(b"PK\x03\x04") and b"xl/workbook.xml" in data:
        return _read_excel(data, name)
    start = data[:64].lstrip().lower()
    for prefix, what in FOREIGN_FORMATS.items():
        if start.startswith(prefix):
            _refuse(name, f"is {what}, not a table")
    if name.lower().endswith((".parquet", ".xlsx")):
        _refuse(name, f"is named {Path(name).suffix} but holds something else")
    return _read_csv(_decode(data, name), name)


FOREIGN_FORMATS = {
    b"%pdf": "a PDF document",
    b"\x89png": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"gif8": "a picture",
    b"\x1f\x8b": "a compressed archive",
    b"pk\x03\x04": "a zip archive",
    b"\xd0\xcf\x11\xe0": "an old (.xls) or a protected Excel workbook",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b'{"': "a JSON document",
    b'[{"': "a JSON document",
}


def _refuse(name: str, problem: str, cause: Exception | None = None) -> NoReturn:
    advice = "save the table as CSV (UTF-8), Parquet or Excel (.xlsx) and load that"
    raise TableError(f"{name} {problem}: {advice}.") from cause


def refuse_empty(name: str) -> NoReturn:
    """Raise the `TableError` of a file or frame, called `name`, that holds nothing."""
    raise TableError(f"{name} is empty: choose a table with column names and rows.")


def _read_bytes(source: bytes | Path | BinaryIO, name: str) -> bytes:
    try:
        if isinstance(source, bytes):
            size = len(source)
        elif isinstance(source, Path):
            size = source.stat().st_size
        else:
            size = source.seek(0, io.SEEK_END)
            source.seek(0)
        if size > MAX_BYTES:
            raise TableError(
                f"{name} is {size / 2**20:,.0f} MB and the limit is {MAX_BYTES / 2**20:,.0f} MB: "
                "keep fewer rows or columns, or save it as Parquet, which is smaller."
            )
        if isinstance(source, bytes):
            return source
        return source.read_bytes() if isinstance(source, Path) else source.read()
    except OSError as error:
        raise TableError(
            f"{name} cannot be opened ({error.strerror or error}): check its path."
        ) from error


def _read_parquet(data: bytes, name: str) -> pd.DataFrame:
    from pyarrow import ArrowException, parquet

    try:
        column_names(parquet.read_schema(io.BytesIO(data)).names, name)
        frame = pd.read_parquet(io.BytesIO(data))
    except (ArrowException, OSError) as error:
        _refuse(name, "is a Parquet file that is damaged or cut short", error)
    return index_to_columns(frame)


def _read_excel(data: bytes, name: str) -> pd.DataFrame:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, warnings.catch_warnings():
            if sum(part.file_size for part in archive.infolist()) > 10 * MAX_BYTES:
                _refuse(name, "is an Excel workbook too large to unpack")
            # openpyxl warns of styles and validation rules, which are no part of the table.
            warnings.filterwarnings("ignore", module="openpyxl")
            cells = pd.read_excel(io.BytesIO(data), header=None, dtype=object, engine="openpyxl")
    except TableError:
        raise
    except Exception as error:  # openpyxl raises whatever a malformed part leads it to
        _refuse(name, "is an Excel workbook that is damaged or protected", error)
    cells = cells.dropna(how="all").dropna(how="all", axis="columns")
    if cells.empty:
        refuse_empty(name)
    header = ["" if pd.isna(cell) else cell for cell in cells.iloc[0]]
    frame = cells.iloc[1:].reset_index(drop=True).infer_objects()
    frame.columns = pd.Index(column_names(header, name))
    return frame


def _decode(data: bytes, name: str) -> str:
    encoding = next((e for mark, e in BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    if encoding.startswith("utf-8") and _is_binary(data):
        _refuse(name, "is neither text in UTF-8 or Latin-1 nor a table format known here")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-8" and _is_latin1(data):
            return data.decode("cp1252")
        line = data.count(b"\n", 0, error.start) + 1
        plain = encoding == "utf-8"
        wrong = "neither UTF-8 nor Latin-1" if plain else f"not valid {encoding.upper()}"
        _refuse(name, f"has text in line {line} that is {wrong}", error)


BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


def _is_binary(data: bytes) -> bool:
    sample = data[: 2**20]
    return b"\x00" in data or len(re.findall(rb"[\x01-\x08\x0e-\x1f]", sample)) > len(sample) / 100


def _is_latin1(data: bytes) -> bool:
    """Distinguish Western text, one byte a letter, from damaged UTF-8 and other alphabets."""
    text = data.decode("utf-8", errors="replace")
    n_bad = text.count("\ufffd")
    n_good = len(text) - len(text.encode("ascii", "ignore")) - n_bad
    # Accented letters stand alone or nearly so; other alphabets make long runs of them.
    if n_good > n_bad or re.search(rb"[\x80-\xff]{5}", data):
        return False
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return True


def _read_csv(text: str, name: str) -> pd.DataFrame:
    lines = io.StringIO(text, newline="")
    declared = re.match(r"sep=(.)\r?\n", text)  # Excel's own way to name the separator
    if declared:
        lines.readline()
    separator = declared[1] if declared else _guess_separator(text)
    n_header_lines = 1
    try:
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        header = next((row for row in reader if any(map(str.strip, row))), [])
        if not header:
            refuse_empty(name)
        n_header_lines, start = reader.line_num, lines.tell()
        if all(re.fullmatch(r"\s*[+-]?\d*[.,]\d*([eE][+-]?\d+)?\s*", cell) for cell in header):
            raise TableError(
                f"{name} has numbers where the column names should be ({header[0]} …): "
                "add a first line with the names."
            )
        extra = _cells_beyond(len(header), reader)
        if extra and all(len(cells) == 1 and cells[0] for cells in extra):
            header.insert(0, "")  # R writes no name for the column of row names
            extra = []
        elif extra and any(extra[0]):
            width = len(header)
            raise csv.Error(f"Expected {width} fields in line 1, saw {width + len(extra[0])}")
        n_named = len(header)
        names = column_names(header + (extra[0] if extra else []), name)
        lines.seek(start)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # cells would be lost
            frame = pd.read_csv(
                lines,
                sep=separator,
                header=None,
                names=names,
                index_col=False,
                skipinitialspace=True,
                low_memory=False,
            )
    except pd.errors.EmptyDataError:
        return pd.DataFrame(columns=names)
    except (csv.Error, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        _refuse_csv(name, error, n_header_lines)
    blank = [beyond for beyond in names[n_named:] if frame[beyond].isna().all()]
    frame = frame.drop(columns=blank)
    if separator != ",":
        for text in frame.select_dtypes("str").columns:
            frame[text] = _read_decimal_comma(frame[text])
    return frame


def _cells_beyond(width: int, rows: Iterable[list[str]]) -> list[list[str]]:
    try:
        return [row[width:] for row in islice(rows, 50) if row]
    except csv.Error:  # an endless quotation, of which pandas reports the line
        return []


def _guess_separator(text: str) -> str:
    """Take the separator that cuts the most lines into as many fields as the header."""
    start = text[: 2**16]
    if len(start) < len(text):
        start = start[: start.rfind("\n") + 1] or start
    scores: dict[str, tuple[float, int]] = {}
    for separator in SEPARATORS:
        lines = io.StringIO(start, newline="")
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        widths = [len(row) for row in islice(reader, 200) if any(row)]
        if widths and widths[0] > 1:
            # Equal within one: rows may end in a separator or begin with an unnamed row name.
            regular = sum(widths[0] <= width <= widths[0] + 1 for width in widths) / len(widths)
            scores[separator] = (regular, widths[0])
    return max(scores, key=scores.__getitem__, default=",")


def _refuse_csv(name: str, error: Exception, n_header_lines: int) -> NoReturn:
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error)):
        expected, line, saw = (int(number) for number in found.groups())
        raise TableError(
            f"{name} has {saw} fields in line {line + n_header_lines} but {expected} column names: "
            "put text that holds the separator in quotation marks, or mend the line."
        ) from error
    if found := re.search(r"EOF inside string starting at row (\d+)", str(error)):
        line = int(found[1]) + 1 + n_header_lines
        raise TableError(
            f"{name} opens a quotation mark near line {line} and never closes it: mend that line."
        ) from error
    _refuse(name, "cannot be cut into columns", error)


def _read_decimal_comma(column: pd.Series) -> pd.Series:
    """Turn text such as 1.234,5 into numbers, if all of the column is."""
    number = r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?([eE][+-]?\d+)?"
    present = column.dropna()
    # Without a comma, dots are as likely to cut a phone number or an address.
    has_comma = present.str.contains(",", regex=False).any()
    if not has_comma or not present.str.fullmatch(number).all():
        return column
    plain = column.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    return plain.astype("float64")


def column_names(header: Iterable[object], name: str) -> list[str]:
    """Turn a header into column names.

    Parameters
    ----------
    header : iterable of object
        One cell per column; an empty one becomes ``Unnamed: i``.
    name : str
        What messages call the table.

    Returns
    -------
    names : list of str
        Stripped, all different.

    Raises
    ------
    TableError
        If two columns have the same name.
    """
    names = [str(cell).strip() or f"Unnamed: {i}" for i, cell in enumerate(header)]
    first: dict[str, int] = {}
    for i, column in enumerate(names, start=1):
        if column in first:
            raise TableError(
                f"{name} has two columns named {column!r} (columns {first[column]} and {i}): "
                "rename one of them."
            )
        first[column] = i
    return names


def index_to_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep an index that carries information (a name, or text) and number the rows from 0.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        With any index; not modified.

    Returns
    -------
    frame : DataFrame of shape (n_rows, n_columns + n_kept)
        The levels of the index that are kept come first.
    """
    index = frame.index
    is_informative = any(level is not None for level in index.names) or not types.is_integer_dtype(
        index
    )
    return frame.reset_index(drop=not is_informative, allow_duplicates=True)
