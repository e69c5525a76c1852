"""Tables: fix what is predicted from what, in a frame of one's own or a bundled sample."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pandas as pd

from ecoval_core.columns.guess import detect_target, suggest_exclusions
from ecoval_core.columns.target import (
    MIN_ROWS,
    check_finite,
    check_target,
    is_present,
    target_array,
)
from ecoval_core.columns.vectors import nested_problem
from ecoval_core.files.limits import TableError, check_filled, column_names
from ecoval_core.files.read import index_to_columns, read_frame
from ecoval_core.target_type import Task, detect_task
from ecoval_core.text import join

_FOLDER = Path(__file__).parent / "samples"


@dataclass(frozen=True, eq=False)
class Table:
    """A table fit for valuation: made by `make_table` or `load_sample`."""

    name: str
    # Columns and their order as read; its index 0 to n_rows - 1 holds the row ids.
    frame: pd.DataFrame
    target: str
    task: Task
    # Columns that are not used as features, with the reason.
    excluded: Mapping[str, str]
    # Digest of the frame alone.
    content: str

    @property
    def n_rows(self) -> int:
        """Number of rows, with and without a target."""
        return len(self.frame)

    @property
    def features(self) -> list[str]:
        """Columns used to predict the target."""
        unused = {self.target, *self.excluded}
        return [str(column) for column in self.frame if column not in unused]

    @cached_property
    def labelled_ids(self) -> np.ndarray:
        """Row ids with a target, int64."""
        return np.flatnonzero(is_present(self.frame[self.target]))

    @cached_property
    def unlabelled_ids(self) -> np.ndarray:
        """Row ids without a target, which are set aside, int64."""
        return np.flatnonzero(~is_present(self.frame[self.target]))

    @cached_property
    def labels(self) -> np.ndarray:
        """Target of the rows in `labelled_ids`, as `target_array` makes it."""
        return target_array(self.frame[self.target].iloc[self.labelled_ids], self.task)

    @cached_property
    def label_series(self) -> pd.Series:
        """`labels` by row id, under the target's name."""
        return pd.Series(self.labels, index=self.labelled_ids, name=self.target)

    @cached_property
    def classes(self) -> np.ndarray:
        """Distinct labels, sorted; empty for regression."""
        return np.unique(self.labels) if self.task == "classification" else self.labels[:0]


def make_table(
    frame: pd.DataFrame,
    name: str,
    target: str | None = None,
    task: Task | None = None,
    excluded: Mapping[str, str] | Iterable[str] | None = None,
) -> Table:
    """Check a frame and fix what is predicted from what.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        At least 10 rows with a target, and two columns. Column names become text; a named index
        becomes a column; rows are numbered from 0.
    name : str
        What messages call the table.
    target : str, default=None
        The column to predict; None guesses with `detect_target`.
    task : {"classification", "regression"}, default=None
        None guesses with `detect_task`.
    excluded : mapping of str to str or iterable of str, default=None
        Columns not to use, with or without reasons; None takes `suggest_exclusions`.

    Returns
    -------
    Table

    Raises
    ------
    TableError
        If the table or a choice cannot be valued: one sentence that names the column, row or class.

    Notes
    -----
    Rows without a target stay in the table and are set aside. A class with a single row is
    refused, since no split can both learn and measure it: the user decides whether it is an error,
    belongs to another class, or should lose its label. The rows of a class of two serve
    training and validation.
    """
    frame = index_to_columns(frame)
    frame.columns = pd.Index(column_names(frame.columns, name))
    _check_size(frame, name)
    if target is None:
        target = detect_target(frame)
    if excluded is None:
        excluded = suggest_exclusions(frame, target)
    elif not isinstance(excluded, Mapping):
        excluded = dict.fromkeys(excluded, "left out by choice")
    for column in (target, *excluded):
        if column not in frame:
            some = join(list(map(str, frame.columns[:12])), frame.shape[1])
            raise TableError(f"{name} has no column {column!r}: choose one of {some}.")
    if target in excluded:
        raise TableError(f"Column {target!r} is the target: it cannot be ignored as well.")
    if task is None:
        task = detect_task(frame[target])
    table = Table(name, frame, target, task, dict(excluded), content_digest(frame))
    check_target(frame[target], task)
    if not table.features:
        raise TableError(
            f"{name} has no column left to predict {target!r} from: use one of the ignored "
            "columns, or choose another target."
        )
    for column in table.features:
        check_finite(frame[column])
        if problem := nested_problem(frame[column]):
            raise TableError(problem)
    return table


def content_digest(frame: pd.DataFrame) -> str:
    """Return the digest of a frame's columns, dtypes and cells."""
    digest = blake2b(digest_size=16)
    for column in frame:
        values = frame[column]
        digest.update(f"{column!r} {values.dtype} ".encode())
        try:
            hashes = pd.util.hash_pandas_object(values, index=False)
        except (TypeError, ValueError):  # nested values, or text that is no Unicode
            texts = values.astype(object).map(_spell)
            hashes = pd.util.hash_pandas_object(texts, index=False)
        digest.update(hashes.to_numpy().tobytes())
    return digest.hexdigest()


def _spell(value: object) -> str:
    """Return what a cell holds as text of plain signs, arrays in full."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        return f"array({list(map(repr, value.tolist()))})"  # as below, in a fifth of the time
    if isinstance(value, np.ndarray):
        return f"array({[_spell(item) for item in value.tolist()]})"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({[_spell(item) for item in value]})"
    if isinstance(value, dict):
        return f"dict({[(_spell(key), _spell(item)) for key, item in value.items()]})"
    return ascii(value.item() if isinstance(value, np.generic) else value)


def _check_size(frame: pd.DataFrame, name: str) -> None:
    n_rows, n_columns = frame.shape
    check_filled(n_rows, n_columns, name)
    if n_columns == 1:
        raise TableError(
            f"{name} has one column only ({frame.columns[0]!r}): a target and at least one feature "
            "are needed, separated by a comma, semicolon, tab or bar."
        )
    if n_rows < MIN_ROWS:
        rows = "a single row" if n_rows == 1 else f"{n_rows} rows only"
        raise TableError(f"{name} has {rows}: at least {MIN_ROWS} are needed.")


@dataclass(frozen=True)
class Sample:
    """A bundled table: its key, what it is, and the column that a model predicts."""

    key: str
    title: str
    description: str
    target: str


_SAMPLES = (
    Sample("digits", "Handwritten digits", "1,797 pictures of 8 × 8 pixels, ten digits.", "digit"),
    Sample("breast_cancer", "Breast cancer",
           "569 biopsies, 30 measures of cell nuclei, malignant or benign.", "diagnosis"),
    Sample("wine", "Wine", "178 wines, 13 chemical measures, three cultivars.", "cultivar"),
    Sample("penguins", "Palmer penguins",
           "344 penguins of three species: mixed columns, a few values missing.", "species"),
    Sample("titanic", "Titanic passengers",
           "1,309 passengers, who survived: mixed columns, many ages missing.", "survived"),
)  # fmt: skip
SAMPLES = {sample.key: sample for sample in _SAMPLES}


def load_sample(key: str) -> Table:
    """Load a bundled table; nothing is fetched from the network."""
    if key not in SAMPLES:
        raise TableError(f"There is no sample {key!r}: choose one of {', '.join(SAMPLES)}.")
    sample = SAMPLES[key]
    if (_FOLDER / f"{key}.csv").exists():
        return make_table(read_frame(_FOLDER / f"{key}.csv"), sample.title, sample.target)

    from sklearn import datasets

    bunch = getattr(datasets, f"load_{key}")(as_frame=True)
    labels = bunch.target if key == "digits" else np.asarray(bunch.target_names)[bunch.target]
    return make_table(bunch.data.assign(**{sample.target: labels}), sample.title, sample.target)
