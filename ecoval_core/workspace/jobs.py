"""Long work in the background: queue, progress, cancel, and a result that outlives a page rerun.

A page submits a function and polls the :class:`Job` it gets back; the function runs on a thread of its
own and knows nothing of the page.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Any
from uuid import uuid4

from ecoval_core.valuation.parallel import Cancelled

Clock = Callable[[], float]
Work = Callable[[Callable[[int, int], None], Callable[[], bool]], Any]

_log = logging.getLogger(__name__)


class JobState(StrEnum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLED = "cancelled"
    ERROR = "error"
    DONE = "done"


_ACTIVE = (JobState.QUEUED, JobState.RUNNING)


class Job:
    """A handle on work in the background; every attribute may be read at any time from any thread.

    Made by :meth:`JobRegistry.submit` only.

    Attributes
    ----------
    id : str
        32 hexadecimal digits, fit for an address.
    key : str
        What identifies the work.
    label : str
        Name of the work for people.
    state : JobState
        Where it stands.
    done, total : int
        Steps done, of how many; 0 of 0 before the first report.
    error : str or None
        One sentence for the user, in state error.
    result : object or None
        What the function returned, in state done.
    """

    def __init__(self, key: str, label: str, work: Work, clock: Clock = time.monotonic) -> None:
        self.id = uuid4().hex
        self.key = key
        self.label = label
        self.state = JobState.QUEUED
        self.done = 0
        self.total = 0
        self.error: str | None = None
        self.result: Any = None
        self._work: Work | None = work
        self._clock = clock
        self._lock = threading.Lock()
        self._cancel = threading.Event()
        self._ended = threading.Event()
        self._started: float | None = None
        self._ended_at: float | None = None
        self._first: tuple[float, int] | None = None
        self._latest: tuple[float, int] | None = None

    def __repr__(self) -> str:
        return f"<Job {self.id[:8]} {self.label!r}: {self.state}, {self.done} of {self.total}>"

    @property
    def is_active(self) -> bool:
        """Whether the job is queued or running."""
        return self.state in _ACTIVE

    @property
    def is_cancelling(self) -> bool:
        """Whether the job was asked to stop and has not stopped yet."""
        return self.is_active and self._cancel.is_set()

    @property
    def seconds(self) -> float:
        """Seconds the job has been running, or ran; 0 while queued."""
        if self._started is None:
            return 0.0
        return (self._clock() if self._ended_at is None else self._ended_at) - self._started

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end; None if nothing is known yet or the job does not run.

        The pace is that since the first reported step: what comes before it (clusters, the first cold
        fit) is not typical of the steps to come.
        """
        with self._lock:
            started, first, latest, total = self._started, self._first, self._latest, self.total
        if self.state != JobState.RUNNING or started is None or first is None or latest is None:
            return None
        moment, done = latest
        since, before = first if done > first[1] else (started, 0)
        pace = (moment - since) / (done - before)
        return max(0.0, pace * (total - done) - (self._clock() - moment))

    def cancel(self) -> None:
        """Ask the job to stop: a queued one at once, a running one when it next looks; else nothing."""
        with self._lock:
            self._cancel.set()
            if self.state == JobState.QUEUED:
                self._end(JobState.CANCELLED)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the job has ended.

        Parameters
        ----------
        timeout : float or None, default=None
            Seconds to wait at most; None waits for as long as it takes.

        Returns
        -------
        bool
            Whether it has ended.
        """
        return self._ended.wait(timeout)

    def _report(self, done: int, total: int) -> None:
        with self._lock:
            if self.state != JobState.RUNNING:
                return
            if done < self.done or total != self.total:
                self._first = self._latest = None
            if done > 0 and (self._latest is None or done > self._latest[1]):
                self._latest = (self._clock(), done)
                self._first = self._first or self._latest
            self.done, self.total = done, total

    def _begin(self) -> Work | None:
        with self._lock:
            if self.state != JobState.QUEUED:
                return None
            self._started = self._clock()
            self.state = JobState.RUNNING
            return self._work

    def _end(self, state: JobState, result: Any = None, error: str | None = None) -> None:
        self._ended_at = self._clock()
        self.result, self.error = result, error
        # The work holds on to the data it was given.
        self._work = None
        self.state = state
        self._ended.set()

    def _run(self) -> None:
        work = self._begin()
        if work is None:
            return
        state, result, error = JobState.ERROR, None, f"{self.label} was stopped from outside."
        try:
            result = work(self._report, self._cancel.is_set)
            state, error = JobState.DONE, ""
        except Cancelled:
            state = JobState.CANCELLED
        except Exception as raised:
            error = _sentence(self.label, raised)
        finally:
            with self._lock:
                if self._cancel.is_set():
                    self._end(JobState.CANCELLED)
                else:
                    self._end(state, result, error if state == JobState.ERROR else None)


def _sentence(label: str, error: Exception) -> str:
    first_line = (str(error).strip().splitlines() or [""])[0]
    if isinstance(error, MemoryError):
        _log.exception("%s ran out of memory", label)
        return f"{label} needs more memory than there is: take fewer rows or fewer clusters."
    if isinstance(error, ValueError) and first_line:
        _log.info("%s: %s", label, error)
        return first_line
    _log.exception("%s failed", label)
    return f"{label} failed unexpectedly ({type(error).__name__}: {first_line or 'no message'})."


class JobRegistry:
    """Runs jobs on daemon threads, a few at once, and keeps the finished ones for a while.

    Parameters
    ----------
    max_running : int, default=2
        Jobs that run at once; the others wait in the order they came.
    max_kept : int, default=64
        Finished jobs kept; beyond it the one not asked for longest goes.
    keep_seconds : float, default=21600
        Seconds after which a finished job that nobody asked for is dropped.
    clock : callable, default=time.monotonic
        Returns the time in seconds.

    Raises
    ------
    ValueError
        If `max_running` or `max_kept` is below 1.
    """

    def __init__(
        self, max_running: int = 2, max_kept: int = 64, keep_seconds: float = 6 * 3600,
        *, clock: Clock = time.monotonic,
    ) -> None:  # fmt: skip
        if max_running < 1 or max_kept < 1:
            raise ValueError("max_running and max_kept must be at least 1.")
        self.max_running = max_running
        self.max_kept = max_kept
        self.keep_seconds = keep_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._asked: dict[str, float] = {}
        self._queue: deque[Job] = deque()
        self._n_running = 0

    def submit(self, key: str, label: str, function: Work) -> Job:
        """Queue a function, or return the job that does the same already.

        Parameters
        ----------
        key : str
            What identifies the work. A job of this key that is queued, running or done is returned
            instead of a new one; one that failed, was cancelled or is being cancelled is not.
        label : str
            Name of the work for people; it begins the sentence of an unforeseen error.
        function : callable
            ``function(progress, should_stop) -> result``, where ``progress(done, total)`` reports steps
            and ``should_stop()`` returns whether to raise :class:`~ecoval_core.Cancelled`. A ValueError
            that it raises is shown to the user with its own message.

        Returns
        -------
        Job
            Active, or done.
        """
        with self._lock:
            self._drop_old()
            for job in self._jobs.values():
                is_usable = job.state == JobState.DONE or (job.is_active and not job.is_cancelling)
                if job.key == key and is_usable:
                    self._touch(job)
                    return job
            job = Job(key, label, function, self._clock)
            self._jobs[job.id] = job
            self._touch(job)
            self._queue.append(job)
            self._start_next()
            return job

    def get(self, job_id: str) -> Job | None:
        """Job of an id, which is thereby kept for longer; None if it is unknown or was dropped.

        Parameters
        ----------
        job_id : str
            Id of a job.

        Returns
        -------
        Job or None
            The job.
        """
        with self._lock:
            self._drop_old()
            job = self._jobs.get(job_id)
            if job is not None:
                self._touch(job)
            return job

    def active(self) -> list[Job]:
        """Return the jobs that are queued or running."""
        with self._lock:
            return [job for job in self._jobs.values() if job.is_active]

    def __len__(self) -> int:
        with self._lock:
            self._drop_old()
            return len(self._jobs)

    def _touch(self, job: Job) -> None:
        self._asked[job.id] = self._clock()

    def _drop_old(self) -> None:
        now = self._clock()
        last_use = {
            job.id: max(self._asked[job.id], job._ended_at)
            for job in self._jobs.values()
            if not job.is_active and job._ended_at is not None
        }
        latest_first = sorted(last_use, key=last_use.__getitem__, reverse=True)
        for position, job_id in enumerate(latest_first):
            if position >= self.max_kept or now - last_use[job_id] > self.keep_seconds:
                del self._jobs[job_id], self._asked[job_id]

    def _start_next(self) -> None:
        while self._queue and self._n_running < self.max_running:
            job = self._queue.popleft()
            if job.is_active:
                self._n_running += 1
                threading.Thread(
                    target=self._work_off, args=(job,), name=f"job {job.id[:8]}", daemon=True
                ).start()

    def _work_off(self, job: Job) -> None:
        try:
            job._run()
        finally:
            with self._lock:
                self._n_running -= 1
                self._start_next()
