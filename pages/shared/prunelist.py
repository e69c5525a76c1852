"""The prune list of the session, with undo and redo, and the measured effect of pruning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ecoval_core.evaluation.pruning import Decision, Effect, PruneList
from ecoval_core.runs.run import Run
from ecoval_core.work import slow
from pages.shared import progress
from pages.shared.session import Entry, session

MAX_UNDO = 200


def decide(run: Run) -> Decision:
    """Decide which rows go and which a quota spares; once for each run, weight and set of decisions."""
    rules, decided = session.prune_list, session.prune_reasons
    relabelled = frozenset(row for row, kind in session.label_decisions.items() if kind == "accept")
    asked = (session.run_id, session.extrinsic_weight, rules, relabelled)
    if decided is None or decided[0] != asked:
        decided = (asked, rules.decide(run.frame["value"], run.class_labels, relabelled))
        session.prune_reasons = decided
    return decided[1]


def pruned_ids(run: Run) -> list[int]:
    """Row ids that go, lowest value first."""
    return [int(row) for row in decide(run).reasons.index]


def change(rules: PruneList, *, is_shown: bool = False) -> None:
    """Put new rules in force, to be had back by `undo`; `is_shown` where the widgets show them already."""
    if rules == session.prune_list:
        return
    past = session.prune_past
    past.append(session.prune_list)
    del past[:-MAX_UNDO]
    session.prune_future = []
    _show(rules, is_shown=is_shown)


def _show(rules: PruneList, *, is_shown: bool = False) -> None:
    session.prune_list = rules
    session.prune_widgets_are_old |= not is_shown


def change_by(*, is_shown: bool = False, **rule: Any) -> None:
    """Change one rule, for example ``share=0.1``."""
    change(replace(session.prune_list, **rule), is_shown=is_shown)


def fill_widgets(shown: dict[Entry[Any], Any]) -> None:
    """Give widgets that are new, or older than an undo, the values of the rules in force."""
    # Never in a callback: a second event of a quick visitor calls back before the page is drawn again,
    # and would find the widget gone.
    for entry, value in shown.items():
        (entry.set if session.prune_widgets_are_old else entry.fill)(value)
    session.prune_widgets_are_old = False


def clear() -> None:
    """Empty the list; can be undone."""
    change(PruneList())


def undo() -> None:
    """Go one change back."""
    if session.prune_past:
        session.prune_future.append(session.prune_list)
        _show(session.prune_past.pop())


def redo() -> None:
    """Go one change forward again."""
    if session.prune_future:
        session.prune_past.append(session.prune_list)
        _show(session.prune_future.pop())


def effect(
    run: Run, ids: list[int], relabelled: Mapping[int, Any] | None = None, slot: str = "effect"
) -> Effect | None:
    """Measure in the background what pruning or relabelling some rows does to the test scores."""
    task = slow.change_effect(run, ids, relabelled)
    found: Effect | None = progress.fetch(slot, task, "Measuring the effect")
    return found
