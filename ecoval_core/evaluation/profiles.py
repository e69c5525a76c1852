"""A row beside its class, and a cluster beside all rows, in the columns that people know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from ecoval_core.text import number

# The middle of a column that counts as typical.
TYPICAL = (0.05, 0.95)
# A category of fewer rows of a class than this is unusual in it.
RARE_SHARE = 0.05
# Differences of medians below half a spread are not worth a word.
LEAST_DIFFERENCE = 0.5
# Nor are shares that differ by less than a fifth.
LEAST_SHARE = 0.2
# Scales the interquartile range of a normal distribution to its standard deviation.
NORMAL_IQR = 1.349


def is_number(column: pd.Series) -> bool:
    """Whether a column holds amounts."""
    return bool(types.is_numeric_dtype(column) and not types.is_bool_dtype(column))


def compare_with_class(features: pd.DataFrame, labels: pd.Series, row_id: int) -> pd.DataFrame:
    """Set a row beside the rows of its class, the most unusual column first."""
    others = features.loc[(labels == labels.loc[row_id]) & (labels.index != row_id)]
    compared = [
        (str(column), *_compare(features[column].loc[row_id], others[column]))
        for column in features
    ]
    table = pd.DataFrame(compared, columns=["column", "value", "typical", "unusual", "distance"])
    return table.sort_values("distance", ascending=False, kind="stable").reset_index(drop=True)


def _compare(value: Any, others: pd.Series) -> tuple[str, str, bool, float]:
    present = others.dropna()
    if len(present) and isinstance(present.iloc[0], np.ndarray):
        return _compare_vector(value, present)
    is_missing = bool(pd.isna(value)) if np.ndim(value) == 0 else False
    if is_number(others):
        return _compare_number(value, present, is_missing)
    shares = present.astype(str).value_counts(normalize=True)
    typical = ", ".join(f"{name} ({share:.0%})" for name, share in shares.head(3).items()) or "–"
    if is_missing:
        return "missing", typical, False, 0.0
    share = float(shares.get(str(value), 0.0))
    # Text in which every row differs says nothing of any of them.
    is_telling = len(shares) > 0 and shares.iloc[0] >= RARE_SHARE
    unusual = is_telling and share < RARE_SHARE
    return str(value), typical, unusual, 1 - share if unusual else 0.0


def _compare_vector(value: Any, present: pd.Series) -> tuple[str, str, bool, float]:
    """Compare a vector as one thing: by its distance from the middle of the others."""
    others = np.vstack(present.tolist())
    middle = np.nanmean(others, axis=0)
    distances = pd.Series(np.sqrt(np.nansum((others - middle) ** 2, axis=1)))
    own = np.sqrt(np.nansum((value - middle) ** 2)) if isinstance(value, np.ndarray) else np.nan
    distance, typical, unusual, strength = _compare_number(own, distances, bool(np.isnan(own)))
    ending = " from their middle"
    return distance if np.isnan(own) else distance + ending, typical + ending, unusual, strength


def _compare_number(
    value: Any, present: pd.Series, is_missing: bool
) -> tuple[str, str, bool, float]:
    if present.empty:
        return _number(value), "–", False, 0.0
    low, high = (float(edge) for edge in present.astype("float64").quantile(list(TYPICAL)))
    typical = f"{_number(low)} to {_number(high)}"
    if is_missing:
        return "missing", typical, False, 0.0
    outside = max(low - float(value), float(value) - high, 0.0)
    if outside == 0.0:
        return _number(value), typical, False, 0.0
    width = high - low or max(abs(low), 1.0)
    return _number(value), typical, True, outside / width


def _number(value: Any) -> str:
    return "missing" if pd.isna(value) else number(float(value), 4, trim=True)


@dataclass(frozen=True)
class Trait:
    """What sets a group of rows apart in one column."""

    text: str
    short: str
    strength: float


def describe_group(features: pd.DataFrame, members: pd.Index, n_traits: int = 3) -> list[Trait]:
    """Say what sets a group of rows apart from all rows, the strongest trait first."""
    traits = [
        _trait(column, features[column], features.loc[members][column]) for column in features
    ]
    present = [trait for trait in traits if trait is not None]
    return sorted(present, key=lambda trait: -trait.strength)[:n_traits]


def _trait(name: Any, everybody: pd.Series, group: pd.Series) -> Trait | None:
    everybody, group = everybody.dropna(), group.dropna()
    if group.empty or isinstance(group.iloc[0], np.ndarray):
        return None
    if is_number(everybody):
        return _numeric_trait(str(name), everybody.astype("float64"), group.astype("float64"))
    overall = everybody.astype(str).value_counts(normalize=True)
    shares = group.astype(str).value_counts(normalize=True)
    gain = (shares - overall.reindex(shares.index)).sort_values(ascending=False, kind="stable")
    value, more = gain.index[0], float(gain.iloc[0])
    if more < LEAST_SHARE:
        return None
    text = f"{name} is {value} in {shares[value]:.0%} of them ({overall[value]:.0%} of all)"
    return Trait(text, f"{name} {value}", 4 * more)


def _numeric_trait(name: str, everybody: pd.Series, group: pd.Series) -> Trait | None:
    quarters = everybody.quantile([0.25, 0.75])
    spread = float(quarters.iloc[1] - quarters.iloc[0]) / NORMAL_IQR or float(everybody.std(ddof=0))
    if not spread > 0:
        return None
    typical, median = float(group.median()), float(everybody.median())
    strength = (typical - median) / spread
    if abs(strength) < LEAST_DIFFERENCE:
        return None
    low, high = (float(edge) for edge in group.quantile(list(TYPICAL)))
    extent = _number(low) if low == high else f"{_number(low)} to {_number(high)}"
    much = "much " if abs(strength) >= 2 else ""
    is_more = strength > 0
    text = f"{name} is {much}{'higher' if is_more else 'lower'} ({extent}; all rows around {_number(median)})"
    return Trait(text, f"{'high' if is_more else 'low'} {name}", abs(strength))
