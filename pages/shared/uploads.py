"""Uploaded files: counted where the app is served to others, out of the server's memory once read."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st
from ecoval_core.workspace.uploads import UploadQuota
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ecoval_core.workspace.workspace import default_root
from pages.shared import access
from pages.shared.identity import LOCAL, User, workspace_root


class Upload(NamedTuple):
    """A file as it came in.

    Attributes
    ----------
    name : str
        Its name on the visitor's machine.
    data : bytes
        What is in it.
    """

    name: str
    data: bytes


# Files that a session may have on the server, read or not, in times the largest one.
MAX_HELD = 2
_quotas: dict[Path, UploadQuota] = {}
_lock = threading.Lock()


def quota_of(user: User) -> UploadQuota | None:
    """Return the quota of a user, or None on one's own machine.

    Parameters
    ----------
    user : User
        Who is using the app.
    """
    if user == LOCAL:
        return None
    folder = workspace_root(default_root(), user)
    with _lock:
        if folder not in _quotas:
            _quotas[folder] = UploadQuota(folder)
        return _quotas[folder]


def has_room(session_id: str, n_bytes: int) -> bool:
    """Return whether the server keeps another file for a session.

    Parameters
    ----------
    session_id : str
        Streamlit's name of the session.
    n_bytes : int
        Size of the file.
    """
    manager = runtime.get_instance().uploaded_file_mgr
    if not isinstance(manager, MemoryUploadedFileManager):
        return True
    held = sum(len(file.data) for file in [*manager.file_storage.get(session_id, {}).values()])
    return held + n_bytes <= MAX_HELD * st.get_option("server.maxUploadSize") * 2**20


def used_up() -> str:
    """Return why no further file of the user will be taken today, in one sentence; empty if one will."""
    quota = quota_of(access.user())
    return "" if quota is None or quota.used() < quota.limit else quota.refusal


def take(upload: Any) -> Upload | None:
    """Return what is in an upload field, and free the server's memory of it.

    Streamlit keeps a file, and every one that took its place, until the session is forgotten.

    Parameters
    ----------
    upload : UploadedFile or None
        What :func:`streamlit.file_uploader` returned or keeps under its key.

    Returns
    -------
    Upload or None
        None if the field is empty, or its file was taken before.

    Raises
    ------
    ValueError
        If the user has uploaded more today than this server allows.
    """
    if not isinstance(upload, UploadedFile):
        return None
    name, data = upload.name, upload.getvalue()
    upload.seek(0)
    upload.truncate()
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_file(context.session_id, upload.file_id)
    if (quota := quota_of(access.user())) is not None:
        quota.check()
    return Upload(name, data)
