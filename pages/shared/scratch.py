"""Temporary folders that end with their process: those of a process that was killed go at the next start."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where nobody can delete a file that another process has opened
    fcntl = None  # type: ignore[assignment]

PREFIX = "ecoval-"
_LOCK = ".owner"


def make_scratch(kind: str) -> Path:
    """Make a temporary folder that belongs to this process and goes with it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{kind}-"))
        with contextlib.suppress(FileNotFoundError):
            # Another process that sweeps may be there before the folder is locked.
            handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX)
            if (folder / _LOCK).exists():
                # The handle stays open, and the folder locked, as long as this process lives.
                atexit.register(shutil.rmtree, folder, ignore_errors=True)
                return folder
            os.close(handle)


def sweep_scratch() -> None:
    """Remove the temporary folders of processes that are gone."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):
            if lock.is_symlink() or lock.parent.is_symlink():
                continue
            if fcntl is None:
                lock.unlink()
                shutil.rmtree(lock.parent, ignore_errors=True)
                continue
            handle = os.open(lock, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(handle)
