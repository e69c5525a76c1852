"""The estimator: clusters, refits and propagation behind scikit-learn's conventions."""

from __future__ import annotations

import copy
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import (
    Bunch,
    check_array,
    check_consistent_length,
    check_random_state,
    column_or_1d,
)
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from ecoval_core.target_type import Task, resolve_task
from ecoval_core.valuation.clustering import target_bins, target_groups
from ecoval_core.valuation.models import make_model, seed_estimator, weigh_classes
from ecoval_core.valuation.parallel import Monitor, Progress, ShouldStop
from ecoval_core.valuation.propagation import attribute
from ecoval_core.valuation.quality import JUDGES
from ecoval_core.valuation.record import DEFAULT_EXTRINSIC_WEIGHT, Findings, Valuation
from ecoval_core.valuation.refitting import MAX_FIT_SAMPLES, make_problem, sample_by_cluster
from ecoval_core.valuation.scoring import (
    MAX_VAL_SAMPLES,
    SCORINGS,
    check_classes,
    decode,
    encode,
    prior_scores,
    set_validation_aside,
)

_FLOATS = [np.float64, np.float32]
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
        Any scikit-learn classifier, regressor or pipeline on numeric columns. None takes logistic
        regression, or ridge regression for a continuous target, behind a ``StandardScaler``.
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
        E, before the weight.
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
        How much the measured effects made of the kernels "proximity" and, for classification, "shapley".
    labels_ : ndarray of shape (n_samples,)
        Cluster of each row, -1 for rows set aside.
    cluster_values_ : ndarray of shape (n_clusters_,)
        Phi, the leave-cluster-out values.
    cluster_standard_errors_ : ndarray of shape (n_clusters_,)
        Standard error of each over a bootstrap of the validation set.
    cluster_predictions_ : ndarray of shape (n_clusters_,)
        Sum of what the kernels predict for the members.
    cluster_reliability_ : ndarray of shape (n_clusters_,)
        In [0, 1]: how much of ``cluster_values_ - cluster_predictions_`` is passed on to the members. Their
        `raw_extrinsic_` sum to ``predictions + reliability * (values - predictions)``.
    cluster_centers_ : ndarray of shape (n_clusters_, n_features)
        Cluster means, in the units of `X`.
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

    def fit(
        self,
        X: Any,
        y: Any,
        X_val: Any = None,
        y_val: Any = None,
        *,
        progress: Progress | None = None,
        should_stop: ShouldStop | None = None,
    ) -> Self:
        """Value the rows of a training set.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Numeric features; standardised inside wherever distances are taken.
        y : array-like of shape (n_samples,)
            Class labels or continuous targets.
        X_val : array-like of shape (n_val, n_features) or None, default=None
            Validation points, never fitted. None sets aside a stratified fifth of the rows (at most
            `max_val_samples`), which are then not valued.
        y_val : array-like of shape (n_val,) or None, default=None
            Their labels.
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
            return self._fit(X, y, X_val, y_val, Monitor(progress, should_stop))
        except Exception:
            self.__dict__ = before
            raise

    def _fit(self, X: Any, y: Any, X_val: Any, y_val: Any, monitor: Monitor) -> Self:
        self._validate_params()
        checked: Any = validate_data(self, X, y, dtype=_FLOATS)
        X, y = checked
        task = resolve_task(self.estimator, y, self.task)
        classes = check_classes(y) if task == "classification" else None
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        if (X_val is None) != (y_val is None):
            raise ValueError("Give both X_val and y_val, or neither.")
        if X_val is None:
            train, held = set_validation_aside(y, classes, seed, self.max_val_samples)
            X_val, y_val = X[held], y[held]
        else:
            train = np.arange(len(X))
            X_val, y_val = self._check_points(X_val, y_val)
            codes_val = encode(y_val, classes, "y_val")
            strata = target_groups(
                codes_val, None if classes is not None else target_bins(codes_val)
            )
            held = sample_by_cluster(strata, self.max_val_samples or len(y_val), seed)
            X_val, y_val = X_val[held], y_val[held]
        problem = make_problem(
            self._make_estimator(task, seed), X[train], y[train], X_val, y_val, classes,
            scoring=self.scoring, class_weight=self.class_weight,
        )  # fmt: skip
        self._attribution = attribute(
            problem,
            n_clusters=self.n_clusters,
            n_neighbors=self.n_neighbors,
            max_fit_samples=self.max_fit_samples,
            n_jobs=self.n_jobs,
            seed=seed,
            monitor=monitor,
        )
        self._train_rows, self._n_rows = train, len(X)
        self._publish(y)
        return self

    def _check_points(self, X: Any, y: Any) -> tuple[NDArray, NDArray]:
        X = validate_data(self, X, reset=False, dtype=_FLOATS)
        y = column_or_1d(check_array(y, ensure_2d=False, dtype=None), warn=True)
        check_consistent_length(X, y)
        return X, y

    def _make_estimator(self, task: Task, seed: int) -> Any:
        estimator = self.estimator
        if estimator is None:
            # On raw columns, solvers of linear models may not converge.
            default = make_model("ridge" if task == "regression" else "logistic_regression", task)
            estimator = make_pipeline(StandardScaler(), default)
        estimator = seed_estimator(estimator, seed)
        if self.class_weight is not None:
            estimator = weigh_classes(estimator, self.class_weight)
        return estimator

    def _publish(self, y: NDArray) -> None:
        attribution = self._attribution
        problem, refits, clustering = (
            attribution.problem, attribution.refits, attribution.clustering
        )  # fmt: skip
        prior = prior_scores(problem.codes_val, problem.scoring, problem.scale)
        full_score = float((refits.scores_full * problem.row_weights).mean())
        prior_score = float((prior * problem.row_weights).mean())
        deviation = refits.scores_full - prior - (full_score - prior_score)
        deviation *= problem.row_weights
        self.estimator_ = refits.estimator
        self.cluster_predictions_ = attribution.credit.predicted
        self.cluster_reliability_ = attribution.credit.reliability
        self.cluster_centers_ = attribution.scaler.inverse_transform(clustering.centers)
        self.judge_weights_ = dict(zip(JUDGES, attribution.pool.weights.tolist(), strict=True))
        self.kernel_weights_ = {
            kernel.name: float(weight)
            for kernel, weight in zip(
                attribution.weighting.kernels, attribution.weighting.weights, strict=True
            )
        }
        rule, judged = attribution.issue_rule, attribution.judged
        suggested = np.array(y)
        suggested[self._train_rows] = decode(rule.suggest(judged, problem.codes), problem.classes)
        self.findings_ = Findings(
            labels=self._spread(clustering.labels, -1),
            quality=self._spread(attribution.quality),
            label_quality=self._spread(attribution.label_quality),
            raw_extrinsic=self._spread(attribution.credit.extrinsic),
            judged=self._spread(attribution.judged),
            suggested_labels=suggested,
            label_issues=self._spread(rule.find(judged, problem.codes), False),
            sampling=attribution.credit.sampling,
            cluster_values=(refits.effects * problem.row_weights).mean(axis=1),
            cluster_standard_errors=attribution.errors,
            full_score=full_score,
            prior_score=prior_score,
            surplus_standard_error=float(np.sqrt((deviation**2).mean() / len(prior))),
            scoring=problem.scoring,
            task=problem.scale.task,
            classes=problem.classes,
        )
        self._take(Valuation(self.findings_, self.extrinsic_weight))

    def _take(self, valuation: Valuation) -> None:
        published = {name: value for name, value in vars(valuation).items() if name.endswith("_")}
        self.__dict__.update(published)

    def _spread(self, of_train: NDArray, missing: Any = np.nan) -> NDArray:
        of_all = np.full((self._n_rows, *of_train.shape[1:]), missing, dtype=of_train.dtype)
        of_all[self._train_rows] = of_train
        return of_all

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

    def assign_clusters(self, X: ArrayLike, y: ArrayLike) -> NDArray[np.int64]:
        """Cluster that each unseen point would join: the nearest centre of its own label.

        Parameters
        ----------
        X : array-like of shape (n_new, n_features)
            Unseen points.
        y : array-like of shape (n_new,)
            Their labels or targets.

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
        X_new, y_new = self._check_points(X, y)
        codes = encode(y_new, self._attribution.problem.classes, "y")
        return self._attribution.assign_clusters(X_new, codes)

    def forget_models(self) -> None:
        """Free the models without each cluster, up to 128 MB, which only unseen points need.

        :meth:`value_samples` then does as where those models are too large to keep.
        """
        check_is_fitted(self)
        refits = replace(self._attribution.refits, models={})
        self._attribution = replace(self._attribution, refits=refits)

    def value_samples(self, X: ArrayLike, y: ArrayLike) -> Bunch:
        """Value unseen points without a refit.

        Each point is valued as if it alone joined the nearest cluster of its own label and shared the
        demand for it with the members. To decide which points to *add*,
        :func:`ecoval_core.evaluation.new_rows.value_new` ranks a pool: measured on many tables, neither
        the value, which also pays for being typical, nor ``extrinsic`` alone is an order to acquire by. To
        find wrong labels, rank by ``label_quality``.

        Parameters
        ----------
        X : array-like of shape (n_new, n_features)
            Unseen points.
        y : array-like of shape (n_new,)
            Their labels or targets.

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
        A point's residual is that under the model without its cluster. Where those models together take
        more than 128 MB (large forests), the full model stands in, which ranks effects less well.
        """
        check_is_fitted(self)
        X_new, y_new = self._check_points(X, y)
        classes, rule = self._attribution.problem.classes, self._attribution.issue_rule
        codes = encode(y_new, classes, "y")
        joined = self._attribution.join(X_new, codes)
        intrinsic, extrinsic = (
            self.intrinsic_rate_ * joined.quality,
            self.extrinsic_weight * joined.credit,
        )
        return Bunch(
            value=intrinsic + extrinsic,
            intrinsic=intrinsic,
            extrinsic=extrinsic,
            label_quality=joined.label_quality,
            label_issue=rule.find(joined.judged, codes),
            suggested_label=decode(rule.suggest(joined.judged, codes), classes),
            cluster=joined.cluster,
        )
