"""Reading: turn a CSV, Parquet or Excel file into a frame, and refuse what is not a table."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pandas as pd
import pyarrow as pa
from pandas.api import types

from ecoval_core.files.delimited import read_delimited
from ecoval_core.files.encoding import to_utf8
from ecoval_core.files.header import Reading
from ecoval_core.files.limits import (
    TableError,
    check_bytes,
    check_shape,
    column_names,
    note_repeated,
    refuse,
    refuse_empty,
)
from ecoval_core.files.workbook import read_workbook
from ecoval_core.text import shorten

FOREIGN_FORMATS = {
    b"%pdf": "a PDF document",
    b"\x89png": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x1f\x8b": "a compressed archive",
    b"pk\x03\x04": "a zip archive",
    b"pare": "an encrypted Parquet file",
    b"\xd0\xcf\x11\xe0": "an old (.xls) or a protected Excel workbook",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
}


class FileRead(NamedTuple):
    """A file as a frame, and how it was read."""

    frame: pd.DataFrame
    reading: Reading


def read_frame(
    source: bytes | str | Path | BinaryIO,
    name: str | None = None,
    *,
    header: Sequence[int] | None = None,
    sheet: str | None = None,
) -> pd.DataFrame:
    """Read a table from CSV, JSON Lines, Parquet or Excel, whichever the content turns out to be.

    Text may be separated by comma, semicolon, tab, bar or runs of blanks and be encoded in UTF-8, in
    UTF-16 with its mark, as Windows writes Western text, or in the encodings of other alphabets that
    charset-normalizer knows; numbers may have a decimal comma. A quotation mark within quotes is doubled
    or has a backslash before it. Text that `runs.exports.to_csv` kept from running as a formula is
    given back as it was. Any of the formats may be packed with gzip (``.csv.gz``). A named index of a
    Parquet file becomes a column. Text keeps words such as None and NA, of which `make_table` says what
    they are; codes with a zero in front stay text.

    Parameters
    ----------
    source : bytes, path or binary file
        The content, or where it is. At most `MAX_BYTES`, packed and unpacked.
    name : str, default=None
        The file's name, used in messages. None takes the name that `source` has.
    header : sequence of int, default=None
        Rows of a text or a sheet that hold the names, from 1; two are joined, an empty sequence stands for
        a file without names. None guesses: titles above the names are passed over, a first row of data is
        told from one of names.
    sheet : str, default=None
        Sheet of a workbook; None takes the first with two columns, which notes have not.

    Returns
    -------
    frame : DataFrame
        The columns as in the file, with row ids 0 to n - 1 as index. It may still be invalid for
        valuation; `make_table` checks that.

    Raises
    ------
    TableError
        If the file is too large in bytes, rows, columns or cells (see `limits`), empty, not a
        table, damaged, or has unusable column names or no such header or sheet.

    Notes
    -----
    A hostile file may unpack to far more than it is. Read files of strangers in a process whose
    memory and time are limited, as the app does.
    """
    return read_file(source, name, header=header, sheet=sheet).frame


def read_file(
    source: bytes | str | Path | BinaryIO, name: str | None = None, *,
    header: Sequence[int] | None = None, sheet: str | None = None,
) -> FileRead:  # fmt: skip
    """Read a table as :func:`read_frame` does, and say how."""
    if isinstance(source, str):
        source = Path(source)
    name = shorten(name or Path(str(getattr(source, "name", "the file"))).name, 100) or "the file"
    try:
        frame, reading = _read(_read_bytes(source, name), name, header, sheet)
    except (TableError, MemoryError):
        raise
    except Exception as error:  # whatever damaged content leads a library to raise
        refuse(name, f"cannot be read ({shorten(error, 120) or type(error).__name__})", error)
    check_shape(*frame.shape, name)
    notes = (*reading.notes, *note_repeated(frame.columns))
    frame.columns = pd.Index(column_names(frame.columns, name))
    return FileRead(frame, reading.model_copy(update={"notes": notes}))


def read_cells(source: bytes | Path, name: str, reading: Reading) -> pd.DataFrame | None:
    """Return the cells of a text as they are written; None for other formats, whose cells have types."""
    data = _read_bytes(source, name)
    if data.startswith((b"PAR1", b"PK\x03\x04")) or _is_json(data):
        return None
    frame, _ = read_delimited(data, name, reading.header, as_text=True)
    return frame.set_axis(column_names(frame.columns, name), axis=1)


def _is_json(data: bytes) -> bool:
    return re.match(rb'(?:\xef\xbb\xbf)?\s*(?:\[\s*)?\{\s*"', data[:256]) is not None


def _read(
    data: bytes, name: str, header: Sequence[int] | None, sheet: str | None
) -> tuple[pd.DataFrame, Reading]:
    if not data[:4096].strip() and not data.strip():
        refuse_empty(name)
    if data.startswith(b"PK\x03\x04") and b"xl/workbook.xml" in data:
        return read_workbook(data, name, header, sheet)
    if sheet is not None:
        raise TableError(f"{name} is no workbook: leave the sheet out.")
    if data.startswith(b"PAR1"):
        return _read_parquet(data, name), Reading()
    if _is_json(data):
        return _read_json(data, name), Reading()
    start = data[:64].lstrip().lower()
    for prefix, what in FOREIGN_FORMATS.items():
        if start.startswith(prefix):
            refuse(name, f"is {what}, not a table")
    return read_delimited(data, name, header)


def _read_json(data: bytes, name: str) -> pd.DataFrame:
    """Read an object a line, or a list of objects; strings stay strings."""
    data = to_utf8(data, name)
    is_list = data.lstrip().startswith(b"[")
    try:
        return pd.read_json(
            io.BytesIO(data), orient="records", lines=not is_list, dtype=False, convert_dates=False,
            precise_float=True,
        )  # fmt: skip
    except ValueError as error:
        refuse(name, f"is a JSON document, not one row an object ({shorten(error, 60)})", error)


def _read_bytes(source: bytes | Path | BinaryIO, name: str) -> bytes:
    """Return the content, unpacked; its size is checked before it is read."""
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with file.open("rb") if isinstance(file, Path) else nullcontext(file) as opened:
            check_bytes(opened.seek(0, io.SEEK_END), name)
            opened.seek(0)
            data = opened.read()
    except OSError as error:
        raise TableError(
            f"{name} cannot be opened ({error.strerror or error}): check its path."
        ) from error
    return _unpack(data, name) if data.startswith(b"\x1f\x8b") else data


def _unpack(data: bytes, name: str) -> bytes:
    """Unpack gzip, counting, and stop at the limit."""
    unpacked = io.BytesIO()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            while piece := packed.read(2**20):
                unpacked.write(piece)
                check_bytes(unpacked.tell(), name, "when unpacked")
    except (OSError, EOFError, zlib.error) as error:
        refuse(name, "is a compressed file that is damaged or cut short", error)
    return unpacked.getvalue()


def _read_parquet(data: bytes, name: str) -> pd.DataFrame:
    """Read Parquet: decimals become floats, dates timestamps; the rest is as pandas has it."""
    from pyarrow import parquet

    try:
        # A thread that the limits of a worker deny would be waited for without end.
        file = parquet.ParquetFile(pa.BufferReader(data), pre_buffer=False)
        table = file.read(use_threads=False)
        table.validate(full=True)
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        refuse(name, f"is a Parquet file that is damaged or cut short ({shorten(error)})", error)
    fields = [pa.field(field.name, _plain_type(field.type)) for field in table.schema]
    table = table.cast(pa.schema(fields, table.schema.metadata))
    try:
        frame = table.to_pandas(use_threads=False)
        is_known = set(map(str, frame.columns)) <= set(table.column_names)
    except MemoryError:
        raise
    except Exception:
        is_known = False
    if not is_known:  # what the file says of pandas may be damaged, or speak of another table
        frame = table.replace_schema_metadata(None).to_pandas(use_threads=False)
    frame = index_to_columns(frame)
    for label, column in frame.items():
        if types.is_datetime64_any_dtype(column):
            years = column.dropna().dt.year
            if not years.between(1, 9999).all():
                raise TableError(
                    f"Column {shorten(label)!r} of {name} holds a date outside of the years 1 to "
                    "9999: correct it or leave the cell empty."
                )
    return frame


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_decimal(kind):
        return pa.float64()
    return pa.timestamp("ms") if pa.types.is_date(kind) else kind


def index_to_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn an index that carries information (a name, or text) into columns; number the rows."""
    is_named = any(level is not None for level in frame.index.names)
    is_informative = is_named or not types.is_integer_dtype(frame.index)
    return frame.reset_index(drop=not is_informative, allow_duplicates=True)
