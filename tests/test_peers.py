"""The benchmarks' peers against games and tables with known answers."""

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tests.test_games import cobb_douglas, shapley

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from peers import data_oob_values, monte_carlo_shapley, tmc_shapley_values


def blobs(n_rows, flipped, seed=0):
    random = np.random.default_rng(seed)
    y = np.arange(n_rows) % 2
    X = random.normal(size=(n_rows, 2)) + 6 * y[:, None]
    y[flipped] = 1 - y[flipped]
    return X, y


def test_sampled_shapley_values_approach_those_by_enumeration():
    *_, worth = cobb_douglas(0, 6)
    exact = shapley(6, worth)
    sampled = monte_carlo_shapley(
        6, lambda members, _: (worth(tuple(members)), None), worth_of_none=0.0,
        worth_of_all=worth(range(6)), max_permutations=4000, random_state=0,
    )  # fmt: skip
    assert sampled.n_permutations == 4000
    assert sampled.values.sum() == pytest.approx(exact.sum())
    np.testing.assert_allclose(sampled.values, exact, atol=0.02 * exact.sum())


def test_an_order_is_cut_once_the_rest_cannot_add_more_than_the_tolerance():
    sizes = []

    def worth(members, _):
        sizes.append(len(members))
        return min(len(members), 3) / 3, None

    sampled = monte_carlo_shapley(
        10, worth, worth_of_none=0.0, worth_of_all=1.0, tolerance=1e-9, max_permutations=50,
        random_state=0,
    )  # fmt: skip
    assert max(sizes) == 3
    assert sampled.values.sum() == pytest.approx(1.0)


def test_the_first_order_is_finished_whatever_the_time():
    sampled = monte_carlo_shapley(
        4, lambda members, _: (float(len(members)), None), worth_of_none=0.0, worth_of_all=4.0,
        seconds=0.0, random_state=0,
    )  # fmt: skip
    assert sampled.n_permutations == 1
    np.testing.assert_allclose(sampled.values, 1.0)


def test_models_pass_along_an_order_and_never_into_the_next():
    given = []

    def worth(members, model):
        given.append((len(members), model))
        return float(len(members)), len(members)

    monte_carlo_shapley(
        3, worth, worth_of_none=0.0, worth_of_all=3.0, max_permutations=2, random_state=0
    )
    assert given == [(1, None), (2, 1), (3, 2)] * 2


def test_monte_carlo_shapley_of_a_model_shares_its_surplus_and_finds_wrong_labels():
    flipped = np.array([3, 8, 21])
    X, y = blobs(30, flipped)
    X_val, y_val = blobs(20, [], seed=1)
    model = LogisticRegression()
    sampled = tmc_shapley_values(
        model, X, y, X_val, y_val, tolerance=0.0, max_permutations=15, random_state=0
    )
    probability = model.fit(X, y).predict_proba(X_val)[np.arange(20), y_val]
    prior = np.bincount(y)[y_val] / 30
    assert sampled.values.sum() == pytest.approx(probability.mean() - prior.mean(), abs=1e-3)
    assert set(np.argsort(sampled.values)[:3]) == set(flipped)


def test_data_oob_is_the_share_of_unbagged_trees_that_agree():
    flipped = np.array([0, 7, 30, 41])
    X, y = blobs(60, flipped)
    values = data_oob_values(X, y, random_state=0)
    wrong = np.isin(np.arange(60), flipped)
    assert roc_auc_score(wrong, -values) == 1.0
    assert np.median(values[~wrong]) > 0.9
    assert values[wrong].max() < 0.5
    assert values.min() >= 0
    assert values.max() <= 1


def test_data_oob_knows_labels_that_are_not_indices():
    X, y = blobs(40, [])
    np.testing.assert_array_equal(
        data_oob_values(X, y, n_trees=20, random_state=0),
        data_oob_values(X, np.array(["no", "yes"])[y], n_trees=20, random_state=0),
    )
