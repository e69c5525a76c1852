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

_NO_SURPLUS = (
    "These values are not reliable. On the validation rows the model does no better than a guess that knows "
    "no features, so there is no surplus to share out. Try another model, other columns, or more rows."
)
_ALL_CLAIMED = (
    "These values are not reliable. At this extrinsic weight the clusters claim the whole surplus or more, "
    "so nothing is left to pay for quality: the model hardly beats a guess on the validation rows. Try a "
    "lower extrinsic weight, another model or fewer clusters."
)


def reliability_warning(ecoval: EcoVal | CrossValuation) -> str | None:
    """Explain in plain words why values should not be trusted.

    Parameters
    ----------
    ecoval : EcoVal or CrossValuation
        A finished valuation.

    Returns
    -------
    str or None
        A warning with what to do about it; None where there is no reason for one.
    """
    if ecoval.reliable_:
        return None
    return _ALL_CLAIMED if ecoval.surplus_ > 0 else _NO_SURPLUS


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
