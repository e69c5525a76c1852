"""Moving: what a spare folder holds goes to the folder that it stood in for."""

from __future__ import annotations

import sqlite3
from typing import Any

from ecoval_core.workspace.database import put
from ecoval_core.workspace.shelf import FILED
from ecoval_core.workspace.store import Store


def bring_home(spare: Store, home: Store) -> None:
    """Move everything that a spare store holds to another store.

    A run, a desk or a result that both have is taken from the one where it was written last. Files stay
    where they were for whoever is reading them, and go when the spare store is swept.

    Parameters
    ----------
    spare : Store
        Where it is.
    home : Store
        Where it belongs.

    Raises
    ------
    OSError, sqlite3.OperationalError
        If something cannot be read or written; the spare store then holds all it held.
    """
    moved: list[tuple[str, Any, Any]] = []
    for table, key in FILED.items():
        for row in spare.db.all(f"SELECT * FROM {table}"):  # noqa: S608 - names of ours
            if row["file"] is None or (spare.root / table / row["file"]).exists():
                home.copy_from(spare, table, row)
            moved.append((table, row[key], row["file"]))
    # What is written there meanwhile waits, and stays.
    with spare.db.transaction() as there, home.db.transaction() as here:
        for row in there.execute("SELECT * FROM tables"):
            put(here, "tables", dict(row))
        for row in there.execute("SELECT * FROM runs"):
            put(here, "runs", dict(row))
        _bring_desks(there, here)
        here.execute(
            "UPDATE runs SET state = 'done', error = NULL WHERE valuation IN (SELECT key FROM results)"
        )
        for table, name, file in moved:
            there.execute(
                f'DELETE FROM {table} WHERE "{FILED[table]}" = ? AND file IS ?',  # noqa: S608
                (name, file),
            )
        for table in ("tables", "runs", "desks"):
            there.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours


def _bring_desks(there: sqlite3.Connection, here: sqlite3.Connection) -> None:
    for row in there.execute("SELECT * FROM desks"):
        newer = "SELECT 1 FROM desks WHERE id = ? AND updated > ?"
        if here.execute(newer, (row["id"], row["updated"])).fetchone():
            continue
        put(here, "desks", dict(row))
        here.execute("DELETE FROM decisions WHERE desk = ?", (row["id"],))
        for made in there.execute("SELECT * FROM decisions WHERE desk = ?", (row["id"],)):
            put(here, "decisions", dict(made), n_keys=2)


def is_empty(store: Store) -> bool:
    """Whether a store holds nothing that could be brought home."""
    tables = (*FILED, "runs", "desks")
    found = " OR ".join(f"EXISTS (SELECT 1 FROM {table})" for table in tables)  # noqa: S608 - names of ours
    row = store.db.one(f"SELECT {found} AS found")
    return row is None or not row["found"]
