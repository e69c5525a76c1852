"""Ways to colour the points of the map: what each shows, in colours and in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecoval_core.chart_style import (
    CATEGORIES,
    Colorscale,
    Theme,
    aligned,
    clip_limit,
    counted,
    is_continuous,
    short_names,
    steps,
    with_unit,
)

COLOURS = {
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
class Colouring:
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


def colourings(
    points: pd.DataFrame, theme: Theme, unit: str = "", note: str = ""
) -> dict[str, Colouring]:
    """Make every colouring that points allow.

    Parameters
    ----------
    points : DataFrame of shape (n_points, ...)
        Rows of :attr:`ecoval_core.runs.Run.frame` with finite values.
    theme : Theme
        Colours.
    unit : str, default=""
        Unit of the values, in words.
    note : str, default=""
        Ends every title.

    Returns
    -------
    dict of str to Colouring
        In the order of `COLOURS`; "flipped" only if a point is.
    """
    choices = {
        name: _of_amounts(points[name], name, theme, unit)
        for name in ("value", "intrinsic", "extrinsic")
    }
    choices["cluster"] = _of_clusters(points["cluster"])
    choices["label"] = _of_labels(points["label"], theme)
    if points["flipped"].any():
        choices["flipped"] = _of_flipped(points["flipped"], theme)
    is_amount = is_continuous(points["label"])
    return {
        name: replace(
            choice,
            title=f"{choice.title}{note}",
            subtitle=choice.subtitle.replace("label", "target") if is_amount else choice.subtitle,
        )
        for name, choice in choices.items()
    }


def _of_amounts(amounts: pd.Series, name: str, theme: Theme, unit: str) -> Colouring:
    codes = amounts.to_numpy(dtype=np.float32)
    limit = clip_limit(codes)
    is_signed = name != "intrinsic" or bool((codes < 0).any())
    ticks = [-limit, -limit / 2, 0.0, limit / 2, limit] if is_signed else [0.0, limit / 2, limit]
    names = aligned(ticks, signed=is_signed)
    if codes.max(initial=0) > limit:
        names[-1] = f"≥ {names[-1]}"
    if is_signed and codes.min(initial=0) < -limit:
        names[0] = f"≤ {names[0]}"
    scale = theme.diverging if is_signed else theme.rising
    title = with_unit(COLOURS[name], unit)
    return Colouring(title, MEANINGS[name], codes, scale, ticks[0], limit, ticks, names)


def _of_clusters(clusters: pd.Series) -> Colouring:
    n, k = clusters.nunique(), len(CATEGORIES)
    repeats = " Colours repeat; point at a row for its cluster." if n > k else ""
    subtitle = f"{MEANINGS['cluster']}{counted(n, 'cluster')}.{repeats}"
    codes = (clusters.to_numpy() % k).astype(np.int16)
    return Colouring("Cluster", subtitle, codes, steps(CATEGORIES), -0.5, k - 0.5, [], [])


def _of_labels(labels: pd.Series, theme: Theme) -> Colouring:
    if is_continuous(labels):
        amounts = labels.to_numpy(dtype=np.float32)
        low, high = map(float, np.nanpercentile(amounts, (2, 98)) if len(amounts) else (0, 1))
        high = high if high > low else low + 1
        ticks = [low, (low + high) / 2, high]
        names = aligned(ticks)
        subtitle = "The target that the row had in training,<br>by the scale on the right."
        return Colouring("Target", subtitle, amounts, theme.sequential, low, high, ticks, names)
    counts = labels.value_counts()
    classes = sorted_labels(counts.index)
    palette, n_rest = list(CATEGORIES[: len(classes)]), max(0, len(classes) - len(CATEGORIES))
    if n_rest:
        # One colour less, for all the rest together.
        classes, n_rest = sorted_labels(counts.index[: len(CATEGORIES) - 1]), n_rest + 1
        palette[-1] = theme.faded
    code_of = {label: code for code, label in enumerate(classes)}
    codes = labels.map(lambda label: code_of.get(label, len(classes))).to_numpy()
    names = short_names(classes, 16) + ([f"{n_rest} others"] if n_rest else [])
    subtitle = f"{MEANINGS['label']}{counted(len(counts), 'class', 'classes')}."
    if n_rest:
        subtitle += f" The {len(classes)} largest have a colour of their own."
    # A colour bar runs upwards; a list of names is read downwards.
    last = len(palette) - 1
    return Colouring(
        "Label", subtitle, (last - codes).astype(np.int16), steps(palette[::-1]),
        -0.5, last + 0.5, list(range(len(palette))), names[::-1],
    )  # fmt: skip


def _of_flipped(flipped: pd.Series, theme: Theme) -> Colouring:
    n = int(flipped.sum())
    names = [f"as it was ({len(flipped) - n:,})", f"made wrong ({n:,})"]
    scale = steps([theme.gain_soft, theme.harm])
    codes = flipped.to_numpy(dtype=np.int16)
    return Colouring("Planted noise", MEANINGS["flipped"], codes, scale, -0.5, 1.5, [0, 1], names)


def sorted_labels(labels: Any) -> list[Any]:
    """Labels in their natural order, or in that of their text where they have none."""
    labels = list(labels)
    try:
        return sorted(labels)
    except TypeError:
        return sorted(labels, key=str)
