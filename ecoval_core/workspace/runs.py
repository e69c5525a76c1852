"""A run: what it is made with, the rows it values, and those rows with their values."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecoval_core.tables.preparation import Prepared
from ecoval_core.valuation.cross_valuation import (
    N_VALIDATION_FOLDS,
    CrossValuation,
    cross_value,
)
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.models import make_model, weigh_classes
from ecoval_core.valuation.parallel import Progress, ShouldStop
from ecoval_core.valuation.planning import estimate_seconds
from ecoval_core.valuation.record import DEFAULT_EXTRINSIC_WEIGHT, Valuation


@dataclass(frozen=True)
class Settings:
    """What a run is made with.

    Attributes
    ----------
    model : str
        Key of :data:`ecoval_core.valuation.models.MODELS`.
    n_clusters : int
        Granularity.
    scoring : str
        Per-sample score.
    extrinsic_weight : float, default=0.25
        Payment per unit of measured marginal product.
    random_state : int, default=0
        Seed.
    every_row : bool, default=False
        Value training and validation rows, each of five folds in turn being the validation set, instead
        of the training rows alone. Test rows stay apart.
    balanced : bool, default=False
        Let every class count alike, in the utility and in the model.
    """

    model: str
    n_clusters: int
    scoring: str
    extrinsic_weight: float = DEFAULT_EXTRINSIC_WEIGHT
    random_state: int = 0
    every_row: bool = False
    balanced: bool = False

    @property
    def n_folds(self) -> int:
        """Valuations that the run takes."""
        return N_VALIDATION_FOLDS if self.every_row else 1


class Rows(NamedTuple):
    """Rows that a run values, by row id.

    Attributes
    ----------
    ids : ndarray of shape (n_rows,)
        Row ids, ascending.
    X : ndarray of shape (n_rows, n_features)
        Features, standardised over the training part.
    y, y_clean : ndarray of shape (n_rows,)
        Targets with the planted noise and without it; noise is in the training part only.
    """

    ids: NDArray[np.int64]
    X: NDArray[np.float64]
    y: NDArray
    y_clean: NDArray


def rows_to_value(prepared: Prepared, every_row: bool = False) -> Rows:
    """Rows that a run values.

    Parameters
    ----------
    prepared : Prepared
        Data.
    every_row : bool, default=False
        Take the validation rows as well as the training rows.

    Returns
    -------
    Rows
        In the order of the table.
    """
    data = prepared
    if not every_row:
        return Rows(data.ids_train, data.X_train, data.y_train, data.y_train_clean)
    ids = np.concatenate([data.ids_train, data.ids_val])
    order = np.argsort(ids)
    X = np.concatenate([data.X_train, data.X_val])
    y = np.concatenate([data.y_train, data.y_val])
    y_clean = np.concatenate([data.y_train_clean, data.y_val])
    return Rows(ids[order], X[order], y[order], y_clean[order])


def rows_per_fit(prepared: Prepared, every_row: bool = False) -> int:
    """Rows that one valuation of a run clusters: those of four folds of five if every row is valued.

    Parameters
    ----------
    prepared : Prepared
        Data.
    every_row : bool, default=False
        As in :class:`Settings`.

    Returns
    -------
    int
        Rows.
    """
    n_train, n_rows = len(prepared.y_train), len(prepared.y_train) + len(prepared.y_val)
    return n_rows - -(-n_rows // N_VALIDATION_FOLDS) if every_row else n_train


@dataclass(frozen=True)
class Run:
    """A finished valuation together with what it was made from.

    Attributes
    ----------
    prepared : Prepared
        Data.
    settings : Settings
        What it was made with; the extrinsic weight is the present one.
    ecoval : EcoVal, CrossValuation or Valuation
        Fitted, or read back without models.
    seconds : float
        Time the valuation took.
    """

    prepared: Prepared
    settings: Settings
    ecoval: EcoVal | CrossValuation | Valuation
    seconds: float = 0.0

    @cached_property
    def _rows(self) -> Rows:
        return rows_to_value(self.prepared, self.settings.every_row)

    @property
    def ids(self) -> NDArray[np.int64]:
        """Row ids of the rows that were valued, ascending."""
        return self._rows.ids

    @property
    def X(self) -> NDArray[np.float64]:  # noqa: N802 - scikit-learn's name
        """Features of the rows that were valued, in the order of `ids`."""
        return self._rows.X

    @property
    def y(self) -> NDArray:
        """Targets of the rows that were valued, as used in training, in the order of `ids`."""
        return self._rows.y

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per valued row, indexed by row id, in the order of the table.

        Columns value, standard_error (over a bootstrap of the validation rows), intrinsic, extrinsic,
        cluster, label (as used in training), original_label, flipped, quality, label_quality,
        suggested_label, raw_extrinsic.
        """
        ecoval = self.ecoval
        return pd.DataFrame(
            {
                "value": ecoval.values_,
                "standard_error": ecoval.standard_errors_,
                "intrinsic": ecoval.intrinsic_,
                "extrinsic": ecoval.extrinsic_,
                "cluster": ecoval.labels_,
                "label": self.y,
                "original_label": self._rows.y_clean,
                "flipped": np.isin(self.ids, self.prepared.flipped_ids),
                "quality": ecoval.quality_,
                "label_quality": ecoval.label_quality_,
                "suggested_label": ecoval.suggested_labels_,
                "raw_extrinsic": ecoval.raw_extrinsic_,
            },
            index=pd.Index(self.ids, name="row_id"),
        )

    @cached_property
    def surely_negative_ids(self) -> NDArray[np.int64]:
        """Rows below zero by more than two standard errors, lowest value first."""
        ranked = self.frame.sort_values("value", kind="stable")
        return ranked.index[ranked["value"] < -2 * ranked["standard_error"]].to_numpy(np.int64)

    @cached_property
    def clusters(self) -> pd.DataFrame:
        """One row per cluster, lowest value first.

        Columns cluster, label, n_rows, value (leave-cluster-out; in the first fold, if every row is
        valued), intrinsic, extrinsic.
        """
        frame = self.frame
        table = frame.groupby("cluster").agg(
            label=("label", "first"),
            n_rows=("value", "size"),
            intrinsic=("intrinsic", "sum"),
            extrinsic=("extrinsic", "sum"),
        )
        table.insert(2, "value", self.ecoval.cluster_values_[table.index])
        return table.sort_values("value", kind="stable").reset_index()

    def make_estimator(self) -> Any:
        """Make the unfitted model of the run, its classes weighted as in the run."""
        model = make_model(self.settings.model, self.prepared.task, self.settings.random_state)
        return weigh_classes(model, "balanced") if self.settings.balanced else model

    @property
    def class_labels(self) -> pd.Series | None:
        """Class of each row that was valued, by row id; None for regression."""
        return self.frame["label"] if self.prepared.task == "classification" else None

    def reweight(self, extrinsic_weight: float) -> Run:
        """Value the same fits with another extrinsic weight.

        Parameters
        ----------
        extrinsic_weight : float
            b, at least 0.

        Returns
        -------
        Run
            A run that shares the fits.
        """
        return replace(
            self,
            ecoval=self.ecoval.reweight(extrinsic_weight),
            settings=replace(self.settings, extrinsic_weight=extrinsic_weight),
        )


def make_ecoval(prepared: Prepared, settings: Settings, n_jobs: int | None = None) -> EcoVal:
    """Make the unfitted estimator of a run.

    Parameters
    ----------
    prepared : Prepared
        Data.
    settings : Settings
        What it is made with.
    n_jobs : int or None, default=None
        As in joblib.

    Returns
    -------
    EcoVal
        Unfitted.
    """
    return EcoVal(
        make_model(settings.model, prepared.task, settings.random_state),
        n_clusters=settings.n_clusters,
        scoring=settings.scoring,
        extrinsic_weight=settings.extrinsic_weight,
        n_jobs=n_jobs,
        random_state=settings.random_state,
        class_weight="balanced" if settings.balanced else None,
        task=prepared.task,
    )


def value_prepared(
    prepared: Prepared, settings: Settings, *, n_jobs: int | None = None,
    progress: Progress | None = None, should_stop: ShouldStop | None = None,
) -> Run:  # fmt: skip
    """Value the training part of prepared data, or training and validation part by folds.

    Parameters
    ----------
    prepared : Prepared
        Data.
    settings : Settings
        What the run is made with.
    n_jobs : int or None, default=None
        As in joblib.
    progress, should_stop : callable or None
        As in :meth:`EcoVal.fit`.

    Returns
    -------
    Run
        The finished run.

    Raises
    ------
    ValueError, Cancelled
        As :meth:`EcoVal.fit` does.
    """
    started = time.perf_counter()
    ecoval = make_ecoval(prepared, settings, n_jobs)
    watch: dict[str, Any] = {"progress": progress, "should_stop": should_stop}
    fitted: EcoVal | CrossValuation
    if settings.every_row:
        rows = rows_to_value(prepared, every_row=True)
        fitted = cross_value(ecoval, rows.X, rows.y, N_VALIDATION_FOLDS, **watch)
        fitted.forget_models()
    else:
        fitted = ecoval.fit(
            prepared.X_train, prepared.y_train, prepared.X_val, prepared.y_val, **watch
        )
    return Run(prepared, settings, fitted, time.perf_counter() - started)


def estimate_run(prepared: Prepared, settings: Settings) -> float:
    """Estimate the seconds that :func:`value_prepared` will take.

    Parameters
    ----------
    prepared : Prepared
        Data.
    settings : Settings
        What the run will be made with.

    Returns
    -------
    float
        See :func:`ecoval_core.valuation.planning.estimate_seconds`.

    Raises
    ------
    RefitError
        If the model cannot be fitted.
    """
    model = make_model(settings.model, prepared.task, settings.random_state)
    if settings.balanced:
        weigh_classes(model, "balanced")
    if not settings.every_row:
        return estimate_seconds(
            model, prepared.X_train, prepared.y_train, prepared.X_val, settings.n_clusters
        )
    rows = rows_to_value(prepared, every_row=True)
    order = np.random.default_rng(0).permutation(len(rows.ids))
    n_fitted = rows_per_fit(prepared, every_row=True)
    train, held = order[:n_fitted], order[n_fitted:]
    return estimate_seconds(
        model,
        rows.X[train],
        rows.y[train],
        rows.X[held],
        settings.n_clusters,
        n_folds=N_VALIDATION_FOLDS,
    )
