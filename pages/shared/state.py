"""What a visitor has open: table, run, selection; kept in the session and named in the address.

Tables, jobs and desks live in registries of the server, so that the address
(``?data=...&run=...&desk=...``) opens the same view after a refresh, and a refresh neither stops nor
repeats a running valuation. A desk is what a visitor has made of a run: selection and prune list.
"""

from __future__ import annotations

from copy import copy
from typing import Any
from uuid import uuid4

import streamlit as st

from ecoval_core.tables.preparation import Prepared
from ecoval_core.valuation.propagation import DEFAULT_EXTRINSIC_WEIGHT
from ecoval_core.workspace.jobs import Job, JobRegistry
from ecoval_core.workspace.runs import Run, Settings
from pages.shared.shelf import Shelf

MAX_PREPARED = 24
MAX_DESKS = 500
_ON_DESK = ("selected_ids", "picked_id", "prune_list", "prune_past", "prune_future")


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
    return st.session_state.get("prepared")


def open_prepared(new: Prepared) -> None:
    """Make a prepared table the current one; what belonged to another table is put away.

    Parameters
    ----------
    new : Prepared
        Table to work on from now on.
    """
    old = prepared()
    tables().put(new.fingerprint, new)
    st.session_state["prepared"] = new
    if old is None or old.fingerprint != new.fingerprint:
        st.session_state.pop("run_job", None)
        clear_desk()


def clear_desk() -> None:
    """Forget selection and prune list, which belong to a run that is no longer current."""
    for key in _ON_DESK:
        st.session_state.pop(key, None)


def run_job() -> Job | None:
    """Return the job of the current valuation in whatever state it is, or None."""
    job_id = st.session_state.get("run_job")
    return jobs().get(job_id) if job_id else None


def run_id() -> str | None:
    """Id of the current valuation's job, None before there is one."""
    return st.session_state.get("run_job")


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
    return float(st.session_state.get("extrinsic_weight", DEFAULT_EXTRINSIC_WEIGHT))


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
    found = tables().get(fingerprint)
    if found is None:
        st.session_state["complaint"] = (
            "This address names a table that the server no longer holds. Load it again below."
        )
        return
    open_prepared(found)
    if job_id is not None and jobs().get(job_id) is not None:
        st.session_state["run_job"] = job_id
        st.session_state.update(desks().get(st.query_params.get("desk", "")) or {})


def write_address() -> None:
    """Name the current table, run and desk in the address, and keep the desk on the server."""
    current, job = prepared(), run_job()
    # A session has a desk of its own, so that two visitors with one address do not disturb each other.
    desk = st.session_state.setdefault("desk", uuid4().hex[:12])
    laid_out = {key: copy(st.session_state[key]) for key in _ON_DESK if key in st.session_state}
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
