"""A run: a finished valuation with what it was made from."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecoval_core.evaluation.measures import main_measure
from ecoval_core.evaluation.pruning import Effect
from ecoval_core.evaluation.verdict import Verdict, classes_too_rare, clearly_harmful, conclude
from ecoval_core.runs.fitting import Rows, fit_values, make_estimator, rows_to_value
from ecoval_core.runs.opened import Opened, load_opened
from ecoval_core.runs.stored_models import NOT_KEPT, OwnModel, own_model_key
from ecoval_core.tables import Split, Table
from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.record import Findings, Valuation, reliability_warning
from ecoval_core.workspace.schema import RunSpec, Settings
from ecoval_core.workspace.workspace import Workspace


@dataclass(frozen=True)
class Values:
    """What a valuation found, without models and at no particular extrinsic weight.

    A valuation by folds has the findings of each fold, the rows it trained on, the fold in which each row
    validated and the clusters of the first fold; any other has one of findings and no folds.
    """

    findings: list[Findings]
    trained: list[NDArray[np.int64]]
    folds: dict[str, NDArray]
    seconds: float

    @property
    def summary(self) -> dict[str, Any]:
        """What the list of runs shows."""
        ecoval = self.at(0.0)
        return {
            "seconds": self.seconds, "surplus": float(ecoval.surplus_),
            "full_score": float(ecoval.full_score_), "prior_score": float(ecoval.prior_score_),
            "n_rows": int(np.isfinite(ecoval.values_).sum()), "n_clusters": int(ecoval.n_clusters_),
            "reliable": bool(ecoval.reliable_),
        }  # fmt: skip

    def at(self, extrinsic_weight: float) -> Valuation | CrossValuation:
        """Return the values at an extrinsic weight."""
        found = [Valuation(one, extrinsic_weight) for one in self.findings]
        if not self.folds:
            return found[0]
        return CrossValuation(found, self.trained, self.folds["fold"], self.folds["labels"])


def values_of(fitted: EcoVal | CrossValuation | Valuation, seconds: float = 0.0) -> Values:
    """Take what a valuation found out of it."""
    if not isinstance(fitted, CrossValuation):
        return Values([fitted.findings_], [], {}, seconds)
    folds = {"fold": fitted.fold_, "labels": fitted.labels_}
    found = [one.findings_ for one in fitted.estimators_]
    return Values(found, list(fitted.trained_), folds, seconds)


@dataclass(frozen=True)
class Run:
    """A finished valuation together with what it was made from.

    `key` names its values in the workspace; the extrinsic weight of its settings is the present one. Values
    that were found elsewhere come with a model of their own.
    """

    key: str
    opened: Opened
    settings: Settings
    ecoval: EcoVal | CrossValuation | Valuation
    seconds: float = 0.0
    own_model: OwnModel | None = None

    @property
    def split(self) -> Split:
        """The rows of the table in three parts, as numbers."""
        return self.opened.split

    @property
    def table(self) -> Table:
        """The table."""
        return self.opened.split.table

    @property
    def spec(self) -> RunSpec:
        """The document that describes the run."""
        spec = self.opened.spec
        return RunSpec(table=spec.table, split=spec.split, settings=self.settings)

    @cached_property
    def _rows(self) -> Rows:
        return rows_to_value(self.split, self.settings.every_row)

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
        """One row per valued row, indexed by row id, in the order of the table."""
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
                "flipped": np.isin(self.ids, self.split.flipped_ids),
                "quality": ecoval.quality_,
                "label_quality": ecoval.label_quality_,
                "label_issue": ecoval.label_issues_,
                "suggested_label": ecoval.suggested_labels_,
                "raw_extrinsic": ecoval.raw_extrinsic_,
            },
            index=pd.Index(self.ids, name="row_id"),
        )

    @cached_property
    def harmful_ids(self) -> tuple[int, ...]:
        """Clearly harmful rows, lowest value first; see :mod:`ecoval_core.evaluation.verdict`."""
        frame = self.frame
        harmful = frame[clearly_harmful(frame["value"], frame["standard_error"])]
        return tuple(int(row) for row in harmful["value"].sort_values(kind="stable").index)

    def verdict(self, effect: Effect | None = None, curves: pd.DataFrame | None = None) -> Verdict:
        """Return the verdict; `effect` is that of removing the clearly harmful rows."""
        is_class, tested = self.class_labels is not None, self.split.y_test
        return Verdict(
            n_rows=len(self.frame),
            harmful=self.harmful_ids,
            n_issues=int(self.frame["label_issue"].sum()),
            noun="label" if is_class else "target",
            rare=classes_too_rare(self.frame["label"], tested) if is_class and len(tested) else {},
            is_reliable=reliability_warning(self.ecoval) is None,
            effect=effect,
            removal=None if curves is None else conclude(curves, self.main_measure),
        )

    @cached_property
    def clusters(self) -> pd.DataFrame:
        """One row per cluster, lowest total value of its rows first; with folds, those of the first.

        What the score loses without the cluster is `left_out`, with its error, of which its rows are credited
        with `passed_on`.
        """
        table = self.frame.groupby("cluster").agg(
            label=("label", "first"),
            n_rows=("value", "size"),
            value=("value", "sum"),
            intrinsic=("intrinsic", "sum"),
            extrinsic=("extrinsic", "sum"),
            passed_on=("raw_extrinsic", "sum"),
        )
        table.insert(5, "left_out", self.ecoval.cluster_values_[table.index])
        table.insert(6, "left_out_error", self.ecoval.cluster_standard_errors_[table.index])
        return table.sort_values("value", kind="stable").reset_index()

    def make_estimator(self) -> Any:
        """Make the unfitted model of the run, its classes weighted as in the run."""
        if self.own_model is not None:
            return self.own_model.make()
        return make_estimator(self.split, self.settings)

    @property
    def main_measure(self) -> str:
        """The measure of predictions that stands for all."""
        return main_measure(self.split.task, balanced=self.settings.balanced)

    @property
    def inputs(self) -> Any:
        """What the model is fitted on: `X`, or the columns of the table that a model of its own takes."""
        return self._inputs(self.X, self.ids)

    def _inputs(self, X: NDArray[np.float64], ids: NDArray[np.int64]) -> Any:
        return X if self.own_model is None else self.own_model.inputs(self.table.frame.loc[ids])

    def test_rows(self) -> tuple[Any, NDArray]:
        """Return inputs and targets of the test rows; raise ValueError, for the user, without any."""
        split = self.split
        if not len(split.y_test):
            raise ValueError(
                "These values came without test rows, on which curves and effects are measured: give some to "
                "show(..., test=frame)."
            )
        return self._inputs(split.X_test, split.ids_test), split.y_test

    @property
    def class_labels(self) -> pd.Series | None:
        """Class of each row that was valued, by row id; None for regression."""
        return self.frame["label"] if self.split.task == "classification" else None

    def reweight(self, extrinsic_weight: float) -> Run:
        """Value the same fits with another extrinsic weight."""
        settings = self.settings.replace(extrinsic_weight=extrinsic_weight)
        return replace(self, ecoval=self.ecoval.reweight(extrinsic_weight), settings=settings)


def load_run(workspace: Workspace, key: str, opened_key: str, settings: Settings) -> Run | None:
    """Return a finished run at the extrinsic weight of its settings, or None if it is not there."""
    opened = load_opened(workspace, opened_key)
    if opened is None:
        return None

    def load() -> tuple[int, Run] | None:
        values: Values | None = workspace.load(key, Values)
        if values is None:
            return None
        valuation = values.at(settings.extrinsic_weight)
        own = None
        if opened.split.rule.kind == "given":
            own = workspace.load(own_model_key(key), OwnModel) or NOT_KEPT
        run = Run(key, opened, settings, valuation, values.seconds, own)
        return 200 * len(valuation.values_), run

    return workspace.derive(("run", key, settings.model_dump_json(), opened.table.name), load)


def value_split(opened: Opened, settings: Settings, **watch: Any) -> Run:
    """Value the rows of an opened table; `watch` goes to :func:`fit_values`."""
    started = time.perf_counter()
    fitted = fit_values(opened.split, settings, **watch)
    spec = RunSpec(table=opened.spec.table, split=opened.spec.split, settings=settings)
    return Run(spec.key, opened, settings, fitted, time.perf_counter() - started)
