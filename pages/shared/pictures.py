"""Rows that are pictures, drawn as what they are: of bytes in a column, or of columns of pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from ecoval_core.columns.pictures import data_address, detect_grid, holds_pictures, to_image
from ecoval_core.columns.target import holds_nested
from ecoval_core.runs.opened import Opened
from ecoval_core.runs.run import Run
from ecoval_core.text import count_of, number
from ecoval_core.work import opening
from pages.shared import formats, progress, server

PICTURE_WIDTH = 72
# Beyond so many the map tells of its points in words alone: a thumbnail has about a kilobyte.
MAX_ON_MAP = 10_000
# The column of pictures, or height and width where the columns are pixels.
Shape = str | tuple[int, int]


def all_columns(run: Run) -> pd.DataFrame:
    """Return all columns but the target: pixels that never vary are left out of the features."""
    table = run.table
    return table.frame.drop(columns=table.target)


def column_of(opened: Opened) -> str | None:
    """Return the first column of pictures of a table; None if it has none."""
    frame = opened.table.frame

    def find() -> str | None:
        return next((str(column) for column in frame if holds_pictures(frame[column])), None)

    found: str | None = server.derive(("picture column", opened.table.content), find)
    return found


def shape_of(run: Run) -> Shape | None:
    """Return the column of pictures, or height and width where the columns are pixels."""
    if (column := column_of(run.opened)) is not None:
        return column
    found: tuple[int, int] | None = server.derive(
        ("pixels", run.table.content), lambda: detect_grid(all_columns(run))
    )
    return found


def thumbnails(opened: Opened, column: str) -> pd.Series | None:
    """Return addresses of the pictures of a column by row, missing where none can be read; None so far."""
    # Strangers' pictures are decoded in the limited worker, never here.
    task = opening.thumbnails(opened.spec.table.content, column)
    drawn = progress.fetch("thumbnails", task, "Drawing the pictures")
    if drawn is None:
        return None
    addresses: pd.Series = server.derive(
        ("thumbnails", opened.table.content, column),
        lambda: drawn["picture"].map(data_address, na_action="ignore"),
        n_bytes=1_500 * len(drawn),
    )
    return addresses


def painter(run: Run, shape: Shape) -> Callable[[Sequence[int]], pd.Series] | None:
    """Return what gives addresses of the pictures of rows; None before they are drawn."""
    if isinstance(shape, str):
        drawn = thumbnails(run.opened, shape)
        return None if drawn is None else lambda ids: drawn.reindex(list(ids))
    return lambda ids: _of_pixels(run, ids, shape)


def _of_pixels(run: Run, ids: Sequence[int], shape: tuple[int, int]) -> pd.Series:
    frame = all_columns(run)
    greatest = float(np.nanmax(frame.to_numpy(np.float64)))
    drawn = [to_image(row, shape, greatest=greatest) for row in frame.loc[list(ids)].to_numpy()]
    return pd.Series(drawn, list(ids), dtype=object)


def on_map(run: Run) -> Callable[[Sequence[int]], pd.Series] | None:
    """Return what draws the pictures beside the points of the map; None if there are none, or too many."""
    shape = shape_of(run) if len(run.frame) <= MAX_ON_MAP else None
    return None if shape is None else painter(run, shape)


def draw(run: Run, ids: list[int], shape: Shape) -> None:
    """Draw rows as the pictures that they are."""
    paint = painter(run, shape)
    if paint is None:
        return
    with st.container(horizontal=True, gap="small"):
        for row, picture, label in zip(ids, paint(ids), run.frame.loc[ids, "label"], strict=True):
            caption = formats.plain(label)
            if pd.isna(picture):
                st.caption(f"Row {row}: no picture that can be read")
                continue
            alternative = f"Row {row}, labelled {caption}"
            st.image(picture, caption=caption, width=PICTURE_WIDTH, alt=alternative)


def for_a_table(opened: Opened, frame: pd.DataFrame) -> pd.DataFrame:
    """Put thumbnails in the place of pictures, and words in that of lists and bytes, for Streamlit."""
    shown = frame.copy(deep=False)
    column = column_of(opened)
    for name in frame.columns:
        if name == column:
            found = thumbnails(opened, column)
            shown[name] = "…" if found is None else found.reindex(frame.index)
        elif holds_nested(frame[name]):
            shown[name] = frame[name].map(_in_words, na_action="ignore")
    return shown


def column_config(opened: Opened) -> dict[str, Any]:
    """Tell Streamlit that a column holds pictures."""
    column = column_of(opened)
    return {} if column is None else {column: st.column_config.ImageColumn(column)}


def _in_words(cell: object) -> str:
    """Write a list or bytes in a few words."""
    if isinstance(cell, (bytes, dict)):
        return "bytes" if isinstance(cell, bytes) else "picture"
    cells = list(cell) if isinstance(cell, (list, tuple, np.ndarray)) else [cell]
    some = ", ".join(
        number(float(one), trim=True) if isinstance(one, (float, np.floating)) else str(one)
        for one in cells[:3]
    )
    return f"{count_of(len(cells), 'number')}: {some}{', …' if len(cells) > 3 else ''}"
