"""The estimator: clusters, refits and propagation behind scikit-learn's conventions."""

from __future__ import annotations

import copy
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, is_clusterer, is_outlier_detector
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch, check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ecoval_core.models.catalog import make_model, seed_estimator, weigh_classes
from ecoval_core.models.inputs import (
    Representation,
    Rows,
    check_points,
    check_weights,
    default_steps,
)
from ecoval_core.models.parallel import Monitor, Progress, ShouldStop, warn_once
from ecoval_core.target_type import Task, resolve_task
from ecoval_core.valuation.problem import make_problem, part_rows
from ecoval_core.valuation.propagation import attribute
from ecoval_core.valuation.quality import JUDGES
from ecoval_core.valuation.record import DEFAULT_EXTRINSIC_WEIGHT, Valuation
from ecoval_core.valuation.refitting import MAX_FIT_SAMPLES
from ecoval_core.valuation.scoring import MAX_VAL_SAMPLES, SCORINGS, check_classes, encode

# Beyond it values are all extrinsic anyway, and products overflow.
MAX_EXTRINSIC_WEIGHT = 1e6


class EcoVal(BaseEstimator):
    r"""Value every training point as intrinsic plus extrinsic value.

    Clusters of similar points with the same label are valued by leaving each out; a cluster's value is
    then propagated to its members by treating performance as a Cobb-Douglas production function,

    .. math:: U(S) - U(\emptyset) = A \, Q(S)^\alpha X(S)^\beta, \quad \alpha + \beta < 1,

    of an intrinsic input Q (quality) and an extrinsic input X (measured effect). The Aumann-Shapley value
    of that function pays both inputs and exhausts the surplus Y:

    .. math::

        value_i = b E_i + (Y - b \sum_j E_j) \, q_i / \sum_j q_j

    where :math:`E_i` is the row's part in the leave-cluster-out value :math:`\Phi_c` of its cluster. The two
    stages are those of the paper [1]_; the formulas of the second are this project's own derivation,
    since the authors' are not public.

    Parameters
    ----------
    estimator : estimator or None, default=None
        Any classifier, regressor or pipeline with scikit-learn's methods. None takes logistic regression,
        or ridge regression for a continuous target, behind a ``StandardScaler``, on frames with other
        than numeric columns and on texts also behind skrub's ``TableVectorizer``.
    n_clusters : int or "auto", default="auto"
        Granularity K, held between the number of classes (regression: five target bins) and the number
        of points, where every point is its own cluster (leave-one-out). "auto" is
        ``min(300, round(2 * sqrt(n_samples)))``; for logistic regression without `class_weight` it is
        ``min(1500, n_samples // 4)`` if that is more, since a cluster left out takes no refit there.
    scoring : str or None, default=None
        Per-sample score, the unit of all values: "probability" (default), "log_loss", "brier" or
        "accuracy" (default without ``predict_proba``); regression "squared_error" (default) or
        "absolute_error".
    extrinsic_weight : float, default=0.25
        b, the payment per unit of measured marginal product. Changed without refitting by
        :meth:`reweight`. More of it finds the rows whose removal costs most, less of it the wrong labels.
    n_neighbors : int, default=10
        Neighbours that judge labels, beside the model out of fold and a forest out of bag.
    max_fit_samples : int or None, default=10_000
        Above it the refits use a sample stratified by cluster; every point is still valued.
    max_val_samples : int or None, default=2_000
        Above it scores, effects and errors are of a sample of the validation rows, stratified by class or by
        size of the target: more of them would move the value of a cluster by less than its error. None
        takes them all.
    n_jobs : int or None, default=None
        Refits at once, as in joblib; :func:`joblib.parallel_config` moves them to a cluster.
    random_state : int, RandomState instance or None, default=None
        Seeds clusters, folds, the judging forest, the sample, and every random state of `estimator` that is
        None.
    class_weight : "balanced", dict or None, default=None
        "balanced" lets every class count alike, however rare: validation rows are weighted by class in
        every score, effect and error, judgements and the prior predictor divide the class shares out, and
        every ``class_weight`` of `estimator` that is None is set too. A dict weighs by label, 1 where it
        names none. With None, removing the lowest values of an imbalanced table removes its rare class.
    task : {"auto", "classification", "regression"}, default="auto"
        What `y` poses. "auto" asks the estimator, and without one
        :func:`~sklearn.utils.multiclass.type_of_target`; where whole numbers could be either, a warning
        names the choice.
    representation : transformer or None, default=None
        Makes the numbers of which distances are taken. None standardises numeric columns, missing values at
        their mean; other columns of a frame, and texts, go through ``TableVectorizer``, and each column
        counts alike, however many numbers it becomes. What a transformer makes is taken as it is.

    Attributes
    ----------
    values_ : ndarray of shape (n_samples,)
        Value of each row in units of the score; NaN for rows set aside as validation.
    intrinsic_, extrinsic_ : ndarray of shape (n_samples,)
        The two parts of `values_`.
    standard_errors_ : ndarray of shape (n_samples,)
        Standard error of each value over a bootstrap of the validation set (its limit for many draws,
        without a refit). :func:`repeat_value` adds what the seed contributes.
    raw_extrinsic_ : ndarray of shape (n_samples,)
        E, before the weight. Where leaving out a row takes no refit (a logistic regression without
        `class_weight`, see Notes), all rows are fitted, rows times classes are at most 20,000 and the
        score is not "accuracy", six tenths of it, before the correction to the cluster, are the row's own
        leave-one-out effect; else kernels predict all of it.
    quality_ : ndarray of shape (n_samples,)
        q in [0, 1]: the judges' probability of the label over that of the likeliest.
    label_quality_ : ndarray of shape (n_samples,)
        Probability of the given label (regression: a likelihood relative to the best) by three judges
        pooled, none of which has seen it: the order in which to look for wrong labels.
    label_issues_ : ndarray of shape (n_samples,), bool
        Labels to look at: the judges find them less likely than those of their class usually are, and some
        other class likelier and at least as likely as it usually is for rows of its own. Of a continuous
        target: a residual more than 3.5 deviations beyond those of rows of that size. False for rows set
        aside.
    suggested_labels_ : ndarray of shape (n_samples,)
        What the judges find likeliest, for `label_issues_` among the classes that make them one: a label, or
        a target. Rows set aside keep their own.
    judged_ : ndarray of shape (n_samples, n_classes) or (n_samples, 1)
        The judges' pooled probabilities, in the order of `classes_`, or their predicted target.
    judge_weights_ : dict of str to float
        Elasticities of the judges "neighbors", "model" and "forest".
    kernel_weights_ : dict of str to float
        How much the measured effects made of the kernels "proximity" and, for classification, "shapley", in
        what they predict; rows with an effect of their own take four tenths of that.
    labels_ : ndarray of shape (n_samples,)
        Cluster of each row, -1 for rows set aside.
    cluster_values_ : ndarray of shape (n_clusters_,)
        Phi, the leave-cluster-out values.
    cluster_standard_errors_ : ndarray of shape (n_clusters_,)
        Standard error of each over a bootstrap of the validation set.
    cluster_predictions_ : ndarray of shape (n_clusters_,)
        Sum of what is credited to the members before the correction.
    cluster_reliability_ : ndarray of shape (n_clusters_,)
        In [0, 1]: how much of ``cluster_values_ - cluster_predictions_`` is passed on to the members. Their
        `raw_extrinsic_` sum to ``predictions + reliability * (values - predictions)``.
    cluster_centers_ : ndarray of shape (n_clusters_, n_features)
        Cluster means, in the units of `X` or of its representation.
    n_clusters_ : int
        Clusters made.
    surplus_ : float
        Y, the utility of the model less that of the prior predictor.
    surplus_standard_error_ : float
        Standard error of the surplus over a bootstrap of the validation set.
    full_score_, prior_score_ : float
        The two utilities.
    returns_to_scale_ : float
        Sum of Phi over Y: the part of the surplus lost at the margin.
    intrinsic_share_ : float
        Part of the surplus paid for quality.
    reliable_ : bool
        False if the model does not beat the prior predictor, or the clusters claim the whole surplus or
        more; values then sum to the extrinsic part alone and should not be trusted.
    estimator_ : estimator
        The model fitted on all rows (on the sample, above `max_fit_samples`).
    classes_ : ndarray of shape (n_classes,)
        Labels; absent for regression.
    n_features_in_ : int
        Columns seen in fit.
    intrinsic_rate_ : float
        What a unit of quality is paid.
    findings_ : Findings
        All of this that holds at every extrinsic weight, without data and models.

    See Also
    --------
    cross_value : Value every row, each fold in turn being the validation set.

    Notes
    -----
    What a logistic regression, ridge, least squares, Gaussian naive Bayes or nearest neighbours, also behind
    scalers, are without a cluster follows from the model on all rows. All but the first are exact; a logistic
    regression is a Newton step away, and further ones where the step is large. Its mean error of
    :math:`\Phi_c`, over its mean size and against refits at a tolerance of 1e-9, is 0.1 to 0.7 % for clusters
    of 4 to 100 rows, 1 to 3 % for single rows or hundreds of coefficients on many rows, at C = 100 up to 7 %.
    Scalers stay as fitted on all rows, which matters where clusters are a tenth of the rows. Any other model
    or setting is refitted.

    References
    ----------
    .. [1] A. K. Tarun, V. S. Chundawat, M. Mandal, H. M. Tan, B. Chen, M. Kankanhalli, "EcoVal: An
       Efficient Data Valuation Framework for Machine Learning", KDD 2024, arXiv:2402.09288.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from ecoval_core import EcoVal
    >>> X, y = load_wine(return_X_y=True)
    >>> ecoval = EcoVal(random_state=0).fit(X, y)
    >>> bool(abs(np.nansum(ecoval.values_) - ecoval.surplus_) < 1e-12)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "n_clusters": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "scoring": [StrOptions(set(SCORINGS)), None],
        "extrinsic_weight": [Interval(Real, 0, MAX_EXTRINSIC_WEIGHT, closed="both")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "max_fit_samples": [Interval(Integral, 2, None, closed="left"), None],
        "max_val_samples": [Interval(Integral, 1, None, closed="left"), None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "task": [StrOptions({"auto", "classification", "regression"})],
        "representation": [HasMethods(["fit", "transform"]), None],
    }

    def __init__(
        self,
        estimator: Any = None,
        n_clusters: int | str = "auto",
        scoring: str | None = None,
        extrinsic_weight: float = DEFAULT_EXTRINSIC_WEIGHT,
        n_neighbors: int = 10,
        max_fit_samples: int | None = MAX_FIT_SAMPLES,
        max_val_samples: int | None = MAX_VAL_SAMPLES,
        n_jobs: int | None = None,
        random_state: Any = None,
        class_weight: Any = None,
        task: str = "auto",
        representation: Any = None,
    ) -> None:
        self.estimator = estimator
        self.n_clusters = n_clusters
        self.scoring = scoring
        self.extrinsic_weight = extrinsic_weight
        self.n_neighbors = n_neighbors
        self.max_fit_samples = max_fit_samples
        self.max_val_samples = max_val_samples
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.class_weight = class_weight
        self.task = task
        self.representation = representation

    def fit(
        self,
        X: Any,
        y: Any,
        X_val: Any = None,
        y_val: Any = None,
        *,
        sample_weight: Any = None,
        sample_weight_val: Any = None,
        representation: Any = None,
        representation_val: Any = None,
        progress: Progress | None = None,
        should_stop: ShouldStop | None = None,
    ) -> Self:
        """Value the rows of a training set.

        Parameters
        ----------
        X : array-like, sparse matrix, DataFrame or list of str, of n_samples rows
            What the estimator is given, unchanged.
        y : array-like of shape (n_samples,)
            Class labels or continuous targets.
        X_val : like `X`, of n_val rows, or None, default=None
            Validation points, never fitted. None sets aside a stratified fifth of the rows (at most
            `max_val_samples`), which are then not valued.
        y_val : array-like of shape (n_val,) or None, default=None
            Their labels.
        sample_weight, sample_weight_val : array-like of shape (n_samples,), (n_val,) or None, default=None
            Weights of rows and of validation rows, which multiply those of classes. Every step of a
            pipeline that takes weights is given them; a row of weight 2 counts as two, one of 0 is worth 0.
        representation, representation_val : array-like of shape (n, n_numbers) or None, default=None
            Numbers of the rows for distances, such as embeddings, in place of those made of `X`.
        progress : callable or None, default=None
            Called as ``progress(fits_done, fits_to_do)``, from the thread that called fit.
        should_stop : callable or None, default=None
            Asked between fits; True ends the run.

        Returns
        -------
        EcoVal
            Itself, fitted.

        Raises
        ------
        ValueError
            If the data or a parameter are invalid; the message names which and why.
        RefitError
            If the model cannot be fitted without some cluster.
        Cancelled
            If `should_stop` returned True. After this or any error, an earlier fit stays as it was.
        """
        before = self.__dict__.copy()
        try:
            with warn_once():
                return self._fit(
                    X, y, (X_val, y_val), (sample_weight, sample_weight_val),
                    (representation, representation_val), Monitor(progress, should_stop),
                )  # fmt: skip
        except Exception:
            self.__dict__ = before
            raise

    def _fit(
        self, X: Any, y: Any, val: tuple[Any, Any], weights: tuple[Any, Any],
        given: tuple[Any, Any], monitor: Monitor,
    ) -> Self:  # fmt: skip
        self._validate_params()
        if self.estimator is not None and (
            is_clusterer(self.estimator) or is_outlier_detector(self.estimator)
        ):
            raise ValueError(
                f"{type(self.estimator).__name__} is a clusterer or a detector, which predicts no target: "
                "choose a classifier or a regressor."
            )
        X, y = check_points(self, X, y, reset=True)
        task = resolve_task(self.estimator, y, self.task)
        classes = check_classes(y) if task == "classification" else None
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        parts = part_rows(
            Rows(X, y, check_weights(weights[0], len(y), "sample_weight"), given[0]),
            None if val[0] is None and val[1] is None else self._validation(val, weights, given),
            classes, seed, self.max_val_samples,
        )  # fmt: skip
        train, rows, held = parts
        representation = Representation(self.representation, seed)
        Z = representation.fit(rows.X, rows.given)
        problem = make_problem(
            self._make_estimator(task, seed, X), rows.X, rows.y, held.X, held.y, classes,
            scoring=self.scoring, class_weight=self.class_weight,
            sample_weight=rows.weights, sample_weight_val=held.weights,
        )  # fmt: skip
        self._attribution = attribute(
            problem,
            representation,
            Z,
            representation.transform(held.X, held.given),
            n_clusters=self.n_clusters,
            n_neighbors=self.n_neighbors,
            max_fit_samples=self.max_fit_samples,
            n_jobs=self.n_jobs,
            seed=seed,
            monitor=monitor,
        )
        self._publish(y, train)
        return self

    def _validation(self, val: tuple[Any, Any], weights: tuple, given: tuple) -> Rows:
        if val[0] is None or val[1] is None:
            raise ValueError("Give both X_val and y_val, or neither.")
        X, y = check_points(self, *val)
        return Rows(X, y, check_weights(weights[1], len(y), "sample_weight_val"), given[1])

    def _make_estimator(self, task: Task, seed: int, X: Any) -> Any:
        estimator = self.estimator
        if estimator is None:
            # On raw columns, solvers of linear models may not converge.
            default = make_model("ridge" if task == "regression" else "logistic_regression", task)
            estimator = make_pipeline(*default_steps(X), default)
        estimator = seed_estimator(estimator, seed)
        return (
            estimator if self.class_weight is None else weigh_classes(estimator, self.class_weight)
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        given = self.estimator
        tags.input_tags.sparse = given is None or get_tags(given).input_tags.sparse
        tags.input_tags.allow_nan = given is None or get_tags(given).input_tags.allow_nan
        return tags

    def _publish(self, y: NDArray, rows: NDArray) -> None:
        attribution = self._attribution
        self.estimator_ = attribution.refits.estimator
        self.cluster_predictions_ = attribution.credit.predicted
        self.cluster_reliability_ = attribution.credit.reliability
        self.cluster_centers_ = attribution.representation.inverse_transform(
            attribution.clustering.centers
        )
        self.judge_weights_ = dict(zip(JUDGES, attribution.pool.weights.tolist(), strict=True))
        names = [kernel.name for kernel in attribution.kernels]
        self.kernel_weights_ = dict(zip(names, attribution.kernel_weights.tolist(), strict=True))
        self._take(Valuation(attribution.findings(y, rows), self.extrinsic_weight))

    def _take(self, valuation: Valuation) -> None:
        published = {name: value for name, value in vars(valuation).items() if name.endswith("_")}
        self.__dict__.update(published)

    def reweight(self, extrinsic_weight: float) -> Self:
        """Value the same rows with another extrinsic weight, without any refit.

        Parameters
        ----------
        extrinsic_weight : float
            b, at least 0.

        Returns
        -------
        EcoVal
            A fitted copy that shares the fits; this one is unchanged.

        Raises
        ------
        ValueError
            If the weight is negative or not a number.
        """
        check_is_fitted(self)
        other = copy.copy(self)
        other.extrinsic_weight = extrinsic_weight
        other._validate_params()
        other._take(Valuation(self.findings_, extrinsic_weight))
        return other

    def assign_clusters(
        self, X: Any, y: ArrayLike, representation: Any = None
    ) -> NDArray[np.int64]:
        """Cluster that each unseen point would join: the nearest centre of its own label.

        Parameters
        ----------
        X : like that of fit, of n_new rows
            Unseen points.
        y : array-like of shape (n_new,)
            Their labels or targets.
        representation : array-like of shape (n_new, n_numbers) or None, default=None
            Their numbers for distances, if fit was given such.

        Returns
        -------
        ndarray of shape (n_new,), int
            Clusters.

        Raises
        ------
        ValueError
            If a label was never seen in training; the message names it.
        """
        check_is_fitted(self)
        X_new, y_new = check_points(self, X, y)
        codes = encode(y_new, self._attribution.problem.classes, "y")
        Z = self._attribution.representation.transform(X_new, representation)
        return self._attribution.assign_clusters(Z, codes)

    def forget_models(self) -> None:
        """Free the models without each cluster, up to 128 MB, which only unseen points need.

        :meth:`value_samples` then does as where those models are too large to keep.
        """
        check_is_fitted(self)
        refits = replace(self._attribution.refits, models={})
        self._attribution = replace(self._attribution, refits=refits)

    def value_samples(self, X: Any, y: ArrayLike, representation: Any = None) -> Bunch:
        """Value unseen points without a refit.

        Each point is valued as if it alone joined the nearest cluster of its own label and shared the
        demand for it with the members. To decide which points to *add*,
        :func:`ecoval_core.evaluation.new_rows.value_new` ranks a pool: measured on many tables, neither
        the value, which also pays for being typical, nor ``extrinsic`` alone is an order to acquire by. To
        find wrong labels, rank by ``label_quality``.

        Parameters
        ----------
        X : like that of fit, of n_new rows
            Unseen points.
        y : array-like of shape (n_new,)
            Their labels or targets.
        representation : array-like of shape (n_new, n_numbers) or None, default=None
            Their numbers for distances, if fit was given such.

        Returns
        -------
        Bunch
            ``value``, ``intrinsic``, ``extrinsic``, ``label_quality`` (float), ``label_issue`` (bool),
            ``suggested_label`` and ``cluster`` (int), each an ndarray of shape (n_new,).

        Raises
        ------
        ValueError
            If a label was never seen in training; the message names it.

        Notes
        -----
        No effect was measured of an unseen point by itself: kernels predict all of it. A point's residual
        is that under the model without its cluster. Where those models together take more than 128 MB
        (large forests), the full model stands in, which ranks effects less well.
        """
        check_is_fitted(self)
        X_new, y_new = check_points(self, X, y)
        codes = encode(y_new, self._attribution.problem.classes, "y")
        Z = self._attribution.representation.transform(X_new, representation)
        return self._attribution.value_samples(
            X_new, Z, codes, self.intrinsic_rate_, self.extrinsic_weight
        )
