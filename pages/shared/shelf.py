"""A bounded store that all visitors of a server share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Shelf(Generic[T]):
    """Things of which the most recently used are kept.

    Parameters
    ----------
    max_kept : int
        Things kept; the one unused for longest goes first.
    """

    def __init__(self, max_kept: int) -> None:
        self._max_kept = max_kept
        self._items: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, name: str, item: T) -> None:
        """Keep a thing under a name."""
        with self._lock:
            self._items[name] = item
            self._items.move_to_end(name)
            while len(self._items) > self._max_kept:
                self._items.popitem(last=False)

    def get(self, name: str) -> T | None:
        """Return the thing of a name, or None if it is no longer kept."""
        with self._lock:
            if name in self._items:
                self._items.move_to_end(name)
            return self._items.get(name)
