"""The two parts of a value: intrinsic against extrinsic, and the kinds of rows that they tell apart."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from ecoval_core.charts.coloring import colorings, marker_of
from ecoval_core.charts.points import MAX_POINTS, count_shown, point_trace, points_shown
from ecoval_core.charts.style import (
    Palette,
    ThemeName,
    base_figure,
    dotted,
    message_figure,
    palette_of,
    translucent,
    with_unit,
)
from ecoval_core.text import count_of

# A row is typical from this quality on: its label is at least half as credible as it could be.
TYPICAL_QUALITY = 0.5
# A measured effect is little up to this part of the average effect, without its sign.
LITTLE_EFFECT = 0.1
# By (typical, effect): 1 for the model, -1 against it so far that the value is below zero, else 0.
QUADRANTS = {
    (True, 1): "Typical and needed",
    (True, 0): "Typical but redundant",
    (True, -1): "Typical but harmful",
    (False, 1): "Odd but useful",
    (False, 0): "Odd, of little effect",
    (False, -1): "Odd and harmful",
}
_PARTS = ["intrinsic", "extrinsic"]


def quadrant_of(frame: pd.DataFrame) -> pd.Series:
    """Name the kind of each row, by its quality and its measured effect.

    Parameters
    ----------
    frame : DataFrame
        :attr:`ecoval_core.runs.run.Run.frame`, in any unit.

    Returns
    -------
    Series of str
        Values of `QUADRANTS`, indexed by row id. Typical is a quality of at least `TYPICAL_QUALITY`; only
        a row whose value is below zero, and not for a little effect, is called harmful.
    """
    effect = frame["raw_extrinsic"]
    little = LITTLE_EFFECT * effect.abs().mean()
    is_typical = frame["quality"] >= TYPICAL_QUALITY
    is_harmful = (effect < -little) & (frame["value"] < 0)
    signs = (effect > little).astype(int) - is_harmful.astype(int)
    names = [QUADRANTS[bool(pair[0]), int(pair[1])] for pair in zip(is_typical, signs, strict=True)]
    return pd.Series(names, index=frame.index, dtype="str")


def decomposition_scatter(
    frame: pd.DataFrame, *, theme: ThemeName, unit: str = "", limit: int = MAX_POINTS
) -> go.Figure:
    """Draw intrinsic against extrinsic value, with its four quadrants named in words.

    Parameters
    ----------
    frame : DataFrame
        :attr:`ecoval_core.runs.run.Run.frame`, in any unit. Rows without a value are left out.
    theme : {"light", "dark"}
    unit : str, default=""
    limit : int, default=20_000
        Points at most: beyond that the lowest-valued rows, a quarter, and a sample.

    Returns
    -------
    Figure
        One trace whose `customdata` is the row id, coloured by value. The counts in the corners are of all
        rows. A line across is at extrinsic 0, one up at `TYPICAL_QUALITY`, and
        one falling where the value is 0.
    """
    palette = palette_of(theme)
    shown = points_shown(frame, frame[_PARTS].to_numpy(float), limit)
    if not len(shown):
        return message_figure(palette, "Intrinsic against extrinsic", "No row has a value.")
    points, valued = frame.iloc[shown], _valued(frame)
    figure = base_figure(
        palette, height=520, title=f"Intrinsic against extrinsic{count_shown(frame, shown)}",
        subtitle="Orange: value below zero, under the diagonal line. Blue: above zero."
        if _is_paid(valued)
        else "Extrinsic value does not count here: its weight is 0.",
        dragmode="lasso", hovermode="closest", showlegend=False,
    )  # fmt: skip
    marker = marker_of(colorings(points, palette)["value"], palette)
    coords = points[_PARTS].to_numpy(np.float32)
    marker |= {"showscale": False, "opacity": 0.75}
    figure.add_trace(point_trace(points, coords, marker, unit))
    figure.update_traces(unselected={"marker": {"color": palette.faded, "opacity": 0.4}})
    _draw_quadrants(figure, valued, coords, palette, unit)
    return figure


def decomposition_layout(
    frame: pd.DataFrame, *, theme: ThemeName, unit: str = ""
) -> dict[str, Any]:
    """Return the layout of `decomposition_scatter` without its points, as JSON; empty without values."""
    palette, valued = palette_of(theme), _valued(frame)
    if valued.empty:
        return {}
    figure = base_figure(palette, height=520)
    _draw_quadrants(figure, valued, valued[_PARTS].to_numpy(float), palette, unit)
    # The browser places the pointer by these margins, so nothing may widen them.
    figure.update_xaxes(automargin=False).update_yaxes(automargin=False, title_standoff=4)
    figure.update_layout(margin={"l": 62, "r": 8, "t": 8, "b": 44})
    layout = json.loads(figure.to_json())["layout"]
    return {name: layout[name] for name in ("xaxis", "yaxis", "shapes", "annotations", "margin")}


def _valued(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[np.isfinite(frame[["value", *_PARTS]].to_numpy(float)).all(axis=1)]


def _is_paid(valued: pd.DataFrame) -> bool:
    """Tell whether extrinsic value is paid; where all are 0 they do not show how needed a row is."""
    return bool(valued["extrinsic"].any())


def _draw_quadrants(
    figure: go.Figure, valued: pd.DataFrame, coords: NDArray, palette: Palette, unit: str
) -> None:
    x, y = coords.T
    is_paid, across = _is_paid(valued), _padded(x, 0.05)
    figure.update_xaxes(title_text=with_unit("intrinsic", unit), range=across, zeroline=False)
    # Room above and below for the names of the quadrants.
    figure.update_yaxes(
        title_text=with_unit("extrinsic", unit),
        range=_padded(y if is_paid else np.array([-x.max(), x.max()]), 0.2),
        zeroline=False,
    )
    line = dotted(palette)
    figure.add_hline(y=0, line=line, layer="below")
    if total_quality := float(valued["quality"].sum()):
        rate = float(valued["intrinsic"].sum()) / total_quality
        figure.add_vline(x=TYPICAL_QUALITY * rate, line=line, layer="below")
    if is_paid:
        end = across[1]
        figure.add_shape(type="line", x0=0, y0=0, x1=end, y1=-end, line=line, layer="below")
    _name_corners(figure, quadrant_of(valued), palette, is_paid)


def _name_corners(figure: go.Figure, kinds: pd.Series, palette: Palette, is_paid: bool) -> None:
    counts = kinds.value_counts()

    def describe(name: str) -> str:
        n = int(counts.get(name, 0))
        return f"{count_of(n, 'row')}, {n / len(kinds):.0%}"

    for is_typical in (True, False):
        redundant, harmful = QUADRANTS[is_typical, 0], QUADRANTS[is_typical, -1]
        for y, name, other in (
            (1, QUADRANTS[is_typical, 1], ""),
            (0, redundant, harmful) if is_typical else (0, harmful, redundant),
        ):
            text = f"<b>{name}</b>" + (f"<br>{describe(name)}" if is_paid else "")
            if is_paid and other:
                text += f"<br>{other}: {describe(other)}"
            figure.add_annotation(
                text=text, x=float(is_typical), xanchor="right" if is_typical else "left",
                xref="paper", y=y, yanchor="top" if y else "bottom", yref="paper",
                align="right" if is_typical else "left", showarrow=False, borderpad=4,
                font={"size": 13, "color": palette.text}, bgcolor=translucent(palette.surface, 0.6),
            )  # fmt: skip


def _padded(amounts: NDArray, share: float) -> list[float]:
    low, high = min(0.0, float(amounts.min())), max(0.0, float(amounts.max()))
    pad = share * (high - low) or 1.0
    return [low - pad, high + pad]
