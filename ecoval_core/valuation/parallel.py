"""Tasks through joblib: serial, threads, processes or a cluster, with progress and a stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import unwrap
from threading import Event
from typing import Any

import sklearn
from joblib import parallel_config
from sklearn.utils.parallel import Parallel, delayed

Progress = Callable[[int, int], None]
ShouldStop = Callable[[], bool]

_CANCELLED = "The run was cancelled."


class Cancelled(Exception):  # noqa: N818 - a request that was granted, not an error
    """The caller's ``should_stop`` asked to stop; nothing was changed."""


def check_stop(should_stop: ShouldStop | None) -> None:
    """Stop here if the caller asks to.

    Parameters
    ----------
    should_stop : callable or None
        Asked once.

    Raises
    ------
    Cancelled
        If it returned True.
    """
    if should_stop is not None and should_stop():
        raise Cancelled(_CANCELLED)


def _stay_in_process(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    # To a cluster's backend every tree of a forest is a task, and while a fit waits for its trees its
    # worker begins another fit: measured ten times slower, with thread limits left behind.
    with parallel_config("threading"):
        return function(*args, **kwargs)


def run_tasks(
    tasks: list[Any], n_jobs: int | None, progress: Progress | None, should_stop: ShouldStop | None,
    *, done: int = 0, total: int | None = None,
) -> Iterator[Any]:  # fmt: skip
    """Run delayed tasks in order through joblib, telling progress and heeding a stop.

    Parameters
    ----------
    tasks : list of delayed calls
        From :func:`sklearn.utils.parallel.delayed`.
    n_jobs : int or None
        As in joblib.
    progress : callable or None
        Called as ``progress(done, total)`` after each task.
    should_stop : callable or None
        Asked after each task.
    done, total : int
        Tasks finished before these, and all there are.

    Yields
    ------
    object
        Each task's result, in the order of `tasks`.

    Raises
    ------
    Cancelled
        If `should_stop` returned True.
    """
    total = done + len(tasks) if total is None else total
    check_stop(should_stop)
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
    for finished, result in enumerate(results, start=done + 1):
        if stopping.is_set():
            continue
        yield result
        if progress is not None:
            progress(finished, total)
        if should_stop is not None and should_stop():
            stopping.set()
    if stopping.is_set():
        raise Cancelled(_CANCELLED)


def part_of(progress: Progress | None, part: int, n_parts: int) -> Progress | None:
    """Tell the progress of one of several runs of equal length as that of the whole.

    Parameters
    ----------
    progress : callable or None
        Takes fits done and fits to do, over all parts.
    part, n_parts : int
        Which part runs, from 0, and how many there are.

    Returns
    -------
    callable or None
        Takes fits done and fits to do of the part.
    """
    if progress is None:
        return None
    return lambda done, total: progress(part * total + done, n_parts * total)
