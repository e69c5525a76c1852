"""Charts of a table before anything is valued: classes, missing values, the split."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ecoval_core.charts.style import (
    CATEGORIES,
    MAX_GROUPS_DRAWN,
    ROW_HEIGHT,
    Palette,
    ThemeName,
    add_bars,
    base_figure,
    is_continuous,
    message_figure,
    palette_of,
    row_axis,
    safe,
    short_names,
)
from ecoval_core.text import count_of, number

MAX_COLUMNS_DRAWN = 20
N_BINS = 40


def class_counts(target: pd.Series, *, theme: ThemeName) -> go.Figure:
    """Draw the rows of each class, the largest first; of a continuous target, its histogram.

    Parameters
    ----------
    target : Series
        Labels, or amounts as floats, of the rows that have a target; its name is the column's.
    theme : {"light", "dark"}

    Returns
    -------
    Figure
        At most 30 bars of classes; beyond that the last stands for all the smaller ones.
    """
    palette = palette_of(theme)
    if is_continuous(target):
        return _target_histogram(target.to_numpy(), safe(target.name), palette)
    counts = target.value_counts()
    title = f"Rows by label · {count_of(len(counts), 'class', 'classes')}"
    n_own = len(counts) if len(counts) <= MAX_GROUPS_DRAWN else MAX_GROUPS_DRAWN - 1
    names, numbers = short_names(counts.index[:n_own].tolist()), counts.iloc[:n_own].tolist()
    colors = [CATEGORIES[0]] * n_own
    if n_own < len(counts):
        names.append(f"{len(counts) - n_own:,} smaller classes")
        numbers.append(int(counts.iloc[n_own:].sum()))
        colors.append(palette.zero)
    return _counted_bars(palette, names, numbers, len(target), title, colors)


def _counted_bars(
    palette: Palette, names: list[str], counts: list[int], n_rows: int, title: str, color: str | list[str]
) -> go.Figure:  # fmt: skip
    figure = base_figure(palette, height=70 + ROW_HEIGHT * max(3, len(names)), title=title)
    add_bars(
        figure, counts, color, text=[f"{n:,} ({n / n_rows:.1%})" for n in counts],
        textposition="outside", cliponaxis=False, customdata=names,
        textfont={"size": 12, "color": palette.text},
        hovertemplate="%{customdata}<br>%{text}<extra></extra>",
    )  # fmt: skip
    # The counts are written at the bars, which need room for it: more where names take much of the width.
    room = 1.45 + 0.03 * max(0, max(map(len, names)) - 8)
    figure.update_xaxes(visible=False, range=[0, room * max(counts)], fixedrange=True)
    row_axis(figure, names)
    return figure.update_layout(bargap=0.25, showlegend=False)


def _target_histogram(amounts: np.ndarray, name: str, palette: Palette) -> go.Figure:
    counts, edges = np.histogram(amounts, bins=N_BINS)
    middle, width = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    figure = base_figure(palette, height=260, title=f"Rows by {name}", bargap=0)
    figure.add_bar(
        x=middle.astype(np.float32), y=counts.astype(np.int32), width=(0.94 * width).tolist(),
        marker={"color": CATEGORIES[0], "line": {"width": 0}},
        customdata=[
            f"{number(low)} to {number(high)}: {count_of(n, 'row')}"
            for (low, high), n in zip(pairwise(edges), counts.tolist(), strict=True)
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(showgrid=False, title_text=name)
    return figure.update_yaxes(title_text="rows", rangemode="tozero")


def missing_by_column(features: pd.DataFrame, *, theme: ThemeName) -> go.Figure:
    """Draw how many values each used column lacks, most first.

    Parameters
    ----------
    features : DataFrame of shape (n_rows, n_features)
        The columns that are used.
    theme : {"light", "dark"}

    Returns
    -------
    Figure
        At most 20 columns, only such as lack values; a sentence if none does.
    """
    palette = palette_of(theme)
    missing = features.isna().sum()
    missing = missing[missing > 0].sort_values(ascending=False, kind="stable")
    n_columns = count_of(features.shape[1], "used column")
    if missing.empty:
        return message_figure(palette, "Missing values", f"None in {n_columns}.")
    title = f"Missing values · {len(missing):,} of {n_columns}"
    if len(missing) > MAX_COLUMNS_DRAWN:
        title += f", the worst {MAX_COLUMNS_DRAWN} shown"
    shown = missing.iloc[:MAX_COLUMNS_DRAWN]
    names = short_names(shown.index.tolist())
    return _counted_bars(palette, names, shown.tolist(), len(features), title, CATEGORIES[1])


def split_bar(parts: pd.Series, *, theme: ThemeName) -> go.Figure:
    """Draw the parts of the table as one stacked bar.

    Parameters
    ----------
    parts : Series of str
        Part of each row: "train", "validation", "test" or "no target".
    theme : {"light", "dark"}

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
                hovertemplate=f"{title}: {count_of(n, 'row')}, {n / n_rows:.1%}<extra></extra>",
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
