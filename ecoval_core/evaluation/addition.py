"""Addition: the test score while rows of a second file join the training rows, in one order and another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_regressor

from ecoval_core.evaluation.measures import compare, draw_rows, main_measure, predict
from ecoval_core.evaluation.pruning import Effect
from ecoval_core.evaluation.subsets import N_DRAWS, by_measure, score_subsets
from ecoval_core.valuation.fitting import seed_estimator
from ecoval_core.valuation.parallel import Monitor, Progress, ShouldStop

ADDED_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


def acquisition_curves(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    X_new: ArrayLike,
    y_new: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    priorities: Mapping[str, ArrayLike],
    *,
    shares: Sequence[float] = ADDED_SHARES,
    n_random: int = 10,
    random_state: int = 0,
    n_jobs: int | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> pd.DataFrame:
    """Test scores while more and more new rows join the training rows, refitting at every step.

    Parameters
    ----------
    estimator : estimator
        Unfitted model of the run, with its class weights.
    X, y : array-like of shape (n_samples, n_features), (n_samples,)
        Training rows.
    X_new, y_new : array-like of shape (n_new, n_features), (n_new,)
        New rows with their labels.
    X_test, y_test : array-like
        Test rows, used neither to fit nor to value.
    priorities : mapping of str to array-like of shape (n_new,)
        Orders by name: rows of the highest priority are added first.
    shares : sequence of float, default=(0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1)
        Parts of the new rows that are added, in [0, 1].
    n_random : int, default=10
        Random orders, under the name "random".
    random_state : int, default=0
        Seeds the random orders, the bootstrap of the test rows and the model.
    n_jobs : int or None, default=None
        As in joblib.
    progress, should_stop : callable or None
        As in :meth:`ecoval_core.EcoVal.fit`.

    Returns
    -------
    DataFrame
        Columns strategy, repeat, share, n_added, measure, score, low, high (a 90 % interval over a bootstrap
        of the test rows): a row for each refit and measure.

    Raises
    ------
    ValueError
        If a share is invalid, there is no new row, or priorities are not one a row.
    Cancelled
        If `should_stop` returned True.
    """
    X, y, X_new, y_new, X_test, y_test = map(np.asarray, (X, y, X_new, y_new, X_test, y_test))
    invalid = [share for share in shares if not 0 <= share <= 1]
    if invalid:
        raise ValueError(f"A share to add must lie in [0, 1], but one is {invalid[0]}.")
    if not len(y_new):
        raise ValueError("There is no new row to add: give rows with a label that the model knows.")
    random = np.random.default_rng(random_state)
    orders: list[tuple[str, int, NDArray]] = []
    for name, of in priorities.items():
        if np.shape(of) != y_new.shape:
            raise ValueError(
                f"{name} gives {len(np.asarray(of))} priorities for {len(y_new)} rows."
            )
        orders.append((name, 0, np.argsort(-np.asarray(of), kind="stable")))
    orders += [("random", repeat, random.permutation(len(y_new))) for repeat in range(n_random)]
    old = np.arange(len(y))
    steps, subsets = [], []
    for name, repeat, order in orders:
        for share in shares:
            n_added = round(share * len(y_new))
            subsets.append(np.concatenate([old, len(y) + order[:n_added]]))
            steps.append((name, repeat, share, n_added))
    found = score_subsets(
        seed_estimator(estimator, random_state), np.concatenate([X, X_new]),
        np.concatenate([y, y_new]), X_test, y_test, subsets, n_jobs=n_jobs,
        draws=draw_rows(len(y_test), random_state, N_DRAWS), monitor=Monitor(progress, should_stop),
    )  # fmt: skip
    return by_measure(
        pd.DataFrame(steps, columns=["strategy", "repeat", "share", "n_added"]), found
    )


def count_additions(
    n_orders: int, shares: Sequence[float] = ADDED_SHARES, n_random: int = 10
) -> int:
    """Refits that :func:`acquisition_curves` does at most.

    Parameters
    ----------
    n_orders : int
        Orders besides the random ones.
    shares : sequence of float
        Parts of the new rows that are added; those of 0 and 1 are fitted once for all orders.
    n_random : int, default=10
        Random orders.

    Returns
    -------
    int
        Number of fits.
    """
    shared = sum(share in (0, 1) for share in set(shares))
    return (n_orders + n_random) * (len(set(shares)) - shared) + shared


@dataclass(frozen=True)
class Advantage:
    """What an order of addition gains on random ones, over the whole curve.

    Attributes
    ----------
    strategy : str
        The order.
    score : float
        Mean test score over the steps between no new row and all.
    chance, low, high : float
        Mean of the random orders' mean scores, and the 10th and 90th percentile of them.
    """

    strategy: str
    score: float
    chance: float
    low: float
    high: float

    @property
    def gain(self) -> float:
        """How far the order is above the random ones."""
        return self.score - self.chance

    @property
    def verdict(self) -> str:
        """Say "better", "worse" or "alike": above, below or within what random orders reach."""
        if self.score > self.high:
            return "better"
        return "worse" if self.score < self.low else "alike"


def advantages(curves: pd.DataFrame) -> tuple[Advantage, ...]:
    """Compare the orders of an acquisition curve with the random ones.

    Parameters
    ----------
    curves : DataFrame
        From :func:`acquisition_curves`, of one measure.

    Returns
    -------
    tuple of Advantage
        One for each order but the random ones; none where the curve has no step between no new row and all.
    """
    between = curves[(curves["share"] > 0) & (curves["share"] < 1)]
    means = between.groupby(["strategy", "repeat"], sort=False)["score"].mean()
    if means.empty or "random" not in means.index.get_level_values("strategy"):
        return ()
    chance = means.xs("random", level="strategy")
    low, high = chance.quantile(0.1), chance.quantile(0.9)
    ordered = means.drop("random", level="strategy").groupby(level="strategy", sort=False).mean()
    return tuple(
        Advantage(str(strategy), float(score), float(chance.mean()), float(low), float(high))
        for strategy, score in ordered.items()
    )


def measure_addition(
    estimator: Any, X: NDArray, y: NDArray, X_new: NDArray, y_new: NDArray, X_test: NDArray,
    y_test: NDArray, *, random_state: int = 0, balanced: bool = False,
) -> Effect:  # fmt: skip
    """Measure what adding rows does to the test scores, with its uncertainty.

    Parameters
    ----------
    estimator : estimator
        Unfitted model of the run, with its class weights.
    X, y : ndarray of shape (n_samples, n_features), (n_samples,)
        Training rows.
    X_new, y_new : ndarray of shape (n_new, n_features), (n_new,)
        Rows to add.
    X_test, y_test : ndarray
        Test rows, used neither to fit nor to value.
    random_state : int, default=0
        Seeds model and bootstrap.
    balanced : bool, default=False
        Whether balanced accuracy stands for all instead of accuracy.

    Returns
    -------
    Effect
        Every measure without the new rows and with them, with 90 % intervals of the difference.

    Raises
    ------
    ValueError
        If there is no row to add.
    """
    if not len(y_new):
        raise ValueError("There is no row to add: choose at least one.")
    estimator = seed_estimator(estimator, random_state)
    everything = np.concatenate([y, y_new])
    classes = None if is_regressor(estimator) else np.unique(np.concatenate([everything, y_test]))
    before = predict(estimator, X, y, X_test, classes, "on the training rows")
    after = predict(
        estimator, np.concatenate([X, X_new]), everything, X_test, classes,
        f"with {len(y_new)} new rows",
    )  # fmt: skip
    return Effect(
        main_measure(estimator, balanced=balanced), compare(y_test, before, after, random_state)
    )
