"""What Streamlit keeps for a visitor, under names that a typing error cannot miss.

Every entry of ``st.session_state`` that is read somewhere is declared here once, with its type. Pages
and their helpers use ``session.selected_ids`` for the value and ``Session.selected_ids.key`` for the key
of the widget that sets it; no other module touches ``st.session_state``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.tables import Fix
from ecoval_core.valuation.record import DEFAULT_EXTRINSIC_WEIGHT
from ecoval_core.workspace.jobs import Job
from ecoval_core.workspace.runs import Opened, Run
from ecoval_core.workspace.schema import Filters, Review, UnitKind, Verdict

T = TypeVar("T")


def _state() -> Any:
    """Return what Streamlit keeps for the session, without its points of interruption.

    Where ``st.session_state`` is used, whatever the visitor did in the meantime ends the script, or a
    callback, at that line: half of what belongs together would be done, and the rest never.
    """
    context = get_script_run_ctx(suppress_warning=True)
    return st.session_state if context is None else context.session_state._state


def _kept(key: str, default: Any) -> Any:
    state = _state()
    # It has no method "get".
    if key in state:
        return state[key]
    return default


@dataclass(frozen=True)
class Refused:
    """A file that was read, but could not be opened with the target and columns guessed for it.

    `frame` is the digest of its cells, `suggested` the fixes that were not made.
    """

    name: str
    frame: str
    columns: list[str]
    target: str
    suggested: list[Fix]


class Entry(Generic[T]):
    """One thing kept for the visitor; declared on :class:`Session`, whose attribute names it.

    Parameters
    ----------
    default : object
        Returned where nothing is kept.
    make : callable or None, default=None
        Makes what is kept from then on where nothing is; for things that are changed in place.
    """

    def __init__(self, default: T = None, *, make: Callable[[], T] | None = None) -> None:  # type: ignore[assignment]
        self._default, self._make = default, make
        self.key = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = name

    @overload
    def __get__(self, instance: None, owner: type) -> Entry[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Entry[T] | T:
        if instance is None:
            return self
        if self._make is not None and not self.is_kept:
            _state()[self.key] = self._make()
        kept: T = _kept(self.key, self._default)
        return kept

    def __set__(self, instance: object, value: T) -> None:
        _state()[self.key] = value

    @property
    def is_kept(self) -> bool:
        """Whether anything is kept."""
        return self.key in _state()

    def forget(self) -> None:
        """Keep nothing any longer."""
        if self.is_kept:
            del _state()[self.key]

    def take(self) -> T:
        """Return what is kept and keep it no longer."""
        taken: T = _kept(self.key, self._default)
        self.forget()
        return taken


class Family(Generic[T]):
    """Entries of one kind that differ by a part of their name, such as the model chosen for a task.

    Parameters
    ----------
    prefix : str
        What their keys begin with.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def key(self, name: str) -> str:
        """Key of a member."""
        return f"{self._prefix}_{name}"

    def get(self, name: str) -> T | None:
        """Return what is kept for a member, or None."""
        kept: T | None = _kept(self.key(name), None)
        return kept

    def set(self, name: str, value: T) -> None:
        """Keep a value for a member."""
        _state()[self.key(name)] = value

    def fill(self, name: str, value: T) -> None:
        """Keep a value for a member that has none."""
        if self.key(name) not in _state():
            self.set(name, value)

    def forget(self, name: str) -> None:
        """Keep nothing for a member any longer."""
        if self.key(name) in _state():
            del _state()[self.key(name)]

    def forget_all(self) -> None:
        """Keep nothing for any member any longer."""
        context = get_script_run_ctx(suppress_warning=True)
        kept = st.session_state if context is None else _state().filtered_state
        for key in [key for key in kept if str(key).startswith(f"{self._prefix}_")]:
            del _state()[key]


class Session:
    """Everything kept for a visitor."""

    # Table
    opened = Entry[Opened | None]()
    opening = Entry[Job | None]()
    complaint = Entry[str]("")
    refused = Entry[Refused | None]()
    refused_target = Entry[str]("")
    refused_excluded = Entry[list[str]]([])
    upload = Entry[Any]()
    # Run
    run_id = Entry[str | None]()
    earlier_run = Entry[str | None]()
    deleted_run = Entry[str | None]()
    deleted_open = Entry[str | None]()
    imported_run = Entry[str | None]()
    importing = Entry[Job | None]()
    run_complaint = Entry[str]("")
    import_complaint = Entry[str]("")
    run_upload = Entry[Any]()
    left_job = Entry[str | None]()
    weighted_run = Entry[tuple[tuple[str, float, str], Run] | None]()
    lead_to_map = Entry[bool](False)
    start_at_once = Entry[bool](False)
    granularity = Entry[int | None]()
    granularity_of = Entry[tuple[str, int] | None]()
    value_seed = Entry[int](0)
    every_row = Entry[bool](False)
    balanced_classes = Entry[bool](False)
    balance_of = Entry[str]()
    curve_measure = Entry[str | None]()
    # Selection
    selected_ids = Entry[list[int]]([])
    picked_id = Entry[int | None]()
    filter_labels = Entry[list[Any]]([])
    filter_negative = Entry[bool](False)
    filter_planted = Entry[bool](False)
    filter_column = Entry[str]("")
    search_rows = Entry[str]("")
    search_missed = Entry[str]("")
    go_to_prune = Entry[bool](False)
    # Map
    projection = Entry[str](Filters().projection)
    map_color = Entry[str](Filters().color)
    # Prune list
    prune_list = Entry[PruneList](PruneList())
    prune_past = Entry[list[PruneList]](make=list)
    prune_future = Entry[list[PruneList]](make=list)
    prune_reasons = Entry[tuple[Any, Any] | None]()
    prune_widgets_are_old = Entry[bool](False)
    prune_share = Entry[float | None]()
    prune_quota = Entry[int | None]()
    # Labels
    label_decisions = Entry[dict[int, Verdict]](make=dict)
    label_past = Entry[list[dict[int, Verdict]]](make=list)
    label_threshold = Entry[float](0.5)
    label_undecided = Entry[bool](False)
    prune_by_threshold = Entry[bool | None]()
    # Compare
    compare_with = Entry[str]("")
    compare_by = Entry[str]("ranks")
    compare_balanced = Entry[bool](False)
    # New data
    new_upload = Entry[Any]()
    new_reading = Entry[Job | None]()
    new_file = Entry[tuple[str, str] | None]()
    new_complaint = Entry[str]("")
    # Review
    review_queue = Entry[Any]("values")
    review_row = Entry[int | None]()
    review_log = Entry[list[tuple[int, tuple[int, int], tuple[int, int]]]](make=list)
    review_cluster = Entry[int | None]()
    # Everywhere
    unit = Entry[UnitKind]("share")
    extrinsic_weight = Entry[float](DEFAULT_EXTRINSIC_WEIGHT)
    visitor = Entry[str]("")
    restored = Entry[bool](False)
    view_to_show = Entry[tuple[float, UnitKind] | None]()
    review = Entry[str]("")
    review_is_own = Entry[bool](False)
    review_written = Entry[Review | None]()


session = Session()
data_choices: Family[Any] = Family("data")
model_choices: Family[str] = Family("model")
scoring_choices: Family[str] = Family("scoring")
jobs: Family[str] = Family("job")
run_notes: Family[str] = Family("run")
filter_ranges: Family[tuple[float, float]] = Family("filter_range")
filter_values: Family[list[str]] = Family("filter_values")
prune_thresholds: Family[float] = Family("prune_threshold")


def selected_points(key: str) -> list[dict[str, Any]]:
    """Return the points selected on a chart.

    Parameters
    ----------
    key : str
        Key of the chart.

    Returns
    -------
    list of dict
        As :func:`streamlit.plotly_chart` reports them.
    """
    points: list[dict[str, Any]] = _state()[key]["selection"]["points"]
    return points


def selected_positions(key: str) -> list[int]:
    """Return the positions of the rows marked in a table.

    Parameters
    ----------
    key : str
        Key of the table.

    Returns
    -------
    list of int
        Positions in the frame that was drawn.
    """
    positions: list[int] = _state()[key]["selection"]["rows"]
    return positions


def fill_widgets(shown: dict[str, Any], *, replace: bool) -> None:
    """Give widgets that are new, or all of them, a value before they are drawn.

    Parameters
    ----------
    shown : dict of str to object
        Value by key of the widget.
    replace : bool
        Whether a value that is kept already is replaced.
    """
    for key, value in shown.items():
        if replace or key not in _state():
            _state()[key] = value
