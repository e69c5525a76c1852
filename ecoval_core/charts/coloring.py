"""Ways to colour points: what each shows, in colours and in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from ecoval_core.charts.style import (
    CATEGORIES,
    Colorscale,
    Palette,
    aligned,
    is_continuous,
    safe,
    short_names,
    steps,
    with_unit,
)
from ecoval_core.text import count_of

# Numbers of so few distinct values read better as names than on a scale.
MAX_NAMED_NUMBERS = 6
# An amount counts as signed if at least so much of it lies on the other side of zero.
SIGNED_SHARE = 0.02
# Where the colours of values end, of those below and of those above zero.
OWN_PERCENTILE = 95
OWN_SCALES = " Either side of zero has a scale of its own."
COLORINGS = {
    "value": "Value",
    "intrinsic": "Intrinsic",
    "extrinsic": "Extrinsic",
    "cluster": "Cluster",
    "label": "Label",
    "flipped": "Planted errors",
}
MEANINGS = {
    "value": (
        "Orange, below zero: the model is better without it. Blue: better with it.<br>Grey: close to "
        "zero."
    ),
    "intrinsic": (
        "What a row is in itself. Blue: a typical, credible example of its label.<br>Grey: an "
        "unusual one."
    ),
    "extrinsic": "What a row adds given all others. Blue: it helps the model.<br>"
    "Orange, below zero: it misleads the model.",
    "cluster": "Neighbouring rows of one colour form a cluster.<br>",
    "label": "The label that the row had in training.<br>",
    "flipped": "Orange: the label was made wrong on purpose.<br>Blue: the label is as it was.",
}


@dataclass(frozen=True)
class Coloring:
    """One way to colour points: a code for each, and a scale of colours from `low` to `high`."""

    title: str
    subtitle: str
    # Amounts, or shares of their scale, as float32; positions of categories as int16, -1 without one.
    codes: NDArray
    colorscale: Colorscale
    low: float
    high: float
    # Marks of the legend and what is written there; none for no legend.
    ticks: list[float]
    names: list[str]


def colorings(
    points: pd.DataFrame, palette: Palette, unit: str = "", note: str = ""
) -> dict[str, Coloring]:
    """Make every colouring that valued rows allow, by name in the order of `COLORINGS`."""
    choices = {
        name: _of_values(points[name], name, palette, unit)
        for name in ("value", "intrinsic", "extrinsic")
    }
    choices["cluster"] = _of_clusters(points["cluster"])
    is_amount = is_continuous(points["label"])
    if is_amount:
        choices["label"] = _of_targets(points["label"], palette)
    else:
        choices["label"] = _of_categories(points["label"], palette, are_labels=True)
    if points["flipped"].any():
        choices["flipped"] = _of_flipped(points["flipped"], palette)
    return {
        name: replace(
            choice,
            title=f"{choice.title}{note}",
            subtitle=choice.subtitle.replace("label", "target") if is_amount else choice.subtitle,
        )
        for name, choice in choices.items()
    }


def color_by(column: pd.Series, palette: Palette) -> Coloring:
    """Make a colouring of any column: numbers and dates by a scale, all else by categories."""
    if types.is_datetime64_any_dtype(column):
        return _of_dates(column, palette)
    is_number = types.is_numeric_dtype(column) and not types.is_bool_dtype(column)
    if is_number and column.nunique() > MAX_NAMED_NUMBERS:
        return _of_numbers(column, palette)
    return _of_categories(column, palette)


def marker_of(choice: Coloring, palette: Palette) -> dict[str, Any]:
    """Marker of a trace in a colouring, with its legend."""
    return {
        "color": choice.codes,
        "colorscale": choice.colorscale,
        "cmin": choice.low,
        "cmax": choice.high,
        "showscale": bool(choice.ticks),
        "colorbar": {
            "tickvals": choice.ticks, "ticktext": choice.names, "len": legend_length(choice),
            "tickfont": {"size": 12, "color": palette.text}, "thickness": 14, "outlinewidth": 0,
            "y": 1.0, "yanchor": "top", "x": 1.0, "xpad": 6,
        },
    }  # fmt: skip


def legend_length(choice: Coloring) -> float:
    """Return the part of the height that a legend takes."""
    is_list = choice.codes.dtype.kind == "i"
    return min(0.95, 0.09 * len(choice.ticks)) if is_list and choice.ticks else 0.95


def _of_values(amounts: pd.Series, name: str, palette: Palette, unit: str) -> Coloring:
    """Colour values on a scale of their own on either side of zero, so that a few negative ones show."""
    values = amounts.to_numpy(dtype=np.float32)
    below, above = _own_limit(-values), _own_limit(values)
    is_signed = below is not None
    below, above = below or above or 1.0, above or below or 1.0
    ticks = [-below, -below / 2, 0.0, above / 2, above][0 if is_signed else 2 :]
    names = [*aligned(ticks[:-3], signed=True), *aligned(ticks[-3:], signed=is_signed)]
    names = _beyond(ticks, names, values)
    shares = np.where(values < 0, values / np.float32(below), values / np.float32(above))
    scale = palette.diverging if is_signed else palette.rising
    words = f"{MEANINGS[name]}{OWN_SCALES if is_signed else ''}"
    marks = [-1.0, -0.5, 0.0, 0.5, 1.0][-len(ticks) :]
    title = with_unit(COLORINGS[name], unit)
    return Coloring(title, words, shares, scale, marks[0], 1.0, marks, names)


def _own_limit(amounts: NDArray) -> float | None:
    """Where the colours of the amounts above zero end; None without any."""
    positive = amounts[amounts > 0]
    return float(np.percentile(positive, OWN_PERCENTILE)) if len(positive) else None


def _of_numbers(column: pd.Series, palette: Palette) -> Coloring:
    amounts = column.to_numpy(np.float32, na_value=np.nan)
    # Infinity is no amount that a scale could show.
    amounts = np.where(np.isfinite(amounts), amounts, np.float32(np.nan))
    finite = amounts[~np.isnan(amounts)]
    if min((finite < 0).mean(), (finite > 0).mean()) >= SIGNED_SHARE:
        limit = float(np.percentile(np.abs(finite), 98))
        ticks = [-limit, -limit / 2, 0.0, limit / 2, limit]
        scale, words = palette.diverging, "Orange: below zero. Blue: above. Grey: about zero."
    else:
        low, high = map(float, np.percentile(finite, (2, 98)))
        if high <= low:
            low, high = float(finite.min()), float(finite.max())
        ticks = [low + share * (high - low) for share in (0, 0.25, 0.5, 0.75, 1)]
        scale, words = palette.sequential, "By the scale at the side."
    names = _beyond(ticks, aligned(ticks), finite)
    return Coloring(_title(column), words, amounts, scale, ticks[0], ticks[-1], ticks, names)


def _title(column: pd.Series) -> str:
    return safe(column.name, 60)


def _beyond(ticks: list[float], names: list[str], amounts: NDArray) -> list[str]:
    """Say at the ends of a scale that there are amounts beyond."""
    if amounts.max(initial=0) > ticks[-1]:
        names[-1] = f"≥ {names[-1]}"
    if amounts.min(initial=0) < ticks[0]:
        names[0] = f"≤ {names[0]}"
    return names


def _of_targets(labels: pd.Series, palette: Palette) -> Coloring:
    amounts = labels.to_numpy(dtype=np.float32)
    low, high = map(float, np.nanpercentile(amounts, (2, 98)) if len(amounts) else (0, 1))
    high = high if high > low else low + 1
    ticks = [low, (low + high) / 2, high]
    words = "The target that the row had in training,<br>by the scale on the right."
    return Coloring("Target", words, amounts, palette.sequential, low, high, ticks, aligned(ticks))


def _of_dates(column: pd.Series, palette: Palette) -> Coloring:
    seconds = np.where(column.isna(), np.nan, column.astype("int64").to_numpy(np.float64))
    low, high = np.nanmin(seconds, initial=np.inf), np.nanmax(seconds, initial=-np.inf)
    if not low < high:
        return _of_categories(column, palette)
    # Single precision would round nanoseconds to minutes: only the share of the way is kept.
    shares = ((seconds - low) / (high - low)).astype(np.float32)
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    first, last = column.min(), column.max()
    form = "%Y-%m-%d" if last - first > pd.Timedelta(days=3) else "%m-%d %H:%M"
    names = [(first + share * (last - first)).strftime(form) for share in ticks]
    words = "By the scale at the side."
    return Coloring(_title(column), words, shares, palette.sequential, 0.0, 1.0, ticks, names)


def _of_clusters(clusters: pd.Series) -> Coloring:
    n, k = clusters.nunique(), len(CATEGORIES)
    repeats = " Colours repeat; point at a row for its cluster." if n > k else ""
    words = f"{MEANINGS['cluster']}{count_of(n, 'cluster')}.{repeats}"
    codes = (clusters.to_numpy() % k).astype(np.int16)
    return Coloring("Cluster", words, codes, steps(CATEGORIES), -0.5, k - 0.5, [], [])


def _of_flipped(flipped: pd.Series, palette: Palette) -> Coloring:
    n = int(flipped.sum())
    names = [f"as it was ({len(flipped) - n:,})", f"made wrong ({n:,})"]
    scale = steps([palette.gain_soft, palette.harm])
    codes = flipped.to_numpy(dtype=np.int16)
    return Coloring("Planted errors", MEANINGS["flipped"], codes, scale, -0.5, 1.5, [0, 1], names)


def _of_categories(column: pd.Series, palette: Palette, *, are_labels: bool = False) -> Coloring:
    """Colour the largest categories, and where there are more than colours, all the rest in grey."""
    counts = column.value_counts()
    counts = counts[counts > 0]
    n_own = len(CATEGORIES) - (len(counts) > len(CATEGORIES))
    classes = list(counts.index[:n_own])
    try:
        classes = sorted(classes)
    except TypeError:
        classes = sorted(classes, key=str)
    code_of = {label: code for code, label in enumerate(classes)}
    codes = np.array(
        [
            code_of.get(cell, len(classes)) if is_known else -1
            for cell, is_known in zip(column, column.notna(), strict=True)
        ],
        dtype=np.int16,
    )
    names, n_rest = short_names(classes, 16 if are_labels else 22), len(counts) - len(classes)
    colors = list(CATEGORIES[: max(1, len(names))])
    title, words = _title(column), f"{count_of(len(counts), 'category', 'categories')}."
    if are_labels:
        title, words = "Label", f"{MEANINGS['label']}{count_of(len(counts), 'class', 'classes')}."
    if n_rest:
        names.append(f"{n_rest:,} others")
        colors.append(palette.zero)
        words += f" The {len(classes)} largest have a colour of their own."
    if not are_labels:
        sizes = np.bincount(codes[codes >= 0], minlength=len(names))
        names = [f"{name} ({n:,})" for name, n in zip(names, sizes, strict=True)]
    # A colour bar runs upwards; a list of names is read downwards.
    last = len(colors) - 1
    return Coloring(
        title, words, np.where(codes < 0, -1, last - codes).astype(np.int16), steps(colors[::-1]),
        -0.5, last + 0.5, list(range(len(names))), names[::-1],
    )  # fmt: skip
