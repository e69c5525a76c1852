"""Repeats of a valuation with other seeds: how far its values can be relied on."""

from __future__ import annotations

import streamlit as st

from ecoval_core.valuation.planning import count_fits
from ecoval_core.workspace.runs import Run
from ecoval_core.workspace.stability import N_REPEATS, Stability, repeat_run, stability_of
from pages.shared import formats, progress, state


def _jobs() -> dict[str | None, str]:
    return st.session_state.setdefault("repeat_jobs", {})


def _start(run: Run) -> None:
    job = state.jobs().submit(
        f"repeat {state.run_id()}",
        "Repeating the valuation",
        lambda report, should_stop: repeat_run(run, progress=report, should_stop=should_stop),
    )
    _jobs()[state.run_id()] = job.id


def _draw_figures(found: Stability, run: Run) -> None:
    unit = formats.unit_of(run)
    ranks, moves, sure = st.columns(3)
    ranks.metric(
        "Rank agreement",
        f"{found.rank_agreement:.2f}",
        help="Mean Spearman correlation between the values of two seeds: 1 is the same order of rows, "
        "0 none in common.",
    )
    ranks.caption(f"between {found.n_repeats} seeds of clusters, folds and model")
    moves.metric("A value moves by", f"± {unit.size(found.seed_deviation)}")
    moves.caption(
        f"with the seed, and by ± {unit.size(found.validation_error)} with the validation rows "
        f"({unit.label}; medians)"
    )
    sure.metric(
        "Beyond two errors of zero", f"{found.n_below + found.n_above:,} of {found.n_rows:,}"
    )
    sure.caption(
        f"{found.n_below:,} rows below zero, {found.n_above:,} above",
        help="The mean over the seeds lies beyond two standard errors of zero, where the error takes in "
        "both seeds and validation rows.",
    )


def draw(run: Run) -> None:
    """Draw how stable the values are, or the button that finds out.

    Parameters
    ----------
    run : Run
        The run.
    """
    job = state.jobs().get(_jobs().get(state.run_id(), ""))
    repeats = None
    if job is not None:
        repeats = progress.result_of(job, "Models fitted", cancelled="The repeats were cancelled.")
    if repeats is not None:
        st.markdown("**How sure the values are**")
        _draw_figures(stability_of(repeats, run.settings.extrinsic_weight), run)
    elif job is None or not job.is_active:
        n_fits = N_REPEATS * count_fits(run.settings.n_clusters, run.settings.n_folds)
        st.button(
            f"Repeat with {N_REPEATS} seeds: {n_fits:,} fits",
            key="repeat",
            on_click=_start,
            args=(run,),
            icon=":material/repeat:",
            help="Shows how far the values hang on chance: on the draw of clusters, folds and model.",
        )
