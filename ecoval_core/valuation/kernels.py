"""How a training row acts on a validation row: two kernels, the same for every model.

What row i of cluster c contributes to the score at validation row v is predicted by kernels kappa_k,

    s_i(v) = w_v sum_k beta_k kappa_k(i, v)

whose weights beta >= 0 the measured effects decide. The proximity kernel is the share of the judging
forest's trees in which both rows fall into one leaf, times <r_i, r_v>, the product of their residuals under
the model without c: its cost grows with the rows, since only pairs that share a leaf are looked at. The
Shapley kernel is the row's exact Shapley value at v in the game of the five nearest neighbours.

Tried beside them on fourteen tables of the wide suite: linear influence as a third kernel (removing the
highest values of a logistic regression leaves 0.651 of accuracy in place of 0.675, but of nearest neighbours
0.644 in place of 0.639) and distances at two scales, which added nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from joblib import parallel_config
from numpy.typing import NDArray
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.parallel import Parallel, delayed

from ecoval_core.models.parallel import map_rows
from ecoval_core.valuation.quality import mean_of_identical
from ecoval_core.valuation.scoring import Scale, residuals

# At most this many (row, validation row) pairs are held at once.
BLOCK_PAIRS = 4_000_000
# Beyond it, sorting all training rows by their distance to each validation row costs more than the refits.
MAX_SORTED_PAIRS = 40_000_000
# Neighbours of the game whose Shapley values the kernel takes.
N_SHAPLEY_NEIGHBORS = 5
# Twice as many trees raise the noise AUC of the label quality by at most 0.004 and double the cost.
N_TREES = 50
MIN_LEAF_ROWS = 5


@dataclass(frozen=True)
class Points:
    """Standardised points, their codes, and the residuals of a model there."""

    Z: NDArray
    codes: NDArray
    residuals: NDArray

    def take(self, rows: NDArray | slice | list[int]) -> Points:
        """Return some of the points."""
        return Points(self.Z[rows], self.codes[rows], self.residuals[rows])


class Forest:
    """A random forest on the training rows: a judge of labels, and by its leaves a measure of proximity."""

    def __init__(
        self, Z: NDArray, codes: NDArray, scale: Scale, rows: NDArray, seed: int,
        n_jobs: int | None = None,
    ) -> None:  # fmt: skip
        self._scale, self.n_jobs = scale, n_jobs
        self.is_classifier = scale.task == "classification"
        settings: dict[str, Any] = {
            "n_estimators": N_TREES, "min_samples_leaf": MIN_LEAF_ROWS, "oob_score": True,
            "random_state": seed, "n_jobs": n_jobs,
        }  # fmt: skip
        self._model: Any
        if self.is_classifier:
            self._model, target = RandomForestClassifier(**settings), codes
        else:
            # A third of the columns at each split is the usual choice for regression.
            self._model = RandomForestRegressor(max_features=1 / 3, **settings)
            target = (codes - scale.prior[0]) / scale.deviation
        # To a cluster's backend every tree would be a task of its own.
        with parallel_config("threading"):
            self._model.fit(Z[rows], target[rows])
        # Threads add up the trees' outputs in any order, which changes the last bit.
        self._model.n_jobs = None
        self.n_trees = N_TREES
        offsets = [0, *np.cumsum([tree.tree_.node_count for tree in self._model.estimators_])]
        self._offsets = np.array(offsets)
        self.out_of_bag = np.empty((len(Z), scale.n_classes))
        seen = "oob_decision_function_" if self.is_classifier else "oob_prediction_"
        self.out_of_bag[rows] = self._judgement(getattr(self._model, seen))
        unseen = np.setdiff1d(np.arange(len(Z)), rows)
        if len(unseen):
            self.out_of_bag[unseen] = self.output(Z[unseen])

    def _judgement(self, predicted: NDArray) -> NDArray[np.float64]:
        if not self.is_classifier:
            return (predicted * self._scale.deviation + self._scale.prior[0])[:, None]
        output = np.zeros((len(predicted), self._scale.n_classes))
        output[:, self._model.classes_] = predicted
        return output

    def output(self, Z: NDArray) -> NDArray[np.float64]:
        """Judge unseen points by all trees."""
        predict = self._model.predict_proba if self.is_classifier else self._model.predict
        return self._judgement(map_rows(predict, Z, self.n_jobs))

    def nodes(self, Z: NDArray) -> NDArray[np.int32]:
        """Return the number of the leaf into which each point falls in each tree."""

        def number(part: NDArray) -> NDArray[np.int32]:
            return (self._model.apply(part) + self._offsets[:-1]).astype(np.int32)

        return map_rows(number, Z, self.n_jobs)

    def leaves(self, nodes: NDArray[np.int32]) -> sparse.csr_matrix:
        """Mark numbered leaves: a product of two rows is the number of leaves that points share."""
        ones = np.ones(nodes.size, dtype=np.float32)
        ends = np.arange(0, nodes.size + 1, self.n_trees)
        shape = (len(nodes), int(self._offsets[-1]))
        return sparse.csr_matrix((ones, nodes.ravel(), ends), shape=shape)


@dataclass(frozen=True)
class LeftOut:
    """Clusters left out one at a time: their members and the effects of their absence."""

    labels: NDArray[np.int64]  # cluster of each row
    own: NDArray[np.float64]  # residuals r_i of the rows under the model without their cluster
    output_val: NDArray  # of those models: (K, n_val, n_outputs), or (1, ...) if one stands for all
    effects: NDArray[np.float64]  # w_v Delta_c(v): (K, n_val)
    codes_val: NDArray
    row_weights: NDArray[np.float64]  # w_v
    scale: Scale
    sample_weight: NDArray[np.float64] | None = None  # of the training rows

    def weighed(self, credit: NDArray, rows: NDArray | slice) -> NDArray:
        """Multiply what rows contribute by their weights."""
        return credit if self.sample_weight is None else (credit.T * self.sample_weight[rows]).T

    def share_out(self, amounts: NDArray) -> NDArray[np.float64]:
        """Share out an amount for each cluster among its members, by their weights."""
        if self.sample_weight is None:
            return (amounts / self.sizes)[self.labels]
        total = np.bincount(self.labels, self.sample_weight)[self.labels]
        part = np.divide(self.sample_weight, total, out=np.zeros(len(total)), where=total > 0)
        return amounts[self.labels] * part

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Members of each cluster."""
        return np.bincount(self.labels)

    @property
    def order(self) -> NDArray[np.int64]:
        """Rows by cluster."""
        return np.argsort(self.labels, kind="stable")

    def residuals_val(self, cluster: int) -> NDArray[np.float64]:
        """Residuals r_v of the validation rows under the model without a cluster."""
        output = self.output_val[cluster if len(self.output_val) > 1 else 0]
        return residuals(output, self.codes_val, self.scale)

    def agreement(self, rows: NDArray, columns: NDArray) -> NDArray[np.float64]:
        """Products <r_i, r_v> of pairs of rows and validation rows."""
        cluster = self.labels[rows] if len(self.output_val) > 1 else 0
        r_v = residuals(self.output_val[cluster, columns], self.codes_val[columns], self.scale)
        return np.einsum("po,po->p", self.own[rows], r_v)


class Predictions(NamedTuple):
    """What a kernel predicts, or was measured of rows left out alone, weighed by validation row."""

    means: NDArray[np.float64]  # over the validation rows: (n_samples,)
    sums: NDArray[np.float64]  # over the members of each cluster: (K, n_val)
    some: NDArray[np.float32]  # at the validation rows asked for: (n_samples, n_columns)


class ProximityKernel:
    """Share of the judging forest's trees in which a row and a validation row fall into one leaf."""

    name = "proximity"

    def __init__(self, forest: Forest, Z: NDArray, Z_val: NDArray) -> None:
        self._forest, self._n_jobs = forest, forest.n_jobs
        self._nodes = forest.nodes(Z)
        self._of_val = forest.leaves(forest.nodes(Z_val)).T.tocsr()

    def predict(self, left: LeftOut, columns: NDArray[np.int64]) -> Predictions:
        """Predict for the training rows, block by block on threads."""
        n_clusters, n_val = left.effects.shape
        means, sums = np.empty(len(left.labels)), np.zeros((n_clusters, n_val))
        some = np.empty((len(left.labels), len(columns)), dtype=np.float32)
        order = left.order
        step = max(1, BLOCK_PAIRS // (n_val * left.own.shape[1]))
        blocks = [order[start : start + step] for start in range(0, len(order), step)]
        with parallel_config("threading"):
            found = Parallel(n_jobs=self._n_jobs, return_as="generator")(
                delayed(self._predict_block)(left, columns, rows) for rows in blocks
            )
            # Sums are added in the order of the blocks: the same bits for any number of threads.
            for rows, (of_rows, first, of_clusters, at_columns) in zip(blocks, found, strict=True):
                means[rows], some[rows] = of_rows, at_columns
                sums[first : first + len(of_clusters)] += of_clusters
        return Predictions(means, sums, some)

    def _predict_block(
        self, left: LeftOut, columns: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> tuple[NDArray, int, NDArray, NDArray]:
        """Predict for rows of neighbouring clusters: means, the first cluster, sums from it on, and some."""
        n_val = left.effects.shape[1]
        pairs = self._forest.leaves(self._nodes[rows]) @ self._of_val
        i, v = np.repeat(np.arange(len(rows)), np.diff(pairs.indptr)), pairs.indices
        shares = pairs.data / self._forest.n_trees * left.row_weights[v]
        credit = left.weighed(shares * left.agreement(rows[i], v), rows[i])
        first, last = left.labels[rows[[0, -1]]]
        cells = (left.labels[rows[i]] - first) * n_val + v
        sums = np.bincount(cells, credit, (last - first + 1) * n_val).reshape(-1, n_val)
        pairs = sparse.csr_matrix((credit, v, pairs.indptr), pairs.shape)
        means = np.bincount(i, credit, len(rows)) / n_val
        return means, int(first), sums, pairs[:, columns].toarray()

    def of_new(self, new: Points, agreement: NDArray) -> NDArray:
        """Predict for unseen points."""
        leaves = self._forest.leaves(self._forest.nodes(new.Z))
        return (leaves @ self._of_val).toarray() * agreement / self._forest.n_trees


class ShapleyKernel:
    """Shapley values in the game of the nearest neighbours (Jia et al., VLDB 2019, theorem 1)."""

    name = "shapley"

    def __init__(
        self, Z: NDArray, codes: NDArray, Z_val: NDArray, codes_val: NDArray, identical: NDArray
    ) -> None:
        self._Z, self._codes, self._identical = Z, codes, identical
        self._codes_val, self._Z_val = codes_val, Z_val

    def predict(self, left: LeftOut, columns: NDArray[np.int64]) -> Predictions:
        """Predict for the training rows, block by block of the validation rows."""
        n_clusters, n_val = left.effects.shape
        means, sums = np.zeros(len(self._Z)), np.empty((n_clusters, n_val))
        some = np.empty((len(self._Z), len(columns)), dtype=np.float32)
        by_cluster, starts = left.order, np.r_[0, np.cumsum(left.sizes)[:-1]]
        squares = (self._Z**2).sum(axis=1)
        step = max(1, BLOCK_PAIRS // len(self._Z))
        for start in range(0, n_val, step):
            part = slice(start, start + step)
            order = np.argsort(squares - 2 * self._Z_val[part] @ self._Z.T, axis=1)
            match = self._codes[order] == self._codes_val[part, None]
            credit = np.empty(order.shape)
            np.put_along_axis(credit, order, shapley_by_rank(match), axis=1)
            credit = mean_of_identical(credit.T, self._identical) * left.row_weights[part]
            credit = left.weighed(credit, slice(None))
            means += credit.sum(axis=1)
            sums[:, part] = np.add.reduceat(credit[by_cluster], starts, axis=0)
            asked = (columns >= start) & (columns < start + step)
            some[:, asked] = credit[:, columns[asked] - start]
        return Predictions(means / n_val, sums, some)

    def of_new(self, new: Points, agreement: NDArray) -> NDArray:
        """Predict for unseen points."""
        n_samples = len(self._codes)
        credit = np.empty_like(agreement)
        index = NearestNeighbors(n_neighbors=n_samples).fit(self._Z)
        distances, order = index.kneighbors(self._Z_val)
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
    """Shapley values of rows whose labels match or not, nearest first, behind `n_nearer` further rows."""
    matched = match.astype(np.float64)
    last = match.shape[1] + n_nearer
    gains = matched[:, :-1] - matched[:, 1:]
    gains *= _rank_weight(np.arange(n_nearer + 1, last), n_neighbors)
    later = np.hstack([gains[:, ::-1].cumsum(axis=1)[:, ::-1], np.zeros((len(match), 1))])
    return later + matched[:, -1:] * _rank_weight(last, n_neighbors)


Kernel = ProximityKernel | ShapleyKernel


def make_kernels(
    Z: NDArray, codes: NDArray, Z_val: NDArray, codes_val: NDArray, forest: Forest,
    identical: NDArray,
) -> Sequence[Kernel]:  # fmt: skip
    """Make the proximity kernel and, for classes and up to 40 million pairs of rows, the Shapley kernel."""
    kernels: list[Kernel] = [ProximityKernel(forest, Z, Z_val)]
    if forest.is_classifier and len(Z) * len(Z_val) <= MAX_SORTED_PAIRS:
        kernels.append(ShapleyKernel(Z, codes, Z_val, codes_val, identical))
    return kernels
