"""A run as one file: table, prepared table, values, models, curves, effects and the desk laid out last.

A bundle is a zip archive whose manifest names every member with its size and digest. An import checks all of
it before the workspace names anything. What has been computed elsewhere gets keys of its own, made of its
contents: it never stands for what this workspace would compute.
"""

from __future__ import annotations

import io
import json
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from ecoval_core.tables import Prepared
from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.record import Valuation
from ecoval_core.workspace import bundle_parts as parts
from ecoval_core.workspace import fields
from ecoval_core.workspace.bundle_archive import digest, json_bytes, pack, refusing, unpack
from ecoval_core.workspace.bundle_fields import (
    DESK,
    MAX_UNPACKED,
    SCHEMA,
    BundleError,
    check_desk,
    check_settings,
)
from ecoval_core.workspace.bundle_parts import KINDS, OF_TABLE, ORIGINAL, Kept
from ecoval_core.workspace.desks import Desk, find_desk, latest_desk, put_desk
from ecoval_core.workspace.history import RunRecord, add_run, find_run, run_of
from ecoval_core.workspace.orders import result_key
from ecoval_core.workspace.recipe import versions
from ecoval_core.workspace.runs import Run, Settings
from ecoval_core.workspace.store import Result, Store, note_finished
from ecoval_core.workspace.valuations import FIT, read_valuation, write_valuation

__all__ = ["BundleError", "export_run", "import_run", "write_bundle"]

_FRAME, _DESK, _SUMMARY = "frame.parquet", "desk.json", "summary.json"
_PREPARED, _VALUES, _RESULTS = "prepared", "values", "results"
# What every result of a run names, and an import names anew.
_OF_RUN = ("preparation", "valuation", "settings")


# --- Export ----------------------------------------------------------------------------------


def export_run(store: Store, run_id: str) -> bytes:
    """Write a finished run into one file.

    Parameters
    ----------
    store : Store
        The workspace.
    run_id : str
        Id of the run.

    Returns
    -------
    bytes
        The bundle: a zip archive. It is the same as long as nothing of the run changes.

    Raises
    ------
    ValueError
        If the run is not here, has not finished, lacks something, or is too large for one file.
    OSError
        If something cannot be read.
    """
    target = io.BytesIO()
    write_bundle(store, run_id, target)
    return target.getvalue()


def write_bundle(store: Store, run_id: str, target: Path | BinaryIO) -> None:
    """Write a finished run into a file; see :func:`export_run`.

    Parameters
    ----------
    store : Store
        The workspace.
    run_id : str
        Id of the run.
    target : Path or binary file
        Where to.
    """
    record = find_run(store, run_id)
    if record is None:
        raise ValueError("This run is no longer in the workspace: reload the page.")
    if record.state != "done":
        why = record.error or "it has not finished."
        raise ValueError(f"{record.name} cannot be exported: {why[0].lower()}{why[1:]}")
    prepared = store.load_prepared(record.preparation)
    kept = store.find_result(record.valuation)
    files = {
        _FRAME: store.file_of("frames", record.frame),
        _PREPARED: store.file_of("preparations", record.preparation),
        _VALUES: None if kept is None else kept.folder,
    }
    if prepared is None or kept is None or None in files.values():
        raise ValueError(
            f"{record.name} cannot be exported: its table or values are no longer kept."
        )
    made = _results_of(store, record)
    members: dict[str, Path | bytes] = {_SUMMARY: json_bytes(kept.payload)}
    for name, path in files.items():
        members |= _members(name, path)
    for number, one in enumerate(made):
        parameters = {name: one.parameters[name] for name in one.parameters if name not in _OF_RUN}
        named = {"kind": one.kind, "parameters": parameters, "payload": one.payload}
        folder = f"{_RESULTS}/{number}"
        members |= {f"{folder}/result.json": json_bytes(named), **_members(folder, one.folder)}
        if one.kind == "mends":
            members |= _members(f"{folder}/{ORIGINAL}", _original(store, one, record))
    desk = _latest_desk(store, run_id)
    if desk is not None:
        members[_DESK] = json_bytes(desk)
    pack(members, _manifest(record, prepared, len(made)), target, record.name)


def _results_of(store: Store, record: RunRecord) -> list[Result]:
    """Return what belongs to a run and goes with it, in an order that does not depend on when it was made."""
    found = store.results_of(record.valuation)
    for kind in OF_TABLE:
        found += store.results_of_preparation(record.preparation, kind)
    found = [one for one in found if one.kind in KINDS and _travels(store, one, record)]
    return sorted(found, key=lambda one: (one.kind, one.key))


def _travels(store: Store, one: Result, record: RunRecord) -> bool:
    """Whether all that a result is about goes with the run."""
    if one.kind == "umap":
        return bool(one.parameters.get("every_row") == record.settings.every_row)
    if one.kind == "method_curves":
        return "baseline" in one.parameters.get("other", {})
    if one.kind == "mends":
        return one.payload["content"] == record.frame or _original(store, one, record) is not None
    return True


def _original(store: Store, mends: Result, record: RunRecord) -> Path | None:
    content = mends.payload["content"]
    return None if content == record.frame else store.file_of("frames", content)


def _members(name: str, path: Path | None) -> dict[str, Path | bytes]:
    if path is None or not path.is_dir():
        return {} if path is None or not path.exists() else {name: path}
    return {
        f"{name}/{file.relative_to(path).as_posix()}": file
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def _manifest(record: RunRecord, prepared: Prepared, n_results: int) -> dict[str, Any]:
    table = prepared.table
    return {
        "ecoval_run": SCHEMA,
        "run": {"name": record.name, "note": record.note, "created": record.created},
        "settings": asdict(record.settings),
        "table": {
            "name": table.name, "content": table.content, "target": table.target, "task": table.task,
            "excluded": dict(table.excluded),
        },
        "preparation": {
            "proportions": list(prepared.proportions), "noise": prepared.noise,
            "random_state": prepared.random_state,
        },
        "results": n_results,
        "versions": versions(),
    }  # fmt: skip


def _latest_desk(store: Store, run_id: str) -> dict[str, Any] | None:
    desk_id = latest_desk(store, run_id)
    desk = None if desk_id is None else find_desk(store, desk_id)
    row = store.db.one("SELECT updated FROM desks WHERE id = ?", desk_id)
    if desk is None or row is None:
        return None
    return {"selection": desk.selection, "decisions": desk.decisions, "updated": row["updated"]}


# --- Import ----------------------------------------------------------------------------------


def import_run(store: Store, source: bytes | Path | BinaryIO, *, visitor: str = "") -> str:
    """Take a run from a bundle into a workspace.

    Parameters
    ----------
    store : Store
        The workspace.
    source : bytes, Path or binary file
        A bundle, which may come from anybody.
    visitor : str, default=""
        Whose its desk becomes.

    Returns
    -------
    str
        Id of the run: that of the same run where it is here already. A desk that is not here yet is added
        under an id of its own, beside those that are.

    Raises
    ------
    BundleError
        If the file is no bundle, is damaged, is of a later version, or is not of one piece: one sentence.
        Nothing of it is kept then.
    OSError, sqlite3.OperationalError
        If the workspace cannot be written.
    """
    with store.draft() as folder:
        folder.mkdir()
        manifest = unpack(source, folder)
        with refusing("does not hold a run of one piece"):
            found = _read(folder, manifest)
        return _save(store, found, visitor)


@dataclass(frozen=True)
class _Found:
    """What a bundle holds, all of it checked."""

    name: str
    note: str
    created: float
    settings: Settings
    prepared: Prepared
    values: Valuation | CrossValuation
    models: Path | None
    summary: dict[str, Any]
    results: list[Kept]
    desk: dict[str, Any] | None


def _read(folder: Path, manifest: dict[str, Any]) -> _Found:
    settings = check_settings(manifest["settings"], manifest["table"]["task"])
    table = parts.read_table(folder / _FRAME, manifest["table"])
    prepared = parts.read_prepared(folder / _PREPARED, table, manifest["preparation"])
    values = parts.read_values(folder / _VALUES, prepared, settings)
    models = parts.read_models(folder / _VALUES, values, prepared)
    run = Run(prepared, settings, values.reweight(settings.extrinsic_weight))
    results = [
        parts.read_result(folder / _RESULTS / str(number), run)
        for number in range(manifest["results"])
    ]
    desk = None
    if (folder / _DESK).exists():
        desk = DESK(fields.parse((folder / _DESK).read_bytes(), MAX_UNPACKED), "desk")
        check_desk(desk, run.ids)
    kept = parts.read_json(folder / _SUMMARY)
    return _Found(
        **manifest["run"], settings=settings, prepared=prepared, values=values, models=models,
        summary=parts.summary(values, len(run.ids), kept), results=results, desk=desk,
    )  # fmt: skip


def _save(store: Store, found: _Found, visitor: str) -> str:
    """Keep what a bundle holds, and return the id of its run."""
    table = found.prepared.table
    prepared, key = _own(store, found)
    if key is None:
        prepared = replace(found.prepared, fingerprint=_imported_fingerprint(found))
        key = _value_key(prepared, found.settings)
        store.save_frame(table.content, table.frame)
        store.save_prepared(prepared, keep_table=True)
        if store.find_result(key) is None:
            store.save_result(
                key, "value", _value_parameters(prepared, found.settings), found.summary,
                lambda draft: _write_values(found, draft),
            )  # fmt: skip
        for one in found.results:
            parameters = _parameters(one, prepared, key, found.settings)
            one_key = result_key(one.kind, parameters)
            if one.frame is not None:
                store.save_frame(one.payload["content"], one.frame)
            if store.find_result(one_key) is None:
                store.save_result(one_key, one.kind, parameters, one.payload, one.write)
    with store.db.transaction() as db:
        run_id = run_of(db, key)
        if run_id is None:
            created = min(found.created, time.time())
            run_id = add_run(
                db,
                key,
                prepared.fingerprint,
                found.settings,
                found.name,
                note=found.note,
                created=created,
            )
        db.execute("UPDATE runs SET deleted = NULL WHERE id = ?", (run_id,))
        note_finished(db, key)
    _save_desk(store, found.desk, run_id, visitor)
    return run_id


def _save_desk(store: Store, desk: dict[str, Any] | None, run_id: str, visitor: str) -> None:
    if desk is None:
        return
    here = [
        find_desk(store, row["id"])
        for row in store.db.all("SELECT id FROM desks WHERE run = ?", run_id)
    ]
    contents = desk["selection"], desk["decisions"]
    if any(one is not None and (one.selection, one.decisions) == contents for one in here):
        return
    # One that was changed later stays the one that is opened with the run.
    updated = min(desk["updated"], time.time())
    with store.db.transaction() as db:
        put_desk(db, uuid4().hex[:12], Desk(run_id, visitor, *contents), updated)


def _own(store: Store, found: _Found) -> tuple[Prepared, str | None]:
    """Return the table and the key under which this workspace has computed the very same, or no key."""
    key = _value_key(found.prepared, found.settings)
    kept = store.find_result(key)
    prepared = None if kept is None else store.load_prepared(found.prepared.fingerprint)
    if kept is None or prepared is None:
        return found.prepared, None
    is_same = parts.digest_prepared(prepared) == parts.digest_prepared(found.prepared) and (
        parts.digest_valuation(read_valuation(kept.folder)) == parts.digest_valuation(found.values)
    )
    return (prepared, key) if is_same else (found.prepared, None)


def _imported_fingerprint(found: _Found) -> str:
    contents = (
        "imported", found.prepared.fingerprint, parts.digest_prepared(found.prepared),
        parts.digest_valuation(found.values), _fits(found.settings),
    )  # fmt: skip
    return digest(json.dumps(contents, sort_keys=True).encode())


def _fits(settings: Settings) -> dict[str, Any]:
    kept = asdict(settings)
    del kept["extrinsic_weight"]
    return kept


def _value_parameters(prepared: Prepared, settings: Settings) -> dict[str, Any]:
    return {"preparation": prepared.fingerprint, "settings": _fits(settings)}


def _value_key(prepared: Prepared, settings: Settings) -> str:
    return result_key("value", _value_parameters(prepared, settings))


def _parameters(one: Kept, prepared: Prepared, key: str, settings: Settings) -> dict[str, Any]:
    named = {"preparation": prepared.fingerprint}
    if one.kind in OF_TABLE:
        return {**one.parameters, **named}
    return {**one.parameters, **named, "valuation": key, "settings": _fits(settings)}


def _write_values(found: _Found, draft: Path) -> None:
    write_valuation(found.values, draft)
    if found.models is not None:
        shutil.copyfile(found.models, draft / FIT)
