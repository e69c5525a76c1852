"""Removal curves of the run that is open: begun by themselves where a few seconds suffice."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ecoval_core import charts
from ecoval_core.charts.curves import point_of
from ecoval_core.evaluation.curves import STRATEGIES, count_refits, standing_of, summarise_curves
from ecoval_core.runs.run import Run
from ecoval_core.runs.tasks import Task
from ecoval_core.work import slow
from ecoval_core.work.slow import N_RANDOM, Curves
from pages.shared import effects, layout, progress, prunelist, state
from pages.shared.pointmap.chart import Touch
from pages.shared.session import session


def task_of(run: Run, *, balanced: bool = False) -> Task:
    """Return the task that measures the curves of a run at its weight."""
    return slow.curves(run.key, weight=run.settings.extrinsic_weight, balanced=balanced)


def measured(run: Run) -> Curves | None:
    """Return the curves, if they are measured."""
    found: Curves | None = state.read(task_of(run))
    return found


def is_coming(run: Run) -> bool:
    """Whether the curves are measured or being measured, so that a page keeps room for them."""
    tasks = [task_of(run, balanced=balanced) for balanced in (False, True)]
    return any(state.result(task) is not None or progress.is_running(task) for task in tasks)


def fetch(run: Run, *, balanced: bool, key: str) -> Curves | None:
    """Return the curves; begin them if they take a few seconds, draw how far they are, or else a button."""
    if not len(run.split.y_test):
        st.caption("Removal curves need test rows: give some to show(..., test=frame).")
        return None
    n_refits = count_refits(STRATEGIES, n_random=N_RANDOM)
    found: Curves | None = layout.fetch_or_offer(
        task_of(run, balanced=balanced),
        slow.curves_timing(run.key),
        f"Measure the removal curves: {n_refits:,} fits",
        key,
        what="Removal curves, fits",
    )
    return found


def of_measure(
    run: Run, curves: pd.DataFrame, measure: str | None = None
) -> tuple[pd.DataFrame, float, str]:
    """Return curves of a measure, by default the main one, their score with all rows, and its name."""
    chosen = measure or run.main_measure
    summary = summarise_curves(curves[curves["measure"] == chosen])
    baseline = float(summary.loc[summary["share"] == 0, "mean"].iloc[0])
    return summary, baseline, effects.title(chosen)


def marks(run: Run, classes: pd.Series | None = None) -> list[charts.Mark]:
    """Return where prune list and selection stand on the curves, if most of their rows are removed there."""
    sets = {"prune list": prunelist.pruned_ids(run), "selection": session.selected_ids}
    placed = {name: standing_of(ids, run.frame["value"], classes) for name, ids in sets.items()}
    return [
        charts.Mark(name, at.strategy, at.share, at.n_rows, at.n_removed)
        for name, at in placed.items()
        if at is not None and 2 * at.n_removed > at.n_rows
    ]


def points_of(touch: Touch) -> list[tuple[str, float]]:
    """Return strategy and share of the points of a curve that were clicked."""
    return [point for key in touch.keys if (point := point_of(key)) is not None]
