"""Charts of the values: their two parts, their totals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from ecoval_core.charts.behind import key_of
from ecoval_core.charts.data import ROW_HEIGHT, row_axis
from ecoval_core.charts.points import colorings, count_shown, marker_of, point_trace, points_shown
from ecoval_core.charts.style import (
    Palette,
    ThemeName,
    base_figure,
    is_continuous,
    label_groups,
    message_figure,
    palette_of,
    translucent,
)
from ecoval_core.charts.text import counted, number, short_names, shorten, with_unit

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
INTRINSIC_COLOR = "#8a78d6"
EXTRINSIC_COLOR = "#3fa37c"
MAX_GROUPS_DRAWN = 30
# Opacity of bars that hold no selected row, while others do.
FAINT = 0.35


def quadrant_of(frame: pd.DataFrame) -> pd.Series:
    """Name the kind of each row, by its quality and its measured effect.

    Parameters
    ----------
    frame : DataFrame
        :attr:`ecoval_core.workspace.runs.Run.frame`, in any unit.

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


def decomposition_scatter(frame: pd.DataFrame, *, theme: ThemeName, unit: str = "") -> go.Figure:
    """Draw intrinsic against extrinsic value, with its four quadrants named in words.

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
    Figure
        One trace of at most 20,000 points whose `customdata` is the row id, coloured by value. The counts
        in the corners are of all rows. A line across is at extrinsic 0, one up at `TYPICAL_QUALITY`, and
        one falling where the value is 0.
    """
    palette = palette_of(theme)
    usable = np.isfinite(frame[["value", "intrinsic", "extrinsic"]].to_numpy(float)).all(axis=1)
    if not usable.any():
        return message_figure(palette, "Intrinsic against extrinsic", "No row has a value.")
    shown = points_shown(frame, usable)
    points, valued = frame.iloc[shown], frame[usable]
    # Without it the extrinsic value of every row is 0, which does not show how needed the row is.
    is_paid = bool(valued["extrinsic"].any())
    figure = base_figure(
        palette, height=520, title=f"Intrinsic against extrinsic{count_shown(frame, shown)}",
        subtitle="Orange: value below zero, under the falling line. Blue: above zero."
        if is_paid
        else "Nobody is paid for extrinsic value here: its weight is 0.",
        dragmode="lasso", hovermode="closest", showlegend=False,
    )  # fmt: skip
    choice = colorings(points, palette)["value"]
    x, y = (points[name].to_numpy(np.float32) for name in ("intrinsic", "extrinsic"))
    marker = marker_of(choice, palette) | {"showscale": False, "opacity": 0.75}
    figure.add_trace(point_trace(points, x, y, marker, unit))
    figure.update_traces(unselected={"marker": {"color": palette.faded, "opacity": 0.4}})
    figure.update_xaxes(
        title_text=with_unit("intrinsic", unit), range=_padded(x, 0.05), zeroline=False
    )
    # Room above and below for the names of the quadrants.
    figure.update_yaxes(
        title_text=with_unit("extrinsic", unit),
        range=_padded(y if is_paid else np.array([-x.max(), x.max()]), 0.2),
        zeroline=False,
    )
    line = {"color": palette.muted, "width": 1.2, "dash": "dot"}
    figure.add_hline(y=0, line=line, layer="below")
    if total_quality := float(valued["quality"].sum()):
        rate = float(valued["intrinsic"].sum()) / total_quality
        figure.add_vline(x=TYPICAL_QUALITY * rate, line=line, layer="below")
    if is_paid:
        end = _padded(x, 0.05)[1]
        figure.add_shape(type="line", x0=0, y0=0, x1=end, y1=-end, line=line, layer="below")
    _name_corners(figure, quadrant_of(valued), palette, is_paid)
    return figure


def _name_corners(figure: go.Figure, kinds: pd.Series, palette: Palette, is_paid: bool) -> None:
    counts = kinds.value_counts()

    def describe(name: str) -> str:
        n = int(counts.get(name, 0))
        return f"{counted(n, 'row')}, {n / len(kinds):.0%}"

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


def totals_by(
    frame: pd.DataFrame, *, by: Literal["label", "cluster"], limit: int = 40, theme: ThemeName,
    unit: str = "", selected: Iterable[int] = (),
) -> go.Figure:  # fmt: skip
    """Draw the total value of each class or cluster as intrinsic plus extrinsic, lowest first.

    Parameters
    ----------
    frame : DataFrame
        :attr:`ecoval_core.workspace.runs.Run.frame`, in any unit.
    by : {"label", "cluster"}
        What is summed over; a continuous target falls into five groups of about the same size.
    limit : int, default=40
        Bars at most, those of the lowest totals.
    theme : {"light", "dark"}
        Palette of the page.
    unit : str, default=""
        Unit of the values, in words.
    selected : iterable of int, default=()
        Row ids selected; bars without one of them are fainter then.

    Returns
    -------
    Figure
        Two bar traces, stacked, and a mark at their sum; `customdata` names the class or cluster, `ids` are
        keys for :func:`ecoval_core.charts.behind.rows_behind`.

    Raises
    ------
    ValueError
        If `by` is neither.
    """
    if by not in ("label", "cluster"):
        raise ValueError(f"Totals are by 'label' or 'cluster', not by {by!r}.")
    palette = palette_of(theme)
    frame = frame.dropna(subset=["value"])
    keys = label_groups(frame["label"]) if by == "label" else frame["cluster"]
    frame = frame.assign(is_selected=frame.index.isin(list(selected)))
    totals = frame.groupby(keys, observed=True).agg(
        n_selected=("is_selected", "sum"), intrinsic=("intrinsic", "sum"), extrinsic=("extrinsic", "sum"),
        value=("value", "sum"), n_rows=("value", "size"), label=("label", "first"),
    )  # fmt: skip
    noun = ("class", "classes") if by == "label" else ("cluster", "clusters")
    name = "target" if by == "label" and is_continuous(frame["label"]) else by
    if totals.empty:
        return message_figure(palette, f"Total value by {name}", "No row has a value.")
    shown = totals.sort_values("value", kind="stable").iloc[:limit]
    if by == "label":
        names = short_names(shown.index.tolist(), 20)
    else:
        names = [f"{key} · {shorten(label, 14)}" for key, label in shown["label"].items()]
        if frame["label"].dtype.kind == "f":
            names = [f"cluster {key}" for key in shown.index]
    title, subtitle = f"Total value by {name}, lowest first", ""
    if len(shown) < len(totals):
        subtitle = f"The lowest {len(shown)} of {counted(len(totals), *noun)}."
    figure = base_figure(
        palette, height=168 + ROW_HEIGHT * len(shown), title=title, subtitle=subtitle,
        barmode="relative", bargap=0.25, hovermode="y unified",
    )  # fmt: skip
    positions = np.arange(len(shown), dtype=np.int16)
    customdata = [str(key) for key in shown.index]
    ids = [key_of(by, key) for key in shown.index]
    # Clusters are drawn worst first: the selection may lie in others alone.
    has_any = shown["n_selected"] > 0 if frame["is_selected"].any() else shown["n_rows"] > 0
    opacity = np.where(has_any, 1.0, FAINT)
    for part, color in (("intrinsic", INTRINSIC_COLOR), ("extrinsic", EXTRINSIC_COLOR)):
        figure.add_bar(
            x=shown[part].to_numpy(np.float32), y=positions, orientation="h", name=part,
            marker={"color": color, "line": {"width": 0}, "opacity": opacity},
            customdata=customdata, ids=ids, textposition="none",
            text=[number(amount, signed=True) for amount in shown[part]],
            hovertemplate=f"{part} %{{text}}<extra></extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=shown["value"].to_numpy(np.float32), y=positions, mode="markers", name="value (sum)",
        marker={"symbol": "diamond", "size": 8, "color": palette.text, "opacity": opacity},
        customdata=customdata, ids=ids,
        text=[
            f"value {number(total, signed=True)}, {counted(n, 'row')}"
            + (f", {n_selected:,} selected" if n_selected else "")
            for total, n, n_selected in zip(
                shown["value"], shown["n_rows"], shown["n_selected"], strict=True
            )
        ],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    row_axis(figure, names)
    figure.update_xaxes(
        title_text=with_unit("total value", unit), zeroline=True, zerolinecolor=palette.muted
    )
    top = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0}
    return figure.update_layout(
        legend=top, margin_t=figure.layout.margin.t + 44, hoverlabel_namelength=-1
    )
