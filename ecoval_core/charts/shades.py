"""Colours of points as the map in the browser takes them: a code for each point, a colour for each code."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecoval_core.charts.coloring import Coloring
from ecoval_core.charts.style import Colorscale, Palette

N_SHADES = 255


@dataclass(frozen=True, eq=False)
class Shade:
    """Colours of points: the position of each in at most 256 `colors`, and the legend as plain text."""

    title: str
    subtitle: str
    codes: NDArray[np.uint8]
    colors: list[str]
    # The order of drawing: the last lies on top.
    order: NDArray[np.uint32]
    # Colours of a bar from 0 to 1, its marks and what is written there.
    gradient: list[tuple[float, str]]
    ticks: list[tuple[float, str]]
    # Colours of a list and what they mean, downwards.
    names: list[tuple[str, str]]


def shade(coloring: Coloring, palette: Palette) -> Shade:
    """Turn a colouring into codes and colours; amounts fall into 255 equal steps of its scale."""
    title, subtitle = (
        html.unescape(text.replace("<br>", " ")).strip()
        for text in (coloring.title, coloring.subtitle)
    )
    ticks: list[tuple[float, str]] = []
    names: list[tuple[str, str]] = []
    marks = list(zip(coloring.ticks, map(html.unescape, coloring.names), strict=True))
    if coloring.codes.dtype.kind == "f":
        missing = np.isnan(coloring.codes)
        low, span = coloring.low, coloring.high - coloring.low
        share = np.clip((np.where(missing, low, coloring.codes) - low) / span, 0, 1)
        codes = np.rint(share * (N_SHADES - 1))
        colors = _interpolate(coloring.colorscale, N_SHADES)
        # Where points hide one another, what is seen is a fair share of each amount.
        order = np.random.default_rng(0).permutation(len(codes))
        gradient = list(coloring.colorscale)
        ticks = [((tick - low) / span, name) for tick, name in marks]
    else:
        missing = coloring.codes < 0
        codes = coloring.codes
        colors = [color for _, color in coloring.colorscale[::2]]
        order = np.arange(len(codes))
        gradient = []
        # A colour bar runs upwards; a list of names is read downwards.
        names = [(colors[int(tick)], name) for tick, name in marks[::-1]]
    if missing.any():
        codes = np.where(missing, len(colors), codes)
        colors = [*colors, palette.muted]
        names = [*names, (palette.muted, f"missing ({int(missing.sum()):,})")]
        # What is missing lies below what is not.
        order = np.concatenate([order[missing[order]], order[~missing[order]]])
    return Shade(
        title, subtitle, codes.astype(np.uint8), colors, order.astype(np.uint32), gradient, ticks,
        names,
    )  # fmt: skip


def _interpolate(scale: Colorscale, n: int) -> list[str]:
    positions = [position for position, _ in scale]
    channels = [[int(color[i : i + 2], 16) for _, color in scale] for i in (1, 3, 5)]
    at = np.linspace(0, 1, n)
    levels = [np.rint(np.interp(at, positions, channel)).astype(int) for channel in channels]
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in zip(*levels, strict=True)]
