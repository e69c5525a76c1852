"""Filters: which rows are in view, and by which axes the map draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from ecoval_core.evaluation.profiles import is_number
from ecoval_core.runs.run import Run
from pages.shared import formats, reviews
from pages.shared.reviews import Range, target_ranges
from pages.shared.session import Entry, Session, filter_ranges, filter_values, session

MAX_CATEGORIES = 200
# Columns of a run that can be filtered by beside those of the table.
_OWN = ("label_quality", "cluster")
PARTS = "Intrinsic × extrinsic"
PROJECTIONS = ("UMAP", "PCA", PARTS)


def columns(run: Run) -> list[str]:
    """Columns that rows can be filtered by."""
    return [*map(str, run.table.frame.columns), *_OWN]


def column_of(run: Run, name: str) -> pd.Series:
    """Return a column of the rows that were valued."""
    if name in run.table.frame:
        return run.table.frame[name].loc[run.frame.index]
    return run.frame[name]


def matching(run: Run) -> pd.Series:
    """Rows that pass the filters."""
    frame = run.frame
    mask = pd.Series(True, index=frame.index)
    # Those chosen may be of a run of the same table with another target.
    if run.split.task == "regression":
        mask &= _within(frame["label"], target_ranges[run.table.target])
    else:
        of_these = frame["label"].isin(session.filter_labels)
        if of_these.any():
            mask &= of_these
    if session.filter_negative:
        mask &= frame["value"] < 0
    if session.filter_planted and frame["flipped"].any():
        mask &= frame["flipped"]
    for name in set(session.filter_columns).intersection(columns(run)):
        mask &= _by_column(run, name)
    return mask


def _by_column(run: Run, name: str) -> pd.Series | bool:
    column = column_of(run, name)
    if is_number(column):
        return _within(column, filter_ranges[name])
    values = filter_values[name].get()
    return column.astype(str).isin(values) if values else True


def _within(column: pd.Series, entry: Entry[Range | None]) -> pd.Series | bool:
    if (chosen := reviews.range_of(entry)) is None:
        return True
    low, high = chosen
    amounts = column.astype("float64")
    if low <= amounts.min() and amounts.max() <= high:
        # A filter that takes every amount takes the rows without one too.
        return True
    return (amounts >= low) & (amounts <= high)


def shown_ids(run: Run) -> list[int] | None:
    """Row ids that pass the filters, or None where all do."""
    mask = matching(run)
    return None if mask.all() else [int(row) for row in mask.index[mask]]


def focus(run: Run) -> list[int]:
    """Row ids that pass the filters and are selected, if anything is; lowest value first."""
    ranked = run.frame.loc[matching(run), "value"].sort_values(kind="stable").index
    if session.selected_ids:
        ranked = ranked[np.isin(ranked, session.selected_ids)]
    return [int(row) for row in ranked]


def draw_column_filters(run: Run) -> None:
    """Draw the choice of columns, and the range or the categories of each."""
    _choose(
        "Filter by columns",
        columns(run),
        Session.filter_columns,
        placeholder="Choose columns",
        help="A row passes if it passes in every column.",
    )
    for name in session.filter_columns:
        _draw_column_filter(run, name)


def _draw_column_filter(run: Run, name: str) -> None:
    column = column_of(run, name).dropna()
    if column.empty:
        st.caption(f"Column {formats.plain(name)} is empty.")
    elif is_number(column):
        title = f"Range of {formats.plain(name)}"
        _draw_range(title, column.astype("float64"), filter_ranges[name], name)
    else:
        values = column.astype(str).value_counts().index[:MAX_CATEGORIES].tolist()
        title = f"Categories of {formats.plain(name)}"
        _choose(title, values, filter_values[name], placeholder="All of them")


def _choose(title: str, values: list[Any], entry: Entry[Any], **options: Any) -> None:
    chosen = entry.get() or []
    if not set(chosen) <= set(values):
        # Chosen in a table that was open before.
        entry.set([value for value in chosen if value in values])
    st.multiselect(title, values, **entry.lasting, **options)


def draw_target_filter(run: Run) -> None:
    """Draw the choice of classes, or of a range of the target."""
    if run.split.task == "regression":
        target = run.table.target
        _draw_range("Target from … to", run.frame["label"].dropna(), target_ranges[target], target)
    else:
        labels = sorted(run.frame["label"].unique().tolist())
        _choose("Labels", labels, Session.filter_labels, placeholder="All labels")


def draw_filters(run: Run) -> None:
    """Draw every filter in one menu, which says how many rows pass."""
    shown = shown_ids(run)
    title = "Filters" if shown is None else f"Filters: {len(shown):,} pass"
    with st.popover(title, icon=":material/filter_alt:", key="filter_menu"):
        draw_target_filter(run)
        st.toggle("Below zero only", **Session.filter_negative.lasting)
        if run.frame["flipped"].any():
            st.toggle("Planted errors only", **Session.filter_planted.lasting)
        draw_column_filters(run)


def draw_projection() -> None:
    """Draw the choice of the map's projection."""
    if session.projection not in PROJECTIONS:
        session.projection = PROJECTIONS[0]
    st.segmented_control(
        "Axes of the map",
        PROJECTIONS,
        required=True,
        **Session.projection.lasting,
        label_visibility="collapsed",
        help="UMAP and PCA draw similar rows close together: PCA is a straight view from one side, UMAP "
        "bends the space to keep neighbours together. Intrinsic × extrinsic draws the two parts of a value.",
    )


def _draw_range(title: str, amounts: pd.Series, entry: Entry[Range | None], name: str) -> None:
    low, high = float(amounts.min()), float(amounts.max())
    if not low < high:
        st.caption(f"All rows have the same {formats.plain(name)}.")
        return
    step = 1.0 if (amounts % 1 == 0).all() else (high - low) / 200
    low, high = np.floor(low / step) * step, np.ceil(high / step) * step
    reviews.note_whole(entry, (low, high))
    chosen = entry.get()
    if chosen is None or not (low <= chosen[0] <= chosen[1] <= high):
        entry.set((low, high))
    st.slider(title, low, high, step=step, **entry.lasting)
