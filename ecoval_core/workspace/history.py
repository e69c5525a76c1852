"""Runs by name: what was valued in a workspace, what it is called, and what became of it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal
from uuid import uuid4

from ecoval_core.workspace.database import put
from ecoval_core.workspace.desks import (
    Desk,
    find_desk,
    latest_desk,
    rules_from_json,
    rules_to_json,
    save_desk,
)
from ecoval_core.workspace.runs import Settings
from ecoval_core.workspace.store import Store

__all__ = [
    "Desk", "RunRecord", "RunState", "add_run", "change_run", "delete_run", "find_desk", "find_run",
    "latest_desk", "list_runs", "purge_deleted", "rename_run", "restore_run", "rules_from_json",
    "rules_to_json", "run_of", "runs_of_frame", "save_desk", "start_run",
]  # fmt: skip

RunState = Literal["started", "cancelled", "error", "done", "missing"]
_VALUES_GONE = "Its values are no longer kept: value the rows again."
_TABLE_GONE = "Its table is no longer kept: load the file again."
# A deleted run can be had back for so long.
UNDO_SECONDS = 7 * 24 * 3600
MAX_NAME, MAX_NOTE = 200, 10_000
_CHANGEABLE = {"name", "note", "state", "error", "deleted"}


@dataclass(frozen=True)
class RunRecord:
    """A run as the list of runs shows it.

    Attributes
    ----------
    id : str
        Names the run in addresses.
    valuation : str
        Key of the result that holds its values.
    preparation : str
        Fingerprint of the prepared table.
    settings : Settings
        What it is made with.
    name, note : str
        The visitor's words; a new run is named after its table.
    state : {"started", "cancelled", "error", "done", "missing"}
        "started" where no result is there (yet): it runs, or was interrupted. "missing" where it was
        finished, but its values or its table are no longer kept.
    error : str or None
        Why it failed, or what is missing; one sentence.
    created : float
        Seconds since the epoch.
    deleted : float or None
        When it was deleted.
    summary : dict
        What the list shows of the result: seconds, surplus, full_score, n_rows, reliable; empty without one.
    table : str
        Name of the table.
    target : str
        Column predicted.
    frame : str
        Digest of the table's content, the same for every choice of target and columns.
    n_bytes : int
        What its files take: table, prepared table, values, curves, effects; what it shares with other runs
        is counted for each.
    """

    id: str
    valuation: str
    preparation: str
    settings: Settings
    name: str
    note: str
    state: RunState
    error: str | None
    created: float
    deleted: float | None
    summary: dict[str, Any]
    table: str
    target: str
    frame: str = ""
    n_bytes: int = 0

    @property
    def has_table(self) -> bool:
        """Whether its table is kept: without values its rows can then be valued again."""
        return self.error != _TABLE_GONE


_RUNS = """
SELECT runs.*, results.payload AS payload, results.file AS result_file, tables.name AS table_name,
    tables.target AS target, tables.frame AS frame, preparations.file AS preparation_file,
    frames.file AS frame_file,
    coalesce(results.bytes, 0) + coalesce(preparations.bytes, 0) + coalesce(frames.bytes, 0) + (
        SELECT coalesce(sum(bytes), 0) FROM results AS made WHERE made.valuation = runs.valuation
    ) + (
        SELECT coalesce(sum(bytes), 0) FROM results AS made
        WHERE made.preparation = runs.preparation AND made.valuation IS NULL AND made.kind <> 'value'
    ) AS n_bytes
FROM runs
LEFT JOIN results ON results.key = runs.valuation
LEFT JOIN preparations ON preparations.fingerprint = runs.preparation
LEFT JOIN tables ON tables.fingerprint = preparations."table"
LEFT JOIN frames ON frames.digest = tables.frame
"""


def _record(store: Store, row: dict[str, Any]) -> RunRecord:
    def is_there(folder: str, file: str | None) -> bool:
        return file is not None and (store.root / folder / file).exists()

    state, error = row["state"], row["error"]
    has_values = row["payload"] is not None and (
        row["result_file"] is None or is_there("results", row["result_file"])
    )
    if has_values or state == "done":
        state, error = "done", None
        if not has_values:
            state, error = "missing", _VALUES_GONE
        tabled = is_there("preparations", row["preparation_file"])
        if not tabled or not is_there("frames", row["frame_file"]):
            state, error = "missing", _TABLE_GONE
    return RunRecord(
        id=row["id"], valuation=row["valuation"], preparation=row["preparation"],
        settings=Settings(**json.loads(row["settings"])), name=row["name"], note=row["note"],
        state=state, error=error, created=row["created"], deleted=row["deleted"],
        summary=json.loads(row["payload"]) if row["payload"] is not None else {},
        table=row["table_name"] or "", target=row["target"] or "", frame=row["frame"] or "",
        n_bytes=row["n_bytes"],
    )  # fmt: skip


def start_run(store: Store, valuation: str, preparation: str, settings: Settings, name: str) -> str:
    """Note that a valuation was asked for, or find the run that did so before.

    Parameters
    ----------
    store : Store
        The workspace.
    valuation : str
        Key of the result that will hold the values.
    preparation : str
        Fingerprint of the prepared table.
    settings : Settings
        What it is made with.
    name : str
        Name of a new run; one that is taken gets a number.

    Returns
    -------
    str
        Id of the run.
    """
    with store.db.transaction() as db:
        run_id = run_of(db, valuation)
        if run_id is None:
            run_id = add_run(db, valuation, preparation, settings, name)
        else:
            _restore(db, run_id)
            db.execute("UPDATE runs SET state = 'started', error = NULL WHERE id = ?", (run_id,))
        finished = (
            "UPDATE runs SET state = 'done' WHERE id = ? AND valuation IN (SELECT key FROM results)"
        )
        db.execute(finished, (run_id,))
        return run_id


def run_of(db: sqlite3.Connection, valuation: str) -> str | None:
    """Return the id of the run of a valuation, deleted or not; None before there is one."""
    query = "SELECT id FROM runs WHERE valuation = ? ORDER BY deleted IS NOT NULL, created LIMIT 1"
    row = db.execute(query, (valuation,)).fetchone()
    return None if row is None else str(row["id"])


def add_run(
    db: sqlite3.Connection, valuation: str, preparation: str, settings: Settings, name: str,
    *, note: str = "", created: float | None = None,
) -> str:  # fmt: skip
    """Add a run in a transaction, and return its id.

    Parameters
    ----------
    db : sqlite3.Connection
        From :meth:`ecoval_core.workspace.database.Database.transaction`.
    valuation, preparation, settings, name
        As in :func:`start_run`.
    note : str, default=""
        The visitor's words.
    created : float or None, default=None
        Seconds since the epoch; None is now.

    Returns
    -------
    str
        Id of the run.
    """
    run_id = uuid4().hex
    put(
        db, "runs",
        {
            "id": run_id, "valuation": valuation, "preparation": preparation,
            "settings": asdict(settings), "name": _free_name(db, name), "note": note,
            "state": "started", "error": None, "created": created or time.time(), "deleted": None,
        },
    )  # fmt: skip
    return run_id


def _free_name(db: sqlite3.Connection, wanted: str, run_id: str = "") -> str:
    """Return a name, with a number where another run has it."""
    wanted = _one_line(wanted) or "Run"
    query = "SELECT name FROM runs WHERE deleted IS NULL AND id <> ?"
    taken = {row["name"] for row in db.execute(query, (run_id,))}
    name, number = wanted, 2
    while name in taken:
        ending = f" ({number})"
        name, number = wanted[: MAX_NAME - len(ending)] + ending, number + 1
    return name


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_NAME].strip()


def rename_run(store: Store, run_id: str, name: str) -> str | None:
    """Give a run another name.

    Parameters
    ----------
    store : Store
        The workspace.
    run_id : str
        Id of the run.
    name : str
        At most 200 characters of it are kept, on one line.

    Returns
    -------
    str or None
        The name it has now, which has a number where another run has that name; None if the run is not here.

    Raises
    ------
    ValueError
        If nothing is left of the name.
    """
    name = _checked_name(name)
    with store.db.transaction() as db:
        given = _free_name(db, name, run_id)
        found = db.execute("UPDATE runs SET name = ? WHERE id = ?", (given, run_id)).rowcount > 0
    return given if found else None


def _checked_name(name: str) -> str:
    kept = _one_line(name)
    if not kept:
        raise ValueError("A run needs a name: type at least one letter.")
    return kept


def change_run(store: Store, run_id: str, **columns: Any) -> bool:
    """Change the name, note, state, error or date of deletion of a run.

    Parameters
    ----------
    store : Store
        The workspace.
    run_id : str
        Id of the run.
    **columns
        New values; a name is kept as :func:`rename_run` keeps it, but may be another run's too, a note up to
        10,000 characters.

    Returns
    -------
    bool
        Whether the run is here.

    Raises
    ------
    TypeError
        If a run has no such thing to change.
    ValueError
        If nothing is left of the name.
    """
    if unknown := set(columns) - _CHANGEABLE:
        raise TypeError(f"A run has no {min(unknown)} that can be changed.")
    if "note" in columns:
        columns["note"] = columns["note"][:MAX_NOTE]
    if "name" in columns:
        columns["name"] = _checked_name(columns["name"])
    if not columns:
        return store.db.one("SELECT id FROM runs WHERE id = ?", run_id) is not None
    changed = ", ".join(f'"{name}" = ?' for name in columns)
    statement = f"UPDATE runs SET {changed} WHERE id = ?"  # noqa: S608 - names of ours
    return store.db.run(statement, *columns.values(), run_id) > 0


def find_run(store: Store, run_id: str) -> RunRecord | None:
    """Return a run, deleted or not, or None if it is not here."""
    row = store.db.one(f"{_RUNS} WHERE runs.id = ?", run_id)
    return None if row is None else _record(store, row)


def list_runs(store: Store, *, deleted: bool = False, search: str = "") -> list[RunRecord]:
    """Return the runs, the latest first.

    Parameters
    ----------
    store : Store
        The workspace.
    deleted : bool, default=False
        Return those that were deleted instead, the last deleted first.
    search : str, default=""
        Only runs that have every word of it in their name, note, table, target or model, in whatever case.

    Returns
    -------
    list of RunRecord
        The runs.
    """
    which = "IS NOT NULL" if deleted else "IS NULL"
    order = "runs.deleted DESC" if deleted else "runs.created DESC"
    rows = store.db.all(f"{_RUNS} WHERE runs.deleted {which} ORDER BY {order}, runs.rowid DESC")
    words = search.casefold().split()
    return [one for one in (_record(store, row) for row in rows) if _mentions(one, words)]


def _mentions(run: RunRecord, words: Iterable[str]) -> bool:
    parts = run.name, run.note, run.table, run.target, run.settings.model.replace("_", " ")
    text = "\n".join(parts).casefold()
    return all(word in text for word in words)


def runs_of_frame(store: Store, frame: str) -> list[RunRecord]:
    """Return the runs on one file, whatever split, seed, target or columns they have, the latest first.

    Tables that were mended in different ways are of one file too.

    Parameters
    ----------
    store : Store
        The workspace.
    frame : str
        Digest of the content of the table, ``table.content``, or of the file that it was read from.

    Returns
    -------
    list of RunRecord
        Those that were not deleted.
    """
    with_file = """
    WITH file_of AS (
        SELECT preparations.fingerprint AS preparation, tables.frame AS frame,
            coalesce(json_extract(mends.payload, '$.content'), tables.frame) AS file
        FROM preparations JOIN tables ON tables.fingerprint = preparations."table"
        LEFT JOIN results AS mends ON mends.preparation = preparations.fingerprint AND mends.kind = 'mends'
    )
    """
    of_file = """
    WHERE runs.deleted IS NULL AND runs.preparation IN (
        SELECT preparation FROM file_of
        WHERE file = ?1 OR file IN (SELECT file FROM file_of WHERE frame = ?1)
    )
    ORDER BY runs.created DESC, runs.rowid DESC
    """
    rows = store.db.all(f"{with_file}{_RUNS}{of_file}", frame)
    return [_record(store, row) for row in rows]


def delete_run(store: Store, run_id: str) -> bool:
    """Delete a run, which :func:`restore_run` has back for a week, or until its space is needed.

    Returns
    -------
    bool
        Whether it is here.
    """
    return change_run(store, run_id, deleted=time.time())


def restore_run(store: Store, run_id: str) -> bool:
    """Take a deletion back; a run whose name was given to another meanwhile gets a number.

    Returns
    -------
    bool
        Whether it is here.
    """
    with store.db.transaction() as db:
        return _restore(db, run_id)


def _restore(db: sqlite3.Connection, run_id: str) -> bool:
    row = db.execute("SELECT name, deleted FROM runs WHERE id = ?", (run_id,)).fetchone()
    if row is not None and row["deleted"] is not None:
        name = _free_name(db, row["name"], run_id)
        db.execute("UPDATE runs SET deleted = NULL, name = ? WHERE id = ?", (name, run_id))
    return row is not None


def purge_deleted(
    store: Store, older_than: float = UNDO_SECONDS, *, at_most: int | None = None
) -> int:
    """Forget runs that were deleted, with their desks, those deleted longest ago first.

    Parameters
    ----------
    store : Store
        The workspace.
    older_than : float, default=604800
        Seconds since the deletion.
    at_most : int or None, default=None
        How many; None forgets all.

    Returns
    -------
    int
        How many were forgotten.
    """
    query = "SELECT id FROM runs WHERE deleted < ? ORDER BY deleted LIMIT ?"
    which = (time.time() - older_than, -1 if at_most is None else at_most)
    if not store.db.all(query, *which):
        return 0
    with store.db.transaction() as db:
        gone = [(row["id"],) for row in db.execute(query, which)]
        db.executemany("DELETE FROM runs WHERE id = ?", gone)
        db.executemany("DELETE FROM desks WHERE run = ?", gone)
    return len(gone)
