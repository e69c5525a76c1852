"""Work under way on the page: progress, time left, cancel, and one rerun when it ends."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ecoval_core.workspace.jobs import Job, JobState
from ecoval_core.workspace.orders import Order
from pages.shared import formats, server, state
from pages.shared.session import jobs as slots
from pages.shared.session import session

POLL_SECONDS = 0.5
# Long enough for quick work to end before anything is drawn, short enough not to be felt.
PATIENCE_SECONDS = 0.4


def _text(job: Job, what: str) -> str:
    if job.state == JobState.QUEUED:
        place = server.engine().jobs.position(job)
        return (
            f"{what}: waiting, number {place} in the queue" if place else f"{what}: about to begin"
        )
    done = f"{job.done:,} of {job.total:,}, " if job.total else ""
    left = job.seconds_left
    ahead = "" if left is None else f", about {formats.seconds(left)} left"
    return f"{what}: {done}{formats.seconds(job.seconds)} so far{ahead}"


def cancel(job: Job) -> None:
    """Cancel a job for this visitor; it ends unless another visitor waits for it."""
    session.left_job = job.id
    server.engine().jobs.leave(job, server.visitor())


def watch(job: Job, what: str, *, can_cancel: bool = True) -> None:
    """Draw a running job's progress, refreshed by itself, with a button to cancel it.

    Parameters
    ----------
    job : Job
        An active job.
    what : str
        What is counted, for example "Models fitted".
    can_cancel : bool
        Whether to offer the button.
    """

    @st.fragment(run_every=POLL_SECONDS)
    def poll() -> None:
        # Whoever cancelled it is no longer concerned, though it may go on for another visitor.
        if not job.is_active or session.left_job == job.id:
            st.rerun()
        share = min(1.0, job.done / job.total) if job.total else 0.0
        if not can_cancel:
            st.caption(f":material/hourglass_top: {_text(job, what)}")
            return
        bar, button = st.columns([5, 1], vertical_alignment="center")
        bar.progress(share, text=_text(job, what))
        button.button("Cancel", key="cancel", on_click=cancel, args=(job,), width="stretch")

    poll()


def result_of(
    order: Order, what: str, *, cancelled: str = "Cancelled.", can_cancel: bool = True
) -> Any | None:
    """Return what an order's result holds, or draw where its job stands and return None.

    Parameters
    ----------
    order : Order
        The work.
    what : str
        What is counted while it runs.
    cancelled : str
        Sentence shown if this visitor cancelled it.
    can_cancel : bool
        Whether to offer a button that cancels.

    Returns
    -------
    object or None
        As :meth:`ecoval_core.workspace.engine.Engine.read` returns it; None as long as there is no result.
    """
    found = state.read(order)
    if found is not None:
        return found
    job = job_of(order)
    if job is None:
        return None
    if session.left_job == job.id or job.state == JobState.CANCELLED:
        st.info(cancelled)
    elif job.is_active:
        watch(job, what, can_cancel=can_cancel)
    elif job.state == JobState.ERROR:
        st.error(formats.plain(job.error or "The job failed."))
    return None


def job_of(order: Order) -> Job | None:
    """Return the latest job that carried an order out, or tries to."""
    return server.engine().job(server.workspace(), order)


def is_running(order: Order) -> bool:
    """Whether an order is under way for this visitor."""
    job = job_of(order)
    return job is not None and job.is_active and session.left_job != job.id


def start(order: Order) -> Job:
    """Have an order carried out."""
    job = server.engine().submit(server.workspace(), order, server.visitor())
    if session.left_job == job.id:
        session.left_job = None
    return job


def start_quietly(order: Order) -> None:
    """Have an order carried out; for buttons."""
    start(order)


def fetch(slot: str, order: Order, what: str, *, can_cancel: bool = False) -> Any | None:
    """Return what an order's result holds, having it carried out without being asked.

    Parameters
    ----------
    slot : str
        Kind of work; a visitor waits for one of each at a time. What is superseded is cancelled.
    order : Order
        The work.
    what : str
        What is counted while it runs.
    can_cancel : bool, default=False
        Whether to offer a button that cancels.

    Returns
    -------
    object or None
        As :func:`result_of`. Work that failed is not tried again.
    """
    found = state.read(order)
    if found is not None:
        return found
    job = begin(slot, order)
    job.wait(PATIENCE_SECONDS)
    return result_of(order, what, can_cancel=can_cancel)


def begin(slot: str, order: Order) -> Job:
    """Have an order carried out in place of the last one of its slot, unless it was tried before."""
    registry, key = server.engine().jobs, server.engine().key(server.workspace(), order)
    held = registry.find(slots.get(slot) or "")
    if held is not None and held.key == key and held.state != JobState.CANCELLED:
        return held
    if held is not None and held.is_active:
        registry.leave(held, server.visitor())
    job = start(order)
    slots.set(slot, job.key)
    return job
