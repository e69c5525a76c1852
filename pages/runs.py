"""Runs: everything that was valued in this workspace; open, rename, delete, export, import."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from ecoval_core.runs import archive
from ecoval_core.text import count_of, file_stem
from ecoval_core.valuation.scoring import SCORINGS
from ecoval_core.work import opening
from ecoval_core.workspace import history
from ecoval_core.workspace.history import RunRecord
from pages.shared import formats, layout, menu, runlist, server, state, ticks, uploads
from pages.shared.session import Session, run_notes, session

TABLE_KEY = "run_rows"
N_BEFORE_SEARCH = 8


def as_frame(records: list[RunRecord]) -> pd.DataFrame:
    """Put runs in a table, one a row."""
    return pd.DataFrame(
        {
            "open": ["●" if record.id == session.run_id else "" for record in records],
            "name": [record.name for record in records],
            "state": [runlist.standing(record) for record in records],
            "table": [record.spec.table.name for record in records],
            "target": [record.spec.table.target for record in records],
            "model": [formats.model_title(record.settings.model) for record in records],
            "clusters": [runlist.n_clusters(record) for record in records],
            "score": [SCORINGS[record.settings.scoring].title for record in records],
            "reached": [record.summary.get("full_score") for record in records],
            "surplus": [record.summary.get("surplus") for record in records],
            "rows": [record.summary.get("n_rows") for record in records],
            "seconds": [record.summary.get("seconds") for record in records],
            "size": [formats.size(record.n_bytes) for record in records],
            "date": [runlist.moment(record).replace(tzinfo=None) for record in records],
            "note": [record.note for record in records],
        }
    ).astype({"reached": "float64", "surplus": "float64", "rows": "Int64", "seconds": "float64"})


def draw_list(records: list[RunRecord]) -> RunRecord | None:
    """Draw the runs and return the one that is marked, or that is open."""
    number = st.column_config.NumberColumn
    columns: dict[str, Any] = {
        "open": st.column_config.TextColumn(
            "open", width=50, help="The run that the other pages show"
        ),
        "name": st.column_config.TextColumn("name", width="medium"),
        "clusters": number("clusters", format="localized"),
        "reached": number(
            "score reached", format="%.4f", help="Of the model on the validation rows"
        ),
        "surplus": number("surplus", format="%+.4f"),
        "rows": number("rows valued", format="localized"),
        "seconds": number("took (s)", format="%.1f"),
        "date": st.column_config.DatetimeColumn("date", format="YYYY-MM-DD HH:mm"),
    }
    key, _ = ticks.place(TABLE_KEY, [record.id for record in records])
    st.dataframe(
        as_frame(records),
        key=key,
        hide_index=True,
        column_config=columns,
        height=layout.table_height(len(records)),
        on_select="rerun",
        selection_mode="single-row",
    )
    st.caption("Tick a run on the left to open, rename, export or delete it.")
    if marked := ticks.marked(key, records):
        return marked[0]
    return next((record for record in records if record.id == session.run_id), None)


def rename(record: RunRecord) -> None:
    """Keep the name that was typed in."""
    _change(history.rename_run, record.id, run_notes[f"name_{record.id}"].get() or "")


def annotate(record: RunRecord) -> None:
    """Keep the note that was typed in."""
    note = (run_notes[f"note_{record.id}"].get() or "").strip()
    _change(history.annotate_run, record.id, note)


def delete(record: RunRecord) -> None:
    """Delete a run, which can be undone."""
    if _change(history.delete_run, record.id):
        session.deleted_run = record.id
        if record.id == session.run_id:
            session.deleted_open = record.id
        state.close_run(record.id)


def restore(run: str) -> None:
    """Take a deletion back."""
    if _change(history.restore_run, run):
        Session.deleted_run.forget()
        # The visitor goes on with the run that was open before the deletion.
        if run == Session.deleted_open.take() and session.run_id is None:
            state.open_run(run)


def _change(change: Callable[..., bool], *what: str) -> bool:
    Session.run_complaint.forget()
    try:
        return change(server.workspace(), *what)
    except ValueError as error:
        session.run_complaint = str(error)
        return False


def draw_run(record: RunRecord) -> None:
    """Draw one run and what can be done with it."""
    st.subheader(formats.plain(record.name), anchor=False)
    took = record.summary.get("seconds")
    duration = "" if took is None else f", took {formats.seconds(took)}"
    st.markdown(
        f"{formats.plain(record.spec.table.name)}, "
        f"target {formats.plain(record.spec.table.target)} · "
        f"{formats.plain(runlist.describe(record))} · {runlist.when(record)}{duration} · "
        f"**{runlist.standing(record)}**"
    )
    if record.error:
        st.error(formats.plain(record.error))
    if session.run_complaint:
        st.error(formats.plain(session.run_complaint))
    run_notes[f"name_{record.id}"].fill(record.name)
    run_notes[f"note_{record.id}"].fill(record.note)
    left, right = st.columns([1, 2], gap="medium")
    left.text_input(
        "Name",
        key=run_notes[f"name_{record.id}"].key,
        max_chars=120,
        on_change=rename,
        args=(record,),
    )
    right.text_input(
        "Note",
        key=run_notes[f"note_{record.id}"].key,
        max_chars=2_000,
        on_change=annotate,
        args=(record,),
        placeholder="What this run was for, what came out",
    )
    with st.container(horizontal=True):
        is_open = record.id == session.run_id
        st.button(
            "It is open" if is_open else "Open",
            key="open_run",
            type="primary",
            icon=":material/folder_open:",
            disabled=is_open or not record.has_table,
            on_click=runlist.open_record,
            args=(record.id,),
        )
        layout.download(
            "Export as one file",
            partial(archive.export_run, server.workspace(), record.id),
            f"{file_stem(record.name)}.ecoval",
            "export_run",
            mime="application/zip",
            disabled=record.state != "done",
            help="Table, values, curves, effects and decisions, to be imported in another workspace.",
        )
        st.button(
            "Delete",
            key="delete_run",
            icon=":material/delete:",
            on_click=delete,
            args=(record,),
            help="You can restore it from the list of deleted runs.",
        )


def import_file() -> None:
    """Import the file in the upload field; called when the field changes."""
    visitor = server.visitor()
    session.importing = uploads.submit(
        session.run_upload, Session.import_complaint,
        lambda digest, name: opening.import_run(digest, name, visitor),
    )  # fmt: skip


def draw_import() -> None:
    """Draw the field that takes an exported run."""
    st.subheader("Import a run", anchor=False)
    st.file_uploader(
        "A file that was exported here or elsewhere (.ecoval)",
        ["ecoval", "zip"],
        key=Session.run_upload.key,
        on_change=import_file,
        help="The whole file is checked before any of it is kept.",
    )
    if session.import_complaint:
        st.error(formats.plain(session.import_complaint))
    elif session.imported_run is not None:
        record = state.find_record(session.imported_run)
        if record is not None:
            st.success(
                f"Imported: {formats.plain(record.name)}. If it was here already, the latest decisions hold."
            )
            st.button(
                "Open it", key="open_imported", on_click=runlist.open_record, args=(record.id,)
            )


def draw_deleted(records: list[RunRecord]) -> None:
    """Draw the runs that were deleted, to be had back."""
    last = next((record for record in records if record.id == session.deleted_run), None)
    if last is not None:
        text, button = st.columns([5, 1], vertical_alignment="center")
        text.info(
            f"Deleted: {formats.plain(last.name)}. Its values stay here until their space is needed."
        )
        button.button("Undo", key="undo_delete", on_click=restore, args=(last.id,), width="stretch")
    rest = [record for record in records if record is not last]
    if rest:
        with st.expander(f"{count_of(len(rest), 'deleted run')}"):
            for record in rest:
                text, button = st.columns([5, 1], vertical_alignment="center")
                text.markdown(f"{formats.plain(record.name)} · {runlist.when(record)}")
                button.button(
                    "Restore",
                    key=f"restore_{record.id}",
                    on_click=restore,
                    args=(record.id,),
                    width="stretch",
                )


layout.title(
    "Runs",
    "Every valuation is kept in this workspace with its table, curves, effects and your "
    "decisions. Open one to continue where you left off.",
)
imported = uploads.finish(Session.importing, Session.import_complaint, "Importing the run")
if imported is not None:
    session.imported_run = imported.result["run"]
everything = runlist.records()
draw_deleted(runlist.records(deleted=True))
search = ""
if len(everything) > N_BEFORE_SEARCH:
    search = st.text_input(
        "Search", key="search_runs", placeholder="Words of a name, a note, a table or settings"
    )
matching = runlist.records(search=search) if search else everything
if search and not matching:
    st.info("No run has all of these words.")
elif matching:
    chosen = draw_list(matching)
    if chosen is not None:
        draw_run(chosen)
else:
    st.info("There are no runs yet: value the rows of a table first.")
    menu.lead_on("data", "Go to Data")
if state.run() is not None:
    menu.link("compare", "Compare the run that is open with another")
draw_import()
if matching:
    menu.lead_on("data", "Value another table")
