"""Results as bytes: one pair of functions writes and reads whatever a task returns.

Frames are Parquet, arrays numpy's own format, everything else JSON; all of them are members of one zip
archive. Nothing is pickled, and equal results have equal bytes.
"""

from __future__ import annotations

import io
import json
import types
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet
from pydantic import BaseModel

_MANIFEST = "result.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_result(result: Any) -> bytes:
    """Write a result: frames, arrays, documents and plain values, in dataclasses, tuples, lists and dicts."""
    members: list[tuple[str, bytes]] = []
    manifest = json.dumps(_plain(result, members), allow_nan=True).encode()
    return write_zip([(_MANIFEST, manifest), *members])


def read_result(content: bytes, kind: Any = Any) -> Any:
    """Read what :func:`write_result` wrote, as the type that was written, such as a task's return type."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return _restore(json.loads(archive.read(_MANIFEST)), kind, archive.read)


def write_zip(members: Iterable[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Write named members into a zip archive, equal ones into equal bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, compression)
    return target.getvalue()


def _plain(value: Any, members: list[tuple[str, bytes]]) -> Any:
    """Return a value as JSON takes it, with the bytes of frames and arrays among the members."""
    if isinstance(value, pd.DataFrame):
        members.append((f"{len(members)}.parquet", write_frame(value)))
        return {"frame": members[-1][0]}
    if isinstance(value, np.ndarray):
        members.append((f"{len(members)}.npy", _write_array(value)))
        return {"array": members[-1][0], "dtype": "object" if value.dtype == object else ""}
    if isinstance(value, BaseModel):
        return {"document": value.model_dump(mode="json", exclude_defaults=True)}
    if is_dataclass(value) and not isinstance(value, type):
        return {"fields": {f.name: _plain(getattr(value, f.name), members) for f in fields(value)}}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {"fields": {name: _plain(one, members) for name, one in value._asdict().items()}}
    if isinstance(value, (list, tuple)):
        return {"list": [_plain(one, members) for one in value]}
    if isinstance(value, Mapping):
        return {"dict": {str(name): _plain(one, members) for name, one in value.items()}}
    return {"value": value.item() if isinstance(value, np.generic) else value}


def _restore(kept: dict[str, Any], kind: Any, read: Callable[[str], bytes]) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        kind = next((one for one in get_args(kind) if one is not type(None)), Any)
    if "frame" in kept:
        return read_frame(read(kept["frame"]))
    if "array" in kept:
        array = np.load(io.BytesIO(read(kept["array"])), allow_pickle=False)
        return array.astype(object) if kept["dtype"] == "object" else array
    if "document" in kept:
        return kind.model_validate(kept["document"])
    if "fields" in kept:
        hints = get_type_hints(kind)
        return kind(
            **{name: _restore(one, hints[name], read) for name, one in kept["fields"].items()}
        )
    if "list" in kept:
        inner = [one for one in get_args(kind) if one is not Ellipsis] or [Any]
        found = [_restore(one, inner[0], read) for one in kept["list"]]
        return tuple(found) if get_origin(kind) is tuple else found
    if "dict" in kept:
        inner = [*get_args(kind), Any, Any]
        return {name: _restore(one, inner[1], read) for name, one in kept["dict"].items()}
    return kept["value"]


# --- Arrays and frames ----------------------------------------------------------------------


def _write_array(array: NDArray) -> bytes:
    if array.dtype == object:
        array = array.astype(np.str_)
    target = io.BytesIO()
    np.save(target, np.ascontiguousarray(array), allow_pickle=False)
    return target.getvalue()


# Parquet has no column of mixed kinds, such as Excel writes: a column of Python objects is kept as text, each
# cell in JSON with its kind in front. A truth value is a whole number too, and a datetime a date, so the
# order counts.
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
_INDEX = "__index__"


def _encode(cell: Any) -> Any:
    if cell is None:
        return ["none"]
    if cell is pd.NA or cell is pd.NaT:
        return ["NA" if cell is pd.NA else "NaT"]
    for kind, (accepted, write, _) in _KINDS.items():
        if isinstance(cell, accepted):
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


def _is_plain(cells: pd.Series) -> bool:
    """Tell whether Parquet itself gives back cells: vectors of one kind, bytes, or structs of pictures."""
    present = [cell for cell in cells if cell is not None]
    kinds = {type(cell) for cell in present}
    if kinds == {np.ndarray}:
        shapes = {(cell.ndim, cell.dtype) for cell in present}
        return len(shapes) == 1 and present[0].ndim == 1 and present[0].dtype.kind in "fiu"
    if kinds != {dict}:
        return kinds == {bytes}
    return all(
        set(cell) == {"bytes", "path"}
        and isinstance(cell["bytes"], (bytes, NoneType))
        and isinstance(cell["path"], (str, NoneType))
        for cell in present
    )


def write_frame(frame: pd.DataFrame) -> bytes:
    """Write a frame as Parquet that :func:`read_frame` gives back with the same cells, dtypes and index."""
    arrays, objects = {}, []
    for column, cells in frame.items():
        try:
            if cells.dtype != object:
                arrays[column] = pa.array(cells, from_pandas=True)
            elif _is_plain(cells):
                arrays[column] = pa.array(cells.tolist())
            else:
                objects.append(column)
                arrays[column] = pa.array(pd.Series([json.dumps(_encode(cell)) for cell in cells]))
        except (TypeError, ValueError, pa.ArrowException) as error:
            raise ValueError(
                f"Column {column!r} holds values that cannot be kept ({error}): leave it out of the file, "
                "or save it as text."
            ) from error
    if not frame.index.equals(pd.RangeIndex(len(frame))):
        arrays[_INDEX] = pa.array(frame.index)
    shown = pa.Schema.from_pandas(frame.drop(columns=objects), preserve_index=False)
    names = {"objects": [str(column) for column in objects], "index": frame.index.name}
    kept_as = json.dumps(names).encode()
    table = pa.table(arrays).replace_schema_metadata({**(shown.metadata or {}), _OBJECTS: kept_as})
    target = io.BytesIO()
    parquet.write_table(table, target)
    return target.getvalue()


def read_frame(content: bytes) -> pd.DataFrame:
    """Read a frame that :func:`write_frame` wrote."""
    # Not parquet.read_table: it reads by threads, and waits for ever where memory or a fork denies it one.
    table = parquet.ParquetFile(io.BytesIO(content), pre_buffer=False).read(use_threads=False)
    kept_as = json.loads((table.schema.metadata or {}).get(_OBJECTS, b"{}"))
    objects, index = kept_as.get("objects", []), kept_as.get("index")
    columns = [column for column in table.column_names if column != _INDEX]
    rows = pd.RangeIndex(table.num_rows, name=index)
    if _INDEX in table.column_names:
        rows = pd.Index(table[_INDEX].to_pandas()).rename(index)
    frame = table.select([c for c in columns if c not in objects]).to_pandas(use_threads=False)
    for column in objects:
        cells = [_decode(json.loads(cell)) for cell in table[column].to_pylist()]
        kept = pd.Series(pd.NA, index=range(len(cells)), dtype=object)
        kept[:] = np.fromiter(cells, dtype=object, count=len(cells))
        frame[column] = kept
    return frame[columns].set_axis(rows, axis=0)
