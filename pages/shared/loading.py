"""Opening tables: samples, uploads, the demo, and changes to what was assumed about a table.

Whatever goes wrong is kept as one sentence for the Data screen; the table that was open stays open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from ecoval_core.preparation import Prepared, prepare
from ecoval_core.tables import Table, Task, load_sample, make_table, read_frame
from pages.shared import state

DEMO_SAMPLE = "digits"
DEMO_NOISE = 0.15
DEFAULT_NOISE = 0.15
LEFT_OUT_BY_HAND = "left out by you"

_CHOICES = ("target", "task", "excluded", "split", "noisy", "noise", "seed")


def _choice_key(name: str) -> str:
    return f"data_{name}"


def _attempt(make: Callable[[], Prepared]) -> None:
    st.session_state.pop("complaint", None)
    try:
        with st.spinner("Reading the table …"):
            state.open_prepared(make())
    except ValueError as error:
        st.session_state["complaint"] = str(error)
    for name in _CHOICES:
        st.session_state.pop(_choice_key(name), None)


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
    upload = st.session_state.get("upload")
    if upload is None:
        return
    _attempt(lambda: prepare(make_table(read_frame(upload.getvalue(), upload.name), upload.name)))


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
        st.session_state.setdefault(_choice_key(name), value)


def apply_choices(changed: str) -> None:
    """Prepare the open table anew with what the widgets of the Data screen say.

    Parameters
    ----------
    changed : str
        Name of the choice that changed. A new target means that task and left-out columns are
        guessed again.
    """
    current = state.prepared()
    if current is None:
        return
    chosen: dict[str, Any] = {name: st.session_state.get(_choice_key(name)) for name in _CHOICES}
    anew = changed == "target"
    train, split_end = (share / 100 for share in chosen["split"])
    _attempt(
        lambda: prepare(
            _retarget(
                current.table,
                chosen["target"],
                None if anew else chosen["task"],
                None if anew else chosen["excluded"],
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
