"""How a training row acts on a validation row: two views, each a prediction of measured effects.

A kernel predicts, up to one factor that the measured effects decide, what each row of a cluster
contributes to the score at each validation row. No model is a special case: the effects measured with
it decide how much each kernel counts.

Chosen on fourteen tables of the wide suite with two seeds, among subsets of these two, the first-order
influence in a linear model and kernels of the distance at two scales. Accuracy after removing the
highest values first, for nearest neighbours, logistic regression and a forest: both kernels 0.639, 0.675
and 0.714, with linear influence as a third 0.644, 0.651 and 0.716; KNN-Shapley itself 0.643, 0.709 and
0.725. Lowest first: 0.782, 0.794 and 0.837, as a third 0.781, 0.793 and 0.837. Distances added nothing to
the proximity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from ecoval_core.valuation.forest import Forest
from ecoval_core.valuation.quality import mean_of_identical

# Distances and agreements of at most this many (row, validation row) pairs are held at once.
BLOCK_PAIRS = 4_000_000
# Beyond it, sorting all training rows by their distance to each validation row costs more than the refits.
MAX_SORTED_PAIRS = 40_000_000
# Neighbours of the game whose Shapley values the kernel takes.
N_SHAPLEY_NEIGHBORS = 5


@dataclass(frozen=True)
class Points:
    """Points and the residuals of a model there.

    Attributes
    ----------
    Z : ndarray of shape (n_points, n_features)
        Features, standardised.
    codes : ndarray of shape (n_points,)
        Class indices or targets.
    residuals : ndarray of shape (n_points, n_outputs)
        Truth minus output: the direction in which each point pulls the model.
    """

    Z: NDArray
    codes: NDArray
    residuals: NDArray

    def take(self, rows: NDArray | slice | list[int]) -> Points:
        """Return some of the points."""
        return Points(self.Z[rows], self.codes[rows], self.residuals[rows])


class Kernel(Protocol):
    """Predicts what rows contribute at every validation row."""

    name: str

    def of_members(self, rows: NDArray[np.int64], agreement: NDArray) -> NDArray:
        """Predict for training rows.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,), int
            Positions in the training set.
        agreement : ndarray of shape (n_rows, n_val)
            Products <r_i, r_v> of their residuals with those of the validation rows.

        Returns
        -------
        ndarray of shape (n_rows, n_val)
            Predicted contributions, before the kernel's weight.
        """

    def of_new(self, new: Points, agreement: NDArray) -> NDArray:
        """Predict for unseen points, each as if it alone joined; see :meth:`of_members`."""


class ProximityKernel:
    """Share of the judging forest's trees in which a row and a validation row fall into one leaf.

    Parameters
    ----------
    forest : Forest
        The forest that also judges labels.
    Z, Z_val : ndarray of shape (n_samples, n_features), (n_val, n_features)
        Training and validation points, standardised.
    """

    name = "proximity"

    def __init__(self, forest: Forest, Z: NDArray, Z_val: NDArray) -> None:
        self._forest = forest
        self._leaves = forest.leaves(Z)
        self._of_val = forest.leaves(Z_val).T.tocsr()

    def of_members(self, rows: NDArray[np.int64], agreement: NDArray) -> NDArray:
        """Predict for training rows; see :meth:`Kernel.of_members`."""
        return self._shared(self._leaves[rows], agreement)

    def of_new(self, new: Points, agreement: NDArray) -> NDArray:
        """Predict for unseen points; see :meth:`Kernel.of_new`."""
        return self._shared(self._forest.leaves(new.Z), agreement)

    def _shared(self, leaves: sparse.csr_matrix, agreement: NDArray) -> NDArray:
        n_shared = (leaves @ self._of_val).toarray()
        return n_shared * agreement / self._forest.n_trees


class ShapleyKernel:
    """Exact Shapley values of the rows in the game of the five nearest neighbours.

    Its credit rests on labels alone and not on the residuals of the model: what a row would bring to a
    validation row near by, averaged over all the sets of rows that it could join.

    Parameters
    ----------
    Z, codes : ndarray of shape (n_samples, n_features), (n_samples,)
        Training points, standardised, and their class indices.
    Z_val, codes_val : ndarray of shape (n_val, n_features), (n_val,)
        Validation points.
    identical : ndarray of shape (n_samples,), int
        Group of identical rows that each belongs to; they come in no particular order and share a value.

    References
    ----------
    R. Jia et al., "Efficient Task-Specific Data Valuation for Nearest Neighbor Algorithms",
    VLDB 2019, theorem 1.
    """

    name = "shapley"

    def __init__(
        self, Z: NDArray, codes: NDArray, Z_val: NDArray, codes_val: NDArray, identical: NDArray
    ) -> None:
        self._codes, self._codes_val, self._Z_val = codes, codes_val, Z_val
        self._index = NearestNeighbors(n_neighbors=len(Z)).fit(Z)
        self._credit: NDArray = np.empty((len(Z), len(Z_val)), dtype=np.float32)
        step = max(1, BLOCK_PAIRS // len(Z))
        for start in range(0, len(Z_val), step):
            part = slice(start, start + step)
            order = self._index.kneighbors(Z_val[part], return_distance=False)
            match = codes[order] == codes_val[part, None]
            shapley = shapley_by_rank(match)
            self._credit[order.T, np.arange(start, start + len(order))] = shapley.T
        self._credit = mean_of_identical(self._credit, identical)

    def of_members(self, rows: NDArray[np.int64], agreement: NDArray) -> NDArray:
        """Predict for training rows; see :meth:`Kernel.of_members`."""
        return self._credit[rows].astype(agreement.dtype)

    def of_new(self, new: Points, agreement: NDArray) -> NDArray:
        """Predict for unseen points; see :meth:`Kernel.of_new`."""
        n_samples = len(self._codes)
        credit = np.empty_like(agreement)
        distances, order = self._index.kneighbors(self._Z_val)
        alike = new.codes[:, None] == self._codes_val
        for v, (distance, ranked) in enumerate(zip(distances, order, strict=True)):
            to_new = np.sqrt(((new.Z - self._Z_val[v]) ** 2).sum(axis=1))
            rank = np.searchsorted(distance, to_new)
            match = (self._codes[ranked] == self._codes_val[v])[None]
            # Whoever is farther moves one rank on. The farthest newcomer has nobody behind it.
            behind = np.append(shapley_by_rank(match, n_nearer=1)[0], 0.0)
            matched_behind = np.append(match[0], False)[rank]
            gain = (alike[:, v].astype(float) - matched_behind) * _rank_weight(rank + 1)
            credit[:, v] = behind[rank] + gain
            farthest = rank == n_samples
            credit[farthest, v] = alike[farthest, v] * _rank_weight(n_samples + 1)
        return credit


def _rank_weight(rank: Any, n_neighbors: int = N_SHAPLEY_NEIGHBORS) -> Any:
    """Part that the row of a rank, from 1 for the nearest, has in the difference to the next."""
    return np.minimum(n_neighbors, rank) / (n_neighbors * np.asarray(rank, dtype=float))


def shapley_by_rank(
    match: NDArray, n_neighbors: int = N_SHAPLEY_NEIGHBORS, *, n_nearer: int = 0
) -> NDArray[np.float64]:
    """Shapley values of rows ranked by their distance to a validation row.

    Parameters
    ----------
    match : ndarray of shape (n_val, n_samples), bool
        Whether the rows, nearest first, carry the validation row's label.
    n_neighbors : int, default=5
        k of the game: a set of rows is worth the number of its k nearest members that match, over k.
    n_nearer : int, default=0
        Further rows of the game that are nearer than all of these.

    Returns
    -------
    ndarray of shape (n_val, n_samples)
        Values, in the order of the ranks.
    """
    matched = match.astype(np.float64)
    last = match.shape[1] + n_nearer
    gains = matched[:, :-1] - matched[:, 1:]
    gains *= _rank_weight(np.arange(n_nearer + 1, last), n_neighbors)
    later = np.hstack([gains[:, ::-1].cumsum(axis=1)[:, ::-1], np.zeros((len(match), 1))])
    return later + matched[:, -1:] * _rank_weight(last, n_neighbors)


def make_kernels(
    Z: NDArray, codes: NDArray, Z_val: NDArray, codes_val: NDArray, forest: Forest,
    identical: NDArray,
) -> Sequence[Kernel]:  # fmt: skip
    """Make the kernels that a task and its size allow.

    Parameters
    ----------
    Z, codes : ndarray of shape (n_samples, n_features), (n_samples,)
        Training points, standardised.
    Z_val, codes_val : ndarray of shape (n_val, n_features), (n_val,)
        Validation points.
    forest : Forest
        The forest that judges labels.
    identical : ndarray of shape (n_samples,), int
        Group of identical rows that each belongs to.

    Returns
    -------
    sequence of Kernel
        Proximity; for classification, up to 40 million pairs of rows, also Shapley.
    """
    kernels: list[Kernel] = [ProximityKernel(forest, Z, Z_val)]
    if forest.is_classifier and len(Z) * len(Z_val) <= MAX_SORTED_PAIRS:
        kernels.append(ShapleyKernel(Z, codes, Z_val, codes_val, identical))
    return kernels
