"""The map: every training row as a point, recoloured in the browser without a trip to the server."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from ecoval_core.charts.coloring import COLORINGS, Coloring, colorings, legend_length, marker_of
from ecoval_core.charts.points import MAX_POINTS, count_shown, point_trace, points_shown
from ecoval_core.charts.style import (
    Palette,
    ThemeName,
    base_figure,
    message_figure,
    packed,
    palette_of,
    safe,
    translucent,
)

MAX_NAME = 34
# Which end of a name is at its place, by the share of the width to the left of the place.
ANCHORS, EDGES = ("left", "center", "right"), (0.2, 0.8)


def value_map(
    frame: pd.DataFrame, coords: ArrayLike, *, theme: ThemeName, unit: str = "", limit: int = MAX_POINTS
) -> go.Figure:  # fmt: skip
    """Draw every row as a point, coloured by value or by what the buttons above it name.

    Parameters
    ----------
    frame : DataFrame of shape (n_samples, ...)
        :attr:`ecoval_core.runs.run.Run.frame`, its values in any unit. Rows without a value or without
        coordinates are left out, and counted in the title.
    coords : array-like of shape (n_samples, 2)
        Coordinates of the rows, in the order of `frame`.
    theme : {"light", "dark"}
    unit : str, default=""
    limit : int, default=20_000
        Points at most: beyond that the lowest-valued rows, a quarter, and a sample; the title says so.

    Returns
    -------
    Figure
        One trace whose `customdata` is the row id.
    """
    palette = palette_of(theme)
    coords = np.asarray(coords, dtype=np.float32)
    shown = points_shown(frame, coords, limit)
    if not len(shown):
        return message_figure(palette, "Map", "No row has a value.")
    points = frame.iloc[shown]
    choices = colorings(points, palette, unit, count_shown(frame, shown))
    first = choices["value"]
    figure = base_figure(
        palette, height=600, title=first.title, subtitle=first.subtitle, dragmode="lasso",
        hovermode="closest", margin={"t": 122, "l": 8, "r": 8, "b": 8}, showlegend=False,
        updatemenus=[_buttons(choices, palette)],
    )  # fmt: skip
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(showgrid=False, zeroline=False, showticklabels=False, ticks="", showline=False)
    figure.add_trace(point_trace(points, coords[shown], marker_of(first, palette), unit))
    return figure.update_traces(unselected={"marker": {"color": palette.faded, "opacity": 0.5}})


def region_notes(
    regions: Iterable[tuple[float, float, str]], abscissae: ArrayLike, *, theme: ThemeName
) -> list[dict[str, Any]]:
    """Write the names of regions on a map: Plotly's annotations, from abscissa, ordinate and text.

    Names near the ends of the points' `abscissae` are written away from them, or they would be cut off.
    """
    palette, low, width = palette_of(theme), np.min(abscissae), np.ptp(abscissae) or 1.0
    return [
        {
            "x": x, "y": y, "text": safe(text, MAX_NAME), "showarrow": False, "yshift": 14, "borderpad": 2,
            "xanchor": ANCHORS[bisect(EDGES, (x - low) / width)],
            "font": {"size": 11.5, "color": palette.text},
            "bgcolor": translucent(palette.surface, 0.5),
        }
        for x, y, text in regions
    ]  # fmt: skip


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
