"""Parquet: read a file after its footer and its pages have shown that it unpacks to a table."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from ecoval_core.tables import limits
from ecoval_core.tables.limits import (
    TableError,
    check_bytes,
    check_size,
    column_names,
    refuse,
    shorten,
)
from ecoval_core.tables.parquet_pages import (
    DELTA_BYTE_ARRAY,
    MAX_PAGES,
    DamagedPageError,
    Unpacked,
    measure_pages,
    schema_depth,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

MAX_FOOTER_BYTES = 2**24
# A struct of the footer ends in a zero byte and takes up to 0.7 KB in memory.
MAX_FOOTER_STRUCTS = 500_000
MAX_LIST = 20_000
MAX_DEPTH = 64
# Cells that pandas keeps as Python objects, such as lists, bytes and times of day.
MAX_OBJECTS = 2_000_000
_GROUP_VALUES = 2_000_000
_FIRST_YEAR, _LAST_YEAR = "0001-01-01", "9999-12-31 23:59:59"


def read_parquet(data: bytes, name: str) -> pd.DataFrame:
    """Read a Parquet file.

    Decimals become floats and dates timestamps; other types are as pandas and its metadata have them. If
    the metadata do not fit the columns, the columns are read without.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        What messages call it.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        With the index that the metadata give it.

    Raises
    ------
    TableError
        If it is damaged, too large, encrypted, or a column cannot be shown.
    """
    import pyarrow as pa

    try:
        _check_footer(data, name)
        file = _open(data)
        found = _measure(file, data, name)
        table = _read(file, data, found, name)
    except (TableError, MemoryError):
        raise
    except (
        pa.ArrowException,
        OSError,
        DamagedPageError,
        ValueError,
        LookupError,
        OverflowError,
    ) as error:
        refuse(name, "is a Parquet file that is damaged or cut short", error)
    return _to_pandas(table, name)


def _check_footer(data: bytes, name: str) -> None:
    size = int.from_bytes(data[-8:-4], "little")
    if not data.endswith(b"PAR1") or size > len(data) - 8:
        raise DamagedPageError("no footer")
    if size > MAX_FOOTER_BYTES or data.count(b"\x00", len(data) - 8 - size) > MAX_FOOTER_STRUCTS:
        refuse(name, "is a Parquet file of too many columns and row groups")
    if schema_depth(data[len(data) - 8 - size : -8]) > MAX_DEPTH:  # Arrow before 26 would crash
        refuse(name, "is a Parquet file of columns that are nested too deep")


def _open(data: bytes, read_dictionary: list[str] | None = None) -> parquet.ParquetFile:
    from pyarrow import parquet

    return parquet.ParquetFile(
        io.BytesIO(data),
        read_dictionary=read_dictionary,
        pre_buffer=False,
        thrift_container_size_limit=MAX_LIST,
    )


# --- Size ----------------------------------------------------------------------------------


def _measure(file: parquet.ParquetFile, data: bytes, name: str) -> list[Unpacked]:
    """Return what each leaf column unpacks to, and refuse too much of it."""
    footer, fields = file.metadata, file.schema_arrow
    check_size(footer.num_rows, max(len(fields), footer.num_columns), name)
    column_names(fields.names, name)
    n_groups, n_leaves = footer.num_row_groups, footer.num_columns
    if n_groups * n_leaves > MAX_PAGES:
        refuse(name, "is a Parquet file of too many columns and row groups")
    found = [Unpacked() for _ in range(n_leaves)]
    n_rows = 0
    for i in range(n_groups):
        group = footer.row_group(i)
        n_rows += group.num_rows
        for j, total in enumerate(found):
            chunk = group.column(j)
            start = chunk.data_page_offset
            first = chunk.dictionary_page_offset
            if chunk.has_dictionary_page and first is not None and 0 < first < start:
                start = first
            total.add(measure_pages(data, start, chunk.total_compressed_size, chunk.num_values))
    if n_rows != footer.num_rows or footer.num_rows < 0:
        raise DamagedPageError("another number of rows than the footer states")
    if sum(total.n_pages for total in found) > MAX_PAGES:
        raise DamagedPageError("too many pages")
    if sum(total.n_values for total in found) > limits.MAX_CELLS:
        raise TableError(
            f"{name} holds more than {limits.MAX_CELLS:,} values, which is the limit: "
            "keep fewer rows or columns."
        )
    # A value takes up to eight bytes, and the text there may be comes on top.
    check_bytes(sum(t.n_bytes for t in found) - 8 * limits.MAX_CELLS, name, "when unpacked")
    objects = [j for j in range(n_leaves) if _is_object(fields, file.schema.column(j))]
    if sum(max(found[j].n_values, n_rows) for j in objects) > MAX_OBJECTS:
        column = file.schema.column(objects[0]).path.split(".")[0]
        raise TableError(
            f"Column {shorten(column)!r} of {name} holds lists, bytes or times in more than {MAX_OBJECTS:,} "
            "cells: leave it out of the file."
        )
    return found


def _is_object(fields: pa.Schema, leaf: Any) -> bool:
    """Tell whether the cells of a leaf column become Python objects."""
    from pyarrow import types

    if leaf.max_repetition_level or ("." in leaf.path and leaf.path not in fields.names):
        return True
    kind = fields.field(leaf.path).type if leaf.path in fields.names else None
    return kind is None or not (
        (types.is_primitive(kind) and not types.is_time(kind))
        or _is_text(kind)
        or types.is_dictionary(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)
    )


def _is_text(kind: pa.DataType) -> bool:
    from pyarrow import types

    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


# --- Content -------------------------------------------------------------------------------


def _read(file: parquet.ParquetFile, data: bytes, found: list[Unpacked], name: str) -> pa.Table:
    """Read the columns; those whose text could unfold to more than a table, with care."""
    import pyarrow as pa

    schema = file.schema_arrow
    paths = [file.schema.column(j).path for j in range(len(found))]
    unfolding = [j for j in range(len(found)) if _may_unfold(file.schema.column(j), found[j], name)]
    by_prefix = [paths[j] for j in unfolding if DELTA_BYTE_ARRAY in found[j].encodings]
    by_dictionary = [paths[j] for j in unfolding if DELTA_BYTE_ARRAY not in found[j].encodings]
    apart = {*by_prefix, *by_dictionary}
    columns = dict.fromkeys(schema.names)
    others = [path for path in paths if path not in apart] if apart else None
    n_bytes = 0
    if others != []:
        table = file.read(columns=others, use_threads=False)
        columns |= dict(zip(table.column_names, table.columns, strict=True))
        n_bytes = sum(_dense_bytes(c) for c in table.columns if pa.types.is_dictionary(c.type))
        check_bytes(n_bytes, name, "of text")
    # A few at a time, since finding out which values are equal takes several times their bytes.
    n_values = {path: total.n_values for path, total in zip(paths, found, strict=True)}
    if by_dictionary:
        file = _open(data, by_dictionary)
    for some in _groups(by_dictionary, n_values):
        table = file.read(columns=some, use_threads=False)
        for path, column in zip(table.column_names, table.columns, strict=True):
            n_bytes += _dense_bytes(column)
            check_bytes(n_bytes, name, "of text")
            is_category = pa.types.is_dictionary(schema.field(path).type)
            columns[path] = column if is_category else column.cast(schema.field(path).type)
    for path in by_prefix:
        batches = []
        most = max(1, limits.MAX_BYTES // max(1, found[paths.index(path)].largest))
        for batch in file.iter_batches(most, columns=[path], use_threads=False):
            n_bytes += batch.nbytes
            check_bytes(n_bytes, name, "of text")
            batches.append(batch)
        columns[path] = pa.Table.from_batches(batches).column(0)
    return pa.table(columns).replace_schema_metadata(schema.metadata)


def _groups(paths: list[str], n_values: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield paths in groups of few values each."""
    group: list[str] = []
    size = 0
    for path in paths:
        if group and size + n_values[path] > _GROUP_VALUES:
            yield group
            group, size = [], 0
        group.append(path)
        size += n_values[path]
    if group:
        yield group


def _may_unfold(leaf: Any, total: Unpacked, name: str) -> bool:
    """Tell whether values of a column may share their bytes, so that it can unfold far beyond its pages."""
    if leaf.physical_type == "FIXED_LEN_BYTE_ARRAY":
        longest = max(0, leaf.length)
    elif leaf.physical_type == "BYTE_ARRAY":
        longest = total.largest
    else:
        return False
    if total.n_values * longest <= limits.MAX_BYTES // 4:
        return False
    if leaf.physical_type != "BYTE_ARRAY" or leaf.max_repetition_level or "." in leaf.path:
        raise TableError(
            f"Column {shorten(leaf.path)!r} of {name} may unpack to too much: leave it out of the file."
        )
    return True


def _dense_bytes(column: pa.ChunkedArray) -> int:
    """Return what a column of categories takes when each cell is written out."""
    import pyarrow as pa
    from pyarrow import compute

    kind = column.type.value_type
    if not (_is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        return 8 * len(column)
    total = 0
    for chunk in column.chunks:
        lengths = compute.binary_length(chunk.dictionary).cast(pa.int64())
        total += compute.sum(lengths.take(chunk.indices)).as_py() or 0
    return total


def _to_pandas(table: pa.Table, name: str) -> pd.DataFrame:
    import pyarrow as pa

    for i, column in enumerate(table.columns):
        table = table.set_column(i, table.field(i).name, _plain(column, table.field(i).name, name))
    try:
        frame = table.to_pandas(use_threads=False)
        names = column_names(frame.columns, name)
    except (MemoryError, pa.ArrowMemoryError):
        raise
    except Exception:  # damaged metadata lead it anywhere
        frame = _without_metadata(table, name)
        names = column_names(frame.columns, name)
    frame.columns = pd.Index(names)
    return frame


def _plain(column: pa.ChunkedArray, label: str, name: str) -> pa.ChunkedArray:
    """Turn decimals into floats and dates into timestamps, and refuse cells that nobody can show."""
    import pyarrow as pa
    from pyarrow import compute

    if isinstance(column.type, pa.BaseExtensionType):
        column = column.cast(column.type.storage_type)
    kind = column.type
    try:
        column.validate(full=True)
        if pa.types.is_decimal(kind):
            return column.cast(pa.float64())
        if pa.types.is_date(kind):
            column = column.cast(pa.timestamp("ms"))
        if pa.types.is_timestamp(column.type) and column.type.unit != "ns":
            bounds = compute.min_max(column.cast(pa.timestamp(column.type.unit)))
            for day, limit in zip(bounds.values(), (_FIRST_YEAR, _LAST_YEAR), strict=True):
                edge = pa.scalar(pd.Timestamp(limit), type=day.type)
                beyond = day.is_valid and (
                    day.value < edge.value if limit == _FIRST_YEAR else day.value > edge.value
                )
                if beyond:
                    raise TableError(
                        f"Column {shorten(label)!r} of {name} holds a date outside of the years 1 to 9999: "
                        "correct it or leave the cell empty."
                    )
    except pa.ArrowInvalid as error:
        raise TableError(
            f"Column {shorten(label)!r} of {name} is damaged ({shorten(error)}): leave it out or write the "
            "file again."
        ) from error
    return column


def _without_metadata(table: pa.Table, name: str) -> pd.DataFrame:
    columns = {}
    for label, column in zip(table.column_names, table.columns, strict=True):
        try:
            columns[label] = column.to_pandas()
        except MemoryError:
            raise
        except Exception as error:
            raise TableError(
                f"Column {shorten(label)!r} of {name} holds values of the type {shorten(column.type)} that "
                "cannot be shown: leave it out or write it as text."
            ) from error
    return pd.DataFrame(columns, copy=False)
