"""Runs by name, and reviews: what was valued in a workspace and what visitors decided on it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

from ecoval_core.workspace.schema import Review, RunSpec, Settings
from ecoval_core.workspace.store import Store, WorkspaceError, reason_of
from ecoval_core.workspace.workspace import Workspace

RunState = Literal["started", "cancelled", "error", "done", "missing"]
VALUES_GONE = "Its values are no longer kept: value the rows again."
TABLE_GONE = "Its table is no longer kept: load the file again."
MAX_NAME, MAX_NOTE, MAX_REVIEWS = 200, 10_000, 500


@dataclass(frozen=True)
class RunRecord:
    """A run as the list of runs shows it.

    `key` and `split` name its values and its opened table; they are carried, never computed again. A run is
    "started" where no result is there (yet), and "missing" where its values or its table are no longer kept.
    """

    id: str
    key: str
    split: str
    spec: RunSpec
    name: str
    note: str
    state: RunState
    error: str | None
    created: float
    deleted: float | None
    summary: dict[str, Any]
    n_bytes: int

    @property
    def settings(self) -> Settings:
        """What it is made with."""
        return self.spec.settings

    @property
    def has_table(self) -> bool:
        """Whether its table is kept: without values its rows can then be valued again."""
        return self.error != TABLE_GONE


_RUNS = """
SELECT runs.*, made.summary AS summary,
    (SELECT count(*) FROM results WHERE results.key = runs.split
        OR results.key IN (SELECT value FROM json_each(runs.frames)))
        = 1 + json_array_length(runs.frames) AS has_table,
    (SELECT coalesce(sum(bytes), 0) FROM results WHERE key IN (runs.key, runs.split)
        OR owner IN (runs.key, runs.split)
        OR key IN (SELECT value FROM json_each(runs.frames))) AS n_bytes
FROM runs LEFT JOIN results AS made ON made.key = runs.key
"""


def _record(workspace: Workspace, row: sqlite3.Row) -> RunRecord:
    state, error = row["state"], row["error"]
    summary = None if row["summary"] is None else json.loads(row["summary"])
    # A run may be in one folder and its values or table in the other.
    if summary is None and (kept := workspace.result(row["key"])) is not None:
        summary = kept.summary
    if summary is not None or state == "done":
        state, error = "done", None
        if summary is None:
            state, error = "missing", VALUES_GONE
        parts = [row["split"], *json.loads(row["frames"])]
        if not row["has_table"] and any(workspace.result(key) is None for key in parts):
            state, error = "missing", TABLE_GONE
    return RunRecord(
        row["id"], row["key"], row["split"], RunSpec.model_validate_json(row["document"]), row["name"],
        row["note"], state, error, row["created"], row["deleted"], summary or {}, row["n_bytes"],
    )  # fmt: skip


def start_run(
    workspace: Workspace, spec: RunSpec, *, key: str = "", split: str = "", frame: str = "",
    name: str = "", note: str = "", created: float = 0.0,
) -> str:  # fmt: skip
    """Note that values were asked for, or find the run that did so before; return its id.

    `frame` is the digest of the cells after the fixes. `key` and `split` are those of an imported run, else
    they follow from its document.
    """
    key, split = key or spec.key, split or spec.opened_key
    own = (file.content for file in spec.split.files.values())
    frames = sorted({spec.table.content, frame or spec.table.content, *own})

    def start(store: Store) -> str:
        with store.transaction() as db:
            query = (
                "SELECT id FROM runs WHERE key = ? ORDER BY deleted IS NOT NULL, created LIMIT 1"
            )
            row = db.execute(query, (key,)).fetchone()
            if row is None:
                run_id = uuid4().hex
                row = (
                    run_id, key, split, json.dumps(frames), json.dumps(spec.dump()),
                    _free_name(db, name or spec.table.name), note[:MAX_NOTE], "started", None,
                    created or time.time(), None,
                )  # fmt: skip
                db.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            else:
                run_id = row["id"]
                _restore(db, run_id)
            db.execute(
                "UPDATE runs SET error = NULL, state = CASE WHEN key IN (SELECT key FROM results) "
                "THEN 'done' ELSE 'started' END WHERE id = ?",
                (run_id,),
            )
            return str(run_id)

    return workspace.write(start)


def note_end(workspace: Workspace, key: str, state: RunState, error: str | None) -> None:
    """Note how a valuation ended that has no result."""
    workspace.rows("UPDATE runs SET state = ?, error = ? WHERE key = ?", state, error, key)


def list_runs(workspace: Workspace, *, deleted: bool = False, search: str = "") -> list[RunRecord]:
    """Return the runs that have every word of `search`, the latest first."""
    which = "IS NOT NULL" if deleted else "IS NULL"
    rows = workspace.rows(f"{_RUNS} WHERE runs.deleted {which} ORDER BY runs.rowid")
    found = {row["id"]: _record(workspace, row) for row in rows}
    words = search.casefold().split()
    kept = [run for run in reversed(found.values()) if all(word in _text(run) for word in words)]
    return sorted(kept, key=lambda run: -((run.deleted if deleted else None) or run.created))


def _text(run: RunRecord) -> str:
    table = run.spec.table
    model = run.settings.model.replace("_", " ")
    return "\n".join((run.name, run.note, table.name, table.target, model)).casefold()


def find_run(workspace: Workspace, run_id: str) -> RunRecord | None:
    """Return a run, deleted or not, or None if it is not here."""
    rows = workspace.rows(f"{_RUNS} WHERE runs.id = ?", run_id)
    return _record(workspace, rows[-1]) if rows else None


# --- Changes --------------------------------------------------------------------------------


def rename_run(workspace: Workspace, run_id: str, name: str) -> bool:
    """Give a run another name, with a number where another run has it; return whether the run is here."""
    wanted = _one_line(name)
    if not wanted:
        raise ValueError("A run needs a name: type at least one letter.")
    return _change(
        workspace, run_id, lambda db: _set(db, run_id, name=_free_name(db, wanted, run_id))
    )


def annotate_run(workspace: Workspace, run_id: str, note: str) -> bool:
    """Give a run a note; return whether the run is here."""
    return _change(workspace, run_id, lambda db: _set(db, run_id, note=note[:MAX_NOTE]))


def delete_run(workspace: Workspace, run_id: str) -> bool:
    """Delete a run, which can be restored; return whether it is here."""
    return _change(workspace, run_id, lambda db: _set(db, run_id, deleted=time.time()))


def restore_run(workspace: Workspace, run_id: str) -> bool:
    """Take a deletion back; return whether the run is here."""
    return _change(workspace, run_id, lambda db: _restore(db, run_id))


def _change(
    workspace: Workspace, run_id: str, change: Callable[[sqlite3.Connection], None]
) -> bool:
    """Change a run in the store that has it."""
    for store in workspace.stores():
        try:
            with store.transaction() as db:
                if db.execute("SELECT id FROM runs WHERE id = ?", (run_id,)).fetchone() is None:
                    continue
                change(db)
                return True
        except (OSError, sqlite3.OperationalError) as error:
            reason = reason_of(error, store.root)
            raise WorkspaceError(
                f"Not changed: {store.root} cannot be written ({reason})."
            ) from error
    return False


def _set(db: sqlite3.Connection, run_id: str, **columns: Any) -> None:
    names = ", ".join(f"{name} = ?" for name in columns)
    db.execute(f"UPDATE runs SET {names} WHERE id = ?", (*columns.values(), run_id))


def _restore(db: sqlite3.Connection, run_id: str) -> None:
    row = db.execute("SELECT name, deleted FROM runs WHERE id = ?", (run_id,)).fetchone()
    if row["deleted"] is not None:
        _set(db, run_id, deleted=None, name=_free_name(db, row["name"], run_id))


def _free_name(db: sqlite3.Connection, wanted: str, run_id: str = "") -> str:
    """Return a name, with a number where another run has it."""
    wanted = _one_line(wanted) or "Run"
    query = "SELECT name FROM runs WHERE deleted IS NULL AND id <> ?"
    taken = {row["name"] for row in db.execute(query, (run_id,))}
    name, number = wanted, 2
    while name in taken:
        ending = f" ({number})"
        name, number = wanted[: MAX_NAME - len(ending)] + ending, number + 1
    return name


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_NAME].strip()


# --- Reviews --------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeptReview:
    """A review with the run it belongs to, when it was changed last and by whom."""

    id: str
    run: str
    review: Review
    updated: float
    visitor: str


def save_review(
    workspace: Workspace, review_id: str, run_id: str, visitor: str, review: Review,
    updated: float | None = None,
) -> None:  # fmt: skip
    """Keep a review; of those beyond the limit go the oldest that are not the latest of their run."""
    document = json.dumps(review.dump())
    row = (review_id, run_id, visitor, document, time.time() if updated is None else updated)

    def save(store: Store) -> None:
        with store.transaction() as db:
            db.execute("INSERT OR REPLACE INTO reviews VALUES (?, ?, ?, ?, ?)", row)
            db.execute(
                "DELETE FROM reviews WHERE id NOT IN (SELECT id FROM reviews ORDER BY updated DESC LIMIT ?) "
                "AND updated < (SELECT max(updated) FROM reviews AS r WHERE r.run = reviews.run)",
                (MAX_REVIEWS,),
            )

    workspace.write(save)


def find_review(workspace: Workspace, review_id: str) -> KeptReview | None:
    """Return a review by its id, or None."""
    return _find_review(workspace, "id = ?", review_id)


def review_updated(workspace: Workspace, review_id: str) -> float:
    """Return when a review was changed last, 0 if it is not here."""
    rows = workspace.rows("SELECT updated FROM reviews WHERE id = ?", review_id)
    return max((float(row["updated"]) for row in rows), default=0.0)


def latest_review(workspace: Workspace, run_id: str) -> KeptReview | None:
    """Return the review of a run that was changed last, or None."""
    return _find_review(workspace, "run = ?", run_id)


def _find_review(workspace: Workspace, which: str, value: str) -> KeptReview | None:
    query = f"SELECT * FROM reviews WHERE {which} ORDER BY updated DESC, rowid DESC LIMIT 1"
    rows = workspace.rows(query, value)
    # Where the folder can be written again, it has a later one than the temporary folder.
    row = max(rows, key=lambda row: row["updated"], default=None)
    if row is None:
        return None
    review = Review.model_validate_json(row["document"])
    return KeptReview(row["id"], row["run"], review, row["updated"], row["visitor"])
