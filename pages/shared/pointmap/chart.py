"""A Plotly chart whose marks take clicks and boxes, as an element of a page.

Streamlit's own chart is made anew whenever its figure differs, which forgets the zoom, and it remembers its
last selection, which comes back after another gesture. This one keeps the former and tells each gesture once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import streamlit as st
from plotly.graph_objects import Figure

from ecoval_core.charts import CHART_CONFIG
from ecoval_core.charts.selection import Mode
from pages.shared.pointmap.gestures import unanswered
from pages.shared.pointmap.wire import PREFIX, version
from pages.shared.session import Family

# Small enough to travel with every run; it fetches the rest once.
_LOADER = """
const address = new URL("%s/%s/chart.js", document.baseURI).href;
export default async function (component) {
  let chart;
  try {
    chart = await import(address);
  } catch (error) {
    component.parentElement.textContent =
      "The chart could not be loaded. Start the app with “streamlit run app.py”, then reload this page.";
    throw error;
  }
  return chart.default(component);
}
"""

_component = st.components.v2.component(
    "ecoval_chart", js=_LOADER % (PREFIX, version()), isolate_styles=False
)
MAX_KEYS = 2_000
_states: Family[Any] = Family("chart")
_seen: Family[int] = Family("chart_seen")


@dataclass(frozen=True)
class Touch:
    """One click or box on a chart.

    Attributes
    ----------
    number : int
        Larger than that of every touch before.
    keys : tuple of str
        `ids` of the marks touched, of the figure's traces; empty for a box around nothing.
    mode : {"replace", "add", "remove"}
        What it does with the rows behind them.
    """

    number: int
    keys: tuple[str, ...]
    mode: Mode

    @classmethod
    def read(cls, message: Any) -> Touch | None:
        """Read a touch as the browser sends it; None if it is none.

        Parameters
        ----------
        message : object
            A mapping of `number`, `keys` and `mode`.
        """
        if not isinstance(message, dict):
            return None
        keys: Any = message.get("keys")
        mode: Any = message.get("mode")
        if not isinstance(keys, list) or len(keys) > MAX_KEYS or mode not in get_args(Mode):
            return None
        try:
            return cls(int(message["number"]), tuple(map(str, keys)), mode)
        except (KeyError, TypeError, ValueError, OverflowError):
            return None


def live_chart(figure: Figure, name: str, *, view: str, on_touch: Callable[[Touch], None]) -> None:
    """Draw a figure whose marks can be clicked, and whose bars can be boxed.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        Marks that take a click have `ids`.
    name : str
        Name of the chart, one on a page.
    view : str
        The zoom is kept as long as this stays the same.
    on_touch : callable
        Called before the next run with each touch.
    """
    has_bars = any(trace.type == "bar" and trace.ids is not None for trace in figure.data)
    unused = (
        ["lasso2d"] if has_bars and figure.layout.dragmode == "select" else ["lasso2d", "select2d"]
    )
    removed = [*CHART_CONFIG["modeBarButtonsToRemove"], *unused]
    data = {
        "figure": figure.to_json(),
        "config": CHART_CONFIG | {"modeBarButtonsToRemove": removed},
        "name": name,
        "label": figure.layout.title.text or name,
        "height": int(figure.layout.height),
        "view": view,
        "seen": _seen.get(name) or 0,
    }

    def answer() -> None:
        state = _states.get(name) or {}
        for touch in unanswered(state.get("gestures"), _seen.get(name) or 0, Touch.read):
            # Noted first: a touch that fails must not fail again at every run.
            _seen.set(name, touch.number)
            on_touch(touch)

    _component(key=_states.key(name), data=data, on_gestures_change=answer)
