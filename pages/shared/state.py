"""What a visitor has open: table, run, review; named in the address and written to the workspace.

The address (``?data=...&run=...&review=...``) opens the same view after a refresh or a restart of the server,
and a refresh neither stops nor repeats a running valuation.
"""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import streamlit as st

from ecoval_core.runs.opened import Opened, load_opened
from ecoval_core.runs.run import Run, load_run
from ecoval_core.runs.tasks import Task
from ecoval_core.work import slow
from ecoval_core.work.jobs import Job
from ecoval_core.workspace import history
from ecoval_core.workspace.history import RunRecord
from ecoval_core.workspace.schema import RunSpec, Settings
from ecoval_core.workspace.store import Result
from pages.shared import reviews, server, windows
from pages.shared.session import Session, session


def open_table(new: Opened) -> None:
    """Make a table the current one; values of another table are one click away.

    Values of the same cells stay open, or are waited for, also where the cells are split anew.
    """
    old = session.opened
    is_another = old is None or old.key != new.key
    if _has_same_cells(new) and (run() is not None or run_job() is not None):
        session.opened = new
        return
    if is_another:
        # While its table is still there, whose columns the filters name.
        save_review()
        reviews.forget_filters()
    session.opened = new
    if is_another:
        session.earlier_run = session.run_id or session.earlier_run
        _let_go()


def _has_same_cells(new: Opened) -> bool:
    record = run_record()
    return record is not None and record.spec.table.content == new.spec.table.content


def _let_go() -> None:
    for entry in (Session.run_id, Session.next_run, Session.weighted_run, Session.unvalued):
        entry.forget()
    reviews.clear()


# --- The run ---------------------------------------------------------------------------------


def run_record() -> RunRecord | None:
    """Return what is noted of the run that is open, or None."""
    return find_record(session.run_id) if session.run_id else None


def next_record() -> RunRecord | None:
    """Return what is noted of the run that is to take the place of the open one, or None."""
    return find_record(session.next_run) if session.next_run else None


def find_record(run: str) -> RunRecord | None:
    """Return what is noted of a run, or None if it is not in the workspace."""
    return history.find_run(server.workspace(), run)


def open_record(record: RunRecord) -> Run | None:
    """Return a finished run at the weight it was made with, or None."""
    return load_run(server.workspace(), record.key, record.split, record.settings)


def start_run(new: Opened, settings: Settings) -> None:
    """Have the rows of the open table valued; a run that is open stays so until the new one is there."""
    workspace = server.workspace()
    Session.unvalued_settings.forget()
    spec = RunSpec(table=new.spec.table, split=new.spec.split, settings=settings)
    started = history.start_run(workspace, spec, split=new.key, frame=new.table.content)
    _value(started)
    Session.next_run.forget()
    if started == session.run_id:
        if run() is not None:
            st.toast("These rows are valued with these settings already.", icon=":material/check:")
        return
    record = find_record(started)
    if run() is None or (record is not None and record.state == "done"):
        open_run(started, keep_table=True)
    else:
        session.next_run = started


def open_next() -> bool:
    """Open the run that was waited for, if its values are there; return whether it was opened."""
    record = next_record()
    return record is not None and record.state == "done" and open_run(record.id, keep_table=True)


def start_again(record: RunRecord) -> None:
    """Have the rows of a run valued again that was interrupted or whose values are gone."""
    history.start_run(server.workspace(), record.spec, key=record.key, split=record.split)
    _value(record.id)


def _value(run: str) -> None:
    record = find_record(run)
    if record is not None and record.state != "done":
        server.engine().submit(server.workspace(), slow.value_run(record), server.visitor())
        Session.left_job.forget()


def open_run(run: str, *, keep_table: bool = False, review: str | None = None) -> bool:
    """Open a run with its table and the review changed last; return whether it is there."""
    workspace = server.workspace()
    record = find_record(run)
    if record is None:
        return False
    if not keep_table:
        found = load_opened(workspace, record.split)
        if found is None:
            return False
        open_table(found)
    save_review()
    session.run_id = run
    Session.next_run.forget()
    Session.unvalued.forget()
    reviews.clear()
    # Another run has other scores to show.
    Session.curve_measure.forget()
    # Its target is asked for by the filters.
    _weigh(record)
    latest = (
        history.find_review(workspace, review) if review else history.latest_review(workspace, run)
    )
    if latest is not None and latest.run == run:
        reviews.show(latest.review, with_view=review is None)
    else:
        latest = None
    session.review = "" if latest is None else latest.id
    # A visitor's tabs share a review; another visitor with the same address writes to one of their own.
    own = latest if latest is not None and latest.visitor == server.visitor() else None
    session.review_is_own = own is not None
    session.review_seen = time.time() if own is None else own.updated
    session.review_written = reviews.current()
    return True


def close_run(run: str) -> None:
    """Close a run, if it is the one that is open; its table stays."""
    if session.run_id == run:
        save_review()
        _let_go()
    if session.next_run == run:
        Session.next_run.forget()
    if session.earlier_run == run:
        Session.earlier_run.forget()


def job_of(record: RunRecord) -> Job | None:
    """Return the latest job that valued the rows of a run, or tries to."""
    return server.engine().job(server.workspace(), slow.value_run(record))


def run_job() -> Job | None:
    """Return the job of the next run, or else of the open one, while this visitor waits for it, or None."""
    record = next_record() or run_record()
    job = None if record is None else job_of(record)
    if job is None or not job.is_active or session.left_job == job.id:
        return None
    # A visitor who opens the address of a running valuation waits for it too.
    server.engine().jobs.join(job, server.visitor())
    return job


def run() -> Run | None:
    """Return the finished run at the extrinsic weight chosen above the page, or None."""
    if session.run_id is None:
        return None
    weighted = session.weighted_run
    if weighted is not None and weighted[0] == _asked(session.run_id):
        return weighted[1]
    return _weigh(run_record())


def _asked(run: str) -> tuple[str, float, str]:
    # The same rows may have been opened under another name since.
    name = "" if session.opened is None else session.opened.table.name
    return run, float(session.extrinsic_weight), name


def _weigh(record: RunRecord | None) -> Run | None:
    """Keep a run at the weight chosen, if it is finished."""
    found = None if record is None else open_record(record)
    if record is None or found is None:
        Session.weighted_run.forget()
        return None
    asked = _asked(record.id)
    weighted = found.reweight(asked[1])
    session.weighted_run = (asked, weighted)
    return weighted


def read(task: Task) -> Any | None:
    """Return the stored result of a task, or None."""
    return server.workspace().load(task.key, task.definition.returns)


def result(task: Task) -> Result | None:
    """Return what is noted of the stored result of a task, or None."""
    return server.workspace().result(task.key)


def has_left(record: RunRecord) -> bool:
    """Whether this visitor cancelled a valuation, which may go on for another."""
    job = job_of(record)
    # Not asked of the record: how a job ended is noted there a moment after it has.
    return job is not None and session.left_job == job.id


# --- Selection -------------------------------------------------------------------------------


def select(ids: list[int]) -> None:
    """Replace the selection."""
    session.selected_ids = ids


def pick(row_id: int | None) -> None:
    """Choose the point whose story is shown."""
    session.picked_id = row_id


# --- What lasts ------------------------------------------------------------------------------


def save_review() -> None:
    """Write the review of the run that is open to the workspace, if it has changed."""
    run = session.run_id
    if run is None:
        return
    take_over()
    now = reviews.current()
    if now == session.review_written:
        return
    if not session.review_is_own:
        new = uuid4().hex[:12]
        windows.begun[server.visitor(), run, session.review] = new, time.time()
        session.review, session.review_is_own = new, True
    session.review_seen = time.time()
    history.save_review(
        server.workspace(), session.review, run, server.visitor(), now, session.review_seen
    )
    session.review_written = now


def take_over() -> None:
    """Show what another tab of the visitor has changed in the review that both have open."""
    workspace, before = server.workspace(), session.review_written
    if session.run_id is None or before is None:
        return
    if not session.review_is_own:
        which = server.visitor(), session.run_id, session.review
        begun, at = windows.begun.get(which, ("", 0.0))
        # Whoever opens another's review again wants to see that one.
        if at <= session.review_seen:
            return
        session.review, session.review_is_own = begun, True
    if history.review_updated(workspace, session.review) == session.review_seen:
        return
    kept = history.find_review(workspace, session.review)
    if kept is not None:
        merged = windows.merge(before, reviews.current(), kept.review)
        session.review_seen, session.review_written = kept.updated, kept.review
        reviews.show(merged, with_view=True)


def restore_from_address() -> None:
    """Open what the address names, once at the start of a session; say what of it is not here."""
    if session.restored:
        return
    session.restored = True
    named = st.query_params.to_dict()
    table, asked, review = (named.get(name, "") for name in ("data", "run", "review"))
    is_open = bool(asked) and open_run(asked, review=review)
    found = load_opened(server.workspace(), table) if table else None
    if found is not None and (not is_open or _has_same_cells(found)):
        open_table(found)
    if (later := named.get("next")) and is_open and find_record(later) is not None:
        session.next_run = later
    if page := named.get("missing"):
        del st.query_params["missing"]
        _lose(f"There is no page {page!r} here; choose one in the menu above.")
    elif asked and not is_open:
        _lose(
            "This address names a run that is not in this workspace: choose another on Runs, or value the "
            "rows again."
        )
    elif table and session.opened is None:
        _lose(
            "This address names a table that is not in this workspace: load it again on Data, or choose a "
            "run on Runs."
        )
    elif is_open and review and session.review != review:
        _lose(
            "This address names a selection that is not in this workspace: the run is shown without it."
        )


def _lose(sentence: str) -> None:
    """Have the page that was asked for say what of its address is not here."""
    session.lost = (sentence, "")


def write_address() -> None:
    """Name the current table, run and review in the address, and write the review."""
    save_review()
    current, run = session.opened, session.run_id
    wanted = {
        "data": None if current is None else current.key,
        "run": run,
        "next": session.next_run,
        "review": session.review if run is not None and session.review else None,
    }
    # Ours alone: Streamlit refuses to set parameters that belong to widgets.
    now = st.query_params.to_dict()
    for name, value in wanted.items():
        if value is None:
            st.query_params.pop(name, None)
        elif value != now.get(name):
            st.query_params[name] = value
