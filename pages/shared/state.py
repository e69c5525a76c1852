"""What a visitor has open: table, run, review; named in the address and written to the workspace.

The address (``?data=...&run=...&review=...``) opens the same view after a refresh or a restart of the server,
and a refresh neither stops nor repeats a running valuation.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import streamlit as st

from ecoval_core.work import slow
from ecoval_core.work.jobs import Job
from ecoval_core.workspace import history, runs
from ecoval_core.workspace.history import RunRecord
from ecoval_core.workspace.runs import Opened, Run
from ecoval_core.workspace.schema import RunSpec, Settings
from ecoval_core.workspace.store import Result
from ecoval_core.workspace.tasks import Task
from pages.shared import reviews, server
from pages.shared.session import Session, session


def open_table(new: Opened) -> None:
    """Make a table the current one; the run that was open stays one click away."""
    old = session.opened
    is_another = old is None or old.key != new.key
    if is_another:
        # While its table is still there, whose columns the filters name.
        save_review()
        reviews.forget_filters()
    session.opened = new
    if is_another:
        session.earlier_run = session.run_id or session.earlier_run
        Session.run_id.forget()
        reviews.clear()


# --- The run ---------------------------------------------------------------------------------


def run_record() -> RunRecord | None:
    """Return what is noted of the run that is open, or None."""
    return find_record(session.run_id) if session.run_id else None


def find_record(run: str) -> RunRecord | None:
    """Return what is noted of a run, or None if it is not in the workspace."""
    return history.find_run(server.workspace(), run)


def load_run(record: RunRecord) -> Run | None:
    """Return a finished run at the weight it was made with, or None."""
    return runs.load_run(server.workspace(), record.key, record.split, record.settings)


def start_run(new: Opened, settings: Settings) -> None:
    """Have the rows of the open table valued, or open the run that did so before."""
    workspace = server.workspace()
    spec = RunSpec(table=new.spec.table, split=new.spec.split, settings=settings)
    run = history.start_run(workspace, spec, split=new.key, frame=new.table.content)
    _value(run)
    if run != session.run_id:
        open_run(run, keep_table=True)


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
        found = runs.load_opened(workspace, record.split)
        if found is None:
            return False
        open_table(found)
    save_review()
    session.run_id = run
    reviews.clear()
    latest = (
        history.find_review(workspace, review) if review else history.latest_review(workspace, run)
    )
    if latest is not None and latest.run == run:
        reviews.show(latest.review, with_view=review is None)
    # A session writes to a review of its own, lest two windows with one address overwrite each other.
    session.review, session.review_is_own = review or ("" if latest is None else latest.id), False
    session.review_written = reviews.current()
    return True


def close_run(run: str) -> None:
    """Close a run, if it is the one that is open; its table stays."""
    if session.run_id == run:
        save_review()
        Session.run_id.forget()
        Session.weighted_run.forget()
        reviews.clear()
    if session.earlier_run == run:
        Session.earlier_run.forget()


def job_of(record: RunRecord) -> Job | None:
    """Return the latest job that valued the rows of a run, or tries to."""
    return server.engine().job(server.workspace(), slow.value_run(record))


def run_job() -> Job | None:
    """Return the job of the run that is open while it is under way for this visitor, else None."""
    record = run_record()
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
    weight = float(session.extrinsic_weight)
    # The same rows may have been opened under another name since.
    asked = (session.run_id, weight, "" if session.opened is None else session.opened.table.name)
    weighted = session.weighted_run
    if weighted is None or weighted[0] != asked:
        record = run_record()
        found = None if record is None else load_run(record)
        if found is None:
            return None
        weighted = (asked, found.reweight(weight))
        session.weighted_run = weighted
    return weighted[1]


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
    now = reviews.current()
    if now == session.review_written:
        return
    if not session.review_is_own:
        session.review, session.review_is_own = uuid4().hex[:12], True
    history.save_review(server.workspace(), session.review, run, server.visitor(), now)
    session.review_written = now


def restore_from_address() -> None:
    """Open what the address names, once at the start of a session."""
    if session.restored:
        return
    session.restored = True
    key, run_named = st.query_params.get("data"), st.query_params.get("run")
    if run_named is not None and open_run(run_named, review=st.query_params.get("review", "")):
        return
    if key is None and run_named is None:
        return
    found = runs.load_opened(server.workspace(), key or "")
    if found is None:
        session.complaint = (
            "This address names a table or run that is not in this workspace. Load the table again below, or "
            "choose among the runs on Runs."
        )
        return
    open_table(found)


def write_address() -> None:
    """Name the current table, run and review in the address, and write the review."""
    save_review()
    current, run = session.opened, session.run_id
    wanted = {
        "data": None if current is None else current.key,
        "run": run,
        "review": session.review if run is not None and session.review else None,
    }
    now = st.query_params.to_dict()
    then = {name: value for name, value in (now | wanted).items() if value is not None}
    if then != now:
        st.query_params.from_dict(then)


def settings_of_run() -> Settings | None:
    """Return the settings of the run that is open, or None."""
    record = run_record()
    return None if record is None else record.settings
