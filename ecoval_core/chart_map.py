"""The map: every training row as a point, recoloured in the browser without a trip to the server."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from pandas.api import types

from ecoval_core.chart_colouring import COLOURS, Colouring, colourings
from ecoval_core.chart_style import (
    MINUS,
    Theme,
    ThemeName,
    aligned,
    base_figure,
    message_figure,
    packed,
    shorten,
    theme_of,
    title_block,
)

MAX_POINTS = 20_000
# Of these, the lowest-valued rows that are drawn whatever the sample.
MAX_LOWEST = 5_000
MAX_HOVER_COLUMNS = 6
HOVER_TEMPLATE = (
    "<b>row %{{customdata}}</b><br>value = intrinsic + extrinsic<br>%{{text}} {unit}<br>"
    "label %{{hovertext}}<extra></extra>"
)


def value_map(
    frame: pd.DataFrame,
    coords: ArrayLike,
    *,
    theme: ThemeName,
    colour: str = "value",
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
        :attr:`ecoval_core.runs.Run.frame`, its values in any unit. Rows without a value or without
        coordinates are left out, and counted in the title.
    coords : array-like of shape (n_samples, 2)
        Coordinates of the rows, in the order of `frame`.
    theme : {"light", "dark"}
        Theme of the page.
    colour : {"value", "intrinsic", "extrinsic", "cluster", "label", "flipped"}, default="value"
        What the colour shows at first; "flipped" only if a row is.
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
        If `coords` do not fit `frame`, or the colour is unknown.
    """
    colors = theme_of(theme)
    coords = np.asarray(coords, dtype=np.float32)
    if coords.shape != (len(frame), 2):
        raise ValueError(f"coords must have the shape ({len(frame)}, 2), but it is {coords.shape}.")
    selected = None if selected_ids is None else frame.index.isin(list(selected_ids))
    usable = np.isfinite(frame["value"].to_numpy(dtype=float)) & np.isfinite(coords).all(axis=1)
    shown = points_shown(frame, usable, selected, picked_id)
    if not len(shown):
        return message_figure(colors, "Map", "No row has a value.")
    points, coords = frame.iloc[shown], coords[shown]
    choices = colourings(points, colors, unit, count_shown(frame, shown))
    if colour not in choices:
        raise ValueError(f"Unknown colour {colour!r}; choose from {', '.join(choices)}.")
    first = choices[colour]
    figure = base_figure(
        colors, height=600, title=first.title, subtitle=first.subtitle, dragmode="lasso",
        hovermode="closest",
    )  # fmt: skip
    figure.update_layout(
        margin={"t": 122, "l": 8, "r": 8, "b": 8},
        showlegend=False,
        updatemenus=[_buttons(choices, colour, colors)],
    )
    frameless = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": ""}
    figure.update_xaxes(**frameless, showline=False)
    figure.update_yaxes(**frameless, showline=False)
    x, y = coords.T
    figure.add_trace(point_trace(points, x, y, marker_of(first, colors), unit, hover))
    figure.update_traces(
        unselected={"marker": {"color": colors.faded, "opacity": 0.5}},
        selectedpoints=None if selected is None else np.flatnonzero(selected[shown]).tolist(),
    )
    _point_out(figure, points, coords, picked_id, colors)
    return figure


def point_trace(
    points: pd.DataFrame,
    x: NDArray,
    y: NDArray,
    marker: dict[str, Any],
    unit: str = "",
    hover: pd.DataFrame | None = None,
) -> go.Scattergl:
    """Draw rows as points that carry their row id and say in words what they are.

    Parameters
    ----------
    points : DataFrame of shape (n_points, ...)
        Rows of :attr:`ecoval_core.runs.Run.frame`.
    x, y : ndarray of shape (n_points,), float32
        Coordinates.
    marker : dict
        Colours.
    unit : str, default=""
        Unit of the values, in words.
    hover : DataFrame or None, default=None
        Original columns to show beside a point; indexed by row id.

    Returns
    -------
    Scattergl
        `customdata` is the row id: one number, as Streamlit passes on nothing longer unharmed.
    """
    n, ids = len(points), points.index.to_numpy()
    size = next((size for most, size in ((300, 10), (2_500, 8), (8_000, 6)) if n <= most), 4)
    fits = ids.max(initial=0) < np.iinfo(np.int32).max
    return go.Scattergl(
        x=x,
        y=y,
        mode="markers",
        name="rows",
        # Plotly has no 64-bit integers; a double holds every id exactly.
        customdata=ids.astype(np.int32 if fits else np.float64),
        text=_sums(points),
        hovertext=_descriptions(points, hover),
        hovertemplate=HOVER_TEMPLATE.format(unit=shorten(unit, 40)),
        marker={"size": size, "opacity": 0.9, "line": {"width": 0}, **marker},
        selected={"marker": {"opacity": 1.0}},
    )


def points_shown(
    frame: pd.DataFrame,
    usable: NDArray[np.bool_],
    selected: NDArray[np.bool_] | None = None,
    picked_id: int | None = None,
) -> NDArray[np.int64]:
    """Choose which rows are drawn, and in which order.

    Parameters
    ----------
    frame : DataFrame of shape (n_samples, ...)
        :attr:`ecoval_core.runs.Run.frame`.
    usable : ndarray of shape (n_samples,), bool
        Rows that can be drawn.
    selected : ndarray of shape (n_samples,), bool, or None, default=None
        Rows that are selected.
    picked_id : int or None, default=None
        Row id that must be drawn.

    Returns
    -------
    ndarray of shape (at most 20,000,), int
        Positions in `frame`, the highest value first, so that low values lie on top.
    """
    positions = np.flatnonzero(usable)
    values = frame["value"].to_numpy()[positions]
    lowest_first = positions[np.argsort(values, kind="stable")]
    if len(positions) > MAX_POINTS:
        wanted = [lowest_first[:MAX_LOWEST], positions[frame.index[positions] == picked_id]]
        if selected is not None:
            wanted.append(lowest_first[selected[lowest_first]][:MAX_LOWEST])
        sample = np.random.default_rng(0).permutation(positions)
        ranked = pd.unique(np.concatenate([*wanted, sample]))
        lowest_first = lowest_first[np.isin(lowest_first, ranked[:MAX_POINTS])]
    return lowest_first[::-1]


def count_shown(frame: pd.DataFrame, shown: NDArray) -> str:
    """Say how many of the rows are drawn; nothing if all are."""
    if len(shown) == len(frame):
        return ""
    return f" · showing {len(shown):,} of {len(frame):,} rows"


def marker_of(choice: Colouring, theme: Theme) -> dict[str, Any]:
    """Marker of a trace in a colouring, with its legend."""
    return {
        "color": choice.codes,
        "colorscale": choice.colorscale,
        "cmin": choice.low,
        "cmax": choice.high,
        "showscale": bool(choice.ticks),
        "colorbar": {
            "tickvals": choice.ticks,
            "ticktext": choice.names,
            "tickfont": {"size": 12, "color": theme.text},
            "thickness": 14,
            "len": _legend_length(choice),
            "y": 1.0,
            "yanchor": "top",
            "outlinewidth": 0,
            "x": 1.0,
            "xpad": 6,
        },
    }


def _legend_length(choice: Colouring) -> float:
    is_list = choice.codes.dtype.kind == "i"
    return min(0.95, 0.09 * len(choice.ticks)) if is_list and choice.ticks else 0.95


def _buttons(choices: dict[str, Colouring], colour: str, theme: Theme) -> dict[str, Any]:
    buttons = []
    for name, choice in choices.items():
        marker = {
            "marker.color": [packed(choice.codes)],
            "marker.colorscale": [choice.colorscale],
            "marker.cmin": choice.low,
            "marker.cmax": choice.high,
            "marker.showscale": bool(choice.ticks),
            "marker.colorbar.len": _legend_length(choice),
            "marker.colorbar.tickvals": [choice.ticks],
            "marker.colorbar.ticktext": [choice.names],
        }
        title = title_block(theme, choice.title, choice.subtitle)
        words = {"title.text": title["text"], "title.subtitle.text": title["subtitle"]["text"]}
        # An amount is no label; its colouring is titled so.
        label = "Target" if choice.title.startswith("Target") else COLOURS[name]
        buttons.append({"label": label, "method": "update", "args": [marker, words, [0]]})
    return {
        "type": "buttons", "direction": "right", "buttons": buttons,
        "active": list(choices).index(colour),
        "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom", "pad": {"b": 10, "l": 0},
        "bgcolor": theme.button, "bordercolor": theme.grid,
        "font": {"size": 12, "color": theme.button_text},
    }  # fmt: skip


def _sums(points: pd.DataFrame) -> list[str]:
    texts = []
    for row in points[["value", "intrinsic", "extrinsic"]].itertuples(index=False):
        value, intrinsic, extrinsic = aligned(row)
        sign = "-" if extrinsic[0] == MINUS else "+"
        # Plain signs: any other takes six bytes on its way to the browser.
        text = f"{value} = {intrinsic} {sign} {extrinsic.lstrip(MINUS)}"
        texts.append(text.replace(MINUS, "-"))
    return texts


def _descriptions(points: pd.DataFrame, hover: pd.DataFrame | None) -> list[str]:
    rows = zip(_written(points["label"]), points["cluster"], strict=True)
    texts = [f"{label}, cluster {cluster}" for label, cluster in rows]
    for position in np.flatnonzero(points["flipped"]):
        original = _cell(points["original_label"].iloc[position])
        texts[position] += f"<br>planted noise, it was {original}"
    if hover is None:
        return texts
    details = hover.reindex(points.index).iloc[:, :MAX_HOVER_COLUMNS]
    for column in details:
        title, cells = shorten(column), _written(details[column])
        texts = [f"{text}<br>{title}: {cell}" for text, cell in zip(texts, cells, strict=True)]
    return texts


def _written(cells: pd.Series) -> list[str]:
    codes, distinct = pd.factorize(cells)
    written = [*(_cell(cell) for cell in distinct), "missing"]
    return [written[code] for code in codes]


def _cell(cell: Any) -> str:
    if types.is_float(cell):
        return f"{cell:,.6g}".replace("-", MINUS)
    return shorten(cell, 36)


def _point_out(
    figure: go.Figure, points: pd.DataFrame, coords: NDArray, picked_id: int | None, theme: Theme
) -> None:
    where = np.flatnonzero(points.index == picked_id)
    if len(where):
        x, y = (float(c) for c in coords[where[0]])
        figure.add_annotation(
            x=x, y=y, text=f"<b>row {picked_id}</b>", ax=0, ay=-34, standoff=5,
            arrowhead=2, arrowwidth=1.6, arrowcolor=theme.text, font={"color": theme.text},
            bgcolor=theme.surface, bordercolor=theme.text, borderpad=3,
        )  # fmt: skip
