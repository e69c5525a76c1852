"""Explore: the map, an inspector, how values add up and what removing rows does, with one selection."""

from __future__ import annotations

import streamlit as st

from ecoval_core import charts
from ecoval_core.evaluation.curves import rows_removed
from ecoval_core.evaluation.pruning import detection
from ecoval_core.runs.run import Run
from pages.shared import (
    clusters,
    filtering,
    formats,
    layout,
    mapview,
    menu,
    prunelist,
    removal,
    rows,
    selection,
    state,
    story,
    ticks,
    verdicts,
)
from pages.shared.pointmap.chart import Touch
from pages.shared.session import Session, session

TABLE_KEY = "explore_rows"
BELOW = {"rows": "Rows", "clusters": "Clusters", "words": "Clusters in words"}
N_BARS, CHART_HEIGHT = 10, 290
# Pixels above and below the map, so that all of it is seen in a window of 800.
ABOVE, BANNER = 345, 56


def prune_lowest(share: float) -> None:
    """Put the lowest share of the rows on the prune list and go and see what that does."""
    prunelist.change_by(share=share)
    session.go_to_prune = True


def draw_point_of_it(run: Run) -> bool:
    """Say how many planted errors are among the lowest values, offer to prune these; return whether."""
    planted = run.frame.index[run.frame["flipped"]]
    share = round(run.opened.spec.split.noise, 3)
    if not len(planted) or not share or session.prune_list.share:
        return False
    n_lowest = round(share * len(run.frame))
    lowest = run.frame["value"].sort_values(kind="stable").index[:n_lowest]
    found = detection(lowest.tolist(), planted)
    text, button = st.columns([4, 1], vertical_alignment="center")
    text.markdown(
        f":green[:material/target:] **{found.caught:,} of {len(planted):,} planted errors are in the lowest "
        f"{share:.0%}** of the {len(run.frame):,} rows: prune them and see what that does to the model."
    )
    button.button(
        f"Prune the lowest {share:.0%}",
        key="prune_lowest",
        type="primary",
        icon=":material/content_cut:",
        on_click=prune_lowest,
        args=(share,),
        width="stretch",
    )
    return True


def pick_row(ids: list[int], key: str) -> None:
    """Pick the row that was marked in the table."""
    marked = ticks.marked(key, ids)
    if marked is not None:
        state.pick(marked[0] if marked else None)


def draw_decomposition(run: Run) -> None:
    """Draw how values add up: by label, by cluster, or their distribution."""
    unit = formats.unit_of(run)
    by_target = f"By {formats.target_word(run)}"
    names = {"label": by_target, "cluster": "By cluster", "distribution": "Distribution"}
    layout.choose("Values", names, Session.decomposed_by)
    by = session.decomposed_by
    if by == "distribution":
        figure = selection.distribution(run, boxes=False)
    else:
        figure = charts.totals_by(
            unit.scale(run.frame), by=by, limit=N_BARS,
            theme=layout.theme(), unit=unit.label, selected=session.selected_ids,
        )  # fmt: skip
    selection.draw_bars(run, charts.compact(figure, CHART_HEIGHT), f"totals_{by}")
    if by == "label" and (rare := run.verdict().too_rare(formats.plain)):
        st.caption(rare)


def draw_curves(run: Run) -> None:
    """Draw the removal curves, small; a click on a point selects the rows removed up to it."""
    found = removal.fetch(run, balanced=False, key="measure")
    if found is None:
        return
    summary, baseline, metric = removal.of_measure(run, found.frame)
    shown = summary[summary["strategy"] != "random_clusters"]
    figure = charts.removal_chart(
        shown,
        baseline,
        metric,
        theme=layout.theme(),
        title="Removal curves",
        marks=removal.marks(run),
    )

    def select(touch: Touch) -> None:
        points = removal.points_of(touch)
        ids = [row for point in points for row in rows_removed(run.frame["value"], *point)]
        selection.change(dict.fromkeys(ids), touch.mode)

    selection.draw_chart(run, charts.compact(figure, CHART_HEIGHT + 20), "curves", select)


def draw_below(run: Run, focus: list[int]) -> None:
    """Draw the rows as a table, or the clusters; only what is chosen is made."""
    layout.choose("Below the map", BELOW, Session.explore_below)
    if session.explore_below == "words":
        clusters.draw_words(run)
    elif session.explore_below == "clusters":
        clusters.draw_table(run)
    else:
        listed = focus[: rows.MAX_ROWS_SHOWN]
        story_of = session.picked_id
        key, ticked = ticks.place(TABLE_KEY, listed, () if story_of is None else (story_of,))
        rows.draw(
            run, focus, key, height=400, on_select=lambda: pick_row(focus, key), ticked=ticked
        )
        st.caption("Lowest value first. Mark a row to inspect it beside the map.")


def draw_inspector(run: Run) -> None:
    """Draw the row that is picked, or else the selection."""
    picked = session.picked_id
    with st.container(key="inspector"):
        if picked is not None and picked in run.frame.index:
            story.draw(run, picked)
        elif session.selected_ids:
            story.draw_selection(run, session.selected_ids)
        else:
            st.subheader("Inspector", anchor=False)
            st.markdown(
                "**Click** a point on the map to inspect its row. Select rows with a **lasso** or a **box**, "
                "or click a bar or a point of a curve; **shift** adds, **alt** takes away, **Escape** "
                "clears.\n\nEvery chart shows the one selection. On the map a **cross** marks rows to prune, "
                "a **ring** the row inspected, thin rings its neighbours."
            )
            verdict = verdicts.verdict_of(run)
            st.markdown(f"**{verdict.advice()}**")


run = state.run()
if run is None:
    st.header("Explore", anchor=False)
run = layout.need_run()
if Session.go_to_prune.take():
    st.switch_page("prune.py")
layout.warn_if_unreliable(run)
is_told = draw_point_of_it(run)
focus = filtering.focus(run)
selection.draw_actions(run, focus)
left, middle, right = st.columns([1.75, 0.95, 1.15], gap="medium")
with left:
    with st.container(horizontal=True, vertical_alignment="center", key="map_choices"):
        filtering.draw_projection()
        mapview.draw_color_choice(run)
        mapview.draw_names_choice()
    mapview.draw_map(run, above=ABOVE + is_told * BANNER)
with middle:
    draw_inspector(run)
with right:
    draw_decomposition(run)
    draw_curves(run)
draw_below(run, focus)
menu.lead_on("labels", "Go on to Labels")
