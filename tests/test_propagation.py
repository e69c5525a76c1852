import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from ecoval_core.valuation import propagation
from ecoval_core.valuation.kernels import LeftOut, Points, Predictions
from ecoval_core.valuation.propagation import (
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

    def pairs(self, left):
        """w_v kappa(i, v) <r_i, r_v>, one pair at a time."""
        found = np.empty(self.factors.shape)
        for row, v in np.ndindex(found.shape):
            residual = np.eye(3)[left.codes_val[v]] - left.output_val[left.labels[row], v]
            found[row, v] = left.row_weights[v] * self.factors[row, v] * (left.own[row] @ residual)
        return found

    def predict(self, left, columns):
        pairs = self.pairs(left)
        return Predictions(pairs.mean(axis=1), sums_of(left, pairs), pairs[:, columns])

    def of_new(self, new, agreement):
        return self.factors_new * agreement


def draw(seed, sizes=(4, 3, 5), m=23, n_kernels=2, weighted=False):
    """Clusters of random members and effects, and kernels of random factors."""
    random = np.random.default_rng(seed)
    n = sum(sizes)
    row_weights = random.random(m) + 0.2 if weighted else np.ones(m)
    row_weights /= row_weights.mean()
    left = LeftOut(
        labels=random.permutation(np.repeat(np.arange(len(sizes)), sizes)),
        own=random.normal(size=(n, 3)),
        output_val=random.dirichlet(np.ones(3), size=(len(sizes), m)),
        effects=random.normal(0.3, 1, size=(len(sizes), m)) * row_weights,
        codes_val=random.integers(3, size=m),
        row_weights=row_weights,
        scale=Scale.of(np.array([0, 1, 2]), "classification"),
    )
    return left, [Given(str(k), random.random((n, m))) for k in range(n_kernels)]


def weigh(left, kernels):
    columns = np.arange(left.effects.shape[1])
    predictions = [kernel.predict(left, columns) for kernel in kernels]
    return predictions, fit_kernel_weights(predictions, left.effects)


def credited(left, kernels, errors, surplus, columns=None):
    """Credit by the kernels' fitted weights, and what those predict of every row and validation row."""
    predictions, weights = weigh(left, kernels)
    columns = np.arange(len(surplus)) if columns is None else columns
    some = [p._replace(some=p.some[:, columns]) for p in predictions]
    s = sum(w * kernel.pairs(left) for w, kernel in zip(weights, kernels, strict=True))
    return credit_members(left, some, weights, errors, surplus, columns), s


def sums_of(left, pairs):
    return np.array([pairs[left.labels == c].sum(axis=0) for c in range(len(left.effects))])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_kernel_weights_are_the_non_negative_least_squares_of_the_effects(seed, weighted):
    left, kernels = draw(seed, weighted=weighted)
    design = np.column_stack([sums_of(left, kernel.pairs(left)).ravel() for kernel in kernels])
    expected, _ = nnls(design, left.effects.ravel())
    np.testing.assert_allclose(weigh(left, kernels)[1], expected, atol=1e-7)


def test_kernels_that_coincide_or_are_silent_are_solvable():
    left, kernels = draw(0)
    twins = [kernels[0], Given("again", kernels[0].factors), Given("none", 0 * kernels[0].factors)]
    found, alone = weigh(left, twins)[1], weigh(left, kernels[:1])[1]
    assert found[:2].sum() == pytest.approx(alone[0], rel=1e-4)
    assert found[2] == 0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_members_are_credited_their_prediction_corrected_to_what_was_measured(seed, weighted):
    left, kernels = draw(seed, weighted=weighted)
    errors = np.array([0.3, 0.1, 0.0])
    credit, s = credited(left, kernels, errors, np.ones(23))
    phi, predicted = left.effects.mean(axis=1), sums_of(left, s).mean(axis=1)
    np.testing.assert_allclose(credit.predicted, predicted, atol=1e-12)
    signal = max(0, np.var(phi - predicted) - np.mean(errors**2))
    rho = np.array([1.0 if signal + e == 0 else signal / (signal + e**2) for e in errors])
    np.testing.assert_allclose(credit.reliability, rho)
    share = rho * (phi - predicted) / left.sizes
    np.testing.assert_allclose(credit.extrinsic, s.mean(axis=1) + share[left.labels], atol=1e-12)


def test_a_joining_point_is_credited_its_prediction_and_a_member_s_part_in_the_correction():
    left, kernels = draw(1)
    random = np.random.default_rng(9)
    for kernel in kernels:
        kernel.factors_new = random.random((3, 23))
    weights = weigh(left, kernels)[1]
    credit = Credit(np.zeros(12), np.array([0.4, 0.1, 0.2]), np.array([0.5, 0.9, 0.3]), None)
    # In the order of their clusters, in which the kernels see them.
    joined = np.array([0, 0, 2])
    new = Points(np.zeros((3, 1)), np.array([0, 1, 1]), random.normal(size=(3, 3)))
    found = credit_joining(new, joined, left, kernels, weights, credit)
    for i, c in enumerate(joined):
        residual = np.eye(3)[left.codes_val] - left.output_val[c]
        own = sum(
            weight * np.mean(left.row_weights * k.factors_new[i] * (residual @ new.residuals[i]))
            for weight, k in zip(weights, kernels, strict=True)
        )
        rest = left.effects[c].mean() - credit.predicted[c] - own
        expected = own + credit.reliability[c] * rest / (left.sizes[c] + 1)
        assert found[i] == pytest.approx(expected)


@pytest.mark.parametrize(("weighted", "block_pairs"), [(False, 10_000), (True, 200)])
def test_standard_errors_are_those_of_a_bootstrap_of_the_validation_points(
    monkeypatch, weighted, block_pairs
):
    monkeypatch.setattr(propagation, "BLOCK_PAIRS", block_pairs)
    random = np.random.default_rng(3)
    m = 60
    left, kernels = draw(5, (4, 4, 4), m, weighted=weighted)
    surplus = (5 + random.normal(size=m)) * left.row_weights
    quality_of = random.random(12)
    credit, s = credited(left, kernels, np.full(3, 0.05), surplus)
    # Kernel weights and reliabilities are taken as known; means are over the weights drawn.
    rest = left.effects - sums_of(left, s)
    e = s + (credit.reliability[:, None] * rest / 4)[left.labels]
    np.testing.assert_allclose(e.mean(axis=1), credit.extrinsic, atol=1e-12)
    for weight in (0.5, 1.3):
        paid = distribute(surplus.mean(), credit.extrinsic, quality_of, weight)
        draws = []
        for _ in range(4000):
            rows = random.integers(m, size=m)
            total = left.row_weights[rows].mean()
            drawn = distribute(
                surplus[rows].mean() / total, e[:, rows].mean(axis=1) / total, quality_of, weight
            )
            draws.append(drawn.intrinsic + drawn.extrinsic)
        errors = credit.sampling.standard_errors(paid, quality_of, weight)
        np.testing.assert_allclose(errors, np.std(draws, axis=0), rtol=0.08)


def test_errors_of_a_sample_of_the_validation_rows_are_those_of_all():
    random = np.random.default_rng(3)
    left, kernels = draw(5, (4, 4, 4), 2_000)
    surplus, quality_of = 5 + random.normal(size=2_000), random.random(12)
    errors = []
    for columns in (np.arange(2_000), np.arange(0, 2_000, 3)):
        credit, _ = credited(left, kernels, np.full(3, 0.05), surplus, columns)
        paid = distribute(surplus.mean(), credit.extrinsic, quality_of, 0.5)
        errors.append(credit.sampling.standard_errors(paid, quality_of, 0.5))
    np.testing.assert_allclose(errors[1], errors[0], rtol=0.1)


@given(st.integers(0, 10_000), st.floats(0, 3), st.floats(-1, 2))
@settings(deadline=None)
def test_payments_exhaust_the_surplus_or_say_that_they_do_not(seed, weight, surplus):
    random = np.random.default_rng(seed)
    credit = random.normal(size=9)
    paid = distribute(surplus, credit, random.random(9), weight)
    assert paid.reliable == (surplus > max(1e-12, weight * credit.sum()))
    total = surplus if paid.reliable else weight * credit.sum()
    assert (paid.intrinsic + paid.extrinsic).sum() == pytest.approx(total, abs=1e-9)
    assert (paid.intrinsic >= 0).all()


def test_without_any_quality_the_rest_is_shared_evenly():
    paid = distribute(1.0, np.zeros(4), np.zeros(4), 0.5)
    np.testing.assert_allclose(paid.intrinsic, 0.25)
