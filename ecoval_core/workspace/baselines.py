"""Baselines of a run: other ways to value the rows that it values, on the same rows and folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecoval_core.evaluation.baselines import (
    baseline_values,
    cross_baseline_values,
    estimate_baseline_seconds,
)
from ecoval_core.evaluation.curves import method_curves
from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.parallel import Progress, ShouldStop
from ecoval_core.workspace.runs import Run


def _settings(run: Run) -> dict[str, Any]:
    settings = run.settings
    return {
        "scoring": settings.scoring,
        "class_weight": "balanced" if settings.balanced else None,
        "random_state": settings.random_state,
    }


def value_by_baseline(
    key: str, run: Run, *, n_jobs: int | None = None, progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Value the rows of a run by a baseline.

    Parameters
    ----------
    key : str
        Key of :data:`ecoval_core.evaluation.baselines.BASELINES`.
    run : Run
        Its rows, model, score, class weights, seed and, where every row is valued, its folds are taken.
    n_jobs : int or None, default=None
        As in joblib.
    progress, should_stop : callable or None
        As in :meth:`ecoval_core.EcoVal.fit`.

    Returns
    -------
    ndarray of shape (n_rows,)
        Values in the order of ``run.ids``.

    Raises
    ------
    ValueError, RefitError, Cancelled
        As :func:`ecoval_core.evaluation.baselines.baseline_values` does.
    """
    model, data = run.make_estimator(), run.prepared
    watch: dict[str, Any] = {"n_jobs": n_jobs, "progress": progress, "should_stop": should_stop}
    if isinstance(run.ecoval, CrossValuation):
        fold = run.ecoval.fold_
        return cross_baseline_values(key, model, run.X, run.y, fold, **_settings(run), **watch)
    return baseline_values(
        key, model, run.X, run.y, data.X_val, data.y_val, **_settings(run), **watch
    )


def estimate_baseline(key: str, run: Run) -> float:
    """Estimate the seconds that :func:`value_by_baseline` will take, by doing its first steps.

    Parameters
    ----------
    key : str
        Key of :data:`ecoval_core.evaluation.baselines.BASELINES`.
    run : Run
        The run.

    Returns
    -------
    float
        Seconds on one core, at the machine's present load.

    Raises
    ------
    ValueError, RefitError
        As :func:`ecoval_core.evaluation.baselines.baseline_values` does.
    """
    model, data = run.make_estimator(), run.prepared
    if not isinstance(run.ecoval, CrossValuation):
        return estimate_baseline_seconds(
            key, model, run.X, run.y, data.X_val, data.y_val, **_settings(run)
        )
    train, held = (np.flatnonzero(mask) for mask in (run.ecoval.fold_ != 0, run.ecoval.fold_ == 0))
    return estimate_baseline_seconds(
        key, model, run.X[train], run.y[train], run.X[held], run.y[held],
        n_folds=run.settings.n_folds, **_settings(run),
    )  # fmt: skip


def overlay_curves(
    run: Run, values: Mapping[str, NDArray], *, class_balanced: bool = False,
    strategies: Sequence[str] = ("lowest", "highest"), n_random: int = 10,
    n_jobs: int | None = None, progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Measure removal curves of several valuations of a run's rows over each other.

    Parameters
    ----------
    run : Run
        Its rows, model and test rows are taken.
    values : mapping of str to ndarray of shape (n_rows,)
        Values by the name of the method, in the order of ``run.ids``.
    class_balanced, strategies, n_random, n_jobs, progress, should_stop
        As in :func:`ecoval_core.evaluation.comparison.method_curves`.

    Returns
    -------
    DataFrame
        See :func:`ecoval_core.evaluation.comparison.method_curves`.

    Raises
    ------
    ValueError, Cancelled
        As it does.
    """
    data = run.prepared
    return method_curves(
        run.make_estimator(), run.X, run.y, data.X_test, data.y_test, values,
        strategies=strategies, class_balanced=class_balanced, n_random=n_random,
        random_state=run.settings.random_state, n_jobs=n_jobs, progress=progress,
        should_stop=should_stop,
    )  # fmt: skip
