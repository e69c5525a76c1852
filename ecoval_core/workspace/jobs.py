"""A job: work under way in a process of its own, its progress, its limits, and how it ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any
from uuid import uuid4

from ecoval_core.workspace.orders import Order
from ecoval_core.workspace.worker import Worker, WorkerLost

Clock = Callable[[], float]
# Starts the process that does the work, with the work in hand.
Start = Callable[["Job"], Worker]

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
    """A handle on work under way; every attribute may be read at any time from any thread.

    Made by :meth:`JobRegistry.submit` only.

    Attributes
    ----------
    id : str
        32 hexadecimal digits.
    key : str
        What identifies the work, the workspace included.
    order : Order
        The work.
    context : dict
        Where it is done; see :func:`ecoval_core.workspace.tasks.perform`.
    visitors : set of str
        Who waits for it.
    state : JobState
        Where it stands.
    done, total : int
        Steps done, of how many; 0 of 0 before the first report.
    error : str or None
        One sentence for the user, in state error.
    result : dict or None
        What the task returned, in state done.
    trouble : str
        Why the result could not be kept for good; empty if it was.
    """

    def __init__(
        self, key: str, order: Order, context: dict[str, Any], clock: Clock = time.monotonic
    ) -> None:
        self.id = uuid4().hex
        self.key, self.order, self.context = key, order, context
        self.visitors: set[str] = set()
        self.state = JobState.QUEUED
        self.done, self.total = 0, 0
        self.error: str | None = None
        self.result: dict[str, Any] | None = None
        self.trouble = ""
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._worker: Worker | None = None
        self._cancelled = False
        self._started: float | None = None
        self._ended_at: float | None = None
        self._first: tuple[float, int] | None = None
        self._latest: tuple[float, int] | None = None

    def __repr__(self) -> str:
        return f"<Job {self.id[:8]} {self.label!r}: {self.state}, {self.done} of {self.total}>"

    @property
    def label(self) -> str:
        """Name of the work for people."""
        return self.order.label

    @property
    def is_active(self) -> bool:
        """Whether the job is queued or running."""
        return self.state in _ACTIVE

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

    # --- For the registry -----------------------------------------------------------------

    def _begin(self) -> bool:
        with self._lock:
            if self.state != JobState.QUEUED:
                return False
            self._started = self._clock()
            self.state = JobState.RUNNING
            return True

    def _cancel(self) -> None:
        with self._lock:
            if not self.is_active:
                return
            self._cancelled = True
            worker = self._worker
            if self.state == JobState.QUEUED:
                self._end(JobState.CANCELLED)
        if worker is not None:
            worker.kill()

    def _report(self, done: int, total: int) -> None:
        with self._lock:
            if done < self.done or total != self.total:
                self._first = self._latest = None
            if done > 0 and (self._latest is None or done > self._latest[1]):
                self._latest = (self._clock(), done)
                self._first = self._first or self._latest
            self.done, self.total = done, total

    def _end(self, state: JobState, result: Any = None, error: str | None = None) -> None:
        self._ended_at = self._clock()
        self.result, self.error = result, error
        self._worker = None
        self.state = state

    def _run(self, start: Start) -> None:
        """Have the work done; returns with the job ended, its waiters not yet told."""
        result, error = None, None
        try:
            worker = start(self)
            with self._lock:
                self._worker = worker
            if self._cancelled:
                worker.kill()
            try:
                result = self._listen(worker)
            finally:
                worker.kill()
                worker.close()
        except Exception as raised:
            error = _sentence(self, raised)
        with self._lock:
            # What is finished is finished, whoever cancelled in its last moment.
            if result is not None:
                self._end(JobState.DONE, result)
            elif self._cancelled:
                self._end(JobState.CANCELLED)
            else:
                self._end(JobState.ERROR, None, error)

    def _listen(self, worker: Worker) -> dict[str, Any]:
        for message in worker.messages(self.order.limits.seconds):
            if "progress" in message:
                self._report(*message["progress"])
            elif "error" in message:
                raise _Failed(message["error"], message.get("sentence", ""))
            else:
                self.trouble = message.get("trouble", "")
                done: dict[str, Any] = message["done"]
                return done
        raise WorkerLost


class _Failed(Exception):  # noqa: N818 - what a worker said
    """A worker's last words: the kind of its error, and the first line of it."""


def _sentence(job: Job, error: Exception) -> str:
    limits, label = job.order.limits, job.label
    if isinstance(error, TimeoutError):
        return (
            f"{label} was stopped after {limits.seconds / 60:.3g} minutes, the limit: "
            + _advice(job)
        )
    if isinstance(error, WorkerLost):
        if job._cancelled:
            return f"{label} was cancelled."
        _log.warning("%s: the process ended without a word", label)
        return (
            f"{label} ended without a result: its process was stopped from outside, or took more time or "
            f"memory than it may ({limits.megabytes:,.0f} MB): " + _advice(job)
        )
    if isinstance(error, _Failed):
        kind, sentence = error.args
        if kind == "memory":
            return (
                f"{label} needs more memory than the {limits.megabytes:,.0f} MB it may take: "
                + _advice(job)
            )
        if kind == "sentence":
            return str(sentence)
        return f"{label} failed unexpectedly ({kind}: {sentence or 'no message'})."
    _log.error("%s could not be started", label, exc_info=error)
    return f"{label} could not be started ({type(error).__name__}: {error})."


def _advice(job: Job) -> str:
    if job.order.kind == "open":
        return "keep fewer rows or columns, or save it as Parquet."
    return "take fewer rows or fewer clusters."
