"""Charts of values: how they are distributed, and their totals by class or cluster."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from ecoval_core.charts.selection import bar_key, value_bins
from ecoval_core.charts.style import (
    MAX_GROUPS_DRAWN,
    ROW_HEIGHT,
    Palette,
    ThemeName,
    add_bars,
    axis_style,
    base_figure,
    is_continuous,
    label_groups,
    legend_above,
    message_figure,
    palette_of,
    row_axis,
    rows_at,
    safe,
    short_names,
    translucent,
    with_unit,
)
from ecoval_core.text import count_of, number

INTRINSIC_COLOR = "#8a78d6"
EXTRINSIC_COLOR = "#3fa37c"
# Opacity of bars that hold no selected row, while others do.
FAINT = 0.35
_QUANTILES = {"low": 0.05, "q1": 0.25, "median": 0.5, "q3": 0.75, "high": 0.95}


def value_distribution(
    frame: pd.DataFrame, *, theme: ThemeName, unit: str = "", selected: Iterable[int] = (),
    boxes: bool = True,
) -> go.Figure:  # fmt: skip
    """Draw the distribution of values: a histogram of all rows, below it a box for each class.

    Parameters
    ----------
    frame : DataFrame
        :attr:`ecoval_core.runs.run.Run.frame`, in any unit.
    theme : {"light", "dark"}
    unit : str, default=""
    selected : iterable of int, default=()
        Row ids selected: their part of each bar is drawn in a stronger tone, the rest fainter.
    boxes : bool, default=True
        Whether the boxes of the classes are drawn.

    Returns
    -------
    Figure
        Bars and medians have `ids`, keys for :func:`ecoval_core.charts.selection.rows_behind`; a bar is
        clicked anywhere in its column. Boxes go from the first to the third quartile, whiskers from the 5th
        to the 95th percentile; the class of the lowest median comes first, and at most 30 are drawn; groups
        of a continuous target keep their order. The axis ends at the 0.5th and 99.5th percentile, or one bar
        beyond zero if only a few values are there; what lies beyond counts in the last bars.
    """
    palette = palette_of(theme)
    frame = frame.dropna(subset=["value"])
    if frame.empty:
        return message_figure(palette, "Distribution of values", "No row has a value.")
    is_amount = is_continuous(frame["label"])
    by_group = frame["value"].groupby(label_groups(frame["label"]), observed=True)
    spread = pd.DataFrame({name: by_group.quantile(q) for name, q in _QUANTILES.items()})
    spread = spread.assign(n_rows=by_group.size(), below=by_group.agg(lambda v: (v < 0).mean()))
    if not is_amount:
        spread = spread.sort_values("median", kind="stable")
    shown = spread.iloc[: MAX_GROUPS_DRAWN if boxes else 0]
    n_below = int((frame["value"] < 0).sum())
    title = f"Distribution of values · {count_of(n_below, 'row')} of {len(frame):,} below zero"
    noun = "range of the target" if is_amount else "class"
    subtitle = f"Box: the middle half of a {noun}.<br>Whiskers: all but 5 % at either end."
    if boxes and len(shown) < len(spread):
        subtitle += f"<br>The {len(shown)} of {len(spread)} classes with the lowest median."
    box_height = ROW_HEIGHT * len(shown) + 10 if boxes else 0
    figure = base_figure(
        palette, height=260 + box_height, title=title, subtitle=subtitle, showlegend=False,
        bargap=0, barmode="overlay", hovermode="closest",
    )  # fmt: skip
    edges, bins = value_bins(frame["value"].to_numpy(float))
    counts, n_selected = (
        np.bincount(bins[part], minlength=len(edges) - 1).astype(np.int32)
        for part in (slice(None), frame.index.isin(list(selected)))
    )
    _add_histogram(figure, edges, counts, palette)
    if boxes:
        _add_boxes(figure, shown, noun, palette)
    _add_selected(figure, counts, n_selected, palette)
    split = box_height / (box_height + 130)
    figure.update_layout(
        yaxis_domain=[0, max(0, split - 0.03)],
        yaxis2=axis_style(palette) | {"domain": [split, 1], "rangemode": "tozero", "nticks": 4},
    )
    figure.update_layout(yaxis2_title_text="rows")
    ends = [2 * edges[0] - edges[1], 2 * edges[-1] - edges[-2]]
    figure.update_xaxes(title_text=with_unit("value", unit), zeroline=False, range=ends)
    return figure.add_vline(x=0, line={"color": palette.text, "width": 1})


def _add_histogram(figure: go.Figure, edges: NDArray, counts: NDArray, palette: Palette) -> None:
    written = [number(edge, signed=True) for edge in edges]
    names = [f"{left} to {right}" for left, right in pairwise(written)]
    names[0], names[-1] = f"below {written[1]}", f"{written[-2]} or more"
    middle = (edges[:-1] + edges[1:]) / 2
    figure.add_bar(
        x=middle.astype(np.float32), y=counts, width=0.92 * (edges[1] - edges[0]), name="all rows",
        yaxis="y2",
        marker={
            "color": [palette.harm_soft if x < 0 else palette.gain_soft for x in middle],
            "line": {"width": 0},
        },
        customdata=names, ids=[bar_key("bin", position) for position in range(len(names))],
        hoverinfo="skip",
    )  # fmt: skip


def _add_boxes(figure: go.Figure, shown: pd.DataFrame, noun: str, palette: Palette) -> None:
    names = short_names(shown.index.tolist(), 20)
    low, q1, median, q3, high = (shown[name].to_numpy(np.float32) for name in _QUANTILES)
    figure.add_box(
        y=rows_at(shown), orientation="h", name=f"by {noun}", lowerfence=low, q1=q1, median=median,
        q3=q3, upperfence=high, line={"color": palette.text, "width": 1.2},
        fillcolor=translucent(INTRINSIC_COLOR, 0.55), width=0.6, hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=median, y=rows_at(shown), mode="markers", marker={"size": 14, "opacity": 0},
        customdata=names, ids=[bar_key("label", name) for name in shown.index],
        text=[
            f"{count_of(n, 'row')}, {below:.1%} below zero<br>median {number(middle, signed=True)}"
            for n, below, middle in zip(shown["n_rows"], shown["below"], shown["median"], strict=True)
        ],
        hovertemplate="<b>%{customdata}</b><br>%{text}<extra></extra>",
    )  # fmt: skip
    row_axis(figure, names)


def _add_selected(
    figure: go.Figure, counts: NDArray, n_selected: NDArray, palette: Palette
) -> None:
    bars = figure.data[0]
    texts = [
        f"{name}: {count_of(n, 'row')}" + (f", {k:,} selected" if k else "")
        for name, n, k in zip(bars.customdata, counts, n_selected, strict=True)
    ]
    if n_selected.any():
        bars.update(marker_opacity=FAINT)
        figure.add_bar(
            x=bars.x, y=n_selected, width=bars.width, name="selected rows", yaxis="y2",
            marker={
                "color": [palette.harm if x < 0 else palette.gain for x in bars.x],
                # One row of hundreds would be less than a pixel.
                "line": {"width": np.where(n_selected > 0, 1, 0), "color": palette.text},
            },
            ids=bars.ids, hoverinfo="skip",
        )  # fmt: skip
    # A low bar is hard to hit: its whole column takes the click, and tells how many rows there are.
    figure.add_bar(
        x=bars.x, y=np.full_like(counts, counts.max()), width=bars.width / 0.92, name="columns",
        yaxis="y2", opacity=0, ids=bars.ids, text=texts, textposition="none",
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def totals_by(
    frame: pd.DataFrame, *, by: Literal["label", "cluster"], limit: int = 40, theme: ThemeName,
    unit: str = "", selected: Iterable[int] = (),
) -> go.Figure:  # fmt: skip
    """Draw the total value of each class or cluster as intrinsic plus extrinsic, lowest first.

    Parameters
    ----------
    frame : DataFrame
        :attr:`ecoval_core.runs.run.Run.frame`, in any unit.
    by : {"label", "cluster"}
        What is summed over; a continuous target falls into five groups of about the same size.
    limit : int, default=40
        Bars at most, those of the lowest totals.
    theme : {"light", "dark"}
    unit : str, default=""
    selected : iterable of int, default=()
        Row ids selected; bars without one of them are fainter then.

    Returns
    -------
    Figure
        Two bar traces, stacked, and a mark at their sum; `customdata` names the class or cluster, `ids` are
        keys for :func:`ecoval_core.charts.selection.rows_behind`.
    """
    palette = palette_of(theme)
    frame = frame.dropna(subset=["value"])
    keys = label_groups(frame["label"]) if by == "label" else frame[by]
    frame = frame.assign(is_selected=frame.index.isin(list(selected)))
    totals = frame.groupby(keys, observed=True).agg(
        n_selected=("is_selected", "sum"), intrinsic=("intrinsic", "sum"), extrinsic=("extrinsic", "sum"),
        value=("value", "sum"), n_rows=("value", "size"), label=("label", "first"),
    )  # fmt: skip
    is_amount = is_continuous(frame["label"])
    title = f"Total value by {'target' if by == 'label' and is_amount else by}"
    if totals.empty:
        return message_figure(palette, title, "No row has a value.")
    shown = totals.sort_values("value", kind="stable").iloc[:limit]
    if by == "label":
        names = short_names(shown.index.tolist(), 20)
    elif is_amount:
        names = [f"cluster {key}" for key in shown.index]
    else:
        names = [f"{key} · {safe(label, 14)}" for key, label in shown["label"].items()]
    is_cut = len(shown) < len(totals)
    title += f": the lowest {len(shown)} of {len(totals):,}" if is_cut else ", lowest first"
    figure = base_figure(
        palette, height=168 + ROW_HEIGHT * len(shown), title=title, barmode="relative", bargap=0.25,
        hovermode="y unified",
    )  # fmt: skip
    customdata = [str(key) for key in shown.index]
    ids = [bar_key(by, key) for key in shown.index]
    # Clusters are drawn worst first: the selection may lie in others alone.
    has_any = shown["n_selected"] > 0 if frame["is_selected"].any() else shown["n_rows"] > 0
    opacity = np.where(has_any, 1.0, FAINT)
    for part, color in (("intrinsic", INTRINSIC_COLOR), ("extrinsic", EXTRINSIC_COLOR)):
        add_bars(
            figure, shown[part], color, name=part, customdata=customdata, ids=ids,
            marker_opacity=opacity, textposition="none",
            text=[number(amount, signed=True) for amount in shown[part]],
            hovertemplate=f"{part} %{{text}}<extra></extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=shown["value"].to_numpy(np.float32), y=rows_at(shown), mode="markers", name="value (sum)",
        marker={"symbol": "diamond", "size": 8, "color": palette.text, "opacity": opacity},
        customdata=customdata, ids=ids,
        text=[
            f"value {number(total, signed=True)}, {count_of(n, 'row')}"
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
    return legend_above(figure).update_layout(hoverlabel_namelength=-1)
