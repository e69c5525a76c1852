"""A run: a finished valuation with what it was made from, and the rows that it values."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecoval_core.evaluation.measures import main_measure
from ecoval_core.evaluation.pruning import Effect
from ecoval_core.evaluation.verdict import (
    Verdict,
    classes_too_rare,
    clearly_harmful,
    conclude,
)
from ecoval_core.models.catalog import make_model, weigh_classes
from ecoval_core.models.leave_out import has_short_way, prefers_fine_clusters
from ecoval_core.models.model_settings import check_parameters
from ecoval_core.models.parallel import Progress, ShouldStop
from ecoval_core.tables import Fix, Split, Table, clean, load_sample, make_table, prepare
from ecoval_core.tables.match import Matched, match_columns
from ecoval_core.tables.split_columns import complete_words
from ecoval_core.text import shorten
from ecoval_core.valuation.clustering import auto_n_clusters
from ecoval_core.valuation.cross_valuation import N_VALIDATION_FOLDS, CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.planning import estimate_seconds
from ecoval_core.valuation.record import Findings, Valuation, findings_of, reliability_warning
from ecoval_core.workspace.own_model import NOT_KEPT, OwnModel, own_model_key
from ecoval_core.workspace.rows import Rows, cross_value_rows, rows_per_fit, rows_to_value
from ecoval_core.workspace.schema import OpenSpec, RunSpec, Settings, SplitSpec, TableSpec
from ecoval_core.workspace.workspace import Workspace

# --- Tables ---------------------------------------------------------------------------------


def describe_table(table: Table, **more: Any) -> TableSpec:
    """Describe a table; `more` holds its sample, or the digest of its cells before the fixes, and those."""
    found = {"content": table.content, **more}
    return TableSpec(
        name=table.name,
        target=table.target,
        task=table.task,
        excluded=dict(table.excluded),
        **found,
    )


def make_spec_table(spec: TableSpec, frame: pd.DataFrame | None = None, name: str = "") -> Table:
    """Make the table that a document describes from its cells as read, or from the bundled sample."""
    if frame is None:
        frame = load_sample(spec.sample or "").frame
    fixed = clean(frame, spec.fixes)
    return make_table(fixed, name or spec.name, spec.target, spec.task, spec.excluded)


def split_table(
    table: Table, spec: SplitSpec, files: Mapping[str, pd.DataFrame] | None = None,
    fixes: Sequence[Fix] = (),
) -> Split:  # fmt: skip
    """Split and vectorise a table as a document says.

    `files` are the cells, as read, of the validation and test file that the document names; the `fixes` of
    the table are applied to them.
    """
    own = {}
    for part, file in spec.files.items():
        if files is None or part not in files:
            raise ValueError(f"The {part} rows are in the file {file.name!r}: give that as well.")
        fixed = fix_second_file(files[part], fixes)
        own[part] = match_columns(table, fixed, name=file.name)
        _check_targets(own[part], part, file.name)
    return prepare(
        table, proportions=spec.proportions, noise=spec.noise, random_state=spec.random_state,
        rule=spec.rule, **own,
    )  # fmt: skip


def _check_targets(of: Matched, part: str, name: str) -> None:
    """Refuse a validation or test file without targets, or with some that no model can know."""
    if not of.has_target:
        raise ValueError(
            f"{name} has no column {of.target!r}, the target: {part} rows need it, so add it."
        )
    if len(of.unknown_labels):
        row, label = of.unknown_labels.index[0], of.unknown_labels.iloc[0]
        raise ValueError(
            f"{name} holds {shorten(label, 40)!r} in column {of.target!r}, row {row} (the first row is 0), "
            "which no row of the table has as its target: correct it, or empty the cell to set the row aside."
        )
    if not len(of.ids):
        raise ValueError(f"{name} has no value in column {of.target!r}, the target: fill it in.")


def complete_split(spec: SplitSpec, frame: pd.DataFrame) -> SplitSpec:
    """Return a split with the part of every value of its column, as chosen or as its word is understood."""
    if spec.kind != "column" or spec.column not in frame:
        return spec
    words = complete_words(frame[spec.column], spec.words)
    return spec.model_copy(update={"words": words})


def fix_second_file(frame: pd.DataFrame, fixes: Sequence[Fix]) -> pd.DataFrame:
    """Apply the fixes of a table to another file, whose headers may differ in case and outer spaces."""
    spelled = {str(column).strip().casefold(): str(column) for column in frame.columns}
    return clean(
        frame,
        [
            one
            if one.column in frame.columns
            else one.model_copy(
                update={"column": spelled.get(one.column.strip().casefold(), one.column)}
            )
            for one in fixes
        ],
    )


@dataclass(frozen=True)
class Opened:
    """A table that was opened: what it is, and its rows as numbers."""

    key: str
    spec: OpenSpec
    split: Split

    @property
    def table(self) -> Table:
        """The table."""
        return self.split.table


_ARRAYS = tuple(
    f.name for f in fields(Split) if f.name.partition("_")[0] in {"X", "y", "w", "ids", "flipped"}
)


def save_frame(workspace: Workspace, frame: pd.DataFrame, digest: str) -> None:
    """Keep cells under their digest, if they are not here."""
    if workspace.result(digest) is None:
        workspace.save(digest, "frame", frame)


def load_frame(workspace: Workspace, digest: str) -> pd.DataFrame | None:
    """Return the cells with a digest, or None."""
    found: pd.DataFrame | None = workspace.load(digest, pd.DataFrame)
    return found


def save_opened(workspace: Workspace, opened: Opened) -> None:
    """Keep an opened table: its cells after the fixes, and its split arrays, under the latest name."""
    save_frame(workspace, opened.table.frame, opened.table.content)
    arguments: dict[str, Any] = {"spec": opened.spec.dump(), "frame": opened.table.content}
    if opened.split.notes:
        arguments["notes"] = list(opened.split.notes)
    kept = workspace.result(opened.key)
    if kept is None or kept.arguments != arguments:
        arrays = {name: getattr(opened.split, name) for name in _ARRAYS}
        arrays = {name: array for name, array in arrays.items() if array is not None}
        workspace.save(opened.key, "split", arrays, arguments=arguments)


def load_opened(workspace: Workspace, key: str) -> Opened | None:
    """Return an opened table, or None if it is not in the workspace."""
    kept = workspace.result(key)
    if kept is None:
        return None
    spec = OpenSpec.model_validate(kept.arguments["spec"])
    digest = kept.arguments["frame"]

    def load() -> tuple[int, Opened] | None:
        arrays, frame = workspace.load(key, dict), load_frame(workspace, digest)
        if arrays is None or frame is None:
            return None
        of = spec.table
        table = Table(of.name, frame, of.target, of.task, dict(of.excluded), digest)
        how = spec.split
        split = Split(
            table=table, task=table.task, vectorizer=None, proportions=how.proportions, noise=how.noise,
            random_state=how.random_state, rule=how.rule,
            notes=tuple(kept.arguments.get("notes", ())), **arrays,
        )  # fmt: skip
        return 0, Opened(key, spec, split)

    return workspace.derive(("opened", key, spec.table.name), load)


# --- Values ---------------------------------------------------------------------------------


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
        return Values([findings_of(fitted)], [], {}, seconds)
    folds = {"fold": fitted.fold_, "labels": fitted.labels_}
    found = [findings_of(one) for one in fitted.estimators_]
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
        return self.X if self.own_model is None else self.own_inputs(self.ids)

    def own_inputs(self, ids: NDArray[np.int64]) -> Any:
        """Return what a model of its own takes of some rows."""
        assert self.own_model is not None  # noqa: S101 - for the type checker
        return self.own_model.inputs(self.table.frame.loc[ids])

    def test_rows(self) -> tuple[Any, NDArray]:
        """Return inputs and targets of the test rows; raise ValueError, for the user, without any."""
        split = self.split
        if not len(split.y_test):
            raise ValueError(
                "These values came without test rows, on which curves and effects are measured: give some to "
                "show(..., test=frame)."
            )
        return split.X_test if self.own_model is None else self.own_inputs(
            split.ids_test
        ), split.y_test

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


# --- Valuing --------------------------------------------------------------------------------


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


def weights_of(split: Split) -> dict[str, Any]:
    """Return the weights of training and validation rows as arguments of :meth:`EcoVal.fit`."""
    if split.rule.weights is None:
        return {}
    return {"sample_weight": split.w_train, "sample_weight_val": split.w_val}


def fit_values(
    split: Split, settings: Settings, *, n_jobs: int | None = None,
    progress: Progress | None = None, should_stop: ShouldStop | None = None,
) -> EcoVal | CrossValuation:  # fmt: skip
    """Fit the models that value the rows of a split."""
    ecoval = make_ecoval(split, settings, n_jobs)
    return fit_rows(ecoval, split, settings.every_row, progress=progress, should_stop=should_stop)


def fit_rows(
    ecoval: EcoVal, split: Split, every_row: bool, **watch: Any
) -> EcoVal | CrossValuation:
    """Value the training rows of a split, or every row in folds, by their weights."""
    if every_row:
        return cross_value_rows(ecoval, split, **watch)
    return ecoval.fit(
        split.X_train, split.y_train, split.X_val, split.y_val, **weights_of(split), **watch
    )


def value_split(opened: Opened, settings: Settings, **watch: Any) -> Run:
    """Value the rows of an opened table; `watch` is passed to :func:`fit_values`."""
    started = time.perf_counter()
    fitted = fit_values(opened.split, settings, **watch)
    spec = RunSpec(table=opened.spec.table, split=opened.spec.split, settings=settings)
    return Run(spec.key, opened, settings, fitted, time.perf_counter() - started)


def estimate_run(split: Split, settings: Settings) -> float:
    """Estimate the seconds that valuing will take."""
    model, n_val = make_estimator(split, settings), settings.max_val_samples
    if not settings.every_row:
        return estimate_seconds(
            model, split.X_train, split.y_train, split.X_val[:n_val], settings.n_clusters
        )
    rows = rows_to_value(split, every_row=True)
    order = np.random.default_rng(0).permutation(len(rows.ids))
    n_fitted = rows_per_fit(split, every_row=True)
    train, held = order[:n_fitted], order[n_fitted:]
    return estimate_seconds(
        model, rows.X[train], rows.y[train], rows.X[held[:n_val]], settings.n_clusters,
        n_folds=N_VALIDATION_FOLDS,
    )  # fmt: skip
