"""Models without a cluster by formula, against refits at a tolerance of 1e-9."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ecoval_core import EcoVal
from ecoval_core.models.leave_out import find_shortcut
from ecoval_core.valuation import problem, propagation, refitting
from ecoval_core.valuation.clustering import cluster_groups


def logistic(**settings):
    return LogisticRegression(tol=1e-9, solver="newton-cholesky", **settings)


def members_of(labels):
    return [np.flatnonzero(labels == c) for c in range(labels.max() + 1)]


def outputs(model, X):
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)[:, None]


def relative_error(model, X, y, X_val, y_val, labels):
    """Mean error of Phi_c over its mean size, of some clusters."""
    full = clone(model).fit(X, y)
    short = find_shortcut(full, X, y)
    clusters = members_of(labels)[:: -(-labels.max() // 40)]
    seen = short.look(X_val, max(map(len, clusters)))

    def utility(output):
        if output.shape[1] == 1:
            return -((output[:, 0] - y_val) ** 2).mean()
        return output[np.arange(len(y_val)), y_val].mean()

    of_full = utility(outputs(full, X_val))
    (whole,) = short.without([np.empty(0, dtype=int)])
    np.testing.assert_allclose(short.output(whole, seen), outputs(full, X_val), atol=1e-5)
    short_way, refits = [], []
    for members, parameters in zip(clusters, short.without(clusters), strict=True):
        assert parameters is not None
        rest = np.delete(np.arange(len(y)), members)
        refit = clone(model).fit(X[rest], y[rest])
        refits.append(of_full - utility(outputs(refit, X_val)))
        short_way.append(of_full - utility(short.output(parameters, seen)))
    return np.abs(np.subtract(short_way, refits)).mean() / np.abs(refits).mean()


@pytest.mark.parametrize(("n_clusters", "class_weight"), [(30, "balanced"), (150, None)])
def test_multinomial_logistic_effects_are_those_of_refits(digits, n_clusters, class_weight):
    X, y = digits.X[:300, 20:44], digits.y[:300]
    labels = cluster_groups(X, y, n_clusters, 0).labels
    model = logistic(class_weight=class_weight)
    error = relative_error(model, X, y, digits.X_val[:, 20:44], digits.y_val, labels)
    assert error < 0.02


@pytest.mark.parametrize("size", [1, 30], ids="members_{}".format)
@pytest.mark.parametrize(
    "model",
    [
        logistic(),
        logistic(C=100.0),
        logistic(C=0.01, fit_intercept=False),
        logistic(class_weight="balanced"),
        logistic(class_weight={0: 5.0}),
        GaussianNB(),
        GaussianNB(priors=[0.2, 0.8], var_smoothing=1e-2),
        KNeighborsClassifier(),
        KNeighborsClassifier(3, weights="distance", metric="manhattan"),
    ],
    ids=str,
)
def test_classifiers_effects_are_those_of_refits(cancer, model, size):
    labels = cluster_groups(cancer.X, cancer.y, len(cancer.y) // size, 0).labels
    error = relative_error(model, cancer.X, cancer.y, cancer.X_val, cancer.y_val, labels)
    # Newton's steps come close; all others are exact.
    allowed = {1: 0.08, 30: 0.02}[size] if isinstance(model, LogisticRegression) else 1e-6
    assert error < allowed


@pytest.mark.parametrize("size", [1, 30], ids="members_{}".format)
@pytest.mark.parametrize(
    "model",
    [
        Ridge(),
        Ridge(alpha=1e-3, fit_intercept=False),
        LinearRegression(),
        KNeighborsRegressor(),
        KNeighborsRegressor(4, weights="distance"),
    ],
    ids=str,
)
def test_regressors_are_exact(model, size):
    X, y = load_diabetes(return_X_y=True)
    labels = cluster_groups(X[:300], np.zeros(300, dtype=int), 300 // size, 0).labels
    error = relative_error(model, X[:300], y[:300], X[300:], y[300:], labels)
    assert error < 1e-6


def test_a_pipeline_keeps_the_scaling_of_all_rows(cancer):
    X = cancer.X * 100 + 7
    model = make_pipeline(StandardScaler(), logistic()).fit(X, cancer.y)
    short = find_shortcut(model, X, cancer.y)
    (theta,) = short.without([np.arange(9)])
    refit = logistic().fit(model[0].transform(X)[9:], cancer.y[9:])
    expected = refit.predict_proba(model[0].transform(cancer.X_val * 100 + 7))
    np.testing.assert_allclose(
        short.output(theta, short.look(cancer.X_val * 100 + 7)), expected, atol=2e-3
    )


@pytest.mark.parametrize("model", [LogisticRegression(), GaussianNB()], ids=str)
def test_a_cluster_that_is_all_of_a_class_is_left_to_a_refit(digits, model):
    X, y = digits.X[:200], digits.y[:200]
    short = find_shortcut(model.fit(X, y), X, y)
    all_left, some_left = short.without([np.flatnonzero(y == 3), np.flatnonzero(y == 4)[:3]])
    assert all_left is None
    assert some_left is not None


def test_neighbours_that_would_be_too_few_are_left_to_a_refit(cancer):
    X, y = cancer.X[:9], cancer.y[:9]
    short = find_shortcut(KNeighborsClassifier(5).fit(X, y), X, y)
    assert short.without([np.arange(5), np.arange(4)])[0] is None


def test_columns_that_determine_each_other_are_left_to_a_refit():
    X, y = load_diabetes(return_X_y=True)
    doubled = np.column_stack([X, X[:, 0]])
    assert find_shortcut(LinearRegression().fit(doubled, y), doubled, y) is None
    assert find_shortcut(Ridge().fit(doubled, y), doubled, y) is not None


class Own(GaussianNB):
    """Its type is in no table: it may do anything."""


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(solver="liblinear"),
        LogisticRegression(l1_ratio=1, solver="saga", max_iter=10_000),
        LogisticRegression(C=np.inf, max_iter=10_000),
        LogisticRegression(max_iter=2),
        Ridge(positive=True),
        KNeighborsClassifier(weights=np.exp),
        RandomForestClassifier(5),
        make_pipeline(SelectKBest(k=3), GaussianNB()),
        Own(),
    ],
    ids=str,
)
def test_settings_and_types_that_are_not_served_are_refitted(cancer, model):
    model.fit(cancer.X, cancer.y)
    assert find_shortcut(model, cancer.X, cancer.y) is None


@pytest.mark.parametrize("model", [LogisticRegression(), KNeighborsClassifier()], ids=str)
def test_values_are_those_of_refits(cancer, model, monkeypatch):
    def value():
        ecoval = EcoVal(model, n_clusters=20, random_state=0)
        ecoval.fit(cancer.X, cancer.y, cancer.X_val, cancer.y_val)
        # Unseen points: by the model without their cluster, made anew or kept.
        return ecoval.values_, ecoval.value_samples(cancer.X_test, cancer.y_test).extrinsic

    # Where nothing follows without a refit, no row is left out alone.
    monkeypatch.setattr(refitting, "MAX_OUTPUTS_ALONE", 0)
    values, of_new = value()
    monkeypatch.setattr(problem, "find_shortcut", lambda *_: None)
    refitted, of_new_refitted = value()
    assert np.corrcoef(values, refitted)[0, 1] > 0.995
    assert np.corrcoef(of_new, of_new_refitted)[0, 1] > 0.95


def test_a_row_left_out_alone_is_credited_the_effect_of_a_refit_without_it(cancer, monkeypatch):
    monkeypatch.setattr(propagation, "OWN_EFFECT_WEIGHT", 1.0)
    X, y = cancer.X[:80], cancer.y[:80]
    ecoval = EcoVal(logistic(), n_clusters=8, random_state=0)
    ecoval.fit(X, y, cancer.X_val, cancer.y_val)
    correction = ecoval.cluster_values_ - ecoval.cluster_predictions_
    correction *= ecoval.cluster_reliability_ / np.bincount(ecoval.labels_)
    own = ecoval.raw_extrinsic_ - correction[ecoval.labels_]

    def score(rows):
        model = logistic().fit(X[rows], y[rows])
        return model.predict_proba(cancer.X_val)[np.arange(len(cancer.y_val)), cancer.y_val].mean()

    rows = np.arange(len(y))
    refits = [score(rows) - score(np.delete(rows, row)) for row in rows]
    assert np.abs(own - refits).mean() < 0.02 * np.abs(refits).mean()


def test_the_last_row_of_a_class_has_the_effect_of_its_cluster(cancer, monkeypatch):
    monkeypatch.setattr(propagation, "OWN_EFFECT_WEIGHT", 1.0)
    y = cancer.y[:80].copy()
    y[7] = 2
    ecoval = EcoVal(logistic(), n_clusters=8, random_state=0)
    ecoval.fit(cancer.X[:80], y, cancer.X_val, cancer.y_val)
    cluster = ecoval.labels_[7]
    assert (ecoval.labels_ == cluster).sum() == 1
    assert ecoval.raw_extrinsic_[7] == pytest.approx(ecoval.cluster_values_[cluster])


def test_rows_beyond_the_limit_or_scored_by_accuracy_are_not_left_out_alone(cancer, monkeypatch):
    def credit(scoring=None):
        ecoval = EcoVal(logistic(), n_clusters=8, scoring=scoring, random_state=0)
        return ecoval.fit(cancer.X, cancer.y, cancer.X_val, cancer.y_val).raw_extrinsic_

    mixed, by_accuracy = credit(), credit("accuracy")
    monkeypatch.setattr(refitting, "MAX_OUTPUTS_ALONE", len(cancer.y))
    predicted = credit()
    assert not np.allclose(mixed, predicted)
    np.testing.assert_array_equal(credit("accuracy"), by_accuracy)
    monkeypatch.setattr(refitting, "MAX_OUTPUTS_ALONE", 2 * len(cancer.y))
    np.testing.assert_array_equal(credit(), mixed)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("model", "class_weight", "n_clusters"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), None, 62),
        (LogisticRegression(max_iter=1000), "balanced", 32),
        (LogisticRegression(max_iter=3), None, 32),
        (KNeighborsClassifier(), None, 32),
    ],
    ids=["pipeline", "balanced", "cut_short", "neighbors"],
)
def test_automatic_granularity_is_fine_where_measured_to_help(
    cancer, model, class_weight, n_clusters
):
    ecoval = EcoVal(model, class_weight=class_weight, random_state=0)
    ecoval.fit(cancer.X, cancer.y, cancer.X_val, cancer.y_val)
    assert ecoval.n_clusters_ == n_clusters
