"""Ridge, least squares, naive Bayes and nearest neighbours without a cluster of their rows: no refit."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.special import softmax
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

MAX_COEFFICIENTS = 1_500
# Beyond this condition of the normal equations the fitted model's own solver is the better one.
MAX_CONDITION = 1e10
# A share of a direction that only the cluster determines: below it, the rest does not.
LEAST_REST = 1e-8
# Neighbours are listed with so many more as the largest cluster has members, up to this.
MAX_STRUCK = 500


class RidgeWithout:
    r"""Ridge or ordinary least squares without clusters: a downdate of the normal equations.

    With M the matrix of the normal equations of all rows, Z the members' rows and e their residuals,

    .. math:: \theta_{-c} = \theta - M^{-1} Z' (I - Z M^{-1} Z')^{-1} e

    which is exact. For a cluster of more members than coefficients, the equations of the rest are solved.
    """

    @staticmethod
    def serves(model: Ridge | LinearRegression, n_features: int, n_classes: int) -> bool:  # noqa: ARG004
        """Whether the model solves the normal equations, few enough of them."""
        penalty = getattr(model, "alpha", 0.0)
        return not model.positive and np.ndim(penalty) == 0 and n_features < MAX_COEFFICIENTS

    def __init__(
        self,
        model: Ridge | LinearRegression,
        X: NDArray,
        y: NDArray,
        sample_weight: NDArray | None = None,
    ) -> None:
        self.model = model
        self._center = X.mean(axis=0, dtype=np.float64) * bool(model.fit_intercept)
        self._Z, self._y = self.look(X), np.asarray(y, dtype=np.float64)
        if sample_weight is not None:
            root = np.sqrt(sample_weight)
            self._Z, self._y = self._Z * root[:, None], self._y * root
        penalty = np.full(self._Z.shape[1], float(getattr(model, "alpha", 0.0)))
        if model.fit_intercept:
            penalty[-1] = 0.0
        self._products = self._Z.T @ self._Z + np.diag(penalty)
        self._inverse = _inverse(self._products)
        self._right = self._Z.T @ self._y
        self.parameters = self._inverse @ self._right

    def look(self, X: NDArray, n_left_out: int = 0) -> NDArray[np.float64]:  # noqa: ARG002
        """Return points as :meth:`output` takes them: centred, with a column of ones."""
        Z = np.asarray(X, dtype=np.float64) - self._center
        return np.column_stack([Z, np.ones(len(Z))]) if self.model.fit_intercept else Z

    def output(self, theta: NDArray, Z: NDArray) -> NDArray[np.float64]:
        """Predictions by a model of :meth:`without`."""
        return (Z @ theta)[:, None]

    def without(self, clusters: Sequence[NDArray]) -> list[NDArray | None]:
        """Solve for the models without each of some clusters; None where the rest determines none."""
        return [self._without(members) for members in clusters]

    def _without(self, members: NDArray) -> NDArray | None:
        Z, y = self._Z[members], self._y[members]
        try:
            if len(members) > Z.shape[1]:
                return _inverse(self._products - Z.T @ Z) @ (self._right - Z.T @ y)
            spread = self._inverse @ Z.T
            rest = np.eye(len(members)) - Z @ spread
            if np.linalg.eigvalsh(rest)[0] < LEAST_REST:
                return None
            return self.parameters - spread @ np.linalg.solve(rest, y - Z @ self.parameters)
        except LinAlgError:
            return None


def _inverse(products: NDArray) -> NDArray[np.float64]:
    """Inverse of a positive definite matrix, scaled to a diagonal of ones in between."""
    diagonal = np.diag(products)
    if not (diagonal > 0).all():
        raise LinAlgError("A column is zero.")
    scale = 1 / np.sqrt(diagonal)
    scaled = products * scale * scale[:, None]
    inverse = cho_solve(cho_factor(scaled), np.eye(len(scaled)))
    if np.linalg.norm(scaled, 1) * np.linalg.norm(inverse, 1) > MAX_CONDITION:
        raise LinAlgError("The columns determine each other.")
    return inverse * scale * scale[:, None]


class Moments(NamedTuple):
    """Normal distributions of the columns in each class, and the classes' log priors."""

    means: NDArray[np.float64]
    variances: NDArray[np.float64]
    log_priors: NDArray[np.float64]


class NaiveBayesWithout:
    r"""Gaussian naive Bayes without clusters: the members' moments are taken out of their class's.

    With d the members' deviations from their class's mean, of which n rows are left,

    .. math:: \mu' = \mu - \sum d / n, \quad \sigma'^2 = (N \sigma^2 - \sum d^2) / n - (\sum d / n)^2

    and likewise for the variance of all rows, a part of which smooths the variances. This is exact.
    """

    @staticmethod
    def serves(model: GaussianNB, n_features: int, n_classes: int) -> bool:  # noqa: ARG004
        """Return True: every setting is served."""
        return True

    def __init__(
        self, model: GaussianNB, X: NDArray, y: NDArray, sample_weight: NDArray | None = None
    ) -> None:
        if sample_weight is not None:
            raise LinAlgError("Weighted moments are those of a refit.")
        self.model = model
        self._X = np.asarray(X, dtype=np.float64)
        self._codes = np.searchsorted(model.classes_, y)
        self._counts = np.bincount(self._codes, minlength=len(model.classes_))
        self._means = np.array(
            [self._X[self._codes == c].mean(axis=0) for c in range(len(self._counts))]
        )
        deviations = self._X - self._means[self._codes]
        self._squares = np.array(
            [(deviations[self._codes == c] ** 2).sum(axis=0) for c in range(len(self._counts))]
        )
        self._center = self._X.mean(axis=0)
        self._total = ((self._X - self._center) ** 2).sum(axis=0)
        parameters = self._without(np.empty(0, dtype=np.int64))
        if parameters is None:
            raise LinAlgError("A class does not vary.")
        self.parameters = parameters

    def look(self, X: NDArray, n_left_out: int = 0) -> NDArray[np.float64]:  # noqa: ARG002
        """Return points as :meth:`output` takes them."""
        return np.asarray(X, dtype=np.float64)

    def output(self, moments: Moments, X: NDArray) -> NDArray[np.float64]:
        """Probabilities by a model of :meth:`without`."""
        logs = np.tile(moments.log_priors, (len(X), 1))
        for c, (mean, variance) in enumerate(zip(moments.means, moments.variances, strict=True)):
            logs[:, c] -= 0.5 * np.log(2 * np.pi * variance).sum()
            logs[:, c] -= 0.5 * ((X - mean) ** 2 / variance).sum(axis=1)
        return softmax(logs, axis=1)

    def without(self, clusters: Sequence[NDArray]) -> list[Moments | None]:
        """Compute the models without each of some clusters; None where a class has no rows left."""
        return [self._without(members) for members in clusters]

    def _without(self, members: NDArray) -> Moments | None:
        codes = self._codes[members]
        left = self._counts - np.bincount(codes, minlength=len(self._counts))
        if not left.all():
            return None
        means, squares = self._means.copy(), self._squares.copy()
        for c in np.unique(codes):
            deviations = self._X[members[codes == c]] - self._means[c]
            shift = deviations.sum(axis=0) / left[c]
            means[c] -= shift
            squares[c] -= (deviations**2).sum(axis=0) + left[c] * shift**2
        n_left = len(self._X) - len(members)
        deviations = self._X[members] - self._center
        total = self._total - (deviations**2).sum(axis=0) - deviations.sum(axis=0) ** 2 / n_left
        smoothing = self.model.var_smoothing * total.max() / n_left
        variances = np.maximum(squares, 0.0) / left[:, None] + smoothing
        if not (variances > 0).all():
            return None
        priors = left / n_left if self.model.priors is None else np.asarray(self.model.priors)
        with np.errstate(divide="ignore"):
            return Moments(means, variances, np.log(priors))


class NeighborsWithout:
    """Nearest neighbours without clusters: members are struck out of longer lists of neighbours.

    Every point's list holds k neighbours more than the largest cluster has members; the first k that are
    left are those of the model without the cluster. This is exact but for ties of distance.
    """

    @staticmethod
    def serves(
        model: KNeighborsClassifier | KNeighborsRegressor,
        n_features: int,  # noqa: ARG004
        n_classes: int,  # noqa: ARG004
    ) -> bool:
        """Whether the weights of the neighbours are among scikit-learn's own."""
        return model.weights in ("uniform", "distance")

    def __init__(
        self,
        model: KNeighborsClassifier | KNeighborsRegressor,
        X: NDArray,
        y: NDArray,
        sample_weight: NDArray | None = None,  # noqa: ARG002 - such a model takes none
    ) -> None:
        self.model = model
        self._index = copy.copy(model)
        # Points come as arrays, whatever the model was fitted on.
        vars(self._index).pop("feature_names_in_", None)
        self._n_rows = len(X)
        self._is_classifier = isinstance(model, KNeighborsClassifier)
        self._targets = np.searchsorted(model.classes_, y) if self._is_classifier else y
        self.parameters = np.empty(0, dtype=np.int64)

    def look(self, X: NDArray, n_left_out: int = 0) -> NDArray[Any]:
        """List the neighbours of points, `n_left_out` more than the model needs."""
        n_listed = min(self.model.n_neighbors + min(n_left_out, MAX_STRUCK), self._n_rows)
        distances, rows = self._index.kneighbors(X, n_listed)
        listed = np.empty(rows.shape, dtype=[("row", np.int64), ("distance", np.float64)])
        listed["row"], listed["distance"] = rows, distances
        return listed

    def output(self, members: NDArray, listed: NDArray) -> NDArray[np.float64]:
        """Probabilities or predictions by a model of :meth:`without`."""
        k = self.model.n_neighbors
        nearest = listed[:, :k]
        if len(members):
            is_left_out = np.zeros(self._n_rows, dtype=bool)
            is_left_out[members] = True
            struck = is_left_out[listed["row"]]
            changed = np.flatnonzero(struck[:, :k].any(axis=1))
            nearest = nearest.copy()
            left = np.argsort(struck[changed], axis=1, kind="stable")[:, :k]
            nearest[changed] = np.take_along_axis(listed[changed], left, axis=1)
        weights = self._weights(nearest["distance"])
        targets = self._targets[nearest["row"]]
        if not self._is_classifier:
            return ((weights * targets).sum(axis=1) / weights.sum(axis=1))[:, None]
        votes = np.zeros((len(nearest), len(self.model.classes_)))
        for column, weight in zip(targets.T, weights.T, strict=True):
            votes[np.arange(len(votes)), column] += weight
        return votes / weights.sum(axis=1, keepdims=True)

    def _weights(self, distances: NDArray) -> NDArray[np.float64]:
        if self.model.weights == "uniform":
            return np.ones_like(distances)
        # As in scikit-learn: neighbours at no distance are the only ones that count.
        at_point = distances == 0
        alone = at_point.any(axis=1)[:, None]
        inverse = np.divide(1.0, distances, out=np.zeros_like(distances), where=~at_point)
        return np.where(alone, at_point, inverse)

    def without(self, clusters: Sequence[NDArray]) -> list[NDArray | None]:
        """Name the rows to strike; None for clusters too large to list, or that leave too few rows."""
        largest = min(MAX_STRUCK, self._n_rows - self.model.n_neighbors)
        return [members if len(members) <= largest else None for members in clusters]
