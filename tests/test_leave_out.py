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
from ecoval_core.models import leave_out
from ecoval_core.models.leave_out import find_shortcut, has_short_way
from ecoval_core.valuation import problem
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
    np.testing.assert_allclose(short.full(seen), outputs(full, X_val), atol=1e-5)
    short_way, refits = [], []
    for members, parameters in zip(clusters, short.without(clusters), strict=True):
        assert parameters is not None
        rest = np.delete(np.arange(len(y)), members)
        refit = clone(model).fit(X[rest], y[rest])
        refits.append(of_full - utility(outputs(refit, X_val)))
        short_way.append(of_full - utility(short.output(parameters, seen)))
    return np.abs(np.subtract(short_way, refits)).mean() / np.abs(refits).mean()


@pytest.mark.parametrize("size", [1, 30], ids="members_{}".format)
@pytest.mark.parametrize(
    "model",
    [
        logistic(),
        logistic(C=100.0),
        logistic(C=0.01, fit_intercept=False),
        logistic(class_weight="balanced"),
        logistic(class_weight={0: 5.0}),
    ],
    ids=["plain", "C_100", "no_intercept", "balanced", "weights"],
)
def test_binary_logistic_effects_are_those_of_refits(cancer, model, size):
    labels = cluster_groups(cancer.X, cancer.y, len(cancer.y) // size, 0).labels
    error = relative_error(model, cancer.X, cancer.y, cancer.X_val, cancer.y_val, labels)
    assert error < (0.08 if size == 1 else 0.02)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("n_clusters", [30, 150])
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
        GaussianNB(),
        GaussianNB(priors=[0.2, 0.8], var_smoothing=1e-2),
        KNeighborsClassifier(),
        KNeighborsClassifier(3, weights="distance", metric="manhattan"),
    ],
    ids=["bayes", "priors", "neighbors", "distance"],
)
def test_other_classifiers_are_exact(cancer, model, size):
    labels = cluster_groups(cancer.X, cancer.y, len(cancer.y) // size, 0).labels
    error = relative_error(model, cancer.X, cancer.y, cancer.X_val, cancer.y_val, labels)
    assert error < 1e-6


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
    ids=["ridge", "no_intercept", "least_squares", "neighbors", "distance"],
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


@pytest.mark.parametrize(
    "model",
    [LogisticRegression(), GaussianNB()],
    ids=lambda model: type(model).__name__,
)
def test_a_cluster_that_is_all_of_a_class_is_left_to_a_refit(digits, model):
    model.fit(digits.X[:200], digits.y[:200])
    short = find_shortcut(model, digits.X[:200], digits.y[:200])
    everything, some = np.flatnonzero(digits.y[:200] == 3), np.flatnonzero(digits.y[:200] == 4)[:3]
    all_left, some_left = short.without([everything, some])
    assert all_left is None
    assert some_left is not None


def test_neighbours_that_would_be_too_few_are_left_to_a_refit(cancer):
    model = KNeighborsClassifier(5).fit(cancer.X[:9], cancer.y[:9])
    short = find_shortcut(model, cancer.X[:9], cancer.y[:9])
    assert short.without([np.arange(5), np.arange(4)])[0] is None


def test_columns_that_determine_each_other_are_left_to_a_refit():
    X, y = load_diabetes(return_X_y=True)
    doubled = np.column_stack([X, X[:, 0]])
    assert find_shortcut(LinearRegression().fit(doubled, y), doubled, y) is None
    assert find_shortcut(Ridge().fit(doubled, y), doubled, y) is not None


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
    ],
    ids=["liblinear", "lasso", "no_penalty", "cut_short", "positive", "callable", "forest", "selection"],
)  # fmt: skip
def test_settings_that_are_not_served_are_refitted(cancer, model):
    model.fit(cancer.X, cancer.y)
    assert find_shortcut(model, cancer.X, cancer.y) is None


def test_a_type_that_is_not_in_the_table_has_no_short_way():
    class Own(GaussianNB):
        pass

    assert has_short_way(GaussianNB(), 3, 2)
    assert not has_short_way(Own(), 3, 2)


@pytest.mark.parametrize(
    "model",
    [LogisticRegression(), GaussianNB(), KNeighborsClassifier()],
    ids=lambda model: type(model).__name__,
)
def test_values_are_those_of_refits(cancer, model, monkeypatch):
    def value():
        ecoval = EcoVal(model, n_clusters=20, random_state=0)
        return ecoval.fit(cancer.X, cancer.y, cancer.X_val, cancer.y_val)

    by_formula = value()
    with monkeypatch.context() as patch:
        patch.setattr(problem, "find_shortcut", lambda *_: None)
        refitted = value()
    assert np.corrcoef(by_formula.values_, refitted.values_)[0, 1] > 0.995
    assert by_formula._attribution.refits.models == {}
    assert len(refitted._attribution.refits.models) == 20
    # Unseen points: by the model without their cluster, made anew or kept.
    one, other = (e.value_samples(cancer.X_test, cancer.y_test) for e in (by_formula, refitted))
    assert np.corrcoef(one.extrinsic, other.extrinsic)[0, 1] > 0.95


@pytest.mark.parametrize(
    ("model", "class_weight", "n_clusters"),
    [
        (LogisticRegression(max_iter=1000), None, 62),
        (make_pipeline(StandardScaler(), LogisticRegression()), None, 62),
        (LogisticRegression(max_iter=1000), "balanced", 32),
        (LogisticRegression(max_iter=3), None, 32),
        (KNeighborsClassifier(), None, 32),
    ],
    ids=["logistic", "pipeline", "balanced", "cut_short", "neighbors"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_automatic_granularity_is_fine_where_measured_to_help(
    cancer, model, class_weight, n_clusters
):
    ecoval = EcoVal(model, class_weight=class_weight, random_state=0)
    ecoval.fit(cancer.X, cancer.y, cancer.X_val, cancer.y_val)
    assert ecoval.n_clusters_ == n_clusters


def test_the_table_lists_what_the_documentation_says():
    assert {kind.__name__ for kind in leave_out.SHORT_WAYS} == {
        "LogisticRegression", "Ridge", "LinearRegression", "GaussianNB", "KNeighborsClassifier",
        "KNeighborsRegressor",
    }  # fmt: skip
