"""One folder in which everything finished is kept: tables, prepared tables, results, runs, desks.

Frames are Parquet files, everything else is a row of the database. How a file comes to be whole or not there
at all is told in :mod:`ecoval_core.workspace.shelf`.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ecoval_core.tables import Prepared, Table
from ecoval_core.workspace.parquet import read_arrays, read_frame, write_arrays, write_frame
from ecoval_core.workspace.shelf import Shelf

T = TypeVar("T")


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


class Store(Shelf):
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
            self.keep("frames", row, lambda draft: write_frame(frame, draft))

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
        self.keep("preparations", row, write)

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
        self.keep(
            "results", row, None if write is None else write_folder, replace=True,
            also=lambda db: note_finished(db, key),
        )  # fmt: skip

    def find_result(self, key: str) -> Result | None:
        """Return a result, or None if it is not here."""
        row = self._find("results", key)
        return None if row is None else self._result(row)

    def read_result(self, key: str, read: Callable[[Result], T]) -> T | None:
        """Return what a result holds; one whose files are damaged is set aside, to be made again.

        Parameters
        ----------
        key : str
            Key of the result.
        read : callable
            Takes the result.

        Returns
        -------
        object or None
            What `read` returned; None if it is not here.

        Raises
        ------
        OSError
            If the disk refuses to be read.
        """
        row = self._find("results", key)
        if row is None:
            return None
        found = self._result(row)
        return (
            read(found)
            if row["file"] is None
            else self._load("results", row, lambda _: read(found))
        )

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


def note_finished(db: sqlite3.Connection, valuation: str) -> None:
    """Note that the runs of a valuation have what they waited for."""
    db.execute("UPDATE runs SET state = 'done', error = NULL WHERE valuation = ?", (valuation,))
