"""A Plotly chart whose marks take clicks and boxes, as an element of a page.

Streamlit's own chart is made anew whenever its figure differs, which forgets the zoom, and it remembers its
last selection, which comes back after another gesture. This one keeps the former and tells each gesture once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from plotly.graph_objects import Figure

from ecoval_core.charts import CHART_CONFIG
from ecoval_core.charts.selection import Mode
from pages.shared.pointmap.component import Element

MAX_KEYS = 2_000


@dataclass(frozen=True)
class Touch:
    """One click or box on a chart: the `ids` of the marks touched, and what it does with the rows behind."""

    # Empty for a box around nothing.
    keys: tuple[str, ...]
    mode: Mode

    @classmethod
    def read(cls, message: dict[str, Any]) -> Touch | None:
        """Read a touch as the browser sends it; None if it is none."""
        keys = message.get("keys")
        mode: Any = message.get("mode")
        if not isinstance(keys, list) or len(keys) > MAX_KEYS or mode not in get_args(Mode):
            return None
        return cls(tuple(map(str, keys)), mode)


_element = Element("chart", "chart", Touch.read)


def live_chart(figure: Figure, name: str, *, view: str, on_touch: Callable[[Touch], None]) -> None:
    """Draw a figure whose marks with `ids` take clicks; its zoom is kept as long as `view` is the same."""
    has_bars = any(trace.type == "bar" and trace.ids is not None for trace in figure.data)
    unused = (
        ["lasso2d"] if has_bars and figure.layout.dragmode == "select" else ["lasso2d", "select2d"]
    )
    removed = [*CHART_CONFIG["modeBarButtonsToRemove"], *unused]
    data = {
        "figure": figure.to_json(),
        "config": CHART_CONFIG | {"modeBarButtonsToRemove": removed},
        "label": figure.layout.title.text or name,
        "height": int(figure.layout.height),
        "view": view,
    }
    _element.draw(name, data, on_touch)
