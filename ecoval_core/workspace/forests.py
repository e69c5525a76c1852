"""Forests as a few arrays: a fit of a hundred clusters has ten thousand trees, too many to be named singly.

The trees of scikit-learn are compiled code that follows the indices it is given without a look at them. What
is read back may come from anybody, so every index is checked before a tree is made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.tree._tree import Tree

_FORESTS = (RandomForestClassifier, RandomForestRegressor)
_BOOSTED = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
_TREES = {
    RandomForestClassifier: DecisionTreeClassifier,
    RandomForestRegressor: DecisionTreeRegressor,
}
_PACKED = "packed_trees"
_NODES = Tree(1, np.array([1]), 1).__getstate__()["nodes"].dtype
# Of a tree, what is its own and not that of all trees of the forest.
_OWN = ("tree_", "random_state")


class DamagedForestError(ValueError):
    """Trees that lead nowhere or out of their data."""


@contextlib.contextmanager
def packed(parts: Iterable[Any]) -> Iterator[None]:
    """Have forests hold their trees as arrays, while this lasts.

    Parameters
    ----------
    parts : iterable of object
        Fitted estimators and anything else; changed in place, and back at the end.
    """
    changed: list[tuple[Any, str, Any]] = []
    try:
        for model in parts:
            held = vars(model) if isinstance(model, (*_FORESTS, *_BOOSTED)) else {}
            name = "estimators_" if isinstance(model, _FORESTS) else "_predictors"
            if name in held:
                trees = held[name]
                held[_PACKED] = _pack(trees) if name == "estimators_" else _pack_boosted(trees)
                changed.append((model, name, held.pop(name)))
        yield
    finally:
        for model, name, trees in changed:
            del vars(model)[_PACKED]
            vars(model)[name] = trees


def unpack(parts: Iterable[Any], n_features: int) -> None:
    """Have forests hold their trees again.

    Parameters
    ----------
    parts : iterable of object
        Estimators read back and anything else; changed in place.
    n_features : int
        Columns of the rows that they are used on.

    Raises
    ------
    DamagedForestError
        If an index leads out of what there is, or a path has no end.
    """
    for model in parts:
        if isinstance(model, _FORESTS) and "estimators_" not in vars(model):
            if (kept := vars(model).pop(_PACKED, None)) is not None:
                model.estimators_ = _unpack(kept, _TREES[type(model)], n_features)
        elif isinstance(model, _BOOSTED) and (kept := vars(model).pop(_PACKED, None)) is not None:
            model._predictors = _unpack_boosted(kept, n_features)


def _pack(trees: list[Any]) -> dict[str, Any]:
    inner = [tree.tree_ for tree in trees]
    states = [tree.__getstate__() for tree in inner]
    return {
        "common": {name: kept for name, kept in vars(trees[0]).items() if name not in _OWN},
        "seeds": np.array([tree.random_state for tree in trees], dtype=np.int64),
        "n_classes": np.asarray(inner[0].n_classes),
        "n_outputs": int(inner[0].n_outputs),
        "depths": np.array([state["max_depth"] for state in states], dtype=np.int64),
        "counts": np.array([state["node_count"] for state in states], dtype=np.int64),
        "nodes": np.concatenate([state["nodes"] for state in states]),
        "values": np.concatenate([state["values"] for state in states]),
    }


def _unpack(kept: dict[str, Any], kind: Any, n_features: int) -> list[Any]:
    nodes, values, counts = _as_nodes(kept["nodes"], _NODES), kept["values"], kept["counts"]
    n_classes, n_outputs = np.asarray(kept["n_classes"], dtype=np.int64), int(kept["n_outputs"])
    is_whole = (
        values.dtype == np.float64
        and n_classes.shape == (n_outputs,)
        and bool((n_classes >= 1).all())
        and values.shape == (len(nodes), n_outputs, int(n_classes.max()))
        and len(counts) == len(kept["seeds"]) == len(kept["depths"]) > 0
    )
    if not is_whole:
        raise DamagedForestError("trees without nodes")
    is_leaf = nodes["left_child"] == -1
    _check_paths(
        nodes["left_child"], nodes["right_child"], nodes["feature"], is_leaf, counts, n_features
    )
    ends = np.cumsum(counts)
    trees = []
    for number, end in enumerate(ends):
        piece = slice(end - counts[number], end)
        tree = Tree(n_features, n_classes, n_outputs)
        tree.__setstate__(
            {
                "max_depth": int(kept["depths"][number]),
                "node_count": int(counts[number]),
                "nodes": np.ascontiguousarray(nodes[piece]),
                "values": np.ascontiguousarray(values[piece]),
            }
        )
        one = kind.__new__(kind)
        seed = int(kept["seeds"][number])
        vars(one).update({**kept["common"], "random_state": seed, "tree_": tree})
        trees.append(one)
    return trees


def _pack_boosted(iterations: list[list[Any]]) -> dict[str, Any]:
    trees = [tree for iteration in iterations for tree in iteration]
    return {
        "trees": np.array([len(iteration) for iteration in iterations], dtype=np.int64),
        "counts": np.array([len(tree.nodes) for tree in trees], dtype=np.int64),
        "nodes": np.concatenate([np.zeros(0, PREDICTOR_RECORD_DTYPE), *(t.nodes for t in trees)]),
    }


def _unpack_boosted(kept: dict[str, Any], n_features: int) -> list[list[Any]]:
    nodes = _as_nodes(kept["nodes"], PREDICTOR_RECORD_DTYPE)
    counts, sizes = kept["counts"], kept["trees"]
    if sizes.dtype.kind != "i" or (sizes < 0).any() or sizes.sum() != len(counts):
        raise DamagedForestError("trees without nodes")
    # Features are numbers; a split by categories would go through tables that are not kept.
    if nodes["is_categorical"].any():
        raise DamagedForestError("a split by categories")
    _check_paths(
        nodes["left"].astype(np.int64), nodes["right"].astype(np.int64), nodes["feature_idx"],
        nodes["is_leaf"] != 0, counts, n_features,
    )  # fmt: skip
    none = np.zeros((0, 8), dtype=np.uint32)
    ends = np.cumsum(counts)
    trees = [
        TreePredictor(np.ascontiguousarray(nodes[end - count : end]), none, none)
        for end, count in zip(ends, counts, strict=True)
    ]
    stops = np.cumsum(sizes)
    return [trees[stop - size : stop] for stop, size in zip(stops, sizes, strict=True)]


def _as_nodes(kept: NDArray, dtype: np.dtype) -> NDArray:
    """Lay out fields as compiled code reads them; an array on disk has no gaps between them."""
    named = [(name, kept.dtype[name]) for name in kept.dtype.names or ()]
    if kept.ndim != 1 or named != [(name, dtype[name]) for name in dtype.names or ()]:
        raise DamagedForestError("nodes of another make")
    nodes = np.empty(len(kept), dtype=dtype)
    for name, _ in named:
        nodes[name] = kept[name]
    return nodes


def _check_paths(
    left: NDArray, right: NDArray, feature: NDArray, is_leaf: NDArray, counts: NDArray,
    n_features: int,
) -> None:  # fmt: skip
    """Refuse trees in which a node is not followed by its two children, all within the tree."""
    counts = np.asarray(counts)
    if counts.ndim != 1 or counts.dtype.kind != "i" or (counts < 1).any():
        raise DamagedForestError("a tree without nodes")
    if counts.sum() != len(left):
        raise DamagedForestError("nodes without a tree")
    here = np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts)
    size = np.repeat(counts, counts)
    inner = ~is_leaf
    # Children come after their parents, so that every path ends.
    is_sound = (
        (left[inner] > here[inner]).all()
        and (right[inner] > here[inner]).all()
        and (left[inner] < size[inner]).all()
        and (right[inner] < size[inner]).all()
        and (feature[inner] >= 0).all()
        and (feature[inner] < n_features).all()
    )
    if not is_sound:
        raise DamagedForestError("a path out of its tree")
