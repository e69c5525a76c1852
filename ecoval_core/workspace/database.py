"""The workspace's database: one SQLite file in WAL mode, its schema and how an older one is brought up."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
BUSY_SECONDS = 15.0
# Marks the file as ours, so that another program's database is not taken for a workspace.
APPLICATION_ID = 0x45434F56

_FIRST = """
CREATE TABLE frames (
    digest TEXT PRIMARY KEY, file TEXT NOT NULL, bytes INTEGER NOT NULL, used REAL NOT NULL
);
CREATE TABLE tables (
    fingerprint TEXT PRIMARY KEY, frame TEXT NOT NULL, name TEXT NOT NULL, target TEXT NOT NULL,
    task TEXT NOT NULL, excluded TEXT NOT NULL, n_rows INTEGER NOT NULL, used REAL NOT NULL
);
CREATE INDEX tables_of_frame ON tables (frame);
CREATE TABLE preparations (
    fingerprint TEXT PRIMARY KEY, "table" TEXT NOT NULL, proportions TEXT NOT NULL, noise REAL NOT NULL,
    random_state INTEGER NOT NULL, file TEXT NOT NULL, bytes INTEGER NOT NULL, used REAL NOT NULL
);
CREATE TABLE results (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, preparation TEXT, valuation TEXT, parameters TEXT NOT NULL,
    payload TEXT NOT NULL, file TEXT, bytes INTEGER NOT NULL, created REAL NOT NULL, used REAL NOT NULL
);
CREATE INDEX results_of_valuation ON results (valuation, kind);
CREATE INDEX results_of_preparation ON results (preparation, kind);
CREATE TABLE runs (
    id TEXT PRIMARY KEY, valuation TEXT NOT NULL, preparation TEXT NOT NULL,
    settings TEXT NOT NULL, name TEXT NOT NULL, note TEXT NOT NULL, state TEXT NOT NULL, error TEXT,
    created REAL NOT NULL, deleted REAL
);
CREATE INDEX runs_by_date ON runs (created);
CREATE INDEX runs_of_valuation ON runs (valuation);
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
# Codes that say something of the disk and nothing of the statement.
_DISK = (
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
)  # fmt: skip


class WorkspaceError(ValueError):
    """A workspace that cannot be used; the message is one sentence for the user."""


class _State(NamedTuple):
    """What a file says of itself."""

    application: int
    version: int
    n_tables: int


class Database:
    """One SQLite file; a connection is opened for each use, so that threads and forks share nothing.

    Parameters
    ----------
    path : Path
        The file; made if it is not there.

    Raises
    ------
    WorkspaceError
        If the file is damaged, is not a workspace of this program, or is one of a later version.
    OSError, sqlite3.OperationalError
        If it cannot be opened or, where it is new or older, written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists() or self._version_of(self._read(_state_of)) < len(MIGRATIONS):
            self._bring_up()

    # --- Versions -------------------------------------------------------------------------

    def _version_of(self, state: _State) -> int:
        """Return the version of a file of ours, 0 for an empty file."""
        if state == (0, 0, 0):
            return 0
        if state.application != APPLICATION_ID or state.version < 1:
            raise WorkspaceError(
                f"{self.path} is the database of another program: set ECOVAL_WORKSPACE to another folder."
            )
        if state.version > len(MIGRATIONS):
            raise WorkspaceError(
                f"{self.path} was written by a later EcoVal (version {state.version} of the workspace; this "
                f"one knows {len(MIGRATIONS)}): install a later EcoVal, or set ECOVAL_WORKSPACE to another "
                "folder."
            )
        return state.version

    def _bring_up(self) -> None:
        with self.connect(create=True) as db:
            _insist(lambda: db.execute("PRAGMA journal_mode = WAL"))
            # Two servers may start at once on a new folder: whoever waited finds the work done.
            with _transaction(db):
                version = self._version_of(_state_of(db))
                try:
                    for script in MIGRATIONS[version:]:
                        for statement in _statements(script):
                            db.execute(statement)
                except sqlite3.Error as error:
                    if _primary_code(error) in (*_DISK, sqlite3.SQLITE_BUSY):
                        raise
                    raise WorkspaceError(
                        f"{self.path} is of version {version} of the workspace and cannot be brought to "
                        f"version {len(MIGRATIONS)} ({error}): it is as it was; set ECOVAL_WORKSPACE to "
                        "another folder."
                    ) from error
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    # --- Use ------------------------------------------------------------------------------

    @contextmanager
    def connect(self, *, create: bool = False, mode: str = "rw") -> Iterator[sqlite3.Connection]:
        """Open a connection in autocommit mode, whose rows can be read by name.

        Parameters
        ----------
        create : bool, default=False
            Make the file if it is not there.
        mode : str, default="rw"
            SQLite's mode, with further options of its addresses.

        Yields
        ------
        sqlite3.Connection
            Closed at the end.

        Raises
        ------
        WorkspaceError
            If the file is damaged or no database.
        """
        address = f"{self.path.absolute().as_uri()}?mode={'rwc' if create else mode}"
        try:
            db = sqlite3.connect(address, timeout=BUSY_SECONDS, isolation_level=None, uri=True)
            try:
                db.row_factory = sqlite3.Row
                db.execute("PRAGMA foreign_keys = ON")
                db.execute("PRAGMA synchronous = FULL")
                yield db
            finally:
                db.close()
        except sqlite3.DatabaseError as error:
            # Its subclasses are about the statement or the disk, itself it is about the file.
            if type(error) is not sqlite3.DatabaseError:
                raise
            raise WorkspaceError(
                f"{self.path} is not a workspace of EcoVal or is damaged ({error}): move it away, or set "
                "ECOVAL_WORKSPACE to another folder."
            ) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a connection and hold the right to write: what is done with it is kept whole or not at all."""
        with self.connect() as db, _transaction(db):
            yield db

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Read with a connection, on a full or read-only disk too."""
        try:
            with self.connect() as db:
                return work(db)
        except sqlite3.OperationalError as error:
            if _primary_code(error) not in _DISK or not self.path.exists():
                raise
            # WAL mode writes even to read. What a process that was killed left in the log can only be read
            # with the log's index; without a log the file is all there is.
            log = self.path.with_name(f"{self.path.name}-wal")
            has_log = log.exists() and log.stat().st_size > 0
            before = _stamp(self.path)
            with self.connect(mode="ro" if has_log else "ro&immutable=1") as db:
                found = work(db)
            if _stamp(self.path) != before:
                raise
            return found

    def all(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Return every row of a query, JSON columns as text."""
        return self._read(lambda db: [dict(row) for row in db.execute(query, values)])

    def one(self, query: str, *values: Any) -> dict[str, Any] | None:
        """Return the first row of a query, or None."""

        def first(db: sqlite3.Connection) -> dict[str, Any] | None:
            row = db.execute(query, values).fetchone()
            return None if row is None else dict(row)

        return self._read(first)

    def run(self, statement: str, *values: Any) -> int:
        """Execute one statement and return the number of rows it changed."""
        with self.connect() as db:
            return db.execute(statement, values).rowcount

    def put(
        self, table: str, row: Mapping[str, Any], *, n_keys: int = 1, keep: Sequence[str] = ()
    ) -> None:
        """Insert a row, or bring up the one with its primary key; see :func:`put`."""
        with self.connect() as db:
            put(db, table, row, n_keys=n_keys, keep=keep)


def put(
    db: sqlite3.Connection, table: str, row: Mapping[str, Any], *, n_keys: int = 1,
    keep: Sequence[str] = (),
) -> None:  # fmt: skip
    """Insert a row, or bring up the one with its primary key.

    Parameters
    ----------
    db : sqlite3.Connection
        From :meth:`Database.connect` or :meth:`Database.transaction`.
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
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({conflict}) {action}"  # noqa: S608 - names of ours
    db.execute(statement, values)


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


def _state_of(db: sqlite3.Connection) -> _State:
    """Read what a file says of itself in one statement, lest another process change it half-way."""
    query = (
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema) "
        "FROM pragma_application_id, pragma_user_version"
    )
    return _State(*db.execute(query).fetchone())


def _insist(work: Callable[[], object]) -> None:
    """Repeat what SQLite refuses at once, and not after the usual patience, while another process writes."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            work()
        except sqlite3.OperationalError as error:
            if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for piece in script.split(";"):
        statement += f"{piece};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
