from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from sklearn.datasets import load_digits, make_blobs
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import OneHotEncoder, StandardScaler, scale

from ecoval_core.evaluation import projection
from ecoval_core.evaluation.projection import pca_projection, umap_projection


@pytest.fixture(scope="module")
def blobs():
    X, labels = make_blobs(150, n_features=8, centers=3, cluster_std=0.5, random_state=0)
    return scale(X), labels


def separation(coordinates, labels):
    """Least distance between two classes' centres, in units of the widest class."""
    classes = [coordinates[labels == label] for label in np.unique(labels)]
    centers = np.array([points.mean(axis=0) for points in classes])
    apart = np.linalg.norm(centers[:, None] - centers, axis=2)[np.triu_indices(len(centers), 1)]
    return apart.min() / max(points.std() for points in (c - c.mean(axis=0) for c in classes))


def test_pca_keeps_the_directions_of_greatest_variance():
    random = np.random.default_rng(0)
    hidden = random.normal(size=(500, 5)) * [10, 5, 0.1, 0.1, 0.1]
    turned = hidden @ np.linalg.qr(random.normal(size=(5, 5)))[0]
    result = pca_projection(turned)
    assert result.shape == (500, 2)
    assert result.dtype == np.float32
    for axis in range(2):
        assert abs(np.corrcoef(result[:, axis], hidden[:, axis])[0, 1]) > 0.99
    assert np.array_equal(result, pca_projection(turned))


@pytest.mark.parametrize("project", [pca_projection, umap_projection])
class TestBoth:
    def test_two_columns_are_returned_as_they_are(self, project):
        X = np.random.default_rng(0).normal(size=(40, 2))
        assert np.array_equal(project(X), X.astype(np.float32))
        assert project(X).dtype == np.float32

    @pytest.mark.parametrize("shape", [(1, 5), (2, 5), (3, 1), (15, 4), (1, 1), (0, 4)])
    def test_a_handful_of_rows_is_projected_without_umap(self, project, shape):
        X = np.random.default_rng(0).normal(size=shape)
        result = project(X)
        assert result.shape == (shape[0], 2)
        assert np.isfinite(result).all()
        assert np.array_equal(result, pca_projection(X))

    def test_identical_rows_all_lie_at_the_origin(self, project):
        assert not project(np.full((30, 4), 3.0)).any()


@pytest.mark.slow
def test_umap_separates_blobs_and_is_deterministic(blobs):
    X, labels = blobs
    result = umap_projection(X)
    assert result.shape == (150, 2)
    assert result.dtype == np.float32
    assert separation(result, labels) > 3
    assert np.array_equal(result, umap_projection(X))
    assert not np.array_equal(result, umap_projection(X, random_state=1))


def test_umap_keeps_neighbours_of_real_data_better_than_pca():
    X = scale(load_digits().data[:400])
    assert trustworthiness(X, umap_projection(X)) > trustworthiness(X, pca_projection(X)) + 0.05


def test_rare_level_of_a_category_is_no_island_of_its_own():
    random = np.random.default_rng(0)
    levels = OneHotEncoder(sparse_output=False).fit_transform(
        random.choice(["a", "b", "c"], p=[0.6, 0.35, 0.05], size=(400, 1))
    )
    X = StandardScaler().fit_transform(np.hstack([random.normal(size=(400, 6)), levels]))
    place = umap_projection(X)
    nearest = NearestNeighbors(n_neighbors=15).fit(place)
    joined = connected_components(nearest.kneighbors_graph(), directed=False)[0]
    alone = connected_components(NearestNeighbors(n_neighbors=15).fit(X).kneighbors_graph())[0]
    assert joined == 1 < alone


def test_umap_of_one_column_and_of_repeated_rows_is_finite_and_keeps_twins_together(blobs):
    X, _ = blobs
    assert np.isfinite(umap_projection(X[:, :1])).all()
    result = umap_projection(np.repeat(X[:10], 15, axis=0))
    assert np.isfinite(result).all()
    twins = result.reshape(10, 15, 2)
    within = np.linalg.norm(twins - twins[:, :1], axis=2).max()
    centers = twins.mean(axis=1)
    gaps = np.linalg.norm(centers[:, None] - centers, axis=2)[~np.eye(10, dtype=bool)]
    assert np.median(gaps) > within


def test_umap_of_many_rows_places_the_rest_beside_their_neighbours(blobs, monkeypatch):
    X, labels = blobs
    monkeypatch.setattr(projection, "MAX_UMAP_ROWS", 60)
    result = umap_projection(X)
    assert result.shape == (150, 2)
    assert np.isfinite(result).all()
    assert separation(result, labels) > 3
    assert np.array_equal(result, umap_projection(X))


def test_umap_in_several_threads_at_once_is_safe_and_the_same(blobs):
    X = blobs[0][:60]
    alone = umap_projection(X)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(umap_projection, [X] * 4))
    assert all(np.array_equal(alone, result) for result in together)
