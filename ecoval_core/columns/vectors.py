"""Vectors: lists of numbers in a column, such as embeddings, become that many columns; so do pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from ecoval_core.columns.pictures import (
    SIDES,
    Mode,
    holds_pictures,
    mode_of,
    picture_bytes,
    pixel_matrix,
)
from ecoval_core.columns.target import holds_nested, is_present
from ecoval_core.files.limits import MAX_CELLS, MAX_COLUMNS, TableError
from ecoval_core.target_type import LARGEST_NUMBER
from ecoval_core.text import count_of, shorten

N_CELLS_LOOKED_AT = 20
_MISSING = {"null": "nan", "None": "nan", "NaN": "nan"}


def vector_of(cell: Any) -> NDArray[np.float64] | None:
    """Return a list of numbers, or text such as "[0.1, 0.2]", as an array; None if it is none."""
    if isinstance(cell, str):
        text = cell.strip()
        if not (text.startswith("[") and text.endswith("]")):
            return None
        items = [_MISSING.get(item, item) for item in text[1:-1].replace(",", " ").split()]
        try:
            numbers = np.array(items, dtype=np.float64)
        except ValueError:
            return None
        return numbers if len(numbers) > 1 else None  # "[1]" is a footnote
    if not types.is_list_like(cell) or isinstance(cell, (dict, set)):
        return None
    try:
        array = np.asarray(cell.tolist() if isinstance(cell, np.ndarray) else cell)
        if array.dtype.kind not in "biufO":
            return None
        return array.astype(np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        return None


def holds_vectors(column: pd.Series) -> bool:
    """Tell whether most of the first cells of a column that hold something hold lists of numbers."""
    if not (column.dtype == object or types.is_string_dtype(column)):
        return False
    cells = column.dropna().iloc[:N_CELLS_LOOKED_AT]
    n_vectors = sum(vector is not None and vector.size > 0 for vector in map(vector_of, cells))
    return 2 * n_vectors > len(cells)


def vector_matrix(column: pd.Series, width: int = 0) -> NDArray[np.float64]:
    """Return the vectors of a column as rows of an array, NaN where there is none.

    The first has the right `width` where none is given. A `TableError` names a row that is unlike it.
    """
    present = is_present(column)
    vectors = [vector_of(cell) for cell in column.where(present, None)]
    sizes = [0 if one is None else one.size for one in vectors]
    first = next((row for row, size in enumerate(sizes) if size), 0)
    width = width or sizes[first]
    if width > MAX_COLUMNS or width * len(column) > MAX_CELLS:
        raise TableError(
            f"Column {column.name!r} holds lists of {width:,} numbers and the limit is {MAX_COLUMNS:,}, and "
            f"{MAX_CELLS:,} in all rows: shorten its lists, keep fewer rows, or leave it out."
        )
    matrix = np.full((len(column), width), np.nan)
    for row in np.flatnonzero(present).tolist():
        vector = vectors[row]
        if vector is None or sizes[row] not in (0, width):
            what = (
                f"{shorten(column.iloc[row], 30)!r}, which is no list of numbers,"
                if vector is None
                else count_of(sizes[row], "number")
            )
            raise TableError(
                f"Column {column.name!r} holds {what} in row {column.index[row]} but {width:,} numbers in "
                f"row {column.index[first]} (the first row is 0): make its lists equally long, empty the "
                "cell, or leave the column out."
            )
        matrix[row, : sizes[row]] = vector
    too_large = np.argwhere(np.abs(matrix) > LARGEST_NUMBER)
    if len(too_large):
        row = too_large[0][0]
        raise TableError(
            f"Column {column.name!r} holds {matrix[tuple(too_large[0])]:g} in the list of row "
            f"{column.index[row]} (the first row is 0), which is infinite or too large: correct it or empty "
            "the cell."
        )
    return matrix


def nested_problem(column: pd.Series) -> str:
    """Say in a sentence why a column of lists or bytes cannot be used; nothing if it can."""
    if holds_pictures(column):
        return ""
    if holds_vectors(column):
        try:
            vector_matrix(column)
        except TableError as error:
            return str(error)
    elif holds_nested(column):
        return (
            f"Column {column.name!r} holds lists or bytes that are neither numbers nor pictures: "
            "leave it out."
        )
    return ""


# --- As columns ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """What a column of vectors or pictures becomes: the names of that many columns."""

    kind: Mode | Literal["vectors"]
    names: tuple[str, ...]


def shapes_of(frame: pd.DataFrame) -> dict[str, Shape]:
    """Find the columns of vectors and pictures, and what each becomes."""
    shapes = {}
    for column in map(str, frame.columns):
        cells = frame[column]
        if holds_pictures(cells):
            kind: Mode | Literal["vectors"] = (mode := mode_of(cells))
            width = SIDES[mode] ** 2 * len(mode)
        elif holds_vectors(cells):
            kind, width = "vectors", vector_matrix(cells).shape[1]
        else:
            continue
        stem = column
        while f"{stem}[0]" in frame:
            stem += "_"
        shapes[column] = Shape(kind, tuple(f"{stem}[{i}]" for i in range(width)))
    return shapes


def widen(frame: pd.DataFrame, shapes: Mapping[str, Shape]) -> pd.DataFrame:
    """Put the numbers of vectors and the pixels of pictures in the place of their columns."""
    parts: list[pd.DataFrame] = []
    for column in frame.columns:
        cells, shape = frame[column], shapes.get(column)
        if shape is None:
            parts.append(cells.to_frame())
            continue
        if shape.kind == "vectors":
            numbers = vector_matrix(cells, len(shape.names))
        else:
            numbers = pixel_matrix(cells, shape.kind)
        parts.append(pd.DataFrame(numbers, cells.index, list(shape.names)))
    return pd.concat(parts, axis="columns")


def readable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that words can describe: vectors as arrays, pictures left out."""
    columns = {}
    for column in frame.columns:
        cells = frame[column]
        if holds_vectors(cells):
            columns[column] = cells.map(vector_of, na_action="ignore")
        elif not holds_nested(cells):
            columns[column] = cells
    return pd.DataFrame(columns, frame.index)


def plain_text(column: pd.Series) -> pd.Series:
    """Write cells as text that is the same where vectors and pictures are, however a file holds them."""
    if holds_pictures(column):
        return column.map(lambda cell: repr(picture_bytes(cell)))
    if holds_vectors(column):
        vectors = column.map(vector_of, na_action="ignore")
        return vectors.map(lambda one: one.astype(np.float32).tobytes().hex(), na_action="ignore")
    return column.astype("str")
