"""Rows one by one, in a queue, decided on by the keyboard, beside their class and their neighbours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import streamlit as st

from ecoval_core.evaluation.profiles import compare_with_class
from ecoval_core.runs.run import Run
from pages.shared import formats, labelling, layout, pictures, prunelist, rows, story
from pages.shared.session import Session, session

N_UNUSUAL = 12
QUEUES = {
    "labels": "Likely wrong labels",
    "values": "Lowest values",
    "selected": "Selected rows",
}
MAX_QUEUE = 2_000


def _queue(run: Run) -> list[int]:
    """Row ids of the chosen queue, in their order."""
    frame = run.frame
    kind = session.review_queue
    if kind == "labels":
        found = labelling.suspects(run).index
    else:
        found = frame["value"].sort_values(kind="stable").index
        if kind == "selected":
            found = found[np.isin(found, session.selected_ids)]
    return [int(row) for row in found[:MAX_QUEUE]]


def _current(rows: list[int]) -> int | None:
    """Return the row that is under review: the one where the visitor stands, or the first of the queue."""
    if session.review_row in rows:
        return session.review_row
    undecided = [row for row in rows if decision(row) == ""]
    return next(iter(undecided or rows), None)


def decision(row_id: int) -> str:
    """Return what was decided on a row: "prune", "relabel", "keep" or nothing."""
    verdict = session.label_decisions.get(row_id)
    if verdict == "accept":
        return "relabel"
    rules = session.prune_list
    if row_id in rules.picked:
        return "prune"
    return "keep" if row_id in rules.restored or verdict == "keep" else ""


def go(rows: list[int], row_id: int, steps: int) -> None:
    """Go some steps forward or back from a row."""
    place = rows.index(row_id) + steps
    session.review_row = rows[min(max(place, 0), len(rows) - 1)]


def decide(rows: list[int], row_id: int, verdict: str) -> None:
    """Decide on a row and go on to the next that nothing was decided on."""
    rules, before = session.prune_list, _depths()
    if verdict == "prune":
        prunelist.change(rules.pick([row_id]))
    elif verdict == "keep":
        prunelist.change(rules.restore([row_id]))
    on_label: dict[str, labelling.Verdict] = {"relabel": "accept", "keep": "keep"}
    labelling.decide([row_id], on_label.get(verdict))
    session.review_log.append((row_id, before, _depths()))
    later = rows[rows.index(row_id) + 1 :] if row_id in rows else rows
    undecided = [row for row in later if decision(row) == ""]
    session.review_row = next(iter(undecided or later), row_id)


def undo() -> None:
    """Take the last decision of this session's review back and return to its row."""
    if not can_undo():
        return
    row_id, before, after = session.review_log.pop()
    if before[0] != after[0]:
        prunelist.undo()
    if before[1] != after[1]:
        labelling.undo()
    session.review_row = row_id


def can_undo() -> bool:
    """Whether the last change of the prune list and of the labels was a decision of the review."""
    return bool(session.review_log) and session.review_log[-1][2] == _depths()


def _depths() -> tuple[int, int]:
    return len(session.prune_past), len(session.label_past)


def count_decided(rows: list[int]) -> int:
    """Count the rows of a queue that something was decided on."""
    return sum(decision(row) != "" for row in rows)


def draw_decisions(run: Run, queue: list[int], row_id: int) -> None:
    """Draw where the visitor stands, and the buttons with their keys."""
    place, n_decided = queue.index(row_id) + 1, count_decided(queue)
    st.progress(
        n_decided / len(queue),
        text=f"Row {place:,} of {len(queue):,} in the queue · {n_decided:,} decided",
    )
    buttons: list[tuple[str, str, str, str, bool, Callable[[], None]]] = [
        ("back", "Back", "B", ":material/arrow_back:", place > 1, partial(go, queue, row_id, -1)),
        ("next", "Next", "N", ":material/arrow_forward:", place < len(queue),
         partial(go, queue, row_id, 1)),
        ("keep", "Keep", "K", ":material/check:", True, partial(decide, queue, row_id, "keep")),
        ("prune", "Prune", "P", ":material/content_cut:", True,
         partial(decide, queue, row_id, "prune")),
        ("relabel", f"Take {story.relabel_words(run)}", "L", ":material/edit:",
         story.can_relabel(run, row_id), partial(decide, queue, row_id, "relabel")),
        ("undo", "Undo", "U", ":material/undo:", can_undo(), undo),
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
        decided = decision(row_id)
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


def draw_comparison(run: Run, row_id: int) -> None:
    """Draw the columns of a row beside what is typical of its class."""
    frame = run.frame
    if run.split.task == "classification":
        groups, of_whom = frame["label"], f"of {formats.plain(frame.loc[row_id, 'label'])}"
    else:
        groups, of_whom = frame["cluster"], "of its cluster"
    table = compare_with_class(rows.original(run), groups, row_id)
    n_unusual = int(table["unusual"].sum())
    st.markdown(
        f"**Compared with the other rows {of_whom}**: "
        + (
            f"unusual in {n_unusual:,} of {len(table):,} columns"
            if n_unusual
            else "nothing unusual"
        )
    )
    shown = table.head(N_UNUSUAL).drop(columns="distance")
    columns = {
        "value": st.column_config.TextColumn("this row"),
        "typical": st.column_config.TextColumn(
            "typical", help="The middle 90 % of the others, or their most common categories"
        ),
        "unusual": st.column_config.CheckboxColumn("unusual"),
    }
    st.dataframe(
        shown, key="review_comparison", hide_index=True, column_config=columns, height="auto"
    )
    if len(table) > len(shown):
        st.caption(f"The most unusual {len(shown):,} of {len(table):,} columns.")


def draw(run: Run) -> None:
    """Draw the choice of a queue, and its row."""
    layout.choose("Queue", QUEUES, Session.review_queue, on_change=Session.review_row.forget)
    queue = _queue(run)
    row_id = _current(queue)
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
