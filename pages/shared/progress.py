"""Work under way on the page: progress, time left, cancel, and one rerun when it ends."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ecoval_core.runs.tasks import Task
from ecoval_core.work.jobs import Job, JobState, job_key
from pages.shared import formats, server, state
from pages.shared.session import jobs as slots
from pages.shared.session import session

POLL_SECONDS = 0.5
# Long enough for quick work to end before anything is drawn, short enough not to be felt.
PATIENCE_SECONDS = 0.4


def _text(job: Job, what: str) -> str:
    what = formats.plain(what)
    if job.state == JobState.QUEUED:
        place = server.engine().jobs.position(job)
        return (
            f"{what}: waiting, number {place} in the queue" if place else f"{what}: about to begin"
        )
    done = f"{job.done:,} of {job.total:,}, " if job.total else ""
    left = job.seconds_left
    ahead = "" if left is None else f", about {formats.seconds(left)} left"
    if job.total and job.done >= job.total:
        # Rows may still be left out one by one, and the result is written.
        ahead = ", finishing"
    return f"{what}: {done}{formats.seconds(job.seconds)} so far{ahead}"


def cancel(job: Job) -> None:
    """Cancel a job for this visitor; it ends unless another visitor waits for it."""
    session.left_job = job.id
    server.engine().jobs.leave(job, server.visitor())


def watch(job: Job, what: str, *, can_cancel: bool = True) -> None:
    """Draw a running job's progress, refreshed by itself, with a button to cancel it."""

    @st.fragment(run_every=POLL_SECONDS)
    def poll() -> None:
        # Whoever cancelled it is no longer concerned, though it may go on for another visitor.
        if not job.is_active or session.left_job == job.id:
            st.rerun()
        server.engine().jobs.join(job, server.visitor())
        share = min(1.0, job.done / job.total) if job.total else 0.0
        if not can_cancel:
            st.caption(f":material/hourglass_top: {_text(job, what)}")
            return
        bar, button = st.columns([5, 1], vertical_alignment="center")
        bar.progress(share, text=_text(job, what))
        button.button("Cancel", key="cancel", on_click=cancel, args=(job,), width="stretch")

    poll()


def redraw_after(job: Job) -> None:
    """Draw the page again as soon as a job has ended."""

    @st.fragment(run_every=POLL_SECONDS)
    def poll() -> None:
        if not job.is_active:
            st.rerun()
        server.engine().jobs.join(job, server.visitor())

    poll()


def result_of(
    task: Task, what: str, *, cancelled: str = "Cancelled.", can_cancel: bool = True
) -> Any | None:
    """Return the result of a task, or draw where its job stands and return None."""
    # Empty or not: what follows keeps its number on the page, or the browser would build it anew.
    place = st.container()
    # Before the result is looked for: a job may end in between, and then the page is drawn again.
    job = job_of(task)
    is_active = job is not None and job.is_active
    found = state.read(task)
    if found is not None or job is None:
        return found
    with place:
        _draw(job, what, cancelled, is_active=is_active, can_cancel=can_cancel)
    return None


def _draw(job: Job, what: str, cancelled: str, *, is_active: bool, can_cancel: bool) -> None:
    """Draw where a job stands, or how it ended."""
    if session.left_job == job.id or job.state == JobState.CANCELLED:
        st.info(cancelled)
    elif is_active:
        watch(job, what, can_cancel=can_cancel)
    elif job.state == JobState.ERROR:
        st.error(formats.plain(job.error or "The job failed."))


def job_of(task: Task) -> Job | None:
    """Return the latest job that did a task, or tries to."""
    return server.engine().job(server.workspace(), task)


def is_running(task: Task) -> bool:
    """Whether a task is under way for this visitor."""
    job = job_of(task)
    return job is not None and job.is_active and session.left_job != job.id


def start(task: Task) -> Job:
    """Have a task done."""
    job = server.engine().submit(server.workspace(), task, server.visitor())
    if session.left_job == job.id:
        session.left_job = None
    return job


def fetch(slot: str, task: Task, what: str, *, can_cancel: bool = False) -> Any | None:
    """Return the result of a task, which is started without being asked for.

    A visitor waits for one task of each slot at a time: the one it replaces is cancelled. A task that failed
    is not tried again.
    """
    if state.read(task) is None:
        begin(slot, task).wait(PATIENCE_SECONDS)
    return result_of(task, what, can_cancel=can_cancel)


def begin(slot: str, task: Task) -> Job:
    """Start a task in place of the last one of its slot, unless it was tried before."""
    registry, key = server.engine().jobs, job_key(task, {"root": server.workspace().root})
    held = registry.find(slots[slot].get() or "")
    if held is not None and held.key == key and _still_stands(held):
        return held
    if held is not None and held.is_active:
        registry.leave(held, server.visitor())
    job = start(task)
    slots[slot].set(job.key)
    return job


def _still_stands(job: Job) -> bool:
    """Whether a job is under way, failed, or has a result that was not evicted since."""
    if job.state == JobState.DONE:
        return not job.task.definition.is_kept or state.result(job.task) is not None
    return job.state != JobState.CANCELLED
