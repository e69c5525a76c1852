"""Opening tables: samples, uploads, the demo, and changes to what was assumed about a table.

Whatever goes wrong is kept as one sentence for the Data screen; the table that was open stays open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from ecoval_core.tables import (
    MIN_ROWS,
    Table,
    Task,
    detect_target,
    load_sample,
    make_table,
    read_frame,
    suggest_exclusions,
)
from ecoval_core.tables.preparation import Prepared, prepare
from pages.shared import state
from pages.shared.session import Refused, Session, data_choices, session

DEMO_SAMPLE = "digits"
DEMO_NOISE = 0.15
DEFAULT_NOISE = 0.15
LEFT_OUT_BY_HAND = "left out by you"

_CHOICES = ("target", "task", "excluded", "split", "noisy", "noise", "seed")


def refused() -> Refused | None:
    """Return the file last refused that another choice of columns may open, or None."""
    return session.refused


def _attempt(make: Callable[[], Prepared]) -> None:
    Session.complaint.forget()
    try:
        with st.spinner("Reading the table …"):
            state.open_prepared(make())
        Session.refused.forget()
    except ValueError as error:
        session.complaint = str(error)
    for name in _CHOICES:
        data_choices.forget(name)


def open_sample(key: str, noise: float = 0.0) -> None:
    """Open a bundled sample.

    Parameters
    ----------
    key : str
        Key of `ecoval_core.tables.SAMPLES`.
    noise : float
        Share of the training labels to flip.
    """
    _attempt(lambda: prepare(load_sample(key), noise=noise))


def open_upload() -> None:
    """Open the file in the upload field; called when the field changes."""
    upload = session.upload
    if upload is None:
        return
    Session.refused.forget()

    def read() -> Prepared:
        frame = read_frame(upload.getvalue(), upload.name)
        _offer_again(Refused(upload.name, frame, ""))
        return prepare(make_table(frame, upload.name))

    _attempt(read)


def open_refused(file: Refused, target: str, left_out: list[str]) -> None:
    """Open a refused file with the columns chosen for it.

    Parameters
    ----------
    file : Refused
        The file.
    target : str
        The column to predict.
    left_out : list of str
        Columns left out besides those that look like ids or carry no information.
    """

    def make() -> Prepared:
        excluded = suggest_exclusions(file.frame, target)
        excluded |= dict.fromkeys(left_out, LEFT_OUT_BY_HAND)
        return prepare(make_table(file.frame, file.name, target, excluded=excluded))

    _attempt(make)


def _offer_again(file: Refused) -> None:
    """Keep a file for another try, where another choice of columns can make a difference."""
    columns = [str(column) for column in file.frame.columns]
    if len(file.frame) < MIN_ROWS or len(columns) < 2 or len(set(columns)) < len(columns):
        return
    Session.refused_target.forget()
    Session.refused_excluded.forget()
    file.frame.columns = pd.Index(columns)
    try:
        target = detect_target(file.frame)
    except ValueError:
        target = columns[-1]
    session.refused = Refused(file.name, file.frame, target)


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
    for name, value in held.items():
        data_choices.fill(name, value)


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
    is_new_target = changed == "target"
    train, split_end = (share / 100 for share in chosen["split"])
    _attempt(
        lambda: prepare(
            _retarget(
                current.table,
                chosen["target"],
                None if is_new_target else chosen["task"],
                None if is_new_target else chosen["excluded"],
            ),
            proportions=(train, split_end - train, 1 - split_end),
            noise=chosen["noise"] / 100 if chosen["noisy"] else 0.0,
            random_state=int(chosen["seed"]),
        )
    )


def _retarget(table: Table, target: str, task: Task | None, excluded: list[str] | None) -> Table:
    reasons: Mapping[str, str] | None = None
    if excluded is not None:
        reasons = {column: table.excluded.get(column, LEFT_OUT_BY_HAND) for column in excluded}
    return make_table(table.frame, table.name, target=target, task=task, excluded=reasons)
