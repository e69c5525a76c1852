"""Figures of a report: drawn in both themes, packed so that what both share is there once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go

from ecoval_core.charts.style import ThemeName
from ecoval_core.reporting.blocks import Grid, Plot, Text

MARGIN_TOP, MARGIN_TOP_LEGEND = 12, 40
Json = dict[str, Any]


def plot(
    id_: str, title: str, caption: str, alt: str, make: Callable[[ThemeName], go.Figure],
    instead: Grid | Text, *, titled: bool = False,
) -> Plot:  # fmt: skip
    """Draw a figure in both themes; its title stands above it, unless it is to be `titled` itself."""
    light, dark = (_plain(make(theme), titled) for theme in ("light", "dark"))
    changes: list[tuple[list[str | int], Any]] = []
    _compare(light, dark, [], changes)
    packed = json.dumps({"figure": light, "dark": changes}, separators=(",", ":"))
    # Nothing in it can end the script element that holds it.
    for letter in "<>&":
        packed = packed.replace(letter, f"\\u{ord(letter):04x}")
    return Plot(id_, title, caption, alt, packed, instead)


def _plain(figure: go.Figure, titled: bool) -> Json:
    found: Json = json.loads(figure.to_json(engine="json"))
    layout = found["layout"]
    for trace in found["data"]:
        if trace["type"] == "scattergl":
            trace["type"] = "scatter"
    # A selection would lead nowhere here.
    layout["dragmode"] = "zoom"
    if not titled and layout.pop("title", None):
        has_legend_above = layout.get("legend", {}).get("yanchor") == "bottom"
        top = MARGIN_TOP_LEGEND if has_legend_above else MARGIN_TOP
        layout["height"] -= layout["margin"]["t"] - top
        layout["margin"]["t"] = top
    return found


def _compare(light: Any, dark: Any, path: list[str | int], changes: list[Any]) -> None:
    """Collect the paths at which the dark figure differs, each with its value there."""
    if isinstance(light, dict) and isinstance(dark, dict) and light.keys() == dark.keys():
        for key in light:
            _compare(light[key], dark[key], [*path, key], changes)
    elif isinstance(light, list) and isinstance(dark, list) and len(light) == len(dark):
        for i, pair in enumerate(zip(light, dark, strict=True)):
            _compare(*pair, [*path, i], changes)
    elif light != dark:
        changes.append((path, dark))
