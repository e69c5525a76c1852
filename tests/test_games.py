"""The production function against exact Shapley values, by enumeration of all coalitions."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest

from ecoval_core.evaluation.peers import knn_shapley_values
from ecoval_core.valuation.record import distribute


def shapley(n_players, worth):
    """Exact Shapley values of a game; `worth` takes a tuple of players."""
    values = np.zeros(n_players)
    for size in range(n_players):
        weight = factorial(size) * factorial(n_players - size - 1) / factorial(n_players)
        for coalition in combinations(range(n_players), size):
            before = worth(coalition)
            for player in set(range(n_players)) - set(coalition):
                values[player] += weight * (worth((*coalition, player)) - before)
    return values


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_players", [6, 10])
def test_values_approximate_the_shapley_values_of_cobb_douglas_games(seed, n_players):
    random = np.random.default_rng(seed)
    alpha, beta = random.uniform(0.1, 0.6), random.uniform(0.1, 0.2)
    quality, effect = random.uniform(0.1, 1, n_players), random.uniform(0.1, 1, n_players)

    def worth(coalition):
        rows = list(coalition)
        return quality[rows].sum() ** alpha * effect[rows].sum() ** beta if rows else 0.0

    surplus = worth(range(n_players))
    # E is measured at the margin: x's share of beta * Y. Its payment per unit is 1 / (alpha + beta).
    paid = distribute(surplus, beta * surplus * effect / effect.sum(), quality, 1 / (alpha + beta))
    ours, exact = paid.intrinsic + paid.extrinsic, shapley(n_players, worth)
    assert ours.sum() == pytest.approx(surplus, rel=1e-12)
    assert exact.sum() == pytest.approx(surplus, rel=1e-9)
    assert np.corrcoef(ours, exact)[0, 1] > (0.98 if n_players >= 10 else 0.9)


@pytest.mark.parametrize("n_neighbors", [1, 3, 20])
def test_knn_shapley_is_the_shapley_value_of_the_nearest_neighbour_game(n_neighbors):
    random = np.random.default_rng(0)
    X, X_val = random.normal(size=(8, 2)), random.normal(size=(5, 2))
    y, y_val = random.integers(2, size=8), random.integers(2, size=5)

    def worth(coalition):
        rows = np.array(coalition, dtype=int)
        gaps = ((X[rows][:, None] - X_val) ** 2).sum(axis=-1)
        nearest = rows[gaps.argsort(axis=0)[:n_neighbors]]
        return (y[nearest] == y_val).sum(axis=0).mean() / n_neighbors if len(rows) else 0.0

    ours = knn_shapley_values(X, y, X_val, y_val, n_neighbors=n_neighbors)
    np.testing.assert_allclose(ours, shapley(8, worth), atol=1e-12)
