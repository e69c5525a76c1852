"""The queue of rows to review: its order, where the visitor stands, and the decisions."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ecoval_core.runs.run import Run
from pages.shared import labelling, prunelist
from pages.shared.session import session

Queue = Literal["labels", "values", "selected"]
QUEUES: dict[Queue, str] = {
    "labels": "Likely wrong labels",
    "values": "Lowest values",
    "selected": "Selected rows",
}
MAX_QUEUE = 2_000


def queue(run: Run) -> list[int]:
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


def current(rows: list[int]) -> int | None:
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
    else:
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
