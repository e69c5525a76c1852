"""What a visitor has open: table, run, selection; kept in the session and named in the address.

Tables and jobs live in registries of the server, so that the address (``?data=...&run=...``) opens
the same view after a refresh, and a refresh neither stops nor repeats a running valuation.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import streamlit as st

from ecoval_core.jobs import Job, JobRegistry
from ecoval_core.preparation import Prepared
from ecoval_core.runs import Run

DEFAULT_WEIGHT = 0.5
MAX_PREPARED = 24


class Shelf:
    """The prepared tables most recently opened on this server, by fingerprint.

    Parameters
    ----------
    max_kept : int
        Tables kept; the one unused for longest goes first.
    """

    def __init__(self, max_kept: int) -> None:
        self._max_kept = max_kept
        self._items: OrderedDict[str, Prepared] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, prepared: Prepared) -> None:
        """Keep a prepared table under its fingerprint."""
        with self._lock:
            self._items[prepared.fingerprint] = prepared
            self._items.move_to_end(prepared.fingerprint)
            while len(self._items) > self._max_kept:
                self._items.popitem(last=False)

    def get(self, fingerprint: str) -> Prepared | None:
        """Return the table of a fingerprint, or None if it is no longer kept."""
        with self._lock:
            if fingerprint in self._items:
                self._items.move_to_end(fingerprint)
            return self._items.get(fingerprint)


@st.cache_resource(show_spinner=False)
def jobs() -> JobRegistry:
    """Registry of the background jobs of this server."""
    return JobRegistry()


@st.cache_resource(show_spinner=False)
def shelf() -> Shelf:
    """Shelf of the prepared tables of this server."""
    return Shelf(MAX_PREPARED)


def prepared() -> Prepared | None:
    """Return the table that is open, split and vectorised, or None."""
    return st.session_state.get("prepared")


def open_prepared(new: Prepared) -> None:
    """Make a prepared table the current one; what belonged to another table is put away.

    Parameters
    ----------
    new : Prepared
        Table to work on from now on.
    """
    old = prepared()
    shelf().put(new)
    st.session_state["prepared"] = new
    if old is None or old.fingerprint != new.fingerprint:
        for key in (
            "run_job",
            "selected_ids",
            "picked_id",
            "prune_list",
            "prune_past",
            "prune_future",
        ):
            st.session_state.pop(key, None)


def run_job() -> Job | None:
    """Return the job of the current valuation in whatever state it is, or None."""
    job_id = st.session_state.get("run_job")
    return jobs().get(job_id) if job_id else None


def run() -> Run | None:
    """Return the finished run at the extrinsic weight chosen above the page, or None."""
    job = run_job()
    if job is None or job.result is None:
        return None
    weight = extrinsic_weight()
    kept: tuple[str, float, Run] | None = st.session_state.get("weighted_run")
    if kept is None or kept[:2] != (job.id, weight):
        kept = (job.id, weight, job.result.reweight(weight))
        st.session_state["weighted_run"] = kept
    return kept[2]


def extrinsic_weight() -> float:
    """Extrinsic weight in force, 0 to 1."""
    return float(st.session_state.get("extrinsic_weight", DEFAULT_WEIGHT))


def selected_ids() -> list[int]:
    """Row ids selected on the map or in a table, in no particular order."""
    return st.session_state.get("selected_ids", [])


def select(ids: list[int]) -> None:
    """Replace the selection.

    Parameters
    ----------
    ids : list of int
        Row ids; empty for no selection.
    """
    st.session_state["selected_ids"] = ids


def picked_id() -> int | None:
    """Row id of the point whose story is told, or None."""
    return st.session_state.get("picked_id")


def pick(row_id: int | None) -> None:
    """Choose the point whose story is told.

    Parameters
    ----------
    row_id : int or None
        A row id, or None for no point.
    """
    st.session_state["picked_id"] = row_id


def restore_from_address() -> None:
    """Open what the address names, once at the start of a session."""
    if "restored" in st.session_state:
        return
    st.session_state["restored"] = True
    fingerprint, job_id = st.query_params.get("data"), st.query_params.get("run")
    if fingerprint is None:
        return
    found = shelf().get(fingerprint)
    if found is None:
        st.session_state["complaint"] = (
            "This address names a table that the server no longer holds. Load it again below."
        )
        return
    open_prepared(found)
    if job_id is not None and jobs().get(job_id) is not None:
        st.session_state["run_job"] = job_id


def write_address() -> None:
    """Name the current table and run in the address."""
    current, job = prepared(), run_job()
    wanted = {
        "data": None if current is None else current.fingerprint,
        "run": None if job is None else job.id,
    }
    for name, value in wanted.items():
        if value is None:
            st.query_params.pop(name, None)
        elif st.query_params.get(name) != value:
            st.query_params[name] = value
