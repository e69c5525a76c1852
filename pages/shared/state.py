"""What a visitor has open: table, run, desk; named in the address and written to the workspace.

The address (``?data=...&run=...&desk=...``) opens the same view after a refresh or a restart of the server,
and a refresh neither stops nor repeats a running valuation. A desk is what a visitor has made of a run:
selection, filters, prune list, decisions on labels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import streamlit as st

from ecoval_core.tables import Prepared
from ecoval_core.workspace import history, orders
from ecoval_core.workspace.history import RunRecord
from ecoval_core.workspace.jobs import Job
from ecoval_core.workspace.orders import Order
from ecoval_core.workspace.runs import Run, Settings
from ecoval_core.workspace.store import Result
from pages.shared import desk, server, viewstate
from pages.shared.session import Session, session


def prepared() -> Prepared | None:
    """Return the table that is open, split and vectorised, or None."""
    return session.prepared


def open_prepared(new: Prepared) -> None:
    """Make a prepared table the current one; the run that was open stays one click away.

    Parameters
    ----------
    new : Prepared
        Table to work on from now on.
    """
    old = prepared()
    is_another = old is None or old.fingerprint != new.fingerprint
    if is_another:
        # While its table is still there, whose columns the filters name.
        save_desk()
        viewstate.forget_filters()
    session.prepared = new
    if is_another:
        session.earlier_run = session.run_id or session.earlier_run
        Session.run_id.forget()
        desk.clear()


# --- The run ---------------------------------------------------------------------------------


def run_id() -> str | None:
    """Id of the run that is open, None before there is one."""
    return session.run_id


def run_record() -> RunRecord | None:
    """Return what is noted of the run that is open, or None."""
    return server.engine().record(server.workspace(), session.run_id) if session.run_id else None


def start_run(new: Prepared, settings: Settings) -> None:
    """Have rows valued, or open the run that did so before.

    Parameters
    ----------
    new : Prepared
        The table.
    settings : Settings
        What the run is made with.
    """
    order = orders.value(new, settings)
    workspace = server.workspace()
    run = workspace.write(
        lambda store: history.start_run(
            store, order.key, new.fingerprint, settings, new.table.name
        ),
        within_quota=False,
    )
    if server.engine().result(workspace, order) is None:
        server.engine().submit(workspace, order, server.visitor())
        Session.left_job.forget()
    if run != session.run_id:
        open_run(run, keep_table=True)


def open_run(run: str, *, keep_table: bool = False, desk_id: str | None = None) -> bool:
    """Open a run with its table and the desk last laid out for it.

    Parameters
    ----------
    run : str
        Id of the run.
    keep_table : bool, default=False
        Whether the run's table is open already.
    desk_id : str or None, default=None
        A desk to lay out, with the view that the address names; None or "" takes the one changed last.

    Returns
    -------
    bool
        Whether it is there.
    """
    engine, workspace = server.engine(), server.workspace()
    record = engine.record(workspace, run)
    if record is None:
        return False
    if not keep_table:
        found = engine.prepared(workspace, record.preparation)
        if found is None:
            return False
        open_prepared(found)
    save_desk()
    session.run_id = run
    desk.clear()
    named = desk_id or workspace.find(lambda store: history.latest_desk(store, run)) or ""
    kept = workspace.find(lambda store: history.find_desk(store, named))
    if kept is not None and kept.run == run:
        desk.lay_out(kept)
        if desk_id is None:
            desk.lay_out_view(kept)
    # A session writes to a desk of its own, so that two windows with one address do not overwrite each other.
    session.desk, session.desk_is_own = named, False
    session.desk_written = desk.contents(run)
    return True


def close_run(run: str) -> None:
    """Close a run, if it is the one that is open; its table stays."""
    if session.run_id == run:
        save_desk()
        Session.run_id.forget()
        Session.weighted_run.forget()
        desk.clear()
    if session.earlier_run == run:
        Session.earlier_run.forget()


def run_job() -> Job | None:
    """Return the job of the run that is open while it is under way for this visitor, else None."""
    record = run_record()
    if record is None:
        return None
    job = server.engine().jobs.find(f"{server.workspace().root} {record.valuation}")
    if job is None or not job.is_active or session.left_job == job.id:
        return None
    # Whoever opens the address of a running valuation waits for it too.
    job.visitors.add(server.visitor())
    return job


def run() -> Run | None:
    """Return the finished run at the extrinsic weight chosen above the page, or None."""
    if session.run_id is None:
        return None
    weight = extrinsic_weight()
    kept = session.weighted_run
    if kept is None or kept[:2] != (session.run_id, weight):
        record = run_record()
        found = None if record is None else server.engine().run(server.workspace(), record)
        if found is None:
            return None
        kept = (session.run_id, weight, found.reweight(weight))
        session.weighted_run = kept
    current, found = session.prepared, kept[2]
    if (
        current is not None
        and current is not found.prepared
        and current.fingerprint == found.prepared.fingerprint
    ):
        # The same rows may have been opened under another name since.
        found = replace(found, prepared=current)
        session.weighted_run = (*kept[:2], found)
    return found


def read(order: Order) -> Any | None:
    """Return what the finished result of an order holds, or None."""
    return server.engine().read(server.workspace(), order)


def result(order: Order) -> Result | None:
    """Return the finished result of an order, or None."""
    return server.engine().result(server.workspace(), order)


def has_left(record: RunRecord) -> bool:
    """Whether this visitor cancelled a valuation, which may go on for another."""
    job = server.engine().jobs.find(f"{server.workspace().root} {record.valuation}")
    # Not asked of the record: how a job ended is noted there a moment after it has.
    return job is not None and session.left_job == job.id


def extrinsic_weight() -> float:
    """Extrinsic weight in force, 0 to 1."""
    return float(session.extrinsic_weight)


# --- Selection -------------------------------------------------------------------------------


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


# --- What lasts ------------------------------------------------------------------------------


def complain(sentence: str) -> None:
    """Have a sentence shown on the Data screen."""
    session.complaint = sentence


def save_desk() -> None:
    """Write the desk of the run that is open to the workspace, if it has changed."""
    run = session.run_id
    if run is None:
        return
    now = desk.contents(run)
    if now == session.desk_written:
        return
    if not session.desk_is_own:
        session.desk, session.desk_is_own = uuid4().hex[:12], True
    name = session.desk
    server.workspace().write(
        lambda store: history.save_desk(store, name, desk.of(run, server.visitor())),
        within_quota=False,
    )
    session.desk_written = now


def restore_from_address() -> None:
    """Open what the address names, once at the start of a session."""
    if session.restored:
        return
    session.restored = True
    fingerprint, run_named = st.query_params.get("data"), st.query_params.get("run")
    if run_named is not None and open_run(run_named, desk_id=st.query_params.get("desk", "")):
        return
    if fingerprint is None and run_named is None:
        return
    found = server.engine().prepared(server.workspace(), fingerprint or "")
    if found is None:
        session.complaint = (
            "This address names a table or run that is not in this workspace. Load the table again below, or "
            "choose among the runs on Runs."
        )
        return
    open_prepared(found)


def write_address() -> None:
    """Name the current table, run and desk in the address, and write the desk."""
    save_desk()
    current, run = prepared(), session.run_id
    wanted = {
        "data": None if current is None else current.fingerprint,
        "run": run,
        "desk": session.desk if run is not None and session.desk else None,
    }
    for name, value in wanted.items():
        if value is None:
            st.query_params.pop(name, None)
        elif st.query_params.get(name) != value:
            st.query_params[name] = value


def settings_of_run() -> Settings | None:
    """Return the settings of the run that is open, or None."""
    record = run_record()
    return None if record is None else record.settings
