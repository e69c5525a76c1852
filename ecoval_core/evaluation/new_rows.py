r"""Rows of a second file: their values without a refit, which to acquire first, what adding them brings.

The value pays a row for being typical too: it does not say what *another* row would add. For labels, the
priority of a new row is

.. math:: \frac{n_c}{n_c + k} \; E_i^+ \; q_i \; (1 - p(y_i | x_i))

with :math:`E_i^+` its extrinsic value (rows without any follow, by theirs), :math:`q_i` its quality, p what
the model gives to the label already, and k the number of rows that come first and would join the same
cluster of :math:`n_c` training rows. For amounts it is the label quality times the residual, likewise
discounted: alone, the extrinsic part ranks outliers first. Without a label it is the doubt: 1 less the
probability of the likeliest label by the judges, or how far model and judges are apart.
``benchmarks/acquisition.py`` measures all of this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ecoval_core.evaluation.curves import N_DRAWS, by_measure, score_subsets
from ecoval_core.evaluation.measures import draw_rows
from ecoval_core.models.catalog import seed_estimator, single_threaded
from ecoval_core.models.inputs import as_rows, stack
from ecoval_core.models.parallel import Monitor, Progress
from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.record import DEFAULT_EXTRINSIC_WEIGHT
from ecoval_core.valuation.scoring import model_output

ADDED_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


def value_new(
    ecoval: EcoVal | CrossValuation, X: Any, y: ArrayLike, ids: ArrayLike | None = None
) -> pd.DataFrame:
    """Value labelled rows of a second file without a refit, and rank them by what to acquire.

    Returns a row for each, by `ids`, with value, intrinsic, extrinsic, cluster (that the row would join),
    label, label_quality, suggested_label, surprise (1 less the probability that the model gives to the
    label; of amounts the absolute residual), priority (the higher, the sooner) and place (1 for the first).
    """
    folds = _folds(ecoval)
    X, y = as_rows(X), np.asarray(y)
    valued = ecoval.value_samples(X, y)
    columns = [
        "value", "intrinsic", "extrinsic", "cluster", "label", "label_quality", "suggested_label",
    ]  # fmt: skip
    frame = pd.DataFrame(valued | {"label": y}, _index(ids, len(y)), columns)
    output = _mean_output(folds, X)
    if folds[0].task_ == "regression":
        frame["surprise"] = np.abs(y - output[:, 0])
        need = frame["label_quality"].to_numpy() * frame["surprise"].to_numpy()
    else:
        codes = np.searchsorted(folds[0].classes_, y)
        frame["surprise"] = 1 - output[np.arange(len(y)), codes]
        rate = float(np.mean([one.intrinsic_rate_ for one in folds]))
        # Where the surplus pays nobody for quality, the judgement of the label stands in.
        quality = valued.intrinsic / rate if rate > 0 else valued.label_quality
        extrinsic = valued.extrinsic
        if not folds[0].extrinsic_weight:
            # Paid nothing, it still orders the rows.
            paying = ecoval.reweight(DEFAULT_EXTRINSIC_WEIGHT)
            extrinsic = paying.value_samples(X, y).extrinsic
        need = extrinsic * np.where(extrinsic > 0, quality * frame["surprise"].to_numpy(), 1.0)
    return _ranked(frame, need, ecoval)


def rank_unlabelled(
    ecoval: EcoVal | CrossValuation, X: Any, ids: ArrayLike | None = None
) -> pd.DataFrame:
    """Rank rows without labels by which to label first: suggested_label, doubt, priority, place."""
    folds = _folds(ecoval)
    X = as_rows(X)
    output = _mean_output(folds, X)
    is_regression = folds[0].task_ == "regression"
    first = output[:, 0] if is_regression else np.repeat(folds[0].classes_[:1], len(output))
    # A listed label has a suggestion of its own; of one that nobody doubts it is the likeliest label.
    confident = ecoval.value_samples(X, first).suggested_label
    suggested = ecoval.value_samples(X, confident).suggested_label
    judged = ecoval.value_samples(X, suggested)
    doubt = np.abs(output[:, 0] - suggested) if is_regression else 1 - judged.label_quality
    frame = pd.DataFrame(
        {"suggested_label": suggested, "doubt": doubt, "cluster": judged.cluster},
        index=_index(ids, len(output)),
    )
    return _ranked(frame, doubt, ecoval).drop(columns="cluster")


def _folds(ecoval: EcoVal | CrossValuation) -> list[EcoVal]:
    return ecoval.estimators_ if isinstance(ecoval, CrossValuation) else [ecoval]


def _index(ids: ArrayLike | None, n_rows: int) -> pd.Index:
    return pd.Index(np.arange(n_rows) if ids is None else np.asarray(ids), name="row_id")


def _mean_output(folds: Sequence[EcoVal], X: Any) -> NDArray[np.float64]:
    """Output of the fitted models, the mean over the folds."""
    with single_threaded():
        outputs = [model_output(one.estimator_, X, getattr(one, "classes_", None)) for one in folds]
    return np.mean(outputs, axis=0)


def _ranked(frame: pd.DataFrame, need: NDArray, ecoval: EcoVal | CrossValuation) -> pd.DataFrame:
    """Add priority and place: what a row would add, less for each further row of its cluster."""
    sizes = np.bincount(ecoval.labels_[ecoval.labels_ >= 0], minlength=ecoval.n_clusters_)
    cluster = frame["cluster"].to_numpy()
    before = pd.Series(need).groupby(cluster).rank(ascending=False, method="first") - 1
    members = np.maximum(sizes[cluster], 1)
    priority = np.where(need > 0, need * members / (members + before.to_numpy()), need)
    place = np.empty(len(need), dtype=np.int64)
    place[np.argsort(-priority, kind="stable")] = np.arange(1, len(need) + 1)
    return frame.assign(priority=priority, place=place)


def acquisition_curves(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    X_new: Any,
    y_new: ArrayLike,
    X_test: Any,
    y_test: ArrayLike,
    priorities: Mapping[str, ArrayLike],
    *,
    shares: Sequence[float] = ADDED_SHARES,
    n_random: int = 10,
    random_state: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Every measure while new rows join the training rows, highest priority first and in random orders."""
    X, X_new, X_test = map(as_rows, (X, X_new, X_test))
    y, y_new, y_test = map(np.asarray, (y, y_new, y_test))
    random = np.random.default_rng(random_state)
    orders = [
        (name, 0, np.argsort(-np.asarray(of), kind="stable")) for name, of in priorities.items()
    ]
    orders += [("random", repeat, random.permutation(len(y_new))) for repeat in range(n_random)]
    steps, subsets = [], []
    for name, repeat, order in orders:
        for share in shares:
            n_added = round(share * len(y_new))
            subsets.append(np.r_[: len(y), len(y) + order[:n_added]])
            steps.append((name, repeat, share, n_added))
    scores = score_subsets(
        seed_estimator(estimator, random_state), stack(X, X_new), stack(y, y_new), X_test, y_test, subsets,
        draws=draw_rows(len(y_test), random_state, N_DRAWS), monitor=Monitor(progress),
    )  # fmt: skip
    return by_measure(
        pd.DataFrame(steps, columns=["strategy", "repeat", "share", "n_added"]), scores
    )


def count_additions(
    n_orders: int, shares: Sequence[float] = ADDED_SHARES, n_random: int = 10
) -> int:
    """Count the refits that :func:`acquisition_curves` does at most; shares of 0 and 1 are fitted once."""
    shared = sum(share in (0, 1) for share in set(shares))
    return (n_orders + n_random) * (len(set(shares)) - shared) + shared


@dataclass(frozen=True)
class Advantage:
    """Mean test score of an order over the steps between no new row and all, beside random orders."""

    strategy: str
    score: float
    chance: float  # of the random orders, with their 10th and 90th percentile
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Say "better", "worse" or "alike": above, below or within what random orders reach."""
        if self.score > self.high:
            return "better"
        return "worse" if self.score < self.low else "alike"


def advantages(curves: pd.DataFrame) -> tuple[Advantage, ...]:
    """Compare the orders of an acquisition curve, of one measure, with the random ones."""
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
