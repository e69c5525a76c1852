"""Which rows lie inside what was drawn on a map, and what becomes of the selection by it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Mode = Literal["replace", "add", "remove"]


def inside_polygon(coords: ArrayLike, polygon: ArrayLike) -> NDArray[np.bool_]:
    """Tell which points lie inside a polygon, by the even-odd rule.

    A ray from the point to the right crosses the outline an odd number of times if the point is inside
    (Shimrat, 1962), also where the outline crosses itself. An edge counts for ordinates from its lower
    end, included, to its upper end, excluded, so that no vertex is counted twice.

    Parameters
    ----------
    coords : array-like of shape (n_points, 2)
        The points; one that is not finite lies outside.
    polygon : array-like of shape (n_vertices, 2)
        The vertices in order; the last is joined to the first.

    Returns
    -------
    ndarray of shape (n_points,), bool
        Whether each point is inside. Fewer than three vertices hold nothing.

    Raises
    ------
    ValueError
        If either has not two columns, or a vertex is not finite.
    """
    coords, polygon = _pairs(coords, "coords"), _pairs(polygon, "polygon")
    if not np.isfinite(polygon).all():
        raise ValueError("A vertex of the polygon is not finite.")
    inside = np.zeros(len(coords), dtype=bool)
    if len(polygon) < 3 or not len(coords):
        return inside
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    near = np.flatnonzero(((coords >= low) & (coords <= high)).all(axis=1))
    # Sorted by ordinate, the points that an edge can separate stand side by side.
    near = near[np.argsort(coords[near, 1], kind="stable")]
    x, y = coords[near].T
    odd = np.zeros(len(near), dtype=bool)
    start, end = polygon, np.roll(polygon, -1, axis=0)
    upward = np.where((start[:, 1] <= end[:, 1])[:, None, None], np.stack([start, end], axis=1),
                      np.stack([end, start], axis=1))  # fmt: skip
    first = np.searchsorted(y, upward[:, 0, 1], side="left")
    last = np.searchsorted(y, upward[:, 1, 1], side="left")
    for (lower, upper), begin, stop in zip(upward, first, last, strict=True):
        if begin < stop:
            share = (y[begin:stop] - lower[1]) / (upper[1] - lower[1])
            odd[begin:stop] ^= x[begin:stop] < lower[0] + share * (upper[0] - lower[0])
    inside[near[odd]] = True
    return inside


def inside_box(coords: ArrayLike, corners: ArrayLike) -> NDArray[np.bool_]:
    """Tell which points lie inside a box, its edges included.

    Parameters
    ----------
    coords : array-like of shape (n_points, 2)
        The points; one that is not finite lies outside.
    corners : array-like of shape (2, 2)
        Two opposite corners, in either order.

    Returns
    -------
    ndarray of shape (n_points,), bool
        Whether each point is inside.

    Raises
    ------
    ValueError
        If either has another shape, or a corner is not finite.
    """
    coords, corners = _pairs(coords, "coords"), _pairs(corners, "corners")
    if len(corners) != 2 or not np.isfinite(corners).all():
        raise ValueError("A box has two finite corners.")
    low, high = corners.min(axis=0), corners.max(axis=0)
    return np.asarray(((coords >= low) & (coords <= high)).all(axis=1))


def change_selection(
    before: NDArray[np.bool_], taken: NDArray[np.bool_], mode: Mode
) -> NDArray[np.bool_]:
    """Apply a gesture to a selection.

    Parameters
    ----------
    before : ndarray of shape (n_points,), bool
        What was selected.
    taken : ndarray of shape (n_points,), bool
        What the gesture is about.
    mode : {"replace", "add", "remove"}
        What is done with it.

    Returns
    -------
    ndarray of shape (n_points,), bool
        What is selected from then on.

    Raises
    ------
    ValueError
        If there is no such mode.
    """
    if mode == "replace":
        return taken.copy()
    if mode == "add":
        return before | taken
    if mode == "remove":
        return before & ~taken
    raise ValueError(f"Unknown mode {mode!r}; choose from replace, add, remove.")


def _pairs(array: ArrayLike, name: str) -> NDArray[np.float64]:
    pairs = np.asarray(array, dtype=np.float64)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(f"{name} must have two columns, but its shape is {pairs.shape}.")
    return pairs
