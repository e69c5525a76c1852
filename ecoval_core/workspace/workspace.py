"""The workspace as the app sees it: the folder, and a spare one for what the folder cannot take."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import platformdirs

from ecoval_core.workspace.database import WorkspaceError
from ecoval_core.workspace.history import RunRecord, find_run, list_runs
from ecoval_core.workspace.moving import bring_home, is_empty
from ecoval_core.workspace.quota import QuotaError, evict, make_room, quota_bytes
from ecoval_core.workspace.shelf import DATABASE
from ecoval_core.workspace.store import Store

T = TypeVar("T")
ENVIRONMENT = "ECOVAL_WORKSPACE"
# After a move home has failed, the next is tried after so long.
RETRY_SECONDS = 30.0
# What is freed of what no run names when the disk is full.
FULL_DISK_BYTES = 2**30
_LEAST_FREE_BYTES = 2**20
_WHY = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "writing there is not permitted",
    errno.EPERM: "writing there is not permitted",
}
_SQLITE_WHY = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_PERM: errno.EACCES,
}
_TROUBLES = (OSError, sqlite3.OperationalError, WorkspaceError, QuotaError)


def default_root() -> Path:
    """Return the folder named by ``ECOVAL_WORKSPACE``, or one in the user's data directory."""
    named = os.environ.get(ENVIRONMENT)
    root = Path(named).expanduser() if named else Path(platformdirs.user_data_dir("ecoval"))
    return root.absolute()


def _number(error: Exception, root: Path) -> int | None:
    """Return the operating system's number of an error, as far as it can be told."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
            # SQLite says no more when there is no room for its log.
            with contextlib.suppress(OSError):
                if shutil.disk_usage(root).free < _LEAST_FREE_BYTES:
                    return errno.ENOSPC
                if os.statvfs(root).f_flag & os.ST_RDONLY:
                    return errno.EROFS
        return _SQLITE_WHY.get(code)
    return getattr(error, "errno", None)


def _why(error: Exception, root: Path) -> str:
    if isinstance(error, QuotaError):
        return str(error)
    number = _number(error, root)
    if number in _WHY:
        return _WHY[number]
    return getattr(error, "strerror", None) or str(error)


class Workspace:
    """A workspace folder that never stands in the way: what it cannot take goes to a spare one.

    As soon as the folder can be written again, what the spare one holds is moved there.

    Parameters
    ----------
    root : Path
        The folder.
    spare : Path or None, default=None
        Folder for what the first cannot take, which ends with the server; None makes one in the system's
        temporary directory when it is needed.
    max_bytes : int or None, default=None
        Quota; None takes that of the environment.

    Attributes
    ----------
    trouble : str
        Why something is not kept, in one sentence for the user; empty while all is well.
    """

    def __init__(
        self, root: Path, spare: Path | None = None, *, max_bytes: int | None = None
    ) -> None:
        self.root, self._spare, self.max_bytes = root, spare, max_bytes
        self.trouble = ""
        self._lock = threading.RLock()
        self._stores: dict[Path, Store] = {}
        self._made: Path | None = None
        self._moved_at = 0.0
        try:
            if max_bytes is None:
                quota_bytes()
            self._store(root).check_writable()
        except _TROUBLES as error:
            self._drop(root)
            self.complain(error)

    @property
    def spare(self) -> Path:
        """The spare folder, made at the first call."""
        with self._lock:
            if self._spare is None:
                self._spare = self._made = Path(tempfile.mkdtemp(prefix="ecoval-"))
            return self._spare

    def _store(self, root: Path) -> Store:
        with self._lock:
            if root not in self._stores:
                self._stores[root] = Store(root)
            return self._stores[root]

    def _drop(self, root: Path) -> None:
        """Open a folder anew at the next use: it may have been deleted, or replaced, as a whole."""
        with self._lock:
            self._stores.pop(root, None)

    # --- Writing --------------------------------------------------------------------------

    def write(self, work: Callable[[Store], T], *, within_quota: bool = True) -> T:
        """Write into the folder, or into the spare one where that fails.

        Parameters
        ----------
        work : callable
            Takes a :class:`Store`; called again if the folder cannot be written: once more with it where
            something could be freed, and at last with the spare one.
        within_quota : bool, default=True
            Make room first; False for what is small.

        Returns
        -------
        object
            What `work` returned.

        Raises
        ------
        WorkspaceError
            If neither can be written.
        """
        try:
            done = self._write_home(work, within_quota)
        except _TROUBLES as error:
            self._drop(self.root)
            self.complain(error)
        else:
            self._settle()
            return done
        try:
            return work(self._store(self.spare))
        except (OSError, sqlite3.OperationalError) as error:
            raise WorkspaceError(
                f"Nothing can be written, neither to {self.root} nor to {self.spare} "
                f"({_why(error, self.spare)}): free some space."
            ) from error

    def change(self, work: Callable[[Store], object]) -> bool:
        """Change something where it is, such as the name of a run.

        Parameters
        ----------
        work : callable
            Takes a :class:`Store`; returns what counts as true if it is there.

        Returns
        -------
        bool
            Whether it is in any of the folders.

        Raises
        ------
        WorkspaceError
            If the folder it is in cannot be written.
        """
        found = False
        for store in self.readable():
            try:
                found = bool(work(store)) or found
            except (OSError, sqlite3.OperationalError) as error:
                raise WorkspaceError(
                    f"Not changed: {store.root} cannot be written ({_why(error, store.root)})."
                ) from error
        return found

    def _write_home(self, work: Callable[[Store], T], within_quota: bool) -> T:
        store = self._store(self.root)
        if within_quota:
            make_room(store, self.max_bytes)
        try:
            return work(store)
        except (OSError, sqlite3.OperationalError) as error:
            if _number(error, self.root) != errno.ENOSPC:
                raise
            store.sweep(every=0.0)
            if not evict(store, FULL_DISK_BYTES):
                raise
        return work(store)

    def _has_spare(self) -> bool:
        return self._spare is not None and (self._spare / DATABASE).exists()

    def _settle(self) -> None:
        """Move home what the spare folder holds, now that the folder can be written."""
        if self._has_spare():
            if time.monotonic() < self._moved_at + RETRY_SECONDS and self.trouble:
                return
            self._moved_at = time.monotonic()
            try:
                home, spare = self._store(self.root), self._store(self.spare)
                if not is_empty(spare):
                    make_room(home, self.max_bytes)
                    with _alone(self.spare) as is_alone:
                        if not is_alone:
                            return
                        bring_home(spare, home)
            except _TROUBLES as error:
                self.complain(error)
                return
        self.trouble = ""

    def complain(self, error: Exception, done: str = "written") -> None:
        """Keep the reason why the folder could not be used, and for what."""
        if isinstance(error, WorkspaceError):
            reason = str(error).rstrip(".")
        else:
            reason = f"{self.root} cannot be {done} ({_why(error, self.root)})"
        self.trouble = f"Not kept beyond this session: {reason}."

    # --- Reading --------------------------------------------------------------------------

    def find(self, work: Callable[[Store], T | None]) -> T | None:
        """Return what the spare folder, where all is newer, or else the folder has; None if neither has it.

        Parameters
        ----------
        work : callable
            Takes a :class:`Store`; returns None, or nothing that counts, if it is not there.

        Returns
        -------
        object or None
            What was found; nothing is found in a folder that cannot be read, which :attr:`trouble` tells.
        """
        for store in reversed(self.readable()):
            for found in self._ask(store, work):
                if found is not None:
                    return found
        return None

    def gather(self, work: Callable[[Store], T]) -> list[T]:
        """Return what each of the folders has, the folder first, the spare one, where all is newer, last.

        Parameters
        ----------
        work : callable
            Takes a :class:`Store`.

        Returns
        -------
        list of object
            What it returned, without the folders that cannot be read, which :attr:`trouble` tells.
        """
        return [found for store in self.readable() for found in self._ask(store, work)]

    def _ask(self, store: Store, work: Callable[[Store], T]) -> list[T]:
        """Return what work returns, and nothing if the folder cannot be read."""
        try:
            return [work(store)]
        except _TROUBLES as error:
            self._drop(store.root)
            self.complain(error, "read")
            return []

    def readable(self) -> list[Store]:
        """Return the stores that can be read, the folder first."""
        stores = []
        for root in [self.root, self.spare] if self._has_spare() else [self.root]:
            try:
                stores.append(self._store(root))
            except _TROUBLES as error:
                self.complain(error, "opened")
        return stores

    def runs(self, *, deleted: bool = False, search: str = "") -> list[RunRecord]:
        """Return the runs of both folders, the latest first; see :func:`list_runs`."""
        found: dict[str, RunRecord] = {}
        for runs in self.gather(lambda store: list_runs(store, deleted=deleted, search=search)):
            found |= {one.id: one for one in runs}
        records = [self._completed(one) for one in found.values()]
        return sorted(records, key=lambda one: -((one.deleted if deleted else None) or one.created))

    def run(self, run_id: str) -> RunRecord | None:
        """Return a run, deleted or not, or None if neither folder has it."""
        found = self.find(lambda store: find_run(store, run_id))
        return None if found is None else self._completed(found)

    def _completed(self, run: RunRecord) -> RunRecord:
        """Take into account that a run may be in one folder and its table or values in the other."""
        if run.state == "done" or not self._has_spare():
            return run
        kept = self.find(lambda store: store.find_result(run.valuation))
        table = self.find(lambda store: store.load_prepared(run.preparation))
        if kept is None or table is None:
            return run
        return replace(
            run, state="done", error=None, summary=kept.payload, table=table.table.name,
            target=table.table.target, frame=table.table.content,
        )  # fmt: skip

    def close(self) -> None:
        """Move home what can be moved, and remove the spare folder if this made it."""
        with contextlib.suppress(*_TROUBLES):
            self._moved_at = -RETRY_SECONDS
            self._settle()
        if self._made is not None:
            shutil.rmtree(self._made, ignore_errors=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Tell whether no other process is doing this with a folder."""
    handle = os.open(folder / "moving", os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(handle)
