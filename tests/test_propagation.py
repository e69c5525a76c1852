from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from ecoval_core.valuation import propagation
from ecoval_core.valuation.kernels import Points
from ecoval_core.valuation.propagation import (
    Cluster,
    Credit,
    credit_joining,
    credit_members,
    fit_kernel_weights,
)
from ecoval_core.valuation.record import distribute
from ecoval_core.valuation.scoring import Scale


class Given:
    """A kernel whose factors are given."""

    def __init__(self, name, factors, factors_new=None):
        self.name, self.factors, self.factors_new = name, factors, factors_new

    def of_members(self, rows, agreement):
        return self.factors[rows] * agreement

    def of_new(self, new, agreement):
        return self.factors_new * agreement


def draw(seed, sizes=(4, 3, 5), m=23, n_kernels=2, weighted=False):
    """Clusters of random members and effects, and kernels of random factors."""
    random = np.random.default_rng(seed)
    n = sum(sizes)
    scale = Scale.of(np.array([0, 1, 2]), "classification")
    row_weights = random.random(m) + 0.2 if weighted else np.ones(m)
    row_weights /= row_weights.mean()
    ends = np.cumsum([0, *sizes])
    order = random.permutation(n)
    clusters = [
        Cluster(
            rows=order[start:end],
            own=random.normal(size=(end - start, 3)),
            output_val=random.dirichlet(np.ones(3), size=m),
            codes_val=random.integers(3, size=m),
            scale=scale,
            effect=random.normal(0.3, 1, size=m) * row_weights,
        )
        for start, end in pairwise(ends)
    ]
    kernels = [Given(str(k), random.random((n, m))) for k in range(n_kernels)]
    return clusters, kernels, row_weights


def by_the_letter(cluster, kernels, row_weights):
    """s_k,iv = w_v kappa_k(i, v) <r_i, r_v>, one pair at a time."""
    s = np.zeros((len(kernels), len(cluster.rows), len(cluster.effect)))
    for k, kernel in enumerate(kernels):
        for position, row in enumerate(cluster.rows):
            for v, code in enumerate(cluster.codes_val):
                residual = np.eye(3)[code] - cluster.output_val[v]
                s[k, position, v] = (
                    row_weights[v] * kernel.factors[row, v] * (cluster.own[position] @ residual)
                )
    return s


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_kernel_weights_are_the_non_negative_least_squares_of_the_effects(seed, weighted):
    clusters, kernels, row_weights = draw(seed, weighted=weighted)
    sums = [by_the_letter(c, kernels, row_weights).sum(axis=1) for c in clusters]
    design = np.concatenate(sums, axis=1).T
    expected, _ = nnls(design, np.concatenate([c.effect for c in clusters]))
    result = fit_kernel_weights(clusters, kernels, row_weights).weights
    np.testing.assert_allclose(result, expected, atol=1e-7)


def test_kernels_that_coincide_or_are_silent_are_solvable():
    clusters, kernels, row_weights = draw(0)
    twins = [kernels[0], Given("again", kernels[0].factors), Given("none", 0 * kernels[0].factors)]
    result = fit_kernel_weights(clusters, twins, row_weights).weights
    alone = fit_kernel_weights(clusters, kernels[:1], row_weights).weights
    assert result[:2].sum() == pytest.approx(alone[0], rel=1e-4)
    assert result[2] == 0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_members_are_credited_their_prediction_corrected_to_what_was_measured(seed, weighted):
    clusters, kernels, row_weights = draw(seed, weighted=weighted)
    weighting = fit_kernel_weights(clusters, kernels, row_weights)
    errors = np.array([0.3, 0.1, 0.0])
    credit = credit_members(clusters, weighting, errors, np.ones(23))
    phi = np.array([c.effect.mean() for c in clusters])
    predicted = np.array(
        [
            np.tensordot(weighting.weights, by_the_letter(c, kernels, row_weights), 1).sum(0).mean()
            for c in clusters
        ]
    )
    np.testing.assert_allclose(credit.predicted, predicted, atol=1e-12)
    signal = max(0, np.var(phi - predicted) - np.mean(errors**2))
    rho = [1.0 if signal + e == 0 else signal / (signal + e**2) for e in errors]
    np.testing.assert_allclose(credit.reliability, rho)
    for c, cluster in enumerate(clusters):
        s = np.tensordot(weighting.weights, by_the_letter(cluster, kernels, row_weights), 1)
        expected = s.mean(axis=1) + rho[c] * (phi[c] - predicted[c]) / len(cluster.rows)
        np.testing.assert_allclose(credit.extrinsic[cluster.rows], expected, atol=1e-12)


def test_blocks_change_nothing(monkeypatch):
    clusters, kernels, row_weights = draw(0)

    def credit():
        weighting = fit_kernel_weights(clusters, kernels, row_weights)
        return credit_members(clusters, weighting, np.full(3, 0.2), np.arange(23.0))

    whole = credit()
    monkeypatch.setattr(propagation, "BLOCK_PAIRS", 40)
    blocked = credit()
    np.testing.assert_allclose(blocked.extrinsic, whole.extrinsic, rtol=1e-9)
    np.testing.assert_allclose(blocked.sampling.moments, whole.sampling.moments, rtol=1e-9)


def test_a_joining_point_is_credited_its_prediction_and_a_member_s_part_in_the_correction():
    clusters, kernels, row_weights = draw(1)
    random = np.random.default_rng(9)
    for kernel in kernels:
        kernel.factors_new = random.random((3, 23))
    weighting = fit_kernel_weights(clusters, kernels, row_weights)
    credit = Credit(np.zeros(12), np.array([0.4, 0.1, 0.2]), np.array([0.5, 0.9, 0.3]), None)
    # In the order of their clusters, in which the kernels see them.
    joined = np.array([0, 0, 2])
    new = Points(np.zeros((3, 1)), np.array([0, 1, 1]), random.normal(size=(3, 3)))
    result = credit_joining(new, joined, clusters, weighting, credit)
    for i, c in enumerate(joined):
        cluster = clusters[c]
        residual = np.eye(3)[cluster.codes_val] - cluster.output_val
        own = sum(
            weight * np.mean(row_weights * k.factors_new[i] * (residual @ new.residuals[i]))
            for weight, k in zip(weighting.weights, kernels, strict=True)
        )
        rest = cluster.effect.mean() - credit.predicted[c] - own
        expected = own + credit.reliability[c] * rest / (len(cluster.rows) + 1)
        assert result[i] == pytest.approx(expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_standard_errors_are_those_of_a_bootstrap_of_the_validation_points(weighted):
    random = np.random.default_rng(3)
    m = 60
    clusters, kernels, row_weights = draw(5, (4, 4, 4), m, weighted=weighted)
    surplus = (5 + random.normal(size=m)) * row_weights
    quality_of = random.random(12)
    weighting = fit_kernel_weights(clusters, kernels, row_weights)
    credit = credit_members(clusters, weighting, np.full(3, 0.05), surplus)
    # Kernel weights and reliabilities are taken as known; means are over the weights drawn.
    e = np.empty((12, m))
    for c, cluster in enumerate(clusters):
        s = np.tensordot(weighting.weights, by_the_letter(cluster, kernels, row_weights), 1)
        e[cluster.rows] = s + credit.reliability[c] * (cluster.effect - s.sum(axis=0)) / 4
    np.testing.assert_allclose(e.mean(axis=1), credit.extrinsic, atol=1e-12)
    for weight in (0.5, 1.3):
        paid = distribute(surplus.mean(), credit.extrinsic, quality_of, weight)
        draws = []
        for _ in range(4000):
            rows = random.integers(m, size=m)
            total = row_weights[rows].mean()
            drawn = distribute(
                surplus[rows].mean() / total, e[:, rows].mean(axis=1) / total, quality_of, weight
            )
            draws.append(drawn.intrinsic + drawn.extrinsic)
        errors = credit.sampling.standard_errors(paid, quality_of, weight)
        np.testing.assert_allclose(errors, np.std(draws, axis=0), rtol=0.08)


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


def test_without_any_quality_the_rest_is_shared_evenly():
    paid = distribute(1.0, np.zeros(4), np.zeros(4), 0.5)
    np.testing.assert_allclose(paid.intrinsic, 0.25)
