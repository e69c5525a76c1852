"""Workbooks: the sheets of an Excel file, and the rows of one that hold its names."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pandas as pd
from pandas.api import types

from ecoval_core.files.header import MAX_ROWS, Reading, find_header
from ecoval_core.files.limits import TableError, refuse, refuse_empty
from ecoval_core.text import join, shorten

# What pandas takes for a missing value when it reads text. In a target a word is a class.
MISSING_WORDS = frozenset(
    ("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
     "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
)  # fmt: skip


def read_workbook(
    data: bytes, name: str, header: Sequence[int] | None, sheet: str | None
) -> tuple[pd.DataFrame, Reading]:
    """Read a sheet, the first with two columns if none is named; cells keep their types."""
    sheets, cells, found = _read_cells(data, name, sheet)
    first = cells.head(max([MAX_ROWS, *(header or ())]))
    rows = first.map(_spell).to_numpy().tolist()
    names, n_above, rows_with_names = find_header(rows, (first.index + 1).tolist(), header, name)
    # What is left of a title alone is no column.
    frame = cells.iloc[n_above:].reset_index(drop=True)
    kept = [i for i, label in enumerate(names) if label or frame.iloc[:, i].notna().any()]
    frame = frame.iloc[:, kept].apply(_empty_words_among_numbers).infer_objects()
    frame.columns = pd.Index([names[i] for i in kept], dtype=object)
    reading = Reading(
        header=rows_with_names,
        sheet=None if found == sheets[0] else found,
        sheets=tuple(sheets) if len(sheets) > 1 else (),
    )
    return frame, reading


def _read_cells(data: bytes, name: str, sheet: str | None) -> tuple[list[str], pd.DataFrame, str]:
    """Return the names of the sheets, the cells of one without blank rows and columns, and its name."""
    try:
        with pd.ExcelFile(io.BytesIO(data), engine="calamine") as book:
            sheets = list(map(str, book.sheet_names))
            if sheet is not None and sheet not in sheets:
                shown = join([repr(shorten(one)) for one in sheets[:5]], len(sheets))
                raise TableError(f"{name} has no sheet {sheet!r}: choose one of {shown}.")
            notes: tuple[list[str], pd.DataFrame, str] | None = None
            for one in sheets if sheet is None else [sheet]:
                cells = book.parse(
                    one, header=None, dtype=object, keep_default_na=False, na_values=[""]
                )
                cells = cells.dropna(how="all").dropna(how="all", axis="columns")
                if cells.shape[1] > 1:
                    return sheets, cells, one
                if notes is None and not cells.empty:
                    notes = sheets, cells, one
            if notes is not None:
                return notes
    except (MemoryError, TableError):
        raise
    except BaseException as error:
        # What panics in Rust is no Exception, and a class that cannot be imported.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        refuse(name, "is an Excel workbook that is damaged or protected", error)
    return refuse_empty(name)


def _empty_words_among_numbers(column: pd.Series) -> pd.Series:
    """Empty cells with a word for a missing value, unless the column is of text, where it may be a class."""
    is_word = column.isin(MISSING_WORDS)
    if not is_word.any():
        return column
    kind = types.infer_dtype(column[~is_word], skipna=True)
    return column if kind in ("string", "mixed", "empty") else column.mask(is_word)


def _spell(cell: Any) -> str:
    return "" if pd.isna(cell) else str(cell)
