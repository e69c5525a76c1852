"""The peer of EcoVal that the package does not hold: truncated Monte Carlo Shapley."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecoval_core.models.catalog import fit_model, single_threaded
from ecoval_core.valuation.scoring import Scale, model_output, prior_scores, sample_scores

# Given the rows of a coalition and the model of the coalition before: its worth and its model.
Worth = Callable[[NDArray[np.int64], Any], tuple[float, Any]]


class Sampled(NamedTuple):
    """Shapley values estimated from permutations, and how many there were."""

    values: NDArray[np.float64]
    n_permutations: int


def monte_carlo_shapley(
    n_players: int,
    worth: Worth,
    *,
    worth_of_none: float,
    worth_of_all: float,
    tolerance: float = 0.0,
    seconds: float = np.inf,
    max_permutations: int | None = None,
    random_state: int | None = None,
) -> Sampled:
    """Shapley values as mean marginal contributions over random orders, each cut short near its end.

    Parameters
    ----------
    n_players : int
        Players.
    worth : callable
        ``worth(members, model)`` gives the worth of a coalition and a model that the next, larger
        coalition of the same order may start from; `model` is None at the start of an order.
    worth_of_none, worth_of_all : float
        Worth of the empty and of the grand coalition.
    tolerance : float, default=0.0
        An order ends, its other players adding nothing, once a coalition is worth the grand one to
        within this; 0 never cuts.
    seconds : float, default=inf
        No new order starts after this time; the first always does.
    max_permutations : int or None, default=None
        Most orders.
    random_state : int or None, default=None
        Seeds the orders.

    Returns
    -------
    Sampled
        Values, and the number of orders they are the mean of.

    References
    ----------
    A. Ghorbani and J. Zou, "Data Shapley: Equitable Valuation of Data for Machine Learning", ICML 2019.
    """
    random = np.random.default_rng(random_state)
    total, done, started = np.zeros(n_players), 0, time.perf_counter()
    while done == 0 or time.perf_counter() - started < seconds:
        if done == max_permutations:
            break
        order, model, before = random.permutation(n_players), None, worth_of_none
        for place, player in enumerate(order, start=1):
            if abs(worth_of_all - before) < tolerance:
                break
            now, model = worth(order[:place], model)
            total[player] += now - before
            before = now
        done += 1
    return Sampled(total / done, done)


def tmc_shapley_values(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    X_val: ArrayLike,
    y_val: ArrayLike,
    *,
    seconds: float = 300.0,
    tolerance: float = 0.01,
    max_permutations: int | None = None,
    random_state: int | None = None,
) -> Sampled:
    """Sample Shapley values with EcoVal's utility, the mean probability of the true class.

    Parameters
    ----------
    estimator : estimator
        Unfitted classifier; within an order every fit starts from the one before, where it can.
    X, y : ndarray of shape (n_samples, n_features), (n_samples,)
        Training rows; labels are class indices without gaps.
    X_val, y_val : ndarray of shape (n_val, n_features), (n_val,)
        Validation rows.
    seconds, max_permutations, random_state
        As in :func:`monte_carlo_shapley`.
    tolerance : float, default=0.01
        As there, as a share of the surplus over the prior predictor.

    Returns
    -------
    Sampled
        Values in units of the score, and the number of orders.
    """
    X, y, X_val, y_val = map(np.asarray, (X, y, X_val, y_val))
    scale, classes = Scale.of(y, "classification"), np.arange(y.max() + 1)

    def worth(members: NDArray[np.int64], model: Any) -> tuple[float, Any]:
        fitted = fit_model(estimator, X[members], y[members], "on a coalition", start=model)
        output = model_output(fitted, X_val, classes)
        return float(sample_scores(output, y_val, "probability", scale).mean()), fitted

    with single_threaded():
        worth_of_none = float(prior_scores(y_val, "probability", scale).mean())
        worth_of_all, _ = worth(np.arange(len(y)), None)
        return monte_carlo_shapley(
            len(y), worth, worth_of_none=worth_of_none, worth_of_all=worth_of_all,
            tolerance=tolerance * abs(worth_of_all - worth_of_none), seconds=seconds,
            max_permutations=max_permutations, random_state=random_state,
        )  # fmt: skip
