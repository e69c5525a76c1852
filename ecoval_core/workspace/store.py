"""One folder in which everything finished is kept: tables, prepared tables, results, runs, desks.

Frames are Parquet files, everything else is a row of the database. A file is written under another name,
flushed, renamed, and named in the database last: whatever the database names is whole.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from ecoval_core.tables import Prepared, Table
from ecoval_core.workspace.database import Database
from ecoval_core.workspace.parquet import read_arrays, read_frame, write_arrays, write_frame

DATABASE = "ecoval.sqlite"
# Folders being written; what a killed process left there goes at the next start.
UNFINISHED = "unfinished"
STALE_SECONDS = 24 * 3600
TOUCH_SECONDS = 300


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


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _flush(path: Path) -> None:
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class Store:
    """A workspace folder.

    Parameters
    ----------
    root : Path
        The folder; made if it is not there.

    Raises
    ------
    WorkspaceError
        If the folder holds another program's database or a later version of ours.
    OSError, sqlite3.OperationalError
        If it cannot be made, read or written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("frames", "preparations", "results", UNFINISHED):
            (root / folder).mkdir(parents=True, exist_ok=True)
        self.db = Database(root / DATABASE)
        self._sweep()

    def _sweep(self) -> None:
        for left in (self.root / UNFINISHED).iterdir():
            try:
                if time.time() - left.stat().st_mtime > STALE_SECONDS:
                    remove(left)
            except OSError:
                continue

    def _write(self, target: Path, write: Callable[[Path], Any]) -> int:
        """Write a file or a folder whole or not at all; return its bytes."""
        draft = self.root / UNFINISHED / f"{target.name}-{uuid4().hex}"
        try:
            write(draft)
            _flush(draft)
            size = _size(draft)
            if target.is_dir():
                # Only a killed writer leaves a folder that the database does not name.
                remove(target)
            draft.replace(target)
            _flush(target.parent)
        finally:
            remove(draft)
        return size

    # --- Tables ---------------------------------------------------------------------------

    def save_frame(self, digest: str, frame: Any) -> None:
        """Keep a frame under the digest of its content.

        Parameters
        ----------
        digest : str
            Its digest.
        frame : DataFrame
            What was read.
        """
        if self.touch("frames", "digest", digest):
            return
        target = self.root / "frames" / f"{digest}.parquet"
        size = self._write(target, lambda draft: write_frame(frame, draft))
        self.db.put("frames", {"digest": digest, "bytes": size, "used": time.time()})

    def load_frame(self, digest: str) -> Any | None:
        """Return a frame, or None if it is not here."""
        path = self.root / "frames" / f"{digest}.parquet"
        return read_frame(path) if self.touch("frames", "digest", digest) else None

    def save_table(self, table: Table) -> None:
        """Keep what was chosen about a frame; the frame itself is kept already."""
        self.db.put(
            "tables",
            {
                "fingerprint": table.fingerprint, "frame": table.content, "name": table.name,
                "target": table.target, "task": table.task, "excluded": dict(table.excluded),
                "n_rows": table.n_rows, "used": time.time(),
            },
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

    def save_prepared(self, prepared: Prepared) -> None:
        """Keep a prepared table, its table included, without the fitted vectoriser."""
        self.save_table(prepared.table)
        fingerprint = prepared.fingerprint
        if self.touch("preparations", "fingerprint", fingerprint):
            return
        target = self.root / "preparations" / fingerprint

        def write(draft: Path) -> None:
            draft.mkdir()
            for part in ("train", "val", "test"):
                arrays = {name: getattr(prepared, f"{name}_{part}") for name in ("X", "y", "ids")}
                if part == "train":
                    arrays["y_clean"] = prepared.y_train_clean
                write_arrays(arrays, draft / f"{part}.parquet")
            write_arrays({"ids": prepared.flipped_ids}, draft / "flipped.parquet")

        size = self._write(target, write)
        self.db.put(
            "preparations",
            {
                "fingerprint": fingerprint, "table": prepared.table.fingerprint,
                "proportions": prepared.proportions, "noise": prepared.noise,
                "random_state": prepared.random_state, "bytes": size, "used": time.time(),
            },
        )  # fmt: skip

    def load_prepared(self, fingerprint: str) -> Prepared | None:
        """Return a prepared table, or None if it is not here."""
        row = self.db.one("SELECT * FROM preparations WHERE fingerprint = ?", fingerprint)
        table = None if row is None else self.load_table(row["table"])
        if row is None or table is None:
            return None
        self.touch("preparations", "fingerprint", fingerprint)
        folder = self.root / "preparations" / fingerprint
        parts = {}
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

    # --- Results --------------------------------------------------------------------------

    def save_result(
        self, key: str, kind: str, parameters: dict[str, Any], payload: dict[str, Any],
        write: Callable[[Path], None] | None = None,
    ) -> None:  # fmt: skip
        """Keep what a piece of work found.

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
        """
        size = 0
        if write is not None:

            def write_folder(draft: Path) -> None:
                draft.mkdir()
                write(draft)

            size = self._write(self.root / "results" / key, write_folder)
        now = time.time()
        self.db.put(
            "results",
            {
                "key": key, "kind": kind, "preparation": parameters.get("preparation"),
                "valuation": parameters.get("valuation"), "parameters": parameters, "payload": payload,
                "bytes": size, "created": now, "used": now,
            },
        )  # fmt: skip

    def find_result(self, key: str) -> Result | None:
        """Return a result, or None if it is not here."""
        row = self.db.one("SELECT * FROM results WHERE key = ?", key)
        if row is None:
            return None
        self.touch("results", "key", key)
        return self._result(row)

    def results_of(self, valuation: str, kind: str) -> list[Result]:
        """Return the results of a kind that belong to a valuation, the latest last."""
        query = "SELECT * FROM results WHERE valuation = ? AND kind = ? ORDER BY created"
        return [self._result(row) for row in self.db.all(query, valuation, kind)]

    def _result(self, row: dict[str, Any]) -> Result:
        parameters, payload = json.loads(row["parameters"]), json.loads(row["payload"])
        folder = self.root / "results" / row["key"]
        return Result(row["key"], row["kind"], parameters, payload, folder, row["created"])

    # --- Upkeep ---------------------------------------------------------------------------

    def touch(self, table: str, key: str, name: str) -> bool:
        """Note, at most every few minutes, that something is used; return whether it is here."""
        row = self.db.one(f'SELECT used FROM {table} WHERE "{key}" = ?', name)  # noqa: S608 - names of ours
        if row is not None and time.time() - row["used"] > TOUCH_SECONDS:
            self.db.run(f'UPDATE {table} SET used = ? WHERE "{key}" = ?', time.time(), name)  # noqa: S608
        return row is not None


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
