import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import pairwise_distances

from ecoval_core.valuation import propagation, quality
from ecoval_core.valuation.propagation import (
    LinearKernel,
    Points,
    Sampling,
    distribute,
    extrinsic_of_cluster,
    extrinsic_of_joining,
)
from ecoval_core.valuation.quality import (
    Judge,
    find_suspects,
    identical_rows,
    make_folds,
    nearest_neighbors,
)
from ecoval_core.valuation.scoring import Scale


def by_the_letter(members, validation, effect):
    """Step 3 of the method, point by point."""
    X, X_val = members.Z, validation.Z
    credit = np.zeros(len(X))
    kernel = 1 / pairwise_distances(X, X_val, metric="sqeuclidean") ** 2
    for v in range(len(X_val)):
        a = kernel[:, v] * (members.residuals @ validation.residuals[v])
        for sign in (1, -1):
            claim = np.maximum(sign * a, 0)
            if claim.sum() == 0:
                claim = kernel[:, v]
            credit += sign * max(sign * effect[v], 0) * claim / claim.sum()
    return credit / len(X_val)


def draw_cluster(seed, n=7, m=23, n_outputs=3):
    random = np.random.default_rng(seed)
    X, X_val = random.normal(size=(n, 4)), random.normal(size=(m, 4))
    r, r_val = random.normal(size=(n, n_outputs)), random.normal(size=(m, n_outputs))
    # All members pull one way at some validation points, so that the fallback is used too.
    r[:, 0] = np.abs(r[:, 0])
    r_val[::3] = np.eye(n_outputs)[0]
    effect = random.normal(size=m)
    return Points(X, r), Points(X_val, r_val), effect


@pytest.mark.parametrize("seed", range(5))
def test_extrinsic_value_follows_the_formula(seed):
    cluster = draw_cluster(seed)
    np.testing.assert_allclose(
        extrinsic_of_cluster(*cluster)[0], by_the_letter(*cluster), rtol=1e-6
    )


def test_blocks_change_nothing(monkeypatch):
    cluster = draw_cluster(0)
    whole = np.column_stack(extrinsic_of_cluster(*cluster))
    monkeypatch.setattr(propagation, "BLOCK_PAIRS", 20)
    blocked = np.column_stack(extrinsic_of_cluster(*cluster))
    np.testing.assert_allclose(blocked, whole, rtol=1e-12)


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 30), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_a_cluster_hands_on_exactly_what_it_is_worth(seed, n, m, n_outputs):
    cluster = draw_cluster(seed, n, m, n_outputs)
    assert extrinsic_of_cluster(*cluster)[0].sum() == pytest.approx(cluster[-1].mean(), abs=1e-12)


def test_standard_errors_are_those_of_a_bootstrap_of_the_validation_points():
    random = np.random.default_rng(3)
    clusters = [draw_cluster(seed, n=4, m=40) for seed in range(3)]
    effects = np.array([cluster[-1] for cluster in clusters])
    totals = np.column_stack([5 + random.normal(size=40), effects.sum(axis=0)])
    quality_of = random.random(12)
    found = [extrinsic_of_cluster(*cluster, totals) for cluster in clusters]
    credit = np.concatenate([part[0] for part in found])
    sampling = Sampling(np.vstack([part[1] for part in found]), totals)
    for weight in (0.5, 1.3):
        paid = distribute(totals[:, 0].mean(), credit, quality_of, weight)
        draws = []
        for _ in range(3000):
            rows = random.integers(40, size=40)
            again = np.concatenate(
                [
                    extrinsic_of_cluster(members, validation.take(rows), effect[rows])[0]
                    for members, validation, effect in clusters
                ]
            )
            drawn = distribute(totals[rows, 0].mean(), again, quality_of, weight)
            draws.append(drawn.intrinsic + drawn.extrinsic)
        errors = sampling.standard_errors(paid, quality_of, weight)
        np.testing.assert_allclose(errors, np.std(draws, axis=0), rtol=0.08)


def test_points_that_coincide_with_a_validation_point_stay_finite_and_alike():
    members = Points(np.zeros((3, 2)), np.ones((3, 1)))
    validation = Points(np.zeros((2, 2)), np.ones((2, 1)))
    credit, _ = extrinsic_of_cluster(members, validation, np.ones(2))
    np.testing.assert_allclose(credit, 1 / 3)


def test_a_gain_goes_to_who_pushes_right_and_a_harm_to_who_pushes_wrong():
    members = Points(np.array([[1.0], [-1.0]]), np.array([[1.0], [-1.0]]))
    validation = Points(np.zeros((1, 1)), np.ones((1, 1)))
    gain, _ = extrinsic_of_cluster(members, validation, np.array([1.0]))
    harm, _ = extrinsic_of_cluster(members, validation, np.array([-1.0]))
    np.testing.assert_allclose(gain, [1, 0])
    np.testing.assert_allclose(harm, [0, -1])


@pytest.mark.parametrize("seed", range(5))
def test_a_joining_point_gets_what_it_would_as_one_more_member(seed):
    points, validation, effect = draw_cluster(seed, n=7)
    new, members = points.take(slice(5, None)), points.take(slice(5))
    alone = extrinsic_of_joining(new, members, validation, effect)
    for position in (0, 1):
        rows = [*range(5), 5 + position]
        expected = by_the_letter(points.take(rows), validation, effect)[-1]
        assert alone[position] == pytest.approx(expected, rel=1e-6)


def test_identical_rows_are_found_by_features_and_label():
    X = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [2.0, 1.0]])
    assert identical_rows(X, np.array([0, 0, 1, 0])).tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_folds_keep_identical_rows_together_and_classes_spread(task):
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 2)
    codes = np.repeat(random.integers(3, size=50), 2)
    folds = make_folds(groups, codes, Scale.of(codes, task), 0)
    assert (folds[::2] == folds[1::2]).all()
    assert np.bincount(folds).tolist() == [20] * 5
    if task == "classification":
        per_class = np.array([np.bincount(folds[codes == c], minlength=5) for c in range(3)])
        assert np.ptp(per_class, axis=1).max() <= 2


def test_quality_is_the_geometric_mean_of_coherence_and_confidence():
    scale = Scale.of(np.array([0, 1, 2]), "classification")
    neighbors = np.array([[0, 0, 0, 1], [0, 0, 1, 2], [0, 0, 0, 0], [2, 2, 0, 1]])
    output = np.array([[0.5, 0.5, 0], [0.2, 0.7, 0.1], [0.9, 0.1, 0], [0.2, 0.2, 0.6]])
    quality = Judge(scale).quality(neighbors, output, np.array([0, 1, 1, 0]))
    np.testing.assert_allclose(quality, [1, np.sqrt(1 / 2), 0, np.sqrt(1 / 2 * 1 / 3)])


def test_neighbours_that_are_not_trusted_have_no_say():
    scale = Scale.of(np.array([0, 1]), "classification")
    neighbors = np.array([[0, 0, 1, 1, 1], [0, 0, 1, 1, 1]])
    trusted = np.array([[True, True, True, False, False], [False] * 5])
    quality = Judge(scale).quality(neighbors, np.full((2, 2), 0.5), np.array([0, 0]), trusted)
    np.testing.assert_allclose(quality, [1, np.sqrt(2 / 3)])
    scale = Scale.of(np.array([0.0, 10.0]), "regression")
    targets = np.array([[1.0, 2.0, 90.0, 95.0]])
    sure = np.array([[True, True, False, False]])
    found = Judge(scale).quality(targets, np.array([[1.5]]), np.array([1.5]), sure)
    np.testing.assert_allclose(found, 1)


def test_suspects_are_the_lowest_tenth_but_never_most_of_a_class():
    random = np.random.default_rng(0)
    look, groups = random.random(1000), np.repeat([0, 1], [900, 100])
    assert find_suspects(look, groups).sum() == 100
    assert look[find_suspects(look, groups)].max() < look[~find_suspects(look, groups)].min()
    rare = np.repeat([0, 1], [950, 50])
    look[rare == 1] /= 100
    assert find_suspects(look, rare)[rare == 1].sum() == 25
    look[:150] = 0.0
    assert find_suspects(look, groups)[:150].all()
    assert not find_suspects(np.zeros(20), np.zeros(20, dtype=int)).any()


def test_the_linear_kernel_is_first_order_influence():
    random = np.random.default_rng(0)
    Z, Z_val, Z_new = (random.normal(size=(n, 3)) for n in (50, 4, 2))
    kernel = LinearKernel(Z)
    inverse = np.linalg.inv(np.cov(Z.T, ddof=0) + 0.1 * np.eye(3))
    weights, weights_new = kernel(Z[:5], Z_val, Z_new)
    np.testing.assert_allclose(weights, 1 + Z[:5] @ inverse @ Z_val.T)
    np.testing.assert_allclose(weights_new, 1 + Z_new @ inverse @ Z_val.T)
    assert (weights < 0).any()


@pytest.mark.parametrize("seed", range(3))
def test_a_cluster_hands_on_its_value_by_the_linear_kernel_too(seed):
    members, validation, effect = draw_cluster(seed)
    X, X_val = members.Z, validation.Z
    kernel = LinearKernel(X)
    credit, _ = extrinsic_of_cluster(members, validation, effect, kernel=kernel)
    assert credit.sum() == pytest.approx(effect.mean(), abs=1e-12)
    weights = kernel(X, X_val)[0]
    expected = np.zeros(len(X))
    for v in range(len(X_val)):
        agreement = members.residuals @ validation.residuals[v]
        claim = np.maximum(np.sign(effect[v]) * weights[:, v] * agreement, 0)
        claim = claim if claim.sum() > 0 else np.ones(len(X))
        expected += effect[v] * claim / claim.sum() / len(X_val)
    np.testing.assert_allclose(credit, expected, atol=1e-12)
    new, others = members.take(slice(-1, None)), members.take(slice(-1))
    joined = extrinsic_of_joining(new, others, validation, effect, kernel)
    assert joined[0] == pytest.approx(credit[-1], abs=1e-12)


def test_regression_quality_measures_residuals_by_their_median():
    codes = np.array([0.0, 1.0, 2.0, 30.0])
    scale = Scale.of(codes, "regression")
    neighbors = np.array([[1.0], [2.0], [1.0], [2.0]])
    output = codes[:, None] + np.array([[1.0], [1.0], [-1.0], [3.0]])
    judge = Judge.of(neighbors, output, codes, scale)
    quality = judge.quality(neighbors, output, codes)
    coherence = np.exp(-np.array([1, 1, 1, 28]) / (2 * 1.4826))
    confidence = np.exp(-np.array([1, 1, 1, 3]) / (2 * 1.4826))
    np.testing.assert_allclose(quality, np.sqrt(coherence * confidence))


@given(st.integers(0, 10_000), st.floats(0, 3), st.floats(-1, 2))
@settings(max_examples=100, deadline=None)
def test_payments_exhaust_the_surplus_or_say_that_they_do_not(seed, weight, surplus):
    random = np.random.default_rng(seed)
    credit, quality = random.normal(size=9), random.random(9)
    paid = distribute(surplus, credit, quality, weight)
    total = (paid.intrinsic + paid.extrinsic).sum()
    if paid.reliable:
        assert total == pytest.approx(surplus, abs=1e-9)
        assert (paid.intrinsic >= 0).all()
    else:
        assert surplus <= 1e-12 or weight * credit.sum() >= surplus
        assert not paid.intrinsic.any()
        assert total == pytest.approx(weight * credit.sum(), abs=1e-9)


def test_a_model_that_does_not_beat_the_prior_is_called_unreliable():
    paid = distribute(-0.1, np.full(4, -0.2), np.ones(4), 1.0)
    assert not paid.reliable
    assert not paid.intrinsic.any()
    assert np.isnan(paid.intrinsic_share)


def test_claims_that_have_lost_their_digits_are_nobody_s():
    members = Points(np.array([[0.0], [1.0]]), np.array([[1e-160], [-1e-160]]))
    validation = Points(np.array([[0.5]]), np.array([[1e-150]]))
    credit, _ = extrinsic_of_cluster(members, validation, np.array([1.0]))
    np.testing.assert_allclose(credit, 0.5)
    new = extrinsic_of_joining(members.take(slice(1)), members, validation, np.array([1.0]))
    np.testing.assert_allclose(new, 1 / 3)


def test_without_any_quality_the_rest_is_shared_evenly():
    paid = distribute(1.0, np.zeros(4), np.zeros(4), 0.5)
    np.testing.assert_allclose(paid.intrinsic, 0.25)


def test_neighbours_leave_the_point_itself_out():
    X = np.array([[0.0], [1.0], [3.0]])
    assert nearest_neighbors(X, 10).tolist() == [[1, 2], [0, 2], [1, 0]]
    assert nearest_neighbors(X, 1, np.array([[2.9]])).tolist() == [[2]]


def test_neighbours_come_from_a_sample_where_there_are_too_many(monkeypatch):
    X = np.random.default_rng(0).normal(size=(400, 2))
    exact = nearest_neighbors(X, 3)
    monkeypatch.setattr(quality, "MAX_REFERENCE_POINTS", 399)
    nearly = nearest_neighbors(X, 3)
    assert nearly.shape == (400, 3)
    assert (nearly != np.arange(400)[:, None]).all()
    assert (nearly == exact).all(axis=1).mean() > 0.9
    monkeypatch.setattr(quality, "MAX_REFERENCE_POINTS", 50)
    sampled = nearest_neighbors(X, 3, seed=1)
    assert len(np.unique(sampled)) <= 50
    assert np.array_equal(sampled, nearest_neighbors(X, 3, seed=1))
    new = nearest_neighbors(X, 3, X[:5], seed=1)
    gaps = np.linalg.norm(X[new] - X[:5, None], axis=2)
    assert (np.diff(gaps, axis=1) >= 0).all()
