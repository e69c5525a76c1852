"""The workspace as the app sees it: the folder, and a spare one for what the folder cannot take."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import platformdirs

from ecoval_core.workspace.database import WorkspaceError
from ecoval_core.workspace.quota import QuotaError, make_room
from ecoval_core.workspace.store import Store

T = TypeVar("T")
ENVIRONMENT = "ECOVAL_WORKSPACE"
_WHY = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "writing there is not permitted",
    errno.EPERM: "writing there is not permitted",
}


def default_root() -> Path:
    """Return the folder named by ``ECOVAL_WORKSPACE``, or one in the user's data directory."""
    named = os.environ.get(ENVIRONMENT)
    return Path(named).expanduser() if named else Path(platformdirs.user_data_dir("ecoval"))


def _why(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if isinstance(error, QuotaError):
        return str(error)
    if number in _WHY:
        return _WHY[number]
    if isinstance(error, sqlite3.Error):
        text = str(error)
        if "full" in text:
            return _WHY[errno.ENOSPC]
        return _WHY[errno.EROFS] if "readonly" in text or "unable to open" in text else text
    return getattr(error, "strerror", None) or str(error)


class Workspace:
    """A workspace folder that never stands in the way: what it cannot take goes to a spare one.

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
        Why something could not be kept, in one sentence for the user; empty while all is well.
    """

    def __init__(
        self, root: Path, spare: Path | None = None, *, max_bytes: int | None = None
    ) -> None:
        self.root, self._spare, self.max_bytes = root, spare, max_bytes
        self.trouble = ""
        self._lock = threading.RLock()
        self._stores: dict[Path, Store] = {}
        self._made: Path | None = None
        self.write(lambda _store: None, within_quota=False)

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

    def write(self, work: Callable[[Store], T], *, within_quota: bool = True) -> T:
        """Write into the folder, or into the spare one where that fails.

        Parameters
        ----------
        work : callable
            Takes a :class:`Store`; called a second time, with the spare one, if the first cannot be written.
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
            store = self._store(self.root)
            if within_quota:
                make_room(store, self.max_bytes)
            done = work(store)
        except (OSError, sqlite3.OperationalError, WorkspaceError, QuotaError) as error:
            self.complain(error)
        else:
            self.trouble = ""
            return done
        try:
            return work(self._store(self.spare))
        except (OSError, sqlite3.OperationalError) as error:
            raise WorkspaceError(
                f"Nothing can be written, neither to {self.root} nor to {self.spare} ({_why(error)}): free "
                "some space."
            ) from error

    def complain(self, error: Exception) -> None:
        """Keep the reason why the folder could not be used."""
        if isinstance(error, WorkspaceError):
            reason = str(error).rstrip(".")
        else:
            reason = f"{self.root} cannot be written ({_why(error)})"
        self.trouble = f"Not kept beyond this session: {reason}."

    def find(self, work: Callable[[Store], T | None]) -> T | None:
        """Return what the folder, or else the spare one, has; None if neither has it.

        Parameters
        ----------
        work : callable
            Takes a :class:`Store`; returns None, or nothing that counts, if it is not there.

        Returns
        -------
        object or None
            What was found.
        """
        for store in self.readable():
            found = work(store)
            if found is not None:
                return found
        return None

    def readable(self) -> list[Store]:
        """Return the stores that can be read, the folder first."""
        stores = []
        roots = [self.root] if self._spare is None else [self.root, self._spare]
        for root in roots:
            try:
                stores.append(self._store(root))
            except (OSError, sqlite3.OperationalError, WorkspaceError) as error:
                self.complain(error)
        return stores

    def close(self) -> None:
        """Remove the spare folder, if this made it."""
        if self._made is not None:
            shutil.rmtree(self._made, ignore_errors=True)
