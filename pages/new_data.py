"""New data: a second file valued by the run that is open, without a refit, and what adding it would bring."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ecoval_core import charts
from ecoval_core.evaluation.new_rows import advantages
from ecoval_core.runs.exports import to_csv, unique_name
from ecoval_core.runs.opened import load_frame
from ecoval_core.runs.run import Run
from ecoval_core.tables import MAX_BYTES
from ecoval_core.text import count_of, file_stem
from ecoval_core.work import opening, slow
from ecoval_core.work.slow import BY_VALUE, RECOMMENDED, Acquisition, NewRows
from pages.shared import effects, formats, layout, menu, progress, removal, server, uploads
from pages.shared.session import Session, session

MAX_ROWS_SHOWN = 2_000
SHOWN = (
    "place", "label", "value", "intrinsic", "extrinsic", "cluster", "label_quality", "suggested_label"
)  # fmt: skip
ROW = st.column_config.NumberColumn(
    "row", format="%d", pinned=True, help="Row of the new file, from 0"
)
NAMES = {RECOMMENDED: "by priority", BY_VALUE: "by value"}


def open_file() -> None:
    """Read the file in the upload field; called when the field changes."""
    session.new_reading = uploads.submit(
        session.new_upload, Session.new_complaint, opening.read_file
    )


def draw_notes(found: NewRows) -> None:
    """Draw what was done to make the file fit, and what may make values less right."""
    for warning in found.warnings:
        st.warning(formats.plain(warning))
    if found.notes:
        with st.expander(f"How the columns were matched: {count_of(len(found.notes), 'note')}"):
            for note in found.notes:
                st.markdown(f"- {formats.plain(note)}")


def draw_figures(run: Run, counts: dict[str, int], valued: pd.DataFrame) -> None:
    """Draw the file in figures."""
    figures = st.columns(4)
    figures[0].metric("Rows in the file", f"{counts['n_rows']:,}")
    figures[1].metric("Valued", f"{counts['n_valued']:,}")
    noun = formats.target_word(run)
    if len(valued):
        n_below = int((valued["value"] < 0).sum())
        figures[2].metric("Value below zero", f"{n_below:,} of {len(valued):,}")
        if run.split.task == "classification":
            n_doubted = int((valued["suggested_label"] != valued["label"]).sum())
            figures[3].metric(f"Doubtful {noun}s", f"{n_doubted:,} of {len(valued):,}")
            figures[3].caption("the models predict something else")
    if counts["n_unlabelled"]:
        figures[1].caption(f"{counts['n_unlabelled']:,} more have no {noun}")


def draw_valued(run: Run, valued: pd.DataFrame, original: pd.DataFrame, stem: str) -> None:
    """Draw the labelled rows, those to acquire first on top."""
    st.subheader("Which to acquire first", anchor=False)
    st.markdown(
        "**Place** is the order of priority: first comes the row that, by estimate, would add most to the "
        f"score if its {formats.target_word(run)} is credible and the model is not right already. Each "
        "further row of the same cluster adds less. **Value** is what the row would be worth as part of "
        "the table. It also rewards typical rows, so it is not the order to acquire rows in."
    )
    unit = formats.unit_of(run)
    ranked = unit.scale(valued).sort_values("place", kind="stable")
    columns = formats.value_columns(run) | {
        "_index": ROW,
        "label_quality": st.column_config.ProgressColumn(
            f"{formats.target_word(run)} quality", format="%.2f", min_value=0, max_value=1
        ),
        "suggested_label": st.column_config.Column(f"likeliest {formats.target_word(run)}"),
    }
    _table(ranked[list(SHOWN)], original, columns, "new_rows", run)
    scaled = unit.scale(valued).sort_index()
    # Beside the values that it is the unit of.
    scaled.insert(list(scaled).index("extrinsic") + 1, "unit", unit.name)
    _downloads(scaled, original, f"{stem}_valued", "new_rows")


def draw_doubts(run: Run, doubts: pd.DataFrame, original: pd.DataFrame, stem: str) -> None:
    """Draw the rows without a label, those to label first on top."""
    noun = formats.target_word(run)
    st.subheader(f"Rows without a {noun}: which to label first", anchor=False)
    st.markdown(
        f"A row without a {noun} has no value. The rows at the top are those whose {noun} the "
        "models are least sure of, with a limit on rows of the same cluster."
    )
    ranked = doubts.sort_values("place", kind="stable")
    columns = {
        "_index": ROW,
        "doubt": st.column_config.NumberColumn("doubt", format="%.3f"),
        "suggested_label": st.column_config.Column(f"likeliest {noun}"),
    }
    _table(ranked[["place", "suggested_label", "doubt"]], original, columns, "doubts", run)
    _downloads(doubts.sort_index(), original, f"{stem}_to_label", "doubts")


def _table(
    shown: pd.DataFrame, original: pd.DataFrame, columns: dict[str, Any], key: str, run: Run
) -> None:
    taken = {*shown.columns, run.table.target}
    others = original[[column for column in original if column not in taken]]
    drawn = shown.head(MAX_ROWS_SHOWN)
    height = layout.table_height(len(drawn))
    st.dataframe(drawn.join(others), key=key, height=height, column_config=columns)
    if len(shown) > MAX_ROWS_SHOWN:
        st.caption(
            f"The first {MAX_ROWS_SHOWN:,} of {len(shown):,} rows; downloads have all of them."
        )


def _downloads(found: pd.DataFrame, original: pd.DataFrame, stem: str, key: str) -> None:
    def joined() -> pd.DataFrame:
        added = found.rename(
            columns={name: unique_name(str(name), original.columns) for name in found}
        )
        row_id = unique_name("row_id", original.columns)
        return original.loc[added.index].join(added).rename_axis(row_id).reset_index()

    layout.download(
        "These rows with values as CSV", lambda: to_csv(joined()), f"{stem}.csv", f"download_{key}"
    )


def draw_acquisition(run: Run, frame: str, name: str) -> None:
    """Draw what adding the rows brings, or the button that measures it."""
    st.subheader("What adding them brings", anchor=False)
    task = slow.acquisition(run.key, frame, name, weight=run.settings.extrinsic_weight)
    found: Acquisition | None = layout.offer(
        task, "Measure the acquisition curve", "measure_acquisition", icon=":material/show_chart:"
    )
    if found is None:
        return
    measured, effect = found.curves, found.effect
    summary, baseline, measure = removal.of_measure(run, measured.frame, effect.main)
    figure = charts.orders_chart(
        summary,
        baseline,
        measure,
        names=NAMES,
        theme=layout.theme(),
        title="What if these rows are added?",
    )
    left, right = st.columns([1.3, 1], gap="large")
    with left:
        layout.chart(figure, key="acquisition_chart")
        words = {"better": "better than", "worse": "worse than", "alike": "no better than"}
        for one in advantages(measured.frame.query("measure == @effect.main")):
            st.caption(
                f"Added {NAMES[one.strategy]}: mean {measure} {one.score:.3f}, random "
                f"orders {one.chance:.3f} (80 % of them {one.low:.3f} to {one.high:.3f}): "
                f"{words[one.verdict]} chance."
            )
        st.caption(
            f"At most {count_of(measured.n_refits, 'refit')} in {formats.seconds(measured.seconds)}, "
            "scored on the test rows."
        )
    with right:
        st.markdown("**All of them added**")
        effects.draw(effect, run, "addition")


layout.title(
    "New data",
    "Value the rows of a second file with the open run, without refitting, and see which rows to "
    "acquire or to label first.",
)
run = layout.need_run()
layout.warn_if_unreliable(run)
st.file_uploader(
    f"A file with the columns of {formats.plain(run.table.name)}",
    key=Session.new_upload.key,
    on_change=open_file,
    max_upload_size=MAX_BYTES // 2**20,
    help=f"The column {formats.plain(run.table.target)} may be missing or have empty cells: rows "
    "without a label are ranked by how informative a label would be.",
)
read = uploads.finish(Session.new_reading, Session.new_complaint, "Reading the file")
if read is not None:
    session.new_file = (str(read.result["frame"]), read.task.arguments["name"])
if session.new_complaint:
    st.error(formats.plain(session.new_complaint))
if session.new_file is not None:
    frame, name = session.new_file
    task = slow.new_rows(run.key, frame, name, weight=run.settings.extrinsic_weight)
    found = progress.fetch("new_rows", task, f"Valuing {name}", can_cancel=True)
    original = load_frame(server.workspace(), frame)
    if found is not None and original is not None:
        st.markdown(f"**{formats.plain(name)}**")
        draw_figures(run, found.counts, found.valued)
        draw_notes(found)
        stem = file_stem(name)
        if len(found.valued):
            draw_valued(run, found.valued, original, stem)
            draw_acquisition(run, frame, name)
        if len(found.doubts):
            draw_doubts(run, found.doubts, original, stem)
menu.lead_on("runs", "Go on to Runs")
