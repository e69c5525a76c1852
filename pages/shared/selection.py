"""The selection: search, what can be done with it, selections that have a name, charts that take it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import streamlit as st
from plotly.graph_objects import Figure

from ecoval_core import charts
from ecoval_core.charts.selection import Mode, rows_behind
from ecoval_core.runs.run import Run
from ecoval_core.text import count_of
from pages.shared import filtering, formats, layout, prunelist, state
from pages.shared.pointmap.chart import Touch, live_chart
from pages.shared.session import Session, session

MAX_FOUND = 100_000
# A review is written whole at every change.
MAX_SAVED_ROWS, MAX_SAVED_NAME = 100_000, 60


def find(run: Run, words: str) -> list[int]:
    """Find rows by number or by text in their cells."""
    parts = [part.strip() for part in words.split(",") if part.strip()]
    numbers = [int(part) for part in parts if part.isdecimal()]
    if parts and len(numbers) == len(parts):
        matching_ids = run.frame.index[np.isin(run.frame.index, numbers)]
        if len(matching_ids):
            return [int(row) for row in matching_ids]
    needle = words.strip()
    if not needle:
        return []
    frame = run.table.frame.loc[run.ids]
    hit = np.zeros(len(frame), dtype=bool)
    for name in frame:
        hit |= (
            frame[name]
            .astype(str)
            .str.contains(needle, case=False, regex=False)
            .to_numpy(dtype=bool)
        )
    return [int(row) for row in frame.index[hit][:MAX_FOUND]]


def select_found(run: Run) -> None:
    """Select what the search field names; called when it changes."""
    words = session.search_rows
    found = find(run, words)
    session.search_missed = words if words.strip() and not found else ""
    if found:
        state.select(found)
        if len(found) == 1:
            state.pick(found[0])


def invert(run: Run) -> None:
    """Select the other rows of those that pass the filters; what they hide stays selected."""
    mask = filtering.matching(run)
    is_selected = mask.index.isin(session.selected_ids)
    state.select([int(row) for row in mask.index[mask ^ is_selected]])


def grow(run: Run) -> None:
    """Select every row of the clusters that the selection touches."""
    clusters = run.frame["cluster"]
    touched = clusters[clusters.index.isin(session.selected_ids)].unique()
    state.select([int(row) for row in clusters.index[clusters.isin(touched)]])


def clear() -> None:
    """Select nothing and let go of the row picked."""
    state.select([])
    state.pick(None)
    session.search_rows, session.search_missed = "", ""


def prune(ids: list[int]) -> None:
    """Put rows on the prune list."""
    prunelist.change(session.prune_list.pick(ids))


def draw_actions(run: Run, focus: list[int]) -> None:
    """Draw the search field and what can be done with the selection."""
    chosen: list[Any] = session.selected_ids
    with st.container(horizontal=True, vertical_alignment="center", key="selection_actions"):
        st.header("Explore", anchor=False, width="content")
        filtering.draw_filters(run)
        st.text_input(
            "Search rows",
            key=Session.search_rows.key,
            placeholder="Row number, or text in any cell",
            on_change=select_found,
            args=(run,),
            width=230,
            label_visibility="collapsed",
        )
        st.button(
            f"Prune {len(focus):,}" if chosen else "Prune",
            key="add_to_prune",
            disabled=not (chosen and focus),
            on_click=prune,
            args=(focus,),
            icon=":material/content_cut:",
            help="Puts the selected rows that pass the filters on the prune list. Rows whose suggested label "
            "was accepted stay.",
        )
        st.button(
            "Invert", key="invert_selection", on_click=invert, args=(run,), icon=":material/flip:"
        )
        st.button(
            "Whole clusters",
            key="grow_selection",
            on_click=grow,
            args=(run,),
            disabled=not chosen,
            icon=":material/bubble_chart:",
            help="Selects every row of the clusters that the selection touches",
        )
        st.button(
            "Clear",
            key="clear_selection",
            on_click=clear,
            disabled=not chosen and session.picked_id is None,
            icon=":material/close:",
        )
        _draw_saved()
    if session.search_missed:
        st.caption("No valued row has this number, or this text in a cell.")


def save() -> None:
    """Keep the selection under the name that was typed."""
    name = session.selection_name.strip()[:MAX_SAVED_NAME]
    if name and session.selected_ids:
        saved = session.saved_selections | {name: tuple(session.selected_ids)}
        session.saved_selections = saved
    session.selection_name = ""


def forget(name: str) -> None:
    """Keep a selection no longer."""
    session.saved_selections = {
        other: ids for other, ids in session.saved_selections.items() if other != name
    }


def draw_name() -> None:
    """Draw the field that keeps the selection under a name, or its name where it has one."""
    ids = set(session.selected_ids)
    names = [name for name, saved in session.saved_selections.items() if set(saved) == ids]
    if names:
        st.caption(f"Saved as **{formats.plain(names[0])}**.")
        return
    n_saved = sum(map(len, session.saved_selections.values()))
    if n_saved + len(ids) > MAX_SAVED_ROWS:
        st.caption(
            f"Saved selections hold at most {MAX_SAVED_ROWS:,} rows together: delete one to save this one."
        )
        return
    st.text_input(
        "Save this selection",
        key=Session.selection_name.key,
        placeholder="Name to save this selection",
        max_chars=MAX_SAVED_NAME,
        on_change=save,
        label_visibility="collapsed",
    )


def _draw_saved() -> None:
    """Draw the menu of selections that have a name."""
    if not session.saved_selections:
        return
    with st.popover("Saved", icon=":material/bookmark:", key="saved_selections"):
        for position, (name, ids) in enumerate(session.saved_selections.items()):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.button(
                    f"{formats.plain(name)}: {count_of(len(ids), 'row')}",
                    key=f"select_saved_{position}",
                    on_click=state.select,
                    args=(list(ids),),
                    help="Selects these rows",
                )
                st.button(
                    "Delete",
                    key=f"forget_saved_{position}",
                    icon=":material/delete:",
                    on_click=forget,
                    args=(name,),
                    type="tertiary",
                )


# --- Charts whose marks select the rows behind ------------------------------------------------


def change(ids: Iterable[int], mode: Mode) -> None:
    """Change the selection by what was touched."""
    before, touched = session.selected_ids, list(ids)
    if mode == "replace":
        state.select([] if set(touched) == set(before) else touched)
    elif mode == "add":
        state.select([*before, *(row for row in touched if row not in set(before))])
    else:
        state.select([row for row in before if row not in set(touched)])


def draw_chart(run: Run, figure: Figure, name: str, on_touch: Callable[[Touch], None]) -> None:
    """Draw a chart that takes clicks."""
    unit = formats.unit_of(run)
    view = f"{run.opened.key} {run.settings.every_row} {unit.factor:.6g} {name}"
    live_chart(figure, name, view=view, on_touch=on_touch)


def draw_bars(run: Run, figure: Figure, name: str) -> None:
    """Draw a chart whose bars select the rows behind them."""
    frame = formats.unit_of(run).scale(run.frame)
    draw_chart(run, figure, name, lambda touch: change(rows_behind(frame, touch.keys), touch.mode))


def distribution(run: Run, *, boxes: bool = True) -> Figure:
    """Return the distribution of values, with the selection in a tone of its own."""
    unit = formats.unit_of(run)
    figure = charts.value_distribution(
        unit.scale(run.frame), theme=layout.theme(), unit=unit.label,
        selected=session.selected_ids, boxes=boxes,
    )  # fmt: skip
    # A drag takes whole bars, however low they are.
    return figure.update_layout(dragmode="select", selectdirection="h")
