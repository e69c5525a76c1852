"""Reading: turn a CSV, Parquet or Excel file into a frame, and refuse what is not a table."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pandas as pd
from pandas.api import types

from ecoval_core.tables.delimited import read_delimited
from ecoval_core.tables.limits import (
    TableError,
    check_bytes,
    check_shape,
    column_names,
    refuse,
    refuse_empty,
)
from ecoval_core.text import shorten

if TYPE_CHECKING:
    import pyarrow as pa

FOREIGN_FORMATS = {
    b"%pdf": "a PDF document",
    b"\x89png": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"gif8": "a picture",
    b"\x1f\x8b": "a compressed archive",
    b"\xfd7zxz": "a compressed archive",
    b"7z\xbc\xaf": "a compressed archive",
    b"(\xb5/\xfd": "a compressed archive",
    b"pk\x03\x04": "a zip archive",
    b"pare": "an encrypted Parquet file",
    b"\xd0\xcf\x11\xe0": "an old (.xls) or a protected Excel workbook",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b'{"': "a JSON document",
    b'[{"': "a JSON document",
}
# The first and the last second that a date may have: of the years 1 and 9999.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799


def read_frame(source: bytes | str | Path | BinaryIO, name: str | None = None) -> pd.DataFrame:
    """Read a table from CSV, Parquet or Excel, whichever the content turns out to be.

    Text may be separated by comma, semicolon, tab or bar and be encoded in UTF-8, in UTF-16 with
    its mark, as Windows writes Western text, or in the encodings of other alphabets that
    charset-normalizer knows; where the separator is not a comma, numbers may have a decimal comma.
    Text that `workspace.exports.to_csv` kept from running as a formula is given back as it was. Any
    of the formats may be packed with gzip (``.csv.gz``). Of a workbook the first sheet is read. A
    named index of a Parquet file becomes a column.

    Parameters
    ----------
    source : bytes, path or binary file
        The content, or where it is. At most `MAX_BYTES`, packed and unpacked.
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
        If the file is too large in bytes, rows, columns or cells (see `limits`), empty, not a
        table, damaged, or has unusable column names.

    Notes
    -----
    A hostile file may unpack to far more than it is. Read files of strangers in a process whose
    memory and time are limited, as the app does.
    """
    if isinstance(source, str):
        source = Path(source)
    name = shorten(name or Path(str(getattr(source, "name", "the file"))).name, 100) or "the file"
    try:
        frame = _read(_read_bytes(source, name), name)
    except (TableError, MemoryError):
        raise
    except Exception as error:  # whatever damaged content leads a library to raise
        refuse(name, f"cannot be read ({shorten(error, 120) or type(error).__name__})", error)
    check_shape(*frame.shape, name)
    frame.columns = pd.Index(column_names(frame.columns, name))
    return frame


def _read(data: bytes, name: str) -> pd.DataFrame:
    if data.startswith(b"\x1f\x8b"):
        data = _unpack(data, name)
    if not data[:4096].strip() and not data.strip():
        refuse_empty(name)
    if data.startswith(b"PAR1"):
        return _read_parquet(data, name)
    if data.startswith(b"PK\x03\x04") and b"xl/workbook.xml" in data:
        return _read_workbook(data, name)
    start = data[:64].lstrip().lower()
    for prefix, what in FOREIGN_FORMATS.items():
        if start.startswith(prefix):
            refuse(name, f"is {what}, not a table")
    suffix = Path(name.lower().removesuffix(".gz")).suffix
    if suffix in (".parquet", ".xlsx"):
        refuse(name, f"is named {suffix} but holds something else")
    return read_delimited(data, name)


def _read_bytes(source: bytes | Path | BinaryIO, name: str) -> bytes:
    """Return the content, of which the size is checked before it is read."""
    try:
        if isinstance(source, bytes):
            size = len(source)
        elif isinstance(source, Path):
            size = source.stat().st_size
        else:
            size = source.seek(0, io.SEEK_END)
            source.seek(0)
        check_bytes(size, name)
        if isinstance(source, bytes):
            return source
        return source.read_bytes() if isinstance(source, Path) else source.read()
    except OSError as error:
        raise TableError(
            f"{name} cannot be opened ({error.strerror or error}): check its path."
        ) from error


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
    import pyarrow as pa
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
    columns = [_plain(*pair, name) for pair in zip(table.columns, table.column_names, strict=True)]
    table = pa.Table.from_arrays(columns, table.column_names, metadata=table.schema.metadata)
    try:
        frame = table.to_pandas(use_threads=False)
    except MemoryError:
        raise
    except Exception:  # what the file says of pandas may be damaged, or speak of another table
        frame = table.replace_schema_metadata(None).to_pandas(use_threads=False)
    return index_to_columns(frame)


def _plain(column: pa.ChunkedArray, label: str, name: str) -> pa.ChunkedArray:
    """Turn decimals into floats and dates into timestamps, and refuse those beyond a calendar."""
    import pyarrow as pa
    from pyarrow import compute

    if isinstance(column.type, pa.BaseExtensionType):
        column = column.cast(column.type.storage_type)
    if pa.types.is_decimal(column.type):
        return column.cast(pa.float64())
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("ms"))
    if pa.types.is_timestamp(column.type):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
        for moment in compute.min_max(column.cast(pa.int64())).as_py().values():
            if moment is not None and not _FIRST_SECOND <= moment // per_second <= _LAST_SECOND:
                raise TableError(
                    f"Column {shorten(label)!r} of {name} holds a date outside of the years 1 to "
                    "9999: correct it or leave the cell empty."
                )
    return column


def index_to_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn an index that carries information (a name, or text) into columns; number the rows."""
    is_named = any(level is not None for level in frame.index.names)
    is_informative = is_named or not types.is_integer_dtype(frame.index)
    return frame.reset_index(drop=not is_informative, allow_duplicates=True)


def _read_workbook(data: bytes, name: str) -> pd.DataFrame:
    """Read the first sheet; its first row that is not blank holds the names."""
    try:
        cells = pd.read_excel(io.BytesIO(data), header=None, dtype=object, engine="calamine")
    except MemoryError:
        raise
    except BaseException as error:
        # What panics in Rust is no Exception, and a class that cannot be imported.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        refuse(name, "is an Excel workbook that is damaged or protected", error)
    cells = cells.dropna(how="all").dropna(how="all", axis="columns")
    if cells.empty:
        refuse_empty(name)
    frame = cells.iloc[1:].reset_index(drop=True).infer_objects()
    frame.columns = pd.Index(cells.iloc[0].fillna(""), dtype=object)
    return frame
