"""Explore: the map of the training rows, a table beside it, the story of one row below."""

from __future__ import annotations

import streamlit as st

from ecoval_core import charts
from ecoval_core.workspace.runs import Run
from pages.shared import formats, layout, mapview, rows, state, story
from pages.shared.session import Session


def draw_filters(run: Run) -> list[int]:
    """Draw one line of filters and return the row ids in focus."""
    frame = run.frame
    labels, negative, planted, kind = st.columns([3, 1.3, 1.3, 1.4], vertical_alignment="bottom")
    if run.prepared.task == "classification":
        labels.multiselect(
            "Labels",
            sorted(frame["label"].unique().tolist()),
            key=Session.filter_labels.key,
            bind="query-params",
            placeholder="All labels",
            on_change=mapview.refresh_marks,
        )
    negative.toggle(
        "Below zero only",
        key=Session.filter_negative.key,
        bind="query-params",
        on_change=mapview.refresh_marks,
    )
    if frame["flipped"].any():
        planted.toggle(
            "Planted errors only",
            key=Session.filter_planted.key,
            bind="query-params",
            on_change=mapview.refresh_marks,
        )
    kind.segmented_control(
        "Projection",
        ["UMAP", "PCA"],
        default="UMAP",
        required=True,
        key=Session.projection.key,
        bind="query-params",
        on_change=mapview.refresh_marks,
        help="Both draw similar rows close together. PCA is a straight view from one side; UMAP "
        "bends the space to keep neighbours together.",
    )
    return mapview.focus(frame)


def draw_actions(run: Run, focus: list[int]) -> None:
    """Draw what can be done with the selection."""
    n_selected = len(state.selected_ids())
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Selected: {n_selected:,}** of {len(run.frame):,} rows")
        st.button(
            "Add selection to prune list",
            key="add_to_prune",
            disabled=not n_selected,
            on_click=mapview.prune_selection,
            args=(focus,),
            icon=":material/content_cut:",
        )
        st.button(
            "Clear selection",
            key="clear_selection",
            disabled=not n_selected and state.picked_id() is None,
            on_click=mapview.clear_selection,
        )


layout.title(
    "Explore",
    "Every point is a valued row; similar rows lie close together. Draw a **lasso** or a **box** around "
    "points to list them, click one for its story.",
)
run = layout.need_run()
layout.warn_if_unreliable(run)
focus = draw_filters(run)
draw_actions(run, focus)
left, right = st.columns([2, 1], gap="medium")
unit = formats.unit_of(run)
with left:
    coordinates, projection = mapview.coordinates(run)
    theme = layout.theme()
    drawn_from = (state.run_id(), state.extrinsic_weight(), unit, theme, projection)
    marks = mapview.marks(run.frame, *drawn_from)
    figure = charts.value_map(
        unit.scale(run.frame),
        coordinates,
        theme=theme,
        selected_ids=marks.selected_ids,
        picked_id=marks.picked_id,
        hover=mapview.hover_columns(run.prepared),
        unit=unit.label,
    )
    layout.chart(
        figure,
        mapview.MAP_KEY,
        on_select=mapview.on_map_selection,
        selection_mode=("points", "box", "lasso"),
    )
with right:
    rows.draw(
        run,
        focus,
        mapview.TABLE_KEY,
        height=600,
        on_select=lambda: mapview.on_row_pick(focus),
    )
    st.caption("Lowest value first. Mark a row for its story and its place on the map.")
picked = state.picked_id()
if picked is not None and picked in run.frame.index:
    story.draw(run, picked)
else:
    st.info("Click a point on the map, or mark a row in the table, to read its story here.")
