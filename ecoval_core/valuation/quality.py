"""Intrinsic quality: how well a point's label fits its neighbours and the model.

Neighbours, folds and the judgement itself; none of it looks at the validation points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from ecoval_core.valuation.scoring import Scale, agreement, residuals

N_CONFIDENCE_FOLDS = 5
SUSPECT_SHARE = 0.1
MAX_REFERENCE_POINTS = 20_000


def identical_rows(X: NDArray, codes: NDArray) -> NDArray[np.int64]:
    """Find the groups of rows that are identical in features and label.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Features.
    codes : ndarray of shape (n_samples,)
        Class indices or targets.

    Returns
    -------
    ndarray of shape (n_samples,), int
        Group of each row, in order of first appearance.
    """
    frame = pd.DataFrame(X).assign(codes=codes)
    return pd.factorize(pd.util.hash_pandas_object(frame, index=False))[0]


def make_folds(groups: NDArray[np.int64], codes: NDArray, scale: Scale, seed: int) -> NDArray:
    """Folds for out-of-fold predictions: stratified, identical rows always together.

    Unlike scikit-learn's splitters this takes classes smaller than the number of folds (their members are
    spread out) and groups of thousands of rows without a loop over them.

    Parameters
    ----------
    groups : ndarray of shape (n_samples,), int
        From :func:`identical_rows`.
    codes : ndarray of shape (n_samples,)
        Class indices or targets.
    scale : Scale
        Scale of the training target.
    seed : int
        Seeds the shuffle.

    Returns
    -------
    ndarray of shape (n_samples,), int
        Fold of each row: 0 to at most 4.
    """
    _, first = np.unique(groups, return_index=True)
    order = np.random.default_rng(seed).permutation(len(first))
    if scale.task == "classification":
        order = order[np.argsort(codes[first][order], kind="stable")]
    folds = np.empty(len(first), dtype=np.int64)
    folds[order] = np.arange(len(first)) % N_CONFIDENCE_FOLDS
    return folds[groups]


@dataclass(frozen=True)
class Judge:
    """Judges intrinsic quality: how well labels fit the neighbourhood and the model.

    Attributes
    ----------
    scale : Scale
        Scale of the training target.
    neighbor_spread, model_spread : float
        Regression: median absolute residual of the neighbours' median and of the model, over the training
        points, by which residuals are measured; unused for classification.
    """

    scale: Scale
    neighbor_spread: float = 1.0
    model_spread: float = 1.0

    @classmethod
    def of(cls, neighbor_codes: NDArray, output: NDArray, codes: NDArray, scale: Scale) -> Judge:
        """Judge that measures residuals by those of the training points.

        Parameters
        ----------
        neighbor_codes : ndarray of shape (n_samples, n_neighbors)
            Codes of each training point's neighbours.
        output : ndarray of shape (n_samples, n_outputs)
            Out-of-fold output of the model.
        codes : ndarray of shape (n_samples,)
            Class indices or targets.
        scale : Scale
            Scale of the training target.

        Returns
        -------
        Judge
            The judge.
        """
        if scale.task == "classification":
            return cls(scale)
        expected = np.median(neighbor_codes, axis=1)[:, None]
        return cls(
            scale,
            float(np.median(np.abs(residuals(expected, codes, scale)))),
            float(np.median(np.abs(residuals(output, codes, scale)))),
        )

    def quality(
        self,
        neighbor_codes: NDArray,
        output: NDArray,
        codes: NDArray,
        trusted: NDArray | None = None,
    ) -> NDArray[np.float64]:
        """Intrinsic quality: the Cobb-Douglas of two inputs with equal elasticities.

        Parameters
        ----------
        neighbor_codes : ndarray of shape (n_points, n_neighbors)
            Codes of each point's nearest training points.
        output : ndarray of shape (n_points, n_outputs)
            Output, at each point, of a model that was not fitted on it.
        codes : ndarray of shape (n_points,)
            Given class indices or targets.
        trusted : ndarray of bool of shape (n_points, n_neighbors) or None, default=None
            Neighbours that have a say; all of them where None, or where none is trusted.

        Returns
        -------
        ndarray of shape (n_points,)
            sqrt(coherence * confidence), in [0, 1]. Coherence is the number of neighbours with the same
            label over that of the most frequent label, confidence the probability of the label over that
            of the likeliest: a row that fits as well as any is not worth less for lying in a mixed
            region. For regression both are exp(-|residual| / (2 * 1.4826 * MAD)), of the neighbours'
            median and of the prediction.
        """
        if trusted is None:
            trusted = np.ones(neighbor_codes.shape, dtype=bool)
        trusted = trusted | ~trusted.any(axis=1, keepdims=True)
        confidence = agreement(output, codes, self.scale, self.model_spread)
        if self.scale.task == "classification":
            confidence = confidence / output.max(axis=1)
            coherence = _share_of_mode(neighbor_codes, codes, trusted)
        else:
            expected = np.nanmedian(np.where(trusted, neighbor_codes, np.nan), axis=1)[:, None]
            coherence = agreement(expected, codes, self.scale, self.neighbor_spread)
        return np.sqrt(np.clip(coherence * confidence, 0.0, 1.0))


def _share_of_mode(
    neighbor_codes: NDArray, codes: NDArray, trusted: NDArray
) -> NDArray[np.float64]:
    same = ((neighbor_codes == codes[:, None]) & trusted).sum(axis=1)
    mode = np.zeros(len(codes), dtype=np.int64)
    for column in neighbor_codes.T:
        np.maximum(mode, ((neighbor_codes == column[:, None]) & trusted).sum(axis=1), out=mode)
    return same / mode


def find_suspects(first_look: NDArray, groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Find the rows whose label neither neighbours nor model support; they do not judge the others.

    Parameters
    ----------
    first_look : ndarray of shape (n_samples,)
        A first estimate of quality.
    groups : ndarray of shape (n_samples,), int
        Class or target bin of each row, 0 to n_groups - 1.

    Returns
    -------
    ndarray of bool of shape (n_samples,)
        The lowest tenth (with all that tie), but in no group more than the lower half, so that a rare
        class is not silenced.
    """
    frame = pd.Series(first_look)
    half = frame.groupby(groups).transform("median").to_numpy()
    return (first_look <= np.quantile(first_look, SUSPECT_SHARE)) & (first_look < half)


def nearest_neighbors(
    X: NDArray, n_neighbors: int, X_new: NDArray | None = None, *, seed: int = 0
) -> NDArray[np.int64]:
    """Nearest training points of each training point (itself left out) or of unseen points.

    Above 20,000 training points, the neighbours are sought in a random reference sample of that size.
    Measured on 100,000 points of 50 features, one core: 73 s exact, 8 s by the sample, 6 s by an
    approximate index (NN-descent, after 28 s of compilation); the planted noise that coherence alone finds
    is the same within 0.003 of AUC between sample and index. The sample needs no compiler and gives
    the same bits each time.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Training points, standardised.
    n_neighbors : int
        Neighbours wanted; held to those there are.
    X_new : ndarray of shape (n_new, n_features) or None, default=None
        Unseen points.
    seed : int, default=0
        Seeds the reference sample.

    Returns
    -------
    ndarray of shape (n, n_neighbors), int
        Row positions in `X`, nearest first.
    """
    n_samples = len(X)
    wanted = max(1, min(n_neighbors, n_samples - (X_new is None)))
    if n_samples <= MAX_REFERENCE_POINTS:
        index = NearestNeighbors(n_neighbors=wanted).fit(X)
        return index.kneighbors(X_new, return_distance=False)
    sample = np.random.default_rng(seed).permutation(n_samples)[:MAX_REFERENCE_POINTS]
    index = NearestNeighbors(n_neighbors=wanted + 1).fit(X[sample].astype(np.float32))
    points = (X if X_new is None else X_new).astype(np.float32)
    found = sample[index.kneighbors(points, return_distance=False)]
    if X_new is not None:
        return found[:, :wanted]
    itself_last = np.argsort(found == np.arange(n_samples)[:, None], axis=1, kind="stable")
    return np.take_along_axis(found, itself_last, axis=1)[:, :wanted]
