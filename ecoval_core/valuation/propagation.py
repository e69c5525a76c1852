"""Stage 2: from the value of a cluster to the values of its members.

This is a formulation of our own, as the paper's exact formulas are not public. The credit of row i in cluster
c is what the kernels predict of it, corrected towards what was measured:

    E_i = s_i + rho_c (Phi_c - sum_(j in c) s_j) / |c|,   rho_c = tau^2 / (tau^2 + se_c^2)

with s_i = mean_v s_i(v) (see kernels.py), se_c the standard error of Phi_c over the validation rows and tau^2
the mean squared difference between measured and predicted values beyond those errors: passed on in full
(rho = 1), differences within the noise cost accuracy. Where leaving out a row alone takes no refit either,
and was measured to help (logistic regression), s_i = (1 - w) mean_v s_i(v) + w Phi_i, with its own effect
Phi_i and w = OWN_EFFECT_WEIGHT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.utils import Bunch

from ecoval_core.models.catalog import single_threaded
from ecoval_core.models.inputs import Representation, is_frame
from ecoval_core.models.leave_out import prefers_fine_clusters
from ecoval_core.models.parallel import Monitor
from ecoval_core.valuation.clustering import (
    Clustering,
    auto_n_clusters,
    cluster_groups,
    nearest_cluster,
    target_bins,
    target_groups,
)
from ecoval_core.valuation.kernels import (
    BLOCK_PAIRS,
    Forest,
    Kernel,
    LeftOut,
    Points,
    Predictions,
    make_kernels,
)
from ecoval_core.valuation.planning import count_fits
from ecoval_core.valuation.problem import Problem, columns_for_errors, sample_by_cluster
from ecoval_core.valuation.quality import (
    IssueRule,
    Pool,
    identical_rows,
    make_folds,
    mean_of_identical,
    nearest_neighbors,
    neighbor_output,
)
from ecoval_core.valuation.record import Findings, Sampling
from ecoval_core.valuation.refitting import (
    Refits,
    fit_full,
    leave_clusters_out,
    leave_rows_out,
    leaves_rows_out,
    out_of_fold_output,
)
from ecoval_core.valuation.scoring import decode, prior_scores, residuals

# Share of a row's own effect in s_i. All of it (w = 1) would hand on the noise of single rows.
OWN_EFFECT_WEIGHT = 0.6


def fit_kernel_weights(predictions: Sequence[Predictions], effects: NDArray) -> NDArray[np.float64]:
    """Explain every Delta_c(v) by the sums of the members' kernels: non-negative least squares."""
    sums = [kernel.sums.ravel() for kernel in predictions]
    products = np.array([[one @ other for other in sums] for one in sums])
    targets = np.array([one @ effects.ravel() for one in sums])
    scale = np.sqrt(np.diag(products))
    scale = np.where(scale > 0, scale, 1.0)
    # The ridge is below anything measurable; it keeps columns that coincide solvable.
    scaled = products / np.outer(scale, scale) + 1e-10 * np.eye(len(scale))
    root = np.linalg.cholesky(scaled)
    solution, _ = nnls(root.T, np.linalg.solve(root, targets / scale))
    return solution / scale


@dataclass(frozen=True)
class Credit:
    """Measured effects credited to the rows."""

    extrinsic: NDArray[np.float64]  # E_i, before the extrinsic weight
    predicted: NDArray[np.float64]  # sum of s_i over each cluster
    reliability: NDArray[np.float64]  # rho_c in [0, 1]
    sampling: Sampling


def credit_members(
    left: LeftOut, predictions: Sequence[Predictions], weights: NDArray, errors: NDArray,
    surplus: NDArray, columns: NDArray[np.int64],
) -> Credit:  # fmt: skip
    """Predict what every row contributes and correct it towards what was measured of its cluster."""
    sums = sum(w * kernel.sums for w, kernel in zip(weights, predictions, strict=True))
    predicted, measured = sums.mean(axis=1), left.effects.mean(axis=1)
    # The part of each difference that is signal.
    signal = max(0.0, float((measured - predicted).var() - (errors**2).mean()))
    spread = signal + errors**2
    reliability = np.divide(signal, spread, out=np.ones(len(errors)), where=spread > 0)
    share = left.share_out(reliability)
    extrinsic = sum(w * kernel.means for w, kernel in zip(weights, predictions, strict=True))
    extrinsic = extrinsic + share * (measured - predicted)[left.labels]
    differences = left.effects[:, columns] - sums[:, columns]
    claimed = sums[:, columns].sum(axis=0) + reliability @ differences
    totals = np.column_stack([surplus[columns], claimed, left.row_weights[columns]])
    # Moments at some validation rows are scaled to what all of them would have.
    totals *= np.sqrt(len(columns) / len(surplus))
    moments = np.empty((len(extrinsic), 1 + totals.shape[1]))
    step = max(1, BLOCK_PAIRS // len(columns))
    for start in range(0, len(moments), step):
        rows = slice(start, start + step)
        labels = left.labels[rows]
        credit = share[rows, None] * differences[labels]
        for weight, kernel in zip(weights, predictions, strict=True):
            credit += weight * kernel.some[rows]
        credit *= np.sqrt(len(columns) / len(surplus))
        moments[rows, 0] = (credit**2).mean(axis=1)
        moments[rows, 1:] = credit @ totals / len(totals)
    return Credit(extrinsic, predicted, reliability, Sampling(moments, totals))


def credit_joining(
    new: Points, joined: NDArray[np.int64], left: LeftOut, kernels: Sequence[Kernel],
    weights: NDArray, credit: Credit,
) -> NDArray[np.float64]:  # fmt: skip
    """Credit unseen points, each as if it alone joined its cluster and shared in its correction."""
    extrinsic = np.empty(len(joined))
    measured, sizes = left.effects.mean(axis=1), left.sizes
    n_val = left.effects.shape[1]
    # By cluster, but many clusters at once: a kernel may have to sort all training rows for each call.
    by_cluster = np.argsort(joined, kind="stable")
    step = max(1, BLOCK_PAIRS // n_val)
    for start in range(0, len(joined), step):
        block = by_cluster[start : start + step]
        part, cluster = new.take(block), joined[block]
        agreement = np.empty((len(block), n_val))
        for c in np.unique(cluster):
            agreement[cluster == c] = part.residuals[cluster == c] @ left.residuals_val(c).T
        pairs = np.zeros_like(agreement)
        for weight, kernel in zip(weights, kernels, strict=True):
            if weight:
                pairs += weight * kernel.of_new(part, agreement)
        own = (pairs * left.row_weights).mean(axis=1)
        difference = measured[cluster] - credit.predicted[cluster] - own
        extrinsic[block] = own + credit.reliability[cluster] * difference / (sizes[cluster] + 1)
    return extrinsic


@dataclass(frozen=True)
class Attribution:
    """Everything that both stages compute; no extrinsic weight has been chosen yet."""

    problem: Problem
    clustering: Clustering
    refits: Refits
    representation: Representation  # of rows, for distances
    Z: NDArray  # the training rows in it
    edges: NDArray[np.float64] | None  # inner, of the target bins; None for classification
    errors: NDArray[np.float64]  # se_c
    kernels: Sequence[Kernel]
    kernel_weights: NDArray[np.float64]  # beta >= 0, fitted to the measured effects
    credit: Credit
    forest: Forest
    pool: Pool
    judged: NDArray[np.float64]
    issue_rule: IssueRule
    quality: NDArray[np.float64]
    label_quality: NDArray[np.float64]
    n_neighbors: int
    seed: int

    def assign_clusters(self, Z: NDArray, codes: NDArray) -> NDArray[np.int64]:
        """Cluster that each unseen point would join, by its representation."""
        return nearest_cluster(self.clustering, Z, target_groups(codes, self.edges))

    def value_samples(
        self, X: Any, Z: NDArray, codes: NDArray, intrinsic_rate: float, extrinsic_weight: float
    ) -> Bunch:
        """Value unseen points, each as if it alone joined the data."""
        problem = self.problem
        cluster = self.assign_clusters(Z, codes)
        left = _left_out(problem, self.clustering, self.refits)
        with single_threaded():
            output = self.refits.output_without(problem, self.clustering.labels, cluster, X)
            points = Points(Z, codes, residuals(output, codes, problem.scale))
            credit = credit_joining(
                points, cluster, left, self.kernels, self.kernel_weights, self.credit
            )
            neighbors = nearest_neighbors(self.Z, self.n_neighbors, Z, seed=self.seed)
            opinions = [
                neighbor_output(problem.codes[neighbors], problem.scale),
                problem.output(self.refits.estimator, X),
                self.forest.output(Z),
            ]
            judged = self.pool.output(opinions)
        intrinsic = intrinsic_rate * self.pool.quality(judged, codes, problem.class_weights)
        extrinsic = extrinsic_weight * credit
        return Bunch(
            value=intrinsic + extrinsic,
            intrinsic=intrinsic,
            extrinsic=extrinsic,
            label_quality=self.pool.label_quality(judged, codes),
            label_issue=self.issue_rule.find(judged, codes),
            suggested_label=decode(self.issue_rule.suggest(judged, codes), problem.classes),
            cluster=cluster,
        )

    def findings(self, y: NDArray, rows: NDArray[np.int64]) -> Findings:
        """Summarise what was found of some rows of `y`; the others have NaN, or -1 and False."""

        def spread(of_rows: NDArray, missing: Any = np.nan) -> NDArray:
            of_all = np.full((len(y), *of_rows.shape[1:]), missing, dtype=of_rows.dtype)
            of_all[rows] = of_rows
            return of_all

        problem, refits = self.problem, self.refits
        prior = prior_scores(problem.codes_val, problem.scoring, problem.scale)
        full_score = float((refits.scores_full * problem.row_weights).mean())
        prior_score = float((prior * problem.row_weights).mean())
        deviation = refits.scores_full - prior - (full_score - prior_score)
        deviation *= problem.row_weights
        suggested = np.array(y)
        likeliest = self.issue_rule.suggest(self.judged, problem.codes)
        suggested[rows] = decode(likeliest, problem.classes)
        weights = problem.relative_weight
        return Findings(
            labels=spread(self.clustering.labels, -1),
            quality=spread(self.quality),
            label_quality=spread(self.label_quality),
            raw_extrinsic=spread(self.credit.extrinsic),
            judged=spread(self.judged),
            suggested_labels=suggested,
            label_issues=spread(self.issue_rule.find(self.judged, problem.codes), False),
            sampling=self.credit.sampling,
            cluster_values=(refits.effects * problem.row_weights).mean(axis=1),
            cluster_standard_errors=self.errors,
            full_score=full_score,
            prior_score=prior_score,
            surplus_standard_error=float(np.sqrt((deviation**2).mean() / len(prior))),
            scoring=problem.scoring,
            task=problem.scale.task,
            classes=problem.classes,
            sample_weight=None if weights is None else spread(weights),
        )


def attribute(
    problem: Problem,
    representation: Representation,
    Z: NDArray,
    Z_val: NDArray,
    *,
    n_clusters: int | str,
    n_neighbors: int,
    max_fit_samples: int | None,
    n_jobs: int | None,
    seed: int,
    monitor: Monitor,
) -> Attribution:
    """Value clusters by leaving each out, credit their members, and judge quality, in K + 6 fits."""
    with single_threaded():
        n_samples = len(Z)
        edges = None if problem.classes is not None else target_bins(problem.codes)
        groups = target_groups(problem.codes, edges)
        monitor.check()
        # Sparse matrices and texts have no short way.
        is_matrix = isinstance(problem.X, np.ndarray) or is_frame(problem.X)
        is_fine = is_matrix and prefers_fine_clusters(
            problem.estimator, Z.shape[1], problem.scale.n_classes,
            is_weighted=problem.class_weights is not None,
        )  # fmt: skip
        most_fitted = max_fit_samples or n_samples
        while True:
            auto = auto_n_clusters(n_samples, is_fine=is_fine)
            k = auto if n_clusters == "auto" else int(n_clusters)
            clustering = cluster_groups(Z, groups, k, seed)
            rows = sample_by_cluster(clustering.labels, most_fitted, seed)
            if problem.sample_weight is not None:
                rows = rows[problem.sample_weight[rows] > 0]
            fitted = fit_full(problem, rows)
            if n_clusters != "auto" or not is_fine or fitted[1] is not None:
                break
            # A fit that did not end, say, has no short way after all: refits want fewer clusters.
            is_fine = False
        monitor.total = count_fits(clustering.n_clusters)
        refits = leave_clusters_out(
            problem, clustering.labels, rows=rows, n_jobs=n_jobs, monitor=monitor, fitted=fitted
        )
        identical = identical_rows(Z, problem.codes)
        folds = make_folds(identical, problem.codes, problem.scale, seed)
        out_of_fold = out_of_fold_output(problem, folds, rows=rows, n_jobs=n_jobs, monitor=monitor)
        forest = Forest(Z, problem.codes, problem.scale, rows, seed, n_jobs)
        neighbors = nearest_neighbors(Z, n_neighbors, seed=seed, n_jobs=n_jobs)
        opinions = [
            neighbor_output(problem.codes[neighbors], problem.scale),
            out_of_fold,
            forest.out_of_bag,
        ]
        # Neighbours at equal distance come in no particular order, and a tree may have seen a row's
        # twin: identical rows share a judgement.
        opinions = [mean_of_identical(output, identical) for output in opinions]
        pool = Pool.fit(opinions, problem.codes, problem.scale)
        judged = pool.output(opinions)
        left = _left_out(problem, clustering, refits)
        kernels = make_kernels(Z, problem.codes, Z_val, problem.codes_val, forest, identical)
        columns = columns_for_errors(len(Z), len(Z_val), seed)
        predictions = [kernel.predict(left, columns) for kernel in kernels]
        weights = kernel_weights = fit_kernel_weights(predictions, left.effects)
        are_alone = leaves_rows_out(n_samples, problem.scale.n_classes, problem.scoring)
        if is_fine and fitted[1] is not None and are_alone and n_samples <= most_fitted:
            own = leave_rows_out(
                problem, fitted[1], refits, clustering.labels, identical, columns=columns,
                n_jobs=n_jobs, monitor=Monitor(should_stop=monitor.should_stop),
            )  # fmt: skip
            predictions.append(own)
            weights = np.append((1 - OWN_EFFECT_WEIGHT) * weights, OWN_EFFECT_WEIGHT)
        errors = refits.standard_errors(problem.row_weights)
        prior = prior_scores(problem.codes_val, problem.scoring, problem.scale)
        surplus = (refits.scores_full - prior) * problem.row_weights
        credit = credit_members(left, predictions, weights, errors, surplus, columns)
    return Attribution(
        problem=problem, clustering=clustering, refits=refits, edges=edges,
        representation=representation, Z=Z,
        errors=errors, kernels=kernels, kernel_weights=kernel_weights, credit=credit, forest=forest,
        pool=pool, judged=judged,
        issue_rule=IssueRule.fit(judged, problem.codes, problem.scale.task),
        quality=pool.quality(judged, problem.codes, problem.class_weights),
        label_quality=pool.label_quality(judged, problem.codes), n_neighbors=n_neighbors, seed=seed,
    )  # fmt: skip


def _left_out(problem: Problem, clustering: Clustering, refits: Refits) -> LeftOut:
    return LeftOut(
        labels=clustering.labels,
        own=residuals(refits.output_own, problem.codes, problem.scale),
        output_val=refits.output_val,
        effects=refits.effects * problem.row_weights,
        codes_val=problem.codes_val,
        row_weights=problem.row_weights,
        scale=problem.scale,
        sample_weight=problem.relative_weight,
    )
