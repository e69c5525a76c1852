"""A logistic regression without a cluster of its rows, by Newton steps from the one on all rows."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight

# The Hessian is held and factorised: P^2 numbers, P^3 / 3 products.
MAX_PARAMETERS = 1_500
MAX_HESSIAN_NUMBERS = 8_000_000
# Of the root mean squared step, in units of the loss; scikit-learn's default stops 1,000 times earlier.
TOLERANCE = 1e-7
MAX_STEPS = 12
# Conjugate gradients end where the residual is this part of the gradient.
SYSTEM_TOLERANCE = 1e-3
# Where a step moves the members' logits by no more, the Hessian changes by less than that part.
SMALL_MOVE, SMALL_MOVE_OF_LARGE = 0.1, 0.5
# Rows times parameters: beyond it a look at all rows costs more than solving for the step.
LARGE_PROBLEM = 1_000_000
# A step by the former Hessian that leaves more of the gradient is followed by one with that at hand.
WORTHWHILE = 0.3
# Part of the first gradient, both in the metric of the Hessian, that may remain.
REMAINING_GRADIENT = 0.005


class LogisticWithout:
    r"""Logistic regressions without clusters, from the one on all rows.

    With L the penalised loss of all rows, minimal at :math:`\theta`, and :math:`L_c` the part of the cluster,
    the loss without it has at :math:`\theta` the gradient :math:`-g_c` and the Hessian :math:`H - H_c`, so
    that one Newton step is

    .. math:: \theta_{-c} \approx \theta + (H - H_c)^{-1} g_c

    H is inverted once. The system is solved by conjugate gradients preconditioned with it, many clusters
    at once: 3 to 6 products with the inverse, and with the members' own rows. Where the step moves the
    members' logits by more than 0.1 (0.5 on large data), the gradient on the remaining rows is computed, and
    further steps follow until 0.5 % of it are left, with the same Hessian while that is good enough and then
    with the one at hand. With balanced class weights, those of the remaining rows count: gradients and
    Hessians are held by class and weighted anew.
    """

    @staticmethod
    def serves(model: LogisticRegression, n_features: int, n_classes: int) -> bool:
        """Whether the penalty is that of the formula, and the Hessian is small enough."""
        n_outputs = n_classes if n_classes > 2 else 1
        n_parameters = n_outputs * (n_features + model.fit_intercept)
        n_hessians = 1 + n_classes * (model.class_weight == "balanced")
        return bool(
            model.solver != "liblinear"
            and not model.dual
            and not model.l1_ratio
            and model.penalty in ("deprecated", "l2")
            and np.isfinite(model.C)
            and n_parameters <= MAX_PARAMETERS
            and n_hessians * n_parameters**2 <= MAX_HESSIAN_NUMBERS
        )

    def __init__(
        self,
        model: LogisticRegression,
        X: NDArray,
        y: NDArray,
        sample_weight: NDArray | None = None,
    ) -> None:
        if np.max(model.n_iter_) >= model.max_iter:
            raise LinAlgError("The fit was cut short, and refits would be too.")
        self.model = model
        self._Z = self.look(X)
        self._codes = np.searchsorted(model.classes_, y)
        self._n_classes = len(model.classes_)
        self._is_binary = self._n_classes == 2
        self._counts = np.bincount(self._codes, minlength=self._n_classes)
        self._is_balanced = model.class_weight == "balanced"
        if sample_weight is not None and self._is_balanced:
            raise LinAlgError("Classes are balanced by weighted counts, which a refit knows.")
        weights = compute_class_weight(model.class_weight, classes=model.classes_, y=y)
        self._weights = weights[self._codes]
        if sample_weight is not None:
            self._weights = self._weights * sample_weight
        targets = np.eye(self._n_classes)[self._codes]
        self._targets = targets[:, 1:] if self._is_binary else targets
        self._penalty = np.full(self._Z.shape[1], 1 / model.C)
        self._theta = np.asarray(model.coef_, dtype=np.float64)
        if model.fit_intercept:
            self._penalty[-1] = 0.0
            self._theta = np.column_stack([self._theta, model.intercept_])
        is_large = self._theta.size * len(self._Z) > LARGE_PROBLEM
        self._small_move = SMALL_MOVE_OF_LARGE if is_large else SMALL_MOVE
        self._minimise()
        self.parameters = self._theta
        # From here on the model is that of the minimum, which the effects are differences from.
        self.model = copy.copy(model)
        n_features = model.coef_.shape[1]
        self.model.coef_ = self._theta[:, :n_features].copy()
        if model.fit_intercept:
            self.model.intercept_ = self._theta[:, -1].copy()

    def look(self, X: NDArray, n_left_out: int = 0) -> NDArray[np.float64]:  # noqa: ARG002
        """Return points as :meth:`output` takes them: with a column of ones."""
        X = np.asarray(X, dtype=np.float64)
        return np.column_stack([X, np.ones(len(X))]) if self.model.fit_intercept else X

    def output(self, theta: NDArray, Z: NDArray) -> NDArray[np.float64]:
        """Probabilities by a model of :meth:`without`."""
        found = self._probabilities(Z @ theta.T)
        return np.column_stack([1 - found, found]) if self._is_binary else found

    def _probabilities(self, logits: NDArray) -> NDArray[np.float64]:
        if self._is_binary:
            return expit(logits)
        # As softmax does, in place: most of the time is spent here.
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return logits

    def _curvature(self, probabilities: NDArray, changes: NDArray) -> NDArray[np.float64]:
        """Change of the probabilities with small changes of the logits."""
        part = probabilities * changes
        if self._is_binary:
            return part * (1 - probabilities)
        return part - probabilities * part.sum(axis=1, keepdims=True)

    def _hessian(self, Z: NDArray, probabilities: NDArray, weights: NDArray) -> NDArray[np.float64]:
        """Hessian of the loss without its penalty, parameters in the order of their raveled array."""
        n_outputs, n_columns = self._theta.shape
        found = np.empty((n_outputs, n_columns, n_outputs, n_columns))
        for a in range(n_outputs):
            for b in range(a + 1):
                curvature = -probabilities[:, a] * probabilities[:, b]
                curvature += probabilities[:, a] * (a == b)
                found[a, :, b] = Z.T @ ((weights * curvature)[:, None] * Z)
                found[b, :, a] = found[a, :, b].T
        return found.reshape(n_outputs * n_columns, -1)

    def _inverse(self, hessian: NDArray) -> NDArray[np.float64]:
        """Inverse of a Hessian with its penalty, scaled to a diagonal of ones in between."""
        n_outputs, n_columns = self._theta.shape
        hessian = hessian + np.diag(np.tile(self._penalty, n_outputs))
        scale = 1 / np.sqrt(np.diag(hessian))
        scaled = hessian * scale * scale[:, None]
        if not self._is_binary and self.model.fit_intercept:
            # Adding one number to all intercepts changes nothing, and no gradient points that way.
            constant = np.zeros((n_outputs, n_columns))
            constant[:, -1] = 1 / n_outputs**0.5
            direction = constant.ravel() / scale
            direction /= np.linalg.norm(direction)
            scaled += np.outer(direction, direction)
        inverse = cho_solve(cho_factor(scaled), np.eye(len(scaled)))
        return inverse * scale * scale[:, None]

    def _minimise(self) -> None:
        """Go on from the fitted model to the minimum, and keep what holds there."""
        for _ in range(MAX_STEPS):
            self._p = self._probabilities(self._Z @ self._theta.T)
            self._pulls = self._weights[:, None] * (self._p - self._targets)
            gradient = self._pulls.T @ self._Z + self._penalty * self._theta
            hessian = self._hessian(self._Z, self._p, self._weights)
            self._inverted = self._inverse(hessian)
            step = (self._inverted @ gradient.ravel()).reshape(self._theta.shape)
            if (step * gradient).sum() <= TOLERANCE**2 * len(self._Z):
                break
            self._theta = self._theta - step
        else:
            raise LinAlgError("Newton's method does not converge.")
        if self._is_balanced:
            members = [np.flatnonzero(self._codes == c) for c in range(self._n_classes)]
            self._class_gradients = np.array([self._pulls[m].T @ self._Z[m] for m in members])
            self._class_hessians = np.array(
                [self._hessian(self._Z[m], self._p[m], self._weights[m]) for m in members]
            )

    def without(self, clusters: Sequence[NDArray]) -> list[NDArray | None]:
        """Coefficients without each of some clusters; None where a class ends or steps do not converge."""
        parts = [
            _Part(self, members)
            if (np.bincount(self._codes[members], minlength=self._n_classes) < self._counts).all()
            else None
            for members in clusters
        ]
        active = [part for part in parts if part is not None]
        for part, size in zip(active, self._sizes(active), strict=True):
            part.size = part.first_size = size
        for _ in range(MAX_STEPS):
            if not active:
                break
            for part, step in zip(active, self._solve(active), strict=True):
                part.move(step)
            active = [part for part in active if not part.is_done]
            for part, size in zip(active, self._sizes(active), strict=True):
                part.judge(size)
            active = [part for part in active if not part.is_done]
        return [part.theta if part is not None and part.is_done else None for part in parts]

    def _sizes(self, parts: list[_Part]) -> NDArray[np.float64]:
        """Squared lengths of the parts' gradients in the metric of the inverse Hessian."""
        columns = np.array([part.gradient.ravel() for part in parts])
        columns = columns.reshape(len(parts), self._theta.size)
        return (columns * (columns @ self._inverted)).sum(axis=1)

    def _solve(self, parts: list[_Part]) -> NDArray[np.float64]:
        """Solve for the steps of several clusters by preconditioned conjugate gradients."""
        shape = (len(parts), *self._theta.shape)
        residual = np.array([part.gradient for part in parts]).reshape(shape)
        solution = np.zeros(shape)
        direction, image = np.zeros(shape), np.zeros(shape)
        size = goal = previous = np.ones(len(parts))
        for n_rounds in range(self._theta.size):
            flat = residual.reshape(len(parts), -1)
            preconditioned = (flat @ self._inverted).reshape(shape)
            size = (residual * preconditioned).sum(axis=(1, 2))
            if n_rounds == 0:
                goal = SYSTEM_TOLERANCE**2 * size
                ratio = np.zeros(len(parts))
            else:
                ratio = np.divide(size, previous, out=np.zeros(len(parts)), where=previous > 0)
            going = size > goal
            if not going.any():
                break
            # H times the direction follows from the residuals, whose preconditioned form it is made of.
            direction = preconditioned + ratio[:, None, None] * direction
            image = residual + ratio[:, None, None] * image
            product = np.empty(shape)
            for k, part in enumerate(parts):
                if going[k]:
                    product[k] = part.times(direction[k], image[k])
            curvature = (direction * product).sum(axis=(1, 2), where=going[:, None, None])
            length = np.divide(size, curvature, out=np.zeros(len(parts)), where=going)
            # A direction without curvature: the remaining rows do not determine the model.
            length[going & (curvature <= 0)] = np.nan
            move = length[going, None, None]
            solution[going] += move * direction[going]
            residual[going] -= move * product[going]
            previous = size
        return solution


class _Part:
    """One cluster left out: gradient and Hessian of the loss of the remaining rows."""

    is_done = False
    # At first the Hessian at the minimum of all rows, which costs a product with the members only.
    is_exact = False
    size = first_size = 0.0

    def __init__(self, whole: LogisticWithout, members: NDArray) -> None:
        self.whole, self.members = whole, members
        self.Z, self.p = whole._Z[members], whole._p[members]
        self.theta = self.former = whole._theta
        self.weights = whole._weights[members][:, None]
        self.counts = np.bincount(whole._codes[members], minlength=whole._n_classes)
        self.factors = np.ones(whole._n_classes)
        self.n_left = 1.0
        if whole._is_balanced:
            self.n_left = 1 - len(members) / len(whole._Z)
            self.factors = self.n_left * whole._counts / (whole._counts - self.counts)
            self.weights = self.weights * self.factors[whole._codes[members]][:, None]
        pulls = self.weights * (self.p - whole._targets[members])
        self.gradient = -pulls.T @ self.Z
        if whole._is_balanced:
            self.gradient += np.tensordot(self.factors, whole._class_gradients, axes=1)
            self.gradient += whole._penalty * self.theta

    def times(self, direction: NDArray, image: NDArray) -> NDArray[np.float64]:
        """Hessian times a direction, whose product with the Hessian of all rows is `image`."""
        whole = self.whole
        if self.is_exact:
            curvature = self._row_weights() * whole._curvature(self.p_all, whole._Z @ direction.T)
            return curvature.T @ whole._Z + whole._penalty * direction
        curvature = self.weights * whole._curvature(self.p, self.Z @ direction.T)
        product = image - curvature.T @ self.Z
        if whole._is_balanced:
            product += (self.n_left - 1) * (image - whole._penalty * direction)
            for c in np.flatnonzero(self.counts):
                of_class = whole._class_hessians[c] @ direction.ravel()
                product += (self.factors[c] - self.n_left) * of_class.reshape(product.shape)
        return product

    def _row_weights(self) -> NDArray[np.float64]:
        weights = self.whole._weights * self.factors[self.whole._codes]
        weights[self.members] = 0.0
        return weights[:, None]

    def move(self, step: NDArray) -> None:
        """Take a step; it is the last if it is the first and moves the members' logits by little."""
        is_first = self.theta is self.whole._theta
        self.former, self.theta = self.theta, self.theta - step
        is_small = np.abs(self.Z @ step.T).max() <= self.whole._small_move
        self.is_done = bool(is_first and is_small)
        if not self.is_done:
            self._look_around()

    def _look_around(self) -> None:
        """Compute probabilities and gradient of the remaining rows."""
        whole = self.whole
        self.p_all = whole._probabilities(whole._Z @ self.theta.T)
        pulls = self._row_weights() * (self.p_all - whole._targets)
        self.gradient = pulls.T @ whole._Z + whole._penalty * self.theta

    def judge(self, size: float) -> None:
        """Decide whether the gradient is small, and which Hessian the next step takes."""
        self.is_done = bool(size <= REMAINING_GRADIENT**2 * self.first_size)
        if not size <= WORTHWHILE**2 * self.size and not self.is_exact:
            self.is_exact = True
            if not size < self.size:
                self.theta = self.former
                self._look_around()
                return
        self.size = size
