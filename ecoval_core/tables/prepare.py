"""Preparing: split the rows, turn their columns into numbers, plant label noise for demos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from ecoval_core.columns.target import empty_words
from ecoval_core.files.limits import TableError
from ecoval_core.tables.match import Matched, count_repeats
from ecoval_core.tables.split_columns import read_weights
from ecoval_core.tables.splitting import (
    PARTS,
    RANDOM,
    Rule,
    check_rule,
    deal_rows,
)
from ecoval_core.tables.table import Table
from ecoval_core.tables.vectorizing import make_vectorizer, vectorize
from ecoval_core.target_type import Task
from ecoval_core.text import count_of

MIN_PART_ROWS = 2
# Each use of chance has its own stream, so that planting noise does not move the split.
SPLIT_STREAM, NOISE_STREAM = 0, 1


@dataclass(frozen=True, eq=False)
class Split:
    """A table split in three and vectorised, ready for valuation."""

    table: Table
    # float64, finite; each feature has mean 0 and standard deviation 1 over the training part.
    X_train: np.ndarray
    X_val: np.ndarray
    X_test: np.ndarray
    # Labels, int64 or text, or amounts, float64; those of training with the planted noise.
    y_train: np.ndarray
    y_val: np.ndarray
    y_test: np.ndarray
    # Row ids into ``table.frame``, int64, ascending; none of a part that is a file of its own.
    ids_train: np.ndarray
    ids_val: np.ndarray
    ids_test: np.ndarray
    # Takes ``table.frame[table.features]``; None for a split that was stored and read back, of
    # which `prepare` and `vectorise_new` make it again, to the last bit.
    vectorizer: Pipeline | None
    # Row ids whose training target was changed by planted noise, and the targets before it.
    flipped_ids: np.ndarray
    y_train_clean: np.ndarray
    # As asked for.
    proportions: tuple[float, float, float]
    noise: float
    random_state: int
    rule: Rule = RANDOM
    # Weights of the rows of each part; None where every row counts alike.
    w_train: np.ndarray | None = None
    w_val: np.ndarray | None = None
    w_test: np.ndarray | None = None
    # What the rule came upon, a sentence each.
    notes: tuple[str, ...] = ()

    @property
    def has_given_validation(self) -> bool:
        """Whether the validation rows were named by a column or a file, and not dealt."""
        if self.rule.kind in ("files", "given"):
            return not len(self.ids_val)
        return self.rule.kind == "column" and "validation" in self.rule.words.values()

    @property
    def task(self) -> Task:
        """Classification or regression, as the table's target poses."""
        return self.table.task

    @cached_property
    def parts(self) -> pd.Series:
        """Part of each row: "train", "validation", "test", "set aside" by the rule, or "no target"."""
        part = pd.Series("no target", index=self.table.frame.index, dtype="str", name="part")
        part[self.table.labelled_ids] = "set aside"
        part[self.ids_train] = "train"
        part[self.ids_val] = "validation"
        part[self.ids_test] = "test"
        return part


def prepare(
    table: Table,
    *,
    proportions: Sequence[float] = (0.6, 0.2, 0.2),
    noise: float = 0.0,
    random_state: int = 0,
    rule: Rule = RANDOM,
    validation: Matched | None = None,
    test: Matched | None = None,
) -> Split:
    """Split a table in three, vectorise it, and plant errors in the training targets if asked.

    Parameters
    ----------
    table : Table
        Rows without a target take no part.
    proportions : sequence of three float, default=(0.6, 0.2, 0.2)
        Shares of training, validation and test, above 0 and summing to 1.
    noise : float, default=0.0
        Share of training rows to plant errors in, at least 0 and below 1.
    random_state : int, default=0
        Seed; the same seed gives the same bits.
    rule : Rule, default=RANDOM
        By what rows are dealt to the parts, and which column weighs them.
    validation, test : Matched or None, default=None
        Rows of files of their own, laid over the columns of the table.

    Returns
    -------
    Split

    Raises
    ------
    TableError
        If the shares are no shares, a part would hold fewer than two rows, or no
        feature varies in the training part.

    Notes
    -----
    The split is stratified by class. A class of three rows or more has one in each part at
    least, a class of two has one in training and one in validation, so that no class is
    measured that was not learnt. Numbers are kept, missing ones are set to the
    training median beside a column that marks them, other columns go through skrub's
    ``TableVectorizer``; columns that do not vary in training are dropped and
    the rest standardised.
    """
    shares = _check_proportions(proportions)
    check_rule(table, rule)
    own = {"validation": validation, "test": test}
    files = {name: of for name, of in own.items() if of is not None}
    rng = np.random.default_rng((random_state, SPLIT_STREAM))
    positions, notes = deal_rows(table, rule, shares, rng, files)
    y = {part: table.labels[rows] for part, rows in positions.items()}
    y |= {part: of.labels for part, of in files.items()}
    _check_parts(table, rule, y)
    rng = np.random.default_rng((random_state, NOISE_STREAM))
    noisy, flipped = plant_label_noise(y["training"], noise, task=table.task, random_state=rng)

    ids = {part: table.labelled_ids[rows] for part, rows in positions.items()}
    vectorizer, features = _make_vectorizer(table, random_state)
    X: dict[str, np.ndarray] = {}
    weights = {}
    for part in PARTS:
        if part in files:
            of, file = files[part], f"{part} file"
            frame, rows = of.frame[table.features], of.ids
            weights[part] = _weights(rule, of.frame, rows, file)
            notes += [f"{file.capitalize()}: {note}" for note in (*of.notes, *of.warnings)]
        else:
            frame, rows = features, ids[part]
            weights[part] = _weights(rule, table.frame, rows, "")
        how = vectorizer.fit_transform if part == "training" else vectorizer.transform
        X[part] = vectorize(how, frame.iloc[rows], table.name) if len(rows) else X["training"][:0]
        if rule.kind == "column" and part != "training":
            labels = table.label_series[rows]
            n_same = count_repeats(table, ids["training"], table.frame.iloc[rows], labels)
            if n_same:
                equal = "row is" if n_same == 1 else "rows are"
                notes.append(
                    f"{n_same:,} {part} {equal} equal to a training row in all features and the "
                    "target: scores may be too optimistic."
                )
    return Split(
        table=table, X_train=X["training"], X_val=X["validation"], X_test=X["test"], y_train=noisy,
        y_val=y["validation"], y_test=y["test"], ids_train=ids["training"],
        ids_val=ids["validation"], ids_test=ids["test"], vectorizer=vectorizer,
        flipped_ids=ids["training"][flipped], y_train_clean=y["training"], proportions=shares,
        noise=noise, random_state=random_state, rule=rule, w_train=weights["training"],
        w_val=weights["validation"], w_test=weights["test"], notes=tuple(notes),
    )  # fmt: skip


def _check_parts(table: Table, rule: Rule, y: Mapping[str, np.ndarray]) -> None:
    """Refuse parts that are too small, or of which nothing can be learnt or measured."""
    for part, labels in y.items():
        if len(labels) < MIN_PART_ROWS and rule.kind != "given":
            raise TableError(
                f"The {part} part of {table.name} would hold {len(labels)} of {len(table.labels)} rows "
                f"and needs {MIN_PART_ROWS}: raise its proportion or use a table with more rows."
            )
    learnt = np.unique(y["training"])
    if table.task == "regression":
        if len(learnt) == 1:
            raise TableError(
                f"The target {table.target!r} has the same value in every training row: "
                "choose another seed, other proportions or another target."
            )
        return
    for part, labels in y.items():
        unknown = np.setdiff1d(labels, learnt)
        if len(unknown) and rule != RANDOM:
            column = rule.groups if rule.column is None else rule.column
            by = "" if column is None else f" by {column!r}"
            n_rows = count_of(int((labels == unknown[0]).sum()), f"{part} row")
            raise TableError(
                f"Class {str(unknown[0])!r} of {table.target!r} has {n_rows} and no training row{by}, "
                "so no model can learn it: split in another way, or empty these labels to set the "
                "rows aside."
            )
    if len(learnt) == 1:
        raise TableError(
            f"The training rows are all of class {str(learnt[0])!r} of {table.target!r}: "
            "split in another way."
        )


def _make_vectorizer(table: Table, random_state: int) -> tuple[Pipeline, pd.DataFrame]:
    """Return the vectorizer of a table, not yet fitted, and what it takes."""
    features = empty_words(table.frame[table.features])
    return make_vectorizer(features, random_state), features


def _weights(rule: Rule, frame: pd.DataFrame, rows: np.ndarray, file: str) -> np.ndarray | None:
    """Return the weights of rows of the table, or of a `file` of their own."""
    if rule.weights is None or not len(rows):
        return None
    if rule.weights not in frame:
        raise TableError(
            f"The {file} has no column {rule.weights!r}, which weighs the rows: add it, with 1 in every "
            "row to count them equally."
        )
    return read_weights(frame[rule.weights], rows, f" of the {file}" if file else "")


def vectorise_new(split: Split, frame: pd.DataFrame) -> np.ndarray:
    """Vectorise rows of another file as the training part was."""
    table, vectorizer = split.table, split.vectorizer
    if vectorizer is None:
        vectorizer, features = _make_vectorizer(table, split.random_state)
        vectorize(vectorizer.fit_transform, features.iloc[split.ids_train], table.name)
    return vectorize(vectorizer.transform, frame[table.features], table.name)


def plant_label_noise(
    y: np.ndarray,
    share: float,
    *,
    task: Task,
    random_state: int | np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Change a share of the targets on purpose.

    Classification: to another class, each equally likely. Regression: by 1.5 to 3 standard
    deviations of `y`, up or down.
    """
    if not 0 <= share < 1:
        raise TableError(f"The share of planted noise is {share}: choose at least 0 and below 1.")
    rng = np.random.default_rng(random_state)
    order = rng.permutation(len(y))
    if task == "regression":
        size, sign = rng.uniform(1.5, 3, len(y)), rng.choice((-1.0, 1.0), len(y))
        noisy = y + size * sign * np.std(y)
    else:
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise TableError("Label noise needs two classes: the targets hold one only.")
        noisy = classes[(codes + rng.integers(1, len(classes), len(y))) % len(classes)]
        _, firsts = np.unique(codes[order], return_index=True)
        order = np.delete(order, firsts)  # each class keeps one true label
    positions = np.sort(order[: round(share * len(y))])
    changed = np.array(y)
    changed[positions] = noisy[positions]
    return changed, positions


def _check_proportions(proportions: Sequence[float]) -> tuple[float, float, float]:
    shares = tuple(round(float(share), 6) for share in proportions)
    if len(shares) != 3 or not all(share > 0 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        raise TableError(
            f"The proportions of training, validation and test are {', '.join(map(str, shares))}: "
            "give three numbers above 0 that sum to 1."
        )
    return shares
