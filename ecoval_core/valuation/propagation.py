"""Stage 2: from a cluster's value to its members', by a production function.

Performance is treated as Cobb-Douglas in an intrinsic and an extrinsic input. The extrinsic value is what
leave-cluster-out measured, credited inside the cluster to the members that caused it; the intrinsic value
pays quality with the rest of the surplus. This stage is the project's own formulation: the paper's exact
formulas are not public.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# Distances and agreements of at most this many (member, validation point) pairs are held at once.
BLOCK_PAIRS = 4_000_000
DEFAULT_EXTRINSIC_WEIGHT = 0.25
# Claims below it have lost their digits: shares of them may overflow.
_TINY = 1e-250
# A surplus up to this is rounding: there is nothing to share out.
LEAST_SURPLUS = 1e-12


class DistanceKernel:
    """Weights that fall with the fourth power of the distance: nearby members count, for any model."""

    def __call__(
        self, X: NDArray, X_val: NDArray, X_new: NDArray | None = None
    ) -> tuple[NDArray, NDArray]:
        """Weigh members, and points that might join them, at validation points.

        Parameters
        ----------
        X : ndarray of shape (n_members, n_features)
            Members of a cluster, standardised.
        X_val : ndarray of shape (n_val, n_features)
            Validation points.
        X_new : ndarray of shape (n_new, n_features) or None, default=None
            Further points, weighed on the same scale.

        Returns
        -------
        weights : ndarray of shape (n_members, n_val)
            1 for the nearest member.
        weights_new : ndarray of shape (n_new, n_val)
            Those of the further points; no rows without any.
        """
        distances = squared_distances(X, X_val)
        nearest = distances.min(axis=0)
        weights = np.square(nearest / distances)
        if X_new is None:
            return weights, weights[:0]
        return weights, np.square(nearest / squared_distances(X_new, X_val))

    def unclaimed(self, weights: NDArray) -> NDArray:
        """Return the shares where nobody caused the effect: by nearness alone."""
        return weights


class LinearKernel:
    """First-order influence in a linear model: 1 + z_i' (C + 0.1 I)^-1 z_v, C the features' covariance.

    In a linear model every member acts on every validation point, along the features they share, however
    far apart they lie. Measured with logistic regression on twelve tables against the distance kernel:
    removing the highest values first leaves a test accuracy of 0.73 instead of 0.76, the other criteria
    are the same within 0.003, and predicted effects of clusters correlate with the measured ones at
    0.80-0.91 instead of 0.22-0.61. With nearest neighbours, forests and boosting it was worse, and with
    ridge regression too (R2 after removing the lowest first 0.646 instead of 0.659): it serves linear
    classifiers only.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        All training points, standardised.
    """

    RIDGE = 0.1
    # Above it the inverse costs more than the refits; the variances alone are used.
    MAX_FEATURES = 2_000

    def __init__(self, Z: NDArray) -> None:
        if Z.shape[1] > self.MAX_FEATURES:
            self.precision_ = np.diag(1 / (Z.var(axis=0) + self.RIDGE))
        else:
            covariance = np.atleast_2d(np.cov(Z, rowvar=False, ddof=0))
            self.precision_ = np.linalg.inv(covariance + self.RIDGE * np.eye(Z.shape[1]))

    def __call__(
        self, X: NDArray, X_val: NDArray, X_new: NDArray | None = None
    ) -> tuple[NDArray, NDArray]:
        """Weigh members, and points that might join them, at validation points.

        Parameters and results are those of :meth:`DistanceKernel.__call__`; weights can be negative.
        """
        weights = (X @ self.precision_) @ X_val.T
        weights += 1.0
        if X_new is None:
            return weights, weights[:0]
        return weights, 1.0 + (X_new @ self.precision_) @ X_val.T

    def unclaimed(self, weights: NDArray) -> NDArray:
        """Return the shares where nobody caused the effect: equal ones."""
        return np.ones_like(weights)


class Kernel(Protocol):
    """How much a member acts at a validation point."""

    def __call__(
        self, X: NDArray, X_val: NDArray, X_new: NDArray | None = None
    ) -> tuple[NDArray, NDArray]:
        """Weigh members, and points that might join them; see :class:`DistanceKernel`."""

    def unclaimed(self, weights: NDArray) -> NDArray:
        """Return the shares where nobody caused the effect."""


@dataclass(frozen=True)
class Points:
    """Points and the residuals of a model there.

    Attributes
    ----------
    Z : ndarray of shape (n_points, n_features)
        Features, standardised.
    residuals : ndarray of shape (n_points, n_outputs)
        Truth minus output: the direction in which each point pulls the model.
    """

    Z: NDArray
    residuals: NDArray

    def take(self, rows: NDArray | slice) -> Points:
        """Return some of the points."""
        return Points(self.Z[rows], self.residuals[rows])


def squared_distances(A: NDArray, B: NDArray) -> NDArray:
    """Squared Euclidean distances, floored so that identical points stay finite in the kernel.

    Parameters
    ----------
    A, B : ndarray of shape (n_a, n_features), (n_b, n_features)
        Points.

    Returns
    -------
    ndarray of shape (n_a, n_b)
        Squared distances, at least 1e-9 of the mean squared norm.
    """
    norms_a, norms_b = (A**2).sum(axis=1), (B**2).sum(axis=1)
    distances = A @ B.T
    distances *= -2
    distances += norms_a[:, None]
    distances += norms_b
    # The floor also lies above the rounding error of this expansion.
    floor = 1e-9 * (1.0 + float(norms_a.mean()) + float(norms_b.mean()))
    return np.maximum(distances, floor, out=distances)


def _blocks(n_columns: int, n_rows: int) -> list[slice]:
    step = max(1, BLOCK_PAIRS // max(1, n_rows))
    return [slice(start, start + step) for start in range(0, n_columns, step)]


def _claims(weights: NDArray, points: Points, validation: Points, effect: NDArray) -> NDArray:
    """Return unnormalised shares in each effect: who pushed the model the way it went."""
    claim = points.residuals @ validation.residuals.T
    claim *= np.where(effect < 0, -1.0, 1.0)
    claim *= weights
    return np.maximum(claim, 0.0, out=claim)


def extrinsic_of_cluster(
    members: Points, validation: Points, effect: NDArray, totals: NDArray | None = None,
    kernel: Kernel | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Credit a cluster's measured effect to its members.

    A gain at a validation point is shared among the members that push the model towards the right
    answer there, a harm among those that push it away, both weighted by a kernel; where nobody does, by
    the kernel's own rule.

    Parameters
    ----------
    members : Points
        The members, with residuals r_i under the model without the cluster.
    validation : Points
        The validation points, with residuals r_v under the same model.
    effect : ndarray of shape (n_val,)
        Delta_c(v).
    totals : ndarray of shape (n_val, n_columns) or None, default=None
        Further quantities of the validation points, to be multiplied with the credits.
    kernel : Kernel or None, default=None
        How much a member acts at a validation point; None is :class:`DistanceKernel`.

    Returns
    -------
    credit : ndarray of shape (n_members,)
        E_i, the mean over v of the credits e_iv; they sum to ``effect.mean()``.
    moments : ndarray of shape (n_members, 1 + n_columns)
        Means over v of e_iv squared and of e_iv times each column of `totals`.
    """
    kernel = DistanceKernel() if kernel is None else kernel
    n_members, n_val = len(members.Z), len(validation.Z)
    totals = np.empty((n_val, 0)) if totals is None else totals
    credit, moments = np.zeros(n_members), np.zeros((n_members, 1 + totals.shape[1]))
    for part in _blocks(n_val, n_members):
        there = validation.take(part)
        weights, _ = kernel(members.Z, there.Z)
        claim = _claims(weights, members, there, effect[part])
        nobody = ~(claim.sum(axis=0) > _TINY)
        claim[:, nobody] = kernel.unclaimed(weights[:, nobody])
        claim *= effect[part] / claim.sum(axis=0)
        credit += claim.sum(axis=1)
        moments[:, 0] += np.einsum("iv,iv->i", claim, claim)
        moments[:, 1:] += claim @ totals[part]
    return credit / n_val, moments / n_val


def extrinsic_of_joining(
    new: Points, members: Points, validation: Points, effect: NDArray, kernel: Kernel | None = None
) -> NDArray[np.float64]:
    """Credit that unseen points would get, each as if it alone joined the cluster.

    Parameters
    ----------
    new : Points
        Unseen points.
    members, validation, effect, kernel
        As in :func:`extrinsic_of_cluster`.

    Returns
    -------
    ndarray of shape (n_new,)
        E of each unseen point; the demand is shared with the members, nothing is refitted.
    """
    kernel = DistanceKernel() if kernel is None else kernel
    n_val = len(validation.Z)
    credit = np.zeros(len(new.Z))
    for part in _blocks(n_val, max(len(members.Z), len(new.Z))):
        there = validation.take(part)
        weights, weights_new = kernel(members.Z, there.Z, new.Z)
        rivals = _claims(weights, members, there, effect[part]).sum(axis=0)
        own = _claims(weights_new, new, there, effect[part])
        # Alone in pushing the right way, the newcomer takes all; if nobody does, the kernel decides.
        nobody = ~(rivals + own > _TINY)
        rivals = np.where(nobody, kernel.unclaimed(weights).sum(axis=0), rivals)
        own = np.where(nobody, kernel.unclaimed(weights_new), own)
        credit += (own / (rivals + own)) @ effect[part]
    return credit / n_val


@dataclass(frozen=True)
class Distribution:
    """A surplus distributed over points.

    Attributes
    ----------
    intrinsic, extrinsic : ndarray of shape (n_samples,)
        What each point is paid for its quality and for its measured effect.
    intrinsic_rate : float
        Payment per unit of quality.
    intrinsic_share : float
        Part of the surplus that is paid for quality (a in the derivation); NaN without a surplus.
    returns_to_scale : float
        Part of the surplus that is lost at the margin; NaN without a surplus.
    reliable : bool
        False if there is no surplus, or if clusters claim all of it: nothing is left to pay quality.
    """

    intrinsic: NDArray[np.float64]
    extrinsic: NDArray[np.float64]
    intrinsic_rate: float
    intrinsic_share: float
    returns_to_scale: float
    reliable: bool


def distribute(
    surplus: float, credit: NDArray, quality: NDArray, extrinsic_weight: float
) -> Distribution:
    """Pay both inputs of the production function so that payments exhaust the surplus.

    Parameters
    ----------
    surplus : float
        Y = U(D) - U(empty).
    credit : ndarray of shape (n_samples,)
        E_i, before the weight.
    quality : ndarray of shape (n_samples,)
        q_i in [0, 1].
    extrinsic_weight : float
        b, payment per unit of measured marginal product.

    Returns
    -------
    Distribution
        ``intrinsic + extrinsic`` sums to the surplus where that is reliable, else to the extrinsic
        payments alone.
    """
    extrinsic = extrinsic_weight * credit
    left = surplus - extrinsic.sum()
    # A model that does not beat the prior predictor has no surplus to pay from.
    reliable = bool(surplus > LEAST_SURPLUS and left > 0)
    if quality.sum() <= 0:
        quality = np.ones_like(quality)
    rate = left / quality.sum() if reliable else 0.0
    known = surplus > LEAST_SURPLUS
    return Distribution(
        intrinsic=rate * quality,
        extrinsic=extrinsic,
        intrinsic_rate=float(rate),
        intrinsic_share=float(max(left, 0.0) / surplus) if known else float("nan"),
        returns_to_scale=float(credit.sum() / surplus) if known else float("nan"),
        reliable=reliable,
    )


@dataclass(frozen=True)
class Sampling:
    """What the validation points say of the sampling error of values.

    Values are means over validation points of ``b e_iv + (y_v - b s_v) q_i / Q``, where y_v is the surplus
    at v and s_v what all clusters claim there; its spread over v gives the bootstrap's standard error without
    drawing, for any weight.

    Attributes
    ----------
    moments : ndarray of shape (n_samples, 3)
        Means over v of e_iv squared, e_iv y_v and e_iv s_v.
    totals : ndarray of shape (n_val, 2)
        y_v and s_v.
    """

    moments: NDArray[np.float64]
    totals: NDArray[np.float64]

    def standard_errors(
        self, paid: Distribution, quality: NDArray, extrinsic_weight: float
    ) -> NDArray[np.float64]:
        """Return the standard error of each value over a resampling of the validation points.

        The limit of the bootstrap for many draws: the standard deviation over validation points over
        the root of their number.

        Parameters
        ----------
        paid : Distribution
            The surplus distributed with this weight.
        quality : ndarray of shape (n_samples,)
            q_i.
        extrinsic_weight : float
            b.

        Returns
        -------
        ndarray of shape (n_samples,)
            Standard errors, in units of the score.
        """
        total = quality.sum()
        part = quality / total if total > 0 else np.full(len(quality), 1 / len(quality))
        part = part if paid.reliable else np.zeros(len(quality))
        left = self.totals @ [1.0, -extrinsic_weight]
        squares = (
            extrinsic_weight**2 * self.moments[:, 0]
            + 2 * extrinsic_weight * part * (self.moments[:, 1:] @ [1.0, -extrinsic_weight])
            + part**2 * (left**2).mean()
        )
        variance = squares - (paid.intrinsic + paid.extrinsic) ** 2
        return np.sqrt(np.maximum(variance, 0.0) / len(self.totals))
