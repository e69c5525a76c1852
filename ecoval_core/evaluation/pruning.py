"""Which rows to prune, whether they were the right ones, and what a change of rows does to test scores."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_regressor

from ecoval_core.evaluation.measures import Change, compare, main_measure, predict
from ecoval_core.valuation.fitting import seed_estimator

DEFAULT_QUOTA = 0.5
SPARED = "spared by the quota"


class Decision(NamedTuple):
    """What a prune list decides.

    Attributes
    ----------
    reasons : Series of str
        Why each row goes, indexed by the ids of the rows that go, lowest value first: "share",
        "threshold", "picked", or several joined by " + ".
    spared : ndarray of int
        Row ids that the rules name and the quota of their class keeps, lowest value first.
    """

    reasons: pd.Series
    spared: NDArray[np.int64]

    @property
    def notes(self) -> pd.Series:
        """Return `reasons`, followed by "spared by the quota" for each of the rows spared."""
        spared = pd.Series(SPARED, index=self.spared, dtype="str", name=self.reasons.name)
        return pd.concat([self.reasons, spared])


@dataclass(frozen=True)
class PruneList:
    """Rules that together say which rows go: those any rule names, less those restored or spared.

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
    quota : float, default=0.5
        Part of the rows of each class that stays at least, whatever the rules say.
    """

    share: float = 0.0
    threshold: float | None = None
    picked: frozenset[int] = frozenset()
    restored: frozenset[int] = frozenset()
    quota: float = DEFAULT_QUOTA

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"The share to prune must lie in [0, 1), but it is {self.share}.")
        if not 0 <= self.quota <= 1:
            raise ValueError(f"The quota of a class must lie in [0, 1], but it is {self.quota}.")

    def decide(self, values: pd.Series, labels: pd.Series | None = None) -> Decision:
        """Decide which rows go.

        Parameters
        ----------
        values : Series
            Value of each row, indexed by row id.
        labels : Series or None, default=None
            Class of each row, indexed alike; None where there are no classes, and no quota.

        Returns
        -------
        Decision
            Rows that go, and rows that the quota spares: those of the highest value, and rows picked by
            hand only when no others are left.
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
        reasons = reasons[(reasons != "") & ~ids.isin(self.restored)]
        if labels is None:
            return Decision(reasons, np.empty(0, dtype=np.int64))
        classes = labels.loc[reasons.index]
        by_hand_first = np.argsort(~reasons.index.isin(self.picked), kind="stable")
        place = classes.iloc[by_hand_first].groupby(classes.iloc[by_hand_first]).cumcount()
        sizes = labels.value_counts()
        room = classes.map(sizes - np.ceil(sizes * self.quota - 1e-9)).astype(float)
        goes = place.loc[reasons.index] < room
        return Decision(reasons[goes], reasons.index[~goes].to_numpy(np.int64))

    def reasons(self, values: pd.Series, labels: pd.Series | None = None) -> pd.Series:
        """Return why each pruned row goes; see :meth:`decide`."""
        return self.decide(values, labels).reasons

    def pick(self, rows: Iterable[int]) -> PruneList:
        """Add rows by hand; rows that were restored go again."""
        rows = frozenset(map(int, rows))
        return replace(self, picked=self.picked | rows, restored=self.restored - rows)

    def restore(self, rows: Iterable[int]) -> PruneList:
        """Keep rows whatever the rules say."""
        rows = frozenset(map(int, rows))
        return replace(self, picked=self.picked - rows, restored=self.restored | rows)


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
    """What a change of the training rows does to the test scores.

    Attributes
    ----------
    main : str
        The measure that stands for all.
    changes : tuple of Change
        Every measure before and after.
    """

    main: str
    changes: tuple[Change, ...]

    def of(self, measure: str) -> Change:
        """Return the change of a measure."""
        return next(change for change in self.changes if change.measure == measure)

    @property
    def overall(self) -> Change:
        """The change of the main measure."""
        return self.of(self.main)

    @property
    def by_class(self) -> tuple[Change, ...]:
        """The changes of the recall of each class; none for regression."""
        return tuple(c for c in self.changes if c.measure.startswith("recall: "))

    @property
    def worst_hit(self) -> Change | None:
        """The class that loses most: of those that lose for sure, or else of all; None without classes."""
        known = [c for c in self.by_class if not math.isnan(c.difference)]
        surely = [c for c in known if c.high < 0]
        return min(surely or known, key=lambda c: c.difference, default=None)

    @property
    def verdict(self) -> str:
        """Say "worse", "better" or "unsure".

        Worse if the main measure or any class surely falls; better if the main measure surely rises and no
        class surely falls.
        """
        hit = self.worst_hit
        if self.overall.high < 0 or (hit is not None and hit.high < 0):
            return "worse"
        return "better" if self.overall.low > 0 else "unsure"


def measure_effect(
    estimator: Any, X: NDArray, y: NDArray, X_test: NDArray, y_test: NDArray, keep: NDArray,
    *, y_after: NDArray | None = None, random_state: int = 0, balanced: bool = False,
) -> Effect:  # fmt: skip
    """Measure what pruning or relabelling does to the test scores, with its uncertainty.

    Parameters
    ----------
    estimator : estimator
        Unfitted model, the one the values are about.
    X, y : ndarray of shape (n_samples, n_features), (n_samples,)
        Training rows.
    X_test, y_test : ndarray
        Test rows, used neither to fit nor to value.
    keep : ndarray of shape (n_samples,), bool
        Rows that stay.
    y_after : ndarray of shape (n_samples,) or None, default=None
        Labels after the change; None leaves them as they are.
    random_state : int, default=0
        Seeds model and bootstrap.
    balanced : bool, default=False
        Whether balanced accuracy stands for all instead of accuracy.

    Returns
    -------
    Effect
        Accuracy, balanced accuracy, ROC AUC and the recall of each class (R2 for a regressor) before and
        after, with 90 % intervals of the difference.

    Raises
    ------
    ValueError
        If too little is left to fit: no row, or one class only.
    """
    regression = is_regressor(estimator)
    y_after = y if y_after is None else y_after
    if not keep.any():
        raise ValueError("Pruning would leave no row to train on; prune fewer rows.")
    if not regression and len(left := np.unique(y_after[keep])) < 2:
        raise ValueError(
            f"The change would leave only the class {left[0]!s} to train on; prune or relabel fewer "
            "rows, or restore some."
        )
    estimator = seed_estimator(estimator, random_state)
    classes = None if regression else np.unique(np.concatenate([y, y_after, y_test]))
    before = predict(estimator, X, y, X_test, classes, "on all rows")
    where = f"on the {int(keep.sum())} rows left"
    after = predict(estimator, X[keep], y_after[keep], X_test, classes, where)
    return Effect(
        main_measure(estimator, balanced=balanced), compare(y_test, before, after, random_state)
    )
