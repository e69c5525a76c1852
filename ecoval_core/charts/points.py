"""Ways to colour the points of the map: what each shows, in colours and in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from pandas.api import types

from ecoval_core.charts.style import (
    CATEGORIES,
    Colorscale,
    Palette,
    clip_limit,
    is_continuous,
    steps,
)
from ecoval_core.charts.text import MINUS, aligned, counted, short_names, shorten, with_unit

MAX_POINTS = 20_000
# Of these, the lowest-valued rows that are drawn whatever the sample.
MAX_LOWEST = 5_000
MAX_HOVER_COLUMNS = 6
HOVER_TEMPLATE = (
    "<b>row %{{customdata}}</b><br>value = intrinsic + extrinsic<br>%{{text}} {unit}<br>"
    "label %{{hovertext}}<extra></extra>"
)
COLORINGS = {
    "value": "Value",
    "intrinsic": "Intrinsic",
    "extrinsic": "Extrinsic",
    "cluster": "Cluster",
    "label": "Label",
    "flipped": "Planted noise",
}
MEANINGS = {
    "value": "Orange, below zero: the model is better without it.<br>"
    "Blue, above zero: the row pays for itself. Grey: next to nothing.",
    "intrinsic": "What a row is in itself. Blue: a typical, credible example of its label.<br>"
    "Grey: an odd one.",
    "extrinsic": "What a row adds given all others. Blue: it helps the model.<br>"
    "Orange, below zero: it misleads the model.",
    "cluster": "Rows of one colour side by side were left out together.<br>",
    "label": "The label that the row had in training.<br>",
    "flipped": "Orange: the label was made wrong on purpose.<br>Blue: the label is as it was.",
}


@dataclass(frozen=True)
class Coloring:
    """One way to colour the points.

    Attributes
    ----------
    title, subtitle : str
        What the colour shows, in words.
    codes : ndarray of shape (n_points,), float32 or int16
        What is coloured.
    colorscale : list of (float, str)
        Colours from `low` to `high`.
    low, high : float
        Ends of the scale; codes beyond have the colour of the end.
    ticks : list of float
        Where the legend has its marks; none for no legend.
    names : list of str
        What is written there.
    """

    title: str
    subtitle: str
    codes: NDArray
    colorscale: Colorscale
    low: float
    high: float
    ticks: list[float]
    names: list[str]


def colorings(
    points: pd.DataFrame, palette: Palette, unit: str = "", note: str = ""
) -> dict[str, Coloring]:
    """Make every colouring that points allow.

    Parameters
    ----------
    points : DataFrame of shape (n_points, ...)
        Rows of :attr:`ecoval_core.workspace.runs.Run.frame` with finite values.
    palette : Palette
        Colours.
    unit : str, default=""
        Unit of the values, in words.
    note : str, default=""
        Ends every title.

    Returns
    -------
    dict of str to Coloring
        In the order of `COLORINGS`; "flipped" only if a point is.
    """
    choices = {
        name: _of_amounts(points[name], name, palette, unit)
        for name in ("value", "intrinsic", "extrinsic")
    }
    choices["cluster"] = _of_clusters(points["cluster"])
    choices["label"] = _of_labels(points["label"], palette)
    if points["flipped"].any():
        choices["flipped"] = _of_flipped(points["flipped"], palette)
    is_amount = is_continuous(points["label"])
    return {
        name: replace(
            choice,
            title=f"{choice.title}{note}",
            subtitle=choice.subtitle.replace("label", "target") if is_amount else choice.subtitle,
        )
        for name, choice in choices.items()
    }


def _of_amounts(amounts: pd.Series, name: str, palette: Palette, unit: str) -> Coloring:
    codes = amounts.to_numpy(dtype=np.float32)
    limit = clip_limit(codes)
    is_signed = name != "intrinsic" or bool((codes < 0).any())
    ticks = [-limit, -limit / 2, 0.0, limit / 2, limit] if is_signed else [0.0, limit / 2, limit]
    names = aligned(ticks, signed=is_signed)
    if codes.max(initial=0) > limit:
        names[-1] = f"≥ {names[-1]}"
    if is_signed and codes.min(initial=0) < -limit:
        names[0] = f"≤ {names[0]}"
    scale = palette.diverging if is_signed else palette.rising
    title = with_unit(COLORINGS[name], unit)
    return Coloring(title, MEANINGS[name], codes, scale, ticks[0], limit, ticks, names)


def _of_clusters(clusters: pd.Series) -> Coloring:
    n, k = clusters.nunique(), len(CATEGORIES)
    repeats = " Colours repeat; point at a row for its cluster." if n > k else ""
    subtitle = f"{MEANINGS['cluster']}{counted(n, 'cluster')}.{repeats}"
    codes = (clusters.to_numpy() % k).astype(np.int16)
    return Coloring("Cluster", subtitle, codes, steps(CATEGORIES), -0.5, k - 0.5, [], [])


def _of_labels(labels: pd.Series, palette: Palette) -> Coloring:
    if is_continuous(labels):
        amounts = labels.to_numpy(dtype=np.float32)
        low, high = map(float, np.nanpercentile(amounts, (2, 98)) if len(amounts) else (0, 1))
        high = high if high > low else low + 1
        ticks = [low, (low + high) / 2, high]
        names = aligned(ticks)
        subtitle = "The target that the row had in training,<br>by the scale on the right."
        return Coloring("Target", subtitle, amounts, palette.sequential, low, high, ticks, names)
    counts = labels.value_counts()
    classes = sorted_labels(counts.index)
    shades, n_rest = list(CATEGORIES[: len(classes)]), max(0, len(classes) - len(CATEGORIES))
    if n_rest:
        # One colour less, for all the rest together.
        classes, n_rest = sorted_labels(counts.index[: len(CATEGORIES) - 1]), n_rest + 1
        shades[-1] = palette.faded
    code_of = {label: code for code, label in enumerate(classes)}
    codes = labels.map(lambda label: code_of.get(label, len(classes))).to_numpy()
    names = short_names(classes, 16) + ([f"{n_rest} others"] if n_rest else [])
    subtitle = f"{MEANINGS['label']}{counted(len(counts), 'class', 'classes')}."
    if n_rest:
        subtitle += f" The {len(classes)} largest have a colour of their own."
    # A colour bar runs upwards; a list of names is read downwards.
    last = len(shades) - 1
    return Coloring(
        "Label", subtitle, (last - codes).astype(np.int16), steps(shades[::-1]),
        -0.5, last + 0.5, list(range(len(shades))), names[::-1],
    )  # fmt: skip


def _of_flipped(flipped: pd.Series, palette: Palette) -> Coloring:
    n = int(flipped.sum())
    names = [f"as it was ({len(flipped) - n:,})", f"made wrong ({n:,})"]
    scale = steps([palette.gain_soft, palette.harm])
    codes = flipped.to_numpy(dtype=np.int16)
    return Coloring("Planted noise", MEANINGS["flipped"], codes, scale, -0.5, 1.5, [0, 1], names)


def sorted_labels(labels: Any) -> list[Any]:
    """Labels in their natural order, or in that of their text where they have none."""
    labels = list(labels)
    try:
        return sorted(labels)
    except TypeError:
        return sorted(labels, key=str)


def points_shown(
    frame: pd.DataFrame,
    usable: NDArray[np.bool_],
    selected: NDArray[np.bool_] | None = None,
    picked_id: int | None = None,
) -> NDArray[np.int64]:
    """Choose which rows are drawn, and in which order.

    Parameters
    ----------
    frame : DataFrame of shape (n_samples, ...)
        :attr:`ecoval_core.workspace.runs.Run.frame`.
    usable : ndarray of shape (n_samples,), bool
        Rows that can be drawn.
    selected : ndarray of shape (n_samples,), bool, or None, default=None
        Rows that are selected.
    picked_id : int or None, default=None
        Row id that must be drawn.

    Returns
    -------
    ndarray of shape (at most 20,000,), int
        Positions in `frame`, the highest value first, so that low values lie on top.
    """
    positions = np.flatnonzero(usable)
    values = frame["value"].to_numpy()[positions]
    lowest_first = positions[np.argsort(values, kind="stable")]
    if len(positions) > MAX_POINTS:
        wanted = [lowest_first[:MAX_LOWEST], positions[frame.index[positions] == picked_id]]
        if selected is not None:
            wanted.append(lowest_first[selected[lowest_first]][:MAX_LOWEST])
        sample = np.random.default_rng(0).permutation(positions)
        ranked = pd.unique(np.concatenate([*wanted, sample]))
        lowest_first = lowest_first[np.isin(lowest_first, ranked[:MAX_POINTS])]
    return lowest_first[::-1]


def count_shown(frame: pd.DataFrame, shown: NDArray) -> str:
    """Return how many of the rows are drawn, in words; nothing if all are."""
    if len(shown) == len(frame):
        return ""
    return f" · showing {len(shown):,} of {len(frame):,} rows"


def point_trace(
    points: pd.DataFrame,
    x: NDArray,
    y: NDArray,
    marker: dict[str, Any],
    unit: str = "",
    hover: pd.DataFrame | None = None,
) -> go.Scattergl:
    """Draw rows as points that carry their row id and say in words what they are.

    Parameters
    ----------
    points : DataFrame of shape (n_points, ...)
        Rows of :attr:`ecoval_core.workspace.runs.Run.frame`.
    x, y : ndarray of shape (n_points,), float32
        Coordinates.
    marker : dict
        Colours.
    unit : str, default=""
        Unit of the values, in words.
    hover : DataFrame or None, default=None
        Original columns to show beside a point; indexed by row id.

    Returns
    -------
    Scattergl
        `customdata` is the row id: one number, as Streamlit passes on nothing longer unharmed.
    """
    n, ids = len(points), points.index.to_numpy()
    size = next((size for most, size in ((300, 10), (2_500, 8), (8_000, 6)) if n <= most), 4)
    fits = ids.max(initial=0) < np.iinfo(np.int32).max
    return go.Scattergl(
        x=x,
        y=y,
        mode="markers",
        name="rows",
        # Plotly has no 64-bit integers; a double holds every id exactly.
        customdata=ids.astype(np.int32 if fits else np.float64),
        text=_sums(points),
        hovertext=_descriptions(points, hover),
        hovertemplate=HOVER_TEMPLATE.format(unit=shorten(unit, 40)),
        marker={"size": size, "opacity": 0.9, "line": {"width": 0}, **marker},
        selected={"marker": {"opacity": 1.0}},
    )


def marker_of(choice: Coloring, palette: Palette) -> dict[str, Any]:
    """Marker of a trace in a colouring, with its legend."""
    return {
        "color": choice.codes,
        "colorscale": choice.colorscale,
        "cmin": choice.low,
        "cmax": choice.high,
        "showscale": bool(choice.ticks),
        "colorbar": {
            "tickvals": choice.ticks,
            "ticktext": choice.names,
            "tickfont": {"size": 12, "color": palette.text},
            "thickness": 14,
            "len": _legend_length(choice),
            "y": 1.0,
            "yanchor": "top",
            "outlinewidth": 0,
            "x": 1.0,
            "xpad": 6,
        },
    }


def _legend_length(choice: Coloring) -> float:
    is_list = choice.codes.dtype.kind == "i"
    return min(0.95, 0.09 * len(choice.ticks)) if is_list and choice.ticks else 0.95


def _sums(points: pd.DataFrame) -> list[str]:
    texts = []
    for row in points[["value", "intrinsic", "extrinsic"]].itertuples(index=False):
        value, intrinsic, extrinsic = aligned(row)
        sign = "-" if extrinsic[0] == MINUS else "+"
        # Plain signs: any other takes six bytes on its way to the browser.
        text = f"{value} = {intrinsic} {sign} {extrinsic.lstrip(MINUS)}"
        texts.append(text.replace(MINUS, "-"))
    return texts


def _descriptions(points: pd.DataFrame, hover: pd.DataFrame | None) -> list[str]:
    rows = zip(_written(points["label"]), points["cluster"], strict=True)
    texts = [f"{label}, cluster {cluster}" for label, cluster in rows]
    for position in np.flatnonzero(points["flipped"]):
        original = _cell(points["original_label"].iloc[position])
        texts[position] += f"<br>planted noise, it was {original}"
    if hover is None:
        return texts
    details = hover.reindex(points.index).iloc[:, :MAX_HOVER_COLUMNS]
    for column in details:
        title, cells = shorten(column), _written(details[column])
        texts = [f"{text}<br>{title}: {cell}" for text, cell in zip(texts, cells, strict=True)]
    return texts


def _written(cells: pd.Series) -> list[str]:
    codes, distinct = pd.factorize(cells)
    written = [*(_cell(cell) for cell in distinct), "missing"]
    return [written[code] for code in codes]


def _cell(cell: Any) -> str:
    if types.is_float(cell):
        return f"{cell:,.6g}".replace("-", MINUS)
    return shorten(cell, 36)
