"""Which rows to prune, whether they were the right ones, and what pruning does to the test score."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import bootstrap
from sklearn.base import is_regressor
from sklearn.metrics import accuracy_score, r2_score

from ecoval_core.valuation.fitting import fit_model, seed_estimator, single_threaded

N_BOOTSTRAP = 500


@dataclass(frozen=True)
class PruneList:
    """Rules that together say which rows go: those any rule names, less those restored.

    Attributes
    ----------
    share : float, default=0
        Part of the rows, the lowest-valued, that go.
    threshold : float or None, default=None
        Rows with a value strictly below it go.
    picked : frozenset of int
        Row ids picked by hand.
    restored : frozenset of int
        Row ids that stay whatever the rules say.
    """

    share: float = 0.0
    threshold: float | None = None
    picked: frozenset[int] = frozenset()
    restored: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"The share to prune must lie in [0, 1), but it is {self.share}.")

    def reasons(self, values: pd.Series) -> pd.Series:
        """Return why each pruned row goes.

        Parameters
        ----------
        values : Series
            Value of each row, indexed by row id.

        Returns
        -------
        Series of str
            Indexed by the ids of the rows that go, lowest value first: "share", "threshold", "picked",
            or several joined by " + ".
        """
        ranked = values.sort_values(kind="stable")
        ids = ranked.index
        rules = {
            "share": np.arange(len(ranked)) < round(self.share * len(ranked)),
            "threshold": np.zeros(len(ranked), bool)
            if self.threshold is None
            else (ranked < self.threshold).to_numpy(),
            "picked": ids.isin(self.picked),
        }
        reasons = pd.Series("", index=ids, dtype="str", name="reason")
        for name, named in rules.items():
            reasons[named] = (
                reasons[named].where(reasons[named] == "", reasons[named] + " + ") + name
            )
        return reasons[(reasons != "") & ~ids.isin(self.restored)]

    def pick(self, rows: Iterable[int]) -> PruneList:
        """Add rows by hand; rows that were restored go again."""
        rows = frozenset(map(int, rows))
        return PruneList(self.share, self.threshold, self.picked | rows, self.restored - rows)

    def restore(self, rows: Iterable[int]) -> PruneList:
        """Keep rows whatever the rules say."""
        rows = frozenset(map(int, rows))
        return PruneList(self.share, self.threshold, self.picked - rows, self.restored | rows)


@dataclass(frozen=True)
class Detection:
    """How well a prune list found planted errors.

    Attributes
    ----------
    caught : int
        Planted errors on the list.
    precision : float
        Part of the list that is planted errors; NaN for an empty list.
    recall : float
        Part of the planted errors that is on the list; NaN if none were planted.
    """

    caught: int
    precision: float
    recall: float


def detection(pruned: Collection[int], flipped: Collection[int]) -> Detection:
    """Precision and recall of a prune list against planted errors.

    Parameters
    ----------
    pruned : collection of int
        Row ids that go.
    flipped : collection of int
        Row ids whose label was planted.

    Returns
    -------
    Detection
        Counts and ratios.
    """
    caught = len(np.intersect1d(np.asarray(list(pruned)), np.asarray(list(flipped))))
    return Detection(
        caught,
        caught / len(pruned) if len(pruned) else float("nan"),
        caught / len(flipped) if len(flipped) else float("nan"),
    )


@dataclass(frozen=True)
class Effect:
    """Test score with all rows and without the pruned ones.

    Attributes
    ----------
    metric : str
        Scorer name of scikit-learn.
    before, after : float
        Test scores.
    difference : float
        ``after - before``.
    low, high : float
        90 % interval of the difference over a bootstrap of the test rows, the same rows for both models.
    n_test : int
        Test rows.
    """

    metric: str
    before: float
    after: float
    low: float
    high: float
    n_test: int

    @property
    def difference(self) -> float:
        """Gain of the test score by pruning."""
        return self.after - self.before


def measure_effect(
    estimator: Any, X: NDArray, y: NDArray, X_test: NDArray, y_test: NDArray, keep: NDArray,
    *, random_state: int = 0,
) -> Effect:  # fmt: skip
    """Measure what pruning does to the test score, with its uncertainty.

    Parameters
    ----------
    estimator : estimator
        Unfitted model, the one the values are about.
    X, y : ndarray of shape (n_samples, n_features), (n_samples,)
        Training rows.
    X_test, y_test : ndarray
        Test rows.
    keep : ndarray of bool of shape (n_samples,)
        Rows that stay.
    random_state : int, default=0
        Seeds the model and the bootstrap.

    Returns
    -------
    Effect
        Accuracy (R2 for a regressor) before and after, and a 90 % interval of the difference.

    Raises
    ------
    ValueError
        If too little is left to fit: no row, or one class only.
    """
    regression = is_regressor(estimator)
    if not keep.any():
        raise ValueError("Pruning would leave no row to train on; prune fewer rows.")
    if not regression and len(left := np.unique(y[keep])) < 2:
        raise ValueError(
            f"Pruning would leave only the class {left[0]!s} to train on; prune fewer rows or "
            "restore some."
        )
    estimator = seed_estimator(estimator, random_state)
    score = r2_score if regression else accuracy_score
    with single_threaded():
        all_rows = fit_model(estimator, X, y, "on all rows").predict(X_test)
        where = f"on the {int(keep.sum())} rows left"
        kept_rows = fit_model(estimator, X[keep], y[keep], where).predict(X_test)

    def gain(rows: NDArray) -> float:
        return score(y_test[rows], kept_rows[rows]) - score(y_test[rows], all_rows[rows])

    interval = bootstrap(
        (np.arange(len(y_test)),), gain, n_resamples=N_BOOTSTRAP, vectorized=False,
        confidence_level=0.9, method="percentile", rng=random_state,
    ).confidence_interval  # fmt: skip
    return Effect(
        metric="r2" if regression else "accuracy",
        before=float(score(y_test, all_rows)),
        after=float(score(y_test, kept_rows)),
        low=float(interval.low),
        high=float(interval.high),
        n_test=len(y_test),
    )
