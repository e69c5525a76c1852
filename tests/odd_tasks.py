"""Tasks that take too much, fail or say where they are done; a fork server knows them by `ready`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from ecoval_core.runs.tasks import Limits, Work, task

ROOMY = Limits(600.0, 500.0)


def ready() -> None:
    """Called in the fork server, which has imported this module then."""


def compile_for_long() -> None:
    """Called in a fork server, which is busy with it for longer than any test."""
    os.write(1, b"compiling\n")
    time.sleep(600)


@task("Sleeping", is_kept=False, limits=ROOMY)
def sleep(work: Work, seconds: float) -> list[int]:
    child = subprocess.Popen(["sleep", str(seconds)])
    work.report(1, 3)
    child.wait()
    return [os.getpid()]


@task("Dozing", is_kept=False, limits=Limits(0.5, 500.0))
def doze(work: Work) -> None:
    time.sleep(60)


@task("Spinning", is_kept=False, limits=Limits(60.0, 500.0, cpu_seconds=0), advice="spin less.")
def spin(work: Work) -> None:
    while True:
        pass


@task("Allocating", is_kept=False, limits=Limits(60.0, 100.0))
def allocate(work: Work, megabytes: int) -> int:
    return len(np.ones(megabytes * 2**17)) // 2**17


@task("Failing", is_kept=False)
def fail(work: Work, how: str) -> None:
    raise {"sentence": ValueError("Column 'a' is empty.\nmore"), "bug": KeyError("a")}[how]


@task("Looking around", is_kept=False)
def look_around(work: Work) -> dict[str, Any]:
    return {
        "streamlit": "streamlit" in sys.modules, "threads": os.environ["OMP_NUM_THREADS"],
        "nice": os.nice(0),
    }  # fmt: skip


@task("Looking around", quick=True, is_kept=False)
def look_around_quickly(work: Work) -> int:
    return os.nice(0)
