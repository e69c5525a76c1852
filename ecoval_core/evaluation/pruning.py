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
from ecoval_core.models.catalog import seed_estimator
from ecoval_core.models.inputs import take

DEFAULT_QUOTA = 0.5
SPARED = "spared by the quota"


class Decision(NamedTuple):
    """What a prune list decides; both by row id, the lowest value first."""

    reasons: pd.Series  # "share", "threshold", "picked" or several joined by " + "
    spared: NDArray[np.int64]  # rows that the rules name and the quota of their class keeps

    @property
    def notes(self) -> pd.Series:
        """Return `reasons`, followed by "spared by the quota" for each of the rows spared."""
        spared = pd.Series(SPARED, index=self.spared, dtype="str", name=self.reasons.name)
        return pd.concat([self.reasons, spared])


@dataclass(frozen=True)
class PruneList:
    """Rules that together say which rows go: those any rule names, less those restored or spared."""

    share: float = 0.0  # of the rows, the lowest-valued, goes
    threshold: float | None = None  # rows strictly below it go
    picked: frozenset[int] = frozenset()
    restored: frozenset[int] = frozenset()  # stay whatever the rules say
    quota: float = DEFAULT_QUOTA  # of each class stays at least

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"The share to prune must lie in [0, 1), but it is {self.share}.")
        if not 0 <= self.quota <= 1:
            raise ValueError(f"The quota of a class must lie in [0, 1], but it is {self.quota}.")

    def decide(
        self, values: pd.Series, labels: pd.Series | None = None, relabelled: Iterable[int] = ()
    ) -> Decision:
        """Decide which rows go; those that are relabelled stay, since their new label is no error."""
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
        for name, chosen in rules.items():
            reasons[chosen] = (
                reasons[chosen].where(reasons[chosen] == "", reasons[chosen] + " + ") + name
            )
        stays = ids.isin(self.restored | frozenset(relabelled))
        reasons = reasons[(reasons != "") & ~stays]
        if labels is None:
            return Decision(reasons, np.empty(0, dtype=np.int64))
        classes = labels.loc[reasons.index]
        by_hand_first = np.argsort(~reasons.index.isin(self.picked), kind="stable")
        place = classes.iloc[by_hand_first].groupby(classes.iloc[by_hand_first]).cumcount()
        sizes = labels.value_counts()
        room = classes.map(sizes - np.ceil(sizes * self.quota - 1e-9)).astype(float)
        goes = place.loc[reasons.index] < room
        return Decision(reasons[goes], reasons.index[~goes].to_numpy(np.int64))

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
    """How well a prune list finds planted errors; NaN where there is nothing to divide by."""

    caught: int
    precision: float
    recall: float


def detection(pruned: Collection[int], flipped: Collection[int]) -> Detection:
    """Precision and recall of pruned row ids against those of planted errors."""
    caught = len(np.intersect1d(np.asarray(list(pruned)), np.asarray(list(flipped))))
    return Detection(
        caught,
        caught / len(pruned) if len(pruned) else float("nan"),
        caught / len(flipped) if len(flipped) else float("nan"),
    )


@dataclass(frozen=True)
class Effect:
    """What a change of the training rows does to the test scores: every measure, and the main one's name."""

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
        """Say "worse" if a class or the main measure surely falls, "better" if that rises, else "unsure"."""
        hit = self.worst_hit
        if self.overall.high < 0 or (hit is not None and hit.high < 0):
            return "worse"
        return "better" if self.overall.low > 0 else "unsure"


def measure_effect(
    estimator: Any, X: NDArray, y: NDArray, X_test: NDArray, y_test: NDArray, keep: NDArray,
    *, y_after: NDArray | None = None, random_state: int = 0, balanced: bool = False,
) -> Effect:  # fmt: skip
    """Measure what pruning or relabelling does to the test scores, with its uncertainty."""
    regression = is_regressor(estimator)
    y_after = y if y_after is None else y_after
    if not keep.any():
        raise ValueError("Pruning would leave no row to train on; prune fewer rows.")
    if not regression and len(left := np.unique(y_after[keep])) < 2:
        raise ValueError(
            f"The change would leave only the class {left[0]!s} to train on; prune or relabel fewer "
            "rows, or restore some."
        )
    return effect_of(
        estimator, X, y, take(X, np.flatnonzero(keep)), y_after[keep], X_test, y_test,
        random_state=random_state, balanced=balanced, where=f"on the {int(keep.sum())} rows left",
    )  # fmt: skip


def effect_of(
    estimator: Any, X: NDArray, y: NDArray, X_after: NDArray, y_after: NDArray, X_test: NDArray,
    y_test: NDArray, *, random_state: int, balanced: bool, where: str,
) -> Effect:  # fmt: skip
    """Compare the model fitted on the training rows with the one fitted on those after a change."""
    estimator = seed_estimator(estimator, random_state)
    labels = None if is_regressor(estimator) else np.unique(np.concatenate([y, y_after, y_test]))
    before = predict(estimator, X, y, X_test, labels, "on all rows")
    after = predict(estimator, X_after, y_after, X_test, labels, where)
    return Effect(
        main_measure("regression" if labels is None else "classification", balanced=balanced),
        compare(y_test, before, after, random_state),
    )
