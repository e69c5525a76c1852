"""Reading: turn a CSV, Parquet or Excel file into a frame, and refuse what is not a table."""

import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO

import pandas as pd
from pandas.api import types

from ecoval_core.tables import limits
from ecoval_core.tables.delimited import read_delimited
from ecoval_core.tables.encodings import to_utf8
from ecoval_core.tables.limits import TableError, refuse, refuse_empty, shorten

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
    b"\xd0\xcf\x11\xe0": "an old (.xls) or a protected Excel workbook",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b'{"': "a JSON document",
    b'[{"': "a JSON document",
}


def read_frame(source: bytes | str | Path | BinaryIO, name: str | None = None) -> pd.DataFrame:
    """Read a table from CSV, Parquet or Excel, whichever the content turns out to be.

    Text may be separated by comma, semicolon, tab or bar and be encoded in UTF-8, in UTF-16
    with its mark, or in Latin-1 (as Windows writes it); where the separator is not a comma, numbers
    may have a decimal comma. Text that `workspace.exports.to_csv` kept from running as a formula is
    given back as it was. Any of the formats may be packed with gzip (``.csv.gz``). Of a workbook the first
    sheet is read. A named index of a Parquet file becomes a column.

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
        If the file is too large in bytes, rows, columns or cells (see `limits`), empty, not a table,
        damaged, or has unusable column names. Sizes are checked before the content is unpacked.
    MemoryError
        If the process may not have what a table within the limits takes, up to one gigabyte.
    """
    if isinstance(source, str):
        source = Path(source)
    name = shorten(name or Path(str(getattr(source, "name", "the file"))).name, 100) or "the file"
    try:
        return _read(_read_bytes(source, name), name)
    except (TableError, MemoryError):
        raise
    except Exception as error:  # whatever damaged content leads a library to raise
        refuse(name, f"cannot be read ({shorten(error) or type(error).__name__})", error)


def _read(data: bytes, name: str, is_unpacked: bool = False) -> pd.DataFrame:
    if not data[:4096].strip() and not data.strip():
        refuse_empty(name)
    if data.startswith(b"\x1f\x8b") and not is_unpacked:
        return _read(_unpack(data, name), name, is_unpacked=True)
    if data.startswith(b"PAR1"):
        from ecoval_core.tables.parquet_files import read_parquet

        return index_to_columns(read_parquet(data, name))
    if data.startswith(b"PK\x03\x04") and b"xl/workbook.xml" in data:
        from ecoval_core.tables.workbooks import read_workbook

        return read_workbook(data, name)
    if data.startswith(b"PARE") and data.endswith(b"PARE"):
        refuse(name, "is an encrypted Parquet file")
    start = data[:64].lstrip().lower()
    for prefix, what in FOREIGN_FORMATS.items():
        if start.startswith(prefix):
            refuse(name, f"is {what}, not a table")
    if name.lower().removesuffix(".gz").endswith((".parquet", ".xlsx")):
        suffix = Path(name.lower().removesuffix(".gz")).suffix
        refuse(name, f"is named {suffix} but holds something else")
    return read_delimited(to_utf8(data, name), name)


def _read_bytes(source: bytes | Path | BinaryIO, name: str) -> bytes:
    try:
        if isinstance(source, bytes):
            size = len(source)
        elif isinstance(source, Path):
            size = source.stat().st_size
        else:
            size = source.seek(0, io.SEEK_END)
            source.seek(0)
        limits.check_bytes(size, name)
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
                limits.check_bytes(unpacked.tell(), name, "when unpacked")
    except (OSError, EOFError, zlib.error) as error:
        refuse(name, "is a compressed file that is damaged or cut short", error)
    return unpacked.getvalue()


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
