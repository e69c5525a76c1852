"""Slow work on a run, a function each; what a page asks for here is done by a worker process."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecoval_core.evaluation.baselines import (
    baseline_values,
    cross_baseline_values,
    estimate_baseline_seconds,
)
from ecoval_core.evaluation.curves import (
    STRATEGIES,
    count_refits,
    removal_curves,
    score_rows,
)
from ecoval_core.evaluation.new_rows import (
    acquisition_curves,
    count_additions,
    rank_unlabelled,
    value_new,
)
from ecoval_core.evaluation.projection import umap_projection
from ecoval_core.evaluation.pruning import Effect, effect_of, measure_effect
from ecoval_core.models.catalog import make_model
from ecoval_core.models.inputs import stack, take
from ecoval_core.models.parallel import Monitor, Progress
from ecoval_core.runs.fitting import (
    estimate_run,
    fit_rows,
    fit_values,
    make_ecoval,
    rows_in_folds,
    rows_to_value,
)
from ecoval_core.runs.opened import fix_second_file
from ecoval_core.runs.run import Run, Values, values_of
from ecoval_core.runs.stored_models import save_models
from ecoval_core.runs.tasks import Task, Work, plain, task
from ecoval_core.tables.match import Matched, match_columns
from ecoval_core.tables.prepare import vectorise_new
from ecoval_core.valuation.cross_valuation import CrossValuation, repeat_value
from ecoval_core.valuation.record import DEFAULT_EXTRINSIC_WEIGHT
from ecoval_core.work import opening  # noqa: F401 - its tasks are done here as well
from ecoval_core.work.cluster import cluster
from ecoval_core.workspace.history import RunRecord
from ecoval_core.workspace.schema import Settings
from ecoval_core.workspace.workspace import Workspace

N_RANDOM, N_REPEATS = 10, 5
RECOMMENDED, BY_VALUE = "recommended", "value"
MIN_COMMON_ROWS = 20


# --- Values ---------------------------------------------------------------------------------


@task("Valuing the rows", refits=True)
def value(work: Work, key: str, split: str, settings: Settings) -> Values:
    """Value the rows of an opened table; `key` names the result, the same at every extrinsic weight."""
    opened = work.opened(split)
    settings.check(opened.table.task)
    started = time.perf_counter()
    fitted = fit_values(opened.split, settings, progress=work.report)
    seconds = time.perf_counter() - started
    save_models(work.workspace, key, fitted)
    return values_of(fitted, seconds)


def value_run(record: RunRecord) -> Task:
    """Return the task that values the rows of a run, known by its record."""
    any_weight = record.settings.replace(extrinsic_weight=DEFAULT_EXTRINSIC_WEIGHT)
    return value(record.key, record.split, any_weight)


@task("Timing a few fits", quick=True, is_kept=False)
def timing(work: Work, split: str, settings: Settings) -> float:
    """Estimate the seconds that a valuation will take."""
    return estimate_run(work.opened(split).split, settings)


@task("Repeating the valuation", refits=True)
def repeats(work: Work, run: str) -> list[Values]:
    """Value the rows of a run again with other seeds: of the clusters, the folds and the model."""
    of = work.run(run)
    ecoval = make_ecoval(of.split, of.settings)
    model = make_model(of.settings.model, of.split.task).set_params(**of.settings.parameters)
    ecoval.set_params(estimator=model)
    if not of.settings.every_row and of.split.rule.weights is None:
        parts = of.split.X_train, of.split.y_train, of.split.X_val, of.split.y_val
        found = repeat_value(ecoval, *parts, n_repeats=N_REPEATS, progress=work.report)
        return [values_of(one) for one in found.estimators]
    monitor = Monitor(work.report)
    made = []
    for repeat in range(N_REPEATS):
        ecoval.set_params(random_state=of.settings.random_state + 1 + repeat)
        watch = monitor.part(repeat, N_REPEATS)
        made.append(values_of(fit_rows(ecoval, of.split, of.settings.every_row, watch)))
    return made


# --- What values are good for ---------------------------------------------------------------


@dataclass(frozen=True)
class Curves:
    """Test scores of refits, one a row, and what they took."""

    frame: pd.DataFrame
    n_refits: int
    seconds: float
    n_rows: int = 0


@task("Measuring the curves", refits=True)
def curves(
    work: Work, run: str, *, weight: float = 0.0, balanced: bool = False, baseline: str | None = None
) -> Curves:  # fmt: skip
    """Remove rows of a run in the order of their values at a weight, or of a baseline, and score refits."""
    of, started = work.run(run, weight), time.perf_counter()
    frame = removal_curves(
        of.make_estimator(), of.inputs, of.y, *of.test_rows(),
        of.ecoval.values_ if baseline is None else _baseline(work, of, baseline),
        clusters=of.ecoval.labels_, strategies=STRATEGIES, class_balanced=balanced, n_random=N_RANDOM,
        random_state=of.settings.random_state, every_measure=True, progress=work.report,
    )  # fmt: skip
    n_refits = count_refits(STRATEGIES, n_random=N_RANDOM)
    return Curves(frame, n_refits, time.perf_counter() - started, len(of.ids))


@task("Timing a fit", quick=True)
def curves_timing(work: Work, run: str) -> float:
    """Estimate the processor's seconds that the curves of a run take, by the second of two fits."""
    of, started = work.run(run), 0.0
    for _ in range(2):
        # The first one imports what it needs.
        started = time.process_time()
        score_rows(of.make_estimator(), of.inputs, of.y, *of.test_rows())
    return (time.process_time() - started) * count_refits(STRATEGIES, n_random=N_RANDOM)


@task("Measuring the effect")
def effect(
    work: Work, run: str, removed: Sequence[int], relabelled: Sequence[tuple[int, Any]] = ()
) -> Effect:
    """Measure what removing and relabelling rows does to the test scores."""
    of = work.run(run)
    after = of.y.copy()
    if relabelled:
        rows, labels = zip(*relabelled, strict=True)
        # A longer label than any before would be cut off in an array of fixed width.
        after = after.astype(np.result_type(after, np.asarray(labels)))
        after[np.searchsorted(of.ids, rows)] = labels
    return measure_effect(
        of.make_estimator(), of.inputs, of.y, *of.test_rows(),
        ~np.isin(of.ids, removed), y_after=after, random_state=of.settings.random_state,
        balanced=of.settings.balanced,
    )  # fmt: skip


def change_effect(
    run: Run, removed: list[int], relabelled: Mapping[int, Any] | None = None
) -> Task:
    """Return the task that measures a change of rows, the same in whatever order they are given."""
    labels = sorted((int(row), label) for row, label in (relabelled or {}).items())
    return effect(run.key, sorted(int(row) for row in removed), labels)


@task("Computing the UMAP projection")
def umap(work: Work, split: str, *, every_row: bool = False) -> NDArray[np.float32]:
    """Project the rows that a run values to two dimensions."""
    return umap_projection(rows_to_value(work.opened(split).split, every_row).X, random_state=0)


# --- Beside other methods and runs ----------------------------------------------------------


@task("Valuing by another method", refits=True)
def baseline(work: Work, run: str, method: str) -> NDArray[np.float64]:
    """Value the rows of a run by another method, on the same folds where the run has some."""
    return _baseline(work, work.run(run), method)


@task("Timing another method", quick=True)
def baseline_timing(work: Work, run: str, method: str) -> float:
    """Estimate the seconds that another method takes on the rows of a run, by its first steps."""
    of = work.run(run)
    rows, options = (of.X, of.y, of.split.X_val, of.split.y_val), _options(of)
    if isinstance(of.ecoval, CrossValuation):
        fold = of.ecoval.fold_
        held, options["n_folds"] = fold == 0, len(np.unique(fold[fold >= 0]))
        rows = of.X[~held], of.y[~held], of.X[held], of.y[held]
    return estimate_baseline_seconds(method, of.make_estimator(), *rows, **options)


def _options(of: Run) -> dict[str, Any]:
    settings = of.settings
    return {
        "scoring": settings.scoring, "class_weight": "balanced" if settings.balanced else None,
        "random_state": settings.random_state,
    }  # fmt: skip


def _baseline(work: Work, of: Run, method: str) -> NDArray[np.float64]:
    found = work.workspace.load(baseline(of.key, method).key, np.ndarray)
    if found is not None:
        return found
    split, model = of.split, of.make_estimator()
    more = _options(of) | {"progress": work.report}
    if of.settings.every_row:
        rows, folds = rows_in_folds(split)
        if folds is not None:
            found = cross_baseline_values(method, model, rows.X, rows.y, folds=folds, **more)
            return found[np.isin(rows.ids, of.ids)]
    if isinstance(of.ecoval, CrossValuation):
        return cross_baseline_values(method, model, of.inputs, of.y, of.ecoval.fold_, **more)
    if not len(split.y_val):
        raise ValueError(
            "Other methods need the validation rows, and these values came without them: compare with values "
            "of cross_value, or open the table itself."
        )
    return baseline_values(method, model, of.X, of.y, split.X_val, split.y_val, **more)


@task("Measuring the curves", refits=True)
def method_curves(
    work: Work, run: str, other: Mapping[str, Any], *, weight: float = 0.0, balanced: bool = False
) -> Curves:
    """Measure removal curves of a run, "a", and of another, "b", on the rows that both value.

    `other` is ``{"baseline": method}``, or ``{"run": key, "weight": weight}``.
    """
    of, started = work.run(run, weight), time.perf_counter()
    if "baseline" in other:
        theirs = pd.Series(_baseline(work, of, other["baseline"]), of.frame.index)
    else:
        theirs = work.run(other["run"], other["weight"]).frame["value"].reindex(of.frame.index)
    common = theirs.notna().to_numpy()
    if common.sum() < MIN_COMMON_ROWS:
        raise ValueError(
            f"The two runs value {int(common.sum())} rows in common, too few for curves: compare runs of one "
            "split."
        )
    frame = removal_curves(
        of.make_estimator(), take(of.inputs, common), of.y[common], *of.test_rows(),
        {"a": of.ecoval.values_[common], "b": theirs.to_numpy()[common]}, class_balanced=balanced,
        n_random=N_RANDOM, random_state=of.settings.random_state, every_measure=True,
        progress=work.report,
    )  # fmt: skip
    n_refits = count_refits(("lowest", "highest") * 2 + ("random",), n_random=N_RANDOM)
    return Curves(frame, n_refits, time.perf_counter() - started, int(common.sum()))


# --- New rows -------------------------------------------------------------------------------


@dataclass(frozen=True)
class NewRows:
    """A second file valued by a run: its labelled rows, the others by doubt, and how it was matched."""

    valued: pd.DataFrame
    doubts: pd.DataFrame
    counts: dict[str, int]
    notes: list[str]
    warnings: list[str]


def _match(work: Work, of: Run, frame: str, name: str) -> tuple[Matched, Any]:
    """Return a second file in the columns of a run's table, cleaned alike, and as its model takes it."""
    fixed = fix_second_file(work.frame(frame), of.opened.spec.table.fixes)
    matched = match_columns(of.table, fixed, name=name, train_ids=of.split.ids_train)
    if of.own_model is not None:
        return matched, of.own_model.inputs(matched.frame)
    return matched, vectorise_new(of.split, matched.frame)


@task("Valuing {name}", refits=True)
def new_rows(work: Work, run: str, frame: str, name: str, *, weight: float = 0.0) -> NewRows:
    """Value the labelled rows of a second file by a run, and rank those without a label by doubt."""
    of = work.run(run, weight)
    matched, X = _match(work, of, frame, name)
    fitted, ids, blank = work.fitted(of), matched.ids, matched.unlabelled_ids
    valued = doubts = pd.DataFrame()
    if len(ids):
        valued = value_new(fitted, take(X, ids), matched.labels, ids)
    if len(blank):
        doubts = rank_unlabelled(fitted, take(X, blank), blank)
    counts = {"n_rows": len(matched.frame), "n_valued": len(valued), "n_unlabelled": len(doubts)}
    return NewRows(valued, doubts, counts, list(matched.notes), list(matched.warnings))


@dataclass(frozen=True)
class Acquisition:
    """Test scores while new rows are added, and the effect of adding all of them."""

    curves: Curves
    effect: Effect


@task("Measuring what new rows bring", refits=True)
def acquisition(work: Work, run: str, frame: str, name: str, *, weight: float = 0.0) -> Acquisition:
    """Measure the test score while the labelled rows of a second file join those of a run."""
    of, started = work.run(run, weight), time.perf_counter()
    matched, X = _match(work, of, frame, name)
    if not len(matched.ids):
        raise ValueError(
            "None of the new rows has a label that the model knows, so nothing can be measured."
        )
    added, seed = (take(X, matched.ids), matched.labels), of.settings.random_state
    valued = value_new(work.fitted(of), *added, matched.ids).loc[matched.ids]
    orders = {RECOMMENDED: valued["priority"].to_numpy(), BY_VALUE: valued["value"].to_numpy()}
    rows = of.make_estimator(), of.inputs, of.y, *added, *of.test_rows()
    found = acquisition_curves(
        *rows, orders, n_random=N_RANDOM, random_state=seed, progress=work.report
    )
    X_more, y_more = map(stack, (of.inputs, of.y), added)
    of_all = effect_of(
        of.make_estimator(), of.inputs, of.y, X_more, y_more, *of.test_rows(), random_state=seed,
        balanced=of.settings.balanced, where=f"with {len(y_more) - len(of.y)} new rows",
    )  # fmt: skip
    n_refits = count_additions(len(orders), n_random=N_RANDOM)
    return Acquisition(Curves(found, n_refits, time.perf_counter() - started), of_all)


# --- In the worker --------------------------------------------------------------------------


def perform(
    name: str, arguments: dict[str, Any], context: dict[str, Any], report: Progress
) -> dict[str, Any]:
    """Do a task in this process; `context` names the folders and the Dask scheduler, if there is one."""
    workspace = Workspace(Path(context["root"]), Path(context["temporary"]))
    work = Work(workspace, Path(context["uploads"]), report)
    asked = Task(name, arguments)
    definition = asked.definition
    with cluster(context.get("dask") if definition.refits else None):
        found = definition.function(work, **asked.typed_arguments())
    if definition.is_kept:
        owner = arguments.get("run") or arguments.get("split") or ""
        workspace.save(asked.key, name, found, owner=owner, arguments=arguments)
    return {"done": None if definition.is_kept else plain(found), "trouble": workspace.trouble}
