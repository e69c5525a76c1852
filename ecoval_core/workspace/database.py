"""The workspace's database: one SQLite file in WAL mode, its schema and how an older one is brought up."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BUSY_SECONDS = 15.0
# Marks the file as ours, so that another program's database is not taken for a workspace.
APPLICATION_ID = 0x45434F56

_FIRST = """
CREATE TABLE frames (
    digest TEXT PRIMARY KEY, bytes INTEGER NOT NULL, used REAL NOT NULL
);
CREATE TABLE tables (
    fingerprint TEXT PRIMARY KEY, frame TEXT NOT NULL, name TEXT NOT NULL, target TEXT NOT NULL,
    task TEXT NOT NULL, excluded TEXT NOT NULL, n_rows INTEGER NOT NULL, used REAL NOT NULL
);
CREATE TABLE preparations (
    fingerprint TEXT PRIMARY KEY, "table" TEXT NOT NULL, proportions TEXT NOT NULL, noise REAL NOT NULL,
    random_state INTEGER NOT NULL, bytes INTEGER NOT NULL, used REAL NOT NULL
);
CREATE TABLE results (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, preparation TEXT, valuation TEXT, parameters TEXT NOT NULL,
    payload TEXT NOT NULL, bytes INTEGER NOT NULL, created REAL NOT NULL, used REAL NOT NULL
);
CREATE INDEX results_of_valuation ON results (valuation, kind);
CREATE TABLE runs (
    id TEXT PRIMARY KEY, valuation TEXT NOT NULL, preparation TEXT NOT NULL,
    settings TEXT NOT NULL, name TEXT NOT NULL, note TEXT NOT NULL, state TEXT NOT NULL, error TEXT,
    created REAL NOT NULL, deleted REAL
);
CREATE INDEX runs_by_date ON runs (created);
CREATE TABLE desks (
    id TEXT PRIMARY KEY, run TEXT NOT NULL, visitor TEXT NOT NULL,
    selection TEXT NOT NULL, updated REAL NOT NULL
);
CREATE INDEX desks_of_run ON desks (run, updated);
CREATE TABLE decisions (
    desk TEXT NOT NULL REFERENCES desks (id) ON DELETE CASCADE, kind TEXT NOT NULL, present TEXT NOT NULL,
    past TEXT NOT NULL, future TEXT NOT NULL, PRIMARY KEY (desk, kind)
);
"""
# One script a version; a database of version n has had the first n applied.
MIGRATIONS: tuple[str, ...] = (_FIRST,)


class WorkspaceError(ValueError):
    """A workspace that cannot be used; the message is one sentence for the user."""


class Database:
    """One SQLite file; a connection is opened for each use, so that threads and forks share nothing.

    Parameters
    ----------
    path : Path
        The file; made if it is not there.

    Raises
    ------
    WorkspaceError
        If the file is not a workspace of this program, or one of a later version.
    OSError, sqlite3.OperationalError
        If it cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.connect() as db:
            self._bring_up(db)

    def _bring_up(self, db: sqlite3.Connection) -> None:
        try:
            (application,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            is_new = not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            raise WorkspaceError(
                f"{self.path} is not a workspace of EcoVal or is damaged ({error}): move it away, or set "
                "ECOVAL_WORKSPACE to another folder."
            ) from error
        if not is_new and application != APPLICATION_ID:
            raise WorkspaceError(
                f"{self.path} is the database of another program: set ECOVAL_WORKSPACE to another folder."
            )
        if version > len(MIGRATIONS):
            raise WorkspaceError(
                f"{self.path} was written by a later EcoVal (version {version} of the workspace; this one "
                f"knows {len(MIGRATIONS)}): update EcoVal, or set ECOVAL_WORKSPACE to another folder."
            )
        if version == len(MIGRATIONS):
            return
        db.execute("PRAGMA journal_mode = WAL")
        # Two servers may start at once on a new folder: whoever waited finds the work done.
        db.execute("BEGIN IMMEDIATE")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        for script in MIGRATIONS[version:]:
            for statement in script.split(";"):
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        db.execute("COMMIT")

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """Open a connection in autocommit mode, whose rows can be read by name."""
        db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA synchronous = FULL")
            yield db
        finally:
            db.close()

    def all(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Return every row of a query, JSON columns as text."""
        with self.connect() as db:
            return [dict(row) for row in db.execute(query, values)]

    def one(self, query: str, *values: Any) -> dict[str, Any] | None:
        """Return the first row of a query, or None."""
        with self.connect() as db:
            row = db.execute(query, values).fetchone()
            return None if row is None else dict(row)

    def run(self, statement: str, *values: Any) -> int:
        """Execute one statement and return the number of rows it changed."""
        with self.connect() as db:
            return db.execute(statement, values).rowcount

    def put(
        self, table: str, row: Mapping[str, Any], *, n_keys: int = 1, keep: Sequence[str] = ()
    ) -> None:
        """Insert a row, or bring up the one with its primary key.

        Parameters
        ----------
        table : str
            Name of the table.
        row : mapping
            Values by column, the primary key first; dicts and lists are written as JSON.
        n_keys : int, default=1
            Columns of the primary key.
        keep : sequence of str, default=()
            Columns left as they are where the row is there already.
        """
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" for _ in row)
        keys = list(row)[:n_keys]
        changed = [name for name in row if name not in {*keys, *keep}]
        update = ", ".join(f'"{name}" = excluded."{name}"' for name in changed)
        action = f"DO UPDATE SET {update}" if changed else "DO NOTHING"
        conflict = ", ".join(f'"{name}"' for name in keys)
        values = [json.dumps(v) if isinstance(v, (dict, list, tuple)) else v for v in row.values()]
        statement = f'INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({conflict}) {action}'  # noqa: S608 - names of ours
        self.run(statement, *values)
