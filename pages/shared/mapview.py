"""The map of a run: projection, colours, and what gestures on it do to the one selection."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from ecoval_core import charts
from ecoval_core.charts.coloring import COLORINGS, color_by, colorings
from ecoval_core.charts.decomposition import decomposition_layout
from ecoval_core.charts.points import make_points
from ecoval_core.charts.shades import shade
from ecoval_core.charts.style import palette_of
from ecoval_core.columns.target import holds_nested
from ecoval_core.evaluation.projection import pca_projection
from ecoval_core.evaluation.regions import density, name_regions
from ecoval_core.runs.run import Run
from ecoval_core.tables import Table
from ecoval_core.text import count_of
from ecoval_core.work import slow
from pages.shared import (
    filtering,
    formats,
    layout,
    pictures,
    progress,
    prunelist,
    server,
    state,
    story,
)
from pages.shared.pointmap.element import PackedPoints, pack_shade, point_map
from pages.shared.pointmap.gestures import Gesture
from pages.shared.pointmap.wire import Package
from pages.shared.session import Session, session

MAX_HOVER_FEATURES = 32
# From so many points on they hide one another: they are transparent, over lines of equal density.
MIN_DENSE = 5_000
# Colours beside the columns of the table.
_OWN_COLORS = {
    **COLORINGS, "label_quality": "Label quality", "suggested_label": "Suggested label",
}  # fmt: skip
COLUMN = "column: "


def coordinates(run: Run) -> tuple[NDArray, str]:
    """Coordinates in the chosen projection; those of PCA while UMAP is being computed."""
    if session.projection == "UMAP":
        task = slow.umap(run.opened.key, every_row=run.settings.every_row)
        result = progress.fetch("umap", task, "Shown by PCA until the UMAP projection is ready")
        if result is not None:
            return result, "UMAP"
    key = ("pca", run.opened.key, run.settings.every_row)
    return server.derive(key, lambda: pca_projection(run.X)), "PCA"


def hover_columns(table: Table) -> pd.DataFrame | None:
    """Original columns shown beside a point; none where there are too many to be of use."""
    features = table.features
    if len(features) > MAX_HOVER_FEATURES:
        return None
    return table.frame[[name for name in features if not holds_nested(table.frame[name])]]


def colors(run: Run) -> dict[str, str]:
    """Return what the map can be coloured by, with the names for people."""
    own = {
        name: title
        for name, title in _OWN_COLORS.items()
        if name != "flipped" or run.frame["flipped"].any()
    }
    return own | {f"{COLUMN}{column}": str(column) for column in run.table.frame.columns}


def _drawn_from(run: Run) -> tuple[Hashable, ...]:
    """Whatever values in the chosen unit follow from."""
    return session.run_id, session.extrinsic_weight, formats.unit_of(run)


def _points(run: Run, coords: NDArray, kind: str) -> PackedPoints:
    unit, shown = formats.unit_of(run), pictures.on_map(run)

    def make() -> PackedPoints:
        frame = unit.scale(run.frame)
        points = make_points(frame, coords, unit=unit.label, hover=hover_columns(run.table))
        return PackedPoints(points, shown)

    key = ("points", kind, shown is not None, *_drawn_from(run))
    return server.derive(key, make, n_bytes=400 * len(coords))


def _shade(run: Run, points: PackedPoints, kind: str, color: str) -> Package:
    theme, unit = layout.theme(), formats.unit_of(run)

    def make() -> Package:
        palette = palette_of(theme)
        drawn = unit.scale(run.frame).iloc[points.points.drawn]
        if color in COLORINGS:
            return pack_shade(shade(colorings(drawn, palette, unit.label)[color], palette))
        if color.startswith(COLUMN):
            column = run.table.frame[color.removeprefix(COLUMN)].loc[drawn.index]
        elif color == "suggested_label" and run.class_labels is not None:
            suggested = colorings(drawn.assign(label=drawn[color]), palette, unit.label)["label"]
            words = "The label that three models suggest."
            return pack_shade(
                shade(replace(suggested, title=_OWN_COLORS[color], subtitle=words), palette)
            )
        else:
            column = drawn[color].rename(_OWN_COLORS[color])
        return pack_shade(shade(color_by(column, palette), palette))

    key = ("shade", kind, color, theme, *_drawn_from(run))
    return server.derive(key, make, n_bytes=8 * len(run.frame))


def draw_map(run: Run, *, above: int) -> None:
    """Draw the rows of a run on the axes that are chosen."""
    if session.projection == filtering.PARTS:
        draw_decomposition(run, above=above)
        return
    coords, projection = coordinates(run)
    points = _points(run, coords, projection)
    label = f"Map of {count_of(len(coords), 'row')} by {projection}"
    dense = None
    if len(coords) >= MIN_DENSE:
        key = ("density", projection, session.run_id)
        dense = server.derive(key, lambda: density(coords))
    _draw(run, "map", points, label, above, _names(run, coords, projection), dense)


def _names(run: Run, coords: NDArray, kind: str) -> dict[str, object] | None:
    """Names of the map's regions as a layout, if they are wanted."""
    if not session.map_names:
        return None

    def make() -> list[tuple[float, float, str]]:
        is_telling = pictures.shape_of(run) is None
        features = run.table.frame.loc[run.ids, run.table.features if is_telling else []]
        labels = run.frame["label"].astype(str).tolist() if run.class_labels is not None else None
        return [(one.x, one.y, one.text) for one in name_regions(coords, labels, features)]

    regions = server.derive(("regions", kind, session.run_id), make)
    return {"annotations": charts.region_notes(regions, coords[:, 0], theme=layout.theme())}


def draw_names_choice() -> None:
    """Draw the choice whether regions of the map have names."""
    st.toggle(
        "Names",
        **Session.map_names.lasting,
        help="Names regions of the map by the class of most rows, and by the column that sets the rows "
        "apart from all others.",
    )


def draw_decomposition(run: Run, *, above: int) -> None:
    """Draw intrinsic against extrinsic value."""
    unit = formats.unit_of(run)
    frame = unit.scale(run.frame)
    points = _points(run, frame[["intrinsic", "extrinsic"]].to_numpy(), "quadrants")
    behind = decomposition_layout(frame, theme=layout.theme(), unit=unit.label)
    _draw(run, "quadrants", points, "Intrinsic against extrinsic value", above, behind)


def _draw(
    run: Run, name: str, points: PackedPoints, label: str, above: int, behind: dict[str, object] | None,
    dense: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    shown, selected, picked = filtering.shown_ids(run), session.selected_ids, session.picked_id
    color = session.map_color if session.map_color in colors(run) else "value"

    def answer(gesture: Gesture) -> None:
        if gesture.kind == "pick":
            state.pick(gesture.row_id)
        else:
            state.select(gesture.selects(points.points, session.selected_ids, shown))

    is_row = picked is not None and picked in run.frame.index
    point_map(
        name,
        points,
        _shade(run, points, name, color),
        label=label,
        theme=layout.theme(),
        on_gesture=answer,
        selected_ids=selected or None,
        shown_ids=shown,
        picked_id=picked if is_row else None,
        neighbor_ids=story.neighbors_of(run, picked) if is_row and picked is not None else (),
        pruned_ids=prunelist.pruned_ids(run),
        view=f"{run.opened.key} {run.settings.every_row} {label}",
        layout=behind,
        density=dense,
        above=above,
    )


def draw_color_choice(run: Run) -> None:
    """Draw the choice of the map's colour."""
    names = colors(run)
    if session.map_color not in names:
        session.map_color = "value"
    st.selectbox(
        "Colour by",
        list(names),
        format_func=lambda name: f"Colour: {names[name]}",
        **Session.map_color.lasting,
        label_visibility="collapsed",
        help="Any column of the table, too.",
    )
