"""Desks: what a visitor has made of a run, what was selected, pruned and decided."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.workspace.database import put
from ecoval_core.workspace.store import Store

MAX_DESKS = 500


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
    with store.db.transaction() as db:
        put_desk(db, desk_id, desk, time.time())
        # The latest of every run stays, however old.
        db.execute(
            "DELETE FROM desks WHERE id NOT IN (SELECT id FROM desks ORDER BY updated DESC LIMIT ?) AND id "
            "NOT IN (SELECT id FROM desks AS d WHERE updated = (SELECT max(updated) FROM desks WHERE run = "
            "d.run))",
            (MAX_DESKS,),
        )


def put_desk(db: sqlite3.Connection, desk_id: str, desk: Desk, updated: float) -> None:
    """Write a desk in a transaction.

    Parameters
    ----------
    db : sqlite3.Connection
        From :meth:`ecoval_core.workspace.database.Database.transaction`.
    desk_id : str
        Its id.
    desk : Desk
        What is on it.
    updated : float
        When it was changed last, in seconds since the epoch.
    """
    row = {
        "id": desk_id, "run": desk.run, "visitor": desk.visitor, "selection": desk.selection,
        "updated": updated,
    }  # fmt: skip
    put(db, "desks", row)
    db.execute("DELETE FROM decisions WHERE desk = ?", (desk_id,))
    for kind, made in desk.decisions.items():
        kept = {when: json.dumps(made[when]) for when in ("present", "past", "future")}
        put(db, "decisions", {"desk": desk_id, "kind": kind, **kept}, n_keys=2)


def find_desk(store: Store, desk_id: str) -> Desk | None:
    """Return a desk, or None if it is not here."""
    # In one statement, so that it is read as it was at one moment.
    rows = store.db.all(
        "SELECT desks.run, desks.visitor, desks.selection, decisions.kind, decisions.present, "
        "decisions.past, decisions.future FROM desks LEFT JOIN decisions ON decisions.desk = desks.id "
        "WHERE desks.id = ?",
        desk_id,
    )
    if not rows:
        return None
    decisions = {
        one["kind"]: {when: json.loads(one[when]) for when in ("present", "past", "future")}
        for one in rows
        if one["kind"] is not None
    }
    return Desk(rows[0]["run"], rows[0]["visitor"], json.loads(rows[0]["selection"]), decisions)


def latest_desk(store: Store, run_id: str, visitor: str | None = None) -> str | None:
    """Return the id of the desk of a run that was changed last, or None.

    Parameters
    ----------
    store : Store
        The workspace.
    run_id : str
        Id of the run.
    visitor : str or None, default=None
        Whose desk; None takes anybody's.

    Returns
    -------
    str or None
        Id of the desk.
    """
    row = store.db.one(
        "SELECT id FROM desks WHERE run = ? AND visitor = coalesce(?, visitor) "
        "ORDER BY updated DESC, rowid DESC LIMIT 1",
        run_id, visitor,
    )  # fmt: skip
    return None if row is None else str(row["id"])
