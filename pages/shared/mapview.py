"""State of the map on Explore: projection, filters, selection, and what the figure is given of it.

Any change of a figure empties the selection drawn on it and resets its zoom. So a selection made *on*
the map is kept in the session only; the figure is given a selection when something else changes it.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from ecoval_core.evaluation.projection import pca_projection
from ecoval_core.tables.preparation import Prepared
from ecoval_core.workspace import orders
from ecoval_core.workspace.runs import Run
from pages.shared import progress, prunelist, rows, state
from pages.shared.session import Marks, Session, selected_points, session

MAP_KEY = "map"
TABLE_KEY = "explore_rows"
MAX_HOVER_FEATURES = 32


@st.cache_resource(max_entries=8, show_spinner=False)
def _pca(rows: str, _X: NDArray) -> NDArray:  # noqa: ARG001 - the cache's key
    return pca_projection(_X)


def coordinates(run: Run) -> tuple[NDArray, str]:
    """Coordinates in the chosen projection; those of PCA while UMAP is being computed.

    Parameters
    ----------
    run : Run
        The run.

    Returns
    -------
    coordinates : ndarray of shape (n_rows, 2)
        One point a valued row, in the order of `run.frame`.
    projection : str
        "UMAP" or "PCA".
    """
    X = run.X
    if session.projection == "UMAP":
        order = orders.projection(run)
        result = progress.fetch("umap", order, "Shown by PCA until the UMAP projection is ready")
        if result is not None:
            return result, "UMAP"
    return _pca(f"{run.prepared.fingerprint} {run.settings.every_row}", X), "PCA"


def hover_columns(prepared: Prepared) -> pd.DataFrame | None:
    """Original columns shown beside a point; none where there are too many to be of use."""
    features = prepared.table.features
    return prepared.table.frame[features] if len(features) <= MAX_HOVER_FEATURES else None


def matching(frame: pd.DataFrame) -> pd.Series:
    """Rows that pass the filters.

    Parameters
    ----------
    frame : DataFrame
        The run's frame.

    Returns
    -------
    Series of bool
        Indexed by row id.
    """
    mask = pd.Series(True, index=frame.index)
    # The address may name labels of a table that was open before.
    of_these = frame["label"].isin(session.filter_labels)
    if of_these.any():
        mask &= of_these
    if session.filter_negative:
        mask &= frame["value"] < 0
    if session.filter_planted and frame["flipped"].any():
        mask &= frame["flipped"]
    return mask


def focus(frame: pd.DataFrame) -> list[int]:
    """Row ids that pass the filters and are selected, if anything is; lowest value first."""
    ranked = frame.loc[matching(frame), "value"].sort_values(kind="stable").index
    if state.selected_ids():
        ranked = ranked[np.isin(ranked, state.selected_ids())]
    return [int(row) for row in ranked]


def refresh_marks() -> None:
    """Give the figure the selection at the next drawing."""
    session.marks_are_stale = True


def marks(frame: pd.DataFrame, *drawn_from: Hashable) -> Marks:
    """Return what the figure is given of the selection.

    Parameters
    ----------
    frame : DataFrame
        The run's frame.
    *drawn_from : hashable
        Whatever else the figure depends on. Where it changes, the figure does, and is given the
        selection as well.

    Returns
    -------
    Marks
        The same object as long as nothing but the map itself changed the selection.
    """
    if drawn_from != session.map_drawn_from or session.marks is None:
        session.map_drawn_from = drawn_from
        refresh_marks()
    if Session.marks_are_stale.take() or session.marks is None:
        ids = focus(frame)
        shown = None if len(ids) == len(frame) else ids
        session.marks = Marks(shown, state.picked_id())
        session.map_drawing += 1
    return session.marks


def on_map_selection() -> None:
    """Keep what was lassoed, boxed or clicked on the map."""
    points = selected_points(MAP_KEY)
    ids = [int(np.ravel(point["customdata"])[0]) for point in points if "customdata" in point]
    drawing = session.map_drawing
    if ids:
        session.selected_on_drawing = drawing
    elif session.selected_on_drawing == drawing:
        refresh_marks()
    else:
        # Nobody deselected: the figure was redrawn in a run that another one cut short.
        return
    state.select(ids)
    if len(ids) == 1:
        state.pick(ids[0])


def on_row_pick(ids: list[int]) -> None:
    """Pick the row that was marked in the table.

    Parameters
    ----------
    ids : list of int
        The row ids that the table showed.
    """
    picked = rows.ids_at(ids, TABLE_KEY)
    state.pick(picked[0] if picked else None)
    refresh_marks()


def clear_selection() -> None:
    """Select nothing."""
    state.select([])
    state.pick(None)
    refresh_marks()


def prune_selection(ids: list[int]) -> None:
    """Put rows on the prune list.

    Parameters
    ----------
    ids : list of int
        Row ids.
    """
    prunelist.change(prunelist.current().pick(ids))
