"""Tasks: slow work as functions. Adding one is a function in `work/slow.py` and one call in a page.

A task takes a :class:`Work` and arguments that JSON holds, and returns a frame, arrays, or a small document.
Calling the decorated function does not do the work: it returns a :class:`Task`, whose key is made of its name
and arguments, so that equal requests share one job and one stored result.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, get_type_hints

import numpy as np
import pandas as pd
from pydantic import BaseModel, TypeAdapter

from ecoval_core.models.parallel import Progress
from ecoval_core.runs.fitting import fit_values
from ecoval_core.runs.opened import Opened, load_frame, load_opened
from ecoval_core.runs.run import Run, load_run
from ecoval_core.runs.stored_models import load_models, save_models
from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.workspace.schema import Settings, key_of
from ecoval_core.workspace.workspace import Workspace

P = ParamSpec("P")
ENVIRONMENT_MINUTES, ENVIRONMENT_MB = "ECOVAL_JOB_MINUTES", "ECOVAL_JOB_MB"
DEFAULT_MINUTES, DEFAULT_MB = 60.0, 8_000.0


@dataclass(frozen=True)
class Limits:
    """Seconds on the wall clock, memory beyond what a worker begins with, seconds on the processor."""

    seconds: float
    megabytes: float
    cpu_seconds: int | None = None


# The wall clock is given more than the processor, which other processes share.
READING = Limits(60.0, 1_000.0, 10)
IMPORTING = Limits(120.0, 2_000.0, 60)


@dataclass(frozen=True)
class Definition:
    """What the decorator knows of a task."""

    function: Callable[..., Any]
    label: str
    quick: bool
    is_kept: bool
    refits: bool
    limits: Limits | None
    advice: str
    returns: Any


@dataclass(frozen=True)
class Task:
    """A piece of slow work: its name and its arguments, which JSON holds."""

    name: str
    arguments: dict[str, Any] = field(hash=False)

    @property
    def key(self) -> str:
        """Digest that names the result: one that is carried, or that of name and arguments."""
        return str(self.arguments.get("key") or key_of(self.name, self.arguments))

    @property
    def definition(self) -> Definition:
        """What the decorator knows of it."""
        return TASKS[self.name]

    def typed_arguments(self) -> dict[str, Any]:
        """Return the arguments as the types that the function declares."""
        hints = get_type_hints(self.definition.function)
        return {n: TypeAdapter(hints[n]).validate_python(v) for n, v in self.arguments.items()}

    @property
    def label(self) -> str:
        """Name of the work for people."""
        return self.definition.label.format(**self.arguments)

    @property
    def limits(self) -> Limits:
        """What it may take."""
        if self.definition.limits is not None:
            return self.definition.limits
        minutes = float(os.environ.get(ENVIRONMENT_MINUTES) or DEFAULT_MINUTES)
        return Limits(60 * minutes, float(os.environ.get(ENVIRONMENT_MB) or DEFAULT_MB))


TASKS: dict[str, Definition] = {}


def task(
    label: str, *, quick: bool = False, is_kept: bool = True, refits: bool = False,
    limits: Limits | None = None, advice: str = "take fewer rows or fewer clusters.",
) -> Callable[[Callable[Concatenate[Work, P], Any]], Callable[P, Task]]:  # fmt: skip
    """Make a function a task.

    `quick` work does not wait behind long work. What is not kept travels in the job. Work that `refits` goes
    to the Dask cluster, if there is one. `advice` ends the sentence of a task that took more than its limits.
    """

    def decorate(function: Callable[Concatenate[Work, P], Any]) -> Callable[P, Task]:
        signature = inspect.signature(function)
        returns = get_type_hints(function)["return"]
        name = function.__name__
        TASKS[name] = Definition(function, label, quick, is_kept, refits, limits, advice, returns)

        def make(*args: P.args, **kwargs: P.kwargs) -> Task:
            given = signature.bind(None, *args, **kwargs).arguments
            del given["work"]
            defaults = {name: one.default for name, one in signature.parameters.items()}
            asked = {name: plain(value) for name, value in given.items()}
            return Task(name, {n: v for n, v in asked.items() if v != plain(defaults[n])})

        make.__name__, make.__doc__ = name, function.__doc__
        return make

    return decorate


def plain(value: Any) -> Any:
    """Return an argument as JSON gives it back."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


# --- In the worker --------------------------------------------------------------------------


class Work:
    """What a task works with: the workspace, uploaded files, and a way to report progress."""

    def __init__(self, workspace: Workspace, uploads: Path, report: Progress) -> None:
        self.workspace, self.uploads, self.report = workspace, uploads, report

    def opened(self, split: str) -> Opened:
        """Return an opened table by its key."""
        found = load_opened(self.workspace, split)
        if found is None:
            raise ValueError("The table of this work is no longer in the workspace: open it again.")
        return found

    def frame(self, digest: str) -> pd.DataFrame:
        """Return a frame by its digest."""
        found = load_frame(self.workspace, digest)
        if found is None:
            raise ValueError("The file of this work is no longer in the workspace: load it again.")
        return found

    def run(self, key: str, weight: float = 0.0) -> Run:
        """Return a finished run by the key of its values, at an extrinsic weight."""
        kept = self.workspace.result(key)
        run = None
        if kept is not None:
            settings = Settings.model_validate(kept.arguments["settings"])
            settings = settings.replace(extrinsic_weight=weight)
            run = load_run(self.workspace, key, kept.arguments["split"], settings)
        if run is None:
            raise ValueError(
                "The run of this work is no longer in the workspace: value the rows again."
            )
        return run

    def fitted(self, run: Run) -> EcoVal | CrossValuation:
        """Return the models of a run at its weight: those that were kept, or the same ones fitted again."""
        fitted = load_models(self.workspace, run.key)
        if fitted is None:
            if run.own_model is not None:
                raise ValueError(
                    "New rows need the models of these values, which could not be kept: value them in the "
                    "notebook with value_samples."
                )
            fitted = fit_values(run.split, run.settings, progress=self.report)
            save_models(self.workspace, run.key, fitted)
        return fitted.reweight(run.settings.extrinsic_weight)
