import numpy as np
import pytest
from test_games import shapley

from ecoval_core.valuation import kernels
from ecoval_core.valuation.kernels import (
    Forest,
    Points,
    ProximityKernel,
    ShapleyKernel,
    make_kernels,
)
from ecoval_core.valuation.scoring import Scale


@pytest.fixture(scope="module")
def forest(cancer):
    rows = np.arange(len(cancer.y))
    return Forest(cancer.X, cancer.y, Scale.of(cancer.y, "classification"), rows, 0)


def shapley_kernel(Z, codes, Z_val, codes_val, identical=None):
    identical = np.arange(len(Z)) if identical is None else identical
    return ShapleyKernel(Z, codes, Z_val, codes_val, identical)


def test_the_shapley_kernel_gives_every_row_its_value_at_every_validation_row():
    random = np.random.default_rng(0)
    Z, codes = random.normal(size=(8, 2)), random.integers(2, size=8)
    Z_val, codes_val = random.normal(size=(3, 2)), np.array([0, 1, 1])
    result = shapley_kernel(Z, codes, Z_val, codes_val).of_members(np.arange(8), np.zeros((8, 3)))
    for v in range(3):
        gaps = np.linalg.norm(Z - Z_val[v], axis=1)

        def worth(members, v=v, gaps=gaps):
            nearest = sorted(members, key=gaps.__getitem__)[:5]
            return (codes[nearest] == codes_val[v]).sum() / 5

        np.testing.assert_allclose(result[:, v], shapley(8, worth), atol=1e-6)


def test_new_row_has_the_shapley_value_of_one_more_training_row():
    random = np.random.default_rng(1)
    Z, codes = random.normal(size=(60, 2)), random.integers(2, size=60)
    Z_val, codes_val = random.normal(size=(20, 2)), random.integers(2, size=20)
    new = Points(random.normal(size=(5, 2)) * 2, random.integers(2, size=5), np.empty((5, 2)))
    result = shapley_kernel(Z, codes, Z_val, codes_val).of_new(new, np.zeros((5, 20)))
    for i in range(5):
        more = shapley_kernel(
            np.vstack([Z, new.Z[i]]), np.append(codes, new.codes[i]), Z_val, codes_val
        )
        exact = more.of_members(np.array([60]), np.zeros((1, 20)))[0]
        np.testing.assert_allclose(result[i], exact, atol=1e-6)


def test_proximity_is_the_share_of_trees_in_which_two_rows_share_a_leaf(cancer, forest):
    kernel = ProximityKernel(forest, cancer.X, cancer.X_val)
    rows = np.array([3, 50, 7])
    agreement = np.random.default_rng(0).normal(size=(3, len(cancer.y_val)))
    leaves, leaves_val = forest.leaves(cancer.X), forest.leaves(cancer.X_val)
    shared = np.array(
        [
            [leaves[row].multiply(leaves_val[v]).sum() for v in range(len(cancer.y_val))]
            for row in rows
        ]
    )
    assert shared.max() <= forest.n_trees
    expected = shared / forest.n_trees * agreement
    np.testing.assert_allclose(kernel.of_members(rows, agreement), expected, rtol=1e-6)
    new = Points(cancer.X[rows], cancer.y[rows], np.empty((3, 2)))
    np.testing.assert_allclose(kernel.of_new(new, agreement), expected, rtol=1e-6)


def test_the_forest_judges_a_row_by_trees_that_did_not_see_it(cancer, forest):
    given = forest.out_of_bag[np.arange(len(cancer.y)), cancer.y]
    seen = forest.output(cancer.X)[np.arange(len(cancer.y)), cancer.y]
    assert given[cancer.flipped].mean() < 0.3 < 0.7 < given[~cancer.flipped].mean()
    assert seen[cancer.flipped].mean() > given[cancer.flipped].mean() + 0.1
    np.testing.assert_allclose(forest.out_of_bag.sum(axis=1), 1)


def test_a_forest_on_a_sample_judges_the_other_rows_too(cancer):
    rows = np.arange(0, len(cancer.y), 2)
    scale = Scale.of(cancer.y, "classification")
    half = Forest(cancer.X, cancer.y, scale, rows, 0)
    others = np.setdiff1d(np.arange(len(cancer.y)), rows)
    assert np.array_equal(half.out_of_bag[others], half.output(cancer.X[others]))
    again = Forest(cancer.X, cancer.y, scale, rows, 0, n_jobs=2)
    assert np.array_equal(again.out_of_bag, half.out_of_bag)


def test_a_class_that_the_sample_lacks_has_probability_zero():
    random = np.random.default_rng(0)
    Z, codes = random.normal(size=(40, 2)), np.repeat([0, 1, 2], [19, 20, 1])
    forest = Forest(Z, codes, Scale.of(codes, "classification"), np.arange(39), 0)
    assert (forest.out_of_bag[:, 2] == 0).all()


def test_amounts_of_any_size_are_judged_in_their_own_units():
    random = np.random.default_rng(0)
    Z = random.normal(size=(300, 3))
    y = 1e90 * (5 + Z[:, 0])
    forest = Forest(Z, y, Scale.of(y, "regression"), np.arange(300), 0)
    assert np.corrcoef(forest.out_of_bag[:, 0], y)[0, 1] > 0.9


def test_kernels_depend_on_task_and_size(cancer, forest, monkeypatch):
    data = cancer.X, cancer.y, cancer.X_val, cancer.y_val, forest, np.arange(len(cancer.y))
    assert [kernel.name for kernel in make_kernels(*data)] == ["proximity", "shapley"]
    monkeypatch.setattr(kernels, "MAX_SORTED_PAIRS", len(cancer.y) * len(cancer.y_val) - 1)
    assert [kernel.name for kernel in make_kernels(*data)] == ["proximity"]
