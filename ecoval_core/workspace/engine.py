"""The engine of a server: workspaces, worker processes, the jobs under way, and what was read lately."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Hashable
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from cachetools import LRUCache

from ecoval_core.tables import Prepared
from ecoval_core.workspace import history
from ecoval_core.workspace.files import draft_in
from ecoval_core.workspace.history import RunRecord
from ecoval_core.workspace.jobs import Job, JobState
from ecoval_core.workspace.orders import Order
from ecoval_core.workspace.readers import READERS
from ecoval_core.workspace.registry import JobRegistry
from ecoval_core.workspace.runs import Run
from ecoval_core.workspace.store import Result
from ecoval_core.workspace.valuations import read_valuation
from ecoval_core.workspace.worker import Nursery, Worker
from ecoval_core.workspace.workspace import Workspace

T = TypeVar("T")
ENVIRONMENT_DASK, ENVIRONMENT_JOBS = "ECOVAL_DASK", "ECOVAL_JOBS"
CACHE_BYTES = 512 * 2**20
# Whatever is kept of a result counts at least so much, so that many small ones are bounded too.
LEAST_BYTES = 2**16
WARM_UP = "ecoval_core.evaluation.projection:warm_up"


def _n_bytes(kept: tuple[int, Any]) -> int:
    return max(LEAST_BYTES, kept[0])


def _upload_of(job: Job) -> str | None:
    """Return the digest of the uploaded file that a job reads, if it reads one."""
    digest: str | None = job.order.parameters.get("source", {}).get("file")
    return digest


class Engine:
    """What all visitors of a server share.

    Parameters
    ----------
    warm_up : bool, default=True
        Compile the projection of the map in the background, so that the first map is quick.
    """

    def __init__(self, *, warm_up: bool = True) -> None:
        self._nursery = Nursery()
        self._map_nursery = Nursery(WARM_UP) if warm_up else self._nursery
        self._lock = threading.RLock()
        self._workspaces: dict[Path, Workspace] = {}
        self._temporary = Path(tempfile.mkdtemp(prefix="ecoval-server-"))
        self._cache: LRUCache[Hashable, tuple[int, Any]] = LRUCache(CACHE_BYTES, _n_bytes)
        n_jobs = int(os.environ.get(ENVIRONMENT_JOBS) or max(2, os.cpu_count() or 2))
        self.jobs = JobRegistry(self._start_job, n_jobs, 4 * n_jobs, on_end=self._note)
        atexit.register(self.close)

    def start(self) -> None:
        """Start the processes that workers are forked from, without waiting for them."""
        self._nursery.start()
        self._map_nursery.start()

    def drain(self, seconds: float) -> None:
        """Begin nothing more, and give what runs some seconds to end."""
        self.jobs.drain(seconds)

    def close(self) -> None:
        """End every process and remove what is temporary."""
        self._nursery.stop()
        self._map_nursery.stop()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def workspace(self, root: Path) -> Workspace:
        """Return the workspace of a folder, one for all who ask."""
        with self._lock:
            if root not in self._workspaces:
                spare = self._temporary / f"spare-{len(self._workspaces)}"
                spare.mkdir(exist_ok=True)
                self._workspaces[root] = Workspace(root, spare)
            return self._workspaces[root]

    # --- Work -----------------------------------------------------------------------------

    def submit(self, workspace: Workspace, order: Order, visitor: str) -> Job:
        """Have an order carried out, or join whoever does the same.

        Parameters
        ----------
        workspace : Workspace
            Where it belongs.
        order : Order
            The work.
        visitor : str
            Who asks.

        Returns
        -------
        Job
            The job.
        """
        context = {
            "root": str(workspace.root), "spare": str(workspace.spare), "uploads": str(self._temporary),
            "dask": os.environ.get(ENVIRONMENT_DASK) or None,
        }  # fmt: skip
        done = self.job(workspace, order)
        if done is not None and done.state == JobState.DONE and not self._is_there(workspace, done):
            self.jobs.drop(done)
        return self.jobs.submit(order, context, visitor)

    def _is_there(self, workspace: Workspace, job: Job) -> bool:
        """Whether what a job found is still in the workspace, from which it may have been evicted."""
        if job.order.kind == "timing":
            return True
        if job.order.kind == "read":
            digest = str((job.result or {}).get("frame"))
            return workspace.find(lambda store: store.load_frame(digest)) is not None
        if job.order.kind == "open":
            fingerprint = (job.result or {}).get("preparation")
            return fingerprint is not None and self.prepared(workspace, fingerprint) is not None
        return self.result(workspace, job.order) is not None

    def job(self, workspace: Workspace, order: Order) -> Job | None:
        """Return the latest job that carried an order out, or tries to."""
        return self.jobs.find(self.key(workspace, order))

    def key(self, workspace: Workspace, order: Order) -> str:
        """Return what identifies an order among the jobs."""
        return f"{workspace.root} {order.key}"

    def submit_upload(
        self,
        workspace: Workspace,
        content: bytes | memoryview,
        make: Callable[[str], Order],
        visitor: str,
    ) -> Job:
        """Have an uploaded file read, which is kept until no job needs it any longer.

        Parameters
        ----------
        workspace : Workspace
            Where the work belongs.
        content : bytes or memoryview
            What was uploaded.
        make : callable
            Returns the order for the digest of the file.
        visitor : str
            Who asks.

        Returns
        -------
        Job
            The job.

        Raises
        ------
        ValueError
            If the file cannot be put down for the process that reads it.
        """
        digest = blake2b(content, digest_size=16).hexdigest()
        path = self._temporary / digest
        try:
            with draft_in(self._temporary) as draft:
                draft.write_bytes(content)
                # Another visitor's job may end at this moment, with the same file.
                with self._lock:
                    draft.replace(path)
                    job = self.submit(workspace, make(digest), visitor)
        except OSError as error:
            raise ValueError(
                f"The file could not be kept for reading ({error.strerror or error}): free some space in "
                f"{self._temporary.parent}, then upload it again."
            ) from error
        if not job.is_active:
            self._forget_upload(job)
        return job

    def _forget_upload(self, job: Job) -> None:
        """Delete the file that a job has read, unless another is going to."""
        digest = _upload_of(job)
        if digest is None:
            return
        with self._lock:
            if digest not in [
                _upload_of(other) for other in self.jobs.active() if other is not job
            ]:
                (self._temporary / digest).unlink(missing_ok=True)

    def _start_job(self, job: Job) -> Worker:
        order, limits = job.order, job.order.limits
        worker = (self._map_nursery if order.kind == "umap" else self._nursery).fork()
        worker.request(
            order.kind, order.parameters, job.context, megabytes=limits.megabytes,
            cpu_seconds=limits.cpu_seconds, patient=order.lane == "long",
        )  # fmt: skip
        return worker

    def _note(self, job: Job) -> None:
        """Note in the workspace how a valuation ended; a finished one shows by its result."""
        self._forget_upload(job)
        workspace = self.workspace(Path(job.context["root"]))
        if job.trouble:
            workspace.trouble = job.trouble
        if job.order.kind != "value" or job.state not in (JobState.ERROR, JobState.CANCELLED):
            return
        key, state, error = job.order.key, str(job.state), job.error
        for store in workspace.readable():
            row = store.db.one("SELECT id FROM runs WHERE valuation = ?", key)
            if row is not None:
                history.change_run(store, row["id"], state=state, error=error)

    # --- What was found -------------------------------------------------------------------

    def _cached(self, key: Hashable, load: Callable[[], tuple[int, T] | None]) -> T | None:
        with self._lock:
            if (kept := self._cache.get(key)) is not None:
                return kept[1]  # type: ignore[no-any-return]
        loaded = load()
        if loaded is None:
            return None
        with self._lock:
            if _n_bytes(loaded) <= self._cache.maxsize:
                self._cache[key] = loaded
        return loaded[1]

    def forget(self) -> None:
        """Forget what was read lately; it is read again from the workspace."""
        with self._lock:
            self._cache.clear()

    def derive(self, key: Hashable, make: Callable[[], T], n_bytes: int = 0) -> T:
        """Return something that follows from what is kept, made once while it is remembered.

        Parameters
        ----------
        key : hashable
            Whatever it follows from.
        make : callable
            Makes it.
        n_bytes : int, default=0
            About what it takes.

        Returns
        -------
        object
            What `make` returned.
        """
        found = self._cached(("derived", key), lambda: (n_bytes, (make(),)))
        return found[0]  # type: ignore[index]

    def prepared(self, workspace: Workspace, fingerprint: str) -> Prepared | None:
        """Return a prepared table, or None if it is not in the workspace."""

        def load() -> tuple[int, Prepared] | None:
            found = workspace.find(lambda store: store.load_prepared(fingerprint))
            if found is None:
                return None
            arrays = (found.X_train, found.X_val, found.X_test)
            frame = found.table.frame.memory_usage(deep=True).sum()
            return int(frame) + sum(X.nbytes for X in arrays), found

        return self._cached((workspace.root, "prepared", fingerprint), load)

    def frame(self, workspace: Workspace, digest: str) -> pd.DataFrame | None:
        """Return a frame by the digest of its content, or None if it is not in the workspace."""

        def load() -> tuple[int, pd.DataFrame] | None:
            found = workspace.find(lambda store: store.load_frame(digest))
            return None if found is None else (int(found.memory_usage(deep=True).sum()), found)

        return self._cached((workspace.root, "frame", digest), load)

    def result(self, workspace: Workspace, order: Order) -> Result | None:
        """Return the finished result of an order, or None."""
        return workspace.find(lambda store: store.find_result(order.key))

    def results_of(self, workspace: Workspace, valuation: str, kind: str) -> list[Result]:
        """Return the results of a kind that belong to a valuation, the latest last."""
        found = [one for store in workspace.readable() for one in store.results_of(valuation, kind)]
        return sorted(found, key=lambda one: one.created)

    def record(self, workspace: Workspace, run_id: str) -> RunRecord | None:
        """Return what is noted of a run, or None if it is not in the workspace."""
        return workspace.run(run_id)

    def run(self, workspace: Workspace, record: RunRecord) -> Run | None:
        """Return a finished run at the weight it was made with, or None."""

        def load() -> tuple[int, Run] | None:
            prepared = self.prepared(workspace, record.preparation)
            if prepared is None:
                return None

            found = workspace.find(
                lambda store: store.read_result(
                    record.valuation, lambda kept: (read_valuation(kept.folder), kept.payload)
                )
            )
            if found is None:
                return None
            valuation = found[0].reweight(record.settings.extrinsic_weight)
            run = Run(prepared, record.settings, valuation, found[1]["seconds"])
            return 200 * len(run.frame), run

        return self._cached((workspace.root, "run", record.valuation, record.settings), load)

    def read(self, workspace: Workspace, order: Order) -> Any | None:
        """Return what the result of an order holds, in the type that its task makes.

        Parameters
        ----------
        workspace : Workspace
            Where it is.
        order : Order
            The work; :mod:`ecoval_core.workspace.readers` has the types.

        Returns
        -------
        object or None
            None if it was not carried out yet.
        """

        def load() -> tuple[int, Any] | None:
            read = READERS.get(order.kind)
            if read is None:
                return None
            return workspace.find(lambda store: store.read_result(order.key, read))

        return self._cached((workspace.root, order.key), load)
