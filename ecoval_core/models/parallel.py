"""Tasks through joblib: serial, threads, processes or a cluster, with progress and a stop."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import unwrap
from threading import Event
from typing import Any

import numpy as np
import sklearn
from joblib import parallel_config
from numpy.typing import NDArray
from sklearn.utils.parallel import Parallel, delayed

Progress = Callable[[int, int], None]
ShouldStop = Callable[[], bool]

# Of neighbours and trees, on a thread at a time.
BLOCK_ROWS = 10_000

_CANCELLED = "The run was cancelled."


class Cancelled(Exception):  # noqa: N818 - a request that was granted, not an error
    """The caller's ``should_stop`` asked to stop; nothing was changed."""


@dataclass
class Monitor:
    """Where a run stands, and whether its caller wants it to stop."""

    progress: Progress | None = None
    should_stop: ShouldStop | None = None
    total: int = 0
    done: int = 0

    @property
    def is_stopping(self) -> bool:
        """Whether the caller asks to stop."""
        return self.should_stop is not None and self.should_stop()

    def check(self) -> None:
        """Stop here if the caller asks to."""
        if self.is_stopping:
            raise Cancelled(_CANCELLED)

    def step(self) -> None:
        """Count a finished step and report it."""
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)

    def part(self, part: int, n_parts: int) -> Progress | None:
        """Report the progress of one of several runs of equal length as that of the whole."""
        report = self.progress
        if report is None:
            return None
        return lambda done, total: report(part * total + done, n_parts * total)


@contextmanager
def warn_once() -> Iterator[None]:
    """Pass on each warning of a block once, however many fits gave it."""
    with warnings.catch_warnings(record=True) as caught:
        yield
    once = {(one.category, one.filename, one.lineno): one for one in reversed(caught)}
    for one in reversed(once.values()):
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def _stay_in_process(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    # To a cluster's backend every tree of a forest is a task, and while a fit waits for its trees its
    # worker begins another fit: measured ten times slower, with thread limits left behind.
    with parallel_config("threading"):
        return function(*args, **kwargs)


def run_tasks(
    tasks: list[Any], n_jobs: int | None = None, monitor: Monitor | None = None,
    *, count: Callable[[Any], int] = lambda _: 1,
) -> Iterator[Any]:  # fmt: skip
    """Run delayed tasks in order through joblib, each `count` steps of progress, heeding a stop."""
    monitor = monitor or Monitor()
    monitor.check()
    stopping = Event()
    # The supply of tasks ends at a stop, and those under way are awaited: joblib neither leaves
    # workers behind nor warns of results that nobody fetched.
    supply = (
        delayed(_stay_in_process)(unwrap(function), *args, **kwargs)
        for function, args, kwargs in tasks
        if not stopping.is_set()
    )
    with sklearn.config_context(assume_finite=True):
        results = Parallel(n_jobs=n_jobs, return_as="generator", pre_dispatch="2*n_jobs")(supply)
    for result in results:
        if stopping.is_set():
            continue
        yield result
        for _ in range(count(result)):
            monitor.step()
            if monitor.is_stopping:
                stopping.set()
                break
    if stopping.is_set():
        raise Cancelled(_CANCELLED)


def map_rows(
    function: Callable[[NDArray], NDArray], X: NDArray, n_jobs: int | None = None
) -> NDArray:
    """Apply a function that needs no other rows to blocks of rows, on threads; same bits for any number."""
    blocks = [X[start : start + BLOCK_ROWS] for start in range(0, len(X), BLOCK_ROWS)]
    if len(blocks) < 2:
        return function(X)
    with parallel_config("threading"):
        return np.concatenate(Parallel(n_jobs=n_jobs)(delayed(function)(block) for block in blocks))
