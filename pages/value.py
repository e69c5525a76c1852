"""Value: choose granularity, model and score; run; read the summary."""

from __future__ import annotations

import streamlit as st

from ecoval_core.evaluation.stability import Stability, stability_of
from ecoval_core.models.catalog import make_model
from ecoval_core.runs.exports import unit_of
from ecoval_core.runs.fitting import follows_without_refits, rows_per_fit
from ecoval_core.runs.opened import Opened
from ecoval_core.runs.run import Run
from ecoval_core.text import count_of, known
from ecoval_core.valuation.planning import count_fits
from ecoval_core.valuation.record import LEAST_SURPLUS
from ecoval_core.valuation.scoring import SCORINGS
from ecoval_core.work import slow
from ecoval_core.work.slow import N_REPEATS
from ecoval_core.workspace.history import RunRecord
from ecoval_core.workspace.schema import Settings
from pages.shared import formats, layout, menu, progress, rows, selection, state, valuing, verdicts
from pages.shared.session import Session, session

N_EXTREMES = 10


def draw_plan(opened: Opened, settings: Settings) -> None:
    """Draw one sentence on what will happen, and the button."""
    model = make_model(settings.model, opened.table.task)
    is_free = follows_without_refits(opened.split, model)
    n_fits = count_fits(0 if is_free else settings.n_clusters, settings.n_folds)
    timing = valuing.timing(opened, settings)
    # Asked before its result: the job may end in between, and then the page is drawn again.
    is_timing, seconds = timing.is_active, timing.result
    cost = "time not known yet" if seconds is None else f"about {formats.seconds(seconds)}"
    size = rows_per_fit(opened.split, settings.every_row) / settings.n_clusters
    folds = f", in each of {settings.n_folds} folds" if settings.every_row else ""
    st.markdown(
        f"**{count_of(settings.n_clusters, 'cluster')} of about {formats.rows_each(size)}{folds}: "
        f"{count_of(n_fits, 'fit')}, {cost}.**",
        help="One model fit on all rows, one without each cluster, and five for the quality of the "
        "rows. Valuing every row repeats all of that five times. The time is estimated from a "
        "few timed fits.",
    )
    if is_free:
        st.caption(
            "The clusters need no further fits: the model without a cluster is computed from the "
            "model fitted on all rows."
        )
    st.button(
        "Value the rows",
        key="start",
        type="primary",
        on_click=state.start_run,
        args=(opened, settings),
    )
    if is_timing:
        progress.redraw_after(timing)
    elif timing.error is not None:
        st.error(formats.plain(timing.error))


def _counted(is_free: bool) -> str:
    """Name what a valuation counts: its fits, or also the clusters that take none."""
    return "Steps done" if is_free else "Models fitted"


def draw_figures(run: Run) -> None:
    """Draw four figures that sum the run up."""
    ecoval, unit = run.ecoval, formats.unit_of(run)
    n_negative = int((run.frame["value"] < 0).sum())
    figures = st.columns(4)
    figures[0].metric(
        "Surplus",
        f"{ecoval.surplus_:+.3f}",
        help="What all rows together add to the score: the score of the model minus the score of a "
        "guess that uses no features. Where it is above zero, the values divide it among the rows.",
    )
    best = "; 0 is perfect" if ecoval.prior_score_ < 0 else ""
    figures[0].caption(
        f"{SCORINGS[run.settings.scoring].unit}: from {ecoval.prior_score_:.3f} by guessing "
        f"to {ecoval.full_score_:.3f} with the model{best}"
    )
    figures[1].metric(
        "Intrinsic share",
        known(ecoval.intrinsic_share_, ".0%"),
        help="The part of the surplus that is intrinsic. **Intrinsic** value rewards a row for "
        f"being a typical, credible example of its {formats.target_word(run)}. **Extrinsic** "
        "value rewards what a row adds, given all other rows. The share exceeds 100 % where "
        "the effects of the rows sum to less than zero. It is a dash where there is no "
        "surplus to divide.",
    )
    figures[1].caption(
        f"the rest is extrinsic; sum of cluster effects {ecoval.returns_to_scale_:.2f} of the surplus"
        if ecoval.surplus_ > LEAST_SURPLUS
        else "there is no surplus to divide",
        help="The part of the surplus that is lost when each cluster is removed on its own, summed "
        "over the clusters (the paper's returns to scale). The rest is due to rows that can "
        "replace one another.",
    )
    figures[2].metric(
        "Clearly harmful rows",
        f"{len(run.harmful_ids):,}",
        help="Rows whose value is below zero by more than two standard errors, after correction "
        "for testing many rows (Benjamini-Hochberg, 5 %).",
    )
    figures[2].caption(f"of {count_of(len(run.frame), 'row')}")
    figures[3].metric("Rows below zero", f"{n_negative:,} of {len(run.frame):,}")
    figures[3].caption(
        f"An average row{' (1×)' if unit.kind == 'rows' else ''} is worth "
        f"{unit_of(run, 'score').text(run.frame['value'].mean())}. This count ignores the errors of the "
        "values."
    )


def draw_stability(found: Stability, run: Run) -> None:
    """Draw how far the values depend on the seed and on the validation rows."""
    unit = formats.unit_of(run)
    ranks, moves, sure = st.columns(3)
    ranks.metric(
        "Rank agreement",
        f"{found.rank_agreement:.2f}",
        help="Mean Spearman correlation between the values of two seeds: 1 is the same order of rows, "
        "0 none in common.",
    )
    ranks.caption(f"between {found.n_repeats} seeds for clusters, folds and model")
    moves.metric("A value moves by", f"± {unit.size(found.seed_deviation)}")
    moves.caption(
        f"with the seed, and by ± {unit.size(found.validation_error)} with the validation rows "
        f"({unit.words or unit.label}; medians)"
    )
    sure.metric(
        "More than two errors from zero", f"{found.n_below + found.n_above:,} of {found.n_rows:,}"
    )
    sure.caption(
        f"{count_of(found.n_below, 'row')} below zero, {found.n_above:,} above",
        help="Rows whose mean value over the seeds is more than two standard errors from zero. The "
        "error covers both seeds and validation rows.",
    )


def draw_repeats(run: Run) -> None:
    """Draw how stable the values are, or the button that finds out."""
    if run.own_model is not None:
        st.caption("These values came from a notebook: repeat them there with repeat_value.")
        return
    is_free = follows_without_refits(run.split, run.make_estimator())
    n_clusters = 0 if is_free else run.settings.n_clusters
    n_fits = N_REPEATS * count_fits(n_clusters, run.settings.n_folds)
    repeats = layout.offer(
        slow.repeats(run.key),
        f"Repeat with {N_REPEATS} seeds: {count_of(n_fits, 'fit')}",
        "repeat",
        what=_counted(is_free),
        cancelled="The repeats were cancelled.",
        type="secondary",
        icon=":material/repeat:",
        help="Shows how much the values depend on chance, that is, on the random clusters, folds "
        "and model.",
    )
    if repeats is not None:
        st.markdown("**How stable the values are**")
        weight = run.settings.extrinsic_weight
        draw_stability(stability_of([one.at(weight) for one in repeats]), run)


def draw_unfinished(record: RunRecord) -> None:
    """Say how a run without values ended."""
    if state.has_left(record) or record.state == "cancelled":
        st.info("The valuation was cancelled.")
        return
    if record.state == "error":
        st.error(formats.plain(record.error or "The valuation failed."))
    else:
        interrupted = "This valuation was interrupted before it was finished: the server stopped."
        why = formats.plain(record.error) if record.error else interrupted
        st.warning(f"{why} Its settings are those on the left.")
    st.button(
        "Run it again",
        key="run_again",
        icon=":material/restart_alt:",
        on_click=state.start_again,
        args=(record,),
    )


def _say_clusters(run: Run) -> str:
    """Count the clusters, which are fewer than asked for where rows are equal or classes small."""
    found, asked = run.ecoval.n_clusters_, run.settings.n_clusters
    return count_of(found, "cluster") + (f" (of {asked:,} asked for)" if found < asked else "")


def draw_summary(run: Run) -> None:
    """Draw the result of the run."""
    layout.warn_if_unreliable(run)
    st.subheader("What came out", anchor=False)
    settings = run.settings
    st.caption(
        f"{formats.model_title(run.settings.model)}, {_say_clusters(run)}, score: "
        f"{SCORINGS[settings.scoring].title}, seed {settings.random_state}, "
        f"{formats.seconds(run.seconds)}."
    )
    verdicts.draw(run)
    menu.lead_on("explore", "Go on to Explore")
    draw_figures(run)
    if run.settings.every_row:
        st.caption(
            "Every row is valued: the figures are means over five folds, and the clusters are "
            "those of the first fold. The test rows are not used."
        )
    selection.draw_bars(run, selection.distribution(run), "distribution")
    st.caption(
        "Click a bar or draw a box to select its rows on every page; hold Shift to add to the "
        f"selection. Selected: {len(session.selected_ids):,}."
    )
    draw_repeats(run)
    order = run.frame["value"].sort_values(kind="stable").index.tolist()
    st.markdown(
        f"**The {N_EXTREMES} rows of lowest value**: they may be wrong, unusual or harmful, so "
        "look at them first."
    )
    rows.draw(run, order[:N_EXTREMES], key="lowest")
    st.markdown(f"**The {N_EXTREMES} rows of highest value**: the model relies most on them.")
    rows.draw(run, order[: -N_EXTREMES - 1 : -1], key="highest")


layout.title(
    "Value",
    "Rows are grouped into **clusters** of similar rows with the same label or target. Each cluster "
    "is left out in turn. The loss in score is the value of the cluster, which is divided among "
    "its rows.",
)
opened = layout.need_table()
if opened.spec.split.kind == "given":
    st.info(
        "These rows came with their values, from a notebook. To value them with a model of the app, choose "
        "on Data how to split them.",
        icon=":material/info:",
    )
    if (given := state.run()) is not None:
        draw_summary(given)
    st.stop()
left, right = st.columns([1, 2.6], gap="large")
with left:
    layout.say_what_changes_do()
    settings = valuing.choose(opened)
    st.caption(
        "You can change the extrinsic weight in *View* above at any time; no model is fitted again."
    )
if Session.start_at_once.take():
    state.start_run(opened, settings)
    st.rerun()
# However much is drawn above the summary, the browser does not build the summary anew.
with right, st.container():
    job, run = state.run_job(), state.run()
    if job is not None:
        record = state.next_record() or state.run_record()
        valued = settings if record is None else record.settings
        model = make_model(valued.model, opened.table.task)
        progress.watch(job, _counted(follows_without_refits(opened.split, model)))
        if run is not None:
            st.caption("Until it is finished, every page shows the values of the run before.")
    else:
        draw_plan(opened, settings)
        record = state.next_record() or (None if run else state.run_record())
        if record is not None:
            draw_unfinished(record)
        elif Session.lead_to_map.take():
            st.switch_page("explore.py")
if run is not None:
    with right:
        draw_summary(run)
