"""An element of a page that reports what a visitor does on it as numbered gestures, each answered once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

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


G = TypeVar("G")


class Element(Generic[G]):
    """A script of this folder as an element; `read` makes a gesture of a message, or None."""

    def __init__(self, script: str, thing: str, read: Callable[[dict[str, Any]], G | None]) -> None:
        self._component = st.components.v2.component(
            f"ecoval_{script}",
            js=_LOADER % (PREFIX, version(), script, thing),
            isolate_styles=False,
        )
        self._states: Family[Any] = Family(script, widget=True)
        self._seen: Family[int] = Family(f"{script}_seen")
        self._read = read

    def draw(self, name: str, data: dict[str, Any], on_gesture: Callable[[G], None]) -> None:
        """Draw the element of a name; what is done on it is answered before the next run."""

        def answer() -> None:
            state = self._states[name].get() or {}
            seen = self._seen[name].get() or 0
            for number, gesture in unanswered(state.get("gestures"), seen, self._read):
                # Noted first: a gesture that fails must not fail again at every run.
                self._seen[name].set(number)
                on_gesture(gesture)

        data = data | {"name": name, "seen": self._seen[name].get() or 0}
        self._component(key=self._states[name].key, data=data, on_gestures_change=answer)


def unanswered(
    messages: Any, seen: int, read: Callable[[dict[str, Any]], G | None]
) -> list[tuple[int, G]]:
    """Return number and gesture of a browser's messages after the last one seen, in their order."""
    found = []
    for message in messages if isinstance(messages, list) else []:
        number = message.get("number") if isinstance(message, dict) else None
        if isinstance(number, int) and number > seen:
            found.append((number, read(message)))
    gestures = [(number, gesture) for number, gesture in found if gesture is not None]
    return sorted(gestures, key=lambda each: each[0])
