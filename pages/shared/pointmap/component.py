"""An element of a page that reports what a visitor does on it as numbered gestures, each answered once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import streamlit as st

from pages.shared.pointmap.wire import PREFIX, version
from pages.shared.session import Family

# Small enough to travel with every run; it fetches the rest once.
_LOADER = """
const address = new URL("%s/%s/%s.js", document.baseURI).href;
export default async function (component) {
  let element;
  try {
    element = await import(address);
  } catch (error) {
    component.parentElement.textContent =
      "The %s could not be loaded. Start the app with “streamlit run app.py”, then reload this page.";
    throw error;
  }
  return element.default(component);
}
"""


class Numbered(Protocol):
    """Whatever a browser numbers, so that it is answered once."""

    @property
    def number(self) -> int:
        """Larger than that of any before."""


N = TypeVar("N", bound=Numbered)


class Element(Generic[N]):
    """A script of this folder as an element; `read` makes a gesture of a message, or None."""

    def __init__(self, script: str, thing: str, read: Callable[[Any], N | None]) -> None:
        self._component = st.components.v2.component(
            f"ecoval_{script}",
            js=_LOADER % (PREFIX, version(), script, thing),
            isolate_styles=False,
        )
        self._states: Family[Any] = Family(script, widget=True)
        self._seen: Family[int] = Family(f"{script}_seen")
        self._read = read

    def draw(self, name: str, data: dict[str, Any], on_gesture: Callable[[N], None]) -> None:
        """Draw the element of a name; what is done on it is answered before the next run."""

        def answer() -> None:
            state = self._states[name].get() or {}
            for gesture in unanswered(
                state.get("gestures"), self._seen[name].get() or 0, self._read
            ):
                # Noted first: a gesture that fails must not fail again at every run.
                self._seen[name].set(gesture.number)
                on_gesture(gesture)

        data = data | {"name": name, "seen": self._seen[name].get() or 0}
        self._component(key=self._states[name].key, data=data, on_gestures_change=answer)


def unanswered(messages: Any, seen: int, read: Callable[[Any], N | None]) -> list[N]:
    """Return the gestures of a browser's messages after the last one seen, in the order of their numbers."""
    if not isinstance(messages, list):
        return []
    gestures = [gesture for gesture in map(read, messages) if gesture is not None]
    return sorted(
        (gesture for gesture in gestures if gesture.number > seen), key=lambda each: each.number
    )
