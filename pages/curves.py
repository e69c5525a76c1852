"""Curves: the test score while rows are removed in the order of their value."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ecoval_core import charts
from ecoval_core.evaluation.curves import (
    STRATEGIES,
    count_refits,
    default_metric,
    removal_curves,
    summarise_curves,
)
from ecoval_core.workspace.jobs import Job
from ecoval_core.workspace.runs import Run
from pages.shared import formats, layout, progress, state
from pages.shared.session import session

N_RANDOM = 10
QUESTIONS = {
    "lowest": "What if I remove the worst first?",
    "highest": "What if I remove the best first?",
}


def measured(*, balanced: bool) -> dict[float, str]:
    """Curve jobs of a run in this session: job id by extrinsic weight, the latest last."""
    return session.curve_jobs.setdefault((session.run_job, balanced), {})


def start(run: Run, *, balanced: bool) -> None:
    """Measure the curves in the background."""
    prepared, ecoval = run.prepared, run.ecoval
    X, y = run.X, run.y
    job = state.jobs().submit(
        f"curves {prepared.fingerprint} {run.settings} {balanced}",
        "Measuring the curves",
        lambda report, should_stop: removal_curves(
            run.make_estimator(),
            X,
            y,
            prepared.X_test,
            prepared.y_test,
            ecoval.values_,
            clusters=ecoval.labels_,
            strategies=STRATEGIES,
            class_balanced=balanced,
            n_random=N_RANDOM,
            random_state=run.settings.random_state,
            progress=report,
            should_stop=should_stop,
        ),
    )
    measured(balanced=balanced)[run.settings.extrinsic_weight] = job.id


def _describe_peak(summary: pd.DataFrame) -> str:
    if summary.loc[summary["strategy"] == "lowest", "mean"].isna().all():
        return ""
    best = charts.peak_of(summary)
    if not best["share"]:
        return "; no share removed raises it"
    return (
        f"; at its peak {best['mean']:.3f}, with {best['n_removed']:,.0f} rows ({best['share']:.0%}) "
        "removed. The peak is chosen on these same test rows, so it flatters: on new rows expect less"
    )


def draw(curves: pd.DataFrame, job: Job, run: Run) -> None:
    """One chart a question, then the data."""
    metric = default_metric(run.make_estimator())
    summary = summarise_curves(curves)
    baseline = float(summary.loc[summary["share"] == 0, "mean"].iloc[0])
    for column, (strategy, question) in zip(st.columns(2), QUESTIONS.items(), strict=True):
        shown = summary[summary["strategy"].isin([strategy, "random", "random_clusters"])]
        figure = charts.removal_chart(shown, baseline, metric, theme=layout.theme(), title=question)
        with column:
            layout.chart(figure, key=f"curve_{strategy}")
            peak = _describe_peak(summary) if strategy == "lowest" else ""
            st.caption(f"Test {metric} with all rows {baseline:.3f}{peak}.")
    st.caption(
        f"{job.total:,} refits in {formats.seconds(job.seconds)}. Bands hold the middle 80 % of "
        f"{N_RANDOM} random orders. Random clusters are a control: if removing whole clusters at "
        "random hurts as much as removing the best rows, it is the missing kinds of rows that hurt."
    )
    with st.expander("The data"):
        st.dataframe(summary, key="curve_data", hide_index=True)
        st.download_button(
            "Every refit as CSV",
            lambda: curves.to_csv(index=False).encode(),
            "curves.csv",
            "text/csv",
            key="download_curves",
            on_click="ignore",
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
    disabled=run.prepared.task == "regression",
    help="Removing the best rows first can look good merely by deleting whole classes. With this "
    "switch the classes keep their balance.",
)
jobs = measured(balanced=balanced)
weight = run.settings.extrinsic_weight
if weight not in jobs and jobs:
    weight = list(jobs)[-1]
    st.info(
        f"The curves below belong to the extrinsic weight {weight:.2f}. Another weight means another "
        "order of rows, which takes new refits."
    )
job = state.jobs().get(jobs.get(weight, ""))
curves = None
if job is not None:
    curves = progress.result_of(job, "Refits", cancelled="The measurement was cancelled.")
if (curves is None or weight != run.settings.extrinsic_weight) and not (job and job.is_active):
    st.button(
        f"Measure the curves: {count_refits(STRATEGIES, n_random=N_RANDOM):,} refits",
        key="measure",
        type="primary",
        on_click=start,
        args=(run,),
        kwargs={"balanced": balanced},
    )
if job is not None and curves is not None:
    draw(curves, job, run)
