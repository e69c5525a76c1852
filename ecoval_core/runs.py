"""A finished run: its rows with their values, and what can be downloaded of it."""

from __future__ import annotations

import io
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from ecoval_core.models import make_model
from ecoval_core.preparation import Prepared
from ecoval_core.refitting import Progress, ShouldStop
from ecoval_core.valuation import EcoVal

Which = Literal["kept", "removed", "all_values"]
Format = Literal["csv", "parquet"]


@dataclass(frozen=True)
class Settings:
    """What a run is made with.

    Attributes
    ----------
    model : str
        Key of :data:`ecoval_core.models.MODELS`.
    n_clusters : int
        Granularity.
    scoring : str
        Per-sample score.
    extrinsic_weight : float, default=0.5
        Payment per unit of measured marginal product.
    random_state : int, default=0
        Seed.
    """

    model: str
    n_clusters: int
    scoring: str
    extrinsic_weight: float = 0.5
    random_state: int = 0


@dataclass(frozen=True)
class Run:
    """A finished valuation together with what it was made from.

    Attributes
    ----------
    prepared : Prepared
        Data.
    settings : Settings
        What it was made with; the extrinsic weight is the present one.
    ecoval : EcoVal
        Fitted estimator.
    seconds : float
        Time the valuation took.
    run_id : str
        Names the run in the address.
    """

    prepared: Prepared
    settings: Settings
    ecoval: EcoVal
    seconds: float = 0.0
    run_id: str = field(default="", compare=False)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per training row, indexed by row id, in the order of the table.

        Columns value, intrinsic, extrinsic, cluster, label (as used in training), original_label, flipped,
        quality, raw_extrinsic.
        """
        prepared, ecoval = self.prepared, self.ecoval
        return pd.DataFrame(
            {
                "value": ecoval.values_,
                "intrinsic": ecoval.intrinsic_,
                "extrinsic": ecoval.extrinsic_,
                "cluster": ecoval.labels_,
                "label": prepared.y_train,
                "original_label": prepared.y_train_clean,
                "flipped": np.isin(prepared.ids_train, prepared.flipped_ids),
                "quality": ecoval.quality_,
                "raw_extrinsic": ecoval.raw_extrinsic_,
            },
            index=pd.Index(prepared.ids_train, name="row_id"),
        ).sort_index()

    @cached_property
    def clusters(self) -> pd.DataFrame:
        """One row per cluster, lowest value first.

        Columns cluster, label, n_rows, value (leave-cluster-out), intrinsic, extrinsic.
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
        """Make the unfitted model of the run."""
        return make_model(self.settings.model, self.prepared.task, self.settings.random_state)

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
    )


def value_prepared(
    prepared: Prepared, settings: Settings, *, n_jobs: int | None = None, run_id: str = "",
    progress: Progress | None = None, should_stop: ShouldStop | None = None,
) -> Run:  # fmt: skip
    """Value the training part of prepared data.

    Parameters
    ----------
    prepared : Prepared
        Data.
    settings : Settings
        What the run is made with.
    n_jobs : int or None, default=None
        As in joblib.
    run_id : str, default=""
        Names the run.
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
    ecoval = make_ecoval(prepared, settings, n_jobs).fit(
        prepared.X_train, prepared.y_train, prepared.X_val, prepared.y_val,
        progress=progress, should_stop=should_stop,
    )  # fmt: skip
    return Run(prepared, settings, ecoval, time.perf_counter() - started, run_id)


def _parts(prepared: Prepared) -> pd.Series:
    part = pd.Series("no target", index=prepared.table.frame.index, dtype="str")
    part[prepared.ids_train] = "train"
    part[prepared.ids_val] = "validation"
    part[prepared.ids_test] = "test"
    return part


def _unique_name(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name = f"ecoval_{name}"
    return name


def exported_frame(run: Run, which: Which, pruned_ids: Collection[int] = ()) -> pd.DataFrame:
    """Table to download: original columns and order, with the row id in front.

    Parameters
    ----------
    run : Run
        Finished run.
    which : {"kept", "removed", "all_values"}
        The table without the pruned rows (validation and test rows stay in it); the pruned rows with their
        values; or all rows with the part they were in and, for training rows, their values.
    pruned_ids : collection of int, default=()
        Row ids that go.

    Returns
    -------
    DataFrame
        Added columns are row_id, and with values also part, value, intrinsic, extrinsic, cluster, and,
        where noise was planted, planted_noise and label_used; a name that the table has already gets
        "ecoval_" in front.
    """
    original = run.prepared.table.frame
    pruned = original.index.isin(list(pruned_ids))
    frame = original
    if which != "kept":
        values = run.frame[["value", "intrinsic", "extrinsic", "cluster"]].astype(
            {"cluster": "Int64"}
        )
        added = pd.concat([_parts(run.prepared).rename("part"), values], axis=1)
        if len(run.prepared.flipped_ids):
            added["planted_noise"] = run.frame["flipped"].astype("boolean")
            added["label_used"] = run.frame["label"]
        added.columns = [_unique_name(name, original.columns) for name in added.columns]
        frame = pd.concat([original, added], axis=1)
    frame = {"kept": frame[~pruned], "removed": frame[pruned], "all_values": frame}[which]
    row_id = _unique_name("row_id", original.columns)
    return frame.rename_axis(row_id).reset_index()


def export_table(
    run: Run, which: Which, pruned_ids: Collection[int] = (), file_format: Format = "csv"
) -> bytes:
    """Contents of a file to download.

    Parameters
    ----------
    run : Run
        Finished run.
    which : {"kept", "removed", "all_values"}
        See :func:`exported_frame`.
    pruned_ids : collection of int, default=()
        Row ids that go.
    file_format : {"csv", "parquet"}, default="csv"
        Format; CSV is UTF-8 with commas.

    Returns
    -------
    bytes
        The file.
    """
    frame = exported_frame(run, which, pruned_ids)
    if file_format == "csv":
        return frame.to_csv(index=False).encode()
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
