"""A run as one file: its documents, table, values, curves, effects and the review laid out last, no models.

An archive is a zip file whose manifest names every member with its digest. It may come from anybody, so it is
imported by a worker with limits; members are read into memory and never written under their own names. What
was computed elsewhere gets a key of its own, the map aside, which follows from the table alone.
"""

from __future__ import annotations

import time
import zipfile
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError, model_validator

from ecoval_core.runs.fitting import rows_to_value
from ecoval_core.runs.opened import Opened, make_spec_table, save_frame, save_opened, split_table
from ecoval_core.runs.run import Values
from ecoval_core.runs.tasks import TASKS, Task
from ecoval_core.tables.table import content_digest
from ecoval_core.valuation.record import Findings
from ecoval_core.workspace import history
from ecoval_core.workspace.results import read_result, write_zip
from ecoval_core.workspace.schema import (
    Digest,
    Document,
    OpenSpec,
    Review,
    RunSpec,
    Settings,
    Sha256,
    explain,
    key_of,
    versions,
)
from ecoval_core.workspace.workspace import Workspace

VERSION = 2
MAX_MEMBERS, MAX_MEMBER_BYTES, MAX_TOTAL_BYTES = 1_000, 900 * 2**20, 2 * 2**30
# Where memory ends while pydantic reads JSON, it may wait for ever instead of raising an error.
MAX_DOCUMENT_BYTES = 16 * 2**20
_MANIFEST, _TABLE, _VALUES, _REVIEW = "manifest.json", "table", "values", "review.json"
# Results that go with a run. Those of other runs, and models, do not.
_OF_RUN = ("curves", "effect", "baseline", "method_curves", "repeats")


class ArchiveError(ValueError):
    """A file that cannot be imported; the message is one sentence for the user."""


class Member(Document):
    """A result in the archive: what made it, by the name of its task and its arguments."""

    file: str
    kind: str
    arguments: dict[str, Any] = {}


class Manifest(Document):
    """What an archive holds."""

    ecoval_run: int
    run: RunSpec
    key: Digest
    name: str = Field(max_length=history.MAX_NAME)
    note: str = Field(default="", max_length=history.MAX_NOTE)
    created: float = Field(ge=0, lt=1e11)
    results: tuple[Member, ...] = Field(default=(), max_length=MAX_MEMBERS)
    review_updated: float | None = None
    digests: dict[str, Sha256]
    versions: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _check_version(cls, given: Any) -> Any:
        version = given.get("ecoval_run") if isinstance(given, dict) else None
        if isinstance(version, int) and version != VERSION:
            raise ValueError(
                f"it was exported by another EcoVal (version {version} of the file, here {VERSION}); export "
                "it again there, or install that EcoVal"
            )
        return given


# --- Export ---------------------------------------------------------------------------------


def export_run(workspace: Workspace, run_id: str) -> bytes:
    """Write a finished run into one file, the same bytes as long as nothing of the run changes."""
    record = history.find_run(workspace, run_id)
    if record is None:
        raise ValueError("This run is no longer in the workspace: reload the page.")
    if record.state != "done":
        why = record.error or "it has not finished."
        raise ValueError(f"{record.name} cannot be exported: {why[0].lower()}{why[1:]}")
    members = {_TABLE: _content(workspace, record.spec.table.content)}
    for part, own in record.spec.split.files.items():
        members[part] = _content(workspace, own.content)
    members[_VALUES] = _content(workspace, record.key)
    results: list[Member] = []
    for one in _results_of(workspace, record):
        file = f"results/{len(results)}"
        arguments = {name: v for name, v in one.arguments.items() if name not in ("run", "split")}
        results.append(Member(file=file, kind=one.kind, arguments=arguments))
        members[file] = _content(workspace, one.key)
    kept = history.latest_review(workspace, run_id)
    if kept is not None:
        members[_REVIEW] = kept.review.model_dump_json(exclude_defaults=True).encode()
    manifest = Manifest(
        ecoval_run=VERSION, run=record.spec, key=record.key, name=record.name, note=record.note,
        created=record.created, results=tuple(results), versions=versions(),
        review_updated=None if kept is None else kept.updated,
        digests={name: sha256(content).hexdigest() for name, content in members.items()},
    )  # fmt: skip
    everything = {_MANIFEST: manifest.model_dump_json().encode(), **members}
    return write_zip(everything.items(), zipfile.ZIP_DEFLATED)


def _content(workspace: Workspace, key: str) -> bytes:
    found = workspace.content(key)
    if found is None:
        raise ValueError("This run cannot be exported: its table or values are no longer kept.")
    return found


def _results_of(workspace: Workspace, record: history.RunRecord) -> list[Any]:
    """Return the results that go with a run, in an order that does not depend on when they were made."""
    found = [
        one
        for one in workspace.results_of(record.key)
        if one.kind in _OF_RUN
        and (one.kind != "method_curves" or "baseline" in one.arguments["other"])
    ]
    found += [
        one
        for one in workspace.results_of(record.split, "umap")
        if one.arguments.get("every_row", False) == record.settings.every_row
    ]
    return sorted(found, key=lambda one: (one.kind, one.key))


# --- Import ---------------------------------------------------------------------------------


def import_run(workspace: Workspace, path: Path, *, visitor: str = "") -> str:
    """Take a run from an archive into a workspace and return its id, that of the same run if it is here.

    Raises :class:`ArchiveError` if the file is no archive, is damaged or not of one piece; nothing is kept
    then.
    """
    try:
        manifest, members = _unpack(path)
        frame = read_result(members[_TABLE], pd.DataFrame)
        if content_digest(frame) != manifest.run.table.content:
            raise ArchiveError("The table in this file is not the one that its run was made from.")
        spec = OpenSpec(table=manifest.run.table, split=manifest.run.split)
        table, files, frames = make_spec_table(spec.table, frame), {}, {spec.table.content: frame}
        for part, file in spec.split.files.items():
            files[part] = frames[file.content] = read_result(members[part], pd.DataFrame)
            if content_digest(files[part]) != file.content:
                raise ArchiveError(
                    f"The {part} rows in this file are not those that its run was made with."
                )
        opened = split_table(table, spec, files)
        if spec.split.kind != "given":
            manifest.run.settings.check(table.task)
        values: Values = read_result(members[_VALUES], Values)
        ids = rows_to_value(opened.split, manifest.run.settings.every_row).ids
        _check_values(values, len(ids))
        results = [_read(one, members[one.file], len(ids)) for one in manifest.results]
        review = Review.model_validate_json(members.get(_REVIEW, b"{}"))
        if not set(review.selected) | set(review.labels) | review.prune.picked <= set(ids.tolist()):
            raise ArchiveError("The review in this file is of rows that its run does not value.")
    except ArchiveError:
        raise
    except ValidationError as error:
        raise ArchiveError(f"This file cannot be imported: {explain(error)}") from error
    except Exception as error:  # whatever the libraries that read it raise
        reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        raise ArchiveError(f"This file does not hold a complete run ({reason}).") from error
    for digest, cells in frames.items():
        save_frame(workspace, cells, digest)
    key = _key_here(workspace, manifest, members[_VALUES])
    _save(workspace, key, manifest.run.settings, opened, values, results)
    run_id = history.start_run(
        workspace, manifest.run, key=key, split=opened.key, frame=opened.table.content,
        name=manifest.name, note=manifest.note, created=min(manifest.created, time.time()),
    )  # fmt: skip
    here = history.latest_review(workspace, run_id)
    if _REVIEW in members and (here is None or here.review != review):
        updated = min(manifest.review_updated or 0.0, time.time())
        history.save_review(workspace, uuid4().hex[:12], run_id, visitor, review, updated)
    return run_id


def _unpack(path: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Read the manifest and the members that it names, and compare their digests."""
    if not zipfile.is_zipfile(path):
        raise ArchiveError("This file is not a run exported by EcoVal (.ecoval).")
    with zipfile.ZipFile(path) as archive:
        n_members = len(archive.infolist())
        if n_members > MAX_MEMBERS:
            raise ArchiveError(
                f"This file has {n_members:,} members, and at most {MAX_MEMBERS:,} are read."
            )
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        largest, total = max(sizes.values(), default=0), sum(sizes.values())
        if largest > MAX_MEMBER_BYTES or total > MAX_TOTAL_BYTES:
            raise ArchiveError(f"This file unpacks to {total / 2**20:,.0f} MB: that is too large.")
        if _MANIFEST not in sizes:
            raise ArchiveError(
                "This file is not a run exported by EcoVal: it has no manifest.json."
            )
        if max(sizes[_MANIFEST], sizes.get(_REVIEW, 0)) > MAX_DOCUMENT_BYTES:
            raise ArchiveError("The documents in this file are too long.")
        manifest = Manifest.model_validate_json(archive.read(_MANIFEST))
        if strangers := set(sizes) - {_MANIFEST, *manifest.digests}:
            raise ArchiveError(
                f"This file holds {min(strangers)!r}, which its manifest does not name."
            )
        members = {name: archive.read(name) for name in manifest.digests}
    for name, content in members.items():
        if sha256(content).hexdigest() != manifest.digests[name]:
            raise ArchiveError(
                f"This file is damaged: the digest of {name!r} is not that of its manifest."
            )
    return manifest, members


def _read(one: Member, content: bytes, n_rows: int) -> tuple[Member, Any]:
    """Read a result; refuse one whose arguments or rows are not those that its task has."""
    if one.kind not in (*_OF_RUN, "umap"):
        raise ArchiveError(f"This file holds a result of the kind {one.kind!r}, which no run has.")
    found = read_result(content, TASKS[one.kind].returns)
    arguments = Task(one.kind, one.arguments).typed_arguments()
    shape = {"umap": (n_rows, 2), "baseline": (n_rows,)}.get(one.kind)
    fits = shape is None or (found.shape == shape and np.isfinite(found).all())
    if not fits or (one.kind == "method_curves" and "baseline" not in arguments["other"]):
        raise ArchiveError(f"The {one.kind} in this file is not of the rows of its run.")
    for repeat in found if one.kind == "repeats" else ():
        _check_values(repeat, n_rows)
    return one, found


_BY_ROW = (
    "labels", "quality", "label_quality", "raw_extrinsic", "judged", "suggested_labels", "label_issues"
)  # fmt: skip


def _check_values(values: Values, n_rows: int) -> None:
    """Refuse values that are not of the rows of the split."""
    sizes = [len(rows) for rows in values.trained] or [n_rows]
    if len(sizes) != len(values.findings) or (values.folds and len(values.folds["fold"]) != n_rows):
        raise ArchiveError("The values in this file are not of the rows of its table.")
    for found, size in zip(values.findings, sizes, strict=True):
        if any(len(getattr(found, name)) != size for name in _BY_ROW):
            raise ArchiveError("The values in this file are not of the rows of its table.")
        for f in fields(Findings):
            array = getattr(found, f.name)
            if isinstance(array, np.ndarray) and array.dtype.kind not in "biufU":
                raise ArchiveError(f"The {f.name} in this file are neither numbers nor text.")
    values.at(0.0)  # which raises where the arrays do not go together


def _key_here(workspace: Workspace, manifest: Manifest, content: bytes) -> str:
    """Return the key of the same values in this workspace, or else one of their own."""
    for key in (manifest.key, manifest.run.key):
        if workspace.content(key) == content:
            return key
    return key_of("imported", manifest.run.key, manifest.digests[_VALUES])


def _save(
    workspace: Workspace, key: str, settings: Settings, opened: Opened, values: Values,
    results: list[tuple[Member, Any]],
) -> None:  # fmt: skip
    """Keep a table, its values under a key, and what was computed from them."""
    if workspace.result(opened.key) is None:
        save_opened(workspace, opened)
    arguments: dict[str, Any] = {"key": key, "split": opened.key, "settings": settings.dump()}
    made: list[tuple[str, str, Any, str, dict[str, Any]]] = [
        (key, "value", values, opened.key, arguments)
    ]
    for one, result in results:
        owner = {"split": opened.key} if one.kind == "umap" else {"run": key}
        arguments = {**one.arguments, **owner}
        made.append((key_of(one.kind, arguments), one.kind, result, min(owner.values()), arguments))
    for result_key, kind, result, of, arguments in made:
        # What is here already may have been computed here.
        if workspace.result(result_key) is None:
            workspace.save(result_key, kind, result, owner=of, arguments=arguments)
