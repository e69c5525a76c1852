"""Charts of test scores while rows are removed or added, beside random orders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ecoval_core.charts.style import (
    CATEGORIES,
    Palette,
    ThemeName,
    base_figure,
    message_figure,
    palette_of,
    safe,
    translucent,
)
from ecoval_core.text import count_of

CONTROL_COLOR = "#b59a2b"
# Scores that differ by less are drawn flat: ticks of one score that differ in the fifth digit tell nothing.
LEAST_SPAN = 0.02
STRATEGY_NAMES = {
    "lowest": "lowest value first",
    "highest": "highest value first",
    "random": "random rows",
    "random_clusters": "random clusters",
}


@dataclass(frozen=True)
class Mark:
    """Where a set of rows stands on a curve, "lowest" or "highest": at the share of rows that it has."""

    name: str
    strategy: str
    share: float
    n_rows: int
    # How many of them are gone where that share is removed by value.
    n_removed: int


def key_of(strategy: str, share: float) -> str:
    """Return the key of a point of a curve, which the browser reports when it is clicked."""
    return f"{strategy}:{share:.6f}"


def point_of(key: str) -> tuple[str, float] | None:
    """Return strategy and share of a point from its key; None where it is no point of an ordered curve."""
    found = re.fullmatch(r"(lowest|highest):([01]\.\d{6})", key, re.ASCII)
    if found is None or float(found[2]) > 1:
        return None
    return found[1], float(found[2])


def peak_of(summary: pd.DataFrame) -> pd.Series:
    """Find where removing the lowest values first scores best: the first maximum, where there are more.

    Parameters
    ----------
    summary : DataFrame
        As for :func:`removal_chart`, with the strategy "lowest" and a score of it.

    Returns
    -------
    Series
        The row of `summary`.
    """
    curve = _measured(summary[summary["strategy"] == "lowest"])
    return curve.iloc[int(curve["mean"].argmax())]


def removal_chart(
    summary: pd.DataFrame, baseline: float, metric: str, *, theme: ThemeName, title: str = "",
    marks: Sequence[Mark] = (),
) -> go.Figure:  # fmt: skip
    """Draw the test score against the share of rows removed.

    Parameters
    ----------
    summary : DataFrame
        From :func:`ecoval_core.evaluation.curves.summarise_curves`, some strategies of it or all:
        columns strategy, share, n_removed, mean, low, high. Where a score is missing the line ends.
    baseline : float
        Score with all rows.
    metric : str
        Name of the score.
    theme : {"light", "dark"}
    title : str, default=""
        The question that the chart answers.
    marks : sequence of Mark, default=()
        Sets of rows; those on a curve that is drawn, at a share that was measured, are marked.

    Returns
    -------
    Figure
        Mean and 10-90 % band of the random strategies, a line for each ordered one, and a star at
        :func:`peak_of`. What stands on an ordered curve has `ids`, see :func:`key_of`.
    """
    palette = palette_of(theme)
    styles: dict[str, dict[str, Any]] = {
        "random_clusters": {"color": CONTROL_COLOR, "dash": "5px,3px", "width": 1.8},
        "random": {"color": palette.muted, "width": 1.8},
        "highest": {"color": palette.gain, "width": 2.6},
        "lowest": {"color": palette.harm, "width": 2.6},
    }
    measured = _measured(summary)
    if measured.empty:
        return message_figure(palette, safe(title, 80), "No score could be measured.")
    figure = _score_figure(palette, 420, title, metric, baseline, measured, "removed")
    for strategy, line in styles.items():
        curve = measured[measured["strategy"] == strategy]
        name = STRATEGY_NAMES[strategy]
        if curve.empty:
            continue
        if strategy.startswith("random"):
            _add_random(figure, curve, strategy, line, 0.18, 6)
            continue
        ids = [key_of(strategy, share) for share in curve["share"]]
        texts = [f"{mean:.3f}" for mean in curve["mean"]]
        _add_line(figure, curve, strategy, name, line, 6, texts, ids=ids)
        if strategy == "lowest":
            _mark_peak(figure, curve, palette, line["color"])
        for position, mark in enumerate(mark for mark in marks if mark.strategy == strategy):
            _mark_rows(figure, curve, mark, palette, position)
    return figure


def orders_chart(
    summary: pd.DataFrame, baseline: float, metric: str, *, names: dict[str, str], theme: ThemeName,
    by: str = "strategy", title: str = "",
) -> go.Figure:  # fmt: skip
    """Draw the test score while rows are removed or added in several orders, beside random ones.

    Parameters
    ----------
    summary : DataFrame
        From :func:`ecoval_core.evaluation.curves.summarise_curves`, of one measure: columns strategy, share,
        n_removed or n_added, mean, low, high, and the one that `by` names.
    names : dict of str to str
        What each order is called, in the order of the colours; orders that it does not name are left out.
    by : str, default="strategy"
        Column that tells the orders apart; random ones have the strategy "random".
    baseline, metric, theme, title
        As for :func:`removal_chart`.

    Returns
    -------
    Figure
        A line an order, the first of them thicker; mean and 10-90 % band of the random orders.
    """
    palette, summary = palette_of(theme), _measured(summary)
    curves = {key: summary[summary[by] == key] for key in names}
    if all(curve.empty for curve in curves.values()):
        return message_figure(palette, safe(title, 80), "No score could be measured.")
    chance = summary[summary["strategy"] == "random"]
    drawn = pd.concat([chance, *curves.values()])
    change = "removed" if "n_removed" in summary else "added"
    figure = _score_figure(palette, 440, title, metric, baseline, drawn, change)
    if len(chance):
        _add_random(figure, chance, "random", {"color": palette.muted, "width": 1.8}, 0.2, 5)
    for i, (key, name) in reversed(list(enumerate(names.items()))):
        curve = curves[key]
        line = {"color": CATEGORIES[i % len(CATEGORIES)], "width": 2 if i else 3.4}
        texts = [
            f"{mean:.3f}, {count_of(int(n), 'row')} {change}"
            for mean, n in zip(curve["mean"], curve[f"n_{change}"], strict=True)
        ]
        if texts:
            _add_line(figure, curve, key, safe(name, 32), line, 5, texts)
    return figure


def _measured(summary: pd.DataFrame) -> pd.DataFrame:
    return summary.dropna(subset=["mean"]).sort_values("share")


def _score_figure(
    palette: Palette, height: int, title: str, metric: str, baseline: float, drawn: pd.DataFrame,
    change: str,
) -> go.Figure:  # fmt: skip
    """Make a figure of shares of rows across and scores up, with a line where no row is changed."""
    figure = base_figure(palette, height=height, title=safe(title, 80), hovermode="x unified")
    end = float(drawn["share"].max()) or 1.0
    figure.add_scatter(
        x=[0, end], y=[baseline, baseline], mode="lines", hoverinfo="skip",
        name=f"no row {change}: {baseline:.3f}",
        line={"color": palette.muted, "width": 1.2, "dash": "2px,3px"},
    )  # fmt: skip
    whose = "training" if change == "removed" else "new"
    figure.update_xaxes(
        title_text=f"share of the {whose} rows {change}", tickformat=".0%", hoverformat=".0%",
        range=[-0.02 * end, 1.02 * end], zeroline=False, showspikes=False,
    )  # fmt: skip
    figure.update_yaxes(title_text=f"test {safe(metric)}", range=_steady_range(baseline, drawn))
    return figure.update_layout(
        legend={"y": -0.17, "traceorder": "reversed", "itemsizing": "trace"}
    )


def _steady_range(baseline: float, drawn: pd.DataFrame) -> list[float] | None:
    """Return the range of an axis on which what hardly moves is flat; None where scores fill their own."""
    scores = [baseline, *drawn[["mean", "low", "high"]].to_numpy(float).ravel()]
    low, high = float(np.nanmin(scores)), float(np.nanmax(scores))
    least = LEAST_SPAN * (max(abs(low), abs(high)) or 1.0)
    if high - low >= least:
        return None
    middle = (low + high) / 2
    return [middle - 0.6 * least, middle + 0.6 * least]


def _add_random(
    figure: go.Figure, curve: pd.DataFrame, strategy: str, line: dict[str, Any], opacity: float,
    size: int,
) -> None:  # fmt: skip
    share, name = curve["share"].to_numpy(np.float32), STRATEGY_NAMES[strategy]
    outline = np.concatenate([curve["high"], curve["low"][::-1]]).astype(np.float32)
    figure.add_scatter(
        x=np.concatenate([share, share[::-1]]), y=outline, fill="toself", mode="none",
        fillcolor=translucent(line["color"], opacity), hoverinfo="skip", showlegend=False,
        legendgroup=strategy, name=f"{name}, 10-90 %",
    )  # fmt: skip
    rows = curve[["mean", "low", "high"]].itertuples(index=False)
    texts = [f"{mean:.3f} ({low:.3f} to {high:.3f})" for mean, low, high in rows]
    _add_line(figure, curve, strategy, name, line, size, texts, mode="lines")


def _add_line(
    figure: go.Figure, curve: pd.DataFrame, key: str, name: str, line: dict[str, Any], size: int,
    texts: list[str], *, mode: str = "lines+markers", ids: list[str] | None = None,
) -> None:  # fmt: skip
    figure.add_scatter(
        x=curve["share"].to_numpy(np.float32), y=curve["mean"].to_numpy(np.float32), mode=mode,
        line=line, marker={"size": size}, name=name, legendgroup=key, text=texts, ids=ids,
        hovertemplate=f"{name}: %{{text}}<extra></extra>",
    )  # fmt: skip


def _mark_peak(figure: go.Figure, curve: pd.DataFrame, palette: Palette, color: str) -> None:
    best = peak_of(curve)
    where = f"{best['share']:.0%} removed" if best["share"] else "no row removed"
    figure.add_scatter(
        x=[best["share"]], y=[best["mean"]], mode="markers", showlegend=False, hoverinfo="skip",
        marker={"symbol": "star", "size": 15, "color": color}, legendgroup=best["strategy"],
        name="peak", ids=[key_of(best["strategy"], best["share"])],
    )  # fmt: skip
    _annotate(
        figure, curve, best["share"], f"peak {best['mean']:.3f}, {where}", palette, y=best["mean"], yshift=18
    )  # fmt: skip


def _mark_rows(
    figure: go.Figure, curve: pd.DataFrame, mark: Mark, palette: Palette, position: int
) -> None:
    if mark.share > curve["share"].max():
        return
    score = float(np.interp(mark.share, curve["share"], curve["mean"]))
    figure.add_vline(
        x=mark.share, line={"color": palette.text, "width": 1, "dash": "2px,3px"}, layer="below"
    )
    words = f"{mark.name}, {count_of(mark.n_rows, 'row')}"
    figure.add_scatter(
        x=[mark.share], y=[score], mode="markers", showlegend=False, name=mark.name,
        marker={
            "symbol": ("diamond", "square")[position % 2], "size": 12, "color": palette.surface,
            "line": {"width": 2, "color": palette.text},
        },
        text=[
            f"{mark.name}: {count_of(mark.n_rows, 'row')}, {mark.n_removed:,} of them removed up to here"
        ],
        hovertemplate="%{text}<extra></extra>", ids=[key_of(mark.strategy, mark.share)],
    )  # fmt: skip
    # At the foot, where no curve begins; one above the other, as the two may stand side by side.
    _annotate(
        figure, curve, mark.share, words, palette, y=0, yref="paper", yanchor="bottom",
        yshift=4 + 18 * position,
    )  # fmt: skip


def _annotate(
    figure: go.Figure, curve: pd.DataFrame, share: float, text: str, palette: Palette, **place: Any
) -> None:
    figure.add_annotation(
        x=share, text=text, showarrow=False, font={"size": 12, "color": palette.text},
        xanchor="left" if share < curve["share"].max() / 2 else "right",
        bgcolor=translucent(palette.surface, 0.7), **place,
    )  # fmt: skip
