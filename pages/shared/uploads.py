"""Uploaded files: read in a worker, and out of the server's memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ecoval_core.runs.tasks import Task
from ecoval_core.work.jobs import Job, JobState
from pages.shared import server
from pages.shared.session import Entry

# Files that a session may have on the server, read or not, in times the largest one.
MAX_HELD = 2


def has_room(session_id: str, n_bytes: int) -> bool:
    """Return whether the server keeps another file of so many bytes for a session of Streamlit's."""
    manager = runtime.get_instance().uploaded_file_mgr
    if not isinstance(manager, MemoryUploadedFileManager):
        return True
    held = sum(len(file.data) for file in [*manager.file_storage.get(session_id, {}).values()])
    return held + n_bytes <= MAX_HELD * st.get_option("server.maxUploadSize") * 2**20


def _take(upload: Any) -> tuple[str, bytes] | None:
    """Return name and content of an upload field and free the server's memory; None if it is empty or taken.

    Streamlit keeps a file, and every one that took its place, until the session is forgotten.
    """
    if not isinstance(upload, UploadedFile):
        return None
    name, data = upload.name, upload.getvalue()
    upload.seek(0)
    upload.truncate()
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_file(context.session_id, upload.file_id)
    return name, data


def submit(upload: Any, complaint: Entry[str], make: Callable[[str, str], Task]) -> Job | None:
    """Have the file in an upload field read, by the task of its digest and name; None if that cannot be."""
    taken = _take(upload)
    if taken is None:
        # A complaint above the field stays: without it the field would move, and be made anew while the
        # browser sends it the next file.
        return None
    complaint.forget()
    name, data = taken
    try:
        return server.engine().submit_upload(
            server.workspace(), data, lambda digest: make(digest, name), server.visitor()
        )
    except ValueError as error:
        complaint.set(str(error))
        return None


def finish(reading: Entry[Job | None], complaint: Entry[str], what: str) -> Job | None:
    """Wait for a file that is being read, if there is one, and return its job if it went well."""
    job = reading.get()
    if job is None:
        return None
    with st.spinner(f"{what} …"):
        job.wait()
    reading.forget()
    if job.state == JobState.DONE:
        return job
    complaint.set(job.error or f"{what} was cancelled.")
    return None
