"""Rows whose columns are pixels, drawn as the pictures that they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from ecoval_core.tables.pictures import detect_grid, to_image
from ecoval_core.workspace.runs import Run
from pages.shared import formats, server

PICTURE_WIDTH = 72


def all_columns(run: Run) -> pd.DataFrame:
    """Return all columns but the target: pixels that never vary are left out of the features."""
    table = run.table
    return table.frame.drop(columns=table.target)


def shape_of(run: Run) -> tuple[int, int] | None:
    """Return height and width where the columns are pixels."""
    found: tuple[int, int] | None = server.derive(
        ("pixels", run.table.content), lambda: detect_grid(all_columns(run))
    )
    return found


def draw(run: Run, ids: list[int], shape: tuple[int, int], captions: list[str]) -> None:
    """Draw rows as the pictures that they are."""
    frame = all_columns(run)
    greatest = float(np.nanmax(frame.to_numpy(np.float64)))
    with st.container(horizontal=True, gap="small"):
        for row, caption in zip(ids, captions, strict=True):
            picture = to_image(frame.loc[row].to_numpy(), shape, greatest=greatest)
            alternative = f"Row {row}, labelled {caption}"
            st.image(picture, caption=caption, width=PICTURE_WIDTH, alt=alternative)


def labels_of(run: Run, ids: list[int]) -> list[str]:
    """Write the labels of rows as captions."""
    return [formats.plain(label) for label in run.frame.loc[ids, "label"]]
