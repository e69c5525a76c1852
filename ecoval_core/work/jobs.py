"""Jobs: tasks under way, a fair queue of them, and how each ended.

A page submits a :class:`~ecoval_core.runs.tasks.Task` and polls the :class:`Job` it gets back. Equal
tasks share one job.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any
from uuid import uuid4

from ecoval_core.runs.tasks import Task
from ecoval_core.work.worker import Worker

# Starts the process that does a job.
Start = Callable[["Job"], Worker]
# A visitor who has not been seen for so long no longer keeps a job alive that another one cancels; browsers
# let a page in the background ask once a minute.
ABSENT_SECONDS = 90.0
MAX_ENDED, ENDED_SECONDS = 256, 3600.0
_log = logging.getLogger(__name__)


class JobState(StrEnum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLED = "cancelled"
    ERROR = "error"
    DONE = "done"


class Job:
    """A task under way; its attributes may be read at any time from any thread.

    `done` of `total` steps are done; `error` is one sentence for the user; `result` is what a task returned
    that is not kept in the workspace.
    """

    def __init__(self, key: str, task: Task, context: dict[str, Any]) -> None:
        self.id, self.key, self.task, self.context = uuid4().hex, key, task, context
        self.state = JobState.QUEUED
        self.done, self.total = 0, 0
        self.error: str | None = None
        self.result: Any = None
        self.trouble = ""
        self.visitors: dict[str, float] = {}
        self.asked = time.monotonic()
        self._ended = threading.Event()
        self._worker: Worker | None = None
        self._is_cancelled = False
        self._started: float | None = None
        self._ended_at: float | None = None
        self._steps: list[tuple[float, int]] = []

    @property
    def label(self) -> str:
        """Name of the work for people."""
        return self.task.label

    @property
    def is_active(self) -> bool:
        """Whether the job is queued or running."""
        return self.state in (JobState.QUEUED, JobState.RUNNING)

    @property
    def seconds(self) -> float:
        """Seconds the job has been running, or ran; 0 while queued."""
        if self._started is None:
            return 0.0
        return (self._ended_at or time.monotonic()) - self._started

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end at the pace since the first step; None if nothing is known yet."""
        steps, started = self._steps, self._started
        if self.state != JobState.RUNNING or started is None or not steps:
            return None
        # What comes before the first step (clusters, the first cold fit) is not typical of those to come.
        moment, done = steps[-1]
        since, before = steps[0] if done > steps[0][1] else (started, 0)
        pace = (moment - since) / (done - before)
        return max(0.0, pace * (self.total - done) - (time.monotonic() - moment))

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the job has ended; return whether it has."""
        return self._ended.wait(timeout)

    def report(self, done: int, total: int) -> None:
        """Note the progress."""
        if done < self.done or total != self.total:
            self._steps = []
        if done > 0 and (not self._steps or done > self._steps[-1][1]):
            # Replaced as a whole: another thread may be reading it.
            self._steps = [*self._steps[:1], (time.monotonic(), done)]
        self.done, self.total = done, total


class Jobs:
    """A fair queue: tasks handed to processes in turns, and the ended jobs for a while.

    A visitor's first task begins at once as long as fewer than `max_processes` run, whatever others have
    started; more of the same visitor's run beside it only while fewer than `max_running` run altogether.
    Whoever has least under way is next. Quick tasks do not wait behind long ones. `on_end` is called with
    each job that has ended, before those who wait for it go on.
    """

    def __init__(
        self, start: Start, max_running: int = 2, max_processes: int = 8,
        on_end: Callable[[Job], None] | None = None,
    ) -> None:  # fmt: skip
        self._start, self._on_end = start, on_end
        self.max_running, self.max_processes = max_running, max_processes
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._queue: list[Job] = []
        self._running: list[Job] = []
        self._is_draining = False

    def submit(self, task: Task, context: dict[str, Any], visitor: str) -> Job:
        """Have a task done, or join the job that does the same."""
        key = job_key(task, context)
        with self._lock:
            self._drop_old()
            job = next(
                (one for one in self._of(key) if one.is_active and not one._is_cancelled), None
            )
            if job is None:
                job = Job(key, task, context)
                self._jobs[job.id] = job
                self._queue.append(job)
            self.join(job, visitor)
            self._start_next()
            return job

    def join(self, job: Job, visitor: str) -> None:
        """Note that a visitor waits for a job."""
        with self._lock:
            job.visitors[visitor] = job.asked = time.monotonic()

    def find(self, key: str) -> Job | None:
        """Return the latest job of a key in whatever state, or None."""
        with self._lock:
            self._drop_old()
            found = next(self._of(key), None)
            if found is not None:
                found.asked = time.monotonic()
            return found

    def leave(self, job: Job, visitor: str) -> None:
        """Cancel a job for one visitor; it ends when nobody else has been seen to wait for it lately."""
        with self._lock:
            since = time.monotonic() - ABSENT_SECONDS
            job.visitors.pop(visitor, None)
            job.visitors = {name: seen for name, seen in job.visitors.items() if seen > since}
            if job.visitors or not job.is_active:
                return
            job._is_cancelled = True
            was_queued = job in self._queue
            if was_queued:
                self._queue.remove(job)
                job.state = JobState.CANCELLED
            worker = job._worker
        if worker is not None:
            worker.kill()
        if was_queued:
            self._tell(job)

    def position(self, job: Job) -> int:
        """Return the place of a queued job in its line: 1 is next, 0 is not queued."""
        with self._lock:
            quick = job.task.definition.quick
            line = self._line([one for one in self._queue if one.task.definition.quick == quick])
            return line.index(job) + 1 if job in line else 0

    def active(self) -> list[Job]:
        """Return the jobs that are queued or running."""
        with self._lock:
            return [job for job in self._jobs.values() if job.is_active]

    def drain(self, seconds: float) -> None:
        """Begin nothing more, give what runs some seconds, then end it."""
        with self._lock:
            self._is_draining = True
            running = list(self._running)
        deadline = time.monotonic() + seconds
        for job in running:
            job.wait(max(0.0, deadline - time.monotonic()))
        for job in running:
            if (worker := job._worker) is not None:
                worker.kill()

    # --- Turns ----------------------------------------------------------------------------

    def _of(self, key: str) -> Iterator[Job]:
        """Find the jobs of a key, the latest first."""
        return (job for job in reversed(self._jobs.values()) if job.key == key)

    def _line(self, queue: list[Job]) -> list[Job]:
        """Put queued jobs in the order in which they will begin."""
        under_way = Counter(visitor for job in self._running for visitor in job.visitors)
        line, rest = [], list(queue)
        while rest:
            # Ties go to the job that came first.
            following = min(
                rest, key=lambda job: min((under_way[v] for v in job.visitors), default=0)
            )
            rest.remove(following)
            line.append(following)
            under_way.update(following.visitors.keys())
        return line

    def _may_start(self, job: Job) -> bool:
        quick = job.task.definition.quick
        running = [one for one in self._running if one.task.definition.quick == quick]
        if len(running) < self.max_running:
            return True
        busy = {visitor for one in running for visitor in one.visitors}
        return len(running) < self.max_processes and not busy & set(job.visitors)

    def _start_next(self) -> None:
        for job in [] if self._is_draining else self._line(self._queue):
            if self._may_start(job):
                self._queue.remove(job)
                self._running.append(job)
                job.state, job._started = JobState.RUNNING, time.monotonic()
                threading.Thread(target=self._do, args=(job,), daemon=True).start()

    def _do(self, job: Job) -> None:
        try:
            job._worker = worker = self._start(job)
            if job._is_cancelled:
                worker.kill()
            try:
                error = _listen(job, worker)
            finally:
                worker.kill()
                worker.close()
        except Exception as raised:
            _log.exception("%s could not be started", job.label)
            error = f"{job.label} could not be started ({type(raised).__name__}: {raised})."
        with self._lock:
            # What is finished is finished, whoever cancelled in its last moment.
            state = JobState.DONE if error is None else JobState.ERROR
            if error is not None and job._is_cancelled:
                state, error = JobState.CANCELLED, None
            job.error, job._worker, job._ended_at = error, None, time.monotonic()
            job.state = state
            self._running.remove(job)
            self._start_next()
        self._tell(job)

    def _tell(self, job: Job) -> None:
        try:
            # What a stopping server ends is not said to have failed: it is offered again.
            if self._on_end is not None and not self._is_draining:
                self._on_end(job)
        except Exception:
            _log.exception("%s ended, but that could not be noted", job.label)
        finally:
            job._ended.set()

    def _drop_old(self) -> None:
        now = time.monotonic()
        ended = sorted(
            (one for one in self._jobs.values() if not one.is_active), key=lambda j: -j.asked
        )
        for place, job in enumerate(ended):
            if place >= MAX_ENDED or now - max(job.asked, job._ended_at or 0.0) > ENDED_SECONDS:
                del self._jobs[job.id]


def job_key(task: Task, context: dict[str, Any]) -> str:
    """Return what identifies a task among the jobs of all workspaces."""
    return f"{context['root']} {task.key}"


def _listen(job: Job, worker: Worker) -> str | None:
    """Note what a worker says until it ends; return what went wrong in one sentence, None if nothing did."""
    limits, label, advice = job.task.limits, job.label, job.task.definition.advice
    try:
        for message in worker.messages(limits.seconds):
            if "progress" in message:
                job.report(*message["progress"])
                continue
            kind = message.get("error")
            if kind is None:
                job.result, job.trouble = message["done"], message["trouble"]
                return None
            if kind == "memory":
                return f"{label} needs more memory than the {limits.megabytes:,.0f} MB it may take: {advice}"
            if kind == "sentence":
                return str(message["sentence"])
            return f"{label} failed unexpectedly ({kind}: {message['sentence'] or 'no message'})."
    except TimeoutError:
        return f"{label} was stopped after {limits.seconds / 60:.3g} minutes, the limit: {advice}"
    return (
        f"{label} ended without a result: its process was stopped from outside, or took more time or "
        f"memory than it may ({limits.megabytes:,.0f} MB): {advice}"
    )
