"""Conversion: cells of a new file become what the same column held in the table that was fitted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Literal

import numpy as np
import pandas as pd
from pandas.api import types

from ecoval_core.columns.clean import plain_categories, tidy
from ecoval_core.columns.pictures import holds_pictures, open_picture
from ecoval_core.columns.target import are_whole
from ecoval_core.columns.vectors import holds_vectors, vector_matrix, vector_of
from ecoval_core.target_type import numeric_values

Kind = Literal["numbers", "truth values", "dates", "text", "vectors", "pictures"]
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
    if isinstance(old.dtype, pd.CategoricalDtype):
        return _to_categories(old, plain_categories(new))
    ways = {
        "numbers": _to_numbers, "truth values": _to_truth_values, "dates": _to_dates,
        "text": _to_text, "vectors": _to_vectors, "pictures": _to_pictures,
    }  # fmt: skip
    return ways[kind_of(old)](old, plain_categories(new))


def _to_categories(old: pd.Series, new: pd.Series) -> pd.Series:
    cells = convert(pd.Series(old.cat.categories), new)
    categories = old.cat.categories.union(pd.Index(cells.dropna().unique()), sort=False)
    found = pd.Categorical(cells, categories, ordered=old.cat.ordered)
    return pd.Series(found, new.index, name=new.name)


def _to_numbers(old: pd.Series, new: pd.Series) -> pd.Series:
    values = numeric_values(new)
    if values is None:
        is_truth = kind_of(new) == "truth values"
        cells = new.astype("boolean") if is_truth else new.astype("str").str.strip()
        values = pd.to_numeric(cells, errors="coerce").to_numpy("float64", na_value=np.nan)
    if types.is_integer_dtype(old) and are_whole(values):
        values = values.astype("int64")
    return pd.Series(values, new.index, name=new.name)


def _to_truth_values(_: pd.Series, new: pd.Series) -> pd.Series:
    cells = new.astype("str").str.strip().str.casefold().map(_TRUTH).astype("boolean")
    return cells if cells.isna().any() else cells.astype("bool")


def _to_dates(old: pd.Series, new: pd.Series) -> pd.Series:
    if not types.is_datetime64_any_dtype(new):  # a number is no date
        new = new.astype("str").where(new.notna() & (kind_of(new) == "text"))
    elif isinstance(old.dtype, pd.DatetimeTZDtype) and new.dt.tz is None:
        new = new.dt.tz_localize(old.dtype.tz, ambiguous="NaT", nonexistent="NaT")
    cells = pd.to_datetime(new, errors="coerce", format="mixed", utc=True)
    has_zone = isinstance(old.dtype, pd.DatetimeTZDtype)
    return (cells if has_zone else cells.dt.tz_localize(None)).astype(old.dtype)


def _to_text(old: pd.Series, new: pd.Series) -> pd.Series:
    return new if kind_of(new) == "text" else as_text(new).astype(old.dtype)


def _to_vectors(old: pd.Series, new: pd.Series) -> pd.Series:
    """Keep lists of as many finite numbers as the table has in a row."""
    width = vector_matrix(old).shape[1]
    vectors = [vector_of(cell) for cell in new]
    good = [one is not None and len(one) == width and not np.isinf(one).any() for one in vectors]
    return new.astype(object).where(pd.Series(good, new.index), None)


def _to_pictures(_: pd.Series, new: pd.Series) -> pd.Series:
    good = [open_picture(cell, 1) is not None for cell in new]
    return new.astype(object).where(pd.Series(good, new.index), None)


def as_text(column: pd.Series, known: Collection[str] = ()) -> pd.Series:
    """Write cells as text: whole numbers without a point, as codes are, unless it is known with one."""
    text = column.astype("str")
    values = numeric_values(column)
    if values is not None:
        exact = pd.Series(values.tolist(), column.index).astype("str")
        text = exact.where(exact.isin(known), text.str.removesuffix(".0"))
    return text.where(column.notna())


# --- Spelling ------------------------------------------------------------------------------


def match_names(wanted: Iterable[str], given: Iterable[str]) -> dict[str, str]:
    """Pair names that differ in case, spaces, underscores, points and hyphens alone."""
    wanted, given = list(wanted), list(given)
    pairs = {name: name for name in wanted if name in set(given)}
    alike = match_values(
        [name for name in wanted if name not in pairs],
        [name for name in given if name not in pairs],
        lambda name: re.sub(r"[\s_.\-]+", "", name.casefold()) or name.strip().casefold(),
    )
    times = Counter(alike.values())
    return pairs | {name: other for other, name in alike.items() if times[name] == 1}


def match_values(
    known: Iterable[str], given: Iterable[str],
    fold: Callable[[str], str] = lambda value: tidy(value).casefold(),
) -> dict[str, str]:  # fmt: skip
    """Find the known value that each unknown one is, but for case and spaces."""
    by_spelling: dict[str, set[str]] = {}
    for value in known:
        by_spelling.setdefault(fold(value), set()).add(value)
    alike = {value: by_spelling.get(fold(value), set()) for value in given}
    return {
        value: next(iter(same))
        for value, same in alike.items()
        if len(same) == 1 and value not in same
    }
