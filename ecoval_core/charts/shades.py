"""Colours of points as the map in the browser takes them: a code for each point, a colour for each code."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from ecoval_core.charts.points import Coloring, sorted_labels
from ecoval_core.charts.style import CATEGORIES, Colorscale, Palette, clip_limit, steps
from ecoval_core.charts.text import aligned, counted, short_names, shorten

N_SHADES = 255
# Numbers of so few distinct values read better as names than on a scale.
MAX_NAMED_NUMBERS = 6
# An amount counts as signed if at least so much of it lies on the other side of zero.
SIGNED_SHARE = 0.02


@dataclass(frozen=True, eq=False)
class Shade:
    """Colours of points.

    Attributes
    ----------
    title, subtitle : str
        What the colour shows, as plain text.
    codes : ndarray of shape (n_points,), uint8
        Position of each point's colour in `colors`.
    colors : list of str
        At most 256 colours.
    order : ndarray of shape (n_points,), uint32
        The order of drawing: the last lies on top.
    gradient : list of (float, str)
        Colours of a bar from 0 to 1; empty where the legend is a list, or where there is none.
    ticks : list of (float, str)
        Marks of the bar and what is written there.
    names : list of (str, str)
        Colours of a list and what they mean, downwards.
    """

    title: str
    subtitle: str
    codes: NDArray[np.uint8]
    colors: list[str]
    order: NDArray[np.uint32]
    gradient: list[tuple[float, str]]
    ticks: list[tuple[float, str]]
    names: list[tuple[str, str]]


def shade(coloring: Coloring, palette: Palette, *, lowest_on_top: bool = True) -> Shade:
    """Turn a colouring into codes and colours.

    Parameters
    ----------
    coloring : Coloring
        One of :func:`ecoval_core.charts.points.colorings`, or of :func:`color_by`. Amounts that are
        missing (NaN), and codes below zero, have the colour of what is missing.
    palette : Palette
        Colours.
    lowest_on_top : bool, default=True
        Whether low amounts are drawn over high ones; categories are drawn in the order of rows.

    Returns
    -------
    Shade
        Amounts fall into 255 equal steps between the ends of the scale.
    """
    title, subtitle = (
        html.unescape(text.replace("<br>", " ")).strip()
        for text in (coloring.title, coloring.subtitle)
    )
    n = len(coloring.codes)
    if coloring.codes.dtype.kind == "f":
        missing = np.isnan(coloring.codes)
        span = coloring.high - coloring.low
        share = np.clip(
            (np.where(missing, coloring.low, coloring.codes) - coloring.low) / span, 0, 1
        )
        codes = np.rint(share * (N_SHADES - 1))
        colors = _interpolate(coloring.colorscale, N_SHADES)
        amounts = -coloring.codes if lowest_on_top else coloring.codes
        order = np.argsort(amounts, kind="stable")
        gradient = list(coloring.colorscale)
        ticks = [
            ((tick - coloring.low) / span, html.unescape(name))
            for tick, name in zip(coloring.ticks, coloring.names, strict=True)
        ]
        names = []
    else:
        missing = coloring.codes < 0
        codes = coloring.codes
        colors = [color for _, color in coloring.colorscale[::2]]
        # The map has a grey like this for points that are not selected.
        colors = [palette.zero if color == palette.faded else color for color in colors]
        order = np.arange(n)
        gradient, ticks = [], []
        # A colour bar runs upwards; a list of names is read downwards.
        names = [
            (colors[int(tick)], html.unescape(name))
            for tick, name in zip(coloring.ticks[::-1], coloring.names[::-1], strict=True)
        ]
    if missing.any():
        codes = np.where(missing, len(colors), codes)
        colors = [*colors, palette.muted]
        names = [*names, (palette.muted, f"missing ({int(missing.sum()):,})")]
        # What is missing lies below what is not.
        order = np.concatenate([order[missing[order]], order[~missing[order]]])
    return Shade(
        title,
        subtitle,
        codes.astype(np.uint8),
        colors,
        order.astype(np.uint32),
        gradient,
        ticks,
        names,
    )


def _interpolate(scale: Colorscale, n: int) -> list[str]:
    positions = [position for position, _ in scale]
    channels = [[int(color[i : i + 2], 16) for _, color in scale] for i in (1, 3, 5)]
    at = np.linspace(0, 1, n)
    levels = [np.rint(np.interp(at, positions, channel)).astype(int) for channel in channels]
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in zip(*levels, strict=True)]


def color_by(column: pd.Series, palette: Palette, name: str = "") -> Coloring:
    """Make a colouring of any column.

    Parameters
    ----------
    column : Series of shape (n_points,)
        Numbers and dates are drawn on a scale, a diverging one if they lie on both sides of zero; all
        else as categories, of which the rare ones share a colour.
    palette : Palette
        Colours.
    name : str, default=""
        How the column is called; by default its own name.

    Returns
    -------
    Coloring
        The scale ends at the 2nd and 98th percentile, a diverging one at the 98th of the size.
    """
    title = shorten(name or column.name, 60)
    if types.is_datetime64_any_dtype(column):
        seconds = column.astype("int64").to_numpy(np.float64)
        return _of_dates(np.where(column.isna(), np.nan, seconds), column, title, palette)
    is_number = types.is_numeric_dtype(column) and not types.is_bool_dtype(column)
    if is_number and column.nunique() > MAX_NAMED_NUMBERS:
        return _of_numbers(column.to_numpy(np.float32, na_value=np.nan), title, palette)
    return _of_categories(column, title, palette)


def _of_numbers(amounts: NDArray[np.float32], title: str, palette: Palette) -> Coloring:
    # Infinity is no amount that a scale could show.
    amounts = np.where(np.isfinite(amounts), amounts, np.float32(np.nan))
    known = amounts[~np.isnan(amounts)]
    if min((known < 0).mean(), (known > 0).mean()) >= SIGNED_SHARE:
        limit = clip_limit(known)
        ticks = [-limit, -limit / 2, 0.0, limit / 2, limit]
        scale, words = palette.diverging, "Orange: below zero. Blue: above. Grey: about zero."
    else:
        low, high = map(float, np.percentile(known, (2, 98)))
        if high <= low:
            low, high = float(known.min()), float(known.max())
        ticks = [low + share * (high - low) for share in (0, 0.25, 0.5, 0.75, 1)]
        scale, words = palette.sequential, "By the scale at the side."
    return Coloring(
        title,
        words,
        amounts,
        scale,
        ticks[0],
        ticks[-1],
        ticks,
        _ends(ticks, aligned(ticks), known),
    )


def _of_dates(
    amounts: NDArray[np.float64], column: pd.Series, title: str, palette: Palette
) -> Coloring:
    low, high = np.nanmin(amounts, initial=np.inf), np.nanmax(amounts, initial=-np.inf)
    if not low < high:
        return _of_categories(column, title, palette)
    # Single precision would round nanoseconds to minutes: only the share of the way is kept.
    shares = ((amounts - low) / (high - low)).astype(np.float32)
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    first, last = column.min(), column.max()
    words = "%Y-%m-%d" if last - first > pd.Timedelta(days=3) else "%m-%d %H:%M"
    names = [(first + share * (last - first)).strftime(words) for share in ticks]
    return Coloring(
        title, "By the scale at the side.", shares, palette.sequential, 0.0, 1.0, ticks, names
    )


def _ends(ticks: list[float], names: list[str], known: NDArray) -> list[str]:
    if known.max() > ticks[-1]:
        names[-1] = f"≥ {names[-1]}"
    if known.min() < ticks[0]:
        names[0] = f"≤ {names[0]}"
    return names


def _of_categories(column: pd.Series, title: str, palette: Palette) -> Coloring:
    counts = column.value_counts()
    counts = counts[counts > 0]
    kept, n_rest = counts.index[: len(CATEGORIES)], max(0, len(counts) - len(CATEGORIES))
    if n_rest:
        # One colour less, for all the rest together.
        kept, n_rest = counts.index[: len(CATEGORIES) - 1], n_rest + 1
    classes = sorted_labels(kept)
    code_of = {label: code for code, label in enumerate(classes)}
    codes = np.array(
        [code_of.get(cell, len(classes)) if known else -1
         for cell, known in zip(column, column.notna(), strict=True)],
        dtype=np.int16,
    )  # fmt: skip
    names = short_names(classes, 22)
    names = [f"{name} ({counts[label]:,})" for name, label in zip(names, classes, strict=True)]
    if n_rest:
        names.append(f"{n_rest:,} others ({int((codes == len(classes)).sum()):,})")
    words = f"{counted(len(counts), 'category', 'categories')}."
    if n_rest:
        words += f" The {len(classes)} largest have a colour of their own."
    shades = list(CATEGORIES[: max(1, len(names))])
    if n_rest:
        shades[-1] = palette.zero
    # Upwards, as a colour bar has them.
    last = len(shades) - 1
    return Coloring(
        title, words, np.where(codes < 0, -1, last - codes).astype(np.int16), steps(shades[::-1]),
        -0.5, last + 0.5, list(range(len(names))), names[::-1],
    )  # fmt: skip
