"""Filters: which rows are in view, and by which axes the map draws them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from ecoval_core.evaluation.profiles import is_number
from ecoval_core.runs.run import Run
from pages.shared import formats, reviews
from pages.shared.reviews import target_ranges
from pages.shared.session import (
    Family,
    Session,
    fill_widgets,
    filter_ranges,
    filter_values,
    session,
)

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
        mask &= _within(frame["label"], target_ranges, run.table.target)
    else:
        of_these = frame["label"].isin(session.filter_labels)
        if of_these.any():
            mask &= of_these
    if session.filter_negative:
        mask &= frame["value"] < 0
    if session.filter_planted and frame["flipped"].any():
        mask &= frame["flipped"]
    known = columns(run)
    for name in session.filter_columns:
        if name in known:
            mask &= _by_column(run, name)
    return mask


def _by_column(run: Run, name: str) -> pd.Series | bool:
    column = column_of(run, name)
    if is_number(column):
        return _within(column, filter_ranges, name)
    values = filter_values.get(name)
    return column.astype(str).isin(values) if values else True


def _within(column: pd.Series, ranges: Family[tuple[float, float]], name: str) -> pd.Series | bool:
    chosen = ranges.get(name)
    if chosen is None or reviews.is_whole(ranges, name):
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
    names = columns(run)
    if not set(session.filter_columns) <= set(names):
        # The open table was another one before.
        session.filter_columns = [name for name in session.filter_columns if name in names]
    st.multiselect(
        "Filter by columns",
        names,
        **Session.filter_columns.lasting,
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
        _draw_range(
            f"Range of {formats.plain(name)}", column.astype("float64"), filter_ranges, name
        )
    else:
        values = column.astype(str).value_counts().index[:MAX_CATEGORIES].tolist()
        chosen = filter_values.get(name) or []
        if not set(chosen) <= set(values):
            # A column of the same name in a table that was open before.
            filter_values.set(name, [value for value in chosen if value in values])
        st.multiselect(
            f"Categories of {formats.plain(name)}",
            values,
            **filter_values.lasting(name),
            placeholder="All of them",
        )


def draw_target_filter(run: Run) -> None:
    """Draw the choice of classes, or of a range of the target."""
    if run.split.task == "regression":
        target = run.table.target
        _draw_range("Target from … to", run.frame["label"].dropna(), target_ranges, target)
        return
    labels = sorted(run.frame["label"].unique().tolist())
    if not set(session.filter_labels) <= set(labels):
        session.filter_labels = [label for label in session.filter_labels if label in labels]
    st.multiselect("Labels", labels, **Session.filter_labels.lasting, placeholder="All labels")


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
    is_known = session.projection in PROJECTIONS
    fill_widgets({Session.projection.key: PROJECTIONS[0]}, replace=not is_known)
    st.segmented_control(
        "Axes of the map",
        PROJECTIONS,
        required=True,
        **Session.projection.lasting,
        label_visibility="collapsed",
        help="UMAP and PCA draw similar rows close together: PCA is a straight view from one side, UMAP "
        "bends the space to keep neighbours together. Intrinsic × extrinsic draws the two parts of a value.",
    )


def _draw_range(
    title: str, amounts: pd.Series, ranges: Family[tuple[float, float]], name: str
) -> None:
    low, high = float(amounts.min()), float(amounts.max())
    if not low < high:
        st.caption(f"All rows have the same {formats.plain(name)}.")
        return
    step = 1.0 if (amounts % 1 == 0).all() else (high - low) / 200
    low, high = np.floor(low / step) * step, np.ceil(high / step) * step
    reviews.note_whole(ranges, name, (low, high))
    chosen = ranges.get(name)
    if chosen is None or not (low <= chosen[0] <= chosen[1] <= high):
        ranges.set(name, (low, high))
    st.slider(title, low, high, step=step, **ranges.lasting(name))
