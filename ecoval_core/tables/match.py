"""Matching: a second file is laid over the columns of a table that a model was fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pandas as pd

from ecoval_core.tables.columns import check_finite, has_target
from ecoval_core.tables.convert import (
    convert,
    counts_of,
    examples,
    is_present,
    kind_of,
    match_names,
    match_values,
    refuse_column,
)
from ecoval_core.tables.limits import TableError, column_names, refuse_empty
from ecoval_core.tables.read import index_to_columns
from ecoval_core.tables.table import Table
from ecoval_core.target_type import LARGEST_NUMBER, numeric_values
from ecoval_core.text import join, shorten

# Text with more distinct values is free text, of which new values are no news.
MAX_CATEGORIES = 40
# Beyond this share of cells outside the range of the table, the unit may be another.
MANY_OUTSIDE = 0.5
MAX_NAMED = 12


@dataclass(frozen=True, eq=False)
class Matched:
    """A new file in the columns and kinds of a fitted table.

    Attributes
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        The table's columns that the file has (all features, and the target and columns left out where
        they are there), in the table's order; row ids 0 to n_rows - 1, as in the file.
    features : list of str
        Columns that the model was fitted on.
    target : str
        The column to predict.
    has_target : bool
        Whether the file has it.
    ids : ndarray of shape (n_usable,), int64
        Rows with a label that the model knows, or an amount.
    labels : ndarray of shape (n_usable,)
        Targets of these rows, as the table's are.
    unlabelled_ids : ndarray of int64
        Rows without a target.
    unknown_labels : Series of str
        Labels that the model never saw, or cells that are no amounts, by row id.
    repeated_ids : ndarray of int64
        Rows whose features and target (where the file has it) are those of a row of the table.
    notes : tuple of str
        What was done to make the file fit, a sentence each.
    warnings : tuple of str
        What may make values less right, a sentence each.
    """

    frame: pd.DataFrame
    features: list[str]
    target: str
    has_target: bool
    ids: np.ndarray
    labels: np.ndarray
    unlabelled_ids: np.ndarray
    unknown_labels: pd.Series
    repeated_ids: np.ndarray
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        """Rows of the file."""
        return len(self.frame)


def match_columns(
    table: Table, frame: pd.DataFrame, *, name: str = "The new file",
    train_ids: np.ndarray | None = None,
) -> Matched:  # fmt: skip
    """Lay a new file over the columns of a fitted table, and say what does not fit.

    Parameters
    ----------
    table : Table
        What the model was fitted on.
    frame : DataFrame of shape (n_rows, n_columns)
        The new file as read, for example by :func:`ecoval_core.tables.read_frame`.
    name : str, default="The new file"
        What messages call the file.
    train_ids : ndarray of int or None, default=None
        Row ids of the training part, whose categories and ranges the model knows; None takes all rows.

    Returns
    -------
    Matched
        The file as the model takes it, with notes and warnings.

    Raises
    ------
    TableError
        If the file has no rows, a column that the model needs is missing (the message names all of
        them, and columns with names near theirs), of a column not a single cell can be converted, or a
        number is too large.

    Notes
    -----
    Names of columns, categories and labels that differ from the table's in case, spaces and punctuation
    alone are taken for the table's, where that is unambiguous. Rows with an unknown label, and rows
    without one, are set aside and stop nothing.
    """
    frame = index_to_columns(frame)
    frame.columns = pd.Index(column_names(frame.columns, name))
    if frame.shape[1] == 0:
        refuse_empty(name)
    if len(frame) == 0:
        raise TableError(f"{name} has column names but no rows: choose a file with rows.")
    known = table.frame if train_ids is None else table.frame.iloc[train_ids]
    pairs, notes = _match_names(table, [str(column) for column in frame], name)
    warnings: list[str] = []
    columns = {}
    for column in table.frame.columns:
        if column not in pairs:
            continue
        given = frame[pairs[column]].rename(column)
        if column in table.features:
            columns[column] = _fit_feature(known[column], given, name, notes, warnings)
        else:
            columns[column] = given
    has_target_column = table.target in pairs
    labels = pd.Series(pd.NA, frame.index, dtype=object, name=table.target)
    present = np.zeros(len(frame), dtype=bool)
    if has_target_column:
        present = has_target(columns[table.target])
        labels = _fit_target(table, columns[table.target], notes)
    matched = pd.DataFrame(columns)
    usable = labels.notna().to_numpy()
    unknown = columns[table.target][present & ~usable] if has_target_column else labels.iloc[:0]
    if len(unknown):
        what = "amounts" if table.task == "regression" else "labels that the model has seen"
        warnings.append(
            f"{_rows(len(unknown))} set aside: {_they(len(unknown))} no {what} in {table.target!r}, "
            f"but {counts_of(unknown)}."
        )
    if has_target_column and not present.all():
        n = int((~present).sum())
        notes.append(f"{_rows(n)} without a value in {table.target!r}.")
    repeated = _repeated(table, matched, labels if has_target_column else None)
    if len(repeated):
        n = len(repeated)
        warnings.append(
            f"{n:,} {'row equals a row' if n == 1 else 'rows equal rows'} of {shorten(table.name)} in all "
            f"features{' and the target' if has_target_column else ''}: if {_they(n)} the same, nothing "
            "new comes with that and test scores may be flattered."
        )
    return Matched(
        frame=matched,
        features=table.features,
        target=table.target,
        has_target=has_target_column,
        ids=np.flatnonzero(usable).astype(np.int64),
        labels=np.array(labels[usable].tolist(), dtype=table.labels.dtype),
        unlabelled_ids=np.flatnonzero(~present).astype(np.int64),
        unknown_labels=unknown.astype("str"),
        repeated_ids=repeated,
        notes=tuple(notes),
        warnings=tuple(warnings),
    )


def _rows(n: int) -> str:
    return f"{n:,} row is" if n == 1 else f"{n:,} rows are"


def _they(n: int) -> str:
    return "it is" if n == 1 else "they are"


# --- Names ---------------------------------------------------------------------------------


def _match_names(table: Table, given: list[str], name: str) -> tuple[dict[str, str], list[str]]:
    """Pair the table's columns with the file's: pairs and notes."""
    wanted = [str(column) for column in table.frame]
    pairs = match_names(wanted, given)
    spare = [column for column in given if column not in set(pairs.values())]
    missing = [column for column in table.features if column not in pairs]
    if missing:
        _refuse_missing(missing, len(table.features), spare, name)
    notes = [
        f"Column {found!r} is read as {column!r}."
        for column, found in pairs.items()
        if found != column
    ]
    if spare:
        columns = join([repr(shorten(column, 30)) for column in spare[:MAX_NAMED]], len(spare))
        verb = "Column {} is" if len(spare) == 1 else "Columns {} are"
        notes.append(f"{verb.format(columns)} not in the table and ignored.")
    return pairs, notes


def _refuse_missing(missing: list[str], n_features: int, spare: list[str], name: str) -> None:
    folded = {column.casefold(): column for column in spare}
    named = []
    for column in missing:
        near = get_close_matches(column.casefold(), folded, n=1)
        hint = f" (perhaps {shorten(folded[near[0]], 40)!r})" if near else ""
        named.append(f"{shorten(column, 40)!r}{hint}")
    of = f"{len(missing):,} of the {n_features:,} columns" if n_features > 1 else "the one column"
    raise TableError(
        f"{name} lacks {of} that the model was fitted on, {join(named)}: add or rename "
        f"{'it' if len(missing) == 1 else 'them'} and load the file again."
    )


# --- Cells ---------------------------------------------------------------------------------


def _fit_feature(
    old: pd.Series, new: pd.Series, name: str, notes: list[str], warnings: list[str]
) -> pd.Series:
    """Convert a feature; what is to be said goes to the notes and warnings."""
    column, kind = str(old.name), kind_of(old)
    found = convert(old, new)
    n_present = int(is_present(new).sum())
    if len(found.failed) == n_present and n_present:
        refuse_column(column, kind, found.failed, name)
    if found.note:
        notes.append(found.note)
    if len(found.failed):
        warnings.append(
            f"Column {column!r}: {len(found.failed):,} of {n_present:,} cells are no {kind} "
            f"({examples(found.failed)}; the first row is 0) and count as missing."
        )
    if not n_present and is_present(old).any():
        warnings.append(f"Column {column!r} is empty, so that every row counts as missing there.")
    check_finite(found.cells)
    if kind == "numbers":
        _compare_ranges(old, found.cells, warnings)
        return found.cells
    return _fit_categories(old, found.cells, notes, warnings) if kind == "text" else found.cells


def _compare_ranges(old: pd.Series, new: pd.Series, warnings: list[str]) -> None:
    before, after = numeric_values(old), numeric_values(new)
    if before is None or after is None or np.isnan(before).all() or np.isnan(after).all():
        return
    low, high = np.nanmin(before), np.nanmax(before)
    after = after[~np.isnan(after)]
    outside = float(((after < low) | (after > high)).mean())
    if outside > MANY_OUTSIDE:
        warnings.append(
            f"Column {old.name!r}: {outside:.0%} of the cells lie outside {low:.4g} to {high:.4g}, where "
            "those of training lie; check that the unit is the same."
        )


def _fit_categories(
    old: pd.Series, new: pd.Series, notes: list[str], warnings: list[str]
) -> pd.Series:
    """Match categories by spelling, and name those that training never held."""
    known = set(old.dropna().astype("str"))
    if len(known) > MAX_CATEGORIES:
        return new
    text = new.astype("str").where(is_present(new))
    column = old.name
    renamed = match_values(known, pd.unique(text.dropna()))
    if renamed:
        notes.append(f"In column {column!r}, {_renamed(renamed)}.")
        text = text.replace(renamed)
        new = convert(old, text).cells
    unseen = text[text.notna() & ~text.isin(known)]
    if len(unseen):
        n = unseen.nunique()
        warnings.append(
            f"Column {column!r} holds {n:,} {'value' if n == 1 else 'values'} that training never did, "
            f"of which the model has learnt nothing: {counts_of(unseen)}."
        )
    return new


def _fit_target(table: Table, given: pd.Series, notes: list[str]) -> pd.Series:
    """Targets as the table's are, by row id; missing where there is none that the model knows."""
    old = table.label_series
    present = has_target(given)
    labels = pd.Series(pd.NA, given.index, dtype=object, name=table.target)
    if table.task == "regression" or old.dtype.kind == "i":
        numbers = convert(old, given).cells.astype("float64")
        good = present & (numbers.abs() <= LARGEST_NUMBER).to_numpy()
        if table.task == "classification":
            good &= numbers.isin(table.classes).to_numpy()
        labels[good] = numbers[good].astype(old.dtype)
        return labels
    classes = [str(label) for label in table.classes]
    text = _written_as(classes, given).where(present)
    if renamed := match_values(classes, pd.unique(text.dropna())):
        notes.append(f"In the target {table.target!r}, {_renamed(renamed)}.")
        text = text.replace(renamed)
    good = text.isin(classes).to_numpy()
    labels[good] = text[good]
    return labels


def _written_as(classes: list[str], given: pd.Series) -> pd.Series:
    """Write labels as the classes are written: numbers with or without a point."""
    values = numeric_values(given)
    if values is None:
        return given.astype("str")
    plain = [str(value) for value in values.tolist()]
    short = [text.removesuffix(".0") for text in plain]
    known = set(classes)
    written = [one if one in known else other for one, other in zip(plain, short, strict=True)]
    return pd.Series(written, given.index, dtype="str", name=given.name)


def _renamed(pairs: dict[str, str]) -> str:
    named = [f"{given!r} as {wanted!r}" for given, wanted in list(pairs.items())[:MAX_NAMED]]
    return join([named[0].replace(" as ", " is read as "), *named[1:]], len(pairs))


# --- Rows that are not new -----------------------------------------------------------------


def _repeated(table: Table, matched: pd.DataFrame, labels: pd.Series | None) -> np.ndarray:
    """Row ids whose features, and target where there is one, are those of a row of the table."""

    def digests(frame: pd.DataFrame, target: pd.Series | None) -> np.ndarray:
        plain = {}
        for column in table.features:
            values = numeric_values(frame[column])
            plain[column] = frame[column].astype("str") if values is None else values
        if target is not None:
            plain["\0target"] = target.astype("str").to_numpy()
        return pd.util.hash_pandas_object(pd.DataFrame(plain), index=False).to_numpy()

    if labels is None:
        known = digests(table.frame, None)
        return np.flatnonzero(np.isin(digests(matched, None), known)).astype(np.int64)
    rows = table.frame.iloc[table.labelled_ids]
    known = digests(rows, table.label_series)
    usable = labels.notna().to_numpy()
    same = np.isin(digests(matched, labels), known)
    return np.flatnonzero(usable & same).astype(np.int64)
