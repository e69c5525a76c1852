"""Label-pure clusters of training points, at a granularity the user chooses.

K-means runs inside each class; for regression inside each quantile bin of the target. A cluster
therefore never mixes labels, which is what lets a cluster that is left out be read as "this kind of
example of this class".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.utils import check_random_state

N_TARGET_BINS = 5
MAX_AUTO_CLUSTERS = 300
# Above this group size Lloyd's iterations cost more than the refits they prepare.
MINI_BATCH_SIZE = 10_000


@dataclass(frozen=True)
class Clustering:
    """Clusters of the training points.

    Attributes
    ----------
    labels : ndarray of shape (n_samples,), int
        Cluster of each point, 0 to K - 1 without gaps.
    centers : ndarray of shape (K, n_features)
        Mean of each cluster's points.
    groups : ndarray of shape (K,), int
        The class index (regression: the target bin) to which each cluster belongs.
    """

    labels: NDArray[np.int64]
    centers: NDArray[np.float64]
    groups: NDArray[np.int64]

    @property
    def n_clusters(self) -> int:
        """Number of clusters, K."""
        return len(self.centers)


def auto_n_clusters(n_samples: int) -> int:
    """Granularity used for ``n_clusters="auto"``: min(300, round(2 sqrt(n))).

    Parameters
    ----------
    n_samples : int
        Number of training points.

    Returns
    -------
    int
        Number of clusters asked for, at least 1.

    Examples
    --------
    >>> auto_n_clusters(1000), auto_n_clusters(1_000_000)
    (63, 300)
    """
    return max(1, min(MAX_AUTO_CLUSTERS, round(2 * n_samples**0.5), n_samples))


def target_bins(y: ArrayLike, n_bins: int = N_TARGET_BINS) -> NDArray[np.float64]:
    """Inner edges of the quantile bins of a continuous target.

    Within the bins, clusters mix only similar targets. Groups by the sign of the out-of-fold residual were
    tried instead (diamonds, diabetes, a synthetic table; ridge and boosting; 3 seeds; 15 % of the
    targets shifted): noise AUC 0.784 against 0.788 here, test R2 after removing the lowest 30 % 0.639
    against 0.651, after 15 % 0.669 against 0.664; bins crossed with signs were no better on any.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Continuous target.
    n_bins : int, default=5
        Bins asked for; ties in `y` may leave fewer.

    Returns
    -------
    ndarray of shape (at most n_bins - 1,)
        Increasing edges; the bin of a target is ``np.searchsorted(edges, y, side="right")``.
    """
    y = np.asarray(y, dtype=float)
    edges = np.unique(np.quantile(y, np.linspace(0, 1, n_bins + 1)[1:-1]))
    return edges[edges > y.min()]


def allocate_clusters(group_sizes: ArrayLike, n_clusters: int) -> NDArray[np.int64]:
    """Share out clusters among groups in proportion to their size, at least one each.

    Largest remainders decide the last ones; no group gets more clusters than it has points.

    Parameters
    ----------
    group_sizes : array-like of shape (n_groups,), int
        Points in each group, all positive.
    n_clusters : int
        Total to hand out, held between the number of groups and the number of points.

    Returns
    -------
    ndarray of shape (n_groups,), int
        Clusters of each group.

    Examples
    --------
    >>> allocate_clusters([60, 30, 1], 10).tolist()
    [6, 3, 1]
    """
    sizes = np.asarray(group_sizes, dtype=np.int64)
    total = int(np.clip(n_clusters, len(sizes), sizes.sum()))
    single = np.zeros(len(sizes), dtype=bool)
    while True:
        quota = np.where(single, 0.0, sizes * (total - single.sum()) / max(1, sizes[~single].sum()))
        too_small = ~single & (quota < 1)
        if not too_small.any():
            break
        single |= too_small
    counts = np.where(single, 1, np.floor(quota)).astype(np.int64)
    by_remainder = np.argsort(np.where(single, 1.0, np.floor(quota) - quota), kind="stable")
    counts[by_remainder[: total - counts.sum()]] += 1
    return counts


def _split_group(X: NDArray, n_clusters: int, seed: int) -> NDArray[np.int64]:
    if n_clusters >= len(X):
        return np.arange(len(X))
    if n_clusters == 1:
        return np.zeros(len(X), dtype=np.int64)
    n_distinct = len(np.unique(X, axis=0)) if len(X) <= MINI_BATCH_SIZE else len(X)
    kind = KMeans if len(X) <= MINI_BATCH_SIZE else MiniBatchKMeans
    settings = {"batch_size": 4096, "max_iter": 20} if kind is MiniBatchKMeans else {"max_iter": 50}
    kmeans = kind(min(n_clusters, n_distinct), n_init=1, random_state=seed, **settings)
    return kmeans.fit(X).labels_.astype(np.int64)


def cluster_groups(
    X: NDArray, groups: NDArray[np.int64], n_clusters: int, random_state: int | None = None
) -> Clustering:
    """Cluster points inside each group with k-means.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Standardised features.
    groups : ndarray of shape (n_samples,), int
        Class index, or target bin, of each point.
    n_clusters : int
        Granularity. ``n_samples`` makes every point its own cluster (leave-one-out), the number of
        groups is the coarsest. Identical rows fall into one cluster, so fewer may come back, unless
        their group gets a cluster for every row.
    random_state : int, RandomState instance or None, default=None
        Seeds k-means.

    Returns
    -------
    Clustering
        Labels, centres, and the group of each cluster.
    """
    random = check_random_state(random_state)
    present, members = np.unique(groups, return_inverse=True)
    labels = np.empty(len(X), dtype=np.int64)
    n_so_far = 0
    for group, k in enumerate(allocate_clusters(np.bincount(members), n_clusters)):
        rows = np.flatnonzero(members == group)
        seed = int(random.randint(np.iinfo(np.int32).max))
        _, within = np.unique(_split_group(X[rows], int(k), seed), return_inverse=True)
        labels[rows] = n_so_far + within
        n_so_far += int(within.max()) + 1
    counts = np.bincount(labels)
    order = np.argsort(labels, kind="stable")
    starts = np.r_[0, np.cumsum(counts)[:-1]]
    centers = np.add.reduceat(X[order].astype(np.float64), starts, axis=0) / counts[:, None]
    return Clustering(labels, centers, present[members[order[starts]]])


def nearest_cluster(
    clustering: Clustering, X: NDArray, groups: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Cluster that unseen points would join: the nearest centre within their own group.

    Parameters
    ----------
    clustering : Clustering
        The clusters of the training points.
    X : ndarray of shape (n_new, n_features)
        Unseen points.
    groups : ndarray of shape (n_new,), int
        Their class index or target bin. A bin that no training row fell into, as happens where amounts
        repeat, stands for the nearest one that has a cluster.

    Returns
    -------
    ndarray of shape (n_new,), int
        Cluster of each point.
    """
    joined = np.empty(len(X), dtype=np.int64)
    known = np.unique(clustering.groups)
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        nearest = known[np.abs(known - group).argmin()]
        candidates = np.flatnonzero(clustering.groups == nearest)
        centers = clustering.centers[candidates]
        distance = (centers**2).sum(axis=1) - 2 * X[rows] @ centers.T
        joined[rows] = candidates[distance.argmin(axis=1)]
    return joined
