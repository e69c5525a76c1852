"""Comparison: where two valuations of the same rows agree, and where they do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ecoval_core.evaluation.measures import CONFIDENCE

LOWEST_SHARES = (0.01, 0.05, 0.1, 0.15, 0.2, 0.3)
# The lowest by this share are what a class is summarised by.
CLASS_SHARE = 0.15
MIN_COMMON_ROWS = 3
N_DRAWS = 200
# Bootstrap samples of more rows take longer and say the same, once scaled to the number of rows.
MAX_DRAWN_ROWS = 2_000


@dataclass(frozen=True)
class Correlation:
    """A rank correlation and its 90 % interval over a bootstrap of the rows; NaN for constant values."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two valuations, row by row and as a whole.

    `rows`: the rows that both value, by row id, with value_a, value_b, rank_a, rank_b (in percent, 0 the
    lowest, ties at their mean) and difference (rank_b - rank_a). `overlaps`: for each share, how many are
    among the lowest of both (shared, jaccard), and how many would be by chance (expected_shared,
    expected_jaccard); rows of equal value at the edge count in part, as if drawn.
    """

    rows: pd.DataFrame
    only_a: NDArray[np.int64]  # row ids that only `a` values
    only_b: NDArray[np.int64]
    spearman: Correlation
    kendall: Correlation
    overlaps: pd.DataFrame

    def disagreements(self, n_rows: int = 20) -> pd.DataFrame:
        """Rows whose ranks differ most, the largest difference first."""
        largest_first = np.argsort(-self.rows["difference"].abs().to_numpy(), kind="stable")
        return self.rows.iloc[largest_first[:n_rows]]

    def by_class(self, labels: pd.Series, share: float = CLASS_SHARE) -> pd.DataFrame:
        """Summarise by class: ranks, correlation, part of the class among the lowest of all."""
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
    """Compare two valuations, by row id, on the rows that both value."""
    a, b = a.dropna(), b.dropna()
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
    value = statistic(values)
    if np.isnan(value):
        return Correlation(value, value, value)
    n_rows = len(values)
    n_drawn = min(n_rows, MAX_DRAWN_ROWS)
    random = np.random.default_rng(random_state)
    drawn = np.array(
        [statistic(values[random.integers(n_rows, size=n_drawn)]) for _ in range(N_DRAWS)]
    )
    deviations = (drawn[~np.isnan(drawn)] - value) * np.sqrt(n_drawn / n_rows)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(deviations, (tail, 1 - tail)) if len(deviations) else (0.0, 0.0)
    return Correlation(value, max(-1.0, value + float(low)), min(1.0, value + float(high)))


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
