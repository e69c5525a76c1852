"""Charts of the values: their two parts, their totals, their distribution."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from ecoval_core.charts.data import ROW_HEIGHT, row_axis
from ecoval_core.charts.points import colorings, count_shown, marker_of, point_trace, points_shown
from ecoval_core.charts.style import (
    Palette,
    ThemeName,
    axis_style,
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
N_BINS = 60
MAX_GROUPS_DRAWN = 30


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
    unit: str = "",
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

    Returns
    -------
    Figure
        Two bar traces, stacked, and a mark at their sum; `customdata` names the class or cluster.

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
    totals = frame.groupby(keys, observed=True).agg(
        intrinsic=("intrinsic", "sum"), extrinsic=("extrinsic", "sum"),
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
    for part, color in (("intrinsic", INTRINSIC_COLOR), ("extrinsic", EXTRINSIC_COLOR)):
        figure.add_bar(
            x=shown[part].to_numpy(np.float32), y=positions, orientation="h", name=part,
            marker={"color": color, "line": {"width": 0}}, customdata=customdata,
            text=[number(amount, signed=True) for amount in shown[part]], textposition="none",
            hovertemplate=f"{part} %{{text}}<extra></extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=shown["value"].to_numpy(np.float32), y=positions, mode="markers", name="value (sum)",
        marker={"symbol": "diamond", "size": 8, "color": palette.text}, customdata=customdata,
        text=[
            f"value {number(total, signed=True)}, {counted(n, 'row')}"
            for total, n in zip(shown["value"], shown["n_rows"], strict=True)
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


def value_distribution(frame: pd.DataFrame, *, theme: ThemeName, unit: str = "") -> go.Figure:
    """Draw the distribution of values: a histogram of all rows, below it a box for each class.

    Parameters
    ----------
    frame : DataFrame
        :attr:`ecoval_core.workspace.runs.Run.frame`, in any unit.
    theme : {"light", "dark"}
        Palette of the page.
    unit : str, default=""
        Unit of the values, in words.

    Returns
    -------
    Figure
        Boxes go from the first to the third quartile, whiskers from the 5th to the 95th percentile; the
        class of the lowest median comes first, and at most 30 are drawn; groups of a continuous target
        keep their order. The axis ends at the 0.5th and
        99.5th percentile; what lies beyond counts in the last bars.
    """
    palette = palette_of(theme)
    frame = frame.dropna(subset=["value"])
    if frame.empty:
        return message_figure(palette, "Distribution of values", "No row has a value.")
    groups = label_groups(frame["label"])
    by_group = frame["value"].groupby(groups, observed=True)
    quantiles = {"low": 0.05, "q1": 0.25, "median": 0.5, "q3": 0.75, "high": 0.95}
    boxes = pd.DataFrame({name: by_group.quantile(q) for name, q in quantiles.items()})
    boxes = boxes.assign(n_rows=by_group.size(), below=by_group.agg(lambda v: (v < 0).mean()))
    if not is_continuous(frame["label"]):
        boxes = boxes.sort_values("median", kind="stable")
    shown = boxes.iloc[:MAX_GROUPS_DRAWN]
    n_below = int((frame["value"] < 0).sum())
    title = f"Distribution of values · {counted(n_below, 'row')} of {len(frame):,} below zero"
    noun = "range of the target" if is_continuous(frame["label"]) else "class"
    subtitle = f"Box: the middle half of a {noun}.<br>Whiskers: all but 5 % at either end."
    if len(shown) < len(boxes):
        subtitle += f"<br>The {len(shown)} of {len(boxes)} classes with the lowest median."
    box_height = ROW_HEIGHT * len(shown) + 10
    figure = base_figure(
        palette, height=260 + box_height, title=title, subtitle=subtitle, showlegend=False,
        bargap=0, hovermode="closest",
    )  # fmt: skip
    _add_histogram(figure, frame["value"].to_numpy(float), palette)
    names = short_names(shown.index.tolist(), 20)
    figure.add_box(
        y=np.arange(len(shown), dtype=np.int16), orientation="h", name=f"by {noun}",
        lowerfence=shown["low"].to_numpy(np.float32), q1=shown["q1"].to_numpy(np.float32),
        median=shown["median"].to_numpy(np.float32), q3=shown["q3"].to_numpy(np.float32),
        upperfence=shown["high"].to_numpy(np.float32), line={"color": palette.text, "width": 1.2},
        fillcolor=translucent(INTRINSIC_COLOR, 0.55), width=0.6, hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=shown["median"].to_numpy(np.float32), y=np.arange(len(shown), dtype=np.int16),
        mode="markers", marker={"size": 14, "opacity": 0}, customdata=names,
        text=[
            f"{counted(n, 'row')}, {below:.1%} below zero<br>median {number(median, signed=True)}"
            for n, below, median in zip(
                shown["n_rows"], shown["below"], shown["median"], strict=True
            )
        ],
        hovertemplate="<b>%{customdata}</b><br>%{text}<extra></extra>",
    )  # fmt: skip
    split = box_height / (box_height + 130)
    row_axis(figure, names)
    figure.update_layout(
        yaxis_domain=[0, split - 0.03],
        yaxis2=axis_style(palette) | {"domain": [split, 1], "rangemode": "tozero", "nticks": 4},
    )
    figure.update_layout(yaxis2_title_text="rows")
    figure.update_xaxes(title_text=with_unit("value", unit), zeroline=False)
    return figure.add_vline(x=0, line={"color": palette.text, "width": 1})


def _add_histogram(figure: go.Figure, values: NDArray, palette: Palette) -> None:
    low, high = np.percentile(values, (0.5, 99.5))
    low, high = min(low, 0.0), max(high, 0.0)
    width = (high - low) / min(N_BINS, max(10, 2 * math.isqrt(len(values)))) or 1.0
    # An edge lies at zero, so that no bar holds values of both signs.
    edges = width * np.arange(np.floor(low / width), np.ceil(high / width) + 1)
    edges = edges if len(edges) > 1 else np.array([0.0, width])
    clipped = np.clip(values, edges[0], np.nextafter(edges[-1], edges[0]))
    counts, _ = np.histogram(clipped, bins=edges)
    middle = (edges[:-1] + edges[1:]) / 2
    names = [
        f"{number(left, signed=True)} to {number(right, signed=True)}"
        for left, right in pairwise(edges)
    ]
    names[0] = f"below {number(edges[1], signed=True)}"
    names[-1] = f"{number(edges[-2], signed=True)} or more"
    figure.add_bar(
        x=middle.astype(np.float32), y=counts.astype(np.int32), width=0.92 * width,
        name="all rows", yaxis="y2",
        marker={
            "color": [palette.harm_soft if x < 0 else palette.gain_soft for x in middle],
            "line": {"width": 0},
        },
        customdata=names,
        hovertemplate="%{customdata}: %{y:,} rows<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(range=[edges[0] - width, edges[-1] + width])
