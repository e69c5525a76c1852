"""Rows one by one, decided on by the keyboard, beside their class and their neighbours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from ecoval_core.columns.vectors import readable
from ecoval_core.evaluation.profiles import compare_with_class
from ecoval_core.runs.run import Run
from pages.shared import formats, pictures, reviewing, rows, story
from pages.shared.session import session

N_UNUSUAL = 12


def original(run: Run) -> pd.DataFrame:
    """Return the original columns of the rows that were valued."""
    table = run.table
    return readable(table.frame.loc[run.ids, table.features])


def draw_decisions(run: Run, queue: list[int], row_id: int) -> None:
    """Draw where the visitor stands, and the buttons with their keys."""
    place, n_decided = queue.index(row_id) + 1, reviewing.count_decided(queue)
    st.progress(
        n_decided / len(queue),
        text=f"Row {place:,} of {len(queue):,} in the queue · {n_decided:,} decided",
    )
    buttons: list[tuple[str, str, str, str, bool, Callable[[], None]]] = [
        ("back", "Back", "B", ":material/arrow_back:", place > 1, partial(reviewing.go, queue, row_id, -1)),
        ("next", "Next", "N", ":material/arrow_forward:", place < len(queue),
         partial(reviewing.go, queue, row_id, 1)),
        ("keep", "Keep", "K", ":material/check:", True, partial(reviewing.decide, queue, row_id, "keep")),
        ("prune", "Prune", "P", ":material/content_cut:", True,
         partial(reviewing.decide, queue, row_id, "prune")),
        ("relabel", f"Take {story.relabel_words(run)}", "L", ":material/edit:",
         story.can_relabel(run, row_id), partial(reviewing.decide, queue, row_id, "relabel")),
        ("undo", "Undo", "U", ":material/undo:", reviewing.can_undo(), reviewing.undo),
    ]  # fmt: skip
    with st.container(horizontal=True, key="review_buttons"):
        for name, label, shortcut, icon, is_possible, act in buttons:
            st.button(
                label,
                key=f"review_{name}",
                shortcut=shortcut,
                icon=icon,
                disabled=not is_possible,
                on_click=act,
            )


def draw_row(run: Run, row_id: int) -> None:
    """Draw a row: its value and labels, beside its class, among its neighbours."""
    near, shape = story.neighbors_of(run, row_id), pictures.shape_of(run)
    left, right = st.columns([1, 1.25], gap="large")
    with left:
        decided = reviewing.decision(row_id)
        story.draw_head(run, row_id, near, f" :gray-badge[{decided}]" if decided else "")
        st.markdown(story.why(run, row_id))
    with right:
        if shape is None:
            draw_comparison(run, row_id)
        else:
            st.markdown("**Its nearest neighbours**, nearest first")
            pictures.draw(run, near, shape)
    if shape is None:
        st.markdown("**Its nearest neighbours**, nearest first")
        rows.draw(run, near, key="review_neighbors")


def draw_comparison(
    run: Run, row_id: int, n_shown: int = N_UNUSUAL, key: str = "review_comparison"
) -> None:
    """Draw the columns of a row beside what is typical of its class."""
    frame = run.frame
    if run.split.task == "classification":
        groups, of_whom = frame["label"], f"of {formats.plain(frame.loc[row_id, 'label'])}"
    else:
        groups, of_whom = frame["cluster"], "of its cluster"
    table = compare_with_class(original(run), groups, row_id)
    n_unusual = int(table["unusual"].sum())
    st.markdown(
        f"**Compared with the other rows {of_whom}**: "
        + (
            f"unusual in {n_unusual:,} of {len(table):,} columns"
            if n_unusual
            else "nothing unusual"
        )
    )
    shown = table.head(n_shown).drop(columns="distance")
    columns = {
        "value": st.column_config.TextColumn("this row"),
        "typical": st.column_config.TextColumn(
            "typical", help="The middle 90 % of the others, or their most common categories"
        ),
        "unusual": st.column_config.CheckboxColumn("unusual"),
    }
    st.dataframe(shown, key=key, hide_index=True, column_config=columns, height="auto")
    if len(table) > len(shown):
        st.caption(f"The most unusual {len(shown):,} of {len(table):,} columns.")


def draw(run: Run) -> None:
    """Draw the queue of rows."""
    queue = reviewing.queue(run)
    row_id = reviewing.current(queue)
    if row_id is None:
        st.info(
            "Nothing is selected: select rows on the map first."
            if session.review_queue == "selected"
            else "There is nothing to review here."
        )
        return
    draw_decisions(run, queue, row_id)
    draw_row(run, row_id)
    st.caption(
        "Keys: **N** next, **B** back, **K** keep, **P** prune, **L** take the suggested label, **U** undo. "
        "Decisions show in the list and on *Prune* at once."
    )
