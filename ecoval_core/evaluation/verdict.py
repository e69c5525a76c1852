"""The verdict on a valuation: which rows are clearly harmful, whether that was measured, and what to do.

The same sentences are shown on every page, in the report and on the command line. Where the estimate of a
row's value and the measured effect of its removal disagree, the measurement decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ecoval_core.evaluation.measures import MAIN_MEASURES, Change, title_of
from ecoval_core.evaluation.pruning import Effect
from ecoval_core.text import DASH, MINUS, count_of, join

# Of the rows called clearly harmful at most this part is so by chance, on average; where no row is harmful,
# some row is called so in at most this part of all tables.
LEVEL = 0.05
N_ERRORS = 2
# A class with fewer valued rows, or fewer test rows, cannot be judged.
FEWEST_ROWS = 5
N_CLASSES_NAMED = 4
# Scores are written with three digits.
LEAST_WRITTEN = 0.0005
Say = Callable[[object], str]


def clearly_harmful(values: ArrayLike, errors: ArrayLike) -> NDArray[np.bool_]:
    """Tell which values lie below zero by more than two errors and by Benjamini and Hochberg's correction."""
    values, errors = np.asarray(values, float), np.asarray(errors, float)
    harmful = np.zeros(len(values), dtype=bool)
    known = np.isfinite(values) & np.isfinite(errors)
    if not known.any():
        return harmful
    v, e = values[known], errors[known]
    ratios = np.divide(v, e, out=np.where(v < 0, -np.inf, np.inf), where=e > 0)
    adjusted = stats.false_discovery_control(stats.norm.cdf(ratios))
    harmful[known] = (ratios < -N_ERRORS) & (adjusted <= LEVEL)
    return harmful


def classes_too_rare(labels: pd.Series, test_labels: ArrayLike) -> dict[object, tuple[int, int]]:
    """Return classes with too few valued rows or test rows to judge, each with both numbers."""
    valued, tested = labels.value_counts(), pd.Series(np.asarray(test_labels)).value_counts()
    counts = {label: (int(n), int(tested.get(label, 0))) for label, n in valued.items()}
    return {label: both for label, both in counts.items() if min(both) < FEWEST_ROWS}


# --- The removal curve ----------------------------------------------------------------------


@dataclass(frozen=True)
class Removal:
    """What removing the lowest values first does to a test score, beside removing rows at random."""

    measure: str
    score: float  # mean over the steps of the curve
    chance: float  # the same of the random orders, with the error of one more such order
    error: float
    baseline: float  # with all rows
    best_share: float
    best_score: float

    @property
    def verdict(self) -> str:
        """Say "better", "worse" or "alike": beyond two errors of what random orders reach, or within."""
        if abs(self.score - self.chance) <= N_ERRORS * self.error:
            return "alike"
        return "better" if self.score > self.chance else "worse"

    @property
    def sentence(self) -> str:
        """The conclusion of the curve."""
        main = title_of(self.measure)
        figures = f"mean {main} {self.score:.3f} against {self.chance:.3f} ± {self.error:.3f}"
        if self.verdict == "alike":
            return f"Removing the lowest values first is no better than random here ({figures})."
        if self.verdict == "worse":
            return f"Removing the lowest values first is worse than random here ({figures})."
        start = f"Removing the lowest values first beats removing at random ({figures})"
        if self.best_score <= self.baseline or not self.best_share:
            return f"{start}, but no share removed raises the {main}."
        return (
            f"{start}; best at {self.best_share:.0%}, {signed(self.best_score - self.baseline)}. The best "
            "share is chosen on these test rows, so it is optimistic: expect less on new data."
        )


def conclude(curves: pd.DataFrame, measure: str) -> Removal | None:
    """Compare the curve of the lowest values first with the random orders; None where it is not known."""
    of_measure = curves[curves["measure"] == measure].dropna(subset=["score"])
    moving = of_measure[of_measure["share"] > 0]
    # Where an order empties a class early its curve ends there: only the steps of all orders are compared.
    n_orders = moving.groupby(["strategy", "repeat"]).ngroups
    common = moving.groupby("share")["score"].transform("size") == n_orders
    means = moving[common].groupby(["strategy", "repeat"])["score"].mean()
    whole = of_measure.loc[of_measure["share"] == 0, "score"]
    if whole.empty or not {"lowest", "random"} <= set(means.index.get_level_values("strategy")):
        return None
    lowest = of_measure[of_measure["strategy"] == "lowest"].sort_values("share")
    best = lowest.iloc[int(lowest["score"].argmax())]
    chance = means["random"]
    spread = float(chance.std(ddof=1)) if len(chance) > 1 else math.inf
    return Removal(
        measure, float(means["lowest"].iloc[0]), float(chance.mean()),
        spread * math.sqrt(1 + 1 / len(chance)), float(whole.iloc[0]), float(best["share"]),
        float(best["score"]),
    )  # fmt: skip


# --- Effects in words -----------------------------------------------------------------------


def signed(difference: float) -> str:
    """Write a difference of scores with its sign."""
    if not math.isfinite(difference):
        return DASH
    return f"{difference:+.3f}".replace("-", MINUS) if abs(difference) >= LEAST_WRITTEN else "0"


def interval_of(change: Change) -> str:
    """Write the interval of a change."""
    return DASH if math.isnan(change.low) else f"{signed(change.low)} to {signed(change.high)}"


def _figures(change: Change) -> str:
    return (
        f"{change.before:.3f} before, {change.after:.3f} after; 90 % interval of the change "
        f"{interval_of(change)}, on {count_of(change.n_test, 'test row')}"
    )


def describe_effect(effect: Effect, say: Say = str) -> tuple[str, str]:
    """Say in a word and a sentence what a change did, first of all to the class that is hit worst."""
    overall, hit = effect.overall, effect.worst_hit
    main = title_of(effect.main)
    recall = "" if hit is None else title_of(hit.measure, say)
    if hit is not None and hit.high < 0:
        words = f"the {recall} falls ({_figures(hit)}). The {main} overall: {_figures(overall)}."
        return "Worse", words
    if effect.verdict == "worse":
        return "Worse", f"the {main} falls ({_figures(overall)})."
    ending = ""
    if hit is not None and hit.difference < 0:
        ending = (
            f" No class clearly gets worse. The largest fall is in the {recall}: {_figures(hit)}."
        )
    elif hit is not None:
        ending = " No class gets worse."
    if effect.verdict == "better":
        return "Better", f"the {main} rises ({_figures(overall)}).{ending}"
    return "No clear difference", f"in the {main} ({_figures(overall)}).{ending}"


def _unclear(change: Change) -> str:
    """Say that a change is not clear, or too small to be written."""
    if max(map(abs, (change.difference, change.low, change.high))) < LEAST_WRITTEN:
        return "changes by less than 0.001"
    return f"does not clearly change ({signed(change.difference)}, 90 % interval {interval_of(change)})"


# --- The verdict ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What a valuation says of a table; `effect` is that of removing the clearly harmful rows."""

    n_rows: int
    harmful: tuple[int, ...]  # row ids, lowest value first
    n_issues: int
    noun: str  # "label", or "target" for amounts
    rare: dict[object, tuple[int, int]]
    is_reliable: bool = True
    effect: Effect | None = None
    removal: Removal | None = None

    @property
    def is_against_pruning(self) -> bool:
        """Whether the values are not reliable, or the model gets worse without the clearly harmful rows."""
        return not self.is_reliable or (self.effect is not None and self.effect.verdict == "worse")

    def scores(self) -> str:
        """Name the usual scores of the model with all rows, or nothing while they are being measured."""
        if self.effect is None:
            return ""
        usual = [c for c in self.effect.changes if c.measure in MAIN_MEASURES]
        # The measure that the run is judged by comes first.
        usual.sort(key=lambda change: change.measure != self.effect.main)  # type: ignore[union-attr]
        told = join([f"{title_of(c.measure)} {c.before:.3f}" for c in usual])
        return f"On {count_of(self.effect.overall.n_test, 'test row')} the model reaches {told}."

    def harm(self) -> str:
        """Count the clearly harmful rows, and say where the measurement does not confirm them."""
        n = len(self.harmful)
        rows = (
            "no row is" if not n else f"{n:,} of {self.n_rows:,} rows {'is' if n == 1 else 'are'}"
        )
        told = (
            f"By the estimate, {rows} clearly harmful: below zero by more than two standard errors, after "
            "correction for testing many rows."
        )
        if n and self.effect is not None and self.effect.verdict != "better":
            told += " The test rows do not confirm it."
        return told

    def too_rare(self, say: Say = str) -> str:
        """Name the classes that are too rare to judge, or nothing."""
        if not self.rare:
            return ""
        names = [
            f"{say(label)} ({count_of(valued, 'row')}, {tested:,} in the test part)"
            for label, (valued, tested) in list(self.rare.items())[:N_CLASSES_NAMED]
        ]
        return f"Too rare to judge: {join(names, len(self.rare))}."

    def advice(self) -> str:
        """Say what to do, in one or two sentences."""
        if not self.is_reliable:
            return "These values are not reliable: neither prune nor relabel by them."
        n, effect = len(self.harmful), self.effect
        rows = f"the {n:,} clearly harmful rows" if n != 1 else "the clearly harmful row"
        if not n:
            told = self._without_harm()
        elif effect is None:
            told = f"Measure what removing {rows} does before you prune."
        elif effect.verdict == "better":
            told = (
                f"Prune {rows}: the {title_of(effect.main)} changes by {signed(effect.overall.difference)} "
                f"(90 % interval {interval_of(effect.overall)})."
            )
        elif effect.verdict == "worse":
            told = (
                f"Do not prune: the values call {count_of(n, 'row')} harmful, but the model measurably gets "
                "worse without them, and the measurement decides."
            )
        else:
            them = "it" if n == 1 else "them"
            told = (
                f"Look at the {count_of(n, 'row')} that the values call harmful before you remove any: "
                f"without {them} the {title_of(effect.main)} {_unclear(effect.overall)}."
            )
            if self._curve_gains:
                told += " The removal curve gains: choose a share on Prune and read its measured effect."
        return f"{told}{self._issues()}"

    @property
    def _curve_gains(self) -> bool:
        removal = self.removal
        return (
            removal is not None
            and removal.verdict == "better"
            and removal.best_score > removal.baseline
        )

    def _without_harm(self) -> str:
        if self.removal is None:
            return (
                "No row is clearly harmful by itself: do not prune unless the removal curve gains."
            )
        if self._curve_gains:
            return (
                "No row is clearly harmful by itself, but the removal curve gains: choose a share on Prune "
                "and read its measured effect."
            )
        return "Nothing here is clearly harmful: do not prune."

    def _issues(self) -> str:
        if not self.n_issues or self.noun != "label":
            return ""
        verb = "looks" if self.n_issues == 1 else "look"
        return (
            f" {count_of(self.n_issues, 'label')} {verb} wrong: review "
            f"{'it' if self.n_issues == 1 else 'them'}."
        )

    def evidence(self, say: Say = str) -> list[str]:
        """Return the sentences that the advice rests on."""
        removal = "" if self.removal is None else self.removal.sentence
        return [one for one in (self.scores(), self.harm(), removal, self.too_rare(say)) if one]
