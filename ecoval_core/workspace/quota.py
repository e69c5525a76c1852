"""How much a workspace may hold, and what goes first when it holds more."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ecoval_core.workspace.history import purge_deleted
from ecoval_core.workspace.store import Store, remove

ENVIRONMENT = "ECOVAL_WORKSPACE_MB"
DEFAULT_MB = 10_000
# Somebody may be about to value what was opened a moment ago.
IN_USE_SECONDS = 3600.0

_IN_USE = """
WITH named AS (SELECT valuation, preparation FROM runs)
"""
# From what is quickest to make again to what took longest; frames last, since they cannot be made again.
_EVICTABLE = {
    "results": (
        "key",
        "SELECT key AS name, bytes, used FROM results WHERE key NOT IN (SELECT valuation FROM named) "
        "AND (valuation IS NULL OR valuation NOT IN (SELECT valuation FROM named)) "
        "AND (preparation IS NULL OR kind = 'value' OR preparation NOT IN (SELECT preparation FROM named))",
    ),
    "preparations": (
        "fingerprint",
        "SELECT fingerprint AS name, bytes, used FROM preparations "
        "WHERE fingerprint NOT IN (SELECT preparation FROM named)",
    ),
    "frames": (
        "digest",
        "SELECT digest AS name, bytes, used FROM frames WHERE digest NOT IN (SELECT tables.frame FROM tables "
        'JOIN preparations ON preparations."table" = tables.fingerprint '
        "WHERE preparations.fingerprint IN (SELECT preparation FROM named))",
    ),
}


class QuotaError(ValueError):
    """The quota is used up by what is named in runs; the message is part of a sentence."""


def quota_bytes() -> int:
    """Return the quota that ``ECOVAL_WORKSPACE_MB`` sets, 10 GB without it."""
    named = os.environ.get(ENVIRONMENT, "")
    return int(float(named) * 2**20) if named else DEFAULT_MB * 2**20


def used_bytes(store: Store) -> int:
    """Return the bytes of all files that the database names."""
    counted = " + ".join(
        f"(SELECT coalesce(sum(bytes), 0) FROM {table})"  # noqa: S608 - names of ours
        for table in _EVICTABLE
    )
    row = store.db.one(f"SELECT {counted} AS total")
    return int(row["total"]) if row else 0


def evict(store: Store, n_bytes: int, *, in_use_seconds: float = IN_USE_SECONDS) -> int:
    """Forget what no run names, the longest unused first, until so many bytes are freed.

    Parameters
    ----------
    store : Store
        The workspace.
    n_bytes : int
        Bytes to free.
    in_use_seconds : float, default=3600
        What was used within this time stays.

    Returns
    -------
    int
        Bytes freed.
    """
    freed = 0
    for table, (key, query) in _EVICTABLE.items():
        rows = store.db.all(f"{_IN_USE} {query} ORDER BY used")
        for row in rows:
            if freed >= n_bytes:
                return freed
            if time.time() - row["used"] < in_use_seconds:
                continue
            # First the name, then the file: what is named is there.
            store.db.run(f'DELETE FROM {table} WHERE "{key}" = ?', row["name"])  # noqa: S608 - names of ours
            remove(_path(store, table, row["name"]))
            freed += row["bytes"]
    return freed


def _path(store: Store, table: str, name: str) -> Path:
    suffix = ".parquet" if table == "frames" else ""
    return store.root / table / f"{name}{suffix}"


def make_room(store: Store, max_bytes: int | None = None) -> None:
    """Bring a workspace within its quota.

    Parameters
    ----------
    store : Store
        The workspace.
    max_bytes : int or None, default=None
        Quota; None takes that of the environment.

    Raises
    ------
    QuotaError
        If what runs name takes all of it.
    """
    limit = quota_bytes() if max_bytes is None else max_bytes
    excess = used_bytes(store) - limit
    if excess <= 0:
        return
    freed = evict(store, excess)
    if freed < excess:
        purge_deleted(store, older_than=0.0)
        freed += evict(store, excess - freed, in_use_seconds=60.0)
    if freed < excess:
        raise QuotaError(
            f"its quota of {limit / 2**20:,.0f} MB is used up: delete runs on the Runs page"
        )
