"""How much a workspace may hold, and what goes first when it holds more."""

from __future__ import annotations

import math
import os
import time

from ecoval_core.workspace.database import WorkspaceError
from ecoval_core.workspace.files import remove
from ecoval_core.workspace.history import purge_deleted
from ecoval_core.workspace.shelf import FILED, TOUCH_SECONDS
from ecoval_core.workspace.store import Store

ENVIRONMENT = "ECOVAL_WORKSPACE_MB"
DEFAULT_MB = 10_000
# Somebody may be about to value what was opened a moment ago.
IN_USE_SECONDS = 3600.0
# Use is noted every few seconds only: what is read at this moment was noted within this time.
LEAST_IN_USE_SECONDS = 4 * TOUCH_SECONDS

# What no run names, from what is quickest to make again to what took longest; frames last, since they cannot
# be made again. A result is named through the valuation that it belongs to, or else through the preparation.
_EVICTABLE = {
    "results": (
        "key NOT IN (SELECT valuation FROM runs) AND CASE "
        "WHEN valuation IS NOT NULL THEN valuation NOT IN (SELECT valuation FROM runs) "
        "WHEN preparation IS NULL OR kind = 'value' THEN TRUE "
        "ELSE preparation NOT IN (SELECT preparation FROM runs) END"
    ),
    "preparations": "fingerprint NOT IN (SELECT preparation FROM runs)",
    "frames": (
        "digest NOT IN (SELECT tables.frame FROM tables "
        'JOIN preparations ON preparations."table" = tables.fingerprint '
        "JOIN runs ON runs.preparation = preparations.fingerprint) "
        # The file that the table of a run was mended from.
        "AND digest NOT IN (SELECT coalesce(json_extract(results.payload, '$.content'), '') FROM results "
        "JOIN runs ON runs.preparation = results.preparation WHERE results.kind = 'mends')"
    ),
}


class QuotaError(ValueError):
    """The quota is used up by what is named in runs; the message is part of a sentence."""


def quota_bytes() -> int:
    """Return the quota that ``ECOVAL_WORKSPACE_MB`` sets, 10 GB without it.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    WorkspaceError
        If the variable holds no number above 0.
    """
    named = os.environ.get(ENVIRONMENT, "").strip()
    try:
        megabytes = float(named) if named else float(DEFAULT_MB)
    except ValueError:
        megabytes = math.nan
    if not 0 < megabytes < math.inf:
        raise WorkspaceError(f"{ENVIRONMENT} is {named!r}: give a number of megabytes above 0.")
    return int(megabytes * 2**20)


def used_bytes(store: Store) -> int:
    """Return the bytes of everything that the database names."""
    counted = " + ".join(
        f"(SELECT coalesce(sum(bytes), 0) FROM {table})"  # noqa: S608 - names of ours
        for table in FILED
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
        What was used within this time stays; no less than a minute, since somebody may be reading it.

    Returns
    -------
    int
        Bytes freed.
    """
    freed = 0
    until = time.time() - max(in_use_seconds, LEAST_IN_USE_SECONDS)
    for table, condition in _EVICTABLE.items():
        key = FILED[table]
        may_go = f"used < ? AND {condition}"
        query = f'SELECT "{key}" AS name, file, bytes FROM {table} WHERE {may_go} ORDER BY used'  # noqa: S608
        for row in store.db.all(query, until):
            if freed >= n_bytes:
                return freed
            # First the name, then the file: what is named is there. Since it was listed it may have been
            # opened, named by a run, or made anew.
            gone = store.db.run(
                f'DELETE FROM {table} WHERE "{key}" = ? AND file IS ? AND {may_go}',  # noqa: S608
                row["name"], row["file"], until,
            )  # fmt: skip
            if gone:
                if row["file"] is not None:
                    remove(store.root / table / row["file"])
                freed += row["bytes"]
    store.db.run(
        "DELETE FROM tables WHERE used < ? AND frame NOT IN (SELECT digest FROM frames) "
        'AND fingerprint NOT IN (SELECT "table" FROM preparations)',
        until,
    )
    return freed


def make_room(store: Store, max_bytes: int | None = None) -> None:
    """Bring a workspace within its quota.

    What no run names goes first, then runs that were deleted, the longest ago first.

    Parameters
    ----------
    store : Store
        The workspace.
    max_bytes : int or None, default=None
        Quota; None takes that of the environment.

    Raises
    ------
    QuotaError
        If what runs name, or what was used a moment ago, takes all of it.
    WorkspaceError
        If the environment's quota is no number.
    """
    limit = quota_bytes() if max_bytes is None else max_bytes
    purge_deleted(store)
    excess = used_bytes(store) - limit
    if excess <= 0:
        return
    excess -= evict(store, excess)
    while excess > 0:
        excess -= evict(store, excess, in_use_seconds=LEAST_IN_USE_SECONDS)
        if excess <= 0 or not purge_deleted(store, older_than=0.0, at_most=1):
            break
    if excess > 0:
        raise QuotaError(
            f"its quota of {limit / 2**20:,.0f} MB is used up: delete runs on the Runs page, or raise "
            f"{ENVIRONMENT}"
        )
