"""Explore: the map of the training rows, a table beside it, the story of one row below."""

from __future__ import annotations

import streamlit as st

from ecoval_core.evaluation.pruning import detection
from ecoval_core.workspace.runs import Run
from pages.shared import filtering, layout, mapview, prunelist, rows, state, story, ticks
from pages.shared.session import Session, session

TABLE_KEY = "explore_rows"
# Pixels above and below the map, so that all of it is seen in a window of 800.
ABOVE, BANNER = 415, 56


def draw_filters(run: Run) -> None:
    """Draw one line of filters, and how the map is drawn."""
    filters, kind, color = st.columns([3.9, 1.2, 1.4], vertical_alignment="bottom")
    with filters:
        filtering.draw_filters(run)
    with kind:
        filtering.draw_projection()
    with color:
        mapview.draw_color_choice(run)


def prune_lowest(share: float) -> None:
    """Put the lowest share of the rows on the prune list and go and see what that does."""
    prunelist.change_by(share=share)
    session.prune_widgets_are_old = True
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
    positions = ticks.positions(key)
    if positions is not None:
        marked = [ids[position] for position in positions if position < len(ids)]
        state.pick(marked[0] if marked else None)


layout.title(
    "Explore",
    "Similar rows lie close together. **Click** a point for its story; draw a **lasso** or a **box** to "
    "select, with shift to add.",
    beside=True,
)
run = layout.need_run()
if Session.go_to_prune.take():
    st.switch_page("prune.py")
layout.warn_if_unreliable(run)
is_told = draw_point_of_it(run)
draw_filters(run)
focus = filtering.focus(run)
filtering.draw_actions(run, focus)
left, right = st.columns([2, 1], gap="medium")
with left:
    coordinates, projection = mapview.coordinates(run)
    mapview.draw_map(run, coordinates, projection, above=ABOVE + is_told * BANNER)
with right:
    listed = focus[: rows.MAX_ROWS_SHOWN]
    story_of = session.picked_id
    key, ticked = ticks.place(TABLE_KEY, listed, () if story_of is None else (story_of,))
    rows.draw(run, focus, key, height=400, on_select=lambda: pick_row(focus, key), ticked=ticked)
    st.caption("Lowest value first. Mark a row for its story and its place on the map.")
    filtering.draw_column_filter(run)
picked = session.picked_id
if picked is not None and picked in run.frame.index:
    story.draw(run, picked)
else:
    st.info("Click a point on the map, or mark a row in the table, to read its story here.")
