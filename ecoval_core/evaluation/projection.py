"""Two coordinates for every row, for the map: principal components at once, UMAP when there is time."""

from __future__ import annotations

import threading
import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

N_EPOCHS, N_NEIGHBORS = 200, 15
# Distances in more dimensions cost more and add little.
MAX_DIMENSIONS = 50
# Fewer rows have no neighbourhoods that UMAP could keep together.
MIN_UMAP_ROWS = 16
# Rows that a drawing can show at once; what lies beyond is placed beside its neighbours.
MAX_UMAP_ROWS = 20_000

# numba's threading layer aborts the whole process if two threads enter UMAP at once.
_umap_lock = threading.Lock()


def _principal_components(X: NDArray[np.float32], n_components: int) -> NDArray[np.float32]:
    scores = np.zeros((len(X), n_components), dtype=np.float32)
    n_possible = min(n_components, *X.shape)
    if n_possible and np.ptp(X, axis=0).any():
        solver = "covariance_eigh" if X.shape[1] <= 1000 else "randomized"
        pca = PCA(n_possible, svd_solver=solver, random_state=0)
        scores[:, :n_possible] = pca.fit_transform(X)
    return scores


def pca_projection(X: ArrayLike) -> NDArray[np.float32]:
    """Project rows onto their first two principal components."""
    X = np.asarray(X, dtype=np.float32)
    return X if X.shape[1] == 2 else _principal_components(X, 2)


def umap_projection(X: ArrayLike, *, random_state: int = 0) -> NDArray[np.float32]:
    """Project rows by UMAP, which keeps neighbours together; larger distances mean little."""
    X = np.asarray(X, dtype=np.float32)
    if X.shape[1] == 2:
        return X
    if len(X) < MIN_UMAP_ROWS or not np.ptp(X, axis=0).any():
        return _principal_components(X, 2)
    X = _soften_levels(X)
    # Nothing of it may interleave: neighbours are sought by code that swaps warning filters as well.
    with _umap_lock:
        return _arrange(X, np.random.default_rng(random_state))


def _soften_levels(X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring rows of different categories no farther apart than two rows of ordinary amounts.

    Standardised, the levels of a category are the farthest apart of all, and each combination of them would
    be an island of its own. Two rows that differ in one category differ in two columns of one half each.
    """
    low, high = X.min(axis=0), X.max(axis=0)
    is_level = ((low == X) | (high == X)).all(axis=0) & (low < high)
    return np.where(is_level, (high == X) / np.float32(np.sqrt(2)), X)


def _arrange(X: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    components = _principal_components(X, max(2, min(MAX_DIMENSIONS, X.shape[1])))
    if len(X) <= MAX_UMAP_ROWS:
        return _embed(components, random)
    arranged = np.sort(random.choice(len(X), MAX_UMAP_ROWS, replace=False))
    coordinates = np.empty((len(X), 2), dtype=np.float32)
    coordinates[arranged] = _embed(components[arranged], random)
    others = np.setdiff1d(np.arange(len(X)), arranged)
    index = NearestNeighbors(n_neighbors=3).fit(components[arranged])
    distances, nearest = index.kneighbors(components[others])
    weights = 1 / np.maximum(distances, np.finfo(np.float32).tiny ** 0.5)
    weights /= weights.sum(axis=1, keepdims=True)
    coordinates[others] = np.einsum("ij,ijk->ik", weights, coordinates[arranged][nearest])
    return coordinates


def _embed(X: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    n_neighbors = min(N_NEIGHBORS, len(X) - 1)
    # Each row comes first among its own neighbours, as UMAP expects, even beside identical rows.
    distances, others = NearestNeighbors(n_neighbors=n_neighbors - 1).fit(X).kneighbors()
    neighbors = np.column_stack([np.arange(len(X)), others])
    distances = np.column_stack([np.zeros(len(X)), distances]).astype(np.float32)
    start = X[:, :2] / X[:, 0].std()
    start += random.normal(scale=1e-3, size=start.shape).astype(np.float32)
    with warnings.catch_warnings():
        # Neither the neural variant nor the projection of further rows is used here.
        warnings.filterwarnings("ignore", "Tensorflow not installed", ImportWarning)
        warnings.filterwarnings("ignore", r"precomputed_knn\[2\]", UserWarning)
        # Seconds of import and compilation that only those who ask for UMAP should pay.
        from umap import UMAP

        reducer = UMAP(
            n_neighbors=n_neighbors,
            n_epochs=N_EPOCHS,
            init=start,
            precomputed_knn=(neighbors, distances, None),
            random_state=int(random.integers(2**31)),
            n_jobs=1,
        )
        return reducer.fit_transform(X).astype(np.float32, copy=False)


def warm_up() -> None:
    """Import UMAP and have it compiled, which takes longer than any map of a few thousand rows."""
    random = np.random.default_rng(0)
    umap_projection(random.normal(size=(200, 4)), random_state=0)
