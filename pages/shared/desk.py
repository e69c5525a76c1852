"""The desk of a run: selection, filters, prune list, decisions on labels; how the workspace keeps it."""

from __future__ import annotations

from typing import Any

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.workspace.history import Desk, rules_from_json, rules_to_json
from pages.shared import viewstate
from pages.shared.session import Entry, Session, session

# Changes that can be taken back tomorrow; within a session there are more.
MAX_KEPT_UNDO = 50
# Picking row after row of a large table would otherwise keep the list a hundred times over.
MAX_KEPT_ROWS = 20_000
_ON_DESK: tuple[Entry[Any], ...] = (
    Session.selected_ids, Session.picked_id, Session.prune_list, Session.prune_past, Session.prune_future,
    Session.label_decisions, Session.label_past,
)  # fmt: skip


def clear() -> None:
    """Forget selection, prune list and decisions, which belong to a run that is no longer open."""
    for entry in (*_ON_DESK, Session.review_row, Session.review_log, Session.review_cluster):
        entry.forget()


def _size(rules: PruneList) -> int:
    return len(rules.picked) + len(rules.restored)


def _rules(steps: list[PruneList]) -> list[dict[str, Any]]:
    """Return the latest steps as JSON takes them, as many as are not too large."""
    kept: list[PruneList] = []
    n_rows = 0
    for rules in reversed(steps[-MAX_KEPT_UNDO:]):
        n_rows += _size(rules)
        if n_rows > MAX_KEPT_ROWS:
            break
        kept.append(rules)
    return [rules_to_json(rules) for rules in reversed(kept)]


def _labels(decisions: dict[int, str]) -> dict[str, str]:
    return {str(row): verdict for row, verdict in decisions.items()}


def _label_steps(steps: list[dict[int, str]]) -> list[dict[str, str]]:
    kept: list[dict[int, str]] = []
    n_rows = 0
    for decisions in reversed(steps[-MAX_KEPT_UNDO:]):
        n_rows += len(decisions)
        if n_rows > MAX_KEPT_ROWS:
            break
        kept.append(decisions)
    return [_labels(decisions) for decisions in reversed(kept)]


def contents(run: str) -> dict[str, Any]:
    """Return what is on the desk, as JSON takes it.

    Parameters
    ----------
    run : str
        Id of the run.

    Returns
    -------
    dict
        "run", "selection" and "decisions".
    """
    return {
        "run": run,
        "selection": {
            "selected_ids": list(session.selected_ids),
            "picked_id": session.picked_id,
            "view": {"extrinsic_weight": float(session.extrinsic_weight), "unit": session.unit},
            "filters": viewstate.contents(),
        },
        "decisions": {
            "prune": {
                "present": rules_to_json(session.prune_list),
                "past": _rules(session.prune_past),
                "future": _rules(session.prune_future),
            },
            "labels": {
                "present": _labels(session.label_decisions),
                "past": _label_steps(session.label_past),
                "future": [],
            },
        },
    }


def of(run: str, visitor: str) -> Desk:
    """Return the desk as the workspace keeps it.

    Parameters
    ----------
    run : str
        Id of the run.
    visitor : str
        Whose it is.

    Returns
    -------
    Desk
        The desk.
    """
    now = contents(run)
    return Desk(run, visitor, now["selection"], now["decisions"])


def lay_out(kept: Desk) -> None:
    """Put what was kept on the desk.

    Parameters
    ----------
    kept : Desk
        What was kept.
    """
    session.selected_ids = [int(row) for row in kept.selection.get("selected_ids", [])]
    picked = kept.selection.get("picked_id")
    session.picked_id = None if picked is None else int(picked)
    # A desk of an earlier version says nothing of filters.
    if (filters := kept.selection.get("filters")) is not None:
        viewstate.lay_out(filters)
    if (prune := kept.decisions.get("prune")) is not None:
        session.prune_list = rules_from_json(prune["present"])
        session.prune_past = [rules_from_json(rules) for rules in prune["past"]]
        session.prune_future = [rules_from_json(rules) for rules in prune["future"]]
    if (labels := kept.decisions.get("labels")) is not None:
        session.label_decisions = _decisions(labels["present"])
        session.label_past = [_decisions(decisions) for decisions in labels["past"]]
    session.prune_widgets_are_old = True


def lay_out_view(kept: Desk) -> None:
    """Have extrinsic weight and unit shown as they were; where an address opens the desk, it has its own."""
    session.view_to_show = kept.selection.get("view")


def show_view() -> None:
    """Give the widgets above the page what a desk laid out a moment ago says; call before they are drawn."""
    view = Session.view_to_show.take()
    if view:
        session.extrinsic_weight = float(view["extrinsic_weight"])
        session.unit = view["unit"]


def _decisions(kept: dict[str, str]) -> dict[int, str]:
    return {int(row): verdict for row, verdict in kept.items()}
