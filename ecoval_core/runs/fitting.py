"""What is fitted to value the rows of a table, and the rows that get a value."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecoval_core.models.catalog import make_model, weigh_classes
from ecoval_core.models.leave_out import has_short_way, prefers_fine_clusters
from ecoval_core.models.model_settings import check_parameters
from ecoval_core.models.parallel import Progress
from ecoval_core.tables import Split
from ecoval_core.tables.splitting import folds_by_rule
from ecoval_core.valuation.clustering import auto_n_clusters
from ecoval_core.valuation.cross_valuation import N_VALIDATION_FOLDS, CrossValuation, cross_value
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.planning import estimate_seconds
from ecoval_core.valuation.refitting import leaves_rows_out
from ecoval_core.workspace.schema import Settings

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
        w = None if self.w is None else self.w[positions]
        y, y_clean = self.y[positions], self.y_clean[positions]
        return Rows(self.ids[positions], self.X[positions], y, y_clean, w)


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
    how = rows.ids, rows.y, N_VALIDATION_FOLDS, split.random_state
    return rows, folds_by_rule(split.table, split.rule, *how)


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


# --- Fits -----------------------------------------------------------------------------------


def make_estimator(split: Split, settings: Settings) -> Any:
    """Make the unfitted model of some settings."""
    model = make_model(settings.model, split.task, settings.random_state)
    check_parameters(settings.model, model, settings.parameters)
    return weigh_classes(model, "balanced") if settings.balanced else model


def _size_of(split: Split) -> tuple[int, int]:
    n_classes = len(np.unique(split.y_train)) if split.task == "classification" else 1
    return split.X_train.shape[1], n_classes


def follows_without_refits(split: Split, model: Any) -> bool:
    """Whether the model without a cluster follows from the one on all rows, so that clusters cost no fit."""
    return has_short_way(model, *_size_of(split))


def automatic_clusters(split: Split, model: Any, n_rows: int, *, balanced: bool) -> int:
    """Return the granularity that EcoVal chooses for so many rows: fine where it costs nothing and helps."""
    is_fine = prefers_fine_clusters(model, *_size_of(split), is_weighted=balanced)
    return auto_n_clusters(n_rows, is_fine=is_fine)


def make_ecoval(split: Split, settings: Settings, n_jobs: int | None = None) -> EcoVal:
    """Make the unfitted EcoVal of some settings."""
    model = make_model(settings.model, split.task, settings.random_state)
    return EcoVal(
        check_parameters(settings.model, model, settings.parameters),
        n_clusters=settings.n_clusters,
        scoring=settings.scoring,
        extrinsic_weight=settings.extrinsic_weight,
        n_jobs=n_jobs,
        random_state=settings.random_state,
        class_weight="balanced" if settings.balanced else None,
        task=split.task,
        max_val_samples=settings.max_val_samples,
    )


def fit_values(
    split: Split, settings: Settings, *, n_jobs: int | None = None, progress: Progress | None = None
) -> EcoVal | CrossValuation:  # fmt: skip
    """Fit the models that value the rows of a split."""
    ecoval = make_ecoval(split, settings, n_jobs)
    return fit_rows(ecoval, split, settings.every_row, progress)


def fit_rows(
    ecoval: EcoVal, split: Split, every_row: bool, progress: Progress | None = None
) -> EcoVal | CrossValuation:
    """Value the training rows of a split by their weights, or every row in folds by its rule."""
    if not every_row:
        return ecoval.fit(
            split.X_train, split.y_train, split.X_val, split.y_val,
            sample_weight=split.w_train, sample_weight_val=split.w_val, progress=progress,
        )  # fmt: skip
    rows, folds = rows_in_folds(split)
    cv = N_VALIDATION_FOLDS if folds is None else folds
    found = cross_value(ecoval, rows.X, rows.y, cv, sample_weight=rows.w, progress=progress)
    if folds is None:
        return found
    kept = _trained(folds)
    trained = [np.searchsorted(kept, train) for train in found.trained_]
    return CrossValuation(found.estimators_, trained, found.fold_[kept], found.labels_[kept])


def estimate_run(split: Split, settings: Settings) -> float:
    """Estimate the seconds that valuing will take."""
    model = make_estimator(split, settings)
    X, y, X_val = split.X_train, split.y_train, split.X_val
    if settings.every_row:
        rows = rows_to_value(split, every_row=True)
        order = np.random.default_rng(0).permutation(len(rows.ids))
        n_fitted = rows_per_fit(split, every_row=True)
        train, held = order[:n_fitted], order[n_fitted:]
        X, y, X_val = rows.X[train], rows.y[train], rows.X[held]
    n_features, n_classes = _size_of(split)
    are_alone = prefers_fine_clusters(
        model, n_features, n_classes, is_weighted=settings.balanced
    ) and leaves_rows_out(len(y), n_classes, settings.scoring)
    return estimate_seconds(
        model, X, y, X_val[: settings.max_val_samples], settings.n_clusters,
        n_alone=len(y) if are_alone else 0, n_folds=settings.n_folds,
    )  # fmt: skip
