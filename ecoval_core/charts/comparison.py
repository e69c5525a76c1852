"""Charts of two states beside each other: two valuations, and test scores before and after a change."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from ecoval_core.charts.points import MAX_POINTS, bare_trace, count_shown, lowest_and_sample
from ecoval_core.charts.style import (
    CATEGORIES,
    MAX_GROUPS_DRAWN,
    ROW_HEIGHT,
    ThemeName,
    add_bars,
    base_figure,
    dotted,
    legend_above,
    message_figure,
    palette_of,
    row_axis,
    rows_at,
    short_names,
)
from ecoval_core.text import count_of, number


def agreement_scatter(
    rows: pd.DataFrame, *, names: tuple[str, str], theme: ThemeName,
    by: Literal["ranks", "values"] = "ranks", selected: ArrayLike = (),
) -> go.Figure:  # fmt: skip
    """Draw every row by what two valuations say of it, coloured by the difference of its ranks.

    Parameters
    ----------
    rows : DataFrame
        :attr:`ecoval_core.evaluation.comparison.Comparison.rows`: columns value_a, value_b, rank_a, rank_b,
        difference, indexed by row id.
    names : tuple of two str
        What the two valuations are called.
    theme : {"light", "dark"}
    by : {"ranks", "values"}, default="ranks"
        What the axes show: ranks in percent, or values in the units of each.
    selected : array-like of int, default=()
        Row ids that get a ring.

    Returns
    -------
    Figure
        At most 20,000 points whose `customdata` is the row id, those with the largest differences among
        them. Ranks have a line where both agree.
    """
    palette, is_rank = palette_of(theme), by == "ranks"
    title = "Rank by rank" if is_rank else "Value by value"
    if rows.empty:
        return message_figure(palette, title, "No row is valued by both.")
    points = rows.iloc[lowest_and_sample(-rows["difference"].abs().to_numpy(), MAX_POINTS)[::-1]]
    short = short_names(names, 28)
    words = "Each in its own unit: only the order can be compared."
    if is_rank:
        words = "On the line both agree; far from it, the two methods disagree."
    figure = base_figure(
        palette, height=520, title=title + count_shown(rows, points.index.to_numpy()),
        subtitle=f"{words}<br>Blue: higher in {short[1]}. Orange: lower.",
        dragmode="lasso", hovermode="closest", legend={"y": -0.14},
    )  # fmt: skip
    axis: dict[str, Any] = {"zeroline": True}
    what = "value"
    if is_rank:
        what, axis = "rank, % (0 is lowest)", {"zeroline": False, "range": [-2, 102]}
        line = dotted(palette)
        figure.add_shape(type="line", x0=0, y0=0, x1=100, y1=100, line=line, layer="below")
    limit = max(1.0, float(points["difference"].abs().max()))
    texts = [
        f"{short[0]}: rank {rank_a:.0f} %, value {number(a, signed=True)}<br>"
        f"{short[1]}: rank {rank_b:.0f} %, value {number(b, signed=True)}"
        for rank_a, a, rank_b, b in points[["rank_a", "value_a", "rank_b", "value_b"]].to_numpy()
    ]
    columns = [f"{by.removesuffix('s')}_{one}" for one in "ab"]
    marker = {
        "opacity": 0.75, "color": points["difference"].to_numpy(np.float32),
        "colorscale": palette.diverging, "cmin": -limit, "cmax": limit, "showscale": False,
    }  # fmt: skip
    trace = bare_trace(
        points.index, points[columns].to_numpy(), marker, texts, showlegend=False,
        hovertemplate="<b>row %{customdata}</b><br>%{text}<extra></extra>",
    )  # fmt: skip
    figure.add_trace(trace)
    x, y = rows.loc[rows.index.isin(np.asarray(selected)), columns].to_numpy(np.float32).T
    if len(x):
        figure.add_scattergl(
            x=x, y=y, hoverinfo="skip", mode="markers", showlegend=False, name="selected",
            marker={"symbol": "circle-open", "size": 13, "line": {"width": 2}, "color": palette.text},
        )  # fmt: skip
    figure.update_xaxes(title_text=f"{short[0]}: {what}", **axis)
    figure.update_yaxes(title_text=f"{short[1]}: {what}", **axis)
    return figure.update_traces(unselected={"marker": {"opacity": 0.25}})


def overlap_bars(overlaps: pd.DataFrame, *, theme: ThemeName) -> go.Figure:
    """Draw how many of the lowest rows of one valuation are among the lowest of the other.

    Parameters
    ----------
    overlaps : DataFrame
        :attr:`ecoval_core.evaluation.comparison.Comparison.overlaps`.
    theme : {"light", "dark"}

    Returns
    -------
    Figure
        A bar for each share, and a mark where two orders that know nothing of each other would be.
    """
    palette = palette_of(theme)
    title = "The lowest of both"
    shown = overlaps[overlaps["n_rows"] > 0]
    if shown.empty:
        return message_figure(palette, title, "Too few rows to compare the lowest of them.")
    figure = base_figure(
        palette, height=130 + 34 * len(shown), title=title,
        subtitle="Part of the lowest rows of one that the other has too.", bargap=0.35,
    )  # fmt: skip
    part = (shown["shared"] / shown["n_rows"]).to_numpy(np.float32)
    expected = (shown["expected_shared"] / shown["n_rows"]).to_numpy(np.float32)
    texts = [
        f"{shared:,.0f} of the lowest {count_of(n, 'row')} in both<br>"
        f"Jaccard index {jaccard:.2f}, by chance {by_chance:.2f}"
        for shared, n, jaccard, by_chance in zip(
            shown["shared"], shown["n_rows"], shown["jaccard"], shown["expected_jaccard"], strict=True
        )
    ]  # fmt: skip
    add_bars(
        figure, part, palette.gain_soft, name="in both", customdata=texts,
        text=[f"{share:.0%}" for share in part], textposition="outside", cliponaxis=False,
        textfont={"size": 12, "color": palette.text},
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=expected, y=rows_at(shown), mode="markers", name="by chance", hoverinfo="skip",
        marker={"symbol": "line-ns", "size": 18, "line": {"width": 2.5, "color": palette.text}},
    )  # fmt: skip
    row_axis(figure, [f"lowest {share:.3g} %" for share in 100 * shown["share"]])
    figure.update_xaxes(range=[0, 1.12], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    return figure.update_layout(legend={"y": -0.16})


def class_bars(
    summary: pd.DataFrame, *, names: tuple[str, str], share: float, theme: ThemeName
) -> go.Figure:
    """Draw which part of each class is among the lowest rows, by two valuations.

    Parameters
    ----------
    summary : DataFrame
        From :meth:`ecoval_core.evaluation.comparison.Comparison.by_class`.
    names : tuple of two str
        What the two valuations are called.
    share : float
        Part of all rows that counts as the lowest.
    theme : {"light", "dark"}

    Returns
    -------
    Figure
        Two bars a class and a line at `share`, where every class would be hit alike. At most 30 classes,
        those on which the two differ most.
    """
    palette = palette_of(theme)
    kind = summary["label"].dtype
    # As `label_groups` makes them.
    are_ranges = isinstance(kind, pd.CategoricalDtype) and kind.ordered
    one, many = ("range", "ranges") if are_ranges else ("class", "classes")
    title = f"Which {many} are among the lowest {share:.0%}"
    if summary.empty:
        return message_figure(palette, title, "No row is valued by both.")
    apart = (summary["lowest_a"] - summary["lowest_b"]).abs()
    kept = apart.sort_values(ascending=False, kind="stable").index[:MAX_GROUPS_DRAWN]
    shown = summary.loc[sorted(kept)]
    subtitle = f"On the line, every {one} is affected equally."
    if len(shown) < len(summary):
        subtitle += f" The {len(shown)} of {len(summary)} {many} on which they differ most."
    figure = base_figure(
        palette, height=158 + 2 * ROW_HEIGHT * len(shown), title=title, subtitle=subtitle,
        barmode="group", bargap=0.3, bargroupgap=0.08,
    )  # fmt: skip
    classes = short_names(shown["label"].tolist(), 20)
    short = short_names(names, 28)
    for key, name, color in zip("ab", short, CATEGORIES, strict=False):
        part = shown[f"lowest_{key}"].to_numpy(np.float32)
        texts = [
            f"{label}: {share:.1%} of {count_of(n, 'row')}"
            for label, share, n in zip(classes, part, shown["n_rows"], strict=True)
        ]
        add_bars(
            figure, part, color, name=name, customdata=texts,
            hovertemplate=f"{name}<br>%{{customdata}}<extra></extra>",
        )  # fmt: skip
    figure.add_vline(x=share, line={"color": palette.text, "width": 1.5, "dash": "dot"})
    row_axis(figure, classes)
    figure.update_xaxes(rangemode="tozero", tickformat=".0%")
    return legend_above(figure)
