"""Point-removal curves: the test score while rows are removed in the order of their value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_regressor
from sklearn.utils.parallel import delayed

from ecoval_core.evaluation.measures import draw_rows, interval, main_measure, measure, predict
from ecoval_core.models.catalog import seed_estimator
from ecoval_core.models.inputs import as_rows, take
from ecoval_core.models.parallel import Monitor, Progress, run_tasks

ORDERED = ("lowest", "highest")
STRATEGIES = (*ORDERED, "random", "random_clusters")
DEFAULT_SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
# By measure: the score, and the ends of its 90 % interval over a bootstrap of the test rows.
Scores = dict[str, tuple[float, float, float]]
# Bootstrap samples of the test rows at every fit.
N_DRAWS = 200


def removal_order(
    strategy: str, values: NDArray, clusters: NDArray | None, random: np.random.Generator
) -> NDArray[np.int64]:
    """Order row positions by value, or at random row by row or cluster by cluster, the first to go first."""
    if strategy == "lowest":
        return np.argsort(values, kind="stable")
    if strategy == "highest":
        return np.argsort(-values, kind="stable")
    if strategy == "random":
        return random.permutation(len(values))
    if strategy != "random_clusters":
        raise ValueError(f"Unknown strategy {strategy!r}; choose from {', '.join(STRATEGIES)}.")
    if clusters is None:
        raise ValueError('The strategy "random_clusters" needs the clusters of the rows.')
    rank = random.permutation(int(clusters.max()) + 1)[clusters]
    return np.lexsort((random.random(len(values)), rank))


def removed_rows(
    order: NDArray[np.int64], share: float, classes: NDArray | None = None
) -> NDArray[np.int64]:
    """Return the rows that are gone once a share is removed, of each class alone if classes are given."""
    if classes is None:
        return order[: round(share * len(order))]
    parts = [order[classes[order] == label] for label in np.unique(classes)]
    return np.concatenate([part[: round(share * len(part))] for part in parts])


def score_rows(
    estimator: Any, X: Any, y: NDArray, X_test: Any, y_test: NDArray,
    draws: NDArray | None = None, rows: NDArray | slice = slice(None),
) -> Scores:  # fmt: skip
    """Fit on some rows and score by every measure; nothing if they hold one class only, or none."""
    X, y, regression = take(X, rows), y[rows], is_regressor(estimator)
    if len(y) == 0 or (not regression and len(np.unique(y)) < 2):
        return {}
    classes = None if regression else np.unique(np.concatenate([y, y_test]))
    prediction = predict(estimator, X, y, X_test, classes, f"on {len(y)} of the rows")
    scores = measure(y_test, prediction, np.ones((1, len(y_test))))
    if draws is None:
        return {name: (float(score[0]), np.nan, np.nan) for name, score in scores.items()}
    drawn = measure(y_test, prediction, draws)
    return {name: (float(score[0]), *interval(drawn[name])) for name, score in scores.items()}


def score_subsets(
    estimator: Any, X: Any, y: NDArray, X_test: Any, y_test: NDArray,
    subsets: Sequence[NDArray[np.int64]], *, draws: NDArray | None, monitor: Monitor,
    n_jobs: int | None = None,
) -> list[Scores]:  # fmt: skip
    """Fit on each of many subsets, on those with the same rows once, and score by every measure."""
    # In ascending order, so that what a fit draws by chance depends on its rows alone.
    ascending = [np.sort(rows) for rows in subsets]
    distinct = {rows.tobytes(): rows for rows in ascending}
    monitor.total = len(distinct)
    tasks = [
        delayed(score_rows)(estimator, X, y, X_test, y_test, draws, rows)
        for rows in distinct.values()
    ]
    scores = dict(zip(distinct, run_tasks(tasks, n_jobs, monitor), strict=True))
    return [scores[rows.tobytes()] for rows in ascending]


def by_measure(steps: pd.DataFrame, scores: Sequence[Scores]) -> pd.DataFrame:
    """Add measure, score, low and high to the steps of a curve: a row for each measure and step."""
    names = list(dict.fromkeys(name for of in scores for name in of))
    unknown = (np.nan, np.nan, np.nan)
    steps = steps.reset_index(drop=True)
    parts = [
        steps.assign(measure=name).join(
            pd.DataFrame([of.get(name, unknown) for of in scores],
                         columns=["score", "low", "high"])
        )
        for name in names
    ]  # fmt: skip
    empty = steps.assign(measure="", score=np.nan, low=np.nan, high=np.nan).iloc[:0]
    return pd.concat(parts, ignore_index=True) if parts else empty


def removal_curves(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    X_test: Any,
    y_test: ArrayLike,
    values: ArrayLike | Mapping[str, ArrayLike],
    *,
    clusters: ArrayLike | None = None,
    strategies: Sequence[str] = ("lowest", "highest", "random"),
    shares: Sequence[float] = DEFAULT_SHARES,
    class_balanced: bool = False,
    n_random: int = 10,
    metric: str | None = None,
    every_measure: bool = False,
    random_state: int = 0,
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Test score, or every measure with its interval, while rows are removed, refitting at every step.

    Where `values` is a mapping of several valuations, a column `method` has the names of those that order
    the rows, and "random" beside the random orders.
    """
    X, X_test, y, y_test = as_rows(X), as_rows(X_test), np.asarray(y), np.asarray(y_test)
    by_method = values if isinstance(values, Mapping) else {"": values}
    clusters = None if clusters is None else np.asarray(clusters)
    estimator = seed_estimator(estimator, random_state)
    classes = y if class_balanced and not is_regressor(estimator) else None
    random, everything = np.random.default_rng(random_state), np.arange(len(y))
    steps, left = [], []
    for number, (method, of) in enumerate(by_method.items()):
        for strategy in strategies:
            is_random = strategy not in ORDERED
            # Random orders are the same beside every valuation.
            for repeat in range(n_random * (number == 0) if is_random else 1):
                order = removal_order(strategy, np.asarray(of), clusters, random)
                by = "random" if is_random else method
                for share in shares:
                    left.append(np.delete(everything, removed_rows(order, share, classes)))
                    steps.append((by, strategy, repeat, share, len(y) - len(left[-1])))
    scores = score_subsets(
        estimator, X, y, X_test, y_test, left,
        draws=draw_rows(len(y_test), random_state, N_DRAWS) if every_measure else None,
        n_jobs=n_jobs, monitor=Monitor(progress),
    )  # fmt: skip
    frame = pd.DataFrame(steps, columns=["method", "strategy", "repeat", "share", "n_removed"])
    if not isinstance(values, Mapping):
        frame = frame.drop(columns="method")
    if every_measure:
        return by_measure(frame, scores)
    metric = metric or main_measure("regression" if is_regressor(estimator) else "classification")
    return frame.assign(score=[of.get(metric, (np.nan,))[0] for of in scores])


def count_refits(
    strategies: Sequence[str], shares: Sequence[float] = DEFAULT_SHARES, n_random: int = 10
) -> int:
    """Count the refits of :func:`removal_curves`; a share of 0 is fitted once for all orders."""
    orders = sum(n_random if strategy.startswith("random") else 1 for strategy in strategies)
    moving = sum(share > 0 for share in shares)
    return orders * moving + (moving < len(shares))


def summarise_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Mean, 10th and 90th percentile of each strategy over its repeats, for curves of one measure."""
    keys = [name for name in ("method", "strategy", "share") if name in curves]
    count = "n_added" if "n_added" in curves else "n_removed"
    summary = curves.groupby(keys, sort=False).agg(
        **{count: (count, "first")},
        mean=("score", "mean"),
        low=("score", lambda score: score.quantile(0.1)),
        high=("score", lambda score: score.quantile(0.9)),
    )
    return summary.reset_index()


@dataclass(frozen=True)
class Standing:
    """Where a set of rows stands among all, ranked by value."""

    strategy: str  # the order that removes more of the rows up to their number
    share: float  # their number as a part of all rows
    n_rows: int
    n_removed: int  # of them, at that share of that order


def rows_removed(
    values: pd.Series, strategy: str, share: float, classes: pd.Series | None = None
) -> list[int]:
    """Row ids that are gone at a point of a curve of rows ordered by value, the first to go first."""
    if strategy not in ORDERED:
        raise ValueError(f"Rows are removed lowest or highest first, not {strategy!r}.")
    # Neither order draws anything.
    order = removal_order(strategy, values.to_numpy(float), None, np.random.default_rng(0))
    gone = removed_rows(order, share, None if classes is None else classes.to_numpy())
    return [int(row) for row in values.index[gone]]


def standing_of(
    ids: Iterable[int], values: pd.Series, classes: pd.Series | None = None
) -> Standing | None:
    """Locate rows among all, ranked by value; None if none of them has a value."""
    rows = set(ids) & set(values.index)
    if not rows:
        return None
    share = len(rows) / len(values)
    n_removed = {
        strategy: len(rows & set(rows_removed(values, strategy, share, classes)))
        for strategy in ORDERED
    }
    best = max(ORDERED, key=lambda strategy: n_removed[strategy])
    return Standing(best, share, len(rows), n_removed[best])
