"""Chart of the point-removal curves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ecoval_core.charts.style import (
    Palette,
    ThemeName,
    base_figure,
    message_figure,
    palette_of,
    steady_range,
    translucent,
)
from ecoval_core.charts.text import shorten

CONTROL_COLOR = "#b59a2b"
STRATEGY_NAMES = {
    "lowest": "lowest value first",
    "highest": "highest value first",
    "random": "random rows",
    "random_clusters": "random clusters",
}


@dataclass(frozen=True)
class Mark:
    """Where a set of rows stands on a curve: at the share of rows that it has.

    Attributes
    ----------
    name : str
        What the rows are.
    strategy : {"lowest", "highest"}
        The curve that it stands on.
    share : float
        Part of the rows.
    n_rows, n_removed : int
        Rows in the set, and how many of them are gone where that share is removed by value.
    """

    name: str
    strategy: str
    share: float
    n_rows: int
    n_removed: int


def key_of(strategy: str, share: float) -> str:
    """Key of a point of a curve, which the browser reports when it is clicked."""
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
    curve = summary[summary["strategy"] == "lowest"].dropna(subset=["mean"]).sort_values("share")
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
        Palette of the page.
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
    known = summary.dropna(subset=["mean"])
    if known.empty:
        return message_figure(palette, shorten(title, 80), "No score could be measured.")
    figure = base_figure(palette, height=420, title=shorten(title, 80), hovermode="x unified")
    end = float(known["share"].max()) or 1.0
    figure.add_scatter(
        x=[0, end], y=[baseline, baseline], mode="lines", hoverinfo="skip",
        name=f"no row removed: {baseline:.3f}",
        line={"color": palette.muted, "width": 1.2, "dash": "2px,3px"},
    )  # fmt: skip
    for strategy, line in styles.items():
        curve = known[known["strategy"] == strategy].sort_values("share")
        if not curve.empty:
            if strategy.startswith("random"):
                _add_band(figure, curve, strategy, line["color"])
            _add_curve(figure, curve, strategy, line)
            if strategy == "lowest":
                _mark_peak(figure, curve, palette, line["color"])
            for number, mark in enumerate(mark for mark in marks if mark.strategy == strategy):
                _mark_rows(figure, curve, mark, palette, number)
    figure.update_xaxes(
        title_text="share of the training rows removed", tickformat=".0%", hoverformat=".0%",
        range=[-0.02 * end, 1.02 * end], zeroline=False,
        showspikes=False,
    )  # fmt: skip
    around = steady_range([baseline], *(known[name] for name in ("mean", "low", "high")))
    figure.update_yaxes(title_text=f"test {shorten(metric)}", range=around)
    return figure.update_layout(
        legend={"y": -0.17, "traceorder": "reversed", "itemsizing": "trace"}
    )


def _add_band(figure: go.Figure, curve: pd.DataFrame, strategy: str, color: str) -> None:
    share = curve["share"].to_numpy(np.float32)
    outline = np.concatenate([curve["high"], curve["low"][::-1]]).astype(np.float32)
    figure.add_scatter(
        x=np.concatenate([share, share[::-1]]), y=outline, fill="toself", mode="none",
        fillcolor=translucent(color, 0.18), hoverinfo="skip", showlegend=False,
        legendgroup=strategy, name=f"{STRATEGY_NAMES[strategy]}, 10-90 %",
    )  # fmt: skip


def _add_curve(figure: go.Figure, curve: pd.DataFrame, strategy: str, line: dict[str, Any]) -> None:
    is_random = strategy.startswith("random")
    figure.add_scatter(
        x=curve["share"].to_numpy(np.float32), y=curve["mean"].to_numpy(np.float32),
        mode="lines" if is_random else "lines+markers", line=line, marker={"size": 6},
        name=STRATEGY_NAMES[strategy], legendgroup=strategy,
        text=[
            f"{row.mean:.3f} ({row.low:.3f} to {row.high:.3f})" if is_random else f"{row.mean:.3f}"
            for row in curve[["mean", "low", "high"]].itertuples(index=False)
        ],
        hovertemplate=f"{STRATEGY_NAMES[strategy]}: %{{text}}<extra></extra>",
        ids=None if is_random else [key_of(strategy, share) for share in curve["share"]],
    )  # fmt: skip


def _mark_peak(figure: go.Figure, curve: pd.DataFrame, palette: Palette, color: str) -> None:
    best = peak_of(curve)
    where = f"{best['share']:.0%} removed" if best["share"] else "no row removed"
    figure.add_scatter(
        x=[best["share"]], y=[best["mean"]], mode="markers", showlegend=False, hoverinfo="skip",
        marker={"symbol": "star", "size": 15, "color": color}, legendgroup=best["strategy"],
        name="peak", ids=[key_of(best["strategy"], best["share"])],
    )  # fmt: skip
    figure.add_annotation(
        x=best["share"], y=best["mean"], text=f"peak {best['mean']:.3f}, {where}", showarrow=False,
        xanchor="left" if best["share"] < curve["share"].max() / 2 else "right", yshift=18,
        font={"size": 12, "color": palette.text}, bgcolor=translucent(palette.surface, 0.7),
    )  # fmt: skip


def _mark_rows(
    figure: go.Figure, curve: pd.DataFrame, mark: Mark, palette: Palette, number: int
) -> None:
    if not mark.n_rows or mark.share > curve["share"].max():
        return
    score = float(np.interp(mark.share, curve["share"], curve["mean"]))
    figure.add_vline(
        x=mark.share, line={"color": palette.text, "width": 1, "dash": "2px,3px"}, layer="below"
    )
    figure.add_scatter(
        x=[mark.share], y=[score], mode="markers", showlegend=False, name=mark.name,
        marker={
            "symbol": ("diamond", "square")[number % 2], "size": 12, "color": palette.surface,
            "line": {"width": 2, "color": palette.text},
        },
        text=[f"{mark.name}: {mark.n_rows:,} rows, {mark.n_removed:,} of them removed up to here"],
        hovertemplate="%{text}<extra></extra>", ids=[key_of(mark.strategy, mark.share)],
    )  # fmt: skip
    # At the foot, where no curve begins; one above the other, as the two may stand side by side.
    figure.add_annotation(
        x=mark.share, y=0, yref="paper", yanchor="bottom", yshift=4 + 18 * number,
        text=f"{mark.name}, {mark.n_rows:,} rows", showarrow=False,
        xanchor="left" if mark.share < curve["share"].max() / 2 else "right",
        font={"size": 12, "color": palette.text}, bgcolor=translucent(palette.surface, 0.7),
    )  # fmt: skip
