"""One folder in which everything finished is kept: tables, prepared tables, results, runs, desks.

Frames are Parquet files, everything else is a row of the database. A file is written under another name and
flushed; then, in one transaction, it gets a name that no file ever had and the database names it. Whatever
the database names is whole, whenever a process is killed, and nothing that is being read changes.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from ecoval_core.tables import Prepared, Table
from ecoval_core.workspace.database import Database, put
from ecoval_core.workspace.files import copy, draft_in, flush, is_abandoned, remove, size
from ecoval_core.workspace.parquet import read_arrays, read_frame, write_arrays, write_frame

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


@dataclass(frozen=True)
class Result:
    """Something computed and kept.

    Attributes
    ----------
    key : str
        Digest of the work and its parameters.
    kind : str
        Name of the work.
    parameters : dict
        What it was computed from.
    payload : dict
        What is small of it.
    folder : Path
        Where its files are, if it has any.
    created : float
        Seconds since the epoch.
    """

    key: str
    kind: str
    parameters: dict[str, Any]
    payload: dict[str, Any]
    folder: Path
    created: float


class Store:
    """A workspace folder, which any number of threads and processes may use at once.

    Parameters
    ----------
    root : Path
        The folder; made, for its owner alone, if it is not there.

    Raises
    ------
    WorkspaceError
        If the folder holds another program's database, a later version of ours, or a damaged one.
    OSError, sqlite3.OperationalError
        If it cannot be made or read, or is new or of an older version and cannot be written.
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

    # --- Files ----------------------------------------------------------------------------

    def draft(self) -> contextlib.AbstractContextManager[Path]:
        """Give a path on the same disk to write a file or a folder to, which is gone at the end.

        Returns
        -------
        context manager
            Enters with the path, where nothing is yet.
        """
        return draft_in(self.root / UNFINISHED)

    def _keep(
        self, table: str, row: dict[str, Any], write: Callable[[Path], Any] | None, *,
        replace: bool = False, also: Callable[[sqlite3.Connection], Any] | None = None,
    ) -> None:  # fmt: skip
        """Write a file or a folder, and a row that names it, whole or not at all.

        Without `replace` whatever a row of this key names already stays. `also` is done in the same
        transaction.
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
        except Exception as error:
            # What pyarrow cannot decode is an OSError too, without a number.
            if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT):
                raise
            self._forget(table, row, f"is damaged ({error})")
            return None

    # --- Tables ---------------------------------------------------------------------------

    def save_frame(self, digest: str, frame: Any) -> None:
        """Keep a frame under the digest of its content.

        Parameters
        ----------
        digest : str
            Its digest.
        frame : DataFrame
            What was read.

        Raises
        ------
        ValueError
            If a column holds what cannot be kept; the message names it.
        OSError, sqlite3.OperationalError
            If it cannot be written.
        """
        if self._find("frames", digest) is None:
            row = {"digest": digest, "file": None, "bytes": 0, "used": time.time()}
            self._keep("frames", row, lambda draft: write_frame(frame, draft))

    def load_frame(self, digest: str) -> Any | None:
        """Return a frame, or None if it is not here."""
        row = self._find("frames", digest)
        return None if row is None else self._load("frames", row, read_frame)

    def save_table(self, table: Table, *, keep: bool = False) -> None:
        """Keep what was chosen about a frame; the frame itself is kept already.

        Parameters
        ----------
        table : Table
            The table.
        keep : bool, default=False
            Leave its name, and the reasons for leaving out columns, as they are where it is here already.
        """
        self.db.put(
            "tables",
            {
                "fingerprint": table.fingerprint, "frame": table.content, "name": table.name,
                "target": table.target, "task": table.task, "excluded": dict(table.excluded),
                "n_rows": table.n_rows, "used": time.time(),
            },
            keep=("name", "excluded") if keep else (),
        )  # fmt: skip

    def load_table(self, fingerprint: str) -> Table | None:
        """Return a table, or None if it is not here."""
        row = self.db.one("SELECT * FROM tables WHERE fingerprint = ?", fingerprint)
        frame = None if row is None else self.load_frame(row["frame"])
        if row is None or frame is None:
            return None
        self.touch("tables", "fingerprint", fingerprint)
        excluded = json.loads(row["excluded"])
        names = row["name"], frame, row["target"], row["task"], excluded
        return Table(*names, fingerprint, row["frame"])

    def save_prepared(self, prepared: Prepared, *, keep_table: bool = False) -> None:
        """Keep a prepared table, its table included, without the fitted vectoriser.

        Parameters
        ----------
        prepared : Prepared
            What is kept.
        keep_table : bool, default=False
            As `keep` in :meth:`save_table`.

        Raises
        ------
        OSError, sqlite3.OperationalError
            If it cannot be written.
        """
        self.save_table(prepared.table, keep=keep_table)
        if self._find("preparations", prepared.fingerprint) is not None:
            return

        def write(draft: Path) -> None:
            draft.mkdir()
            for part in ("train", "val", "test"):
                arrays = {name: getattr(prepared, f"{name}_{part}") for name in ("X", "y", "ids")}
                if part == "train":
                    arrays["y_clean"] = prepared.y_train_clean
                write_arrays(arrays, draft / f"{part}.parquet")
            write_arrays({"ids": prepared.flipped_ids}, draft / "flipped.parquet")

        row = {
            "fingerprint": prepared.fingerprint, "table": prepared.table.fingerprint,
            "proportions": prepared.proportions, "noise": float(prepared.noise),
            "random_state": int(prepared.random_state), "file": None, "bytes": 0, "used": time.time(),
        }  # fmt: skip
        self._keep("preparations", row, write)

    def load_prepared(self, fingerprint: str) -> Prepared | None:
        """Return a prepared table, or None if it is not here."""
        row = self._find("preparations", fingerprint)
        table = None if row is None else self.load_table(row["table"])
        if row is None or table is None:
            return None

        def read(folder: Path) -> Prepared:
            parts: dict[str, Any] = {}
            for part in ("train", "val", "test"):
                arrays = read_arrays(folder / f"{part}.parquet")
                clean = arrays.pop("y_clean", None)
                parts |= {f"{name}_{part}": array for name, array in arrays.items()}
                if clean is not None:
                    parts["y_train_clean"] = clean
            return Prepared(
                table=table, task=table.task, vectorizer=None,
                flipped_ids=read_arrays(folder / "flipped.parquet")["ids"],
                proportions=tuple(json.loads(row["proportions"])), noise=row["noise"],
                random_state=row["random_state"], fingerprint=fingerprint, **parts,
            )  # fmt: skip

        return self._load("preparations", row, read)

    # --- Results --------------------------------------------------------------------------

    def save_result(
        self, key: str, kind: str, parameters: dict[str, Any], payload: dict[str, Any],
        write: Callable[[Path], None] | None = None,
    ) -> None:  # fmt: skip
        """Keep what a piece of work found, in place of what the same work found before.

        Runs that wait for it are done.

        Parameters
        ----------
        key : str
            Digest of the work and its parameters.
        kind : str
            Name of the work.
        parameters : dict
            What it was computed from; "preparation" and "valuation" name what it belongs to.
        payload : dict
            What is small of it, fit for JSON.
        write : callable or None, default=None
            Writes its files into a folder that is there.

        Raises
        ------
        OSError, sqlite3.OperationalError
            If it cannot be written.
        """

        def write_folder(draft: Path) -> None:
            draft.mkdir()
            if write is not None:
                write(draft)

        now = time.time()
        row = {
            "key": key, "kind": kind, "preparation": parameters.get("preparation"),
            "valuation": parameters.get("valuation"), "parameters": parameters, "payload": payload,
            "file": None, "bytes": len(json.dumps([parameters, payload])), "created": now, "used": now,
        }  # fmt: skip
        self._keep(
            "results", row, None if write is None else write_folder, replace=True,
            also=lambda db: note_finished(db, key),
        )  # fmt: skip

    def find_result(self, key: str) -> Result | None:
        """Return a result, or None if it is not here."""
        row = self._find("results", key)
        return None if row is None else self._result(row)

    def results_of(self, valuation: str, kind: str | None = None) -> list[Result]:
        """Return what belongs to a valuation, one for each choice of parameters, the latest last.

        Parameters
        ----------
        valuation : str
            Key of the valuation.
        kind : str or None, default=None
            Name of the work; None returns every kind.

        Returns
        -------
        list of Result
            Those whose files are there.
        """
        query = "SELECT * FROM results WHERE valuation = ? AND kind = coalesce(?, kind) ORDER BY created"
        rows = self.db.all(query, valuation, kind)
        return [self._result(row) for row in rows if self._is_there("results", row)]

    def results_of_preparation(self, preparation: str, kind: str) -> list[Result]:
        """Return the results of a kind that belong to a prepared table alone, the latest last."""
        which = "preparation = ? AND valuation IS NULL AND kind = ?"
        query = f"SELECT * FROM results WHERE {which} ORDER BY created"  # noqa: S608 - names of ours
        rows = self.db.all(query, preparation, kind)
        return [self._result(row) for row in rows if self._is_there("results", row)]

    def _result(self, row: dict[str, Any]) -> Result:
        parameters, payload = json.loads(row["parameters"]), json.loads(row["payload"])
        folder = self.root / "results" / (row["file"] or row["key"])
        return Result(row["key"], row["kind"], parameters, payload, folder, row["created"])

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

    def copy_from(self, other: Store, table: str, row: Mapping[str, Any]) -> None:
        """Keep what another store has.

        Parameters
        ----------
        other : Store
            The other store.
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

        self._keep(table, new, write, replace=table == "results")

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


def note_finished(db: sqlite3.Connection, valuation: str) -> None:
    """Note that the runs of a valuation have what they waited for."""
    db.execute("UPDATE runs SET state = 'done', error = NULL WHERE valuation = ?", (valuation,))
