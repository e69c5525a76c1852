"""The distribution of values: a histogram of all rows, and a box for each class."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from ecoval_core.charts.behind import key_of, value_bins
from ecoval_core.charts.data import ROW_HEIGHT, row_axis
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
from ecoval_core.charts.text import counted, number, short_names, with_unit
from ecoval_core.charts.values import FAINT, INTRINSIC_COLOR, MAX_GROUPS_DRAWN


def value_distribution(
    frame: pd.DataFrame, *, theme: ThemeName, unit: str = "", selected: Iterable[int] = ()
) -> go.Figure:
    """Draw the distribution of values: a histogram of all rows, below it a box for each class.

    Parameters
    ----------
    frame : DataFrame
        :attr:`ecoval_core.workspace.runs.Run.frame`, in any unit.
    theme : {"light", "dark"}
        Palette of the page.
    unit : str, default=""
        Unit of the values, in words.
    selected : iterable of int, default=()
        Row ids selected: their part of each bar is drawn in a stronger tone, the rest fainter.

    Returns
    -------
    Figure
        Bars and medians have `ids`, keys for :func:`ecoval_core.charts.behind.rows_behind`; a bar is clicked
        anywhere in its column. Boxes go from the first to the third quartile, whiskers from the 5th to the
        95th percentile; the class of the lowest median comes first, and at most 30 are drawn; groups of a
        continuous target keep their order. The axis ends at the 0.5th and 99.5th percentile; what lies
        beyond counts in the last bars.
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
        bargap=0, barmode="overlay", hovermode="closest",
    )  # fmt: skip
    _add_histogram(figure, frame["value"], palette)
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
        ids=[key_of("label", name) for name in shown.index],
        text=[
            f"{counted(n, 'row')}, {below:.1%} below zero<br>median {number(median, signed=True)}"
            for n, below, median in zip(
                shown["n_rows"], shown["below"], shown["median"], strict=True
            )
        ],
        hovertemplate="<b>%{customdata}</b><br>%{text}<extra></extra>",
    )  # fmt: skip
    _add_selected(figure, frame["value"], frame.index.isin(list(selected)), palette)
    split = box_height / (box_height + 130)
    row_axis(figure, names)
    figure.update_layout(
        yaxis_domain=[0, split - 0.03],
        yaxis2=axis_style(palette) | {"domain": [split, 1], "rangemode": "tozero", "nticks": 4},
    )
    figure.update_layout(yaxis2_title_text="rows")
    figure.update_xaxes(title_text=with_unit("value", unit), zeroline=False)
    return figure.add_vline(x=0, line={"color": palette.text, "width": 1})


def _add_histogram(figure: go.Figure, values: pd.Series, palette: Palette) -> None:
    edges, bins = value_bins(values.to_numpy(float))
    counts = np.bincount(bins, minlength=len(edges) - 1)
    names = [
        f"{number(left, signed=True)} to {number(right, signed=True)}"
        for left, right in pairwise(edges)
    ]
    names[0] = f"below {number(edges[1], signed=True)}"
    names[-1] = f"{number(edges[-2], signed=True)} or more"
    middle = (edges[:-1] + edges[1:]) / 2
    figure.add_bar(
        x=middle.astype(np.float32), y=counts.astype(np.int32), width=0.92 * (edges[1] - edges[0]),
        name="all rows", yaxis="y2",
        marker={
            "color": [palette.harm_soft if x < 0 else palette.gain_soft for x in middle],
            "line": {"width": 0},
        },
        customdata=names, ids=[key_of("bin", position) for position in range(len(names))],
        hoverinfo="skip",
    )  # fmt: skip
    figure.update_xaxes(range=[2 * edges[0] - edges[1], 2 * edges[-1] - edges[-2]])


def _add_selected(
    figure: go.Figure, values: pd.Series, is_selected: NDArray, palette: Palette
) -> None:
    bars = figure.data[0]
    bins = value_bins(values.to_numpy(float))[1]
    counts = np.bincount(bins[is_selected], minlength=len(bars.y))
    told = [
        f"{name}: {n:,} rows" + (f", {k:,} selected" if k else "")
        for name, n, k in zip(bars.customdata, bars.y, counts, strict=True)
    ]
    if is_selected.any():
        bars.update(marker_opacity=FAINT)
        figure.add_bar(
            x=bars.x, y=counts.astype(np.int32), width=bars.width, name="selected rows", yaxis="y2",
            marker={
                "color": [palette.harm if x < 0 else palette.gain for x in bars.x],
                # One row of hundreds would be less than a pixel.
                "line": {"width": np.where(counts > 0, 1, 0), "color": palette.text},
            },
            ids=bars.ids, hoverinfo="skip",
        )  # fmt: skip
    # A low bar is hard to hit: its whole column takes the click, and tells how many rows there are.
    top = np.full(len(bars.y), max(bars.y), dtype=np.int32)
    figure.add_bar(
        x=bars.x, y=top, width=bars.width / 0.92, name="columns", yaxis="y2", opacity=0,
        ids=bars.ids, text=told, textposition="none", hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
