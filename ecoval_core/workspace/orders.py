"""Orders: the pieces of work that a worker process performs, by name, with parameters that JSON can hold.

An order says what is wanted and nothing of how: the key made of it names the result, so that whoever wants
the same finds it, or joins whoever is already at it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import Any, Literal

import numpy as np

from ecoval_core.tables import Prepared
from ecoval_core.workspace.runs import Run, Settings

Lane = Literal["quick", "long"]
ENVIRONMENT_MINUTES, ENVIRONMENT_MB = "ECOVAL_JOB_MINUTES", "ECOVAL_JOB_MB"
DEFAULT_MINUTES, DEFAULT_MB = 60.0, 8_000.0
# What any file may take to be read; the wall clock is given more than the processor, since other
# processes share it.
READ_CPU_SECONDS, READ_MB = 10, 1_000.0
READ_SECONDS = 60.0
# Random orders that removal curves are set against.
N_RANDOM = 10


@dataclass(frozen=True)
class Limits:
    """What a piece of work may take.

    Attributes
    ----------
    seconds : float
        On the wall clock.
    megabytes : float
        Memory beyond what a worker begins with.
    cpu_seconds : int or None
        On the processor.
    """

    seconds: float
    megabytes: float
    cpu_seconds: int | None = None


@dataclass(frozen=True)
class Order:
    """A piece of work.

    Attributes
    ----------
    kind : str
        Name of a task of :mod:`ecoval_core.workspace.tasks`.
    parameters : dict
        What it takes, fit for JSON. "preparation" and "valuation" name what the result belongs to.
    label : str
        Name of the work for people; not part of the key.
    lane : {"quick", "long"}
        Quick work does not wait behind long work.
    """

    kind: str
    parameters: dict[str, Any]
    label: str
    lane: Lane = "long"

    @property
    def key(self) -> str:
        """Digest of kind and parameters, 32 hexadecimal digits."""
        return result_key(self.kind, self.parameters)

    @property
    def limits(self) -> Limits:
        """What it may take: of a file to read what is promised, else what the environment says."""
        if self.kind in ("open", "read"):
            return Limits(READ_SECONDS, READ_MB, READ_CPU_SECONDS)
        minutes = float(os.environ.get(ENVIRONMENT_MINUTES) or DEFAULT_MINUTES)
        return Limits(60 * minutes, float(os.environ.get(ENVIRONMENT_MB) or DEFAULT_MB))


def result_key(kind: str, parameters: Mapping[str, Any]) -> str:
    """Return the digest that names a result.

    Parameters
    ----------
    kind : str
        Name of the task.
    parameters : mapping
        What it takes; the order of keys does not matter.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    canonical = json.dumps([kind, parameters], sort_keys=True, separators=(",", ":"))
    return blake2b(canonical.encode(), digest_size=16).hexdigest()


def _fits(settings: Settings) -> dict[str, Any]:
    """Return the settings that decide what is fitted: all but the extrinsic weight."""
    kept = asdict(settings)
    del kept["extrinsic_weight"]
    return kept


def _plain(label: Any) -> Any:
    """Return a label as JSON takes it."""
    return label.item() if isinstance(label, np.generic) else label


def open_table(
    source: Mapping[str, Any], name: str, *, target: str | None = None, task: str | None = None,
    excluded: Mapping[str, str] | None = None, left_out: Mapping[str, str] | None = None,
    mends: Sequence[Mapping[str, Any]] = (), proportions: Sequence[float] | None = None,
    noise: float = 0.0, random_state: int = 0,
) -> Order:  # fmt: skip
    """Order a table to be read, or changed, and prepared.

    Parameters
    ----------
    source : mapping
        ``{"sample": key}``, ``{"frame": digest}`` of a frame in the workspace, or ``{"file": digest}`` of a
        file among the uploads.
    name : str
        Name of the table.
    target, task, excluded
        As in :func:`ecoval_core.tables.make_table`.
    left_out : mapping of str to str or None, default=None
        Columns left out besides those that look like ids or carry no information, with the reason.
    mends : sequence of mapping, default=()
        Mends of cells to apply first; see :mod:`ecoval_core.tables.mending`.
    proportions, noise, random_state
        As in :func:`ecoval_core.tables.prepare`.

    Returns
    -------
    Order
        Its payload holds "frame" and "preparation", or "frame", "refusal", "columns", "target" and
        "suggested", the mends that might let it open.
    """
    parameters = {
        "source": dict(source), "name": name, "target": target, "task": task,
        "excluded": None if excluded is None else dict(excluded),
        "left_out": dict(left_out or {}), "mends": [dict(one) for one in mends],
        "proportions": None if proportions is None else list(proportions), "noise": noise,
        "random_state": random_state,
    }  # fmt: skip
    return Order("open", parameters, f"Opening {name}", "quick")


def mends(preparation: str) -> Order:
    """Name what was mended in a table before it was prepared: a result that opening it leaves behind."""
    return Order("mends", {"preparation": preparation}, "Mending")


def value(prepared: Prepared, settings: Settings) -> Order:
    """Order a valuation; its key names the values at every extrinsic weight."""
    parameters = {"preparation": prepared.fingerprint, "settings": _fits(settings)}
    return Order("value", parameters, f"Valuing {prepared.table.name}")


def timing(prepared: Prepared, settings: Settings) -> Order:
    """Order an estimate of the seconds that a valuation will take: its payload's "seconds"."""
    any_seed = replace(settings, random_state=0, scoring="")
    parameters = {"preparation": prepared.fingerprint, "settings": _fits(any_seed)}
    return Order("timing", parameters, "Timing a few fits", "quick")


def _of_run(run: Run) -> dict[str, Any]:
    return {
        "preparation": run.prepared.fingerprint,
        "valuation": value(run.prepared, run.settings).key,
        "settings": _fits(run.settings),
    }


def curves(run: Run, *, balanced: bool, baseline: str | None = None) -> Order:
    """Order removal curves of a run at its extrinsic weight, or of a baseline on the same rows.

    Parameters
    ----------
    run : Run
        The run.
    balanced : bool
        Whether the same share of every class is removed.
    baseline : str or None, default=None
        Remove in the order of this baseline's values instead.

    Returns
    -------
    Order
        Its frame is that of :func:`ecoval_core.evaluation.curves.removal_curves`.
    """
    order = {"baseline": baseline} if baseline else {"weight": run.settings.extrinsic_weight}
    parameters = {**_of_run(run), "balanced": balanced, **order}
    return Order("curves", parameters, "Measuring the curves")


def effect(run: Run, removed: Sequence[int], relabelled: Mapping[int, Any] | None = None) -> Order:
    """Order the effect of pruning and relabelling rows.

    Parameters
    ----------
    run : Run
        The run.
    removed : sequence of int
        Row ids that go.
    relabelled : mapping of int to object or None, default=None
        New labels, or targets, by row id.

    Returns
    -------
    Order
        Its payload holds an :class:`ecoval_core.evaluation.pruning.Effect`.
    """
    changed = sorted((relabelled or {}).items())
    parameters = {
        **_of_run(run),
        "removed": sorted(int(row) for row in removed),
        "relabelled": [[int(row), _plain(label)] for row, label in changed],
    }
    return Order("effect", parameters, "Measuring the effect")


def projection(run: Run) -> Order:
    """Order the UMAP projection of the rows of a run."""
    parameters = {
        "preparation": run.prepared.fingerprint,
        "every_row": run.settings.every_row,
    }
    return Order("umap", parameters, "Computing the UMAP projection")


def repeats(run: Run) -> Order:
    """Order the valuation of a run to be repeated with other seeds."""
    return Order("repeats", _of_run(run), "Repeating the valuation")


def baseline(run: Run, key: str) -> Order:
    """Order the values that another method gives to the rows of a run.

    Parameters
    ----------
    run : Run
        The run.
    key : str
        Key of :data:`ecoval_core.evaluation.baselines.BASELINES`.

    Returns
    -------
    Order
        Its array has one value a row of ``run.ids``.
    """
    return Order("baseline", {**_of_run(run), "baseline": key}, "Valuing by another method")


def method_curves(run: Run, other: Mapping[str, Any], *, balanced: bool = False) -> Order:
    """Order removal curves of a run over those of another run or method, on the rows that both value.

    Parameters
    ----------
    run : Run
        The run.
    other : mapping
        ``{"baseline": key}``, or :func:`as_other` of another run.
    balanced : bool, default=False
        Whether the same share of every class is removed.

    Returns
    -------
    Order
        Its frame is that of :func:`ecoval_core.evaluation.comparison.method_curves`, the run's method being
        "a" and the other "b".
    """
    weight = run.settings.extrinsic_weight
    parameters = {**_of_run(run), "weight": weight, "other": dict(other), "balanced": balanced}
    return Order("method_curves", parameters, "Measuring the curves")


def as_other(run: Run) -> dict[str, Any]:
    """Return a run as :func:`method_curves` takes the other one."""
    return {**_of_run(run), "weight": run.settings.extrinsic_weight}


def read_file(digest: str, name: str) -> Order:
    """Order an uploaded file to be read: its payload's "frame" names what was read."""
    parameters = {"source": {"file": digest}, "name": name}
    return Order("read", parameters, f"Reading {name}", "quick")


def new_rows(run: Run, frame: str, name: str) -> Order:
    """Order the rows of a second file to be valued by a run, without a refit.

    Parameters
    ----------
    run : Run
        The run; its extrinsic weight counts.
    frame : str
        Digest of what was read.
    name : str
        What messages call the file.

    Returns
    -------
    Order
        Its frames are those of :mod:`ecoval_core.evaluation.acquisition`.
    """
    weight = run.settings.extrinsic_weight
    parameters = {**_of_run(run), "weight": weight, "frame": frame, "name": name}
    return Order("new_rows", parameters, f"Valuing {name}", "quick")


def acquisition(run: Run, frame: str, name: str) -> Order:
    """Order the test score to be measured while the rows of a second file are added; see :func:`new_rows`."""
    order = new_rows(run, frame, name)
    return Order("acquisition", order.parameters, "Measuring what new rows bring")
