"""The workspace as the app sees it: a folder, and a temporary one for what the folder cannot take."""

from __future__ import annotations

import math
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import platformdirs
from cachetools import LRUCache

from ecoval_core.workspace.results import read_result, write_result
from ecoval_core.workspace.store import (
    DATABASE,
    ENVIRONMENT,
    ENVIRONMENT_MB,
    FULL,
    Result,
    Store,
    WorkspaceError,
    code_of,
    reason_of,
)

T = TypeVar("T")
DEFAULT_MB = 10_000
CACHE_BYTES, LEAST_BYTES = 512 * 2**20, 2**16
# Freed of what no run names when the disk is full.
FULL_DISK_BYTES = 2**30
_TROUBLES = (OSError, sqlite3.OperationalError, WorkspaceError)
# What was read lately, of all workspaces of the process together.
_cache: LRUCache[Any, tuple[int, Any]] = LRUCache(CACHE_BYTES, lambda kept: kept[0])
_cache_lock = threading.Lock()


def default_root() -> Path:
    """Return the folder named by ``ECOVAL_WORKSPACE``, or one in the user's data directory."""
    named = os.environ.get(ENVIRONMENT)
    root = Path(named).expanduser() if named else Path(platformdirs.user_data_dir("ecoval"))
    return root.absolute()


def quota_bytes() -> int:
    """Return the quota that ``ECOVAL_WORKSPACE_MB`` sets, 10 GB without it."""
    named = os.environ.get(ENVIRONMENT_MB, "").strip()
    try:
        megabytes = float(named) if named else float(DEFAULT_MB)
    except ValueError:
        megabytes = math.nan
    if not 0 < megabytes < math.inf:
        raise WorkspaceError(f"{ENVIRONMENT_MB} is {named!r}: give a number of megabytes above 0.")
    return int(megabytes * 2**20)


class Workspace:
    """A folder, and a temporary one for what the first cannot take; what was read lately is cached.

    `trouble` says in one sentence why something is not kept beyond the server's end; empty while all is well.
    """

    def __init__(self, root: Path, temporary: Path) -> None:
        self.root, self.temporary = root, temporary
        self.trouble = ""
        self._stores: dict[Path, Store] = {}
        try:
            quota_bytes()
            with self._store(root).transaction():
                pass
        except _TROUBLES as error:
            self._complain(error)

    def _store(self, root: Path) -> Store:
        if root not in self._stores:
            self._stores[root] = Store(root)
        return self._stores[root]

    def stores(self) -> list[Store]:
        """Return the stores that can be read, that of the folder first."""
        found = []
        for root in (self.root, self.temporary):
            try:
                if root == self.root or (root / DATABASE).exists():
                    found.append(self._store(root))
            except _TROUBLES as error:
                self._complain(error)
        return found

    def write(self, work: Callable[[Store], T], n_bytes: int = 0) -> T:
        """Write into the folder, or into the temporary one where that fails."""
        try:
            store = self._store(self.root)
            if n_bytes:
                store.make_room(n_bytes, quota_bytes())
            try:
                done = work(store)
            except sqlite3.OperationalError as error:
                if code_of(error) not in FULL or not store.evict(FULL_DISK_BYTES):
                    raise
                done = work(store)
        except _TROUBLES as error:
            self._complain(error)
        else:
            self.trouble = ""
            return done
        try:
            return work(self._store(self.temporary))
        except (OSError, sqlite3.OperationalError) as error:
            raise WorkspaceError(
                f"Nothing can be written, neither to {self.root} nor to {self.temporary} ({error}): free "
                "some space."
            ) from error

    def _complain(self, error: Exception) -> None:
        self._stores.pop(self.root, None)
        if isinstance(error, WorkspaceError):
            reason = str(error).rstrip(".")
        else:
            reason = f"{self.root} cannot be written ({reason_of(error, self.root)})"
        self.trouble = f"Not kept beyond this session: {reason}."

    def read(self, work: Callable[[Store], T]) -> list[T]:
        """Return what each folder gives, the temporary one last; what cannot be read gives nothing."""
        found = []
        for store in self.stores():
            try:
                found.append(work(store))
            except _TROUBLES as error:
                self._complain(error)
        return found

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Execute a statement in each folder and return all of the rows, those of the temporary one last."""
        return [row for rows in self.read(lambda store: store.rows(query, *values)) for row in rows]

    def _find(self, work: Callable[[Store], T | None]) -> T | None:
        """Return what the temporary folder, where all is newer, or else the folder has; None without it."""
        return next((one for one in reversed(self.read(work)) if one is not None), None)

    # --- Results --------------------------------------------------------------------------

    def save(
        self, key: str, kind: str, value: Any, *, owner: str = "",
        arguments: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Keep what a task returned; its `summary`, if it has one, can be read without the rest."""
        content = write_result(value)
        summary = getattr(value, "summary", None)
        self.write(
            lambda store: store.save(
                key, kind, content, owner=owner, arguments=arguments, summary=summary
            ),
            len(content),
        )
        with _cache_lock:
            _cache.pop((self.root, key), None)

    def result(self, key: str) -> Result | None:
        """Return a stored result without its content, or None."""
        return self._find(lambda store: store.find(key))

    def content(self, key: str) -> bytes | None:
        """Return the content of a stored result, or None."""
        return self._find(lambda store: store.content(key))

    def results_of(self, owner: str, kind: str | None = None) -> list[Result]:
        """Return the results that belong to a run or a split, the latest last."""
        found = self.read(lambda store: store.results_of(owner, kind))
        return sorted((one for of in found for one in of), key=lambda one: one.created)

    def load(self, key: str, kind: Any = Any) -> Any | None:
        """Return a result as the type that was saved; None if it is missing or cannot be read."""

        def load(store: Store) -> tuple[int, Any] | None:
            content = store.content(key)
            if content is None:
                return None
            try:
                return 3 * len(content), read_result(content, kind)
            except (ValueError, KeyError, TypeError, OSError, EOFError, BadZipFile):
                # Unreadable is missing: it is made again.
                store.remove(key)
                return None

        return self.derive(key, lambda: self._find(load))

    def derive(self, key: Any, make: Callable[[], tuple[int, T] | None]) -> T | None:
        """Return what `make` returns beside its size in bytes, remembered while there is room."""
        with _cache_lock:
            if (kept := _cache.get((self.root, key))) is not None:
                return kept[1]  # type: ignore[no-any-return]
        made = make()
        if made is None:
            return None
        with _cache_lock:
            if (size := max(LEAST_BYTES, made[0])) <= _cache.maxsize:
                _cache[self.root, key] = (size, made[1])
        return made[1]


def forget() -> None:
    """Empty the cache; everything in it is read again from the workspaces."""
    with _cache_lock:
        _cache.clear()
