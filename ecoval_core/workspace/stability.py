"""How much the values of a run depend on its seed, beside what the validation rows leave open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ecoval_core.valuation.cross_valuation import (
    N_VALIDATION_FOLDS,
    CrossValuation,
    cross_value,
    repeat_value,
    seed_deviation,
)
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.models import make_model
from ecoval_core.valuation.parallel import Monitor, Progress, ShouldStop
from ecoval_core.valuation.record import Valuation
from ecoval_core.workspace.runs import Run, make_ecoval

N_REPEATS = 5


@dataclass(frozen=True)
class Stability:
    """How well repeats of a valuation agree.

    Attributes
    ----------
    n_repeats : int
        Seeds.
    rank_agreement : float
        Mean Spearman correlation between the values of two seeds.
    seed_deviation, validation_error : float
        Medians over the rows: standard deviation of a value over the seeds, and its standard error over a
        bootstrap of the validation rows, in units of the score.
    n_below, n_above : int
        Rows whose mean value lies below or above zero by more than two standard errors, both sources
        taken together.
    n_rows : int
        Rows valued.
    """

    n_repeats: int
    rank_agreement: float
    seed_deviation: float
    validation_error: float
    n_below: int
    n_above: int
    n_rows: int


def repeat_run(
    run: Run, n_repeats: int = N_REPEATS, *, progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> list[EcoVal | CrossValuation]:  # fmt: skip
    """Value the rows of a run again with other seeds: of the clusters, the folds and the model.

    Parameters
    ----------
    run : Run
        Finished run.
    n_repeats : int, default=5
        Seeds, at least 2.
    progress, should_stop : callable or None
        As in :meth:`EcoVal.fit`, over the fits of all repeats.

    Returns
    -------
    list of EcoVal or CrossValuation
        The fitted repeats; :func:`stability_of` compares them at any weight.

    Raises
    ------
    ValueError, Cancelled
        As :meth:`EcoVal.fit` does.
    """
    prepared, settings = run.prepared, run.settings
    model = make_model(settings.model, prepared.task)
    ecoval = make_ecoval(prepared, settings).set_params(estimator=model)
    if not settings.every_row:
        parts = prepared.X_train, prepared.y_train, prepared.X_val, prepared.y_val
        found = repeat_value(
            ecoval, *parts, n_repeats=n_repeats, progress=progress, should_stop=should_stop
        )
        for one in found.estimators:
            one.forget_models()
        return list(found.estimators)
    monitor = Monitor(progress, should_stop)
    repeats: list[EcoVal | CrossValuation] = []
    for repeat in range(n_repeats):
        ecoval.set_params(random_state=settings.random_state + 1 + repeat)
        one = cross_value(
            ecoval, run.X, run.y, N_VALIDATION_FOLDS, progress=monitor.part(repeat, n_repeats),
            should_stop=should_stop,
        )  # fmt: skip
        one.forget_models()
        repeats.append(one)
    return repeats


def stability_of(
    repeats: Sequence[EcoVal | CrossValuation | Valuation], extrinsic_weight: float
) -> Stability:
    """Compare repeats at an extrinsic weight; nothing is refitted.

    Parameters
    ----------
    repeats : sequence of EcoVal, CrossValuation or Valuation
        From :func:`repeat_run`.
    extrinsic_weight : float
        b, at least 0.

    Returns
    -------
    Stability
        How well they agree.
    """
    weighted = [one.reweight(extrinsic_weight) for one in repeats]
    values = np.array([one.values_ for one in weighted])
    ranks = pd.DataFrame(values.T).corr(method="spearman").to_numpy()
    deviation = seed_deviation(values)
    validation_error = np.mean([one.standard_errors_ for one in weighted], axis=0)
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


def count_surely_harmful(ecoval: EcoVal | CrossValuation | Valuation) -> int:
    """Count the clusters worth less than zero by more than two standard errors.

    Parameters
    ----------
    ecoval : EcoVal, CrossValuation or Valuation
        Fitted; of a CrossValuation the clusters of the first fold.

    Returns
    -------
    int
        Clusters; the error is over the validation rows alone.
    """
    return int((ecoval.cluster_values_ < -2 * ecoval.cluster_standard_errors_).sum())
