"""Acquisition: rows of a second file valued without a refit, and which of them to acquire first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.fitting import single_threaded
from ecoval_core.valuation.propagation import DEFAULT_EXTRINSIC_WEIGHT
from ecoval_core.valuation.scoring import has_probabilities, model_output


def value_new(
    ecoval: EcoVal | CrossValuation, X: ArrayLike, y: ArrayLike, ids: ArrayLike | None = None
) -> pd.DataFrame:
    r"""Value labelled rows of a second file without a refit, and rank them by what to acquire.

    Parameters
    ----------
    ecoval : EcoVal or CrossValuation
        Fitted, with its models.
    X : array-like of shape (n_new, n_features)
        New rows, in the features of the fit.
    y : array-like of shape (n_new,)
        Their labels, seen in training, or amounts.
    ids : array-like of shape (n_new,) or None, default=None
        Their row ids; None numbers them from 0.

    Returns
    -------
    DataFrame
        Indexed by row id, in the order given: columns value, intrinsic, extrinsic (in units of the score),
        cluster (that the row would join), label, label_quality, suggested_label, surprise (1 less the
        probability that the model gives to the label; of amounts the absolute residual), priority (the
        higher, the sooner to acquire) and place (1 for the first).

    Raises
    ------
    ValueError
        If the valuation has no models, the columns differ, or a label was never seen in training.

    Notes
    -----
    The value pays a row its part of what the model can do, for being typical too: it does not say what
    *another* row would add. For labels, the priority is

    .. math:: \frac{n_c}{n_c + k} \; E_i^+ \; q_i \; (1 - p(y_i | x_i))

    where :math:`E_i^+` is the extrinsic value of a row that has some (the others follow, by theirs),
    :math:`q_i` its quality (how credible its label is beside the likeliest one), p what the model gives to
    the label already, and k the number of rows that come first and would join the same cluster of
    :math:`n_c` training rows: the more there are, the less one more can add. For amounts it is the label
    quality times the residual, likewise less for each further row of a cluster: the extrinsic part of an
    amount grows with its error, and alone it ranks outliers first. ``benchmarks/acquisition.py`` measures
    both beside random orders and the extrinsic part alone.
    """
    folds = _folds(ecoval)
    X, y = np.asarray(X), np.asarray(y)
    found = ecoval.value_samples(X, y)
    frame = pd.DataFrame(
        {
            "value": found.value,
            "intrinsic": found.intrinsic,
            "extrinsic": found.extrinsic,
            "cluster": found.cluster,
            "label": y,
            "label_quality": found.label_quality,
            "suggested_label": found.suggested_label,
        },
        index=_index(ids, len(y)),
    )
    output = _mean_output(folds, X)
    if folds[0].task_ == "regression":
        frame["surprise"] = np.abs(y - output[:, 0])
        need = frame["label_quality"].to_numpy() * frame["surprise"].to_numpy()
    else:
        codes = np.searchsorted(folds[0].classes_, y)
        frame["surprise"] = 1 - output[np.arange(len(y)), codes]
        rate = float(np.mean([one.intrinsic_rate_ for one in folds]))
        # Where the surplus pays nobody for quality, the judgement of the label stands in.
        quality = found.intrinsic / rate if rate > 0 else found.label_quality
        extrinsic = found.extrinsic
        if not folds[0].extrinsic_weight:
            # Paid nothing, it still orders the rows.
            paying = ecoval.reweight(DEFAULT_EXTRINSIC_WEIGHT)
            extrinsic = paying.value_samples(X, y).extrinsic
        need = extrinsic * np.where(extrinsic > 0, quality * frame["surprise"].to_numpy(), 1.0)
    return _ranked(frame, need, ecoval)


def rank_unlabelled(
    ecoval: EcoVal | CrossValuation, X: ArrayLike, ids: ArrayLike | None = None
) -> pd.DataFrame:
    """Rank rows without labels by which to label first.

    Parameters
    ----------
    ecoval : EcoVal or CrossValuation
        Fitted, with its models.
    X : array-like of shape (n_new, n_features)
        New rows, in the features of the fit.
    ids : array-like of shape (n_new,) or None, default=None
        Their row ids; None numbers them from 0.

    Returns
    -------
    DataFrame
        Indexed by row id, in the order given: columns suggested_label (the judges' likeliest label, or
        predicted amount), doubt, priority (the higher, the sooner to label) and place (1 for the first).

    Raises
    ------
    ValueError
        If the valuation has no models, or the columns differ.

    Notes
    -----
    Without a label a row has no value. What can be said is where a label would be news. For classes the
    doubt is 1 less the probability of the likeliest label by the pooled judges; for amounts it is how far the
    model and the judges are apart. Values expected over the possible labels were tried and lose to random
    orders; ``benchmarks/acquisition.py`` has the figures.
    """
    folds = _folds(ecoval)
    X = np.asarray(X)
    output = _mean_output(folds, X)
    is_regression = folds[0].task_ == "regression"
    first = output[:, 0] if is_regression else np.repeat(folds[0].classes_[:1], len(X))
    suggested = ecoval.value_samples(X, first).suggested_label
    found = ecoval.value_samples(X, suggested)
    doubt = np.abs(output[:, 0] - suggested) if is_regression else 1 - found.label_quality
    frame = pd.DataFrame(
        {"suggested_label": suggested, "doubt": doubt, "cluster": found.cluster},
        index=_index(ids, len(X)),
    )
    return _ranked(frame, doubt, ecoval).drop(columns="cluster")


def _folds(ecoval: Any) -> list[EcoVal]:
    every = ecoval.estimators_ if isinstance(ecoval, CrossValuation) else [ecoval]
    folds = [one for one in every if isinstance(one, EcoVal)]
    if len(folds) < len(every):
        raise ValueError("These values were read back without their models: value the rows again.")
    return folds


def _index(ids: ArrayLike | None, n_rows: int) -> pd.Index:
    return pd.Index(np.arange(n_rows) if ids is None else np.asarray(ids), name="row_id")


def _mean_output(folds: Sequence[EcoVal], X: NDArray) -> NDArray[np.float64]:
    """Output of the fitted models, the mean over the folds."""
    with single_threaded():
        outputs = [
            model_output(
                one.estimator_, X, getattr(one, "classes_", None),
                proba=has_probabilities(one.estimator_),
            )
            for one in folds
        ]  # fmt: skip
    return np.mean(outputs, axis=0)


def _ranked(frame: pd.DataFrame, need: NDArray, ecoval: EcoVal | CrossValuation) -> pd.DataFrame:
    """Add priority and place: what a row would add, less for each further row of its cluster."""
    sizes = np.bincount(ecoval.labels_[ecoval.labels_ >= 0], minlength=ecoval.n_clusters_)
    cluster = frame["cluster"].to_numpy()
    before = pd.Series(need).groupby(cluster).rank(ascending=False, method="first") - 1
    members = np.maximum(sizes[cluster], 1)
    priority = np.where(need > 0, need * members / (members + before.to_numpy()), need)
    place = np.empty(len(need), dtype=np.int64)
    place[np.argsort(-priority, kind="stable")] = np.arange(1, len(need) + 1)
    return frame.assign(priority=priority, place=place)
