"""A disk of a few megabytes that can be filled up and made read-only.

Where mounting is permitted it is a real one, in memory. Everywhere it can be played: whatever the store does
to its disk then fails as it does on a real one. Tests take both where both can be had.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from ecoval_core.workspace.database import Database

from ecoval_core.workspace import files

MEGABYTES = 3


@lru_cache
def can_mount():
    """Whether this process may mount a disk."""
    with tempfile.TemporaryDirectory() as folder:
        if _mount("tmpfs", folder, "size=1m").returncode:
            return False
        subprocess.run(["umount", folder], check=True)
        return True


def _mount(kind, folder, options):
    command = ["mount", "-t", kind, "-o", options, "none", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 1)


class RealDisk:
    """A disk in memory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._filling = root / "filling"

    def fill(self):
        handle = os.open(self._filling, os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while True:
                os.write(handle, bytes(2**16))
        with contextlib.suppress(OSError):
            while True:
                os.write(handle, b"x")
        os.close(handle)

    def leave(self, n_bytes):
        """Fill up all but so many bytes."""
        self.fill()
        os.truncate(self._filling, self._filling.stat().st_size - n_bytes)

    def free(self):
        self._filling.unlink()

    def lock(self):
        subprocess.run(["mount", "-o", "remount,ro", self.root], check=True)

    def unlock(self):
        subprocess.run(["mount", "-o", "remount,rw", self.root], check=True)


class PlayedDisk:
    """A folder in which everything that writes fails as on a disk that is full or read-only."""

    def __init__(self, root: Path, monkeypatch) -> None:
        self.root = root
        self._number: int | None = None
        self._connect, self._draft_in, self._open = Database.connect, files.draft_in, Path.open
        disk = self

        @contextlib.contextmanager
        def connect(database, *, create=False, mode="rw"):
            if disk._is_on(database.path) and (create or mode == "rw"):
                # As SQLite: its log cannot be made, so that it can not even read.
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = {
                    errno.ENOSPC: sqlite3.SQLITE_FULL, errno.EROFS: sqlite3.SQLITE_READONLY,
                }[disk._number]  # fmt: skip
                raise error
            with disk._connect(database, create=create, mode=mode) as db:
                yield db

        @contextlib.contextmanager
        def draft_in(folder):
            if disk._is_on(folder):
                raise OSError(disk._number, os.strerror(disk._number))
            with disk._draft_in(folder) as draft:
                yield draft

        def mkdir(path, *args, **options):
            if disk._is_on(path) and not path.exists():
                raise OSError(disk._number, os.strerror(disk._number))
            return disk._mkdir(path, *args, **options)

        self._mkdir = Path.mkdir
        monkeypatch.setattr(Database, "connect", connect)
        monkeypatch.setattr("ecoval_core.workspace.shelf.draft_in", draft_in)
        monkeypatch.setattr(Path, "mkdir", mkdir)

    def _is_on(self, path: Path):
        return self._number is not None and path.is_relative_to(self.root)

    def fill(self):
        self._number = errno.ENOSPC

    def free(self):
        self._number = None

    def lock(self):
        self._number = errno.EROFS

    unlock = free


@contextlib.contextmanager
def small_disk(kind: str, monkeypatch) -> Iterator[RealDisk | PlayedDisk]:
    """Give a disk of some megabytes, "real" or "played"."""
    root = Path(tempfile.mkdtemp(prefix="small-disk-"))
    try:
        if kind == "played":
            yield PlayedDisk(root, monkeypatch)
            return
        done = _mount("tmpfs", root, f"size={MEGABYTES}m")
        if done.returncode:
            raise OSError(done.stderr.decode())
        try:
            yield RealDisk(root)
        finally:
            subprocess.run(["umount", "--lazy", root], check=True)
    finally:
        monkeypatch.undo()
        shutil.rmtree(root, ignore_errors=True)


KINDS = ["played", "real"] if can_mount() else ["played"]
