"""How much values depend on their seed, beside what the validation rows leave open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.record import Valuation


@dataclass(frozen=True)
class Stability:
    """How well repeats of a valuation agree: deviations and errors are medians in units of the score.

    `rank_agreement` is the mean Spearman correlation between two seeds; `n_below` and `n_above` count rows
    whose mean value lies beyond two standard errors, those of the seeds and of the validation rows together.
    """

    n_repeats: int
    rank_agreement: float
    seed_deviation: float
    validation_error: float
    n_below: int
    n_above: int
    n_rows: int


def stability_of(repeats: Sequence[EcoVal | CrossValuation | Valuation]) -> Stability:
    """Compare repeats with other seeds at one extrinsic weight."""
    values = np.array([one.values_ for one in repeats])
    ranks = pd.DataFrame(values.T).corr(method="spearman").to_numpy()
    deviation = values.std(axis=0, ddof=1)
    validation_error = np.mean([one.standard_errors_ for one in repeats], axis=0)
    error = np.hypot(deviation / np.sqrt(len(values)), validation_error)
    mean = values.mean(axis=0)
    return Stability(
        n_repeats=len(values),
        rank_agreement=float(ranks[np.triu_indices(len(values), 1)].mean()),
        seed_deviation=float(np.median(deviation)),
        validation_error=float(np.median(validation_error)),
        n_below=int((mean < -2 * error).sum()),
        n_above=int((mean > 2 * error).sum()),
        n_rows=values.shape[1],
    )
