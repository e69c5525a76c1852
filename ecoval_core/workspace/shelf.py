"""Folders of files that a database names, used by any number of threads and processes at once.

A file is written under another name and flushed; then, in one transaction, it gets a name that no file ever
had and the database names it. Whatever the database names is whole, whenever a process is killed, and nothing
that is being read changes.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pyarrow as pa

from ecoval_core.workspace.database import Database, put
from ecoval_core.workspace.files import copy, draft_in, flush, is_abandoned, remove, size

T = TypeVar("T")
DATABASE = "ecoval.sqlite"
# Folders of files, each the name of a table of the database, and what identifies its rows.
FILED = {"frames": "digest", "preparations": "fingerprint", "results": "key"}
# What is being written; whatever a killed process left there goes. And what could not be read, for a while.
UNFINISHED, DAMAGED = "unfinished", "damaged"
DAMAGED_SECONDS = 30 * 24 * 3600.0
# What a result was replaced by is read by nobody after this time.
READING_SECONDS = 3600.0
SWEEP_SECONDS = 600.0
TOUCH_SECONDS = 15.0
# As much as the database needs to begin writing.
PROBE_BYTES = 2**16

_log = logging.getLogger(__name__)
# What reading a damaged file raises. Whatever else goes wrong says nothing against the file.
_DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, EOFError)


class Shelf:
    """What a :class:`~ecoval_core.workspace.store.Store` keeps its files on, whatever they hold.

    Parameters
    ----------
    root : Path
        The folder; made, for its owner alone, if it is not there.

    Raises
    ------
    WorkspaceError, OSError, sqlite3.OperationalError
        As :class:`~ecoval_core.workspace.store.Store` does.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        if not root.is_dir():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            flush(root.parent, inside=False)
        for folder in (*FILED, UNFINISHED, DAMAGED):
            (root / folder).mkdir(exist_ok=True)
        self.db = Database(root / DATABASE)
        self.sweep()

    def draft(self) -> contextlib.AbstractContextManager[Path]:
        """Give a path on the same disk to write a file or a folder to, which is gone at the end.

        Returns
        -------
        context manager
            Enters with the path, where nothing is yet.
        """
        return draft_in(self.root / UNFINISHED)

    def keep(
        self, table: str, row: dict[str, Any], write: Callable[[Path], Any] | None, *,
        replace: bool = False, also: Callable[[sqlite3.Connection], Any] | None = None,
    ) -> None:  # fmt: skip
        """Write a file or a folder, and a row that names it, whole or not at all.

        Parameters
        ----------
        table : str
            "frames", "preparations" or "results".
        row : dict
            What is kept of it in the database, the primary key first; "file" is set, and the file's size
            added to "bytes".
        write : callable or None
            Writes the file or folder at a path; None keeps the row alone.
        replace : bool, default=False
            Take the place of what has this key already, which otherwise stays.
        also : callable or None, default=None
            Done in the same transaction.

        Raises
        ------
        OSError, sqlite3.OperationalError
            If it cannot be written.
        """
        key, name = next(iter(row.items()))
        target = None
        with self.draft() as draft:
            if write is not None:
                write(draft)
                flush(draft)
                row["bytes"] += size(draft)
                # A name of its own: what another process is reading, or naming, is never overwritten.
                row["file"] = f"{name}-{uuid4().hex[:12]}"
                target = self.root / table / row["file"]
            try:
                with self.db.transaction() as db:
                    query = f'SELECT file FROM {table} WHERE "{key}" = ?'  # noqa: S608 - names of ours
                    old = db.execute(query, (name,)).fetchone()
                    if old is not None and not replace:
                        return
                    if target is not None:
                        draft.replace(target)
                        flush(target.parent, inside=False)
                    put(db, table, row)
                    if also is not None:
                        also(db)
            except BaseException:
                if target is not None:
                    remove(target)
                raise
        if old is not None and old["file"] is not None:
            # Somebody may be reading it: it goes an hour after it was replaced.
            with contextlib.suppress(OSError):
                os.utime(self.root / table / old["file"])

    def _find(self, table: str, name: str) -> dict[str, Any] | None:
        """Return the row of something that is used now, None if it is not here."""
        key = FILED[table]
        row = self.db.one(f'SELECT * FROM {table} WHERE "{key}" = ?', name)  # noqa: S608 - names of ours
        if row is None or not self._note_use(table, key, row):
            return None
        if not self._is_there(table, row):
            self._forget(table, row, "is missing")
            return None
        return row

    def _is_there(self, table: str, row: Mapping[str, Any]) -> bool:
        return row["file"] is None or (self.root / table / row["file"]).exists()

    def _forget(self, table: str, row: Mapping[str, Any], why: str) -> None:
        """Name a file no longer, so that whoever makes the same again can keep it."""
        key, path = FILED[table], self.root / table / row["file"]
        _log.warning("%s %s", path, why)
        query = f'DELETE FROM {table} WHERE "{key}" = ? AND file = ?'  # noqa: S608 - names of ours
        with contextlib.suppress(OSError, sqlite3.OperationalError):
            self.db.run(query, row[key], row["file"])
            if path.exists():
                path.replace(self.root / DAMAGED / path.name)
                os.utime(self.root / DAMAGED / path.name)

    def _load(self, table: str, row: Mapping[str, Any], read: Callable[[Path], T]) -> T | None:
        """Read a file, or set one aside that is damaged."""
        path = self.root / table / row["file"]
        try:
            return read(path)
        except MemoryError:
            raise
        except _DAMAGE as error:
            # What pyarrow cannot decode is an OSError too, without a number.
            if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT):
                raise
            self._forget(table, row, f"is damaged ({error})")
            return None

    def file_of(self, table: str, name: str) -> Path | None:
        """Return where the file or folder of something is, None if it is not here.

        Parameters
        ----------
        table : str
            "frames", "preparations" or "results".
        name : str
            Its digest, fingerprint or key.

        Returns
        -------
        Path or None
            It stays there for an hour at least.
        """
        row = self._find(table, name)
        return None if row is None or row["file"] is None else self.root / table / row["file"]

    def copy_from(self, other: Shelf, table: str, row: Mapping[str, Any]) -> None:
        """Keep what another one has.

        Parameters
        ----------
        other : Shelf
            The other one.
        table : str
            "frames", "preparations" or "results".
        row : mapping
            Its row there. A result replaces that of its key, nothing else replaces anything.

        Raises
        ------
        OSError, sqlite3.OperationalError
            If it cannot be read or written.
        """
        new, write = {**row, "file": None}, None
        if row["file"] is not None:
            path = other.root / table / row["file"]
            new["bytes"] -= size(path)

            def write(draft: Path) -> None:
                copy(path, draft)

        self.keep(table, new, write, replace=table == "results")

    # --- Upkeep ---------------------------------------------------------------------------

    def touch(self, table: str, key: str, name: str) -> bool:
        """Note, at most every few seconds, that something is used; return whether it is here."""
        row = self.db.one(f'SELECT "{key}", used FROM {table} WHERE "{key}" = ?', name)  # noqa: S608 - names of ours
        return row is not None and self._note_use(table, key, row)

    def _note_use(self, table: str, key: str, row: Mapping[str, Any]) -> bool:
        now = time.time()
        if abs(now - row["used"]) <= TOUCH_SECONDS:
            return True
        query = f'UPDATE {table} SET used = ? WHERE "{key}" = ?'  # noqa: S608 - names of ours
        try:
            # It may have been evicted since.
            return self.db.run(query, now, row[key]) > 0
        except sqlite3.OperationalError:
            return True

    def check_writable(self) -> None:
        """Write something and take it away again.

        Raises
        ------
        OSError, sqlite3.OperationalError
            If nothing can be written.
        """
        with self.draft() as draft:
            draft.write_bytes(bytes(PROBE_BYTES))
            flush(draft)
        with self.db.transaction():
            pass

    def sweep(self, *, every: float = SWEEP_SECONDS) -> None:
        """Remove what killed processes left and what has been replaced.

        A folder that cannot be written stays as it is.

        Parameters
        ----------
        every : float, default=600
            Nothing is done if this was done within so many seconds.
        """
        mark = self.root / UNFINISHED / "swept"
        with contextlib.suppress(OSError, sqlite3.OperationalError):
            if mark.exists() and abs(time.time() - mark.stat().st_mtime) < every:
                return
            mark.touch()
            for left in (self.root / UNFINISHED).iterdir():
                if left != mark and is_abandoned(left):
                    remove(left)
            for left in (self.root / DAMAGED).iterdir():
                if time.time() - left.stat().st_mtime > DAMAGED_SECONDS:
                    remove(left)
            for table in FILED:
                self._remove_unnamed(table)

    def _remove_unnamed(self, table: str) -> None:
        now = time.time()
        old = [
            path
            for path in (self.root / table).iterdir()
            if now - path.stat().st_mtime > READING_SECONDS
        ]
        if not old:
            return
        # Files are named in a transaction: while this one lasts, none is about to be.
        with self.db.transaction() as db:
            named = {row["file"] for row in db.execute(f"SELECT file FROM {table}")}  # noqa: S608 - names of ours
        for path in old:
            if path.name not in named:
                remove(path)
