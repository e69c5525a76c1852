"""What is kept for a visitor, under names that a typing error cannot miss.

Every entry that is read somewhere is declared here once, with its type. Pages and their helpers use
``session.unit`` for the value and ``Session.unit.key`` for the key of the widget that shows it; no other
module touches ``st.session_state``.

A visitor's next click ends a script, or a callback, wherever that uses ``st.session_state``. It therefore
holds the values of widgets and one dictionary with everything else, which is read and changed without it.
What a widget is to show waits there too, until the widget is drawn and asks for its key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload
from weakref import WeakKeyDictionary

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.runs.opened import Opened
from ecoval_core.runs.run import Run
from ecoval_core.tables import Fix, Reading
from ecoval_core.valuation.record import DEFAULT_EXTRINSIC_WEIGHT
from ecoval_core.valuation.scoring import MAX_VAL_SAMPLES
from ecoval_core.work.jobs import Job
from ecoval_core.workspace.schema import (
    DEFAULT_UNIT,
    Below,
    Decomposed,
    Filters,
    Review,
    Settings,
    UnitKind,
    Verdict,
)

T = TypeVar("T")


_OWN, _WAITING, _NOTHING = "ecoval", "waiting", object()
# Of each script runner, so that the state is asked once.
_own_by_state: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


def _own() -> dict[str, Any]:
    """Return what is kept beside the values of widgets."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return st.session_state.setdefault(_OWN, {})  # type: ignore[no-any-return]
    state = context.session_state
    if state not in _own_by_state:
        if _OWN not in state:
            state[_OWN] = {}
        _own_by_state[state] = state[_OWN]
    return _own_by_state[state]


@dataclass(frozen=True)
class Refused:
    """A file that was read, but could not be opened with the target and columns guessed for it."""

    name: str
    frame: str
    columns: list[str]
    target: str
    suggested: list[Fix]
    reading: Reading


class Entry(Generic[T]):
    """One thing kept for the visitor: an attribute of :class:`Session`, which names it, or of a family."""

    def __init__(
        self, default: T = None, *, make: Callable[[], T] | None = None, widget: bool = False, name: str = "",  # type: ignore[assignment]
    ) -> None:  # fmt: skip
        self.name = name
        self._default, self._make, self._is_widget = default, make, widget

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Entry[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Entry[T] | T:
        return self if instance is None else self.get()

    def __set__(self, instance: object, value: T) -> None:
        self.set(value)

    def _read(self) -> Any:
        """Return what is kept, or :data:`_NOTHING`."""
        own = _own()
        if not self._is_widget:
            return own.get(self.name, _NOTHING)
        if self.name in (waiting := own.setdefault(_WAITING, {})):
            return waiting[self.name]
        return st.session_state.get(self.name, _NOTHING)

    def get(self) -> T:
        """Return what is kept, or the default."""
        kept = self._read()
        if kept is _NOTHING:
            if self._make is None:
                return self._default
            self.set(kept := self._make())
        return kept  # type: ignore[no-any-return]

    def set(self, value: T) -> None:
        """Keep a value; a widget shows it when it is drawn next."""
        (_own().setdefault(_WAITING, {}) if self._is_widget else _own())[self.name] = value

    def fill(self, value: T) -> None:
        """Keep a value where none is kept."""
        if not self.is_kept:
            self.set(value)

    def forget(self) -> None:
        """Keep nothing any longer."""
        if self._is_widget:
            self.set(_NOTHING)  # type: ignore[arg-type]
        else:
            _own().pop(self.name, None)

    def take(self) -> T:
        """Return what is kept and keep it no longer."""
        taken = self.get()
        self.forget()
        return taken

    def accept(self) -> None:
        """Take what the visitor has chosen in the widget since, in place of what waits for it."""
        _own().get(_WAITING, {}).pop(self.name, None)

    @property
    def is_kept(self) -> bool:
        """Whether anything is kept."""
        return self._read() is not _NOTHING

    @property
    def key(self) -> str:
        """Key of the widget that is about to be drawn, which then shows what waits for it."""
        waiting = _own().get(_WAITING, {})
        if self.name in waiting:
            value = waiting.pop(self.name)
            if value is _NOTHING:
                st.session_state.pop(self.name, None)
            # A value that is set, though it is the present one, undoes what is typed meanwhile.
            elif st.session_state.get(self.name, _NOTHING) != value:
                st.session_state[self.name] = value
        return self.name

    @property
    def lasting(self) -> dict[str, Any]:
        """Options of a widget that is about to be drawn, begins with the default and outlasts the page."""
        if self._default is not None:
            self.fill(self._default)
        return {"key": self.key, "persist_state": "session"}


class Family(Generic[T]):
    """Entries of one kind that differ by a part of their name, such as the model chosen for a task."""

    def __init__(self, prefix: str, *, widget: bool = False) -> None:
        self._prefix, self._is_widget = f"{prefix}_", widget

    def __getitem__(self, name: str) -> Entry[T | None]:
        return Entry(name=f"{self._prefix}{name}", widget=self._is_widget)

    def forget_all(self) -> None:
        """Keep nothing for any member any longer."""
        own = _own()
        kept = [*st.session_state, *own.get(_WAITING, {})] if self._is_widget else [*own]
        for name in {str(name) for name in kept if str(name).startswith(self._prefix)}:
            Entry(name=name, widget=self._is_widget).forget()


class Session:
    """Everything kept for a visitor."""

    # Table
    opened = Entry[Opened | None]()
    opening = Entry[Job | None]()
    complaint = Entry[str]("")
    refused = Entry[Refused | None]()
    refused_target = Entry[str]("", widget=True)
    refused_excluded = Entry[list[str]]([], widget=True)
    upload = Entry[Any](widget=True)
    # Run
    run_id = Entry[str | None]()
    next_run = Entry[str | None]()
    unvalued = Entry[dict[str, str]](make=dict)
    unvalued_settings = Entry[Settings | None]()
    earlier_run = Entry[str | None]()
    deleted_run = Entry[str | None]()
    deleted_open = Entry[str | None]()
    imported_run = Entry[str | None]()
    importing = Entry[Job | None]()
    run_complaint = Entry[str]("")
    import_complaint = Entry[str]("")
    run_upload = Entry[Any](widget=True)
    left_job = Entry[str | None]()
    weighted_run = Entry[tuple[tuple[str, float, str], Run] | None]()
    lead_to_map = Entry[bool](False)
    start_at_once = Entry[bool](False)
    granularity = Entry[int | None](widget=True)
    granularity_of = Entry[tuple[str, int] | None]()
    value_seed = Entry[int](0, widget=True)
    max_val_samples = Entry[int](MAX_VAL_SAMPLES, widget=True)
    every_row = Entry[bool](False, widget=True)
    balanced_classes = Entry[bool](False, widget=True)
    balance_of = Entry[str]()
    curve_measure = Entry[str | None](widget=True)
    # Selection
    selected_ids = Entry[list[int]]([])
    saved_selections = Entry[dict[str, tuple[int, ...]]](make=dict)
    selection_name = Entry[str]("", widget=True)
    picked_id = Entry[int | None]()
    filter_labels = Entry[list[Any]]([], widget=True)
    filter_negative = Entry[bool](False, widget=True)
    filter_planted = Entry[bool](False, widget=True)
    filter_columns = Entry[list[str]]([], widget=True)
    search_rows = Entry[str]("", widget=True)
    search_missed = Entry[str]("")
    go_to_prune = Entry[bool](False)
    # Explore
    decomposed_by = Entry[Decomposed](Filters().decomposed, widget=True)
    explore_below = Entry[Below](Filters().below, widget=True)
    # Map
    projection = Entry[str](Filters().projection, widget=True)
    map_color = Entry[str](Filters().color, widget=True)
    map_names = Entry[bool](Filters().names, widget=True)
    # Prune list
    prune_list = Entry[PruneList](PruneList())
    prune_past = Entry[list[PruneList]](make=list)
    prune_future = Entry[list[PruneList]](make=list)
    prune_reasons = Entry[tuple[Any, Any] | None]()
    prune_widgets_are_old = Entry[bool](False)
    prune_share = Entry[float | None](widget=True)
    prune_quota = Entry[int | None](widget=True)
    # Labels
    label_decisions = Entry[dict[int, Verdict]](make=dict)
    label_past = Entry[list[dict[int, Verdict]]](make=list)
    label_view = Entry[str]("list", widget=True)
    label_list = Entry[str]("issues", widget=True)
    label_threshold = Entry[float](0.5, widget=True)
    label_undecided = Entry[bool](False, widget=True)
    prune_by_threshold = Entry[bool | None](widget=True)
    # Compare
    compare_with = Entry[str]("", widget=True)
    compare_by = Entry[str]("ranks", widget=True)
    compare_balanced = Entry[bool](False, widget=True)
    # New data
    new_upload = Entry[Any](widget=True)
    new_reading = Entry[Job | None]()
    new_file = Entry[tuple[str, str] | None]()
    new_complaint = Entry[str]("")
    # Review
    review_queue = Entry[str]("labels", widget=True)
    review_row = Entry[int | None]()
    review_log = Entry[list[tuple[int, tuple[int, int], tuple[int, int]]]](make=list)
    # Everywhere
    unit = Entry[UnitKind](DEFAULT_UNIT, widget=True)
    extrinsic_weight = Entry[float](DEFAULT_EXTRINSIC_WEIGHT, widget=True)
    visitor = Entry[str]("")
    restored = Entry[bool](False)
    lost = Entry[tuple[str, str] | None]()
    review = Entry[str]("")
    review_is_own = Entry[bool](False)
    review_seen = Entry[float](0.0)
    review_written = Entry[Review | None]()


session = Session()
data_choices: Family[Any] = Family("data", widget=True)
model_choices: Family[str] = Family("model", widget=True)
parameter_choices: Family[float | int | None] = Family("parameter", widget=True)
scoring_choices: Family[str] = Family("scoring", widget=True)
jobs: Family[str] = Family("job")
run_notes: Family[str] = Family("run", widget=True)
filter_ranges: Family[tuple[float, float]] = Family("filter_range", widget=True)
filter_values: Family[list[str]] = Family("filter_values", widget=True)
prune_thresholds: Family[float] = Family("prune_threshold", widget=True)


def selected_points(key: str) -> list[dict[str, Any]]:
    """Return the points selected on a chart."""
    points: list[dict[str, Any]] = st.session_state[key]["selection"]["points"]
    return points


def selected_positions(key: str) -> list[int]:
    """Return the positions of the rows marked in a table."""
    positions: list[int] = st.session_state[key]["selection"]["rows"]
    return positions
