"""Ticks in tables: they say what is selected, and go with it.

Streamlit keeps the ticks of a table by position as long as its key stays: after another gesture, or when
other rows are shown, they would stand at rows that nobody ticked. A table is therefore drawn under a new key,
with the right ticks, as soon as those that it has are wrong.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from pages.shared.session import Family, selected_positions

T = TypeVar("T")

_draws: Family[int] = Family("ticks")
_shown: Family[int] = Family("ticks_of")


def key_of(name: str) -> str:
    """Key under which a table was drawn last."""
    n_before = _draws[name].get() or 0
    return f"{name}_{n_before}" if n_before else name


def _positions(key: str) -> list[int] | None:
    """Positions that are ticked in a table; None where it is not drawn, or no longer."""
    try:
        return selected_positions(key)
    except KeyError:
        return None


def marked(key: str, shown: Sequence[T]) -> list[T] | None:
    """Which of the rows shown are ticked in a table; None where it is not drawn, or no longer."""
    positions = _positions(key)
    return None if positions is None else [shown[at] for at in positions if at < len(shown)]


def place(
    name: str, shown: Sequence[Hashable], wanted: Iterable[Hashable] | None = None
) -> tuple[str, list[int]]:
    """Key to draw a table under, and the positions that are ticked if it is new."""
    ids = set(() if wanted is None else wanted)
    ticked = [position for position, row in enumerate(shown) if row in ids]
    now = hash(tuple(shown))
    before = _shown[name].get()
    _shown[name].set(now)
    has = _positions(key_of(name)) or []
    # Of other rows the positions say nothing, whatever they are.
    if (wanted is not None and sorted(has) != ticked) or (has and before != now):
        _draws[name].set((_draws[name].get() or 0) + 1)
    return key_of(name), ticked
