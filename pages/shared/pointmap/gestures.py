"""What a visitor does on the map, as the browser reports it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from ecoval_core.charts.points import PointData
from ecoval_core.charts.selection import Mode, change_selection, inside_box, inside_polygon

Kind = Literal["polygon", "box", "point", "invert", "clear", "pick"]
MAX_VERTICES = 2_000


class Numbered(Protocol):
    """Whatever a browser numbers, so that it is answered once."""

    @property
    def number(self) -> int:
        """Larger than that of any before."""


N = TypeVar("N", bound=Numbered)


@dataclass(frozen=True, eq=False)
class Gesture:
    """One gesture on the map.

    Attributes
    ----------
    number : int
        Larger than that of every gesture before.
    kind : {"polygon", "box", "point", "invert", "clear", "pick"}
        A lasso, a box, a click with shift or alt; invert and clear are buttons and keys; pick is a click
        without any key, which does not change the selection.
    mode : {"replace", "add", "remove"}
        What a lasso, a box or a click does with the rows that it takes.
    outline : ndarray of shape (n_vertices, 2), float
        Vertices of the lasso or two corners of the box, in the coordinates of the points.
    row_id : int or None
        Row of a click; None with `pick` for no row.
    """

    number: int
    kind: Kind
    mode: Mode
    outline: NDArray[np.float64]
    row_id: int | None

    @classmethod
    def read(cls, message: Any) -> Gesture | None:
        """Read a gesture as the browser sends it.

        Parameters
        ----------
        message : object
            A mapping of `number`, `kind` and, where they are needed, `mode`, `outline` and `row`.

        Returns
        -------
        Gesture or None
            None if it is no gesture.
        """
        if not isinstance(message, dict):
            return None
        try:
            flat = np.asarray(message.get("outline", []), dtype=np.float64)
            gesture = cls(
                int(message["number"]),
                message["kind"],
                message.get("mode", "replace"),
                flat.reshape(-1, 2),
                None if message.get("row") is None else int(message["row"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        return gesture if gesture._is_sound() else None

    def _is_sound(self) -> bool:
        n = len(self.outline)
        vertices = {"polygon": 3 <= n <= MAX_VERTICES, "box": n == 2}
        return (
            self.kind in get_args(Kind)
            and self.mode in get_args(Mode)
            and vertices.get(self.kind, True)
            and bool(np.isfinite(self.outline).all())
            and (self.kind != "point" or self.row_id is not None)
        )

    def selects(
        self,
        points: PointData,
        before: Iterable[int],
        shown_ids: Iterable[int] | None = None,
    ) -> list[int]:
        """Return what is selected after the gesture.

        Parameters
        ----------
        points : PointData
            All rows. Those that are not drawn are taken like those that are.
        before : iterable of int
            Row ids selected before it.
        shown_ids : iterable of int or None, default=None
            Row ids that a gesture may take, as those that pass the filters; None for all.

        Returns
        -------
        list of int
            Row ids in the order of `points`.
        """
        selected = points.mask(before)
        if self.kind == "pick":
            return [int(row) for row in points.ids[selected]]
        takeable = np.isfinite(points.coords).all(axis=1)
        if shown_ids is not None:
            takeable &= points.mask(shown_ids)
        if self.kind == "clear":
            after = np.zeros_like(selected)
        elif self.kind == "invert":
            after = takeable & ~selected
        else:
            after = change_selection(selected, takeable & self._covered(points), self.mode)
        return [int(row) for row in points.ids[after]]

    def _covered(self, points: PointData) -> NDArray[np.bool_]:
        if self.kind == "polygon":
            return inside_polygon(points.coords, self.outline)
        if self.kind == "box":
            return inside_box(points.coords, self.outline)
        return np.asarray(points.ids == self.row_id)


def unanswered(messages: Any, seen: int, read: Callable[[Any], N | None]) -> list[N]:
    """Return the gestures that were not answered yet.

    Parameters
    ----------
    messages : object
        List of gestures as the browser sends it: all that it does not know to be answered.
    seen : int
        Number of the last one that was.
    read : callable
        Reads one of them, such as :meth:`Gesture.read`; None for what is none.

    Returns
    -------
    list
        In the order in which they were made.
    """
    if not isinstance(messages, list):
        return []
    gestures = [gesture for gesture in map(read, messages) if gesture is not None]
    return sorted(
        (gesture for gesture in gestures if gesture.number > seen), key=lambda each: each.number
    )
