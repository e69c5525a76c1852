"""Uploaded files: out of the server's memory once they are read."""

from __future__ import annotations

from typing import Any, NamedTuple

import streamlit as st
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

# Files that a session may have on the server, read or not, in times the largest one.
MAX_HELD = 2


class Upload(NamedTuple):
    """A file as it came in: its name on the visitor's machine, and what is in it."""

    name: str
    data: bytes


def has_room(session_id: str, n_bytes: int) -> bool:
    """Return whether the server keeps another file of so many bytes for a session of Streamlit's."""
    manager = runtime.get_instance().uploaded_file_mgr
    if not isinstance(manager, MemoryUploadedFileManager):
        return True
    held = sum(len(file.data) for file in [*manager.file_storage.get(session_id, {}).values()])
    return held + n_bytes <= MAX_HELD * st.get_option("server.maxUploadSize") * 2**20


def take(upload: Any) -> Upload | None:
    """Return what is in an upload field and free the server's memory of it; None if it is empty or was taken.

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
    return Upload(name, data)
