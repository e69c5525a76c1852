"""The map as an element of a page: what it is given, and what a visitor did on it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ecoval_core.charts.points import PointData
from ecoval_core.charts.shades import Shade
from ecoval_core.charts.style import ThemeName, palette_of, translucent
from ecoval_core.text import count_of
from pages.shared.pointmap.component import Element
from pages.shared.pointmap.gestures import Gesture
from pages.shared.pointmap.wire import LatePackage, Package, texts_package

# Fainter than the grey of a value of zero, from which they must be told.
_FADED = {"light": "#d9dce1", "dark": "#39404a"}
# Addresses of the pictures of rows, missing where there is none.
Pictures = Callable[[Sequence[int]], pd.Series]
_element = Element("pointmap", "map", Gesture.read)


class PackedPoints:
    """Points, packed for the browser, with addresses of pictures by row; make it once and keep it."""

    def __init__(self, points: PointData, pictures: Pictures | None = None) -> None:
        self.points = points
        x, y = points.coords[points.drawn].astype(np.float32).T
        # The browser has no integers of 64 bits; a double holds every row id.
        ids = points.ids[points.drawn].astype(np.float64)
        self._places = Package({}, x=x, y=y, ids=ids)

        def texts() -> Sequence[str]:
            if pictures is None:
                return points.texts()
            shown = pictures(points.ids[points.drawn].tolist()).fillna("")
            return [f"{one}\n{text}" for one, text in zip(shown, points.texts(), strict=True)]

        self._texts = LatePackage(lambda: texts_package(texts()))
        self._position_of = {int(row): position for position, row in enumerate(points.ids)}

    def publish(self) -> dict[str, str]:
        """Put it where the browser can fetch it."""
        return {"points": self._places.publish(), "texts": self._texts.publish()}

    def where(self, row_id: int | None) -> dict[str, float] | None:
        """Id and place of a row; None if it lies nowhere."""
        position = self._position_of.get(row_id) if row_id is not None else None
        if position is None or not np.isfinite(self.points.coords[position]).all():
            return None
        x, y = self.points.coords[position]
        return {"id": int(self.points.ids[position]), "x": float(x), "y": float(y)}

    def bits(self, ids: Iterable[int]) -> str:
        """One bit a drawn point: whether it is among some."""
        mask = self.points.mask(ids)[self.points.drawn]
        return b64encode(np.packbits(mask, bitorder="little").tobytes()).decode()


def pack_shade(shade: Shade) -> Package:
    """Pack the colours of the drawn points for the browser; do it once and keep it."""
    words = {
        "title": shade.title, "subtitle": shade.subtitle, "colors": shade.colors,
        "gradient": shade.gradient, "ticks": shade.ticks, "names": shade.names,
    }  # fmt: skip
    return Package(words, codes=shade.codes, order=shade.order)


def point_map(
    name: str,
    points: PackedPoints,
    shade: Package,
    *,
    label: str,
    theme: ThemeName,
    on_gesture: Callable[[Gesture], None],
    # The others turn grey; None colours all.
    selected_ids: Iterable[int] | None = None,
    # The others do not pass the filters: they are hardly seen and cannot be clicked.
    shown_ids: Iterable[int] | None = None,
    # These have a ring, a thin ring, and a cross.
    picked_id: int | None = None,
    neighbor_ids: Iterable[int] = (),
    pruned_ids: Iterable[int] = (),
    # The zoom is kept as long as this stays the same; by default as long as the coordinates do.
    view: str = "",
    # Plotly's layout of what is drawn behind the points.
    layout: dict[str, Any] | None = None,
    # Rows on a grid, drawn as lines of equal density behind the points.
    density: dict[str, Any] | None = None,
    # Pixels beside the map, which gets the rest of the window's height.
    above: int = 340,
) -> None:
    """Draw a map of points; what is done on it is answered before the next run."""
    drawn, n_rows = points.points.drawn, len(points.points.ids)
    selected = None if selected_ids is None else list(selected_ids)
    shown = None if shown_ids is None else list(shown_ids)
    neighbors = (points.where(row) for row in neighbor_ids)
    palette = palette_of(theme)
    published = points.publish()
    data = published | {
        "shade": shade.publish(),
        "selected": None if selected is None else points.bits(selected),
        "shown": None if shown is None else points.bits(shown),
        "pruned": points.bits(pruned_ids),
        "picked": points.where(picked_id),
        "neighbors": [place for place in neighbors if place is not None],
        "status": _status(n_rows, shown, selected),
        "note": f"showing {len(drawn):,} of {n_rows:,} rows" if len(drawn) < n_rows else "",
        "label": label,
        "view": view or published["points"],
        "layout": layout,
        "density": density,
        "above": above,
        "palette": {
            "text": palette.text, "muted": palette.muted, "grid": palette.grid,
            "surface": palette.surface, "faded": _FADED[theme],
            "faint": translucent(_FADED[theme], 0.4),
        },
    }  # fmt: skip
    _element.draw(name, data, on_gesture)


def _status(n_rows: int, shown: list[int] | None, selected: list[int] | None) -> str:
    rows = count_of(n_rows, "row")
    if selected is not None:
        return f"{len(selected):,} of {rows} selected"
    return rows if shown is None else f"{len(shown):,} of {rows} pass the filters"
