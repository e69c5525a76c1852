"""What a visitor does on the map, as the browser reports it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ecoval_core.charts.points import PointData
from ecoval_core.charts.selection import Mode, change_selection, inside_box, inside_polygon

# A lasso, a box, a click with a key, two buttons, and a click without any, which does not select.
Kind = Literal["polygon", "box", "point", "invert", "clear", "pick"]
MAX_VERTICES = 2_000


@dataclass(frozen=True, eq=False)
class Gesture:
    """One gesture on the map; `outline` is a lasso or two corners, in the coordinates of the points."""

    kind: Kind
    mode: Mode
    outline: NDArray[np.float64]
    row_id: int | None

    @classmethod
    def read(cls, message: dict[str, Any]) -> Gesture | None:
        """Read a gesture as the browser sends it; None if it is none."""
        try:
            flat = np.asarray(message.get("outline", []), dtype=np.float64)
            gesture = cls(
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
        self, points: PointData, before: Iterable[int], shown_ids: Iterable[int] | None = None
    ) -> list[int]:
        """Return the row ids selected after it; it takes rows that pass the filters, drawn or not."""
        selected = points.mask(before)
        takeable = np.isfinite(points.coords).all(axis=1)
        if shown_ids is not None:
            takeable &= points.mask(shown_ids)
        if self.kind == "clear":
            after = np.zeros_like(selected)
        elif self.kind == "invert":
            # What the filters hide stays selected.
            after = takeable ^ selected
        else:
            after = change_selection(selected, takeable & self._covered(points), self.mode)
        return [int(row) for row in points.ids[after]]

    def _covered(self, points: PointData) -> NDArray[np.bool_]:
        if self.kind == "polygon":
            return inside_polygon(points.coords, self.outline)
        if self.kind == "box":
            return inside_box(points.coords, self.outline)
        return np.asarray(points.ids == self.row_id)
