"""The recipe of a run: all that is needed to make the same downloads from the same table, as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.tables import SAMPLES, load_sample
from ecoval_core.target_type import Task
from ecoval_core.workspace import fields
from ecoval_core.workspace.history import rules_from_json, rules_to_json
from ecoval_core.workspace.recipe_fields import (
    MAX_BYTES,
    SCHEMA,
    Kind,
    RecipeError,
    Verdict,
    read_fields,
)
from ecoval_core.workspace.runs import Run, Settings
from ecoval_core.workspace.units import UnitKind

# What the numbers and the bytes of a file can depend on.
PACKAGES = ("ecoval", "numpy", "scipy", "scikit-learn", "skrub", "pandas", "pyarrow")
_KINDS: dict[str, Kind] = {
    ".csv": "csv", ".txt": "csv", ".tsv": "csv", ".parquet": "parquet", ".xlsx": "excel", ".xls": "excel",
}  # fmt: skip


@dataclass(frozen=True)
class LabelDecision:
    """What was decided on a label.

    Attributes
    ----------
    verdict : {"accept", "keep"}
        Take the suggestion, or keep the label that is given.
    label : str, int, float or None
        The new label, where the suggestion was accepted.
    """

    verdict: Verdict
    label: str | int | float | None = None


@dataclass(frozen=True)
class Recipe:
    """A recipe that was read and found sound.

    Attributes
    ----------
    name, note, created : str
        The user's words, and when it was made.
    table : str
        Name of the table.
    kind : {"csv", "parquet", "excel", "sample", "frame"}
        What the table was read from.
    sample : str or None
        Key of the bundled sample, if it is one.
    content : str
        Digest of the table as read, see :func:`ecoval_core.tables.table.content_digest`.
    n_rows, n_columns : int
        Its size as read.
    mends : tuple of dict
        Changes of its cells before anything else.
    target, task, excluded, proportions, noise, random_state
        As in :func:`ecoval_core.tables.make_table` and :func:`ecoval_core.tables.prepare`.
    settings : Settings
        What the run is made with.
    rules : PruneList
        Which rows go.
    labels : dict of int to LabelDecision
        Decisions on labels, by row id.
    unit : {"share", "score"}
        Unit of the values in the downloads.
    values : str or None
        Digest of the values, see :func:`digest_of_values`.
    surplus : float or None
        The surplus found.
    n_pruned : int or None
        Rows that go.
    files : dict of str to str
        SHA-256 of each download, by name, see :func:`ecoval_core.workspace.replay.downloads`.
    versions : dict of str to str
        What it was made with.
    """

    name: str
    note: str
    created: str
    table: str
    kind: Kind
    sample: str | None
    content: str
    n_rows: int
    n_columns: int
    mends: tuple[fields.JsonObject, ...]
    target: str
    task: Task
    excluded: dict[str, str]
    proportions: tuple[float, float, float]
    noise: float
    random_state: int
    settings: Settings
    rules: PruneList
    labels: dict[int, LabelDecision]
    unit: UnitKind
    values: str | None
    surplus: float | None
    n_pruned: int | None
    files: dict[str, str]
    versions: dict[str, str]

    @property
    def relabelled(self) -> dict[int, Any]:
        """New label of each row whose suggestion was accepted."""
        return {row: made.label for row, made in self.labels.items() if made.verdict == "accept"}


def digest_of_values(run: Run) -> str:
    """Return the SHA-256 of row ids, values, standard errors and both parts, in the order of the table."""
    digest = sha256(np.ascontiguousarray(run.ids, dtype="<i8").tobytes())
    for column in ("value", "standard_error", "intrinsic", "extrinsic"):
        digest.update(np.ascontiguousarray(run.frame[column], dtype="<f8").tobytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers and bytes depend on."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def new_labels(run: Run, decisions: Mapping[int, str]) -> dict[int, Any]:
    """Return the suggested label of every valued row whose suggestion was accepted.

    Parameters
    ----------
    run : Run
        The run.
    decisions : mapping of int to {"accept", "keep"}
        Decision by row id; rows that the run does not value are left out.

    Returns
    -------
    dict of int to object
        Label, or target, by row id, in the order of the table.
    """
    accepted = [row for row, verdict in decisions.items() if verdict == "accept"]
    suggested = run.frame["suggested_label"]
    suggested = suggested[suggested.index.isin(accepted)]
    return dict(zip(suggested.index.tolist(), suggested.tolist(), strict=True))


def _find_sample(name: str, content: str) -> str | None:
    """Return the key of the bundled sample that has this name and these cells, or None."""
    for key, sample in SAMPLES.items():
        if sample.title == name and load_sample(key).content == content:
            return key
    return None


def _kind_of(name: str) -> Kind:
    known = [_KINDS[suffix] for suffix in PurePath(name.lower()).suffixes if suffix in _KINDS]
    return known[-1] if known else "frame"


def make_recipe(
    run: Run, rules: PruneList, decisions: Mapping[int, str] | None = None, *,
    relabelled: Mapping[int, Any] | None = None, unit: UnitKind = "share",
    mends: Sequence[Mapping[str, Any]] = (), content: str | None = None,
    files: Mapping[str, str] | None = None, name: str = "", note: str = "", created: str = "",
) -> fields.JsonObject:  # fmt: skip
    """Make the recipe of a run and of what was decided about its rows.

    Parameters
    ----------
    run : Run
        Finished run at its present extrinsic weight.
    rules : PruneList
        Which rows go.
    decisions : mapping of int to {"accept", "keep"} or None, default=None
        Decisions on labels, by row id; rows that the run does not value are left out.
    relabelled : mapping of int to object or None, default=None
        New label of each row whose suggestion was accepted; None takes :func:`new_labels`.
    unit : {"share", "score"}, default="share"
        Unit of the values in the downloads, see :func:`ecoval_core.workspace.units.unit_of`.
    mends : sequence of mapping, default=()
        Changes made to the frame before it was valued, as JSON takes them.
    content : str or None, default=None
        Digest of the frame before them; None where there were none.
    files : mapping of str to str or None, default=None
        SHA-256 of the downloads, by name; None leaves the comparison out. See
        :func:`ecoval_core.workspace.replay.recipe_of`, which makes them.
    name, note, created : str, default=""
        The user's words, and the date.

    Returns
    -------
    dict
        As JSON takes it; :func:`recipe_bytes` writes it.
    """
    prepared, table, settings = run.prepared, run.prepared.table, run.settings
    content = content or table.content
    sample = _find_sample(table.name, content)
    decisions = decisions or {}
    accepted = new_labels(run, decisions) if relabelled is None else relabelled
    labels: fields.JsonObject = {}
    for row in sorted(set(run.ids.tolist()).intersection(decisions)):
        label = {"label": accepted[row]} if row in accepted else {}
        labels[str(row)] = {"decision": decisions[row], **label}
    return {
        "ecoval_recipe": SCHEMA,
        "name": name,
        "note": note,
        "created": created,
        "table": {
            "name": table.name, "kind": "sample" if sample else _kind_of(table.name),
            "sample": sample, "content": content, "rows": table.n_rows,
            "columns": table.frame.shape[1],
        },
        "mends": [dict(mend) for mend in mends],
        "data": {
            "target": table.target, "task": table.task, "excluded": dict(table.excluded),
            "proportions": list(prepared.proportions), "noise": prepared.noise,
            "seed": prepared.random_state,
        },
        "settings": {
            "model": settings.model, "n_clusters": settings.n_clusters, "scoring": settings.scoring,
            "extrinsic_weight": settings.extrinsic_weight, "seed": settings.random_state,
            "every_row": settings.every_row, "balanced": settings.balanced,
        },
        "prune": rules_to_json(rules),
        "labels": labels,
        "unit": unit,
        "expected": {
            "values": digest_of_values(run),
            "surplus": float(run.ecoval.surplus_),
            "pruned": len(rules.reasons(run.frame["value"], run.class_labels)),
            "files": dict(files or {}),
        },
        "versions": versions(),
    }  # fmt: skip


def recipe_bytes(recipe: Mapping[str, Any]) -> bytes:
    """Write a recipe as an indented JSON file in UTF-8."""
    text = json.dumps(recipe, indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode(errors="replace")


# --- Reading -------------------------------------------------------------------------------


def read_recipe(source: bytes | str | Path) -> Recipe:
    """Read a recipe and check every field of it.

    Parameters
    ----------
    source : bytes, str or Path
        The file's content (bytes), or the file (a path).

    Returns
    -------
    Recipe
        Sound in itself; whether it fits a table shows when it is replayed.

    Raises
    ------
    RecipeError
        In one sentence, which names the field where it is about one.
    """
    read = read_fields(source if isinstance(source, bytes) else _read(Path(source)))
    table, data, expected = read["table"], read["data"], read["expected"]
    settings = read["settings"]
    settings["random_state"] = settings.pop("seed")
    labels = {
        int(row): LabelDecision(made["decision"], made.get("label"))
        for row, made in read["labels"].items()
    }
    return Recipe(
        name=read["name"], note=read["note"], created=read["created"], table=table["name"],
        kind=table["kind"], sample=table["sample"], content=table["content"], n_rows=table["rows"],
        n_columns=table["columns"], mends=tuple(read["mends"]), target=data["target"],
        task=data["task"], excluded=data["excluded"], proportions=tuple(data["proportions"]),
        noise=data["noise"], random_state=data["seed"], settings=Settings(**settings),
        rules=rules_from_json(read["prune"]),
        labels=labels, unit=read["unit"], values=expected["values"], surplus=expected["surplus"],
        n_pruned=expected["pruned"], files=expected["files"], versions=read["versions"],
    )  # fmt: skip


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecipeError(
            f"The recipe {str(path)!r} cannot be opened ({reason}): check its path."
        ) from error
