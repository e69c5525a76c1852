"""Label quality: what judges who have not seen a row's label say of it.

Three judges j give every training row class probabilities (a predicted target): its neighbours, the model
of the run out of fold, and a forest out of bag. They are pooled by a Cobb-Douglas function,

    p(c) ~ prod_j p_j(c)^w_j,   q = p(y) / max_c p(c)

with smoothed p_j and elasticities w >= 0 by maximum likelihood of the given labels. Where classes are
balanced, q divides their shares out. For regression the judges' deviations from the training mean are
weighted by least squares of the given targets, and q = exp(-|residual| / (2 * 1.4826 * spread)). None of
this looks at the validation points.

With t_k the mean of p(k) over the rows labelled k (confident learning's thresholds), a label is an issue if

    p(y) < t_y and some k has p(k) > p(y) and p(k) >= t_k

and the likeliest such k is suggested; a target, if its residual exceeds 3.5 of 1.4826 times the median
absolute residual of rows with predictions of that size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize, nnls
from scipy.special import logsumexp, softmax
from sklearn.neighbors import NearestNeighbors

from ecoval_core.models.catalog import single_threaded
from ecoval_core.models.parallel import map_rows
from ecoval_core.valuation.scoring import Scale, residuals

N_CONFIDENCE_FOLDS = 5
JUDGES = ("neighbors", "model", "forest")
# So much of each judge's probability is spread over all classes: no judge is ever certain.
SMOOTHING = 0.02
# Rows that decide on the elasticities; more of them change nothing.
MAX_POOLED_ROWS = 10_000
# Above it, neighbours are sought in a random sample of this size. Measured on 100,000 points of 50 features,
# one core: 73 s exact, 8 s by the sample, 6 s by an approximate index (after 28 s of compilation); the
# planted noise that neighbours alone find is the same within 0.003 of AUC.
MAX_REFERENCE_POINTS = 20_000
# Rows of similar predictions whose residuals a target's is held against, and how many bins of them.
BIN_ROWS, MAX_BINS = 25, 20
# Of a robust deviation, the usual bound for outliers (Iglewicz and Hoaglin, 1993).
OUTLIER = 3.5


def identical_rows(X: NDArray, codes: NDArray) -> NDArray[np.int64]:
    """Return the group of identical features and label that each row belongs to."""
    frame = pd.DataFrame(X).assign(codes=codes)
    return pd.factorize(pd.util.hash_pandas_object(frame, index=False))[0]


def make_folds(groups: NDArray[np.int64], codes: NDArray, scale: Scale, seed: int) -> NDArray:
    """Deal groups of identical rows out to stratified folds; classes may be smaller than their number."""
    _, first = np.unique(groups, return_index=True)
    order = np.random.default_rng(seed).permutation(len(first))
    if scale.task == "classification":
        order = order[np.argsort(codes[first][order], kind="stable")]
    folds = np.empty(len(first), dtype=np.int64)
    folds[order] = np.arange(len(first)) % N_CONFIDENCE_FOLDS
    return folds[groups]


def neighbor_output(neighbor_codes: NDArray, scale: Scale) -> NDArray[np.float64]:
    """Judge by neighbours: the shares of their labels, or the median of their targets."""
    if scale.task == "regression":
        return np.median(neighbor_codes, axis=1)[:, None]
    counts = np.zeros((len(neighbor_codes), scale.n_classes))
    rows = np.arange(len(neighbor_codes))
    for column in neighbor_codes.T:
        counts[rows, column] += 1
    return counts / neighbor_codes.shape[1]


@dataclass(frozen=True)
class Pool:
    """Pools the outputs of judges by their elasticities."""

    scale: Scale
    weights: NDArray[np.float64]  # one for each judge
    spread: float = 1.0  # regression: median absolute residual in deviations

    @classmethod
    def fit(cls, outputs: Sequence[NDArray], codes: NDArray, scale: Scale) -> Pool:
        """Choose the elasticities under which the given labels are likeliest."""
        step = -(-len(codes) // MAX_POOLED_ROWS)
        some, given = [output[::step] for output in outputs], codes[::step]
        if scale.task == "classification":
            return cls(scale, _likeliest_weights(np.array([_log(p) for p in some]), given))
        deviations = np.column_stack([_standardised(p, scale) for p in some])
        weights, _ = nnls(deviations, (given - scale.prior[0]) / scale.deviation)
        pool = cls(scale, weights)
        residual = residuals(pool.output(outputs), codes, scale)
        return cls(scale, weights, float(np.median(np.abs(residual))))

    def output(self, outputs: Sequence[NDArray]) -> NDArray[np.float64]:
        """Pool what the judges say."""
        if self.scale.task == "classification":
            logits = sum(w * _log(p) for w, p in zip(self.weights, outputs, strict=True))
            return softmax(logits, axis=1)
        deviations = np.column_stack([_standardised(p, self.scale) for p in outputs])
        return (self.scale.prior[0] + deviations @ self.weights * self.scale.deviation)[:, None]

    def label_quality(self, pooled: NDArray, codes: NDArray) -> NDArray[np.float64]:
        """Judge given labels by the pooled output."""
        if self.scale.task == "classification":
            return pooled[np.arange(len(codes)), codes]
        distance = np.abs(residuals(pooled, codes, self.scale)[:, 0])
        return np.exp(-distance / (2 * 1.4826 * max(self.spread, 1e-12)))

    def quality(
        self, pooled: NDArray, codes: NDArray, class_weights: NDArray | None = None
    ) -> NDArray[np.float64]:
        """Quality as the production function takes it: relative to the likeliest label."""
        if self.scale.task == "regression":
            return self.label_quality(pooled, codes)
        weighted = pooled if class_weights is None else pooled * class_weights
        highest = weighted.max(axis=1)
        given = weighted[np.arange(len(codes)), codes]
        return np.divide(given, highest, out=np.zeros(len(codes)), where=highest > 0)


@dataclass(frozen=True)
class IssueRule:
    """Which given labels or targets to list as wrong, by the judgement of the rows that it was fitted on."""

    task: str
    thresholds: NDArray[np.float64]  # t_k of each class; for regression, deviations at the sizes
    sizes: NDArray[np.float64]  # regression: predictions, ascending

    @classmethod
    def fit(cls, judged: NDArray, codes: NDArray, task: str) -> IssueRule:
        """Find out what the judges say of rows of each class, or of each size."""
        if task == "classification":
            sums = np.bincount(codes, judged[np.arange(len(codes)), codes], judged.shape[1])
            counts = np.bincount(codes, minlength=judged.shape[1])
            return cls(task, sums / np.maximum(counts, 1), np.empty(0))
        predicted, distance = judged[:, 0], np.abs(codes - judged[:, 0])
        bins = np.array_split(
            np.argsort(predicted, kind="stable"), np.clip(len(codes) // BIN_ROWS, 1, MAX_BINS)
        )
        deviations = 1.4826 * np.array([np.median(distance[rows]) for rows in bins])
        # Where most targets of a size are predicted exactly, not every other one is wrong.
        deviations = np.maximum(deviations, 1.4826 * np.median(distance) / 4)
        return cls(task, deviations, np.array([np.median(predicted[rows]) for rows in bins]))

    def find(self, judged: NDArray, codes: NDArray) -> NDArray[np.bool_]:
        """Mark the labels or targets to list."""
        if self.task == "regression":
            bound = OUTLIER * np.interp(judged[:, 0], self.sizes, self.thresholds)
            return (np.abs(codes - judged[:, 0]) > bound) & (bound > 0)
        given = judged[np.arange(len(codes)), codes]
        return (given < self.thresholds[codes]) & self._likelier(judged, given).any(axis=1)

    def suggest(self, judged: NDArray, codes: NDArray) -> NDArray:
        """Return what the judges find likeliest, for listed labels among the classes that are confident."""
        if self.task == "regression":
            return judged[:, 0]
        given = judged[np.arange(len(codes)), codes]
        confident = np.where(self._likelier(judged, given), judged, -1.0).argmax(axis=1)
        return np.where(self.find(judged, codes), confident, judged.argmax(axis=1))

    def _likelier(self, judged: NDArray, given: NDArray) -> NDArray[np.bool_]:
        return (judged > given[:, None]) & (judged >= self.thresholds)


def _log(probabilities: NDArray) -> NDArray[np.float64]:
    return np.log((1 - SMOOTHING) * probabilities + SMOOTHING / probabilities.shape[1])


def _standardised(predicted: NDArray, scale: Scale) -> NDArray[np.float64]:
    return (predicted[:, 0] - scale.prior[0]) / scale.deviation


def _likeliest_weights(logs: NDArray, codes: NDArray) -> NDArray[np.float64]:
    rows = np.arange(len(codes))

    def loss(weights: NDArray) -> tuple[float, NDArray]:
        logits = np.tensordot(weights, logs, axes=1)
        normaliser = logsumexp(logits, axis=1)
        expected = np.einsum("nc,jnc->jn", np.exp(logits - normaliser[:, None]), logs)
        slope = (expected - logs[:, rows, codes]).mean(axis=1)
        return float((normaliser - logits[rows, codes]).mean()), slope

    start = np.full(len(logs), 1 / len(logs))
    bounds = [(0, None)] * len(logs)
    weights = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    # With labels that no judge can predict, all would fall silent: they then have equal say.
    return weights if weights.any() else start


def mean_of_identical(values: NDArray, identical: NDArray[np.int64]) -> NDArray:
    """Give identical rows the mean of their values."""
    counts = np.bincount(identical)
    if counts.max() == 1:
        return values
    order = np.argsort(identical, kind="stable")
    starts = np.r_[0, np.cumsum(counts)[:-1]]
    sums = np.add.reduceat(values[order], starts, axis=0)
    return (sums.T / counts).T.astype(values.dtype, copy=False)[identical]


def nearest_neighbors(
    X: NDArray, n_neighbors: int, X_new: NDArray | None = None, *, seed: int = 0,
    n_jobs: int | None = None,
) -> NDArray[np.int64]:  # fmt: skip
    """Nearest training points of each training point (itself left out) or of unseen points."""
    n_samples = len(X)
    wanted = max(1, min(n_neighbors, n_samples - (X_new is None)))
    if n_samples <= MAX_REFERENCE_POINTS and X_new is None:
        index = NearestNeighbors(n_neighbors=wanted).fit(X)
        return index.kneighbors(None, return_distance=False)
    rows = np.arange(n_samples)
    if n_samples > MAX_REFERENCE_POINTS:
        rows = np.random.default_rng(seed).permutation(n_samples)[:MAX_REFERENCE_POINTS]
        X, X_new = X.astype(np.float32), None if X_new is None else X_new.astype(np.float32)
    index = NearestNeighbors(n_neighbors=wanted + (X_new is None)).fit(X[rows])

    def search(points: NDArray) -> NDArray[np.int64]:
        with single_threaded():
            return rows[index.kneighbors(points, return_distance=False)]

    if X_new is not None:
        return map_rows(search, X_new, n_jobs)
    nearest = map_rows(search, X, n_jobs)
    itself_last = np.argsort(nearest == np.arange(n_samples)[:, None], axis=1, kind="stable")
    return np.take_along_axis(nearest, itself_last, axis=1)[:, :wanted]
