"""Opening tables: samples, uploads, the demo, and changes to what was assumed about a table.

A worker process reads and prepares; whatever goes wrong is kept as one sentence for the Data screen, and the
table that was open stays open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from ecoval_core.tables import Table
from ecoval_core.tables.preparation import Prepared
from ecoval_core.workspace import orders
from ecoval_core.workspace.jobs import Job, JobState
from ecoval_core.workspace.orders import Order
from pages.shared import server, state, uploads
from pages.shared.session import Refused, Session, data_choices, session

UPLOAD_TYPES = ["csv", "tsv", "txt", "gz", "parquet", "xlsx"]
DEMO_SAMPLE = "digits"
DEMO_NOISE = 0.15
# Suggestions whose choices are forgotten when another table opens.
MAX_MENDS = 500
DEFAULT_NOISE = 0.15
LEFT_OUT_BY_HAND = "left out by you"

_CHOICES = ("target", "task", "excluded", "split", "noisy", "noise", "seed")


def refused() -> Refused | None:
    """Return the file last refused that another choice of columns may open, or None."""
    return session.refused


def _attempt(order: Order) -> None:
    Session.complaint.forget()
    session.opening = server.engine().submit(server.workspace(), order, server.visitor())


def finish() -> None:
    """Wait for the table that is being opened, if there is one; called before anything is drawn.

    Not done by the callback that asked for it: whatever a visitor does in the meantime would end the
    callback for good, while a script that was cut short runs again.
    """
    job = session.opening
    if job is None:
        return
    with st.spinner("Reading the table …"):
        job.wait()
    Session.opening.forget()
    try:
        _take(job)
    except OSError as error:
        why = error.strerror or error
        session.complaint = (
            f"The table was read, but the workspace cannot be ({why}): open it again."
        )


def _take(job: Job) -> None:
    """Open what a job has read, or keep the reason why it could not be."""
    engine, workspace, order = server.engine(), server.workspace(), job.order
    found = job.result or {}
    if job.state != JobState.DONE:
        session.complaint = job.error or "Opening the table was cancelled."
    elif "refusal" in found:
        session.complaint = found["refusal"]
        _offer_again(Refused(order.parameters["name"], *_refused(found)))
    else:
        opened = engine.prepared(workspace, found["preparation"])
        if opened is None:
            session.complaint = (
                "The table was opened, but is no longer in the workspace: open it again."
            )
        else:
            # The same rows under another name are prepared only once.
            table = replace(opened.table, name=order.parameters["name"])
            state.open_prepared(replace(opened, table=table))
            Session.refused.forget()
    for name in (*_CHOICES, *(f"mend_{number}" for number in range(MAX_MENDS))):
        data_choices.forget(name)


def _refused(found: dict[str, Any]) -> tuple[str, list[str], str, list[dict[str, Any]]]:
    return found["frame"], found["columns"], found["target"], found["suggested"]


def open_sample(key: str, name: str, noise: float = 0.0) -> None:
    """Open a bundled sample.

    Parameters
    ----------
    key : str
        Key of `ecoval_core.tables.SAMPLES`.
    name : str
        Its title.
    noise : float
        Share of the training labels to flip.
    """
    _attempt(orders.open_table({"sample": key}, name, noise=noise))


def open_upload() -> None:
    """Open the file in the upload field; called when the field changes."""
    try:
        upload = uploads.take(session.upload)
    except ValueError as error:
        session.complaint = str(error)
        return
    if upload is None:
        return
    Session.refused.forget()
    Session.complaint.forget()
    try:
        session.opening = server.engine().submit_upload(
            server.workspace(), upload.data,
            lambda digest: orders.open_table({"file": digest}, upload.name), server.visitor(),
        )  # fmt: skip
    except ValueError as error:
        session.complaint = str(error)


def open_refused(
    file: Refused, target: str, left_out: list[str], mends: Sequence[dict[str, Any]] = ()
) -> None:
    """Open a refused file with the columns chosen for it.

    Parameters
    ----------
    file : Refused
        The file.
    target : str
        The column to predict.
    left_out : list of str
        Columns left out besides those that look like ids or carry no information.
    mends : sequence of dict, default=()
        Mends of its cells to make first.
    """
    _attempt(
        orders.open_table(
            {"frame": file.frame}, file.name, target=target, mends=mends,
            left_out=dict.fromkeys(left_out, LEFT_OUT_BY_HAND),
        )
    )  # fmt: skip


def _offer_again(file: Refused) -> None:
    """Keep a file for another try, where another choice of columns can make a difference."""
    if refused() is None or refused() != file:
        Session.refused_target.forget()
        Session.refused_excluded.forget()
    session.refused = file


def mending(prepared: Prepared) -> dict[str, Any]:
    """Return what was mended in the open table, and what could be.

    Parameters
    ----------
    prepared : Prepared
        The open table.

    Returns
    -------
    dict
        "mends" and "suggested", as JSON takes them, and "content", the digest of the file as it was read.
    """
    kept = state.result(orders.mends(prepared.fingerprint))
    if kept is None:
        return {"mends": [], "suggested": [], "content": prepared.table.content}
    return kept.payload


def remember_choices(prepared: Prepared) -> None:
    """Fill the widgets of the Data screen with what holds for the open table.

    Parameters
    ----------
    prepared : Prepared
        The open table.
    """
    table = prepared.table
    train, validation, _ = prepared.proportions
    held = {
        "target": table.target,
        "task": table.task,
        "excluded": list(table.excluded),
        "split": (round(100 * train), round(100 * (train + validation))),
        "noisy": prepared.noise > 0,
        "noise": round(100 * (prepared.noise or DEFAULT_NOISE)),
        "seed": prepared.random_state,
    }
    found = mending(prepared)
    for number, one in enumerate(found["suggested"]):
        held[f"mend_{number}"] = one in found["mends"]
    for name, value in held.items():
        data_choices.fill(name, value)


def mend_all(prepared: Prepared) -> None:
    """Make every mend that was suggested for the open table."""
    for number in range(len(mending(prepared)["suggested"])):
        data_choices.set(f"mend_{number}", True)
    apply_choices("mends")


def apply_choices(changed: str) -> None:
    """Prepare the open table with the present choices of the Data screen.

    Parameters
    ----------
    changed : str
        Name of the choice that changed. A new target means that task and left-out columns are
        guessed again.
    """
    current = state.prepared()
    if current is None:
        return
    chosen: dict[str, Any] = {name: data_choices.get(name) for name in _CHOICES}
    # Where a file takes the place of another before its widgets are drawn, they have nothing to say yet.
    if any(chosen[name] is None for name in ("target", "task", "split", "seed")):
        return
    is_new_target = changed == "target"
    train, split_end = (share / 100 for share in chosen["split"])
    table, found = current.table, mending(current)
    mends = [
        one for number, one in enumerate(found["suggested"]) if data_choices.get(f"mend_{number}")
    ]
    _attempt(
        orders.open_table(
            {"frame": found["content"]}, table.name, mends=mends, target=chosen["target"],
            task=None if is_new_target else chosen["task"],
            excluded=None if is_new_target else _reasons(table, chosen["excluded"]),
            proportions=(train, split_end - train, 1 - split_end),
            noise=chosen["noise"] / 100 if chosen["noisy"] else 0.0,
            random_state=int(chosen["seed"]),
        )
    )  # fmt: skip


def _reasons(table: Table, excluded: list[str]) -> dict[str, str]:
    return {column: table.excluded.get(column, LEFT_OUT_BY_HAND) for column in excluded}
