"""The jobs under way: a fair queue of orders, each done by a process of its own.

A page submits an :class:`~ecoval_core.workspace.orders.Order` and polls the :class:`Job` it gets back; a
thread of ours listens to the process and knows nothing of the page.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from ecoval_core.workspace.jobs import Clock, Job, JobState, Start
from ecoval_core.workspace.orders import Order

_log = logging.getLogger(__name__)


class JobRegistry:
    """Hands work to processes, in fair turns, and keeps the ended jobs for a while.

    A visitor's first piece of work begins at once as long as `max_processes` are not reached, whatever others
    have started; more of the same visitor's run beside it only while fewer than `max_running` run altogether.
    Whoever has least under way is next. Quick work has a lane of its own.

    Parameters
    ----------
    start : callable
        Takes a :class:`Job` and returns a worker that has been sent its work.
    max_running : int, default=2
        Pieces of work that run at once.
    max_processes : int, default=8
        Pieces of work that run at once if they are of different visitors.
    max_kept : int, default=256
        Ended jobs kept; beyond it the one not asked for longest goes.
    keep_seconds : float, default=3600
        Seconds after which an ended job that nobody asked for is dropped.
    on_end : callable or None, default=None
        Called with each job once it has ended, before whoever waits for it hears of it.
    clock : callable, default=time.monotonic
        Returns the time in seconds.

    Raises
    ------
    ValueError
        If `max_running`, `max_processes` or `max_kept` is below 1.
    """

    def __init__(
        self, start: Start, max_running: int = 2, max_processes: int = 8, max_kept: int = 256,
        keep_seconds: float = 3600, *, on_end: Callable[[Job], None] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:  # fmt: skip
        if min(max_running, max_processes, max_kept) < 1:
            raise ValueError("max_running, max_processes and max_kept must be at least 1.")
        self.max_running, self.max_processes = max_running, max_processes
        self.max_kept, self.keep_seconds = max_kept, keep_seconds
        self._start, self._on_end, self._clock = start, on_end, clock
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._asked: dict[str, float] = {}
        self._queue: list[Job] = []
        self._running: list[Job] = []
        self._is_draining = False

    def submit(self, order: Order, context: dict[str, Any], visitor: str) -> Job:
        """Queue an order, or join the job that does the same.

        Parameters
        ----------
        order : Order
            The work.
        context : dict
            Where it is done; "root" tells workspaces apart.
        visitor : str
            Who asks.

        Returns
        -------
        Job
            Active, or done a moment ago.
        """
        key = f"{context.get('root', '')} {order.key}"
        with self._lock:
            self._drop_old()
            job = self._find(key)
            if job is None:
                job = Job(key, order, context, self._clock)
                self._jobs[job.id] = job
                self._queue.append(job)
            job.visitors.add(visitor)
            self._asked[job.id] = self._clock()
            self._start_next()
            return job

    def _find(self, key: str) -> Job | None:
        for job in self._jobs.values():
            is_usable = job.state == JobState.DONE or (job.is_active and not job._cancelled)
            if job.key == key and is_usable:
                return job
        return None

    def find(self, key: str) -> Job | None:
        """Return the latest job of a key in whatever state, or None.

        Parameters
        ----------
        key : str
            As in :attr:`Job.key`.

        Returns
        -------
        Job or None
            The job.
        """
        with self._lock:
            self._drop_old()
            found = [job for job in self._jobs.values() if job.key == key]
            if not found:
                return None
            self._asked[found[-1].id] = self._clock()
            return found[-1]

    def drop(self, job: Job) -> None:
        """Forget an ended job, so that the same work can be asked for again.

        Parameters
        ----------
        job : Job
            The job.
        """
        with self._lock:
            if not job.is_active:
                self._jobs.pop(job.id, None)
                self._asked.pop(job.id, None)

    def leave(self, job: Job, visitor: str) -> None:
        """Cancel a job for one visitor; it ends, within a moment, when nobody else waits for it.

        Parameters
        ----------
        job : Job
            The job.
        visitor : str
            Who no longer waits.
        """
        with self._lock:
            job.visitors.discard(visitor)
            if job.visitors:
                return
            if job in self._queue:
                self._queue.remove(job)
        was_queued = job.state == JobState.QUEUED
        job._cancel()
        if was_queued and job.state == JobState.CANCELLED:
            self._tell(job)

    def position(self, job: Job) -> int:
        """Return the place of a queued job in its lane: 1 is next, 0 is not queued."""
        with self._lock:
            line = self._line([one for one in self._queue if one.order.lane == job.order.lane])
            return line.index(job) + 1 if job in line else 0

    def active(self) -> list[Job]:
        """Return the jobs that are queued or running."""
        with self._lock:
            return [job for job in self._jobs.values() if job.is_active]

    def drain(self, seconds: float) -> None:
        """Begin nothing more, give what runs some time to end, then end it.

        Parameters
        ----------
        seconds : float
            Time for what runs.
        """
        with self._lock:
            self._is_draining = True
            running = list(self._running)
        deadline = time.monotonic() + seconds
        for job in running:
            job.wait(max(0.0, deadline - time.monotonic()))
        for job in running:
            if (worker := job._worker) is not None:
                worker.kill()

    def __len__(self) -> int:
        with self._lock:
            self._drop_old()
            return len(self._jobs)

    # --- Turns ----------------------------------------------------------------------------

    def _line(self, queue: list[Job]) -> list[Job]:
        """Put queued jobs in the order in which they will begin."""
        under_way: dict[str, int] = {}
        for job in self._running:
            for visitor in job.visitors:
                under_way[visitor] = under_way.get(visitor, 0) + 1
        line, rest = [], list(queue)
        while rest:
            # Ties go to the job that came first.
            nearest = min(
                rest, key=lambda job: min((under_way.get(v, 0) for v in job.visitors), default=0)
            )
            rest.remove(nearest)
            line.append(nearest)
            for visitor in nearest.visitors:
                under_way[visitor] = under_way.get(visitor, 0) + 1
        return line

    def _may_start(self, job: Job) -> bool:
        running = [one for one in self._running if one.order.lane == job.order.lane]
        if len(running) < self.max_running:
            return True
        busy = {visitor for one in running for visitor in one.visitors}
        return len(running) < self.max_processes and not job.visitors & busy

    def _start_next(self) -> None:
        if self._is_draining:
            return
        for job in self._line(self._queue):
            if self._may_start(job):
                self._queue.remove(job)
                if job._begin():
                    self._running.append(job)
                    threading.Thread(
                        target=self._work_off, args=(job,), name=f"job {job.id[:8]}", daemon=True
                    ).start()

    def _work_off(self, job: Job) -> None:
        try:
            job._run(self._start)
        finally:
            with self._lock:
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
