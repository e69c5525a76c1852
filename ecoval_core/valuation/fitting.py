"""Fitting one model: seeded, from a previous solution where that is right, on one thread."""

from __future__ import annotations

import copy
import sys
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from threadpoolctl import ThreadpoolController

# For forests and boosting `warm_start` means "add trees": with the same number of trees nothing is
# refitted and every effect is silently zero. Networks and SGD train on past f_D from where it stopped:
# measured on digits, every cluster of a network then looked harmful. Only a solution that has
# converged may be started from.
_WARM_STARTING = (LogisticRegression,)

# Above it, refits use a sample stratified by cluster.
MAX_FIT_SAMPLES = 10_000


class RefitError(ValueError):
    """The model could not be fitted on a part of the data; the message names the part."""


@lru_cache(maxsize=1)
def _threadpools(n_modules: int) -> ThreadpoolController:  # noqa: ARG001 - the cache's key
    # It knows the libraries loaded so far, and an import may load another; looking takes 1 ms.
    return ThreadpoolController()


def single_threaded() -> Any:
    """Context in which BLAS and OpenMP use one thread.

    Returns
    -------
    context manager
        From threadpoolctl; the former limits come back at its end.
    """
    return _threadpools(len(sys.modules)).limit(limits=1)


def seed_estimator(estimator: Any, seed: int) -> Any:
    """Clone an estimator and set every random state that was left to chance.

    All refits share the seed: common random numbers, so that an effect is the cluster's and not the
    draw's.

    Parameters
    ----------
    estimator : estimator
        Any scikit-learn estimator or pipeline.
    seed : int
        Value for each ``random_state`` parameter that is None, nested ones included.

    Returns
    -------
    estimator
        An unfitted clone.
    """
    seeded = clone(estimator)
    unset = {
        name: seed
        for name, value in seeded.get_params().items()
        if name.split("__")[-1] == "random_state" and value is None
    }
    return seeded.set_params(**unset)


def weigh_classes(estimator: Any, class_weight: Any) -> Any:
    """Set every ``class_weight`` that was left None.

    Parameters
    ----------
    estimator : estimator
        Unfitted; changed in place.
    class_weight : "balanced" or dict
        Value for each such parameter, nested ones included.

    Returns
    -------
    estimator
        The same estimator; unchanged if it has no such parameter.
    """
    unset = {
        name: class_weight
        for name, value in estimator.get_params().items()
        if name.split("__")[-1] == "class_weight" and value is None
    }
    return estimator.set_params(**unset)


def starts_from_solution(estimator: Any) -> bool:
    """Whether refits may start from the solution of a fitted model.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator, or a pipeline whose last step counts.

    Returns
    -------
    bool
        True for a logistic regression that has converged; never for ensembles of trees, where
        ``warm_start`` adds trees, nor where training would continue instead of starting again.
    """
    last = _last_step(estimator)
    # LogisticRegressionCV is a LogisticRegression too, but begins its own search each time.
    can_start = isinstance(last, _WARM_STARTING) and "warm_start" in last.get_params(deep=False)
    return can_start and bool(np.max(last.n_iter_) < last.max_iter)


def name_of(estimator: Any) -> str:
    """Name of a model for an error message: its class, or that of a pipeline's last step.

    Parameters
    ----------
    estimator : estimator
        Any scikit-learn estimator.

    Returns
    -------
    str
        Class name.
    """
    return type(_last_step(estimator)).__name__


def _last_step(estimator: Any) -> Any:
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def fit_model(estimator: Any, X: NDArray, y: NDArray, where: str, *, start: Any = None) -> Any:
    """Fit a clone, from a previous solution where that is right.

    Parameters
    ----------
    estimator : estimator
        Unfitted.
    X, y : ndarray of shape (n_samples, n_features), (n_samples,)
        Data to fit.
    where : str
        Names the data for an error message, such as "without cluster 3".
    start : estimator or None, default=None
        Fitted model to start from; ignored if it knows other classes or cannot.

    Returns
    -------
    estimator
        The fitted model. Where a single class is left, a constant one.

    Raises
    ------
    RefitError
        If the model refuses the data; carries the model's own words.
    """
    labels = np.unique(y) if is_classifier(estimator) else None
    if labels is not None and len(labels) == 1:
        return DummyClassifier(strategy="prior").fit(X, y)
    warm = (
        start is not None
        and starts_from_solution(start)
        and (labels is None or np.array_equal(labels, start.classes_))
    )
    if warm:
        model = copy.deepcopy(start)
        _last_step(model).set_params(warm_start=True)
    else:
        model = clone(estimator)
    try:
        return model.fit(X, y)
    except Exception as error:
        raise RefitError(f"{name_of(model)} could not be fitted {where}: {error}") from error
