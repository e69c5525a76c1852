"""What stands behind the points of the decomposition scatter: axes, dotted lines, names of the quadrants."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from ecoval_core.charts.style import ThemeName, base_figure, palette_of
from ecoval_core.charts.text import with_unit
from ecoval_core.charts.values import TYPICAL_QUALITY, _name_corners, _padded, quadrant_of


def decomposition_layout(
    frame: pd.DataFrame, *, theme: ThemeName, unit: str = ""
) -> dict[str, Any]:
    """Make the layout of intrinsic against extrinsic value, without its points.

    Parameters
    ----------
    frame : DataFrame
        :attr:`ecoval_core.workspace.runs.Run.frame`, in any unit. Rows without a value are left out.
    theme : {"light", "dark"}
        Palette of the page.
    unit : str, default=""
        Unit of the values, in words.

    Returns
    -------
    dict
        Plotly's layout, as JSON has it: ranges of both axes, a line across at extrinsic 0, one up at
        `TYPICAL_QUALITY`, one falling where the value is 0, and the quadrants' names with the share of
        all rows. Empty if no row has a value.
    """
    palette = palette_of(theme)
    columns = ["value", "intrinsic", "extrinsic"]
    valued = frame[np.isfinite(frame[columns].to_numpy(float)).all(axis=1)]
    if valued.empty:
        return {}
    # Without it the extrinsic value of every row is 0, which does not show how needed the row is.
    is_paid = bool(valued["extrinsic"].any())
    x, y = (valued[name].to_numpy(float) for name in ("intrinsic", "extrinsic"))
    figure = base_figure(palette, height=520)
    figure.update_xaxes(
        title_text=with_unit("intrinsic", unit), range=_padded(x, 0.05), zeroline=False
    )
    # Room above and below for the names of the quadrants.
    figure.update_yaxes(
        title_text=with_unit("extrinsic", unit),
        range=_padded(y if is_paid else np.array([-x.max(), x.max()]), 0.2),
        zeroline=False,
    )
    # The browser places the pointer by these margins, so nothing may widen them.
    figure.update_xaxes(automargin=False).update_yaxes(automargin=False, title_standoff=4)
    figure.update_layout(margin={"l": 62, "r": 8, "t": 8, "b": 44})
    line = {"color": palette.muted, "width": 1.2, "dash": "dot"}
    figure.add_hline(y=0, line=line, layer="below")
    if total_quality := float(valued["quality"].sum()):
        rate = float(valued["intrinsic"].sum()) / total_quality
        figure.add_vline(x=TYPICAL_QUALITY * rate, line=line, layer="below")
    if is_paid:
        end = _padded(x, 0.05)[1]
        figure.add_shape(type="line", x0=0, y0=0, x1=end, y1=-end, line=line, layer="below")
    _name_corners(figure, quadrant_of(valued), palette, is_paid)
    layout = json.loads(figure.to_json())["layout"]
    kept = ("xaxis", "yaxis", "shapes", "annotations", "margin")
    return {name: layout[name] for name in kept if name in layout}
