"""How the rows of the open table are split and weighed: the choices of the Data screen, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast, get_args

import streamlit as st

from ecoval_core.columns.target import is_present
from ecoval_core.runs.opened import Opened
from ecoval_core.tables import MAX_BYTES
from ecoval_core.tables.split_columns import MAX_WORDS, PART_NAMES, Part, guess_part
from ecoval_core.tables.split_hints import Hint
from ecoval_core.work import opening
from ecoval_core.workspace.schema import SplitSpec
from pages.shared import formats, server
from pages.shared.session import data_choices

By = Literal["random", "groups", "time", "column", "files"]
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
Change = Callable[[str], None]


def hints(opened: Opened) -> list[Hint]:
    """Return the columns by which the open table could be split, and is not."""
    key = opening.hints_key(opened.table.content, opened.table.target)
    found = server.workspace().load(key, list[Hint]) or []
    used = opened.spec.split.rule.reserved()
    return [one for one in found if one.column not in used]


def remember(opened: Opened) -> None:
    """Fill the widgets with what holds for the open table."""
    split = opened.spec.split
    is_grouped = split.kind == "random" and split.groups is not None
    # Rows that came with their values were split elsewhere: nothing is chosen until somebody does.
    by = None if split.kind == "given" else split.kind
    data_choices["by"].fill("groups" if is_grouped else by)
    data_choices["time"].fill(split.column if split.kind == "time" else None)
    data_choices["parts"].fill(split.column if split.kind == "column" else None)
    data_choices["groups"].fill(split.groups)
    data_choices["weights"].fill(split.weights)


def chosen(opened: Opened, **chance: Any) -> SplitSpec | None:
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
        values = _fill_words(opened, column)
        asked = {value: data_choices[_word(column, value)].get() for value in values}
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


def _word(column: str, value: str) -> str:
    return f"word_{column}_{value}"


def _values(opened: Opened, column: str) -> list[str]:
    """Return the values that may name parts; none of a column that has too many, which is refused."""
    cells = opened.table.frame[column]
    values = [str(value) for value in cells[is_present(cells)].unique()]
    return values if len(values) <= MAX_WORDS else []


def _fill_words(opened: Opened, column: str) -> list[str]:
    split, values = opened.spec.split, _values(opened, column)
    known = split.words if split.kind == "column" and split.column == column else {}
    for value in values:
        data_choices[_word(column, value)].fill(known.get(value) or guess_part(value))
    return values


def take(hint: Hint, apply: Change) -> None:
    """Split as a hint says; called by its button."""
    data_choices["by"].set(hint.kind)
    name = {"groups": "groups", "time": "time", "column": "parts"}[hint.kind]
    data_choices[name].set(hint.column)
    apply("split")


def draw_hints(opened: Opened, apply: Change) -> None:
    """Draw each column that looks like a split, with the button that takes it up."""
    labels = {"groups": "Keep them together", "time": "Split in order of time",
              "column": "Split by it"}  # fmt: skip
    for number, hint in enumerate(hints(opened)):
        with st.container(border=True, key=f"split_hint_{number}"):
            text, button = st.columns([3, 1.3], vertical_alignment="center")
            text.markdown(f":material/lightbulb: {formats.plain(hint.sentence)}")
            button.button(
                labels[hint.kind], key=f"take_hint_{number}", on_click=take, args=(hint, apply),
                width="stretch",
            )  # fmt: skip


def draw(opened: Opened, apply: Change, add_file: Callable[[str], None], drop_file: Change) -> None:
    """Draw the choice of the split and of the weights; `apply` opens the table with what is chosen."""
    remember(opened)
    draw_hints(opened, apply)
    columns = [str(name) for name in opened.table.frame.columns if name != opened.table.target]

    def column_of(name: str, label: str, text: str, *, optional: bool = False) -> str | None:
        found: str | None = st.selectbox(
            label, columns, index=None, key=data_choices[name].key, on_change=apply, args=("split",),
            placeholder="None" if optional else "Choose a column", help=text,
        )  # fmt: skip
        return found

    by = st.segmented_control(
        "Split",
        list(WAYS),
        format_func=WAYS.__getitem__,
        key=data_choices["by"].key,
        required=True,
        on_change=apply,
        args=("split",),
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
            _draw_words(opened, column, apply)
    if by == "files":
        _draw_files(opened, add_file, drop_file)
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


def _draw_words(opened: Opened, column: str, apply: Change) -> None:
    """Draw which part each value of a column names."""
    values = _fill_words(opened, column)
    slots = st.columns(min(len(values), 4) or 1)
    for number, value in enumerate(values):
        slots[number % len(slots)].selectbox(
            f"{formats.plain(value)} is",
            PART_NAMES,
            index=None,
            key=data_choices[_word(column, value)].key,
            on_change=apply,
            args=("split",),
            placeholder="Which part?",
        )


def _draw_files(opened: Opened, add_file: Callable[[str], None], drop_file: Change) -> None:
    """Draw an upload field for the validation and the test rows, or the file that was given."""
    for slot, part in zip(st.columns(2, gap="medium"), ("validation", "test"), strict=True):
        file = opened.spec.split.files.get(part)
        with slot:
            if file is None:
                st.file_uploader(
                    f"File with the {part} rows",
                    key=data_choices[f"upload_{part}"].key,
                    on_change=add_file,
                    args=(part,),
                    max_upload_size=MAX_BYTES // 2**20,
                )
            else:
                st.markdown(f"{part.capitalize()} rows: **{formats.plain(file.name)}**")
                st.button(
                    "Remove this file", key=f"drop_{part}", on_click=drop_file, args=(part,),
                    icon=":material/close:",
                )  # fmt: skip
