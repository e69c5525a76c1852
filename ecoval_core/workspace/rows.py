"""The rows that a run values, and the folds in which every row is valued."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecoval_core.tables import Split
from ecoval_core.valuation.cross_valuation import N_VALIDATION_FOLDS, CrossValuation, cross_value
from ecoval_core.valuation.estimator import EcoVal

Folds = list[tuple[NDArray[np.int64], NDArray[np.int64]]]


class Rows(NamedTuple):
    """Rows of a split, in the order of the table; noise is in `y` and not in `y_clean`."""

    ids: NDArray[np.int64]
    X: NDArray[np.float64]
    y: NDArray
    y_clean: NDArray
    # Weights; None where every row counts alike.
    w: NDArray[np.float64] | None = None

    def take(self, positions: NDArray[np.int64]) -> Rows:
        """Return some of the rows."""
        return Rows(
            self.ids[positions],
            self.X[positions],
            self.y[positions],
            self.y_clean[positions],
            None if self.w is None else self.w[positions],
        )


def rows_in_folds(split: Split) -> tuple[Rows, Folds | None]:
    """Return the training and validation rows, and their folds by the rule of the split.

    The folds are positions in the rows; None where chance decides, as :func:`cross_value` deals then. They
    follow from the split, whatever the seed of a valuation. A split whose validation rows were given is
    refused: they measure every training row already.
    """
    if split.has_given_validation:
        raise ValueError(
            "The validation rows are given, so that every training row is valued on them already: value "
            "without folds."
        )
    ids = np.concatenate([split.ids_train, split.ids_val])
    order = np.argsort(ids)
    X = np.concatenate([split.X_train, split.X_val])
    y = np.concatenate([split.y_train, split.y_val])
    y_clean = np.concatenate([split.y_train_clean, split.y_val])
    w = None
    if split.w_train is not None and split.w_val is not None:
        w = np.concatenate([split.w_train, split.w_val])
    rows = Rows(ids, X, y, y_clean, w).take(order)
    return rows, split.folds(rows.ids, rows.y, N_VALIDATION_FOLDS, split.random_state)


def _trained(folds: Folds) -> NDArray[np.int64]:
    return np.unique(np.concatenate([train for train, _ in folds]))


def rows_to_value(split: Split, every_row: bool = False) -> Rows:
    """Return the rows that get a value: those of training, or all that some fold trains on.

    In the order of time no fold trains on the latest rows, so that they validate and get no value.
    """
    if not every_row:
        return Rows(
            split.ids_train, split.X_train, split.y_train, split.y_train_clean, split.w_train
        )
    rows, folds = rows_in_folds(split)
    return rows if folds is None else rows.take(_trained(folds))


def rows_per_fit(split: Split, every_row: bool = False) -> int:
    """Count the rows that one valuation clusters: with folds, those of the smallest training part."""
    if not every_row:
        return len(split.y_train)
    rows, folds = rows_in_folds(split)
    if folds is not None:
        return min(len(train) for train, _ in folds)
    n_rows = len(rows.ids)
    return n_rows - -(-n_rows // N_VALIDATION_FOLDS)


def cross_value_rows(ecoval: EcoVal, split: Split, **watch: Any) -> CrossValuation:
    """Value every row of a split in folds by its rule; `watch` is passed to :func:`cross_value`."""
    rows, folds = rows_in_folds(split)
    if rows.w is not None:
        watch["sample_weight"] = rows.w
    if folds is None:
        return cross_value(ecoval, rows.X, rows.y, N_VALIDATION_FOLDS, **watch)
    found = cross_value(ecoval, rows.X, rows.y, folds, **watch)
    kept = _trained(folds)
    trained = [np.searchsorted(kept, train) for train in found.trained_]
    return CrossValuation(found.estimators_, trained, found.fold_[kept], found.labels_[kept])
