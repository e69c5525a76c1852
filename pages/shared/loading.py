"""Opening tables: samples, uploads, the demo, and changes to what was assumed about a table.

A worker process reads and prepares; whatever goes wrong is kept as one sentence for the Data screen, and the
table that was open stays open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast, get_args

import streamlit as st

from ecoval_core.columns.target import is_present
from ecoval_core.files.header import say_header
from ecoval_core.runs.opened import Opened, load_opened
from ecoval_core.runs.tasks import Task
from ecoval_core.tables import Fix, Reading, Table, parse_header
from ecoval_core.tables.split_columns import MAX_WORDS, Part, guess_part
from ecoval_core.work import opening
from ecoval_core.work.jobs import Job, JobState
from ecoval_core.workspace.schema import SplitSpec
from pages.shared import server, state, uploads
from pages.shared.session import Refused, Session, data_choices, session

DEMO_SAMPLE = "digits"
DEMO_NOISE = 0.15
DEFAULT_NOISE = 0.15
LOWEST_SPLIT, HIGHEST_SPLIT = 5, 95
LEFT_OUT_BY_HAND = "left out by you"

By = Literal["random", "groups", "time", "column", "files"]
_CHOICES = ("target", "task", "excluded", "split", "noisy", "noise", "seed")


def _attempt(task: Task) -> None:
    Session.complaint.forget()
    session.opening = server.engine().submit(server.workspace(), task, server.visitor())


def finish() -> None:
    """Wait for the table that is being opened, if there is one; called before anything is drawn."""
    # Not done by the callback that asked for it: whatever a visitor does in the meantime would end the
    # callback for good, while a script that was cut short runs again.
    job = session.opening
    # Over the page, which it would push down otherwise. Drawn every time: a block that comes and goes moves
    # all that follow, and the browser makes a field for files anew that moved, with what it is sending.
    over_page = st.container(key="reading")
    if job is None:
        return
    with over_page, st.spinner("Reading the table …"):
        job.wait()
    try:
        _take(job)
    except OSError as error:
        why = error.strerror or error
        session.complaint = (
            f"The table was read, but the workspace cannot be ({why}): open it again."
        )
    except Exception:
        Session.opening.forget()
        raise
    # Last: a script that is cut short before takes the table once more.
    Session.opening.forget()


def _take(job: Job) -> None:
    """Open what a job has read, or keep the reason why it could not be."""
    found = job.result or {}
    if job.state != JobState.DONE:
        session.complaint = job.error or "Opening the table was cancelled."
    elif "refusal" in found:
        session.complaint = found["refusal"]
        suggested = [Fix.model_validate(one) for one in found["suggested"]]
        name = job.task.arguments["name"]
        reading = Reading.model_validate(found["reading"])
        refused = Refused(
            name, found["frame"], found["columns"], found["target"], suggested, reading
        )
        if session.refused != refused:
            Session.refused_target.forget()
            Session.refused_excluded.forget()
        session.refused = refused
    else:
        opened = load_opened(server.workspace(), found["split"])
        if opened is None:
            session.complaint = (
                "The table was opened, but is no longer in the workspace: open it again."
            )
        else:
            state.open_table(opened)
            Session.refused.forget()
            Session.lost.forget()
    data_choices.forget_all()


def open_sample(key: str, name: str, noise: float = 0.0) -> None:
    """Open a bundled sample, with a share of the training labels made wrong."""
    _attempt(opening.open_table({"sample": key}, name, split=SplitSpec(noise=noise)))


def open_upload() -> None:
    """Open the file in the upload field; called when the field changes."""

    def make(digest: str, name: str) -> Task:
        return opening.open_table({"file": digest}, name)

    if (job := uploads.submit(session.upload, Session.complaint, make)) is not None:
        Session.refused.forget()
        session.opening = job


def open_refused(
    file: Refused, target: str, left_out: list[str], fixes: Sequence[Fix] = ()
) -> None:
    """Open a refused file with the target, the columns left out and the fixes chosen for it."""
    _attempt(
        opening.open_table(
            {"frame": file.frame}, file.name, target=target, fixes=list(fixes), reading=file.reading,
            left_out=dict.fromkeys(left_out, LEFT_OUT_BY_HAND),
        )
    )  # fmt: skip


def suggested_fixes(opened: Opened) -> list[Fix]:
    """Return what was noticed in the cells of the open table, and what was fixed in them."""
    key = opening.suggestions_key(opened.spec.table.content)
    noticed = server.workspace().load(key, list[Fix]) or []
    # An imported run comes without what was noticed.
    return [*noticed, *(one for one in opened.spec.table.fixes if one not in noticed)]


def remember_choices(opened: Opened) -> None:
    """Fill the widgets of the Data screen with what holds for the open table."""
    table, split = opened.table, opened.spec.split
    train, validation, _ = split.proportions
    reading = opened.spec.table.reading
    # Rows that came with their values were split elsewhere: nothing is chosen until somebody does.
    by = None if split.kind == "given" else split.kind
    choices = {
        "target": table.target,
        "task": table.task,
        "excluded": list(table.excluded),
        "split": (round(100 * train), round(100 * (train + validation))),
        "noisy": split.noise > 0,
        "noise": round(100 * (split.noise or DEFAULT_NOISE)),
        "seed": split.random_state,
        "header": say_header(reading.header) if reading.header is not None else "",
        "sheet": reading.sheet or next(iter(reading.sheets), None),
        "by": "groups" if split.kind == "random" and split.groups is not None else by,
        "time": split.column if split.kind == "time" else None,
        "parts": split.column if split.kind == "column" else None,
        "groups": split.groups,
        "weights": split.weights,
    }
    for number, one in enumerate(suggested_fixes(opened)):
        choices[f"fix_{number}"] = one in opened.spec.table.fixes
    for name, value in choices.items():
        data_choices[name].fill(value)


def fix_all(opened: Opened) -> None:
    """Make every fix that was suggested for the open table."""
    for number in range(len(suggested_fixes(opened))):
        data_choices[f"fix_{number}"].set(True)
    apply_choices("fixes")


def choice(name: str, changed: str = "") -> dict[str, Any]:
    """Options of a widget whose value the table is opened with; `changed` is what it says has changed."""

    def choose() -> None:
        data_choices[name].accept()
        apply_choices(changed or name)

    return {"key": data_choices[name].key, "on_change": choose}


def apply_choices(changed: str) -> None:
    """Open the table with the present choices of the Data screen; a new target is guessed from anew."""
    current = session.opened
    task = None if current is None else _with_choices(current, changed)
    if task is not None:
        _attempt(task)


def add_file(part: str) -> None:
    """Take the validation or test rows from an uploaded file; called when its field changes."""
    current, upload = session.opened, data_choices[f"upload_{part}"].get()
    if current is None:
        return

    def make(digest: str, name: str) -> Task:
        return _with_choices(current, "split", {part: (digest, name)}) or _as_is(current)

    if (job := uploads.submit(upload, Session.complaint, make)) is not None:
        session.opening = job


def drop_file(part: str) -> None:
    """Do without the file of a part; without any file, rows are split at random."""
    current = session.opened
    if current is None:
        return
    left = {name: file for name, file in current.spec.split.files.items() if name != part}
    kind = "files" if left else "random"
    changes = {"validation": None, "test": None, "kind": kind, **left}
    _attempt(_as_is(current, current.spec.split.model_copy(update=changes)))


def _as_is(current: Opened, split: SplitSpec | None = None) -> Task:
    """Return the task that opens the open table as it is, but for its split."""
    of = current.spec.table
    return opening.open_table(
        {"frame": of.content}, of.name, fixes=list(of.fixes), target=of.target, task=of.task,
        excluded=of.excluded, split=split or current.spec.split, sample=of.sample, reading=of.reading,
    )  # fmt: skip


def can_read_again(opened: Opened) -> bool:
    """Whether the file of the open table is kept, to be read with another header or sheet."""
    # The columns of Parquet have their names in the format.
    is_parquet = opened.spec.table.name.endswith(".parquet")
    key = opening.file_key(opened.spec.table.content)
    return not is_parquet and server.workspace().result(key) is not None


def read_again() -> None:
    """Read the file of the open table with the header and sheet chosen for it."""
    current = session.opened
    if current is None:
        return
    of, said = current.spec.table, str(data_choices["header"].get() or "").strip()
    try:
        header = parse_header(said) if said else None
    except ValueError as error:
        session.complaint = str(error)
        return
    again = {"again": of.content}
    _attempt(opening.open_table(again, of.name, header=header, sheet=data_choices["sheet"].get()))


def _with_choices(
    current: Opened, changed: str, own: Mapping[str, tuple[str, str]] | None = None
) -> Task | None:
    """Return the task that opens the table with the present choices; None where one is missing."""
    chosen: dict[str, Any] = {name: data_choices[name].get() for name in _CHOICES}
    # Where a file takes the place of another before its widgets are drawn, they have nothing to say yet.
    if any(chosen[name] is None for name in ("target", "task", "split", "seed")):
        return None
    is_new_target = changed == "target"
    low, high = chosen["split"]
    # Both handles may stand at one place, and then there would be no validation rows.
    low = min(low, HIGHEST_SPLIT - 1)
    train, split_end = low / 100, max(high, low + 1) / 100
    table = current.table
    fixes = [
        one
        for number, one in enumerate(suggested_fixes(current))
        if data_choices[f"fix_{number}"].get()
    ]
    chance: dict[str, Any] = {
        "proportions": tuple(round(part, 6) for part in (train, split_end - train, 1 - split_end)),
        "noise": chosen["noise"] / 100 if chosen["noisy"] else 0.0,
        "random_state": int(chosen["seed"]),
    }
    split = _chosen_split(current, **chance)
    if own:
        split = split or SplitSpec(**chance, groups=data_choices["groups"].get())
    if split is None:
        return None
    return opening.open_table(
        {"frame": current.spec.table.content}, table.name, fixes=fixes, target=chosen["target"],
        task=None if is_new_target else chosen["task"],
        excluded=None if is_new_target else _reasons(table, chosen["excluded"]),
        split=split, sample=current.spec.table.sample, own=own,
        reading=current.spec.table.reading,
    )  # fmt: skip


def _reasons(table: Table, excluded: list[str]) -> dict[str, str]:
    return {column: table.excluded.get(column, LEFT_OUT_BY_HAND) for column in excluded}


# --- The split -------------------------------------------------------------------------------


def _chosen_split(opened: Opened, **chance: Any) -> SplitSpec | None:
    """Return the split that the widgets say, None as long as something is missing; `chance` goes with it."""
    by = cast("By", data_choices["by"].get() or "random")
    if by not in get_args(By):
        return None
    groups = None if by in ("random", "time") else data_choices["groups"].get()
    column = {"time": data_choices["time"].get(), "column": data_choices["parts"].get()}.get(by)
    words: dict[str, Part] = {}
    if (by in ("time", "column") and column is None) or (by == "groups" and groups is None):
        return None
    if by == "column" and column is not None:
        values = fill_words(opened, column)
        asked = {value: data_choices[word(column, value)].get() for value in values}
        words = {value: part for value, part in asked.items() if part is not None}
        if len(words) < len(asked):
            return None
    held = opened.spec.split if by == "files" else None
    if held is not None and not held.files:
        return None
    weights = data_choices["weights"].get()
    if weights in (column, groups):
        weights = None
    return SplitSpec(
        kind="random" if by == "groups" else by, column=column, words=words,
        groups=None if groups == column else groups, weights=weights,
        validation=held.validation if held else None, test=held.test if held else None, **chance,
    )  # fmt: skip


def word(column: str, value: str) -> str:
    """Name of the choice of which part a value of a column names."""
    return f"word_{column}_{value}"


def _values(opened: Opened, column: str) -> list[str]:
    """Return the values that may name parts; none of a column that has too many, which is refused."""
    cells = opened.table.frame[column]
    values = [str(value) for value in cells[is_present(cells)].unique()]
    return values if len(values) <= MAX_WORDS else []


def fill_words(opened: Opened, column: str) -> list[str]:
    """Fill the choices of which part each value of a column names; return the values."""
    split, values = opened.spec.split, _values(opened, column)
    known = split.words if split.kind == "column" and split.column == column else {}
    for value in values:
        data_choices[word(column, value)].fill(known.get(value) or guess_part(value))
    return values
