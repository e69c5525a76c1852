import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecoval_core.valuation.clustering import (
    Clustering,
    allocate_clusters,
    auto_n_clusters,
    cluster_groups,
    nearest_cluster,
    target_bins,
)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=30), st.integers(1, 3000))
def test_allocation_hands_out_all_and_no_group_gets_too_many(sizes, n_clusters):
    counts = allocate_clusters(sizes, n_clusters)
    assert counts.sum() == np.clip(n_clusters, len(sizes), sum(sizes))
    assert (counts >= 1).all()
    assert (counts <= sizes).all()
    assert allocate_clusters([100, 300, 600], 100).tolist() == [10, 30, 60]


def test_auto_granularity_follows_the_stated_formula():
    assert [auto_n_clusters(n) for n in (1, 100, 22_500, 10**6)] == [1, 20, 300, 300]
    fine = [auto_n_clusters(n, is_fine=True) for n in (1, 40, 100, 1_000, 10**6)]
    assert fine == [1, 13, 25, 250, 1_500]


def test_clusters_are_label_pure_complete_and_centred(digits):
    result = cluster_groups(digits.X, digits.y, 49, 0)
    assert result.n_clusters == 49
    assert np.array_equal(np.unique(result.labels), np.arange(49))
    for cluster in range(49):
        members = result.labels == cluster
        assert set(digits.y[members]) == {result.groups[cluster]}
        np.testing.assert_allclose(result.centers[cluster], digits.X[members].mean(axis=0))


def test_a_large_group_is_clustered_too():
    X = np.random.default_rng(0).normal(size=(12_000, 3))
    result = cluster_groups(X, np.zeros(12_000, dtype=int), 20, 0)
    assert 15 <= result.n_clusters <= 20
    assert np.bincount(result.labels).min() >= 1


def test_unseen_points_join_the_nearest_centre_of_their_own_label(digits):
    result = cluster_groups(digits.X, digits.y, 49, 0)
    joined = nearest_cluster(result, digits.X_val, digits.y_val)
    for row in (0, 17, 101):
        candidates = np.flatnonzero(result.groups == digits.y_val[row])
        gaps = np.linalg.norm(result.centers[candidates] - digits.X_val[row], axis=1)
        assert joined[row] == candidates[gaps.argmin()]


@pytest.mark.parametrize(("y", "n_bins"), [(np.arange(100.0), 5), (np.r_[np.zeros(90), 1:11], 1)])
def test_target_bins_are_quantiles_and_ties_leave_fewer(y, n_bins):
    assert len(target_bins(y)) == n_bins - 1
    assert np.bincount(np.searchsorted(target_bins(y), y, side="right")).min() >= 1


def test_amount_in_an_empty_bin_joins_the_nearest_bin():
    X = np.arange(8.0).reshape(-1, 1)
    clustering = Clustering(
        labels=np.arange(8) % 2, centers=np.array([[0.0], [10.0]]), groups=np.array([0, 3])
    )
    joined = nearest_cluster(clustering, X, np.array([0, 1, 1, 2, 3, 0, 2, 3]))
    assert joined.tolist() == [0, 0, 0, 1, 1, 0, 1, 1]
