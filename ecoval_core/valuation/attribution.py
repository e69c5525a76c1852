"""Both stages in order: from a problem to each point's credit and quality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from ecoval_core.valuation.clustering import (
    Clustering,
    auto_n_clusters,
    cluster_groups,
    nearest_cluster,
    target_bins,
)
from ecoval_core.valuation.fitting import MAX_FIT_SAMPLES, single_threaded
from ecoval_core.valuation.forest import Forest
from ecoval_core.valuation.kernels import Points, make_kernels
from ecoval_core.valuation.parallel import Monitor
from ecoval_core.valuation.planning import count_fits
from ecoval_core.valuation.propagation import (
    Cluster,
    Credit,
    Weighting,
    credit_joining,
    credit_members,
    fit_kernel_weights,
)
from ecoval_core.valuation.quality import (
    Pool,
    identical_rows,
    make_folds,
    mean_of_identical,
    nearest_neighbors,
    neighbor_output,
)
from ecoval_core.valuation.refitting import (
    Problem,
    Refits,
    leave_clusters_out,
    out_of_fold_output,
    sample_by_cluster,
)
from ecoval_core.valuation.scoring import prior_scores, residuals
from ecoval_core.valuation.targets import target_groups


class Joined(NamedTuple):
    """What unseen points would bring, and what the judges say of their labels.

    Attributes
    ----------
    credit, quality, label_quality : ndarray of shape (n_new,)
        E, q and the pooled judgement of the label.
    judged : ndarray of shape (n_new, n_outputs)
        Pooled probabilities or predicted targets.
    cluster : ndarray of shape (n_new,)
        Cluster that each joins.
    """

    credit: NDArray[np.float64]
    quality: NDArray[np.float64]
    label_quality: NDArray[np.float64]
    judged: NDArray[np.float64]
    cluster: NDArray[np.int64]


@dataclass(frozen=True)
class Attribution:
    """Everything the two stages found; no weight has been chosen yet.

    Attributes
    ----------
    problem : Problem
        Model and data.
    clustering : Clustering
        Clusters of the training points, in standardised features.
    refits : Refits
        Effects and outputs of the leave-cluster-out fits.
    scaler : StandardScaler
        Standardises features for distances.
    edges : ndarray or None
        Inner edges of the target bins; None for classification.
    errors : ndarray of shape (K,)
        Standard errors of the clusters' values over the validation rows.
    weighting : Weighting
        The kernels and their fitted weights.
    credit : Credit
        E_i, what each point caused of its cluster's value.
    forest : Forest
        The judging forest.
    pool : Pool
        The judges' fitted elasticities.
    judged : ndarray of shape (n_samples, n_outputs)
        What the judges together say of each training point.
    quality, label_quality : ndarray of shape (n_samples,)
        q_i and the pooled judgement of the given label, in [0, 1].
    n_neighbors : int
        Neighbours that judge.
    seed : int
        Seed that all of this was made with.
    """

    problem: Problem
    clustering: Clustering
    refits: Refits
    scaler: StandardScaler
    edges: NDArray[np.float64] | None
    errors: NDArray[np.float64]
    weighting: Weighting
    credit: Credit
    forest: Forest
    pool: Pool
    judged: NDArray[np.float64]
    quality: NDArray[np.float64]
    label_quality: NDArray[np.float64]
    n_neighbors: int
    seed: int

    def assign_clusters(self, X: NDArray, codes: NDArray) -> NDArray[np.int64]:
        """Cluster that each unseen point would join.

        Parameters
        ----------
        X : ndarray of shape (n_new, n_features)
            Unseen points.
        codes : ndarray of shape (n_new,)
            Class indices or targets.

        Returns
        -------
        ndarray of shape (n_new,), int
            Clusters.
        """
        Z = self.scaler.transform(X)
        return nearest_cluster(self.clustering, Z, target_groups(codes, self.edges))

    def join(self, X: NDArray, codes: NDArray) -> Joined:
        """Credit and quality of unseen points, each as if it alone joined the data.

        Nothing is refitted. The point's own residual is that under the model without the cluster, as for
        the members; where those models were too large to keep, under f_D, which never saw the point
        either but ranks effects less well.

        Parameters
        ----------
        X : ndarray of shape (n_new, n_features)
            Unseen points.
        codes : ndarray of shape (n_new,)
            Class indices or targets.

        Returns
        -------
        Joined
            Credit, quality, cluster.
        """
        problem = self.problem
        Z_train, Z = self.scaler.transform(problem.X), self.scaler.transform(X)
        cluster = self.assign_clusters(X, codes)
        found = _gather(problem, self.clustering, self.refits)
        own = np.empty((len(X), found[0].own.shape[1]))
        with single_threaded():
            for c in np.unique(cluster):
                new = np.flatnonzero(cluster == c)
                output = problem.output(self.refits.without(c), X[new])
                own[new] = residuals(output, codes[new], problem.scale)
            points = Points(Z, codes, own)
            credit = credit_joining(points, cluster, found, self.weighting, self.credit)
            neighbors = nearest_neighbors(Z_train, self.n_neighbors, Z, seed=self.seed)
            judged = self.pool.output(
                [
                    neighbor_output(problem.codes[neighbors], problem.scale),
                    problem.output(self.refits.estimator, X),
                    self.forest.output(Z),
                ]
            )
        return Joined(
            credit,
            self.pool.quality(judged, codes, problem.class_weights),
            self.pool.label_quality(judged, codes),
            judged,
            cluster,
        )


def attribute(
    problem: Problem,
    *,
    n_clusters: int | str = "auto",
    n_neighbors: int = 10,
    max_fit_samples: int | None = MAX_FIT_SAMPLES,
    n_jobs: int | None = None,
    seed: int = 0,
    monitor: Monitor | None = None,
) -> Attribution:
    """Value clusters by leaving each out, credit their members, and judge quality.

    Parameters
    ----------
    problem : Problem
        Model and data.
    n_clusters, n_neighbors, max_fit_samples, n_jobs
        As in :class:`EcoVal`.
    seed : int, default=0
        Seeds clusters, folds, the judging forest and the fitted sample.
    monitor : Monitor or None, default=None
        Takes a step after each of the K + 6 fits.

    Returns
    -------
    Attribution
        Credit and quality of every training point, and what they came from.

    Raises
    ------
    RefitError
        If the model cannot be fitted without some cluster.
    Cancelled
        If the caller asked to stop.
    """
    with single_threaded():
        n_samples = len(problem.X)
        scaler = StandardScaler().fit(problem.X)
        Z = scaler.transform(problem.X)
        edges = None if problem.classes is not None else target_bins(problem.codes)
        n_clusters = auto_n_clusters(n_samples) if n_clusters == "auto" else int(n_clusters)
        groups = target_groups(problem.codes, edges)
        clustering = cluster_groups(Z, groups, n_clusters, seed)
        rows = sample_by_cluster(clustering.labels, max_fit_samples or n_samples, seed)
        monitor = monitor or Monitor()
        monitor.total = count_fits(clustering.n_clusters)
        refits = leave_clusters_out(
            problem, clustering.labels, rows=rows, n_jobs=n_jobs, monitor=monitor
        )
        identical = identical_rows(problem.X, problem.codes)
        folds = make_folds(identical, problem.codes, problem.scale, seed)
        out_of_fold = out_of_fold_output(problem, folds, rows=rows, n_jobs=n_jobs, monitor=monitor)
        forest = Forest(Z, problem.codes, problem.scale, rows, seed, n_jobs)
        neighbors = nearest_neighbors(Z, n_neighbors, seed=seed)
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
        clusters = _gather(problem, clustering, refits)
        Z_val = scaler.transform(problem.X_val)
        kernels = make_kernels(Z, problem.codes, Z_val, problem.codes_val, forest, identical)
        weighting = fit_kernel_weights(clusters, kernels, problem.row_weights)
        errors = _standard_errors(refits.effects, problem.row_weights)
        prior = prior_scores(problem.codes_val, problem.scoring, problem.scale)
        surplus = (refits.scores_full - prior) * problem.row_weights
        credit = credit_members(clusters, weighting, errors, surplus)
    return Attribution(
        problem=problem,
        clustering=clustering,
        refits=refits,
        scaler=scaler,
        edges=edges,
        errors=errors,
        weighting=weighting,
        credit=credit,
        forest=forest,
        pool=pool,
        judged=judged,
        quality=pool.quality(judged, problem.codes, problem.class_weights),
        label_quality=pool.label_quality(judged, problem.codes),
        n_neighbors=n_neighbors,
        seed=seed,
    )


def _gather(problem: Problem, clustering: Clustering, refits: Refits) -> list[Cluster]:
    own = residuals(refits.output_own, problem.codes, problem.scale)
    by_cluster = np.argsort(clustering.labels, kind="stable")
    ends = np.cumsum(np.bincount(clustering.labels))
    return [
        Cluster(
            rows,
            own[rows],
            refits.output_val[c],
            problem.codes_val,
            problem.scale,
            refits.effects[c] * problem.row_weights,
        )
        for c, rows in enumerate(np.split(by_cluster, ends[:-1]))
    ]


def _standard_errors(effects: NDArray, row_weights: NDArray) -> NDArray[np.float64]:
    """Return the standard error of each cluster's mean effect over the validation rows."""
    weighted = effects * row_weights
    spread = weighted - weighted.mean(axis=1, keepdims=True) * row_weights
    return np.sqrt((spread**2).mean(axis=1) / effects.shape[1])
