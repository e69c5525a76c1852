"""Several valuations of the same rows: each fold in turn as the validation set, or several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, check_cv
from sklearn.utils import Bunch, check_consistent_length, check_random_state

from ecoval_core.models.inputs import Rows, as_rows, check_weights
from ecoval_core.models.parallel import Monitor, Progress, ShouldStop
from ecoval_core.target_type import resolve_task
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.valuation.record import LEAST_SURPLUS

N_VALIDATION_FOLDS = 5


class CrossValuation:
    """Values of every row, averaged over folds, with the attributes of a fitted :class:`EcoVal`.

    A row brings nothing to the fold in which it validates, so that the values sum to the mean surplus; its
    qualities and judgements are means over the folds that valued it, and it is a label issue if more than
    half of them list it. A row that no fold valued has NaN, or -1 and False, throughout. Standard errors are
    over a bootstrap of the validation sets, which share no row. Clusters and their values are those of the
    first fold, where the rows that validated join the nearest centre of their label. `fold_` is the fold in
    which each row validated, -1 for a row that never did, and `trained_` the rows that each of the
    `estimators_` valued.
    """

    def __init__(
        self, estimators: Sequence[Any], trained: Sequence[NDArray], fold: NDArray, labels: NDArray
    ) -> None:
        # Each an EcoVal, or a Valuation: one without models.
        self.estimators_, self.trained_ = list(estimators), list(trained)
        self.fold_, self.labels_ = fold, labels
        first = self.estimators_[0]
        self.scoring_, self.task_ = first.scoring_, first.task_
        self.n_clusters_, self.cluster_values_ = first.n_clusters_, first.cluster_values_
        self.cluster_standard_errors_ = first.cluster_standard_errors_
        n_folds = len(self.estimators_)
        self._n_valued = np.zeros(len(fold))
        for rows in self.trained_:
            self._n_valued[rows] += 1
        self.intrinsic_ = self._sum("intrinsic_") / n_folds
        self.extrinsic_ = self._sum("extrinsic_") / n_folds
        self.raw_extrinsic_ = self._sum("raw_extrinsic_") / n_folds
        self.values_ = self.intrinsic_ + self.extrinsic_
        self.standard_errors_ = np.sqrt(self._sum("standard_errors_", power=2)) / n_folds
        self.quality_ = self._mean("quality_")
        self.label_quality_ = self._mean("label_quality_")
        self.judged_ = self._mean("judged_")
        self.label_issues_ = self._sum("label_issues_") > self._n_valued / 2
        self.suggested_labels_ = self._suggest(getattr(first, "classes_", None))
        self.surplus_, self.full_score_, self.prior_score_ = (
            float(np.mean([getattr(one, name) for one in self.estimators_]))
            for name in ("surplus_", "full_score_", "prior_score_")
        )
        errors = [one.surplus_standard_error_ for one in self.estimators_]
        self.surplus_standard_error_ = float(np.sqrt(np.sum(np.square(errors))) / n_folds)
        known = self.surplus_ > LEAST_SURPLUS
        claimed = float(np.mean([one.cluster_values_.sum() for one in self.estimators_]))
        self.intrinsic_share_, self.returns_to_scale_ = (
            amount / self.surplus_ if known else float("nan")
            for amount in (float(np.nansum(self.intrinsic_)), claimed)
        )
        self.reliable_ = all(one.reliable_ for one in self.estimators_)

    def _sum(self, name: str, power: int = 1) -> NDArray[np.float64]:
        shape = getattr(self.estimators_[0], name).shape[1:]
        total = np.zeros((len(self.fold_), *shape))
        for one, rows in zip(self.estimators_, self.trained_, strict=True):
            total[rows] += getattr(one, name) ** power
        total[self._n_valued == 0] = np.nan
        return total

    def _mean(self, name: str) -> NDArray[np.float64]:
        return (self._sum(name).T / np.maximum(self._n_valued, 1)).T

    def _suggest(self, classes: NDArray | None) -> NDArray:
        """Suggest the likeliest label; for issues, that of the first fold that lists the row."""
        if classes is None:
            return self.judged_[:, 0]
        suggested = classes[self.judged_.argmax(axis=1)]
        for one, rows in zip(self.estimators_[::-1], self.trained_[::-1], strict=True):
            listed = self.label_issues_[rows] & one.label_issues_
            suggested[rows[listed]] = one.suggested_labels_[listed]
        if not self._n_valued.all():
            suggested = suggested.astype(object)
            suggested[self._n_valued == 0] = np.nan
        return suggested

    def forget_models(self) -> None:
        """Free the models without each cluster of every fold; see :meth:`EcoVal.forget_models`."""
        for one in self.estimators_:
            one.forget_models()

    def value_samples(self, X: Any, y: ArrayLike, representation: Any = None) -> Bunch:
        """Value unseen points without a refit: means over the folds, clusters and labels of the first."""
        valued = [one.value_samples(X, y, representation) for one in self.estimators_]
        means = {
            name: np.mean([one[name] for one in valued], axis=0)
            for name in ("value", "intrinsic", "extrinsic", "label_quality", "label_issue")
        }
        return Bunch(**valued[0] | means | {"label_issue": means["label_issue"] > 0.5})

    def reweight(self, extrinsic_weight: float) -> CrossValuation:
        """Value the same rows with another extrinsic weight, sharing the fits."""
        reweighted = [one.reweight(extrinsic_weight) for one in self.estimators_]
        return CrossValuation(reweighted, self.trained_, self.fold_, self.labels_)


def cross_value(
    ecoval: EcoVal,
    X: Any,
    y: Any,
    cv: Any = N_VALIDATION_FOLDS,
    *,
    groups: Any = None,
    sample_weight: Any = None,
    representation: Any = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> CrossValuation:
    """Value every row: each fold in turn is the validation set, and values are averaged.

    Parameters
    ----------
    ecoval : EcoVal
        Its parameters are used; it is not fitted itself.
    X, y : as :meth:`EcoVal.fit` takes them
        Rows, and their labels or targets.
    cv : int, cross-validation generator or iterable, default=5
        As in scikit-learn. An int is stratified and shuffled by the random state, and takes classes
        smaller than the number of folds; with `groups` it is a ``StratifiedGroupKFold``, for amounts a
        ``GroupKFold``. A row whose label no row of the other folds has does not validate, since no model
        could know it; a row that no fold trained on has NaN.
    groups : array-like of shape (n_samples,) or None, default=None
        Rows that belong together, such as those of a patient: a splitter by groups puts them on one side.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the rows, fitted or validating.
    representation : array-like of shape (n_samples, n_numbers) or None, default=None
        As in :meth:`EcoVal.fit`.
    progress, should_stop : callable or None
        As in :meth:`EcoVal.fit`, over the fits of all folds.

    Returns
    -------
    CrossValuation
        With the attributes of a fitted :class:`EcoVal`.

    Raises
    ------
    ValueError, RefitError, Cancelled
        As :meth:`EcoVal.fit` does; ValueError too if `cv` is an int below 2 or above the number of rows.
    """
    if not isinstance(ecoval, EcoVal):
        name = ecoval.__name__ if isinstance(ecoval, type) else type(ecoval).__name__
        raise TypeError(
            f"cross_value takes an EcoVal first, but this is {name}: write "
            "cross_value(EcoVal(model), X, y)."
        )
    X, y = as_rows(X), np.asarray(y)
    check_consistent_length(X, y, groups, representation)
    rows = Rows(X, y, check_weights(sample_weight, len(y), "sample_weight"), representation)
    task = resolve_task(ecoval.estimator, y, ecoval.task)
    is_classes = task == "classification"
    if isinstance(cv, Integral) and groups is not None:
        kind = StratifiedGroupKFold if is_classes else GroupKFold
        seed = int(check_random_state(ecoval.random_state).randint(np.iinfo(np.int32).max))
        cv = kind(int(cv), shuffle=True, random_state=seed)
    elif isinstance(cv, Integral):
        cv = _deal(y if is_classes else np.zeros(len(y)), int(cv), ecoval)
    splits = list(check_cv(cv, y, classifier=is_classes).split(X, y, groups))
    monitor = Monitor(progress, should_stop)
    fold = np.full(len(y), -1)
    fitted, trained = [], []
    for number, (train, held) in enumerate(splits):
        train, held = np.arange(len(y))[train], np.arange(len(y))[held]
        if is_classes:
            held = held[np.isin(y[held], np.unique(y[train]))]
        if not len(held):
            raise ValueError(
                f"No row of fold {number + 1} has a label that the {len(train)} rows it trains on have: "
                "choose other folds."
            )
        fitting, validating = rows.take(train), rows.take(held)
        one = clone(ecoval).set_params(task=task).fit(
            fitting.X, fitting.y, validating.X, validating.y,
            sample_weight=fitting.weights, sample_weight_val=validating.weights,
            representation=fitting.given, representation_val=validating.given,
            progress=monitor.part(number, len(splits)), should_stop=should_stop,
        )  # fmt: skip
        fitted.append(one)
        trained.append(train)
        fold[held] = number
    labels = np.full(len(y), -1)
    labels[trained[0]] = fitted[0].labels_
    others = np.setdiff1d(np.concatenate(trained), trained[0])
    if is_classes:
        others = others[np.isin(y[others], y[trained[0]])]
    if len(others):
        other = rows.take(others)
        labels[others] = fitted[0].assign_clusters(other.X, other.y, other.given)
    return CrossValuation(fitted, trained, fold, labels)


def _deal(groups: NDArray, n_folds: int, ecoval: EcoVal) -> list[tuple[NDArray, NDArray]]:
    """Deal shuffled rows out in turn, group by group: folds of one size, at most one row apart."""
    if not 2 <= n_folds <= len(groups):
        raise ValueError(
            f"cv is {n_folds}: choose at least 2 folds and no more than the {len(groups)} rows."
        )
    random = check_random_state(ecoval.random_state)
    order = random.permutation(len(groups))
    codes, counts = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    order = order[np.argsort(codes[order], kind="stable")]
    order = order[counts[codes[order]] > 1]
    fold = np.full(len(groups), -1)
    fold[order] = np.arange(len(order)) % n_folds
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]


def repeat_value(
    ecoval: EcoVal,
    X: Any,
    y: Any,
    X_val: Any,
    y_val: Any,
    n_repeats: int = 5,
    *,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> Bunch:
    """Value the same rows with several seeds and return the standard error of each mean value.

    The seed draws clusters, folds, the fitted sample and the model's own chance. What it contributes
    falls with the number of repeats; what the choice of the validation set contributes does not.

    Parameters
    ----------
    ecoval : EcoVal
        Its parameters are used; the seeds are drawn from its random state. It is not fitted itself.
    X, y : array-like of shape (n_samples, n_features), (n_samples,)
        Training rows.
    X_val, y_val : array-like of shape (n_val, n_features), (n_val,)
        Validation rows, the same for every repeat.
    n_repeats : int, default=5
        Seeds, at least 2.
    progress, should_stop : callable or None
        As in :meth:`EcoVal.fit`, over the fits of all repeats.

    Returns
    -------
    Bunch
        ``value``, ``intrinsic``, ``extrinsic``: means over the repeats; ``seed_error``: standard error of
        the mean value over seeds; ``validation_error``: standard error over a bootstrap of the validation
        set, the mean of the repeats; ``standard_error``: both together (root of the sum of squares);
        all ndarrays of shape (n_samples,), in units of the score. ``estimators``: the fitted repeats.

    Raises
    ------
    ValueError
        If `n_repeats` is below 2: one run shows nothing of the seed's part.
    RefitError, Cancelled
        As :meth:`EcoVal.fit` does.
    """
    if n_repeats < 2:
        raise ValueError(f"n_repeats must be at least 2, but it is {n_repeats}.")
    seeds = check_random_state(ecoval.random_state).randint(np.iinfo(np.int32).max, size=n_repeats)
    monitor = Monitor(progress, should_stop)
    fitted = []
    for repeat, seed in enumerate(seeds):
        one = clone(ecoval).set_params(random_state=int(seed))
        one.fit(
            X, y, X_val, y_val, should_stop=should_stop,
            progress=monitor.part(repeat, n_repeats),
        )  # fmt: skip
        fitted.append(one)
    values = np.array([one.values_ for one in fitted])
    validation_error = np.mean([one.standard_errors_ for one in fitted], axis=0)
    seed_error = values.std(axis=0, ddof=1) / np.sqrt(n_repeats)
    return Bunch(
        value=values.mean(axis=0),
        intrinsic=np.mean([one.intrinsic_ for one in fitted], axis=0),
        extrinsic=np.mean([one.extrinsic_ for one in fitted], axis=0),
        seed_error=seed_error,
        validation_error=validation_error,
        standard_error=np.hypot(seed_error, validation_error),
        estimators=fitted,
    )
