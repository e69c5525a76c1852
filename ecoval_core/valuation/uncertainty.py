"""How far values can be trusted: a plain warning, and repeats beside the bootstrap of the validation set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import Bunch, check_random_state

from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.parallel import Monitor, Progress, ShouldStop
from ecoval_core.valuation.record import Valuation

_NO_SURPLUS = (
    "These values are not reliable: the model does not surely beat a guess that ignores the features "
    "(surplus {surplus:+.4f}, standard error {error:.4f}). Try another model, other columns, or more rows."
)
_ALL_CLAIMED = (
    "These values are not reliable: at this extrinsic weight measured effects claim {claimed:+.4f} of a "
    "surplus of {surplus:+.4f} (standard error {error:.4f}), so nothing is surely left to pay for quality. "
    "Try a lower extrinsic weight, fewer clusters, or another model."
)


def reliability_warning(ecoval: EcoVal | CrossValuation | Valuation) -> str | None:
    """Explain in plain words why values should not be trusted.

    One rule: what is left of the surplus to pay for quality, after the measured effects are paid, must
    exceed two standard errors of the surplus.

    Parameters
    ----------
    ecoval : EcoVal, CrossValuation or Valuation
        A finished valuation.

    Returns
    -------
    str or None
        A warning with the figures and what to do about it; None where the rule is kept.
    """
    surplus, error = ecoval.surplus_, ecoval.surplus_standard_error_
    claimed = float(np.nansum(ecoval.extrinsic_))
    if surplus - claimed > 2 * error and ecoval.reliable_:
        return None
    template = _NO_SURPLUS if surplus <= 2 * error else _ALL_CLAIMED
    return template.format(surplus=surplus, error=error, claimed=claimed)


def seed_deviation(values: NDArray) -> NDArray[np.float64]:
    """Compute the standard deviation of each value over seeds.

    Parameters
    ----------
    values : ndarray of shape (n_repeats, n_samples)
        Values of the same rows, one seed a row.

    Returns
    -------
    ndarray of shape (n_samples,)
        Of one run; over the root of `n_repeats` it is the standard error of the mean value.
    """
    return values.std(axis=0, ddof=1)


def repeat_value(
    ecoval: EcoVal,
    X: Any,
    y: Any,
    X_val: Any,
    y_val: Any,
    n_repeats: int = 5,
    *,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> Bunch:
    """Value the same rows with several seeds and return the standard error of each mean value.

    The seed draws clusters, folds, the fitted sample and the model's own chance. What it contributes
    falls with the number of repeats; what the choice of the validation set contributes does not.

    Parameters
    ----------
    ecoval : EcoVal
        Its parameters are used; the seeds are drawn from its random state. It is not fitted itself.
    X, y : array-like of shape (n_samples, n_features), (n_samples,)
        Training rows.
    X_val, y_val : array-like of shape (n_val, n_features), (n_val,)
        Validation rows, the same for every repeat.
    n_repeats : int, default=5
        Seeds, at least 2.
    progress, should_stop : callable or None
        As in :meth:`EcoVal.fit`, over the fits of all repeats.

    Returns
    -------
    Bunch
        ``value``, ``intrinsic``, ``extrinsic``: means over the repeats; ``seed_error``: standard error of
        the mean value over seeds; ``validation_error``: standard error over a bootstrap of the validation
        set, the mean of the repeats; ``standard_error``: both together (root of the sum of squares);
        all ndarrays of shape (n_samples,), in units of the score. ``estimators``: the fitted repeats.

    Raises
    ------
    ValueError
        If `n_repeats` is below 2: one run shows nothing of the seed's part.
    RefitError, Cancelled
        As :meth:`EcoVal.fit` does.
    """
    if n_repeats < 2:
        raise ValueError(f"n_repeats must be at least 2, but it is {n_repeats}.")
    seeds = check_random_state(ecoval.random_state).randint(np.iinfo(np.int32).max, size=n_repeats)
    monitor = Monitor(progress, should_stop)
    fitted = []
    for repeat, seed in enumerate(seeds):
        one = clone(ecoval).set_params(random_state=int(seed))
        one.fit(
            X, y, X_val, y_val, should_stop=should_stop,
            progress=monitor.part(repeat, n_repeats),
        )  # fmt: skip
        fitted.append(one)
    values = np.array([one.values_ for one in fitted])
    validation_error = np.mean([one.standard_errors_ for one in fitted], axis=0)
    seed_error = seed_deviation(values) / np.sqrt(n_repeats)
    return Bunch(
        value=values.mean(axis=0),
        intrinsic=np.mean([one.intrinsic_ for one in fitted], axis=0),
        extrinsic=np.mean([one.extrinsic_ for one in fitted], axis=0),
        seed_error=seed_error,
        validation_error=validation_error,
        standard_error=np.hypot(seed_error, validation_error),
        estimators=fitted,
    )
