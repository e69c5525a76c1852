"""Frames and arrays in Parquet files that give back what was put in, kinds of cells included.

Parquet has no column of mixed kinds, such as Excel writes. A column of Python objects is kept as text, each
cell in JSON with its kind in front.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

# In the order in which they are tried: a truth value is a whole number too, a datetime a date.
_KINDS: dict[str, tuple[type | tuple[type, ...], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "bool": ((bool, np.bool_), bool, bool),
    "int": ((int, np.integer), str, int),
    "float": ((float, np.floating), lambda x: repr(float(x)), float),
    "str": (str, str, str),
    "timestamp": (pd.Timestamp, pd.Timestamp.isoformat, pd.Timestamp),
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time, time.isoformat, time.fromisoformat),
    "timedelta": (timedelta, lambda t: pd.Timedelta(t).isoformat(), pd.Timedelta),
    "decimal": (Decimal, str, Decimal),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    "datetime64": (np.datetime64, str, np.datetime64),
}
_OBJECTS = b"ecoval_objects"


def _encode(cell: Any) -> Any:
    if cell is None:
        return ["none"]
    if cell is pd.NA or cell is pd.NaT:
        return ["NA" if cell is pd.NA else "NaT"]
    for kind, (types, write, _) in _KINDS.items():
        if isinstance(cell, types):
            return [kind, write(cell)]
    if isinstance(cell, Mapping):
        return ["dict", [[_encode(key), _encode(kept)] for key, kept in cell.items()]]
    if isinstance(cell, np.ndarray) and cell.ndim == 1:
        plain = cell.view("i8") if cell.dtype.kind in "mM" else cell
        return ["array", cell.dtype.str, [_encode(one) for one in plain]]
    if isinstance(cell, (list, tuple)):
        return ["list" if isinstance(cell, list) else "tuple", [_encode(one) for one in cell]]
    raise TypeError(type(cell).__name__)


def _decode(cell: list[Any]) -> Any:
    kind = cell[0]
    if kind in _KINDS:
        return _KINDS[kind][2](cell[1])
    if kind == "dict":
        return {_decode(key): _decode(kept) for key, kept in cell[1]}
    if kind in ("list", "tuple"):
        return (list if kind == "list" else tuple)(_decode(one) for one in cell[1])
    if kind == "array":
        items, dtype = [_decode(one) for one in cell[2]], np.dtype(cell[1])
        if dtype.kind in "mM":
            return np.array(items, dtype="i8").view(dtype)
        return np.fromiter(items, dtype=dtype, count=len(items))
    return {"none": None, "NA": pd.NA, "NaT": pd.NaT}[kind]


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame so that :func:`read_frame` gives back the same cells and dtypes.

    Parameters
    ----------
    frame : DataFrame
        Columns named by text.
    path : Path
        File to write.

    Raises
    ------
    ValueError
        If a column holds what cannot be kept; the message names it.
    OSError
        If the file cannot be written.
    """
    objects = [column for column in frame if frame[column].dtype == object]
    arrays = {}
    for column in frame:
        try:
            kept = frame[column]
            if column in objects:
                kept = pd.Series([json.dumps(_encode(cell)) for cell in kept], index=frame.index)
            arrays[column] = pa.array(kept, from_pandas=True)
        except (TypeError, ValueError, pa.ArrowException) as error:
            raise ValueError(
                f"Column {column!r} holds values that cannot be kept ({error}): leave it out of the file, "
                "or save it as text."
            ) from error
    shown = pa.Schema.from_pandas(frame.drop(columns=objects), preserve_index=False)
    table = pa.table(arrays)
    kept_as_text = json.dumps([str(column) for column in objects]).encode()
    metadata = {**(shown.metadata or {}), _OBJECTS: kept_as_text}
    parquet.write_table(table.replace_schema_metadata(metadata), path)


def _read(path: Path) -> pa.Table:
    # Not parquet.read_table: it reads by threads, and waits for ever where memory or a fork denies it one.
    with path.open("rb") as file:
        return parquet.ParquetFile(file, pre_buffer=False).read(use_threads=False)


def read_frame(path: Path) -> pd.DataFrame:
    """Read a frame that :func:`write_frame` wrote.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    DataFrame
        With row ids 0 to n - 1 as index.
    """
    table = _read(path)
    objects = json.loads((table.schema.metadata or {}).get(_OBJECTS, b"[]"))
    columns = table.column_names
    frame = table.drop_columns(objects).to_pandas(use_threads=False)
    for column in objects:
        cells = [_decode(json.loads(cell)) for cell in table[column].to_pylist()]
        kept = pd.Series(pd.NA, index=range(len(cells)), dtype=object)
        kept[:] = np.fromiter(cells, dtype=object, count=len(cells))
        frame[column] = kept
    return frame[columns]


def write_arrays(arrays: Mapping[str, NDArray], path: Path) -> None:
    """Write arrays of equal length, of one dimension or two.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Numbers, truth values or text.
    path : Path
        File to write.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    columns = {}
    for name, array in arrays.items():
        if array.ndim == 2:
            flat = pa.array(np.ascontiguousarray(array).ravel())
            columns[name] = pa.FixedSizeListArray.from_arrays(flat, max(1, array.shape[1]))
        else:
            columns[name] = pa.array(array)
    # Standardised numbers hardly compress, and reading them uncompressed takes a third of the time.
    parquet.write_table(pa.table(columns), path, compression="none", use_dictionary=False)


def read_arrays(path: Path) -> dict[str, NDArray]:
    """Read arrays that :func:`write_arrays` wrote.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict of str to ndarray
        Contiguous; text as fixed-width unicode.
    """
    table = _read(path)
    arrays: dict[str, NDArray] = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if pa.types.is_fixed_size_list(column.type):
            array = column.flatten().to_numpy(zero_copy_only=False)
            arrays[name] = array.reshape(-1, column.type.list_size).copy()
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            arrays[name] = np.asarray(column.to_pylist(), dtype=np.str_)
        else:
            arrays[name] = column.to_numpy(zero_copy_only=False).copy()
    return arrays
