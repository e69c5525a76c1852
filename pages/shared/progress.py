"""A background job on the page: progress, time left, cancel, and one rerun when it ends."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ecoval_core.workspace.jobs import Job, JobState, Work
from pages.shared import formats, state
from pages.shared.session import jobs as slots

POLL_SECONDS = 0.5
# Long enough for a quick job to end before anything is drawn, short enough not to be felt.
PATIENCE_SECONDS = 0.4


def _text(job: Job, what: str) -> str:
    if job.is_cancelling:
        return f"{what}: stopping after the fit under way …"
    if job.state == JobState.QUEUED:
        return f"{what}: waiting for another job to finish"
    done = f"{job.done:,} of {job.total:,}, " if job.total else ""
    left = job.seconds_left
    ahead = "" if left is None else f", about {formats.seconds(left)} left"
    return f"{what}: {done}{formats.seconds(job.seconds)} so far{ahead}"


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
        if not job.is_active:
            st.rerun()
        share = min(1.0, job.done / job.total) if job.total else 0.0
        if not can_cancel:
            st.caption(f"⏳ {_text(job, what)}")
            return
        bar, cancel = st.columns([5, 1], vertical_alignment="center")
        bar.progress(share, text=_text(job, what))
        cancel.button(
            "Cancel", key="cancel", on_click=job.cancel, disabled=job.is_cancelling, width="stretch"
        )

    poll()


def result_of(
    job: Job, what: str, *, cancelled: str = "Cancelled.", can_cancel: bool = True
) -> Any:
    """Return a job's result, or draw where it stands and return None.

    Parameters
    ----------
    job : Job
        The job.
    what : str
        What is counted while it runs.
    cancelled : str
        Sentence shown if it was cancelled.
    can_cancel : bool
        Whether to offer a button that cancels.

    Returns
    -------
    object or None
        The job's result once it is done.
    """
    if job.is_active:
        watch(job, what, can_cancel=can_cancel)
    elif job.state == JobState.ERROR:
        st.error(formats.plain(job.error or "The job failed."))
    elif job.state == JobState.CANCELLED:
        st.info(cancelled)
    return job.result


def submit(slot: str, key: str, label: str, work: Work) -> Job:
    """Start a job that a page wants by itself, once, in place of the last one of its kind.

    Parameters
    ----------
    slot : str
        Kind of job; a visitor has one of each at a time. One that is superseded is cancelled.
    key : str
        What identifies the work.
    label : str
        Name of the work for people.
    work : callable
        As in :meth:`ecoval_core.workspace.jobs.JobRegistry.submit`.

    Returns
    -------
    Job
        The job, given a moment to end so that nothing flickers. One that failed is not retried.
    """
    held = state.jobs().get(slots.get(slot) or "")
    if held is not None and held.key == key:
        return held
    if held is not None:
        held.cancel()
    job = state.jobs().submit(key, label, work)
    slots.set(slot, job.id)
    job.wait(PATIENCE_SECONDS)
    return job
