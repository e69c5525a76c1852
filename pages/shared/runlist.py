"""Runs as people read them, and what can be done with one wherever it is listed."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from ecoval_core.tables.splitting import RANDOM
from ecoval_core.text import count_of
from ecoval_core.valuation.scoring import SCORINGS
from ecoval_core.workspace import history
from ecoval_core.workspace.history import RunRecord
from pages.shared import formats, server, state
from pages.shared.session import Session, data_choices, session

_STATES = {
    "done": "finished",
    "started": "interrupted",
    "cancelled": "cancelled",
    "error": "failed",
    "missing": "no longer kept",
}


def records(*, deleted: bool = False, search: str = "") -> list[RunRecord]:
    """Return the visitor's runs that have every word of `search`, the latest first."""
    return history.list_runs(server.workspace(), deleted=deleted, search=search)


def standing(record: RunRecord) -> str:
    """Say where a run stands, in a word."""
    if record.state == "started":
        job = state.job_of(record)
        if job is not None and job.is_active:
            return "running"
    return _STATES.get(record.state, record.state)


def when(record: RunRecord) -> str:
    """Write the date of a run on the visitor's clock."""
    return moment(record).strftime("%Y-%m-%d %H:%M")


def moment(record: RunRecord) -> datetime:
    """Return the date of a run on the visitor's clock."""
    return datetime.fromtimestamp(record.created).astimezone(formats.time_zone())


def n_clusters(record: RunRecord) -> int:
    """Return the clusters of a run: as many as were found, or were asked for as long as it has no values."""
    return int(record.summary.get("n_clusters", record.settings.n_clusters))


def describe(record: RunRecord) -> str:
    """Write the settings of a run on one line, in plain text."""
    settings = record.settings
    parts = [
        formats.model_title(settings.model),
        count_of(n_clusters(record), "cluster"),
        SCORINGS[settings.scoring].title if settings.scoring in SCORINGS else settings.scoring,
        f"seed {settings.random_state}",
    ]
    if record.spec.split.rule != RANDOM:
        parts.append(f"split {record.spec.split.describe()}")
    if settings.balanced:
        parts.append("equal class weights")
    if settings.every_row:
        parts.append("every row valued")
    return ", ".join(parts)


def open_record(run: str) -> None:
    """Open a run; for buttons. What stands in the way is said on the Data screen."""
    if state.open_run(run):
        # Data then shows what this run was made with, and Value that or what was chosen since.
        data_choices.forget_all()
        Session.granularity.forget()
        Session.lost.forget()
    else:
        session.complaint = (
            "This run cannot be opened: its table is no longer in the workspace. Load the table again, then "
            "value its rows."
        )


def draw_line(record: RunRecord, key: str) -> None:
    """Draw a run on one line with a button that opens it."""
    text, button = st.columns([4, 1], vertical_alignment="center")
    text.markdown(
        f"**{formats.plain(record.name)}** · {when(record)} · {standing(record)}  \n"
        f":small[{formats.plain(describe(record))}]"
    )
    button.button(
        "Open", key=f"{key}_{record.id}", on_click=open_record, args=(record.id,), width="stretch"
    )
