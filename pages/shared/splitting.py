"""How the rows of the open table are split and weighed: the choices of the Data screen, and what they say."""

from __future__ import annotations

from typing import cast

import streamlit as st

from ecoval_core.runs.opened import Opened
from ecoval_core.tables import MAX_BYTES
from ecoval_core.tables.split_columns import PART_NAMES, Hint
from ecoval_core.work import opening
from pages.shared import formats, loading, server
from pages.shared.loading import By
from pages.shared.session import data_choices

WAYS: dict[By, str] = {
    "random": "At random",
    "groups": "Rows that belong together",
    "time": "Order in time",
    "column": "Column that names the parts",
    "files": "Own files",
}
_SAID: dict[By, str] = {
    "random": (
        "Rows are split at random{within}. Suitable for rows that are independent of one another."
    ),
    "groups": (
        "All rows of one patient, customer or document stay in the same part. Otherwise scores "
        "and values are too optimistic."
    ),
    "time": (
        "The earliest rows are used for training, later rows for validation and the latest for "
        "testing, so that no model sees the future."
    ),
    "column": "A column of the table names the part of each row.",
    "files": (
        "Validation and test rows come from files with the same columns. A part without a file is "
        "taken from the training rows."
    ),
}


def hints(opened: Opened) -> list[Hint]:
    """Return the columns by which the open table could be split, and is not."""
    key = opening.hints_key(opened.table.content, opened.table.target)
    found = server.workspace().load(key, list[Hint]) or []
    used = opened.spec.split.rule.reserved()
    return [one for one in found if one.column not in used]


def take(hint: Hint) -> None:
    """Split as a hint says; called by its button."""
    data_choices["by"].set(hint.kind)
    name = {"groups": "groups", "time": "time", "column": "parts"}[hint.kind]
    data_choices[name].set(hint.column)
    loading.apply_choices("split")


def draw_hints(opened: Opened) -> None:
    """Draw each column that looks like a split, with the button that takes it up."""
    labels = {"groups": "Keep them together", "time": "Split in order of time",
              "column": "Split by it"}  # fmt: skip
    for number, hint in enumerate(hints(opened)):
        with st.container(border=True, key=f"split_hint_{number}"):
            text, button = st.columns([3, 1.3], vertical_alignment="center")
            text.markdown(f":material/lightbulb: {formats.plain(hint.sentence)}")
            button.button(
                labels[hint.kind], key=f"take_hint_{number}", on_click=take, args=(hint,),
                width="stretch",
            )  # fmt: skip


def draw(opened: Opened) -> None:
    """Draw the choice of the split and of the weights; the table is opened with what is chosen."""
    draw_hints(opened)
    columns = [str(name) for name in opened.table.frame.columns if name != opened.table.target]

    def column_of(name: str, label: str, text: str, *, optional: bool = False) -> str | None:
        found: str | None = st.selectbox(
            label, columns, index=None, **loading.choice(name, "split"),
            placeholder="None" if optional else "Choose a column", help=text,
        )  # fmt: skip
        return found

    by = st.segmented_control(
        "Split",
        list(WAYS),
        format_func=WAYS.__getitem__,
        **loading.choice("by", "split"),
        required=True,
        help="Values are measured on the validation rows: they should resemble the data that the "
        "model will be used on.",
    )
    if by is None:
        st.caption("These rows were split and valued elsewhere. Choose a split to value them here.")
    by = cast("By", by or "random")
    if opened.spec.split.kind != "given":
        is_class = opened.split.task == "classification"
        st.caption(_SAID[by].format(within=" within each class (stratified)" if is_class else ""))
    if by == "time":
        column_of("time", "Column with the time", "Dates, times or numbers that grow with time.")
    if by == "column":
        column = column_of(
            "parts",
            "Column that names the parts",
            "Words such as train, dev and holdout are understood.",
        )
        if column is not None:
            _draw_words(opened, column)
    if by == "files":
        _draw_files(opened)
    if by in ("groups", "column", "files"):
        column_of(
            "groups",
            "Rows belong together if they have the same value in",
            "They stay in the same part of a random split, and in the same fold of “Value every "
            "row”.",
            optional=by != "groups",
        )
    column_of(
        "weights",
        "Weights of rows",
        "A column of numbers of 0 or more. A row of weight 2 counts as two rows in the fits and "
        "scores behind the values. Removal curves, effects, other methods and new data count "
        "every row once.",
        optional=True,
    )
    for note in opened.split.notes:
        st.caption(f":material/info: {formats.plain(note)}")


def _draw_words(opened: Opened, column: str) -> None:
    """Draw which part each value of a column names."""
    values = loading.fill_words(opened, column)
    slots = st.columns(min(len(values), 4) or 1)
    for number, value in enumerate(values):
        slots[number % len(slots)].selectbox(
            f"{formats.plain(value)} is",
            PART_NAMES,
            index=None,
            **loading.choice(loading.word(column, value), "split"),
            placeholder="Which part?",
        )


def _draw_files(opened: Opened) -> None:
    """Draw an upload field for the validation and the test rows, or the file that was given."""
    for slot, part in zip(st.columns(2, gap="medium"), ("validation", "test"), strict=True):
        file = opened.spec.split.files.get(part)
        with slot:
            if file is None:
                st.file_uploader(
                    f"File with the {part} rows",
                    key=data_choices[f"upload_{part}"].key,
                    on_change=loading.add_file,
                    args=(part,),
                    max_upload_size=MAX_BYTES // 2**20,
                )
            else:
                st.markdown(f"{part.capitalize()} rows: **{formats.plain(file.name)}**")
                st.button(
                    "Remove this file", key=f"drop_{part}", on_click=loading.drop_file, args=(part,),
                    icon=":material/close:",
                )  # fmt: skip
