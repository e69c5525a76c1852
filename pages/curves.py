"""Curves: the test score while rows are removed in the order of their value."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ecoval_core import charts
from ecoval_core.charts.curves import point_of
from ecoval_core.evaluation.curves import (
    STRATEGIES,
    count_refits,
    rows_removed,
    standing_of,
    summarise_curves,
)
from ecoval_core.text import count_of
from ecoval_core.work import slow
from ecoval_core.work.slow import N_RANDOM, Curves
from ecoval_core.workspace.exports import to_csv
from ecoval_core.workspace.runs import Run
from ecoval_core.workspace.tasks import Task
from pages.shared import effects, formats, layout, prunelist, selecting, server, state
from pages.shared.pointmap.chart import Touch
from pages.shared.session import Session, session

QUESTIONS = {
    "lowest": "What if I remove the worst first?",
    "highest": "What if I remove the best first?",
}


def measured(run: Run, *, balanced: bool) -> list[float]:
    """Extrinsic weights at which the curves of a run were measured, the latest last."""
    return [
        float(one.arguments.get("weight", 0.0))
        for one in server.workspace().results_of(run.key, "curves")
        if "baseline" not in one.arguments and one.arguments.get("balanced", False) == balanced
    ]


def _describe_peak(summary: pd.DataFrame) -> str:
    if summary.loc[summary["strategy"] == "lowest", "mean"].isna().all():
        return ""
    best = charts.peak_of(summary)
    if not best["share"]:
        return "; no share removed raises it"
    return (
        f"; at its peak {best['mean']:.3f}, with {count_of(round(best['n_removed']), 'row')} "
        f"({best['share']:.0%}) removed. The peak is chosen on these same test rows, so it flatters: on new "
        "rows expect less"
    )


def marks(run: Run, classes: pd.Series | None) -> list[charts.Mark]:
    """Return where prune list and selection stand on the curves."""
    current = state.run()
    sets = {
        "prune list": [] if current is None else prunelist.pruned_ids(current),
        "selection": session.selected_ids,
    }
    found = {name: standing_of(ids, run.frame["value"], classes) for name, ids in sets.items()}
    return [
        charts.Mark(name, at.strategy, at.share, at.n_rows, at.n_removed)
        for name, at in found.items()
        if at is not None
    ]


def _off_the_curves(placed: list[charts.Mark], summary: pd.DataFrame) -> str:
    end = summary["share"].max()
    names = [f"{mark.name} ({mark.share:.0%} of the rows)" for mark in placed if mark.share > end]
    if not names:
        return ""
    return f" The curves end at {end:.0%}, before the {' and the '.join(names)}."


def select_removed(run: Run, classes: pd.Series | None, touch: Touch) -> None:
    """Select the rows that are removed up to the point that was clicked."""
    ids: list[int] = []
    for key in touch.keys:
        if (point := point_of(key)) is not None:
            ids += rows_removed(run.frame["value"], *point, classes)
    selecting.change(dict.fromkeys(ids), touch.mode)


def _draw_before_and_after(curves: pd.DataFrame) -> None:
    """Draw every measure with all rows and without a share of the lowest, with intervals."""
    lowest = curves[(curves["strategy"] == "lowest") & (curves["repeat"] == 0)]
    shares = sorted(share for share in lowest["share"].unique() if share)
    share = st.select_slider(
        "Every score before and after removing the lowest",
        shares,
        value=0.15 if 0.15 in shares else shares[0],
        key="curve_share",
        format_func="{:.0%}".format,
    )
    columns = ["score", "low", "high"]
    by_share = lowest.set_index(["share", "measure"])[columns]
    table = pd.concat(
        [by_share.loc[0.0].add_suffix("_before"), by_share.loc[share].add_suffix("_after")], axis=1
    )
    shown = pd.DataFrame(
        {
            "measure": [effects.title(name) for name in table.index],
            "all rows": table["score_before"],
            "interval, all rows": _intervals(table["low_before"], table["high_before"]),
            "without them": table["score_after"],
            "interval, without them": _intervals(table["low_after"], table["high_after"]),
        }
    )
    number = st.column_config.NumberColumn
    st.dataframe(
        shown,
        key="curve_measures",
        hide_index=True,
        column_config={
            "all rows": number("all rows", format="%.3f"),
            "without them": number("without them", format="%.3f"),
        },
    )
    st.caption(
        "Intervals hold 90 % of a bootstrap of the test rows. *Prune* measures the difference itself, which "
        "is surer than either score."
    )


def _intervals(low: pd.Series, high: pd.Series) -> list[str]:
    return [f"{a:.3f} to {b:.3f}" for a, b in zip(low, high, strict=True)]


def draw(found: Curves, run: Run, classes: pd.Series | None) -> None:
    """Draw one chart a question, then the data; classes are those that the curves keep in balance."""
    curves = found.frame
    main = run.main_measure
    on_offer = curves["measure"].unique().tolist()
    on_offer = [main, *(name for name in on_offer if name != main)]
    if session.curve_measure not in on_offer:
        session.curve_measure = main
    chosen = st.selectbox(
        "Test score drawn",
        on_offer,
        format_func=effects.title,
        **Session.curve_measure.lasting,
        help="Look at the recall of each class as well: an overall score hides what a rare class pays.",
    )
    metric = effects.title(chosen)
    of_measure = curves[curves["measure"] == chosen]
    summary = summarise_curves(of_measure)
    baseline = float(summary.loc[summary["share"] == 0, "mean"].iloc[0])
    placed = marks(run, classes)

    def select(touch: Touch) -> None:
        select_removed(run, classes, touch)

    for column, (strategy, question) in zip(st.columns(2), QUESTIONS.items(), strict=True):
        shown = summary[summary["strategy"].isin([strategy, "random", "random_clusters"])]
        figure = charts.removal_chart(
            shown, baseline, metric, theme=layout.theme(), title=question, marks=placed
        )
        with column:
            selecting.draw(run, figure, f"curve_{strategy}_{chosen}", select)
            peak = _describe_peak(summary) if strategy == "lowest" else ""
            st.caption(f"Test {formats.plain(metric)} with all rows {baseline:.3f}{peak}.")
    st.caption(
        "Click a point of a curve, or a mark on it, to select the rows removed up to there. **Prune list** "
        f"and **selection** stand where as many rows are gone. Selected: {len(session.selected_ids):,}."
        + _off_the_curves(placed, summary)
    )
    st.caption(
        f"{count_of(found.n_refits, 'refit')} in {formats.seconds(found.seconds)}. "
        "Bands hold the middle 80 % of "
        f"{N_RANDOM} random orders. Random clusters are a control: if removing whole clusters at "
        "random hurts as much as removing the best rows, it is the missing kinds of rows that hurt."
    )
    _draw_before_and_after(curves)
    with st.expander("The data"):
        st.dataframe(summary, key="curve_data", hide_index=True)
        layout.download(
            "Every refit as CSV", lambda: to_csv(curves), "curves.csv", "download_curves"
        )


layout.title(
    "Curves",
    "If the values are right, removing the lowest rows first keeps or raises the score on the "
    "**test** rows, and removing the highest first makes it fall faster than chance. The model "
    "is refitted at every step.",
)
run = layout.need_run()
layout.warn_if_unreliable(run)
balanced = st.toggle(
    "Class-balanced: remove the same share of every class",
    key="balanced",
    bind="query-params",
    disabled=run.split.task == "regression",
    help="Removing the best rows first can look good merely by deleting whole classes. With this "
    "switch the classes keep their balance.",
)


def curves_of(run: Run) -> Task:
    """Return the task that measures the curves at the weight of a run."""
    return slow.curves(run.key, weight=run.settings.extrinsic_weight, balanced=balanced)


task = shown = curves_of(run)
measured_run, classes = run, run.class_labels if balanced else None
if state.result(task) is None and (weights := measured(run, balanced=balanced)):
    measured_run = run.reweight(weights[-1])
    shown = curves_of(measured_run)
    st.info(
        f"The curves below belong to the extrinsic weight {weights[-1]:.2f}. Another weight means another "
        "order of rows, which takes new refits."
    )
if state.result(task) is None:
    n_refits = count_refits(STRATEGIES, n_random=N_RANDOM)
    layout.offer(task, f"Measure the curves: {n_refits:,} refits", "measure")
found = state.read(shown)
if found is not None:
    draw(found, measured_run, classes)
