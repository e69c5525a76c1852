"""Charts of a table before anything is valued: classes, missing values, the split."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ecoval_core.charts.style import (
    CATEGORIES,
    Palette,
    ThemeName,
    base_figure,
    is_continuous,
    message_figure,
    palette_of,
)
from ecoval_core.charts.text import counted, number, short_names

MAX_CLASSES_DRAWN = 30
MAX_COLUMNS_DRAWN = 20
N_BINS = 40
ROW_HEIGHT = 22


def row_axis(figure: go.Figure, names: list[str]) -> None:
    """Write names beside bars that lie at 0, 1, 2 ... from the top; equal names stay apart.

    Parameters
    ----------
    figure : Figure
        Its y axis is changed.
    names : list of str
        What the bars are called, ready to be shown.
    """
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.45, -0.55],
        showgrid=False, zeroline=False, ticks="", ticklabelstandoff=6, fixedrange=True, showspikes=False,
    )  # fmt: skip


def _counted_bars(
    palette: Palette,
    names: list[str],
    counts: list[int],
    shares: list[float],
    title: str,
    color: str | list[str],
) -> go.Figure:
    figure = base_figure(palette, height=70 + ROW_HEIGHT * max(3, len(names)), title=title)
    texts = [f"{n:,} ({share:.1%})" for n, share in zip(counts, shares, strict=True)]
    figure.add_bar(
        x=np.array(counts, dtype=np.int32), y=np.arange(len(names), dtype=np.int16),
        orientation="h", marker={"color": color, "line": {"width": 0}}, text=texts,
        textposition="outside", cliponaxis=False, customdata=names,
        textfont={"size": 12, "color": palette.text},
        hovertemplate="%{customdata}<br>%{text}<extra></extra>",
    )  # fmt: skip
    # The counts are written at the bars, which need room for it: more where names take much of the width.
    room = 1.45 + 0.03 * max(0, max(map(len, names)) - 8)
    figure.update_xaxes(visible=False, range=[0, room * max(counts)], fixedrange=True)
    row_axis(figure, names)
    return figure.update_layout(bargap=0.25, showlegend=False)


def class_counts(target: pd.Series, *, theme: ThemeName) -> go.Figure:
    """Draw the rows of each class, the largest first; of a continuous target, its histogram.

    Parameters
    ----------
    target : Series
        Labels, or amounts as floats, of the rows that have a target; its name is the column's.
    theme : {"light", "dark"}
        Palette of the page.

    Returns
    -------
    Figure
        At most 30 bars of classes; beyond that the last stands for all the smaller ones.
    """
    palette = palette_of(theme)
    if is_continuous(target):
        return _target_histogram(target.to_numpy(), str(target.name), palette)
    counts = target.value_counts()
    title = f"Rows by label · {counted(len(counts), 'class', 'classes')}"
    bar_colors = [CATEGORIES[0]] * len(counts)
    if len(counts) > MAX_CLASSES_DRAWN:
        shown, rest = counts.iloc[: MAX_CLASSES_DRAWN - 1], counts.iloc[MAX_CLASSES_DRAWN - 1 :]
        names = [*short_names(shown.index.tolist()), f"{len(rest):,} smaller classes"]
        numbers = [*shown.tolist(), int(rest.sum())]
        bar_colors = [*bar_colors[: len(shown)], palette.zero]
    else:
        names, numbers = short_names(counts.index.tolist()), counts.tolist()
    shares = [n / len(target) for n in numbers]
    return _counted_bars(palette, names, numbers, shares, title, bar_colors)


def _target_histogram(amounts: np.ndarray, name: str, palette: Palette) -> go.Figure:
    counts, edges = np.histogram(amounts, bins=N_BINS)
    middle, width = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    figure = base_figure(palette, height=260, title=f"Rows by {short_names([name])[0]}", bargap=0)
    figure.add_bar(
        x=middle.astype(np.float32), y=counts.astype(np.int32), width=(0.94 * width).tolist(),
        marker={"color": CATEGORIES[0], "line": {"width": 0}},
        customdata=[
            f"{number(low)} to {number(high)}"
            for low, high in pairwise(edges)
        ],
        hovertemplate="%{customdata}: %{y:,} rows<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(showgrid=False, title_text=short_names([name])[0])
    return figure.update_yaxes(title_text="rows", rangemode="tozero")


def missing_by_column(features: pd.DataFrame, *, theme: ThemeName) -> go.Figure:
    """Draw how many values each used column lacks, most first.

    Parameters
    ----------
    features : DataFrame of shape (n_rows, n_features)
        The columns that are used.
    theme : {"light", "dark"}
        Palette of the page.

    Returns
    -------
    Figure
        At most 20 columns, only such as lack values; a sentence if none does.
    """
    palette = palette_of(theme)
    missing = features.isna().sum()
    missing = missing[missing > 0].sort_values(ascending=False, kind="stable")
    n_columns = counted(features.shape[1], "used column")
    if missing.empty:
        return message_figure(palette, "Missing values", f"None in {n_columns}.")
    title = f"Missing values · {len(missing):,} of {n_columns}"
    if len(missing) > MAX_COLUMNS_DRAWN:
        title += f", the worst {MAX_COLUMNS_DRAWN} shown"
    shown = missing.iloc[:MAX_COLUMNS_DRAWN]
    shares = (shown / len(features)).tolist()
    names = short_names(shown.index.tolist())
    return _counted_bars(palette, names, shown.tolist(), shares, title, CATEGORIES[1])


def split_bar(parts: pd.Series, *, theme: ThemeName) -> go.Figure:
    """Draw the parts of the table as one stacked bar.

    Parameters
    ----------
    parts : Series of str
        Part of each row: "train", "validation", "test" or "no target".
    theme : {"light", "dark"}
        Palette of the page.

    Returns
    -------
    Figure
        One trace a part: training, validation, test and, where there are any, rows without a target.
        The legend has their sizes.
    """
    palette = palette_of(theme)
    shown = {
        "train": ("training", CATEGORIES[0]),
        "validation": ("validation", CATEGORIES[2]),
        "test": ("test", CATEGORIES[5]),
        "no target": ("no target", palette.zero),
    }
    sizes = parts.value_counts()
    n_rows = len(parts)
    figure = base_figure(palette, height=128, title="Split", barmode="stack", bargap=0.0)
    for part, (title, color) in shown.items():
        if n := int(sizes.get(part, 0)):
            figure.add_bar(
                x=[n], y=[0], orientation="h", name=f"{title}: {n:,} ({n / n_rows:.0%})",
                marker={"color": color, "line": {"width": 0}},
                hovertemplate=f"{title}: {counted(n, 'row')}, {n / n_rows:.1%}<extra></extra>",
            )  # fmt: skip
    figure.update_xaxes(visible=False, range=[0, n_rows], fixedrange=True)
    figure.update_yaxes(visible=False, fixedrange=True)
    # On a phone the legend takes two lines, which must not be taken from the bar.
    return figure.update_layout(
        showlegend=True,
        legend={
            "y": 0, "yref": "container", "yanchor": "bottom", "traceorder": "normal", "itemclick": False,
        },
        margin={"b": 48},
    )  # fmt: skip
