"""Data: open a table, see what was assumed about it, change it."""

from __future__ import annotations

import streamlit as st

from ecoval_core import charts
from ecoval_core.runs.opened import Opened
from ecoval_core.tables import MAX_BYTES, SAMPLES, Table
from ecoval_core.text import count_of, join
from pages.shared import (
    formats,
    layout,
    loading,
    menu,
    pictures,
    runlist,
    splitting,
    unvalued,
    valuing,
)
from pages.shared.session import Session, data_choices, session

N_RECENT = 4
N_FIXES = 40
# Of the columns left out for one reason.
MAX_NAMED = 8


def draw_recent() -> None:
    """Draw the latest runs, to go on where one was left."""
    recent = runlist.records()
    if not recent:
        return
    st.markdown("**Pick up where you left off**")
    with st.container(border=True, key="recent"):
        for record in recent[:N_RECENT]:
            runlist.draw_line(record, "recent")
        menu.link("runs", f"All {len(recent):,} runs" if len(recent) > N_RECENT else "Runs")


def draw_sources() -> None:
    """Draw demo, upload field, sample cards."""
    if st.button(
        "Try the demo", key="demo", type="primary", width="stretch", icon=":material/rocket_launch:"
    ):
        loading.open_sample(
            loading.DEMO_SAMPLE, SAMPLES[loading.DEMO_SAMPLE].title, loading.DEMO_NOISE
        )
        valuing.forget_granularity()
        session.start_at_once = session.lead_to_map = True
        st.switch_page("value.py")
    st.caption(
        f"Handwritten digits with {loading.DEMO_NOISE:.0%} of the training labels made wrong on "
        "purpose, to see whether the method finds them."
    )
    st.file_uploader(
        "Or upload your own table",
        key=Session.upload.key,
        on_change=loading.open_upload,
        max_upload_size=MAX_BYTES // 2**20,
        help="CSV with any common separator and encoding (.gz too), JSON Lines, Parquet or Excel. "
        "The file stays on this machine.",
    )
    draw_recent()
    st.markdown("**Or take a sample**")
    for key, sample in SAMPLES.items():
        with st.container(border=True):
            text, button = st.columns([3, 1], vertical_alignment="center")
            text.markdown(f"**{sample.title}**  \n{sample.description}")
            button.button(
                "Load",
                key=f"sample_{key}",
                on_click=loading.open_sample,
                args=(key, sample.title),
                width="stretch",
            )


def draw_refused() -> None:
    """Draw the choices that could open the file last refused, if there is one."""
    refused = session.refused
    if refused is None:
        return
    with st.container(border=True, key="refused"):
        st.markdown(
            f"**{formats.plain(refused.name)}** was read. Choose another target, or columns to "
            "ignore, to open it:"
        )
        target, excluded, button = st.columns([1, 2, 0.6], vertical_alignment="bottom")
        columns = refused.columns
        chosen = target.selectbox(
            "Target", columns, columns.index(refused.target), key=Session.refused_target.key
        )
        left_out = excluded.multiselect(
            "Columns to ignore",
            [column for column in columns if column != chosen],
            key=Session.refused_excluded.key,
            placeholder="Only ids and constants",
        )
        button.button(
            "Open it",
            key="open_refused",
            type="primary",
            width="stretch",
            on_click=loading.open_refused,
            args=(refused, chosen, left_out),
        )
        if refused.suggested:
            things = count_of(len(refused.suggested), "thing")
            st.markdown(f"**Noticed in its cells: {things} to fix**")
            for one in refused.suggested[:N_FIXES]:
                st.markdown(f"- {formats.plain(one.sentence)}")
            st.button(
                "Fix them and open it",
                key="fix_refused",
                icon=":material/healing:",
                on_click=loading.open_refused,
                args=(refused, chosen, left_out, refused.suggested),
            )


def draw_fixes(opened: Opened) -> None:
    """Draw what was noticed in the cells of the table, each to be fixed by a click."""
    suggested = loading.suggested_fixes(opened)
    if not suggested:
        return
    n_made = len(opened.spec.table.fixes)
    title = f"Noticed in the cells: {count_of(len(suggested), 'thing')} to fix"
    with st.expander(f"{title}, {n_made:,} fixed", expanded=not n_made, icon=":material/healing:"):
        for number, one in enumerate(suggested[:N_FIXES]):
            st.checkbox(
                f"**{formats.plain(one.column)}**: {formats.plain(one.sentence)}",
                **loading.choice(f"fix_{number}", "fixes"),
            )
        st.button(
            "Fix all of them",
            key="fix_all",
            icon=":material/done_all:",
            disabled=n_made == len(suggested),
            on_click=loading.fix_all,
            args=(opened,),
        )
        st.caption("The file itself stays as it is; the recipe of a run names what was fixed.")


def draw_reading(opened: Opened) -> None:
    """Draw how the file was read; it is read again when that changes."""
    reading = opened.spec.table.reading
    for note in reading.notes:
        st.caption(f":material/info: {formats.plain(note)}")
    if not loading.can_read_again(opened):
        return
    left, right = st.columns(2, gap="medium")
    left.text_input(
        "Row with the column names",
        key=data_choices["header"].key,
        placeholder="First row",
        on_change=loading.read_again,
        help="Counted from 1. Write 1,2 to join two rows, or none if the file has no column names.",
    )
    if reading.header == ():
        left.caption("No row has column names, so the columns are numbered.")
    if reading.sheets:
        right.selectbox(
            "Sheet",
            list(reading.sheets),
            key=data_choices["sheet"].key,
            on_change=loading.read_again,
        )


def draw_choices(opened: Opened) -> None:
    """Draw everything that was assumed, to be changed."""
    loading.remember_choices(opened)
    layout.say_what_changes_do()
    changed = unvalued.of_table(opened)
    draw_reading(opened)
    draw_fixes(opened)
    unvalued.mark(changed, "cells fixed")
    columns = [str(column) for column in opened.table.frame.columns]
    left, right = st.columns(2, gap="medium")
    left.selectbox("Target: the column to predict", columns, **loading.choice("target"))
    right.segmented_control(
        "Task",
        ["classification", "regression"],
        **loading.choice("task"),
        required=True,
        help="Classification predicts a label, regression a number. Detected from the target.",
    )
    unvalued.mark(changed, "target", "task")
    st.multiselect(
        "Columns to ignore",
        [column for column in columns if column != opened.table.target],
        **loading.choice("excluded"),
        placeholder="None: every column is used",
    )
    unvalued.mark(changed, "ignored columns")
    if opened.table.excluded:
        by_reason: dict[str, list[str]] = {}
        for column, reason in opened.table.excluded.items():
            by_reason.setdefault(reason, []).append(f"**{formats.plain(column)}**")
        st.caption(
            " · ".join(
                f"{join(columns[:MAX_NAMED], len(columns))}: {formats.plain(reason)}"
                for reason, columns in by_reason.items()
            )
        )
    with st.container():
        splitting.draw(opened)
    unvalued.mark(changed, "split", "weights")
    left, right = st.columns([3, 1], gap="medium")
    left.slider(
        "Split (%): training rows up to the first handle, validation rows up to the second, then "
        "test rows",
        loading.LOWEST_SPLIT,
        loading.HIGHEST_SPLIT,
        **loading.choice("split"),
    )
    right.number_input(
        "Seed",
        0,
        2**31 - 1,
        step=1,
        **loading.choice("seed"),
        help="The same seed gives the same split and the same planted errors.",
    )
    unvalued.mark(changed, "proportions", "seed of the split")
    left, right = st.columns([1, 2], gap="medium", vertical_alignment="center")
    left.toggle(
        "Plant label errors",
        **loading.choice("noisy"),
        help="For demonstrations: changes some training labels and remembers which, so that you "
        "can see whether low values find them. These rows are called planted errors.",
    )
    right.slider(
        "Training labels to change (%)",
        1,
        40,
        **loading.choice("noise"),
        disabled=opened.spec.split.noise == 0,
    )
    unvalued.mark(changed, "planted errors")


def draw_changes(opened: Opened) -> None:
    """Say that the other pages still show the values of before, with the button that takes changes back."""
    if not unvalued.of_table(opened):
        return
    text, button = st.columns([3, 1], vertical_alignment="center")
    text.markdown(
        ":small[:material/edit: **Not yet valued.** The other pages show the values of before, until you "
        "value these rows.]"
    )
    button.button(
        "Undo these changes",
        key="back_to_run",
        icon=":material/undo:",
        on_click=runlist.open_record,
        args=(session.run_id,),
    )


def draw_counts(table: Table) -> None:
    """Draw the size of the open table."""
    is_classification = table.task == "classification"
    counts = {
        "Rows": f"{table.n_rows:,}",
        "Columns used": f"{len(table.features):,} of {table.frame.shape[1] - 1:,}",
        **({"Classes": f"{len(table.classes):,}"} if is_classification else {}),
        "Rows without a target": f"{len(table.unlabelled_ids):,}",
    }
    for column, (label, value) in zip(st.columns(len(counts)), counts.items(), strict=True):
        column.metric(label, value)
    if len(table.unlabelled_ids):
        st.caption("Rows without a target are neither used nor valued.")


def draw_table(opened: Opened) -> None:
    """Draw what is in the open table."""
    table, theme = opened.table, layout.theme()
    layout.chart(charts.split_bar(opened.split.parts, theme=theme), key="split_chart")
    st.caption(
        "The training rows are valued, and optionally the validation rows. Values are measured on "
        "the validation rows. The test rows are used only for the removal curves and the effect "
        "of pruning."
    )
    left, right = st.columns(2, gap="medium")
    with left:
        layout.chart(charts.class_counts(table.label_series, theme=theme), key="class_chart")
    with right:
        layout.chart(
            charts.missing_by_column(table.frame[table.features], theme=theme), key="missing_chart"
        )
    with st.expander(f"First {count_of(min(200, table.n_rows), 'row')}"):
        shown = pictures.for_a_table(opened, table.frame.head(200))
        st.dataframe(shown, key="preview", column_config=pictures.column_config(opened))


layout.title(
    "Data",
    "EcoVal measures what each training row of a table is worth: its **value** is how much of the "
    "model's score it accounts for. Below zero, the model is better off without the row.",
)
if session.complaint:
    st.error(formats.plain(session.complaint))
draw_refused()
current = session.opened
# In a place of its own each, lest the browser moves the one to where the other was.
first, later = st.container(), st.container()
if current is None:
    _, middle, _ = first.columns([1, 2, 1])
    with middle:
        draw_sources()
else:
    source, loaded = later.columns([1, 2.2], gap="large")
    with source:
        draw_sources()
    with loaded:
        heading, onward = st.columns([3, 1], vertical_alignment="center")
        heading.subheader(formats.plain(current.table.name), anchor=False)
        with onward:
            menu.lead_on("value", "Value these rows")
        with st.container():
            draw_changes(current)
        draw_counts(current.table)
        draw_choices(current)
        draw_table(current)
