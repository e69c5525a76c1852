"""Preparing: split the rows, turn their columns into numbers, plant label noise for demos."""

from collections.abc import Sequence
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
    check_known_classes,
    check_rule,
    deal_rows,
    folds_by_rule,
)
from ecoval_core.tables.table import Table
from ecoval_core.tables.vectorizing import make_vectorizer, vectorize
from ecoval_core.target_type import Task

MIN_PART_ROWS = 2
# Each use of chance has its own stream, so that planting noise does not move the split.
SPLIT_STREAM, NOISE_STREAM = 0, 1


@dataclass(frozen=True, eq=False)
class Split:
    """A table split in three and vectorised, ready for valuation."""

    table: Table
    task: Task
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

    def folds(
        self, ids: np.ndarray, y: np.ndarray, n_folds: int, seed: int
    ) -> list[tuple[np.ndarray, np.ndarray]] | None:
        """Return folds of some rows by the rule of the split; None where chance decides."""
        return folds_by_rule(self.table, self.rule, ids, y, n_folds, seed)

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
    y = table.labels
    rng = np.random.default_rng((random_state, SPLIT_STREAM))
    own = {"validation": validation, "test": test}
    is_given = (validation is not None, test is not None)
    parts, notes = deal_rows(table, rule, shares, rng, is_given)
    held = {
        name: y[rows] if of is None else of.labels
        for (name, of), rows in zip(own.items(), parts[1:], strict=True)
    }
    y_train = y[parts[0]]
    sizes = {"training": len(y_train)} | {name: len(labels) for name, labels in held.items()}
    for name, size in sizes.items():
        if size < MIN_PART_ROWS and rule.kind != "given":
            raise TableError(
                f"The {name} part of {table.name} would hold {size} of {len(y)} rows and needs "
                f"{MIN_PART_ROWS}: raise its proportion or use a table with more rows."
            )
    if rule != RANDOM:
        check_known_classes(table, rule, y_train, held)
    if table.task == "regression" and np.ptp(y_train) == 0:
        raise TableError(
            f"The target {table.target!r} has the same value in every training row: "
            "choose another seed, other proportions or another target."
        )
    if table.task == "classification" and len(np.unique(y_train)) == 1:
        raise TableError(
            f"The training rows are all of class {str(y_train[0])!r} of {table.target!r}: "
            "split in another way."
        )
    rng = np.random.default_rng((random_state, NOISE_STREAM))
    noisy, flipped = plant_label_noise(y_train, noise, task=table.task, random_state=rng)
    ids = dict(zip(PARTS, (table.labelled_ids[rows] for rows in parts), strict=True))
    features = empty_words(table.frame[table.features])
    vectorizer = make_vectorizer(features, random_state)
    X = {
        "training": vectorize(vectorizer.fit_transform, features.iloc[ids["training"]], table.name)
    }
    weights = {name: _weights(table, rule, ids[name]) for name in PARTS}
    for name, of in own.items():
        rows = features.iloc[ids[name]] if of is None else of.frame[table.features].iloc[of.ids]
        X[name] = X["training"][:0]
        if len(rows):
            X[name] = vectorize(vectorizer.transform, rows, table.name)
        if of is not None:
            weights[name] = _weights_of_file(of, rule, name)
            notes += [f"{name.capitalize()} file: {note}" for note in (*of.notes, *of.warnings)]
        elif rule.kind == "column":
            n_same = count_repeats(table, ids["training"], ids[name])
            if n_same:
                notes.append(
                    f"{n_same:,} {name} {('row is' if n_same == 1 else 'rows are')} equal to a "
                    "training row in all features and the target: scores may be too optimistic."
                )
    return Split(
        table=table, task=table.task, X_train=X["training"], X_val=X["validation"], X_test=X["test"],
        y_train=noisy, y_val=held["validation"], y_test=held["test"], ids_train=ids["training"],
        ids_val=ids["validation"], ids_test=ids["test"], vectorizer=vectorizer,
        flipped_ids=ids["training"][flipped], y_train_clean=y_train, proportions=shares, noise=noise,
        random_state=random_state, rule=rule, w_train=weights["training"],
        w_val=weights["validation"], w_test=weights["test"], notes=tuple(notes),
    )  # fmt: skip


def _weights(table: Table, rule: Rule, ids: np.ndarray) -> np.ndarray | None:
    if rule.weights is None or not len(ids):
        return None
    return read_weights(table.frame[rule.weights], ids)


def _weights_of_file(of: Matched, rule: Rule, name: str) -> np.ndarray | None:
    if rule.weights is None:
        return None
    if rule.weights not in of.frame:
        raise TableError(
            f"The {name} file has no column {rule.weights!r}, which weighs the rows: add it, with "
            "1 in every row to count them equally."
        )
    return read_weights(of.frame[rule.weights], of.ids, f"the {name} file")


def vectorise_new(split: Split, frame: pd.DataFrame) -> np.ndarray:
    """Vectorise rows of another file as the training part was."""
    table, vectorizer = split.table, split.vectorizer
    if vectorizer is None:
        features = empty_words(table.frame[table.features])
        vectorizer = make_vectorizer(features, split.random_state)
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
