"""How every chart looks: colours of both themes, scales, the base layout, and how text is written."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from pandas.api import types

from ecoval_core.text import decimals_of, known, number, shorten

ThemeName = Literal["light", "dark"]
Colorscale = list[tuple[float, str]]

# The second is the name of the font that Streamlit brings along.
FONT = "Source Sans, Source Sans Pro, Helvetica, Arial, sans-serif"
N_TARGET_GROUPS = 5
ROW_HEIGHT = 22
# The most classes drawn as bars or boxes.
MAX_GROUPS_DRAWN = 30
# Told apart from each other, from both backgrounds and from the greys, also by the colour-blind.
CATEGORIES = (
    "#4f86c6", "#e8804a", "#3fa37c", "#d0568f", "#b59a2b", "#8a78d6",
    "#37a5b8", "#c2504a", "#7f9a3c", "#d28ca0", "#a9775a", "#8c5064",
)  # fmt: skip


@dataclass(frozen=True)
class Palette:
    """Colours of one theme; backgrounds are transparent, so that the page shows through."""

    text: str
    muted: str
    grid: str
    surface: str
    # From below zero (orange) through zero (grey) to above (blue).
    harm: str
    harm_soft: str
    zero: str
    gain_soft: str
    gain: str
    # A continuous target, low to high.
    amounts: tuple[str, ...]
    # Points outside the selection.
    faded: str
    # Readable too where Plotly paints the pressed button nearly white.
    button: str
    button_text: str

    @property
    def diverging(self) -> Colorscale:
        """Scale from the lowest to the highest value, zero in the middle."""
        return _even((self.harm, self.harm_soft, self.zero, self.gain_soft, self.gain))

    @property
    def rising(self) -> Colorscale:
        """Upper half of the diverging scale, for what cannot be negative."""
        return _even((self.zero, self.gain_soft, self.gain))

    @property
    def sequential(self) -> Colorscale:
        """Scale of a continuous target."""
        return _even(self.amounts)


def _even(colors: Sequence[str]) -> Colorscale:
    return [(position / (len(colors) - 1), color) for position, color in enumerate(colors)]


PALETTES: dict[str, Palette] = {
    "light": Palette(
        text="#1f2937", muted="#5b6472", grid="#e3e6eb", surface="#ffffff",
        harm="#a8430a", harm_soft="#e58a3c", zero="#b3b7bd", gain_soft="#5c9bd1", gain="#0f4c8a",
        amounts=("#c5b5dc", "#9a78c2", "#6f2f95", "#2f0a4f"), faded="#c9cdd3",
        button="#d3dae4", button_text="#1f2937",
    ),
    "dark": Palette(
        text="#e5e7eb", muted="#a3abb7", grid="#2f3641", surface="#20252d",
        harm="#ffa94d", harm_soft="#c2703a", zero="#737a85", gain_soft="#4c8fd0", gain="#8ccbff",
        amounts=("#5f4b7d", "#8b6fc4", "#bb9ff2", "#f1e6ff"), faded="#454c57",
        button="#b4bcc8", button_text="#14171c",
    ),
}  # fmt: skip


def palette_of(name: str) -> Palette:
    """Return the colours of a theme, "light" or "dark"."""
    if name not in PALETTES:
        raise ValueError(f"Unknown theme {name!r}; choose from {', '.join(PALETTES)}.")
    return PALETTES[name]


def translucent(color: str, opacity: float) -> str:
    """Write a #rrggbb colour with an opacity."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def steps(colors: Sequence[str]) -> Colorscale:
    """Colorscale of equal steps, for codes 0 to n - 1 between -0.5 and n - 0.5."""
    n = len(colors)
    return [(edge, color) for i, color in enumerate(colors) for edge in (i / n, (i + 1) / n)]


# --- Figures ---------------------------------------------------------------------------------


def base_figure(
    palette: Palette, *, height: int, title: str = "", subtitle: str = "", **layout: Any
) -> go.Figure:
    """Make a figure with fonts, colours, grid and margins; the caller breaks the subtitle with <br>."""
    lines = 19 if title else 0
    lines += 16 + subtitle.count("<br>") * 17 + 17 if subtitle else 0
    axis = axis_style(palette)
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        font={"family": FONT, "size": 13, "color": palette.text},
        title={
            "text": title, "font": {"size": 15, "color": palette.text},
            "subtitle": {"text": subtitle, "font": {"size": 12.5, "color": palette.muted}},
            "x": 0, "xanchor": "left", "xref": "container", "pad": {"l": 8, "t": 8},
            "y": 1, "yanchor": "top", "yref": "container",
        },
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 8, "r": 12, "t": 16 + lines, "b": 8},
        xaxis=axis,
        yaxis=axis,
        hoverlabel={
            "bgcolor": palette.surface, "bordercolor": palette.muted, "align": "left",
            "font": {"family": FONT, "size": 13, "color": palette.text},
        },
        legend={
            "orientation": "h", "x": 0, "xanchor": "left", "y": -0.12, "yanchor": "top",
            "font": {"color": palette.text, "size": 12}, "itemsizing": "constant",
        },
        newselection={"line": {"color": palette.text, "width": 1.5, "dash": "dot"}},
        activeselection={"fillcolor": translucent(palette.text, 0.06), "opacity": 1},
        modebar={
            "bgcolor": translucent(palette.surface, 0.85), "color": palette.muted,
            "activecolor": palette.text,
        },
    )  # fmt: skip
    return figure.update_layout(**layout)


def axis_style(palette: Palette) -> dict[str, Any]:
    """Look of an axis."""
    return {
        "gridcolor": palette.grid, "zerolinecolor": palette.grid, "linecolor": palette.grid,
        "tickfont": {"color": palette.muted, "size": 12},
        "title": {"font": {"color": palette.muted, "size": 13}, "standoff": 8},
        "automargin": True, "exponentformat": "none",
    }  # fmt: skip


def message_figure(palette: Palette, title: str, message: str) -> go.Figure:
    """Figure that explains in words why there is nothing to draw."""
    figure = base_figure(palette, height=120, title=title)
    figure.update_xaxes(visible=False).update_yaxes(visible=False)
    return figure.add_annotation(
        text=message, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False,
        font={"color": palette.muted, "size": 14},
    )  # fmt: skip


def row_axis(figure: go.Figure, names: list[str]) -> None:
    """Write names beside bars that lie at 0, 1, 2 ... from the top; equal names stay apart."""
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.45, -0.55],
        showgrid=False, zeroline=False, ticks="", ticklabelstandoff=6, fixedrange=True, showspikes=False,
    )  # fmt: skip


def add_bars(figure: go.Figure, lengths: ArrayLike, color: Any, **options: Any) -> None:
    """Add bars to the right, at 0, 1, 2 ... from the top."""
    x = np.asarray(lengths)
    figure.add_bar(
        x=x.astype(np.int32 if x.dtype.kind == "i" else np.float32), y=rows_at(x), orientation="h",
        marker={"color": color, "line": {"width": 0}}, **options,
    )  # fmt: skip


def rows_at(things: Any) -> NDArray[np.int16]:
    """Return where bars lie: at 0, 1, 2 ..."""
    return np.arange(len(things), dtype=np.int16)


def compact(figure: go.Figure, height: int) -> go.Figure:
    """Make a chart small enough to stand beside others: a lower title, no subtitle, less room around."""
    lines = 50 if figure.layout.legend.yanchor == "bottom" else 4
    figure.update_layout(
        height=height, margin_t=24 + lines, title_font_size=13, title_subtitle_text="",
        legend_font_size=11, font_size=12,
    )  # fmt: skip
    return figure.update_yaxes(title_standoff=2).update_xaxes(title_standoff=2, nticks=6)


def legend_above(figure: go.Figure) -> go.Figure:
    """Write the legend between the title and the chart."""
    margin = figure.layout.margin.t + 44
    return figure.update_layout(legend_y=1.0, legend_yanchor="bottom", margin_t=margin)


def dotted(palette: Palette) -> dict[str, Any]:
    """Line that divides a chart."""
    return {"color": palette.muted, "width": 1.2, "dash": "dot"}


def packed(array: NDArray) -> dict[str, str]:
    """Array of float32 or int16 as Plotly sends it, which does not pack the arguments of buttons."""
    data = np.ascontiguousarray(array)
    return {
        "dtype": f"{data.dtype.kind}{data.dtype.itemsize}",
        "bdata": b64encode(data.tobytes()).decode(),
    }


# --- Labels ----------------------------------------------------------------------------------


def is_continuous(labels: pd.Series) -> bool:
    """Whether labels are amounts (regression): floats, as `Prepared` hands them on."""
    return bool(types.is_float_dtype(labels))


def label_groups(labels: pd.Series) -> pd.Series:
    """Group rows by class in sorted order, or by at most five ranges of amounts of about the same size."""
    if not is_continuous(labels):
        return labels.astype("category")
    if labels.nunique() <= N_TARGET_GROUPS:
        amounts = {amount: number(amount) for amount in labels.dropna().sort_values().unique()}
        kind = pd.CategoricalDtype(list(dict.fromkeys(amounts.values())), ordered=True)
        return labels.map(amounts).astype(kind)
    groups = pd.qcut(labels, N_TARGET_GROUPS, duplicates="drop")
    names = [f"{number(i.left)} to {number(i.right)}" for i in groups.cat.categories]
    if len(set(names)) < len(names):
        names = [f"{name} ({i})" for i, name in enumerate(names, 1)]
    return groups.cat.rename_categories(names)


# --- Text ------------------------------------------------------------------------------------


def aligned(values: Sequence[float], *, signed: bool = False) -> list[str]:
    """Write numbers with the same decimals: those that the largest needs for three digits."""
    largest = max((abs(value) for value in values), default=0.0)
    if not 1e-6 <= largest < 1e15:
        return [number(value, signed=signed) for value in values]
    form = f"{'+' * signed},.{decimals_of(largest)}f"
    texts = [known(value, form) for value in values]
    return [text if text.strip("0.") else "0" for text in texts]


def with_unit(title: str, unit: str) -> str:
    """Title of what is measured in a unit; without one, the title alone."""
    return f"{title} ({safe(unit, 40)})" if unit else title


def safe(text: object, width: int = 24) -> str:
    """Text for a label: on one line, cut to a width, safe within Plotly's mark-up."""
    return html.escape(shorten(text, width), quote=False)


def short_names(names: Sequence[object], width: int = 24) -> list[str]:
    """Shorten names for a list; where that makes two alike, all that were cut keep their ends."""
    short = [safe(name, width) for name in names]
    if len(set(short)) == len(short):
        return short
    lines = [" ".join(str(name).split()) for name in names]
    head = (width - 1) // 2
    tail = width - 1 - head
    cut = [t if len(t) <= width else f"{t[:head]}…{t[-tail:]}" for t in lines]
    return [html.escape(text, quote=False) for text in cut]
