"""The map: every training row as a point, recoloured in the browser without a trip to the server."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from ecoval_core.charts.coloring import COLORINGS, Coloring, colorings, legend_length, marker_of
from ecoval_core.charts.points import check_coords, count_shown, point_trace, points_shown
from ecoval_core.charts.style import (
    Palette,
    ThemeName,
    base_figure,
    message_figure,
    packed,
    palette_of,
)


def value_map(
    frame: pd.DataFrame,
    coords: ArrayLike,
    *,
    theme: ThemeName,
    selected_ids: Collection[int] | None = None,
    picked_id: int | None = None,
    hover: pd.DataFrame | None = None,
    unit: str = "",
) -> go.Figure:
    """Draw every row as a point, coloured by value or by what the buttons above it name.

    The figure depends on nothing but its arguments, so that the same arguments never disturb what
    was selected on it.

    Parameters
    ----------
    frame : DataFrame of shape (n_samples, ...)
        :attr:`ecoval_core.workspace.runs.Run.frame`, its values in any unit. Rows without a value or without
        coordinates are left out, and counted in the title.
    coords : array-like of shape (n_samples, 2)
        Coordinates of the rows, in the order of `frame`.
    theme : {"light", "dark"}
        Palette of the page.
    selected_ids : collection of int or None, default=None
        Row ids that keep their colour while the others turn grey; None colours all.
    picked_id : int or None, default=None
        Row id that an arrow points to.
    hover : DataFrame or None, default=None
        Original columns to show beside a point, the first six of them; indexed by row id.
    unit : str, default=""
        Unit of the values, in words.

    Returns
    -------
    Figure
        One trace of at most 20,000 points whose `customdata` is the row id. Beyond that it is a sample,
        and the title says so; the 5,000 lowest-valued rows, the picked one, and the lowest-valued of
        the selected are always in it.

    Raises
    ------
    ValueError
        If `coords` do not fit `frame`.
    """
    palette = palette_of(theme)
    coords = check_coords(frame, coords, np.float32)
    selected = None if selected_ids is None else frame.index.isin(list(selected_ids))
    shown = points_shown(frame, coords, selected, picked_id)
    if not len(shown):
        return message_figure(palette, "Map", "No row has a value.")
    points, coords = frame.iloc[shown], coords[shown]
    choices = colorings(points, palette, unit, count_shown(frame, shown))
    first = choices["value"]
    figure = base_figure(
        palette, height=600, title=first.title, subtitle=first.subtitle, dragmode="lasso",
        hovermode="closest",
    )  # fmt: skip
    figure.update_layout(
        margin={"t": 122, "l": 8, "r": 8, "b": 8},
        showlegend=False,
        updatemenus=[_buttons(choices, palette)],
    )
    frameless = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": ""}
    figure.update_xaxes(**frameless, showline=False)
    figure.update_yaxes(**frameless, showline=False)
    figure.add_trace(point_trace(points, coords, marker_of(first, palette), unit, hover))
    figure.update_traces(
        unselected={"marker": {"color": palette.faded, "opacity": 0.5}},
        selectedpoints=None if selected is None else np.flatnonzero(selected[shown]).tolist(),
    )
    _point_out(figure, points, coords, picked_id, palette)
    return figure


def _buttons(choices: dict[str, Coloring], palette: Palette) -> dict[str, Any]:
    buttons = []
    for name, choice in choices.items():
        marker = {
            "marker.color": [packed(choice.codes)],
            "marker.colorscale": [choice.colorscale],
            "marker.cmin": choice.low,
            "marker.cmax": choice.high,
            "marker.showscale": bool(choice.ticks),
            "marker.colorbar.len": legend_length(choice),
            "marker.colorbar.tickvals": [choice.ticks],
            "marker.colorbar.ticktext": [choice.names],
        }
        words = {"title.text": choice.title, "title.subtitle.text": choice.subtitle}
        # An amount is no label; its colouring is titled so.
        label = "Target" if choice.title.startswith("Target") else COLORINGS[name]
        buttons.append({"label": label, "method": "update", "args": [marker, words, [0]]})
    return {
        "type": "buttons", "direction": "right", "buttons": buttons, "active": 0,
        "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom", "pad": {"b": 10, "l": 0},
        "bgcolor": palette.button, "bordercolor": palette.grid,
        "font": {"size": 12, "color": palette.button_text},
    }  # fmt: skip


def _point_out(
    figure: go.Figure,
    points: pd.DataFrame,
    coords: NDArray,
    picked_id: int | None,
    palette: Palette,
) -> None:
    where = np.flatnonzero(points.index == picked_id)
    if len(where):
        x, y = (float(c) for c in coords[where[0]])
        figure.add_annotation(
            x=x, y=y, text=f"<b>row {picked_id}</b>", ax=0, ay=-34, standoff=5,
            arrowhead=2, arrowwidth=1.6, arrowcolor=palette.text, font={"color": palette.text},
            bgcolor=palette.surface, bordercolor=palette.text, borderpad=3,
        )  # fmt: skip
