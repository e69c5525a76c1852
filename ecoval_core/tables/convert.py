"""Conversion: cells of a new file become what the same column held in the table that was fitted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import numpy as np
import pandas as pd
from pandas.api import types

from ecoval_core.columns.pictures import holds_pictures, open_picture
from ecoval_core.columns.vectors import holds_vectors, vector_matrix, vector_of
from ecoval_core.target_type import numeric_values
from ecoval_core.text import count_of, join, shorten

Kind = Literal["numbers", "truth values", "dates", "text", "vectors", "pictures"]
MAX_EXAMPLES = 3
_SEPARATORS = re.compile(r"[\s_.\-]+")
_TRUTH = dict.fromkeys(("true", "yes", "y", "t", "1", "1.0"), True) | dict.fromkeys(
    ("false", "no", "n", "f", "0", "0.0"), False
)


def kind_of(column: pd.Series) -> Kind:
    """Tell what kind of cells a column holds."""
    if types.is_bool_dtype(column) or types.infer_dtype(column, skipna=True) == "boolean":
        return "truth values"
    if types.is_datetime64_any_dtype(column):
        return "dates"
    if holds_pictures(column):
        return "pictures"
    if holds_vectors(column):
        return "vectors"
    return "text" if numeric_values(column) is None else "numbers"


def convert(old: pd.Series, new: pd.Series) -> pd.Series:
    """Convert cells to the kind that a column of the table holds; missing where that fails."""
    ways = {
        "numbers": _to_numbers, "truth values": _to_truth_values, "dates": _to_dates,
        "vectors": _to_vectors, "pictures": _to_pictures,
    }  # fmt: skip
    return ways.get(kind_of(old), _to_text)(old, new)


def _to_numbers(old: pd.Series, new: pd.Series) -> pd.Series:
    values = numeric_values(new)
    if values is None:
        if kind_of(new) == "truth values":
            values = new.astype("boolean").to_numpy(dtype="float64", na_value=np.nan)
        elif kind_of(new) == "dates":
            values = np.full(len(new), np.nan)
        else:
            text = new.astype("str").str.strip()
            values = pd.to_numeric(text, errors="coerce").to_numpy(dtype="float64", na_value=np.nan)
    cells = pd.Series(values, new.index, name=new.name)
    whole = types.is_integer_dtype(old) and np.isfinite(values).all()
    if whole and (values == np.floor(values)).all() and np.abs(values).max(initial=0) < 2**53:
        return cells.astype("int64")
    return cells


def _to_truth_values(_: pd.Series, new: pd.Series) -> pd.Series:
    if kind_of(new) == "truth values":
        cells = new.astype("boolean")
    else:
        cells = new.astype("str").str.strip().str.casefold().map(_TRUTH).astype("boolean")
    return cells if cells.isna().any() else cells.astype("bool")


def _to_dates(old: pd.Series, new: pd.Series) -> pd.Series:
    zone = getattr(old.dtype, "tz", None)
    if kind_of(new) in ("numbers", "truth values"):
        cells = pd.Series(pd.NaT, new.index, dtype="datetime64[us]")
    elif kind_of(new) == "dates":
        cells = new
    else:
        text = new.astype("str").where(new.notna())
        cells = pd.to_datetime(text, errors="coerce", format="mixed", utc=True)
    if zone is not None and cells.dt.tz is None:
        cells = cells.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    elif zone is None and cells.dt.tz is not None:
        cells = cells.dt.tz_convert("UTC").dt.tz_localize(None)
    return cells.astype(old.dtype)


def _to_vectors(old: pd.Series, new: pd.Series) -> pd.Series:
    """Keep lists of as many finite numbers as the table has in a row."""
    width = vector_matrix(old).shape[1]
    vectors = [vector_of(cell) for cell in new]
    good = [one is not None and len(one) == width and not np.isinf(one).any() for one in vectors]
    return new.astype(object).where(pd.Series(good, new.index), None)


def _to_pictures(_: pd.Series, new: pd.Series) -> pd.Series:
    good = [open_picture(cell, 1) is not None for cell in new]
    return new.astype(object).where(pd.Series(good, new.index), None)


def _to_text(old: pd.Series, new: pd.Series) -> pd.Series:
    if isinstance(old.dtype, pd.CategoricalDtype):
        return _to_categories(old, new)
    if kind_of(new) == "text" and not isinstance(new.dtype, pd.CategoricalDtype):
        return new
    return _as_text(new).astype(old.dtype)


def _to_categories(old: pd.Series, new: pd.Series) -> pd.Series:
    known = pd.Series(old.cat.categories)
    plain = new.astype(new.cat.categories.dtype) if hasattr(new, "cat") else new
    cells = _as_text(plain) if kind_of(known) == "text" else convert(known, plain)
    strange = [cell for cell in pd.unique(cells.dropna()) if cell not in set(known)]
    if not strange:
        return cells.astype(old.dtype)
    return cells.astype(pd.CategoricalDtype([*known, *strange], ordered=old.cat.ordered))


def _as_text(column: pd.Series) -> pd.Series:
    """Write cells as text; whole numbers without a point, as codes are written."""
    values = numeric_values(column)
    if values is None or types.is_integer_dtype(column):
        return column.astype("str").where(column.notna())
    written = [
        f"{value:.0f}" if value == np.floor(value) else f"{value!r}" for value in values.tolist()
    ]
    return pd.Series(written, column.index, dtype="str").where(column.notna())


def match_names(wanted: Iterable[str], given: Iterable[str]) -> dict[str, str]:
    """Pair names that differ in case, spaces, underscores, points and hyphens alone."""
    wanted, given = list(wanted), list(given)
    pairs = {name: name for name in wanted if name in set(given)}
    by_spelling: dict[str, list[list[str]]] = {}
    for side, names in enumerate((wanted, given)):
        for name in names:
            if name not in pairs:
                folded = name.strip().casefold()
                key = _SEPARATORS.sub("", folded) or folded
                by_spelling.setdefault(key, [[], []])[side].append(name)
    alike = (sides for sides in by_spelling.values() if len(sides[0]) == len(sides[1]) == 1)
    return pairs | {one[0]: other[0] for one, other in alike}


def match_values(known: Iterable[str], given: Iterable[str]) -> dict[str, str]:
    """Find the known value that each unknown one is, but for case and spaces."""
    known = list(known)
    by_spelling: dict[str, list[str]] = {}
    for value in known:
        by_spelling.setdefault(_fold(value), []).append(value)
    alike = {value: by_spelling.get(_fold(value), []) for value in given if value not in set(known)}
    return {value: same[0] for value, same in alike.items() if len(same) == 1}


def _fold(value: str) -> str:
    return " ".join(value.split()).casefold()


def examples(cells: pd.Series) -> str:
    """Name some cells with their rows: "'a' in row 3, 'b' in row 9"."""
    some = cells.iloc[:MAX_EXAMPLES].items()
    parts = [f"{shorten(cell, 30)!r} in row {row}" for row, cell in some]
    return ", ".join(parts) + (", …" if len(cells) > MAX_EXAMPLES else "")


def counts_of(cells: pd.Series, limit: int = 8) -> str:
    """Name the distinct cells with their numbers, the most frequent first: "'a' (3 rows), 'b' (1 row)"."""
    counts = cells.astype("str").value_counts()
    some = counts.iloc[:limit].items()
    parts = [f"{shorten(cell, 30)!r} ({count_of(n, 'row')})" for cell, n in some]
    return join(parts, len(counts))
