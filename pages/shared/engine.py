"""The engine of a server: workspaces, the processes that workers are forked from, and the jobs under way."""

from __future__ import annotations

import atexit
import os
import shutil
import threading
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import uuid4

from ecoval_core.runs.tasks import Task
from ecoval_core.work.jobs import Job, Jobs, JobState, job_key
from ecoval_core.work.worker import ForkServer, Worker
from ecoval_core.workspace import history
from ecoval_core.workspace.history import RunState
from ecoval_core.workspace.workspace import Workspace
from pages.shared.scratch import make_scratch

ENVIRONMENT_DASK, ENVIRONMENT_JOBS = "ECOVAL_DASK", "ECOVAL_JOBS"
WARM_UP = "ecoval_core.evaluation.projection:warm_up"


class Engine:
    """What all visitors of a server share; `warm_up` compiles the map's projection in the background."""

    def __init__(self, *, warm_up: bool = True) -> None:
        self._forks = ForkServer()
        self._map_forks = ForkServer(WARM_UP) if warm_up else self._forks
        self._lock = threading.RLock()
        self._workspaces: dict[Path, Workspace] = {}
        self._temporary = make_scratch("server")
        n_jobs = int(os.environ.get(ENVIRONMENT_JOBS) or max(2, os.cpu_count() or 2))
        self.jobs = Jobs(self._start_job, n_jobs, 4 * n_jobs, on_end=self._note)
        atexit.register(self.close)

    def start(self) -> None:
        """Start the processes that workers are forked from, without waiting for them."""
        self._forks.start()
        self._map_forks.start()

    def close(self) -> None:
        """End every process and remove what is temporary."""
        self._forks.stop()
        self._map_forks.stop()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def workspace(self, root: Path) -> Workspace:
        """Return the workspace of a folder, one for all who ask."""
        with self._lock:
            if root not in self._workspaces:
                temporary = self._temporary / f"workspace-{len(self._workspaces)}"
                self._workspaces[root] = Workspace(root, temporary)
            return self._workspaces[root]

    def submit(self, workspace: Workspace, task: Task, visitor: str) -> Job:
        """Have a task done, or join the job that does the same."""
        return self.jobs.submit(task, self._context(workspace), visitor)

    def job(self, workspace: Workspace, task: Task) -> Job | None:
        """Return the latest job that did a task, or tries to."""
        return self.jobs.find(job_key(task, self._context(workspace)))

    def _context(self, workspace: Workspace) -> dict[str, Any]:
        return {
            "root": str(workspace.root), "temporary": str(workspace.temporary),
            "uploads": str(self._temporary), "dask": os.environ.get(ENVIRONMENT_DASK) or None,
        }  # fmt: skip

    def submit_upload(
        self, workspace: Workspace, content: bytes | memoryview, make: Callable[[str], Task],
        visitor: str,
    ) -> Job:  # fmt: skip
        """Have an uploaded file read, which is kept until no job needs it; `make` takes its digest."""
        digest = blake2b(content, digest_size=16).hexdigest()
        path, draft = self._temporary / digest, self._temporary / uuid4().hex
        try:
            draft.write_bytes(content)
            # Another visitor's job may end at this moment, with the same file.
            with self._lock:
                draft.replace(path)
                job = self.submit(workspace, make(digest), visitor)
        except OSError as error:
            draft.unlink(missing_ok=True)
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
        with self._lock:
            others = [_upload_of(other) for other in self.jobs.active() if other is not job]
            if digest is not None and digest not in others:
                (self._temporary / digest).unlink(missing_ok=True)

    def _start_job(self, job: Job) -> Worker:
        task, limits = job.task, job.task.limits
        worker = (self._map_forks if task.name == "umap" else self._forks).fork()
        worker.request(
            task=task.name, arguments=task.arguments, context=job.context, megabytes=limits.megabytes,
            cpu_seconds=limits.cpu_seconds, patient=not task.definition.quick,
        )  # fmt: skip
        return worker

    def _note(self, job: Job) -> None:
        """Note in the workspace how a valuation ended; a finished one shows by its result."""
        self._forget_upload(job)
        workspace = self.workspace(Path(job.context["root"]))
        if job.trouble:
            workspace.trouble = job.trouble
        if job.task.name == "value" and job.state in (JobState.ERROR, JobState.CANCELLED):
            ended: RunState = "error" if job.state == JobState.ERROR else "cancelled"
            history.note_end(workspace, job.task.key, ended, job.error)


def _upload_of(job: Job) -> str | None:
    """Return the digest of the uploaded file that a job reads, if it reads one."""
    arguments = job.task.arguments
    found: str | None = arguments.get("upload") or arguments.get("source", {}).get("file")
    return found
