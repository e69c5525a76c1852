"""Charts of test scores: removal curves of several methods, rows of a new file added, before and after."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ecoval_core.charts.data import row_axis
from ecoval_core.charts.style import (
    CATEGORIES,
    Palette,
    ThemeName,
    base_figure,
    message_figure,
    palette_of,
    steady_range,
    translucent,
)
from ecoval_core.charts.text import aligned, counted, number, short_names, shorten


def methods_chart(
    summary: pd.DataFrame,
    baseline: float,
    metric: str,
    *,
    strategy: Literal["lowest", "highest"],
    names: dict[str, str],
    theme: ThemeName,
    title: str = "",
) -> go.Figure:
    """Draw the removal curves of several methods over each other, and the band of random orders.

    Parameters
    ----------
    summary : DataFrame
        From :func:`ecoval_core.evaluation.curves.summarise_curves` of
        :func:`ecoval_core.evaluation.curves.method_curves`, of one measure: columns method, strategy,
        share, n_removed, mean, low, high.
    baseline : float
        Score with all rows.
    metric : str
        Name of the score.
    strategy : {"lowest", "highest"}
        Which values are removed first.
    names : dict of str to str
        What each method is called, in the order of the colours; methods that it does not name are left
        out.
    theme : {"light", "dark"}
        Palette of the page.
    title : str, default=""
        The question that the chart answers.

    Returns
    -------
    Figure
        A line a method, the first of them thicker; mean and 10-90 % band of the random orders.
    """
    curves = {
        key: summary[(summary["method"] == key) & (summary["strategy"] == strategy)]
        for key in names
    }
    chance = summary[summary["strategy"] == "random"]
    return _curves_chart(
        curves, chance, names, palette_of(theme), title=title, metric=metric,
        count="n_removed", start=(baseline, "no row removed"), axis="share of the training rows removed",
        verb="removed",
    )  # fmt: skip


def acquisition_chart(
    summary: pd.DataFrame,
    baseline: float,
    metric: str,
    *,
    names: dict[str, str],
    theme: ThemeName,
    title: str = "",
) -> go.Figure:
    """Draw the test score while rows of a new file are added in several orders.

    Parameters
    ----------
    summary : DataFrame
        From :func:`ecoval_core.evaluation.curves.summarise_curves` of
        :func:`ecoval_core.evaluation.new_rows.acquisition_curves`, of one measure: columns strategy,
        share, n_added, mean, low, high.
    baseline : float
        Score without the new rows.
    metric : str
        Name of the score.
    names : dict of str to str
        What each order is called, the first the one that is recommended.
    theme : {"light", "dark"}
        Palette of the page.
    title : str, default=""
        The question that the chart answers.

    Returns
    -------
    Figure
        A line an order, the first of them thicker; mean and 10-90 % band of the random orders.
    """
    curves = {key: summary[summary["strategy"] == key] for key in names}
    chance = summary[summary["strategy"] == "random"]
    return _curves_chart(
        curves, chance, names, palette_of(theme), title=title, metric=metric,
        count="n_added", start=(baseline, "no row added"), axis="share of the new rows added",
        verb="added",
    )  # fmt: skip


def _curves_chart(
    curves: dict[str, pd.DataFrame], chance: pd.DataFrame, names: dict[str, str], palette: Palette,
    *, title: str, metric: str, count: str, start: tuple[float, str], axis: str, verb: str,
) -> go.Figure:  # fmt: skip
    curves = {
        key: curve.dropna(subset=["mean"]).sort_values("share") for key, curve in curves.items()
    }
    chance = chance.dropna(subset=["mean"]).sort_values("share")
    title = shorten(title, 80)
    if all(curve.empty for curve in curves.values()):
        return message_figure(palette, title, "No score could be measured.")
    figure = base_figure(palette, height=440, title=title, hovermode="x unified")
    end = (
        float(max(curve["share"].max() for curve in [*curves.values(), chance] if len(curve)))
        or 1.0
    )
    figure.add_scatter(
        x=[0, end], y=[start[0], start[0]], mode="lines", hoverinfo="skip",
        name=f"{start[1]}: {start[0]:.3f}",
        line={"color": palette.muted, "width": 1.2, "dash": "2px,3px"},
    )  # fmt: skip
    if len(chance):
        share = chance["share"].to_numpy(np.float32)
        outline = np.concatenate([chance["high"], chance["low"][::-1]]).astype(np.float32)
        figure.add_scatter(
            x=np.concatenate([share, share[::-1]]), y=outline, fill="toself", mode="none",
            fillcolor=translucent(palette.muted, 0.2), hoverinfo="skip", showlegend=False,
            legendgroup="random", name="random rows, 10-90 %",
        )  # fmt: skip
        line = {"color": palette.muted, "width": 1.8}
        _add_line(figure, chance, "random rows", "random", line, count, verb)
    for i, (key, curve) in reversed(list(enumerate(curves.items()))):
        if len(curve):
            color = CATEGORIES[i % len(CATEGORIES)]
            line = {"color": color, "width": 3.4 if i == 0 else 2}
            _add_line(figure, curve, shorten(names[key], 32), key, line, count, verb)
    figure.update_xaxes(
        title_text=axis, tickformat=".0%", hoverformat=".0%", range=[-0.02 * end, 1.02 * end],
        zeroline=False, showspikes=False,
    )  # fmt: skip
    drawn = [curve["mean"] for curve in curves.values()]
    around = steady_range([start[0]], *drawn, *(chance[name] for name in ("mean", "low", "high")))
    figure.update_yaxes(title_text=f"test {shorten(metric)}", range=around)
    return figure.update_layout(
        legend={"y": -0.17, "traceorder": "reversed", "itemsizing": "trace"}
    )


def _add_line(
    figure: go.Figure, curve: pd.DataFrame, name: str, key: str, line: dict[str, Any], count: str,
    verb: str,
) -> None:  # fmt: skip
    is_random = key == "random"
    texts = [
        f"{row.mean:.3f} ({row.low:.3f} to {row.high:.3f})" if is_random
        else f"{row.mean:.3f}, {counted(int(n), 'row')} {verb}"
        for row, n in zip(
            curve[["mean", "low", "high"]].itertuples(index=False), curve[count], strict=True
        )
    ]  # fmt: skip
    figure.add_scatter(
        x=curve["share"].to_numpy(np.float32), y=curve["mean"].to_numpy(np.float32), name=name,
        mode="lines" if is_random else "lines+markers", line=line, marker={"size": 5}, text=texts,
        legendgroup=key, hovertemplate=f"{name}: %{{text}}<extra></extra>",
    )  # fmt: skip


def before_after(changes: pd.DataFrame, *, theme: ThemeName, title: str = "") -> go.Figure:
    """Draw every measure before and after a change, the sure gains and losses in colour.

    Parameters
    ----------
    changes : DataFrame
        Columns measure (its name for people), before, after, low, high (an interval of the difference); a
        row a measure, drawn from the top.
    theme : {"light", "dark"}
        Palette of the page.
    title : str, default=""
        What was changed.

    Returns
    -------
    Figure
        An open circle before, a full one after, and between them a line: blue for a gain whose interval
        excludes 0, orange for such a loss, grey otherwise. The difference is written beside it.
    """
    palette = palette_of(theme)
    title = shorten(title, 80)
    known = changes.dropna(subset=["before", "after"])
    if known.empty:
        return message_figure(palette, title, "No score could be measured.")
    figure = base_figure(palette, height=110 + 30 * len(known), title=title, hovermode="closest")
    positions = np.arange(len(known), dtype=np.int16)
    before, after = (known[name].to_numpy(np.float32) for name in ("before", "after"))
    colors = [
        palette.gain if low > 0 else palette.harm if high < 0 else palette.muted
        for low, high in zip(known["low"], known["high"], strict=True)
    ]
    for y, start, end, color in zip(positions, before, after, colors, strict=True):
        figure.add_scatter(
            x=[start, end], y=[y, y], mode="lines", hoverinfo="skip", showlegend=False,
            line={"color": color, "width": 3},
        )  # fmt: skip
    differences = aligned((known["after"] - known["before"]).tolist(), signed=True)
    names = short_names(known["measure"].tolist(), 30)
    texts = [
        f"{name}: {number(start)} before, {number(end)} after<br>"
        f"difference {difference} ({number(low, signed=True)} to {number(high, signed=True)})"
        for name, start, end, difference, low, high in zip(
            names, before, after, differences, known["low"], known["high"], strict=True
        )
    ]
    for name, x, fill in (("before", before, palette.surface), ("after", after, colors)):
        figure.add_scatter(
            x=x, y=positions, mode="markers", name=name, customdata=texts,
            hovertemplate="%{customdata}<extra></extra>",
            marker={"size": 11, "color": fill, "line": {"width": 2, "color": colors}},
        )  # fmt: skip
    for y, x, difference, color in zip(
        positions, np.maximum(before, after), differences, colors, strict=True
    ):
        figure.add_annotation(
            x=x, y=y, text=difference, showarrow=False, xanchor="left", xshift=12,
            font={"size": 12, "color": color if color != palette.muted else palette.text},
        )  # fmt: skip
    low, high = float(min(before.min(), after.min())), float(max(before.max(), after.max()))
    pad = 0.08 * (high - low) or 0.02
    figure.update_xaxes(range=[low - pad, high + 5 * pad], zeroline=False)
    row_axis(figure, names)
    return figure.update_layout(legend={"y": -0.14})
