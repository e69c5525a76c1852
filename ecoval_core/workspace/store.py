"""One SQLite file that keeps everything: results as BLOBs, runs and reviews as JSON documents.

SQLite promises that what was committed survives the end of the process at any moment, so there are no drafts,
no renames and no sweeping. A connection is opened for each use: threads, forks and servers share nothing.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENVIRONMENT, ENVIRONMENT_MB = "ECOVAL_WORKSPACE", "ECOVAL_WORKSPACE_MB"
DATABASE = "workspace.sqlite"
MAX_BLOB_BYTES = 900 * 2**20
BUSY_SECONDS = 15.0
# Somebody may be about to value what was opened a moment ago.
IN_USE_SECONDS = 3600.0
TOUCH_SECONDS = 15.0
# Mark the file as ours, so that another program's database is not taken for a workspace.
APPLICATION_ID, VERSION = 0x45434F56, 1
_SCHEMA = (
    """CREATE TABLE results (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, owner TEXT NOT NULL, arguments TEXT NOT NULL,
    summary TEXT NOT NULL, content BLOB NOT NULL, bytes INTEGER NOT NULL, created REAL NOT NULL,
    used REAL NOT NULL
)""",
    "CREATE INDEX results_of_owner ON results (owner, kind)",
    """CREATE TABLE runs (
    id TEXT PRIMARY KEY, key TEXT NOT NULL, split TEXT NOT NULL, frames TEXT NOT NULL,
    document TEXT NOT NULL, name TEXT NOT NULL, note TEXT NOT NULL, state TEXT NOT NULL, error TEXT,
    created REAL NOT NULL, deleted REAL
)""",
    "CREATE INDEX runs_of_key ON runs (key)",
    """CREATE TABLE reviews (
    id TEXT PRIMARY KEY, run TEXT NOT NULL,
    visitor TEXT NOT NULL, document TEXT NOT NULL, updated REAL NOT NULL
)""",
    "CREATE INDEX reviews_of_run ON reviews (run, updated)",
    "CREATE TRIGGER forget_reviews AFTER DELETE ON runs "
    "BEGIN DELETE FROM reviews WHERE run = old.id; END",
    "",
)
_ROW = "key, kind, arguments, summary, created"
FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_UNWRITABLE = (*FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


class WorkspaceError(ValueError):
    """A workspace that cannot be used; the message is one sentence for the user."""


@dataclass(frozen=True)
class Result:
    """A stored result without its content: what made it, and its summary."""

    key: str
    kind: str
    arguments: dict[str, Any]
    summary: dict[str, Any]
    created: float


class Store:
    """The database of one folder, which any number of threads and processes may use at once."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / DATABASE
        if not self.path.exists():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.connect() as db:
            if db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
                self._create(db)
            self._check_version(db)

    def _create(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _log_ahead(db)
        # Two servers may start at once on a new folder: whoever waited finds the work done.
        with _transaction(db):
            if db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
                for statement in _SCHEMA:
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {VERSION}")

    def _check_version(self, db: sqlite3.Connection) -> None:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION_ID:
            raise WorkspaceError(
                f"{self.path} is the database of another program: set {ENVIRONMENT} to another folder."
            )
        if version > VERSION:
            raise WorkspaceError(
                f"{self.path} was written by a later EcoVal (version {version} of the workspace; this one "
                f"knows {VERSION}): install a later EcoVal, or set {ENVIRONMENT} to another folder."
            )

    @contextmanager
    def connect(self, *, to_write: bool = False) -> Iterator[sqlite3.Connection]:
        """Open a connection in autocommit mode; a disk that cannot be written can still be read."""
        try:
            with closing(self._connect(to_write)) as db:
                db.row_factory = sqlite3.Row
                yield db
        except sqlite3.DatabaseError as error:
            # Its subclasses are about the statement or the disk, itself it is about the file.
            if type(error) is not sqlite3.DatabaseError:
                raise
            raise WorkspaceError(
                f"{self.path} is not a workspace of EcoVal or is damaged ({error}): move it away, or set "
                f"{ENVIRONMENT} to another folder."
            ) from error

    def _connect(self, to_write: bool) -> sqlite3.Connection:
        address = self.path.absolute().as_uri()
        # Without the index of its log, which a full disk has no room for, the file is read as it is: whoever
        # closed it last has brought in what was in the log.
        modes = ("rwc",) if to_write else ("rwc", "ro", "ro&immutable=1")
        for mode in modes:
            db = sqlite3.connect(
                f"{address}?mode={mode}", timeout=BUSY_SECONDS, isolation_level=None, uri=True
            )
            try:
                db.execute("PRAGMA synchronous = FULL")
                db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            except sqlite3.OperationalError as error:
                db.close()
                is_last = mode == modes[-1] or not self.path.exists()
                if is_last or code_of(error) not in _UNWRITABLE:
                    raise
            else:
                break
        return db

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a connection and hold the right to write: what is done is kept whole or not at all."""
        with self.connect(to_write=True) as db, _transaction(db):
            yield db

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Execute a statement and return its rows."""
        with self.connect() as db:
            return db.execute(query, values).fetchall()

    # --- Results --------------------------------------------------------------------------

    def save(
        self, key: str, kind: str, content: bytes, *, owner: str = "",
        arguments: Mapping[str, Any] | None = None, summary: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Keep a result in place of an earlier one of the same key; runs that waited for it are done."""
        if len(content) > MAX_BLOB_BYTES:
            raise ValueError(
                f"This result has {len(content) / 2**20:,.0f} MB, and the limit is "
                f"{MAX_BLOB_BYTES / 2**20:,.0f} MB: take fewer rows."
            )
        texts = [json.dumps(dict(one or {}), sort_keys=True) for one in (arguments, summary)]
        now = time.time()
        row = (key, kind, owner, *texts, content, len(content), now, now)
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            db.execute("UPDATE runs SET state = 'done', error = NULL WHERE key = ?", (key,))

    def find(self, key: str) -> Result | None:
        """Return a result without its content, or None if it is not here."""
        rows = self.rows(f"SELECT {_ROW} FROM results WHERE key = ?", key)
        return _result(rows[0]) if rows else None

    def content(self, key: str) -> bytes | None:
        """Return the content of a result and note its use, or None if it is not here."""
        with self.connect() as db:
            row = db.execute("SELECT content, used FROM results WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            if (now := time.time()) > row["used"] + TOUCH_SECONDS:
                with suppress(sqlite3.OperationalError):
                    db.execute("UPDATE results SET used = ? WHERE key = ?", (now, key))
            return bytes(row["content"])

    def results_of(self, owner: str, kind: str | None = None) -> list[Result]:
        """Return the results that belong to a run or a split, the latest last."""
        query = f"SELECT {_ROW} FROM results WHERE owner = ? AND kind = coalesce(?, kind) ORDER BY created"
        return [_result(row) for row in self.rows(query, owner, kind)]

    def remove(self, key: str) -> None:
        """Forget a result, which is then missing and can be made again."""
        self.rows("DELETE FROM results WHERE key = ?", key)

    # --- Quota ----------------------------------------------------------------------------

    def evict(self, n_bytes: int) -> int:
        """Forget what no run names, the longest unused first, tables last; return the bytes freed.

        Models go before all else, those of a run too: they are fitted again when new rows are valued.
        """
        until, freed = time.time() - IN_USE_SECONDS, 0
        with self.transaction() as db:
            runs = db.execute("SELECT key, split, frames FROM runs").fetchall()
            named = {row[name] for row in runs for name in ("key", "split")}
            named |= {digest for row in runs for digest in json.loads(row["frames"])}
            rows = db.execute(
                "SELECT key, kind, owner, bytes FROM results WHERE used < ? "
                "ORDER BY kind = 'models' DESC, kind = 'frame', used",
                (until,),
            ).fetchall()
            for row in rows:
                if freed >= n_bytes:
                    break
                if row["kind"] == "models" or named.isdisjoint((row["key"], row["owner"])):
                    db.execute("DELETE FROM results WHERE key = ?", (row["key"],))
                    freed += row["bytes"]
        with self.connect() as db:
            # `execute` would free one page and no more.
            db.executescript("PRAGMA incremental_vacuum")
        return freed

    def make_room(self, n_bytes: int, max_bytes: int) -> None:
        """Free what a new result needs within the quota; deleted runs go when nothing else can."""
        used = self.rows("SELECT coalesce(sum(bytes), 0) FROM results")[0][0]
        excess = used + n_bytes - max_bytes
        while excess > 0:
            freed = self.evict(excess)
            excess -= freed
            if excess > 0 and not (freed or self._purge_oldest_deleted()):
                raise WorkspaceError(
                    f"the quota of {max_bytes / 2**20:,.0f} MB ({ENVIRONMENT_MB}) is used up by the runs "
                    "that are kept: delete some of them on Runs"
                )

    def _purge_oldest_deleted(self) -> bool:
        query = "DELETE FROM runs WHERE id = (SELECT id FROM runs WHERE deleted IS NOT NULL ORDER BY deleted)"
        with self.connect() as db:
            return db.execute(query).rowcount > 0


def _result(row: sqlite3.Row) -> Result:
    texts = {name: json.loads(row[name]) for name in ("arguments", "summary")}
    return Result(**dict(row) | texts)


def reason_of(error: Exception, root: Path) -> str:
    """Say why a folder cannot be written."""
    if code_of(error) in FULL or getattr(error, "errno", None) == errno.ENOSPC:
        return "the disk is full"
    if root.exists() and not os.access(root, os.W_OK):
        return "it is read-only"
    return getattr(error, "strerror", None) or str(error)


def _log_ahead(db: sqlite3.Connection) -> None:
    """Have the database write to a log first; SQLite waits for nobody in this, so it is tried again."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if code_of(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def code_of(error: Exception) -> int:
    """Return the primary code of an error of SQLite, 0 for any other."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # A full disk has taken it back already.
        with suppress(sqlite3.OperationalError):
            db.execute("ROLLBACK")
        raise
