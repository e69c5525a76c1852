"""Value every row: each fold in turn is the validation set."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold, StratifiedKFold, check_cv
from sklearn.utils import Bunch, _safe_indexing, check_random_state, indexable

from ecoval_core.refitting import Progress, ShouldStop, part_of
from ecoval_core.targets import resolve_task
from ecoval_core.valuation import EcoVal


def cross_value(
    ecoval: EcoVal,
    X: Any,
    y: Any,
    cv: Any = 5,
    *,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> Bunch:
    """Value every row: each fold in turn is the validation set, and values are averaged.

    A row brings nothing to the fold in which it validates, so that the values sum to the mean surplus.

    Parameters
    ----------
    ecoval : EcoVal
        Its parameters are used; it is not fitted itself.
    X : array-like of shape (n_samples, n_features)
        Numeric features.
    y : array-like of shape (n_samples,)
        Labels or targets.
    cv : int, cross-validation generator or iterable, default=5
        As in scikit-learn; an int is stratified and shuffled by the random state.
    progress, should_stop : callable or None
        As in :meth:`EcoVal.fit`, over the fits of all folds.

    Returns
    -------
    Bunch
        ``value``, ``intrinsic``, ``extrinsic``: ndarray of shape (n_samples,); ``surplus``: the mean
        surplus; ``fold``: ndarray of shape (n_samples,), the fold in which each row validated;
        ``estimators``: the fitted EcoVal of each fold.

    Raises
    ------
    ValueError, RefitError, Cancelled
        As :meth:`EcoVal.fit` does.
    """
    X, y = indexable(X, y)
    y = np.asarray(y)
    task = resolve_task(ecoval.estimator, y)
    if isinstance(cv, Integral):
        seed = int(check_random_state(ecoval.random_state).randint(np.iinfo(np.int32).max))
        kind = StratifiedKFold if task == "classification" else KFold
        cv = kind(int(cv), shuffle=True, random_state=seed)
    splits = list(check_cv(cv, y, classifier=task == "classification").split(X, y))
    parts = ("value", "intrinsic", "extrinsic")
    result = Bunch(**{part: np.zeros(len(y)) for part in parts})
    result.fold, result.estimators = np.full(len(y), -1), []
    for fold, (train, held) in enumerate(splits):
        whole = part_of(progress, fold, len(splits))
        fitted = clone(ecoval).fit(
            _safe_indexing(X, train), y[train], _safe_indexing(X, held), y[held],
            progress=whole, should_stop=should_stop,
        )  # fmt: skip
        for part, found in zip(
            parts, (fitted.values_, fitted.intrinsic_, fitted.extrinsic_), strict=True
        ):
            result[part][train] += found / len(splits)
        result.fold[held] = fold
        result.estimators.append(fitted)
    result.surplus = float(np.mean([fitted.surplus_ for fitted in result.estimators]))
    return result
