"""What a valuation found, without its data and models: enough to value at any weight, small to keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecoval_core.valuation.propagation import LEAST_SURPLUS, Sampling, distribute


@dataclass(frozen=True)
class Findings:
    """Parts of a fitted :class:`EcoVal` that hold for every extrinsic weight.

    Attributes
    ----------
    labels : ndarray of shape (n_samples,), int
        Cluster of each row; -1 for rows that were set aside for validation.
    quality, label_quality, raw_extrinsic : ndarray of shape (n_samples,)
        As in :class:`EcoVal`; NaN for rows set aside.
    judged : ndarray of shape (n_samples, n_outputs)
        What the judges say of each row.
    suggested_labels : ndarray of shape (n_samples,)
        What they find likeliest.
    sampling : Sampling
        What the validation rows show of the sampling error, over the rows that were valued.
    cluster_values, cluster_standard_errors : ndarray of shape (n_clusters,)
        Leave-cluster-out values.
    full_score, prior_score, surplus_standard_error : float
        The two utilities, and the error of their difference.
    scoring : str
        Per-sample score.
    task : {"classification", "regression"}
        What was predicted.
    classes : ndarray of shape (n_classes,) or None
        Labels; None for regression.
    """

    labels: NDArray[np.int64]
    quality: NDArray[np.float64]
    label_quality: NDArray[np.float64]
    raw_extrinsic: NDArray[np.float64]
    judged: NDArray[np.float64]
    suggested_labels: NDArray
    sampling: Sampling
    cluster_values: NDArray[np.float64]
    cluster_standard_errors: NDArray[np.float64]
    full_score: float
    prior_score: float
    surplus_standard_error: float
    scoring: str
    task: str
    classes: NDArray | None

    @property
    def surplus(self) -> float:
        """Y, the utility of the model less that of the prior predictor."""
        return self.full_score - self.prior_score


class Valuation:
    """Values at one extrinsic weight, with the attributes of a fitted :class:`EcoVal` but its models.

    Parameters
    ----------
    findings : Findings
        What was found.
    extrinsic_weight : float
        b, at least 0.

    Attributes
    ----------
    findings : Findings
        What was found.
    values_, intrinsic_, extrinsic_, standard_errors_, quality_, label_quality_, raw_extrinsic_, judged_, \
suggested_labels_, labels_, cluster_values_, cluster_standard_errors_, n_clusters_, surplus_, \
surplus_standard_error_, full_score_, prior_score_, returns_to_scale_, intrinsic_share_, reliable_, \
scoring_, task_, classes_
        As in :class:`EcoVal`, to the last bit.
    """

    def __init__(self, findings: Findings, extrinsic_weight: float) -> None:
        self.findings = findings
        self.extrinsic_weight = extrinsic_weight
        self.labels_ = findings.labels
        self.quality_, self.label_quality_ = findings.quality, findings.label_quality
        self.raw_extrinsic_, self.judged_ = findings.raw_extrinsic, findings.judged
        self.suggested_labels_ = findings.suggested_labels
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
        found, weight = self.findings, self.extrinsic_weight
        valued = found.labels >= 0
        quality = found.quality[valued]
        paid = distribute(self.surplus_, found.raw_extrinsic[valued], quality, weight)
        self.intrinsic_, self.extrinsic_, self.standard_errors_ = np.full((3, len(valued)), np.nan)
        self.intrinsic_[valued], self.extrinsic_[valued] = paid.intrinsic, paid.extrinsic
        errors = found.sampling.standard_errors(paid, quality, weight)
        self.standard_errors_[valued] = errors
        self.values_ = self.intrinsic_ + self.extrinsic_
        self.intrinsic_rate_ = paid.intrinsic_rate
        self.intrinsic_share_, self.reliable_ = paid.intrinsic_share, paid.reliable

    def reweight(self, extrinsic_weight: float) -> Valuation:
        """Value the same rows with another extrinsic weight, without any refit.

        Parameters
        ----------
        extrinsic_weight : float
            b, at least 0.

        Returns
        -------
        Valuation
            One that shares what was found; this one is unchanged.
        """
        return Valuation(self.findings, extrinsic_weight)


def findings_of(ecoval: Any) -> Findings:
    """Take the findings out of a fitted estimator, or out of a valuation made before.

    Parameters
    ----------
    ecoval : EcoVal or Valuation
        Fitted.

    Returns
    -------
    Findings
        What it found.
    """
    found: Findings = ecoval.findings if isinstance(ecoval, Valuation) else ecoval.findings_
    return found
