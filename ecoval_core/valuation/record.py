"""From credit and quality to values at any extrinsic weight, without data and models: small enough to store.

The Aumann-Shapley value of the production function Y = A Q^alpha X^beta pays both inputs and exhausts the
surplus:

    value_i = b E_i + (Y - b sum_j E_j) q_i / sum_j q_j

with b the extrinsic weight, E_i the credit of row i for measured effects and q_i its quality.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DEFAULT_EXTRINSIC_WEIGHT = 0.25
# A surplus up to this is rounding: there is nothing to share out.
LEAST_SURPLUS = 1e-12
_NO_SURPLUS = (
    "These values are not reliable: the model is not clearly better than a guess that ignores the "
    "features (surplus {surplus:+.4f}, standard error {error:.4f}). Try another model, other "
    "columns, or more rows."
)
_ALL_CLAIMED = (
    "These values are not reliable: at this extrinsic weight measured effects claim "
    "{claimed:+.4f} of a surplus of {surplus:+.4f} (standard error {error:.4f}), so no reliable "
    "part remains for label quality. Try a lower extrinsic weight, fewer clusters, or another "
    "model."
)


@dataclass(frozen=True)
class Distribution:
    """A surplus distributed over points."""

    intrinsic: NDArray[np.float64]
    extrinsic: NDArray[np.float64]
    intrinsic_rate: float  # payment per unit of quality
    intrinsic_share: float  # of the surplus; NaN without one
    reliable: bool  # False if nothing is left to pay quality


def distribute(
    surplus: float, credit: NDArray, quality: NDArray, extrinsic_weight: float
) -> Distribution:
    """Pay both inputs of the production function; without a reliable surplus, only the measured effects."""
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
        reliable=reliable,
    )


@dataclass(frozen=True)
class Sampling:
    """What the validation rows show of the sampling error of values, at any weight.

    A value is a mean over validation rows of ``b e_iv + (y_v - b s_v) q_i / Q``, with y_v the surplus at v
    and s_v the sum of the rows' credit there; the spread over v is the bootstrap's error in its limit of many
    draws. Kernel weights and reliabilities count as known.
    """

    moments: NDArray[np.float64]  # means over v of e_iv^2, e_iv y_v, e_iv s_v and e_iv w_v
    totals: NDArray[np.float64]  # y_v, s_v and w_v; e, y and s include the weight w_v

    def standard_errors(
        self, paid: Distribution, quality: NDArray, extrinsic_weight: float
    ) -> NDArray[np.float64]:
        """Return the standard error of each value over a bootstrap of the validation rows."""
        total = quality.sum()
        part = quality / total if total > 0 else np.full(len(quality), 1 / len(quality))
        part = part if paid.reliable else np.zeros(len(quality))
        value = paid.intrinsic + paid.extrinsic
        # At v the value deviates from its mean by b e_iv + part_i left_v - value_i w_v.
        basis = self.totals @ [[1.0, 0.0], [-extrinsic_weight, 0.0], [0.0, 1.0]]
        (left_left, left_w), (_, w_w) = basis.T @ basis / len(basis)
        with_left = self.moments[:, 1] - extrinsic_weight * self.moments[:, 2]
        variance = (
            extrinsic_weight**2 * self.moments[:, 0]
            + 2 * extrinsic_weight * (part * with_left - value * self.moments[:, 3])
            + part**2 * left_left
            - 2 * part * value * left_w
            + value**2 * w_w
        )
        return np.sqrt(np.maximum(variance, 0.0) / len(self.totals))


@dataclass(frozen=True)
class Findings:
    """Parts of a fitted :class:`EcoVal` that hold at every extrinsic weight, under the same names."""

    labels: NDArray[np.int64]
    quality: NDArray[np.float64]
    label_quality: NDArray[np.float64]
    raw_extrinsic: NDArray[np.float64]
    judged: NDArray[np.float64]
    suggested_labels: NDArray
    label_issues: NDArray[np.bool_]
    sampling: Sampling
    cluster_values: NDArray[np.float64]
    cluster_standard_errors: NDArray[np.float64]
    full_score: float
    prior_score: float
    surplus_standard_error: float
    scoring: str
    task: str
    classes: NDArray | None
    sample_weight: NDArray[np.float64] | None = None

    @property
    def surplus(self) -> float:
        """Y, the utility of the model less that of the prior predictor."""
        return self.full_score - self.prior_score


class Valuation:
    """Values at one extrinsic weight: what a fitted :class:`EcoVal` has, to the last bit, but its models."""

    def __init__(self, findings: Findings, extrinsic_weight: float) -> None:
        self.findings_ = findings
        self.extrinsic_weight = extrinsic_weight
        self.labels_ = findings.labels
        self.quality_, self.label_quality_ = findings.quality, findings.label_quality
        self.raw_extrinsic_, self.judged_ = findings.raw_extrinsic, findings.judged
        self.suggested_labels_, self.label_issues_ = (
            findings.suggested_labels,
            findings.label_issues,
        )
        self.cluster_values_ = findings.cluster_values
        self.cluster_standard_errors_ = findings.cluster_standard_errors
        self.n_clusters_ = len(findings.cluster_values)
        self.full_score_, self.prior_score_ = findings.full_score, findings.prior_score
        self.surplus_ = findings.surplus
        self.surplus_standard_error_ = findings.surplus_standard_error
        self.scoring_, self.task_ = findings.scoring, findings.task
        if findings.classes is not None:
            self.classes_ = findings.classes
        is_known = self.surplus_ > LEAST_SURPLUS
        claimed = float(self.cluster_values_.sum())
        self.returns_to_scale_ = claimed / self.surplus_ if is_known else float("nan")
        self._distribute()

    def _distribute(self) -> None:
        findings, weight = self.findings_, self.extrinsic_weight
        valued = findings.labels >= 0
        quality = findings.quality[valued]
        if findings.sample_weight is not None:
            quality = quality * findings.sample_weight[valued]
        paid = distribute(self.surplus_, findings.raw_extrinsic[valued], quality, weight)
        self.intrinsic_, self.extrinsic_, self.standard_errors_ = np.full((3, len(valued)), np.nan)
        self.intrinsic_[valued], self.extrinsic_[valued] = paid.intrinsic, paid.extrinsic
        errors = findings.sampling.standard_errors(paid, quality, weight)
        self.standard_errors_[valued] = errors
        self.values_ = self.intrinsic_ + self.extrinsic_
        self.intrinsic_rate_ = paid.intrinsic_rate
        self.intrinsic_share_, self.reliable_ = paid.intrinsic_share, paid.reliable

    def reweight(self, extrinsic_weight: float) -> Valuation:
        """Value the same rows with another extrinsic weight, without any refit."""
        return Valuation(self.findings_, extrinsic_weight)


def reliability_warning(ecoval: Any) -> str | None:
    """Warn unless what is left of the surplus to pay for quality exceeds two standard errors."""
    surplus, error = ecoval.surplus_, ecoval.surplus_standard_error_
    claimed = float(np.nansum(ecoval.extrinsic_))
    if surplus - claimed > 2 * error and ecoval.reliable_:
        return None
    template = _NO_SURPLUS if surplus <= 2 * error else _ALL_CLAIMED
    return template.format(surplus=surplus, error=error, claimed=claimed)
