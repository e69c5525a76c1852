from dataclasses import replace

import numpy as np
import pytest
from test_games import shapley

from ecoval_core.valuation import kernels
from ecoval_core.valuation.kernels import (
    Forest,
    LeftOut,
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


def shapley_kernel(Z, codes, Z_val, codes_val):
    return ShapleyKernel(Z, codes, Z_val, codes_val, np.arange(len(Z)))


def left_out(labels, codes_val, n_classes=2, seed=0):
    """Clusters left out, of random residuals and outputs."""
    random = np.random.default_rng(seed)
    n_clusters, n_val = labels.max() + 1, len(codes_val)
    return LeftOut(
        labels=labels,
        own=random.normal(size=(len(labels), n_classes)),
        output_val=random.dirichlet(np.ones(n_classes), size=(n_clusters, n_val)),
        effects=random.normal(size=(n_clusters, n_val)),
        codes_val=codes_val,
        row_weights=random.random(n_val) + 0.5,
        scale=Scale.of(np.arange(n_classes), "classification"),
    )


def check_predictions(found, pairs, labels, columns):
    """Compare means, sums and some columns with those of all pairs, of rows and validation rows."""
    np.testing.assert_allclose(found.means, pairs.mean(axis=1), atol=1e-7)
    sums = [pairs[labels == c].sum(axis=0) for c in range(labels.max() + 1)]
    np.testing.assert_allclose(found.sums, sums, atol=1e-6)
    np.testing.assert_allclose(found.some, pairs[:, columns], atol=1e-6)


@pytest.mark.parametrize("block_pairs", [8, 10_000])
def test_the_shapley_kernel_gives_every_row_its_value_at_every_validation_row(
    monkeypatch, block_pairs
):
    random = np.random.default_rng(0)
    Z, codes = random.normal(size=(8, 2)), random.integers(2, size=8)
    Z_val, codes_val = random.normal(size=(3, 2)), np.array([0, 1, 1])
    labels, columns = np.array([0, 1, 1, 0, 2, 1, 0, 2]), np.array([0, 2])
    left = left_out(labels, codes_val)
    pairs = np.empty((8, 3))
    for v in range(3):
        gaps = np.linalg.norm(Z - Z_val[v], axis=1)

        def worth(members, v=v, gaps=gaps):
            nearest = sorted(members, key=gaps.__getitem__)[:5]
            return (codes[nearest] == codes_val[v]).sum() / 5

        pairs[:, v] = shapley(8, worth) * left.row_weights[v]
    monkeypatch.setattr(kernels, "BLOCK_PAIRS", block_pairs)
    found = shapley_kernel(Z, codes, Z_val, codes_val).predict(left, columns)
    check_predictions(found, pairs, labels, columns)


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
        left = left_out(np.zeros(61, dtype=int), codes_val)
        exact = more.predict(left, np.arange(20)).some[60] / left.row_weights
        np.testing.assert_allclose(result[i], exact, atol=1e-6)


@pytest.mark.parametrize(("block_pairs", "one_output"), [(3_000, False), (10_000_000, True)])
def test_proximity_is_the_share_of_trees_in_which_two_rows_share_a_leaf(
    cancer, forest, monkeypatch, block_pairs, one_output
):
    n_val = len(cancer.y_val)
    labels, columns = np.arange(len(cancer.y)) % 7, np.array([4, 9, n_val - 1])
    left = left_out(labels, cancer.y_val)
    if one_output:
        left = replace(left, output_val=left.output_val[:1])
    nodes, nodes_val = forest.nodes(cancer.X), forest.nodes(cancer.X_val)
    shares = (nodes[:, None] == nodes_val[None]).mean(axis=2)
    agreement = np.empty((len(labels), n_val))
    for row, c in enumerate(labels):
        residuals = np.eye(2)[cancer.y_val] - left.output_val[0 if one_output else c]
        agreement[row] = residuals @ left.own[row]
    monkeypatch.setattr(kernels, "BLOCK_PAIRS", block_pairs)
    kernel = ProximityKernel(forest, cancer.X, cancer.X_val)
    pairs = shares * agreement * left.row_weights
    check_predictions(kernel.predict(left, columns), pairs, labels, columns)
    new = Points(cancer.X[:3], cancer.y[:3], np.empty((3, 2)))
    expected = (shares * agreement)[:3]
    np.testing.assert_allclose(kernel.of_new(new, agreement[:3]), expected, rtol=1e-6)


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
