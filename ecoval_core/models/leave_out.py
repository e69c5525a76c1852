"""Models without a cluster that follow from the model on all rows: no refit where the answer is known.

:data:`SHORT_WAYS` lists the types of models that have one. To add another, write a class with the members of
:class:`ShortWay` and a line in the table; test_leave_out.py then holds it to refits of the model.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError
from scipy.sparse import issparse
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from ecoval_core.models.closed_forms import NaiveBayesWithout, NeighborsWithout, RidgeWithout
from ecoval_core.models.logistic import LogisticWithout


class ShortWay(Protocol):
    """Makes models without clusters from a fitted model, its rows and their targets."""

    model: Any  # f_D; where it had stopped early, at its minimum
    parameters: Any  # of f_D, as :meth:`without` returns those of f_-c

    def __init__(
        self, model: Any, X: NDArray, y: NDArray, sample_weight: NDArray | None = None
    ) -> None: ...

    @staticmethod
    def serves(model: Any, n_features: int, n_classes: int) -> bool:
        """Whether the settings of a model, fitted or not, are served at this size (1 class: an amount)."""

    def look(self, X: NDArray, n_left_out: int = 0) -> NDArray:
        """Prepare points for :meth:`output` by models without up to so many rows."""

    def output(self, parameters: Any, seen: NDArray) -> NDArray[np.float64]:
        """Probabilities, or predictions as a column, of a model at prepared points."""

    def without(self, clusters: Sequence[NDArray]) -> list[Any | None]:
        """Parameters without each of some clusters, given as positions; None where a refit must tell."""


SHORT_WAYS: dict[type, type[ShortWay]] = {
    LogisticRegression: LogisticWithout,
    Ridge: RidgeWithout,
    LinearRegression: RidgeWithout,
    GaussianNB: NaiveBayesWithout,
    KNeighborsClassifier: NeighborsWithout,
    KNeighborsRegressor: NeighborsWithout,
}
# Steps before the last that know a column at a time and no targets: they stay as fitted on all rows.
_STEPS = (
    StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, PowerTransformer, QuantileTransformer,
    PolynomialFeatures, SimpleImputer,
)  # fmt: skip


def has_short_way(estimator: Any, n_features: int, n_classes: int) -> bool:
    """Whether an estimator, fitted or not, has a short way at this size (1 class: an amount)."""
    steps = (
        [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
    )
    *before, last = steps
    if any(step not in (None, "passthrough") and type(step) not in _STEPS for step in before):
        return False
    way = SHORT_WAYS.get(type(last))
    return way is not None and way.serves(last, n_features, n_classes)


def prefers_fine_clusters(
    estimator: Any, n_features: int, n_classes: int, *, is_weighted: bool
) -> bool:
    """Whether small clusters and single rows cost nothing, and were measured to value rows better.

    Logistic regression only: on the wide suite nearest neighbours lost 0.006 of noise AUC by them, and on
    the imbalanced one, where classes count alike, single rows of a rare class handed noise on.
    """
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    is_preferred = isinstance(last, LogisticRegression) and not is_weighted
    return is_preferred and has_short_way(estimator, n_features, n_classes)


class Shortcut:
    """The short way of a model or pipeline, the steps before the last as fitted on all rows."""

    def __init__(
        self, estimator: Any, X: Any, y: NDArray, sample_weight: NDArray | None = None
    ) -> None:
        self._before = estimator[:-1] if isinstance(estimator, Pipeline) else None
        last = estimator if self._before is None else estimator.steps[-1][1]
        self._way = SHORT_WAYS[type(last)](last, self._transform(X), y, sample_weight)
        self.output = self._way.output
        self.estimator = self._way.model
        if isinstance(estimator, Pipeline):
            self.estimator = copy.copy(estimator)
            self.estimator.steps = [
                *estimator.steps[:-1],
                (estimator.steps[-1][0], self._way.model),
            ]

    def without(self, clusters: Sequence[NDArray]) -> list[Any | None]:
        """Return parameters without each of some clusters; those of all rows where no member was fitted."""
        solved = iter(self._way.without([members for members in clusters if len(members)]))
        return [next(solved) if len(members) else self._way.parameters for members in clusters]

    def _transform(self, X: Any) -> NDArray:
        if self._before is not None and len(self._before):
            X = self._before.transform(X)
        return np.asarray(X)

    def look(self, X: Any, n_left_out: int = 0) -> NDArray:
        """Prepare points; see :class:`ShortWay`."""
        return self._way.look(self._transform(X), n_left_out)


def find_shortcut(
    estimator: Any, X: Any, y: NDArray, sample_weight: NDArray | None = None
) -> Shortcut | None:
    """Find the short way of an estimator fitted on `X` and `y`, if there is one and it can be gone."""
    if issparse(X) or np.ndim(X) != 2:
        return None
    if not has_short_way(estimator, X.shape[1], len(getattr(estimator, "classes_", [0]))):
        return None
    try:
        return Shortcut(estimator, X, y, sample_weight)
    except LinAlgError:
        return None
