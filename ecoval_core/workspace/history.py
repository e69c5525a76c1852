"""Runs by name, and the desks laid out for them: what the visitor selected, pruned and decided."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal
from uuid import uuid4

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.workspace.runs import Settings
from ecoval_core.workspace.store import Store

RunState = Literal["started", "cancelled", "error", "done"]
# A deleted run can be had back for so long.
UNDO_SECONDS = 7 * 24 * 3600
MAX_DESKS = 500


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
    state : {"started", "cancelled", "error", "done"}
        "started" where no result is there (yet): it runs, or was interrupted.
    error : str or None
        Why it failed.
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


_RUNS = """
SELECT runs.*, results.payload AS payload, tables.name AS table_name, tables.target AS target
FROM runs
LEFT JOIN results ON results.key = runs.valuation
LEFT JOIN preparations ON preparations.fingerprint = runs.preparation
LEFT JOIN tables ON tables.fingerprint = preparations."table"
"""


def _record(row: dict[str, Any]) -> RunRecord:
    done = row["payload"] is not None
    return RunRecord(
        id=row["id"], valuation=row["valuation"], preparation=row["preparation"],
        settings=Settings(**json.loads(row["settings"])), name=row["name"], note=row["note"],
        state="done" if done else row["state"], error=None if done else row["error"],
        created=row["created"], deleted=row["deleted"],
        summary=json.loads(row["payload"]) if done else {}, table=row["table_name"] or "",
        target=row["target"] or "",
    )  # fmt: skip


def start_run(
    store: Store, valuation: str, preparation: str, settings: Settings, name: str
) -> str:
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
        Name of a new run.

    Returns
    -------
    str
        Id of the run.
    """
    row = store.db.one("SELECT id FROM runs WHERE valuation = ?", valuation)
    if row is not None:
        change_run(store, row["id"], state="started", error=None, deleted=None)
        return str(row["id"])
    run_id = uuid4().hex
    store.db.put(
        "runs",
        {
            "id": run_id, "valuation": valuation, "preparation": preparation,
            "settings": asdict(settings), "name": name, "note": "", "state": "started", "error": None,
            "created": time.time(), "deleted": None,
        },
    )  # fmt: skip
    return run_id


def change_run(store: Store, run_id: str, **columns: Any) -> None:
    """Change the name, note, state, error or date of deletion of a run."""
    changed = ", ".join(f'"{name}" = ?' for name in columns)
    store.db.run(f"UPDATE runs SET {changed} WHERE id = ?", *columns.values(), run_id)  # noqa: S608 - names of ours


def find_run(store: Store, run_id: str) -> RunRecord | None:
    """Return a run, deleted or not, or None if it is not here."""
    row = store.db.one(f"{_RUNS} WHERE runs.id = ?", run_id)
    return None if row is None else _record(row)


def list_runs(store: Store, *, deleted: bool = False) -> list[RunRecord]:
    """Return the runs, the latest first.

    Parameters
    ----------
    store : Store
        The workspace.
    deleted : bool, default=False
        Return those that were deleted instead.

    Returns
    -------
    list of RunRecord
        The runs.
    """
    which = "IS NOT NULL" if deleted else "IS NULL"
    rows = store.db.all(f"{_RUNS} WHERE runs.deleted {which} ORDER BY runs.created DESC, runs.rowid")
    return [_record(row) for row in rows]


def delete_run(store: Store, run_id: str) -> None:
    """Delete a run; :func:`restore_run` has it back for a week."""
    change_run(store, run_id, deleted=time.time())


def restore_run(store: Store, run_id: str) -> None:
    """Take a deletion back."""
    change_run(store, run_id, deleted=None)


def purge_deleted(store: Store, older_than: float = UNDO_SECONDS) -> int:
    """Forget the runs deleted longer ago than so many seconds, with their desks; return how many."""
    with store.db.connect() as db:
        db.execute("BEGIN IMMEDIATE")
        gone = db.execute("DELETE FROM runs WHERE deleted < ?", (time.time() - older_than,))
        db.execute("DELETE FROM desks WHERE run NOT IN (SELECT id FROM runs)")
        db.execute("COMMIT")
        return gone.rowcount


# --- Desks ---------------------------------------------------------------------------------


def rules_to_json(rules: PruneList) -> dict[str, Any]:
    """Return a prune list as JSON takes it."""
    return {**asdict(rules), "picked": sorted(rules.picked), "restored": sorted(rules.restored)}


def rules_from_json(kept: Mapping[str, Any]) -> PruneList:
    """Return the prune list that :func:`rules_to_json` wrote."""
    picked, restored = frozenset(kept["picked"]), frozenset(kept["restored"])
    return PruneList(**{**kept, "picked": picked, "restored": restored})


@dataclass(frozen=True)
class Desk:
    """What a visitor has made of a run.

    Attributes
    ----------
    run : str
        Id of the run.
    visitor : str
        Whose it is.
    selection : dict
        View: selected rows, picked row and whatever else the screens keep.
    decisions : dict of str to dict
        By kind ("prune", "labels"): present, past and future, as JSON takes them.
    """

    run: str
    visitor: str
    selection: dict[str, Any]
    decisions: dict[str, dict[str, Any]]


def save_desk(store: Store, desk_id: str, desk: Desk) -> None:
    """Keep a desk under its id, whole or not at all."""
    now = time.time()
    with store.db.connect() as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute(
            "INSERT INTO desks VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET run = excluded.run, "
            "visitor = excluded.visitor, selection = excluded.selection, updated = excluded.updated",
            (desk_id, desk.run, desk.visitor, json.dumps(desk.selection), now),
        )
        db.execute("DELETE FROM decisions WHERE desk = ?", (desk_id,))
        for kind, made in desk.decisions.items():
            kept = (json.dumps(made[when]) for when in ("present", "past", "future"))
            db.execute("INSERT INTO decisions VALUES (?, ?, ?, ?, ?)", (desk_id, kind, *kept))
        # The latest of every run stays, however old.
        db.execute(
            "DELETE FROM desks WHERE id NOT IN (SELECT id FROM desks ORDER BY updated DESC LIMIT ?) AND id "
            "NOT IN (SELECT id FROM desks AS d WHERE updated = (SELECT max(updated) FROM desks WHERE run = "
            "d.run))",
            (MAX_DESKS,),
        )
        db.execute("COMMIT")


def find_desk(store: Store, desk_id: str) -> Desk | None:
    """Return a desk, or None if it is not here."""
    row = store.db.one("SELECT * FROM desks WHERE id = ?", desk_id)
    if row is None:
        return None
    made = store.db.all("SELECT * FROM decisions WHERE desk = ?", desk_id)
    decisions = {
        one["kind"]: {when: json.loads(one[when]) for when in ("present", "past", "future")}
        for one in made
    }
    return Desk(row["run"], row["visitor"], json.loads(row["selection"]), decisions)


def latest_desk(store: Store, run_id: str) -> str | None:
    """Return the id of the desk of a run that was changed last, or None."""
    query = "SELECT id FROM desks WHERE run = ? ORDER BY updated DESC, rowid DESC LIMIT 1"
    row = store.db.one(query, run_id)
    return None if row is None else str(row["id"])
