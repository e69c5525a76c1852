"""Decisions on labels that look wrong: accept the suggestion or keep the label, with undo."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ecoval_core.runs.run import Run
from ecoval_core.workspace.schema import Verdict
from pages.shared.session import session

MAX_UNDO = 200


def suspects(
    run: Run, threshold: float | None = None, *, undecided_only: bool = False
) -> pd.DataFrame:
    """Return the label issues, or every row whose label quality is below a threshold, most doubtful first."""
    frame = run.frame
    if threshold is None:
        is_doubted = frame["label_issue"].astype(bool)
    else:
        is_doubted = frame["label_quality"] < threshold
        if run.split.task == "classification":
            is_doubted &= frame["suggested_label"] != frame["label"]
    found = frame[is_doubted].sort_values("label_quality", kind="stable")
    decided = found.index.map(lambda row: session.label_decisions.get(int(row), "")).astype("str")
    found = found.assign(decision=decided)
    return found[found["decision"] == ""] if undecided_only else found


def changes_by_class(run: Run, ids: list[int]) -> list[tuple[Any, int, int, int]]:
    """Return each class with its rows and those it loses and gains if suggestions are accepted."""
    rows = run.frame.loc[ids]
    rows = rows[rows["label"] != rows["suggested_label"]]
    lost, gained = rows["label"].value_counts(), rows["suggested_label"].value_counts()
    sizes = run.frame["label"].value_counts()
    moved = lost.add(gained, fill_value=0).sort_values(ascending=False, kind="stable")
    return [
        (c, int(sizes.get(c, 0)), int(lost.get(c, 0)), int(gained.get(c, 0))) for c in moved.index
    ]


def relabelled(run: Run) -> dict[int, Any]:
    """Return the new label, or target, of every row whose suggestion was accepted."""
    accepted = [row for row, kind in session.label_decisions.items() if kind == "accept"]
    known = run.frame.index.intersection(pd.Index(accepted, dtype="int64"))
    return {int(row): label for row, label in run.frame.loc[known, "suggested_label"].items()}


def count(kind: Verdict) -> int:
    """Count the rows decided so."""
    return sum(decision == kind for decision in session.label_decisions.values())


def decide(ids: list[int], kind: Verdict | None) -> None:
    """Accept the suggestion for rows, keep their label, or take either back."""
    decisions = dict(session.label_decisions)
    for row in ids:
        decisions.pop(row, None)
        if kind is not None:
            decisions[row] = kind
    if decisions != session.label_decisions:
        _replace(decisions)


def clear() -> None:
    """Take every decision back; can be undone."""
    if session.label_decisions:
        _replace({})


def _replace(decisions: dict[int, Verdict]) -> None:
    past = session.label_past
    past.append(dict(session.label_decisions))
    del past[:-MAX_UNDO]
    session.label_decisions = decisions


def undo() -> None:
    """Go one decision back."""
    if session.label_past:
        session.label_decisions = session.label_past.pop()
