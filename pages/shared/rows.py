"""Rows of the valued table, with their values in the chosen unit and their original columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
import streamlit as st

from ecoval_core.columns.vectors import readable
from ecoval_core.runs.run import Run
from pages.shared import formats, pictures

MAX_ROWS_SHOWN = 5_000
_OWN_COLUMNS = (
    "value", "standard_error", "label", "flipped", "cluster", "intrinsic", "extrinsic"
)  # fmt: skip


def original(run: Run) -> pd.DataFrame:
    """Return the original columns of the rows that were valued."""
    table = run.table
    return readable(table.frame.loc[run.ids, table.features])


def with_original(run: Run, ids: Sequence[int]) -> pd.DataFrame:
    """Join the values of some rows with the original columns of the table."""
    table = run.table
    shown = formats.unit_of(run).scale(run.frame.loc[list(ids), list(_OWN_COLUMNS)])
    if not run.frame["flipped"].any():
        shown = shown.drop(columns="flipped")
    taken = {table.target, *shown.columns}
    original = table.frame.drop(columns=[column for column in table.frame if column in taken])
    return shown.join(pictures.for_a_table(run.opened, original.loc[list(ids)]))


def draw(
    run: Run,
    ids: Sequence[int],
    key: str,
    *,
    height: int | Literal["auto"] = "auto",
    on_select: Any = "ignore",
    selection_mode: Literal["single-row", "multi-row"] = "single-row",
    notes: pd.Series | None = None,
    ticked: Sequence[int] = (),
) -> None:
    """Draw rows as a table, at most five thousand of them."""
    unit = formats.unit_of(run)
    number = st.column_config.NumberColumn
    columns = formats.value_columns(run) | pictures.column_config(run.opened)
    columns["standard_error"] = number(
        "± error",
        format=formats.AMOUNT,
        help=f"Standard error of the value over the validation rows, in {unit.name}",
    )
    columns["flipped"] = st.column_config.CheckboxColumn(
        "planted", help=f"{formats.target_word(run).capitalize()} changed on purpose on Data"
    )
    shown = list(ids[:MAX_ROWS_SHOWN])
    frame = with_original(run, shown)
    if notes is not None:
        frame.insert(0, str(notes.name), notes.reindex(frame.index))
    st.dataframe(
        frame,
        key=key,
        height=height,
        column_config=columns,
        on_select=on_select,
        selection_mode=selection_mode,
        selection_default={"selection": {"rows": list(ticked)}} if ticked else None,
    )
    if len(ids) > len(shown):
        st.caption(f"Showing the first {len(shown):,} of {len(ids):,} rows.")
