"""Comparison: where two valuations of the same rows agree, and where they do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.base import is_regressor

from ecoval_core.evaluation.curves import DEFAULT_SHARES, removal_order, removed_rows
from ecoval_core.evaluation.measures import CONFIDENCE, draw_rows
from ecoval_core.evaluation.subsets import N_DRAWS as N_TEST_DRAWS
from ecoval_core.evaluation.subsets import by_measure, score_subsets
from ecoval_core.valuation.fitting import seed_estimator
from ecoval_core.valuation.parallel import Monitor, Progress, ShouldStop

LOWEST_SHARES = (0.01, 0.05, 0.1, 0.15, 0.2, 0.3)
# What both put among the lowest by this share is what a class is told about.
CLASS_SHARE = 0.15
MIN_COMMON_ROWS = 3
N_DRAWS = 200
# Bootstrap samples of more rows take longer and say the same, once scaled to the number of rows.
MAX_DRAWN_ROWS = 2_000


@dataclass(frozen=True)
class Correlation:
    """A rank correlation and its 90 % interval over a bootstrap of the rows.

    Attributes
    ----------
    value : float
        In [-1, 1]; NaN where one valuation gives every row the same value.
    low, high : float
        5th and 95th percentile.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two valuations, row by row and as a whole.

    Attributes
    ----------
    rows : DataFrame
        The rows that both value, indexed by row id, in the order of the first: columns value_a, value_b,
        rank_a, rank_b (in percent: 0 the lowest value, 100 the highest, ties at their mean) and difference
        (rank_b - rank_a, in points).
    only_a, only_b : ndarray of int
        Row ids that only one of them values.
    spearman, kendall : Correlation
        Spearman's rho and Kendall's tau-b.
    overlaps : DataFrame
        A row for each share: columns share, n_rows (that share of the rows), shared (rows among the lowest
        of both), jaccard (shared over those among the lowest of either), expected_shared and
        expected_jaccard (of two orders that know nothing of each other). Rows of equal value at the edge
        count in part, as if drawn.
    """

    rows: pd.DataFrame
    only_a: NDArray[np.int64]
    only_b: NDArray[np.int64]
    spearman: Correlation
    kendall: Correlation
    overlaps: pd.DataFrame

    def disagreements(self, n_rows: int = 20) -> pd.DataFrame:
        """Rows whose ranks differ most, the largest difference first.

        Parameters
        ----------
        n_rows : int, default=20
            Rows at most.

        Returns
        -------
        DataFrame
            Some rows of `rows`.
        """
        largest_first = np.argsort(-self.rows["difference"].abs().to_numpy(), kind="stable")
        return self.rows.iloc[largest_first[:n_rows]]

    def by_class(self, labels: pd.Series, share: float = CLASS_SHARE) -> pd.DataFrame:
        """Summarise how each valuation treats each class.

        Parameters
        ----------
        labels : Series
            Class of each row, by row id; amounts as groups, such as
            :func:`ecoval_core.charts.style.label_groups` makes them.
        share : float, default=0.15
            Part of all rows that counts as the lowest.

        Returns
        -------
        DataFrame
            Columns label, n_rows, spearman (within the class), rank_a, rank_b (mean, in percent), lowest_a,
            lowest_b (part of the class that is among the lowest `share` of all rows); in the order of the
            labels.
        """
        # Groups of amounts keep their order.
        table = self.rows.assign(label=labels.reindex(self.rows.index).array)
        n_lowest = round(share * len(table))
        for name in "ab":
            table[f"lowest_{name}"] = _membership(table[f"value_{name}"].to_numpy(), n_lowest)
        groups = table.groupby("label", observed=True)
        summary = groups.agg(
            n_rows=("rank_a", "size"), rank_a=("rank_a", "mean"), rank_b=("rank_b", "mean"),
            lowest_a=("lowest_a", "mean"), lowest_b=("lowest_b", "mean"),
        )  # fmt: skip
        within = [_spearman(part[["value_a", "value_b"]].to_numpy()) for _, part in groups]
        summary.insert(1, "spearman", within)
        return summary.reset_index()


def compare_valuations(
    a: pd.Series, b: pd.Series, *, shares: Sequence[float] = LOWEST_SHARES, random_state: int = 0
) -> Comparison:
    """Compare two valuations on the rows that both value.

    Parameters
    ----------
    a, b : Series
        Values by row id; rows without a value (NaN) count as not valued.
    shares : sequence of float
        Parts of the rows, the lowest-valued, whose overlap is told.
    random_state : int, default=0
        Seeds the bootstrap.

    Returns
    -------
    Comparison
        Agreement, overlap and ranks.

    Raises
    ------
    ValueError
        If fewer than three rows are valued by both, or a row id occurs twice.
    """
    a, b = a.dropna(), b.dropna()
    for one in (a, b):
        if not one.index.is_unique:
            twice = one.index[one.index.duplicated()][0]
            raise ValueError(f"Row {twice} is valued twice: give one value for each row id.")
    common = a.index[a.index.isin(b.index)]
    if len(common) < MIN_COMMON_ROWS:
        raise ValueError(
            f"The two valuations have {len(common)} rows in common and at least {MIN_COMMON_ROWS} are "
            "needed: compare valuations of the same table."
        )
    rows = pd.DataFrame(
        {"value_a": a.loc[common].to_numpy(float), "value_b": b.loc[common].to_numpy(float)}, common
    )
    for name in "ab":
        ranks = stats.rankdata(rows[f"value_{name}"])
        rows[f"rank_{name}"] = 100 * (ranks - 1) / (len(rows) - 1)
    rows["difference"] = rows["rank_b"] - rows["rank_a"]
    values = rows[["value_a", "value_b"]].to_numpy()
    return Comparison(
        rows,
        only_a=a.index.difference(b.index).to_numpy(np.int64),
        only_b=b.index.difference(a.index).to_numpy(np.int64),
        spearman=_with_interval(_spearman, values, random_state),
        kendall=_with_interval(_kendall, values, random_state),
        overlaps=_overlaps(values, shares),
    )


def _spearman(values: NDArray) -> float:
    if len(values) < 2 or (np.ptp(values, axis=0) == 0).any():
        return float("nan")
    return float(stats.spearmanr(values[:, 0], values[:, 1]).statistic)


def _kendall(values: NDArray) -> float:
    return float(stats.kendalltau(values[:, 0], values[:, 1]).statistic)


def _with_interval(
    statistic: Callable[[NDArray], float], values: NDArray, random_state: int
) -> Correlation:
    """Bootstrap the rows; of many, fewer are drawn and deviations shrink with the root of their number."""
    found = statistic(values)
    if np.isnan(found):
        return Correlation(found, found, found)
    n_rows = len(values)
    n_drawn = min(n_rows, MAX_DRAWN_ROWS)
    random = np.random.default_rng(random_state)
    drawn = np.array(
        [statistic(values[random.integers(n_rows, size=n_drawn)]) for _ in range(N_DRAWS)]
    )
    deviations = (drawn[~np.isnan(drawn)] - found) * np.sqrt(n_drawn / n_rows)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(deviations, (tail, 1 - tail)) if len(deviations) else (0.0, 0.0)
    return Correlation(found, max(-1.0, found + float(low)), min(1.0, found + float(high)))


def _overlaps(values: NDArray, shares: Sequence[float]) -> pd.DataFrame:
    n_rows = len(values)
    table = []
    for share in shares:
        n = round(share * n_rows)
        in_a, in_b = (_membership(column, n) for column in values.T)
        shared = float(in_a @ in_b)
        by_chance = np.arange(n + 1)
        # Of 30,000 rows in 100,000, pmf takes 10 s and this 0.02 s.
        probability = np.exp(stats.hypergeom(n_rows, n, n).logpmf(by_chance))
        table.append(
            {
                "share": share,
                "n_rows": n,
                "shared": shared,
                "jaccard": _jaccard(shared, n),
                "expected_shared": n**2 / n_rows,
                "expected_jaccard": float(probability @ _jaccard(by_chance, n)),
            }
        )
    return pd.DataFrame(table)


def _jaccard(shared: NDArray | float, n: int) -> NDArray | float:
    return shared / (2 * n - shared) if n else shared * float("nan")


def _membership(values: NDArray, n_lowest: int) -> NDArray[np.float64]:
    """Probability that each row is among the lowest if ties at the edge are drawn."""
    if not n_lowest:
        return np.zeros(len(values))
    edge = np.partition(values, n_lowest - 1)[n_lowest - 1]
    below, tied = values < edge, values == edge
    return below + tied * (n_lowest - below.sum()) / tied.sum()


def method_curves(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    values: Mapping[str, ArrayLike],
    *,
    strategies: Sequence[str] = ("lowest", "highest"),
    shares: Sequence[float] = DEFAULT_SHARES,
    class_balanced: bool = False,
    n_random: int = 10,
    random_state: int = 0,
    n_jobs: int | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> pd.DataFrame:
    """Test scores while rows are removed in the orders of several valuations, beside random orders.

    Parameters
    ----------
    estimator, X, y, X_test, y_test, shares, class_balanced, n_random, random_state, n_jobs, progress, \
should_stop
        As in :func:`ecoval_core.evaluation.curves.removal_curves`.
    values : mapping of str to array-like of shape (n_samples,)
        Value of each training row, by the name of the method.
    strategies : sequence of {"lowest", "highest"}, default=("lowest", "highest")
        Which values are removed first.

    Returns
    -------
    DataFrame
        Columns method, strategy, repeat, share, n_removed, measure, score, low, high: a row for each refit
        and measure. The random orders, one set for all, have method "random" and strategy "random".

    Raises
    ------
    ValueError
        If a strategy or share is invalid, or values are not one a row.
    Cancelled
        If `should_stop` returned True.

    Notes
    -----
    Valuations that agree on the rows to remove share a refit, as all do with no row removed.
    """
    X, y, X_test, y_test = map(np.asarray, (X, y, X_test, y_test))
    by_method = {name: np.asarray(of) for name, of in values.items()}
    for name, of in by_method.items():
        if of.shape != y.shape:
            raise ValueError(f"{name} gives {len(of)} values for {len(y)} rows: give one for each.")
    invalid = [share for share in shares if not 0 <= share < 1]
    if invalid:
        raise ValueError(f"A share to remove must lie in [0, 1), but one is {invalid[0]}.")
    random = np.random.default_rng(random_state)
    orders = [
        (name, strategy, 0, removal_order(strategy, of, None, random))
        for name, of in by_method.items()
        for strategy in strategies
    ]
    orders += [("random", "random", i, random.permutation(len(y))) for i in range(n_random)]
    estimator = seed_estimator(estimator, random_state)
    classes = y if class_balanced and not is_regressor(estimator) else None
    everything = np.arange(len(y))
    steps, kept = [], []
    for method, strategy, repeat, order in orders:
        for share in shares:
            kept.append(np.delete(everything, removed_rows(order, share, classes)))
            steps.append((method, strategy, repeat, share, len(y) - len(kept[-1])))
    found = score_subsets(
        estimator, X, y, X_test, y_test, kept, n_jobs=n_jobs,
        draws=draw_rows(len(y_test), random_state, N_TEST_DRAWS),
        monitor=Monitor(progress, should_stop),
    )  # fmt: skip
    columns = ["method", "strategy", "repeat", "share", "n_removed"]
    return by_measure(pd.DataFrame(steps, columns=columns), found)


def count_method_refits(
    n_methods: int, n_strategies: int = 2, shares: Sequence[float] = DEFAULT_SHARES,
    n_random: int = 10,
) -> int:  # fmt: skip
    """Refits that :func:`method_curves` does at most.

    Parameters
    ----------
    n_methods, n_strategies : int
        Valuations, and orders of each.
    shares : sequence of float
        Parts of the rows removed; that of 0 is fitted once.
    n_random : int, default=10
        Random orders.

    Returns
    -------
    int
        Number of fits.
    """
    moving = sum(share > 0 for share in shares)
    return (n_methods * n_strategies + n_random) * moving + (moving < len(shares))
