"""The review of a run, between the session and the workspace: selection, filters, prune list, decisions."""

from __future__ import annotations

from typing import Any

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.workspace.schema import Filters, Review
from pages.shared.session import Entry, Family, Session, filter_ranges, filter_values, session

# Changes that can be taken back tomorrow; within a session there are more.
MAX_KEPT_UNDO = 50
# Picking row after row of a large table would otherwise keep the list a hundred times over.
MAX_KEPT_ROWS = 20_000
Range = tuple[float, float]
# By the name of the target: the amounts that pass.
target_ranges: Family[Range] = Family("filter_target", widget=True)
# By the key of a range: all amounts that there are.
_wholes: Family[Range] = Family("whole")
_FILTERS: tuple[Entry[Any], ...] = (
    Session.filter_labels, Session.filter_negative, Session.filter_planted, Session.filter_columns,
)  # fmt: skip
# By their names in the review.
_SCREEN: dict[str, Entry[Any]] = {
    "negative": Session.filter_negative, "planted": Session.filter_planted,
    "color": Session.map_color, "names": Session.map_names, "projection": Session.projection,
    "decomposed": Session.decomposed_by, "below": Session.explore_below,
    "label_view": Session.label_view, "label_list": Session.label_list,
    "label_threshold": Session.label_threshold, "label_undecided": Session.label_undecided,
    "card_queue": Session.review_queue, "card": Session.review_row,
}  # fmt: skip
_OF_RUN: tuple[Entry[Any], ...] = (
    Session.selected_ids, Session.saved_selections, Session.picked_id, Session.prune_list,
    Session.prune_past, Session.prune_future, Session.label_decisions, Session.label_past,
    Session.review_row, Session.review_log, Session.unvalued_settings,
)  # fmt: skip


def clear() -> None:
    """Forget selection, prune list and decisions, which belong to a run that is no longer open."""
    for entry in _OF_RUN:
        entry.forget()


def forget_filters() -> None:
    """Let every row pass again, as before another table; colour and projection stay."""
    for family in (filter_ranges, target_ranges, filter_values, _wholes):
        family.forget_all()
    for entry in _FILTERS:
        entry.forget()


# --- Ranges ---------------------------------------------------------------------------------


def note_whole(chosen: Entry[Range | None], whole: Range) -> None:
    """Note which range takes all, so that an untouched slider is no filter, also when there are more rows."""
    if chosen.is_kept and not range_of(chosen):
        chosen.set(whole)
    _wholes[chosen.name].set(whole)


def range_of(chosen: Entry[Range | None]) -> Range | None:
    """Return a range, or None if it takes all that there were when it was drawn last, or is none."""
    limits = chosen.get()
    if limits is None or tuple(limits) == _wholes[chosen.name].get():
        return None
    return float(limits[0]), float(limits[1])


def _target() -> str:
    return "" if session.weighted_run is None else str(session.weighted_run[1].table.target)


def _curve_measure() -> str | None:
    """Return the chosen score of the removal curves, None for the one that a run has by itself."""
    run = None if session.weighted_run is None else session.weighted_run[1]
    chosen = session.curve_measure
    return None if run is None or chosen == run.main_measure else chosen


# --- To the workspace and back --------------------------------------------------------------


def current() -> Review:
    """Return the review as it stands in the session."""
    columns = {
        name: range_of(filter_ranges[name]) or tuple(filter_values[name].get() or ())
        for name in session.filter_columns
    }
    filters = Filters(
        # Whatever else a class may be is not known to JSON.
        labels=tuple(x for x in session.filter_labels if isinstance(x, (str, int, float))),
        columns=columns,
        target=range_of(target_ranges[_target()]),
        curve_measure=_curve_measure(),
        **{name: entry.get() for name, entry in _SCREEN.items()},
    )
    return Review(
        selected=tuple(session.selected_ids), saved=dict(session.saved_selections),
        picked=session.picked_id,
        extrinsic_weight=float(session.extrinsic_weight), unit=session.unit, filters=filters,
        prune=session.prune_list, prune_past=_latest(session.prune_past),
        prune_future=_latest(session.prune_future), labels=dict(session.label_decisions),
        labels_past=_latest(session.label_past), next_settings=session.unvalued_settings,
    )  # fmt: skip


def _latest(steps: list[Any]) -> tuple[Any, ...]:
    """Return the latest steps, as many as are not too large."""
    latest: list[Any] = []
    n_rows = 0
    for step in reversed(steps[-MAX_KEPT_UNDO:]):
        n_rows += (
            len(step.picked) + len(step.restored) if isinstance(step, PruneList) else len(step)
        )
        if n_rows > MAX_KEPT_ROWS:
            break
        latest.append(step)
    return tuple(reversed(latest))


def show(review: Review, *, with_view: bool) -> None:
    """Put a kept review into the session; an address that opens it has its own weight and unit."""
    session.selected_ids, session.picked_id = list(review.selected), review.picked
    session.saved_selections = dict(review.saved)
    filters = review.filters
    session.filter_labels = list(filters.labels)
    session.filter_columns = list(filters.columns)
    session.curve_measure = filters.curve_measure
    for name, entry in _SCREEN.items():
        entry.set(getattr(filters, name))
    for family in (filter_ranges, filter_values, target_ranges):
        family.forget_all()
    if filters.target is not None:
        target_ranges[_target()].set(filters.target)
    for name, passing in filters.columns.items():
        if passing and isinstance(passing[0], float):
            filter_ranges[name].set(passing)
        else:
            filter_values[name].set(list(passing))
    session.prune_list = review.prune
    session.prune_past, session.prune_future = list(review.prune_past), list(review.prune_future)
    session.label_decisions = dict(review.labels)
    session.label_past = [dict(step) for step in review.labels_past]
    session.unvalued_settings = review.next_settings
    session.prune_widgets_are_old = True
    if with_view:
        session.extrinsic_weight, session.unit = review.extrinsic_weight, review.unit
