"""How much a user of a shared server may upload in a day; kept in the user's folder, beyond a restart."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

ENVIRONMENT = "ECOVAL_UPLOAD_MB_PER_DAY"
DEFAULT_MB = 2_000
BUSY_SECONDS = 15.0
_SCHEMA = "CREATE TABLE IF NOT EXISTS uploads (day TEXT PRIMARY KEY, bytes INTEGER NOT NULL)"


def daily_bytes() -> int:
    """Return the bytes a day that ``ECOVAL_UPLOAD_MB_PER_DAY`` allows a user, 2,000 MB without it.

    Raises
    ------
    ValueError
        If the variable is not a positive number.
    """
    named = os.environ.get(ENVIRONMENT, "").strip()
    if not named:
        return DEFAULT_MB * 2**20
    try:
        megabytes = float(named)
    except ValueError:
        megabytes = -1.0
    if not 0 < megabytes < float("inf"):
        raise ValueError(f"{ENVIRONMENT} is {named!r}: give a number of megabytes above zero.")
    return int(megabytes * 2**20)


class UploadQuota:
    """What one user has uploaded today, and whether that is too much.

    A file is counted when it arrives. The one that crosses the limit still comes in, so that the page can
    say in words why it is refused; the next one does not.

    Parameters
    ----------
    folder : Path
        The user's workspace; made if it is not there.
    limit : int or None, default=None
        Bytes a day, by Universal Time; None takes :func:`daily_bytes`.

    Notes
    -----
    Where the folder cannot be written, the count is kept in memory instead: a full disk is no reason to
    refuse a file, nor to accept any number of them.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.path = folder / "uploads.sqlite"
        self.limit = daily_bytes() if limit is None else limit
        self._in_memory: dict[str, int] = {}
        self._lock = threading.Lock()

    @staticmethod
    def _today() -> str:
        return datetime.now(UTC).date().isoformat()

    def used(self) -> int:
        """Return the bytes counted today."""
        today = self._today()
        with self._lock:
            return self._stored(today) + self._in_memory.get(today, 0)

    def _stored(self, today: str) -> int:
        if not self.path.exists():
            return 0
        try:
            with closing(self._connect()) as db:
                row = db.execute("SELECT bytes FROM uploads WHERE day = ?", (today,)).fetchone()
        except sqlite3.Error:
            return 0
        return int(row[0]) if row else 0

    def admit(self, n_bytes: int) -> bool:
        """Count a file that is about to arrive, unless the limit is reached already.

        Parameters
        ----------
        n_bytes : int
            Its size.

        Returns
        -------
        bool
            Whether it may come in.
        """
        today = self._today()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connect()) as db:
                # Files that arrive at the same time, at another server even, are counted one by one.
                db.execute("BEGIN IMMEDIATE")
                db.execute(_SCHEMA)
                row = db.execute("SELECT bytes FROM uploads WHERE day = ?", (today,)).fetchone()
                if (row[0] if row else 0) >= self.limit:
                    db.execute("ROLLBACK")
                    return False
                db.execute("DELETE FROM uploads WHERE day < ?", (today,))
                db.execute(
                    "INSERT INTO uploads VALUES (?, ?) "
                    "ON CONFLICT (day) DO UPDATE SET bytes = bytes + excluded.bytes",
                    (today, n_bytes),
                )
                db.execute("COMMIT")
        except (OSError, sqlite3.Error):
            return self._admit_in_memory(today, n_bytes)
        return True

    def _admit_in_memory(self, today: str, n_bytes: int) -> bool:
        with self._lock:
            counted = self._in_memory.get(today, 0)
            if self._stored(today) + counted >= self.limit:
                return False
            self._in_memory = {today: counted + n_bytes}
            return True

    def check(self) -> None:
        """Refuse to go on if more was uploaded today than is allowed.

        Raises
        ------
        ValueError
            With the limit, and when uploads are counted from zero again.
        """
        if self.used() > self.limit:
            raise ValueError(self.refusal)

    @property
    def refusal(self) -> str:
        """What a user is told whose uploads of the day have reached the limit."""
        megabytes = self.limit / 2**20
        size = f"{megabytes:,.0f}" if megabytes >= 1 else f"{megabytes:.2g}"
        return (
            f"You have uploaded the {size} MB that this server takes from a user in a day: the count begins "
            "again at midnight, Universal Time."
        )

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
