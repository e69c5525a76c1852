"""What a visitor has open: table, run, selection; kept in the session and named in the address.

Tables, jobs and desks live in registries of the server, so that the address
(``?data=...&run=...&desk=...``) opens the same view after a refresh, and a refresh neither stops nor
repeats a running valuation. A desk is what a visitor has made of a run: selection and prune list.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from copy import copy
from typing import Any, Generic, TypeVar
from uuid import uuid4

import streamlit as st

from ecoval_core.tables.preparation import Prepared
from ecoval_core.workspace.jobs import Job, JobRegistry
from ecoval_core.workspace.runs import Run, Settings
from pages.shared.session import Entry, Session, fill_widgets, session

MAX_PREPARED = 24
MAX_DESKS = 500
_ON_DESK: tuple[Entry[Any], ...] = (
    Session.selected_ids, Session.picked_id, Session.prune_list, Session.prune_past, Session.prune_future,
    Session.label_decisions, Session.label_past,
)  # fmt: skip


T = TypeVar("T")


class Shelf(Generic[T]):
    """Things of which the most recently used are kept.

    Parameters
    ----------
    max_kept : int
        Things kept; the one unused for longest goes first.
    """

    def __init__(self, max_kept: int) -> None:
        self._max_kept = max_kept
        self._items: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, name: str, item: T) -> None:
        """Keep a thing under a name."""
        with self._lock:
            self._items[name] = item
            self._items.move_to_end(name)
            while len(self._items) > self._max_kept:
                self._items.popitem(last=False)

    def get(self, name: str) -> T | None:
        """Return the thing of a name, or None if it is no longer kept."""
        with self._lock:
            if name in self._items:
                self._items.move_to_end(name)
            return self._items.get(name)


@st.cache_resource(show_spinner=False)
def jobs() -> JobRegistry:
    """Registry of the background jobs of this server."""
    return JobRegistry()


@st.cache_resource(show_spinner=False)
def tables() -> Shelf[Prepared]:
    """Shelf of the prepared tables most recently opened on this server, by fingerprint."""
    return Shelf(MAX_PREPARED)


@st.cache_resource(show_spinner=False)
def desks() -> Shelf[dict[str, Any]]:
    """Shelf of the desks of the latest visitors, by a random name."""
    return Shelf(MAX_DESKS)


@st.cache_resource(show_spinner=False)
def plans() -> Shelf[Settings]:
    """Shelf of the settings that the latest valuations were started with, by the job's id."""
    return Shelf(MAX_DESKS)


def prepared() -> Prepared | None:
    """Return the table that is open, split and vectorised, or None."""
    return session.prepared


def open_prepared(new: Prepared) -> None:
    """Make a prepared table the current one; what belonged to another table is put away.

    Parameters
    ----------
    new : Prepared
        Table to work on from now on.
    """
    old = prepared()
    tables().put(new.fingerprint, new)
    session.prepared = new
    if old is None or old.fingerprint != new.fingerprint:
        Session.run_job.forget()
        clear_desk()


def clear_desk() -> None:
    """Forget selection and prune list, which belong to a run that is no longer current."""
    for entry in _ON_DESK:
        entry.forget()


def run_job() -> Job | None:
    """Return the job of the current valuation in whatever state it is, or None."""
    job_id = session.run_job
    return jobs().get(job_id) if job_id else None


def run_id() -> str | None:
    """Id of the current valuation's job, None before there is one."""
    return session.run_job


def run() -> Run | None:
    """Return the finished run at the extrinsic weight chosen above the page, or None."""
    job = run_job()
    if job is None or job.result is None:
        return None
    weight = extrinsic_weight()
    kept = session.weighted_run
    if kept is None or kept[:2] != (job.id, weight):
        kept = (job.id, weight, job.result.reweight(weight))
        session.weighted_run = kept
    return kept[2]


def extrinsic_weight() -> float:
    """Extrinsic weight in force, 0 to 1."""
    return float(session.extrinsic_weight)


def selected_ids() -> list[int]:
    """Row ids selected on the map or in a table, in no particular order."""
    return session.selected_ids


def select(ids: list[int]) -> None:
    """Replace the selection.

    Parameters
    ----------
    ids : list of int
        Row ids; empty for no selection.
    """
    session.selected_ids = ids


def picked_id() -> int | None:
    """Row id of the point whose story is shown, or None."""
    return session.picked_id


def pick(row_id: int | None) -> None:
    """Choose the point whose story is shown.

    Parameters
    ----------
    row_id : int or None
        A row id, or None for no point.
    """
    session.picked_id = row_id


def restore_from_address() -> None:
    """Open what the address names, once at the start of a session."""
    if session.restored:
        return
    session.restored = True
    fingerprint, job_id = st.query_params.get("data"), st.query_params.get("run")
    if fingerprint is None:
        return
    found = tables().get(fingerprint)
    if found is None:
        session.complaint = (
            "This address names a table that the server no longer holds. Load it again below."
        )
        return
    open_prepared(found)
    if job_id is not None and jobs().get(job_id) is not None:
        session.run_job = job_id
        laid_out = desks().get(st.query_params.get("desk", "")) or {}
        fill_widgets(laid_out, replace=True)


def write_address() -> None:
    """Name the current table, run and desk in the address, and keep the desk on the server."""
    current, job = prepared(), run_job()
    # A session has a desk of its own, so that two visitors with one address do not disturb each other.
    session.desk = desk = session.desk or uuid4().hex[:12]
    laid_out = {
        entry.key: copy(entry.__get__(session, Session)) for entry in _ON_DESK if entry.is_kept
    }
    if laid_out:
        desks().put(desk, laid_out)
    wanted = {
        "data": None if current is None else current.fingerprint,
        "run": None if job is None else job.id,
        "desk": desk if laid_out else None,
    }
    for name, value in wanted.items():
        if value is None:
            st.query_params.pop(name, None)
        elif st.query_params.get(name) != value:
            st.query_params[name] = value
