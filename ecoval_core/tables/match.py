"""Matching: a second file is laid over the columns of a table that a model was fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pandas as pd

from ecoval_core.columns.target import MISSING_WORDS, check_finite, empty_words, is_present
from ecoval_core.columns.vectors import plain_text
from ecoval_core.files.limits import TableError, check_filled, column_names
from ecoval_core.files.read import index_to_columns
from ecoval_core.tables.convert import as_text, convert, kind_of, match_names, match_values
from ecoval_core.tables.table import Table
from ecoval_core.target_type import LARGEST_NUMBER, numeric_values
from ecoval_core.text import count_of, join, number, shorten

# Text with more distinct values is free text, of which new values are no news.
MAX_CATEGORIES = 40
# Beyond this share of cells outside the range of the table, the unit may be another.
MANY_OUTSIDE = 0.5
MAX_NAMED, MAX_EXAMPLES, MAX_COUNTED = 12, 3, 8


@dataclass(frozen=True, eq=False)
class Matched:
    """A new file in the columns and kinds of a fitted table."""

    # The table's columns that the file has, in the table's order; row ids as in the file.
    frame: pd.DataFrame
    target: str
    has_target: bool
    # Rows with a label that the model knows, or an amount, and their targets as the table's are.
    ids: np.ndarray
    labels: np.ndarray
    unlabelled_ids: np.ndarray
    # Labels that the model never saw, or cells that are no amounts, by row id.
    unknown_labels: pd.Series
    # What was done to make the file fit, and what may make values less right; a sentence each.
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def match_columns(
    table: Table, frame: pd.DataFrame, *, name: str = "The new file",
    train_ids: np.ndarray | None = None,
) -> Matched:  # fmt: skip
    """Lay a new file over the columns of a fitted table, and say what does not fit.

    The categories and ranges of the rows `train_ids` are those that the model knows; None takes all
    rows. Names of columns, categories and labels that differ from the table's in case, spaces and
    punctuation alone are taken for the table's, where that is unambiguous. Rows with an unknown
    label, and rows without one, are set aside. A `TableError` names what the model cannot do
    without: columns that are missing, of which no cell can be converted, or with too large numbers.
    """
    frame = index_to_columns(frame)
    frame.columns = pd.Index(column_names(frame.columns, name))
    check_filled(*frame.shape, name)
    has_word_class = not MISSING_WORDS.isdisjoint(map(str, table.classes))
    frame = empty_words(frame, table.target if has_word_class else None)
    known = table.frame if train_ids is None else table.frame.iloc[train_ids]
    known = empty_words(known, table.target)
    pairs, notes = _match_names(table, [str(column) for column in frame], name)
    warnings: list[str] = []
    columns = {}
    for column in filter(pairs.__contains__, table.frame.columns):
        given = frame[pairs[column]].rename(column)
        if column in table.features:
            given = _fit_feature(known[column], given, name, notes, warnings)
        columns[column] = given
    matched = pd.DataFrame(columns)
    has_target = table.target in matched
    given = columns.get(table.target, pd.Series(pd.NA, frame.index, dtype="str", name=table.target))
    present, labels = is_present(given), _fit_target(table, given, notes)
    usable = labels.notna().to_numpy()
    unknown = given[present & ~usable]
    if len(unknown):
        what = "amounts" if table.task == "regression" else "labels that the model has seen"
        warnings.append(
            f"{_rows(len(unknown))} set aside: {_they(len(unknown))} no {what} in {table.target!r}, "
            f"but {_counts(unknown)}."
        )
    if has_target and not present.all():
        notes.append(f"{_rows(int((~present).sum()))} without a value in {table.target!r}.")
    known_ids = table.labelled_ids if has_target else table.frame.index.to_numpy()
    if n := count_repeats(table, known_ids, matched, labels if has_target else None):
        equal = "row equals a row" if n == 1 else "rows equal rows"
        alike = "all features and the target" if has_target else "all features"
        warnings.append(
            f"{n:,} {equal} of {shorten(table.name)} in {alike}: if {_they(n)} the same, they add "
            "nothing new and test scores may be too optimistic."
        )
    return Matched(
        frame=matched, target=table.target, has_target=has_target,
        ids=np.flatnonzero(usable).astype(np.int64),
        labels=np.array(labels[usable].tolist(), dtype=table.labels.dtype),
        unlabelled_ids=np.flatnonzero(~present).astype(np.int64),
        unknown_labels=unknown.astype("str"), notes=tuple(notes), warnings=tuple(warnings),
    )  # fmt: skip


def _rows(n: int) -> str:
    return f"{count_of(n, 'row')} {'is' if n == 1 else 'are'}"


def _they(n: int) -> str:
    return "it is" if n == 1 else "they are"


def _match_names(table: Table, given: list[str], name: str) -> tuple[dict[str, str], list[str]]:
    """Pair the table's columns with the file's: pairs and notes."""
    pairs = match_names(map(str, table.frame), given)
    spare = [column for column in given if column not in set(pairs.values())]
    missing = [column for column in table.features if column not in pairs]
    if missing:
        folded, parts = {column.casefold(): column for column in spare}, []
        for column in missing:
            near = get_close_matches(column.casefold(), folded, n=1)
            hint = f" (perhaps {shorten(folded[near[0]], 40)!r})" if near else ""
            parts.append(f"{shorten(column, 40)!r}{hint}")
        columns = count_of(len(table.features), "column")
        raise TableError(
            f"{name} lacks {len(missing):,} of the {columns} that the model was fitted on, "
            f"{join(parts)}: add or rename what is missing and load the file again."
        )
    notes = [
        f"Column {given!r} is read as {column!r}."
        for column, given in pairs.items()
        if given != column
    ]
    if spare:
        columns = join([repr(shorten(column, 30)) for column in spare[:MAX_NAMED]], len(spare))
        verb = "Column {} is" if len(spare) == 1 else "Columns {} are"
        notes.append(f"{verb.format(columns)} not in the table and ignored.")
    return pairs, notes


def _fit_feature(
    old: pd.Series, new: pd.Series, name: str, notes: list[str], warnings: list[str]
) -> pd.Series:
    """Convert a feature; what is to be said goes to the notes and warnings."""
    column, kind = str(old.name), kind_of(old)
    cells, present = convert(old, new), is_present(new)
    failed, n_present = new[present & cells.isna().to_numpy()], int(present.sum())
    if len(failed) == n_present and n_present:
        raise TableError(
            f"{name} has no {kind} in column {column!r}, where the table that was fitted has them "
            f"({_examples(failed)}; the first row is 0): correct the column and load the file again."
        )
    if kind_of(new) != kind and n_present:
        notes.append(
            f"Column {column!r} holds {kind_of(new)}, read as the {kind} that the table has there."
        )
    if len(failed):
        warnings.append(
            f"Column {column!r}: {len(failed):,} of {n_present:,} cells are no {kind} "
            f"({_examples(failed)}; the first row is 0) and count as missing."
        )
    if not n_present and is_present(old).any():
        warnings.append(f"Column {column!r} is empty: its value counts as missing in every row.")
    check_finite(cells)
    if kind == "numbers":
        _compare_ranges(str(column), _present(old), _present(cells), warnings)
        return cells
    return _fit_categories(old, cells, notes, warnings) if kind == "text" else cells


def _present(column: pd.Series) -> np.ndarray:
    """Return the numbers of a column without those that are missing."""
    values = numeric_values(column)
    return np.empty(0) if values is None else values[~np.isnan(values)]


def _compare_ranges(column: str, old: np.ndarray, new: np.ndarray, warnings: list[str]) -> None:
    if not len(old) or not len(new):
        return
    outside = float(((new < old.min()) | (new > old.max())).mean())
    if outside > MANY_OUTSIDE:
        low, high = (number(end, 4, trim=True) for end in (old.min(), old.max()))
        warnings.append(
            f"Column {column!r}: {outside:.0%} of the cells lie outside {low} to {high}, the range of "
            "the training rows; check that the unit is the same."
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
        new = convert(old, text)
    unseen = text[text.notna() & ~text.isin(known)]
    if len(unseen):
        warnings.append(
            f"Column {column!r} holds {count_of(unseen.nunique(), 'value')} that the training "
            f"rows do not have, so the model has learned nothing about them: {_counts(unseen)}."
        )
    return new


def _fit_target(table: Table, given: pd.Series, notes: list[str]) -> pd.Series:
    """Return targets as the table's are, by row id; missing where there is none that the model knows."""
    old, classes = table.label_series, table.classes.tolist()
    if table.task == "regression" or old.dtype.kind == "i":
        labels = convert(old, given)
        good = labels.isin(classes) if classes else labels.abs() <= LARGEST_NUMBER
    else:
        labels = as_text(given, classes)
        if renamed := match_values(classes, pd.unique(labels[is_present(given)])):
            notes.append(f"In the target {table.target!r}, {_renamed(renamed)}.")
            labels = labels.replace(renamed)
        good = labels.isin(classes)
    usable = labels[good & is_present(given)].astype(old.dtype)
    return usable.astype(object).reindex(given.index)


def _examples(cells: pd.Series) -> str:
    """Name some cells with their rows: "'a' in row 3, 'b' in row 9"."""
    some = cells.iloc[:MAX_EXAMPLES].items()
    parts = [f"{shorten(cell, 30)!r} in row {row}" for row, cell in some]
    return ", ".join(parts) + (", …" if len(cells) > MAX_EXAMPLES else "")


def _counts(cells: pd.Series) -> str:
    """Name the distinct cells with their numbers, the most frequent first: "'a' (3 rows), 'b' (1 row)"."""
    counts = cells.astype("str").value_counts()
    some = counts.iloc[:MAX_COUNTED].items()
    return join([f"{shorten(cell, 30)!r} ({count_of(n, 'row')})" for cell, n in some], len(counts))


def _renamed(pairs: dict[str, str]) -> str:
    parts = [f"{given!r} as {wanted!r}" for given, wanted in list(pairs.items())[:MAX_NAMED]]
    return join([parts[0].replace(" as ", " is read as "), *parts[1:]], len(pairs))


def _digests(table: Table, frame: pd.DataFrame, target: pd.Series | None) -> np.ndarray:
    """Return a digest of the features of each row, and of the target where there is one."""
    plain = {}
    for column in table.features:
        values = numeric_values(frame[column])
        plain[column] = plain_text(frame[column]) if values is None else values
    if target is not None:
        plain["\0target"] = target.astype("str").to_numpy()
    return pd.util.hash_pandas_object(pd.DataFrame(plain), index=False).to_numpy()


def count_repeats(
    table: Table, known_ids: np.ndarray, frame: pd.DataFrame, labels: pd.Series | None
) -> int:
    """Count the rows that equal a known row of the table in all features, and in the target if given."""
    known_labels = None if labels is None else table.label_series[known_ids]
    known = _digests(table, table.frame.iloc[known_ids], known_labels)
    same = np.isin(_digests(table, frame, labels), known)
    return int((same if labels is None else same & labels.notna()).sum())
