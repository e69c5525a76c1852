"""Which task a target poses, and what class weights mean."""

import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import check_cluster_consistency
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge
from sklearn.metrics import balanced_accuracy_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ecoval_core import EcoVal, cross_value
from ecoval_core.models.catalog import weigh_classes
from ecoval_core.target_type import resolve_task
from ecoval_core.valuation.scoring import weigh

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def rare():
    """A table whose second class has a tenth of the rows and overlaps the first."""
    random = np.random.default_rng(4)

    def draw(n):
        y = np.where(random.random(n) < 0.1, "bad", "good")
        return random.normal(size=(n, 3)) + 1.2 * (y == "bad")[:, None], y

    return *draw(500), *draw(300), *draw(2000)


# --- Task ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "task", "warns"),
    [
        (np.arange(60) % 20, "classification", False),
        (np.arange(60) % 2 * 1.0, "classification", False),
        (np.arange(60) % 7 / 3, "regression", False),
        (np.arange(60), "regression", True),
        (np.arange(66) % 21, "classification", True),
        (np.repeat([f"c{i}" for i in range(30)], 2), "classification", False),
        (np.arange(60) % 2 == 0, "classification", False),
    ],
)
def test_auto_follows_the_type_of_the_target(y, task, warns):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert resolve_task(None, y) == task
    assert len(caught) == warns
    assert not warns or "pass task='" in str(caught[0].message)


def test_the_estimator_or_the_given_task_decides_without_a_warning():
    y = np.arange(60) % 30
    assert resolve_task(Ridge(), y) == "regression"
    assert resolve_task(LogisticRegression(), y) == "classification"
    assert resolve_task(None, y, "regression") == "regression"
    with pytest.raises(ValueError, match="contradicts the estimator, which serves regression"):
        resolve_task(Ridge(), y, "classification")
    with pytest.raises(ValueError, match="needs numbers, but y holds 'a'"):
        resolve_task(None, np.array(["a", "b"]), "regression")


def test_many_classes_warn_once_in_a_fit_and_once_for_all_folds():
    X, y = RNG.normal(size=(130, 2)), np.arange(130) % 26
    ecoval = EcoVal(n_clusters=26, random_state=0)
    for value in (lambda: ecoval.fit(X, y), lambda: cross_value(ecoval, X, y, cv=2)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            value()
        assert len([w for w in caught if "task=" in str(w.message)]) == 1


# --- Class weights ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("class_weight", "classes", "message"),
    [
        ({"z": 1}, np.array(["a", "b"]), "names the label z, which y does not hold"),
        ({"a": -1}, np.array(["a", "b"]), "at least 0"),
        ({"a": 0, "b": 0}, np.array(["a", "b"]), "not all of them 0"),
        ({"a": np.nan}, np.array(["a", "b"]), "finite"),
        ("balanced", None, "the task is regression: leave it None"),
    ],
)
def test_invalid_class_weights_are_refused(class_weight, classes, message):
    with pytest.raises(ValueError, match=message) as caught:
        weigh(class_weight, classes, np.array([0, 1]), np.array([0, 1]))
    assert "\n" not in str(caught.value)


def test_class_weight_of_the_model_is_set_if_none():
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    assert weigh_classes(pipeline, "balanced")[-1].class_weight == "balanced"
    own = LogisticRegression(class_weight={0: 2})
    assert weigh_classes(own, "balanced").class_weight == {0: 2}
    assert isinstance(weigh_classes(KNeighborsClassifier(), "balanced"), KNeighborsClassifier)


def test_the_utility_is_the_mean_over_classes_of_balanced_refits(rare):
    X, y, X_val, y_val, *_ = rare
    model = LogisticRegression(tol=1e-8, max_iter=2000)
    ecoval = EcoVal(model, n_clusters=12, random_state=0, class_weight="balanced")
    ecoval.fit(X, y, X_val, y_val)
    balanced = clone(model).set_params(class_weight="balanced")

    def utility(rest):
        if len(np.unique(y[rest])) < 2:
            return 0.5
        fitted = clone(balanced).fit(X[rest], y[rest])
        proba = fitted.predict_proba(X_val)[np.arange(300), np.searchsorted(fitted.classes_, y_val)]
        return np.mean([proba[y_val == label].mean() for label in ("bad", "good")])

    whole = utility(ecoval.labels_ >= 0)
    assert ecoval.full_score_ == pytest.approx(whole, abs=1e-5)
    assert ecoval.prior_score_ == pytest.approx(0.5)
    assert ecoval.values_.sum() == pytest.approx(ecoval.surplus_)
    for cluster in (0, 5, 11):
        expected = whole - utility(ecoval.labels_ != cluster)
        assert ecoval.cluster_values_[cluster] == pytest.approx(expected, rel=0.01, abs=1e-4)
    check_cluster_consistency(ecoval)
    assert ecoval.estimator_.class_weight == "balanced"
    assert model.class_weight is None


def test_cluster_errors_are_those_of_a_weighted_bootstrap(rare):
    X, y, X_val, y_val, *_ = rare
    ecoval = EcoVal(GaussianNB(), n_clusters=6, random_state=0, class_weight={"bad": 5.0})
    ecoval.fit(X, y, X_val, y_val)
    w = np.where(y_val == "bad", 5.0, 1.0)  # 1 where no weight is named
    truth = np.arange(300), (y_val == "good").astype(int)

    def given(rest):
        if len(np.unique(y[rest])) < 2:
            return (y_val == y[rest][0]).astype(float)
        return GaussianNB().fit(X[rest], y[rest]).predict_proba(X_val)[truth]

    rows = np.random.default_rng(0).integers(300, size=(4000, 300))
    everything = given(ecoval.labels_ >= 0)
    for c in range(6):
        effect = everything - given(ecoval.labels_ != c)
        assert ecoval.cluster_values_[c] == pytest.approx(np.average(effect, weights=w))
        drawn = (effect * w)[rows].sum(axis=1) / w[rows].sum(axis=1)
        assert ecoval.cluster_standard_errors_[c] == pytest.approx(drawn.std(), rel=0.1)


def test_removing_the_lowest_values_spares_the_rare_class_only_with_weights(rare):
    X, y, X_val, y_val, X_test, y_test = rare
    gone, scores = {}, {}
    for weight in (None, "balanced"):
        ecoval = EcoVal(random_state=0, class_weight=weight).fit(X, y, X_val, y_val)
        rest = np.argsort(ecoval.values_)[75:]
        model = LogisticRegression(class_weight="balanced").fit(X[rest], y[rest])
        scores[weight] = balanced_accuracy_score(y_test, model.predict(X_test))
        gone[weight] = 1 - (y[rest] == "bad").sum() / (y == "bad").sum()
    assert gone[None] > 0.5
    assert gone["balanced"] < 0.25
    assert scores["balanced"] > scores[None]


# --- Label quality ---------------------------------------------------------------------------


def test_label_quality_and_suggestions_identify_wrong_labels(cancer, valued_cancer):
    quality, wrong = valued_cancer.label_quality_, cancer.flipped
    issues, suggested = valued_cancer.label_issues_, valued_cancer.suggested_labels_
    assert quality[wrong].max() < np.median(quality[~wrong])
    mended = suggested == cancer.y_clean
    assert mended[wrong].mean() > 0.85
    assert mended[~wrong].mean() > 0.9
    np.testing.assert_allclose(quality, valued_cancer.judged_[np.arange(len(cancer.y)), cancer.y])
    assert set(valued_cancer.judge_weights_) == {"neighbors", "model", "forest"}
    assert issues[wrong].mean() > 0.7
    assert wrong[issues].mean() > 0.8
    assert (suggested[issues] != cancer.y[issues]).all()


def test_label_quality_and_suggestions_of_new_rows_agree_with_each_other(cancer, valued_cancer):
    new = valued_cancer.value_samples(cancer.X_test, cancer.y_test)
    is_same = new.suggested_label == cancer.y_test
    assert is_same.mean() > 0.9
    assert not is_same[new.label_issue].any()
    assert new.label_quality[~is_same].max() < 0.5


def test_targets_are_suggested_for_regression():
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 3))
    y = X[:, 0] * 4 + random.normal(size=300) / 4
    y[:10] += 30
    ecoval = EcoVal(Ridge(), random_state=0).fit(X, y, X[:50], X[:50, 0] * 4)
    assert set(np.argsort(ecoval.label_quality_)[:10]) == set(range(10))
    assert set(range(10)) <= set(np.flatnonzero(ecoval.label_issues_)) <= set(range(16))
    assert np.abs(ecoval.suggested_labels_[:10] - X[:10, 0] * 4).max() < 8


# --- What used to break ----------------------------------------------------------------------


def test_a_search_over_penalties_is_refitted_from_scratch(cancer):
    model = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=[0.1, 1], cv=2, max_iter=5000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        ecoval = EcoVal(model, n_clusters=4, random_state=0)
        ecoval.fit(cancer.X[:100], cancer.y[:100], cancer.X_val, cancer.y_val)
    assert ecoval.values_.sum() == pytest.approx(ecoval.surplus_)


class Locked(GaussianNB):
    """Does not pickle once fitted."""

    def fit(self, X, y):
        self.lock_ = threading.Lock()
        return super().fit(X, y)


def test_a_model_that_does_not_pickle_serves_in_one_process(cancer):
    data = cancer.X[:100], cancer.y[:100], cancer.X_val, cancer.y_val
    locked, plain = (
        EcoVal(m, n_clusters=6, random_state=0).fit(*data) for m in (Locked(), GaussianNB())
    )
    np.testing.assert_allclose(locked.values_, plain.values_, rtol=1e-6, atol=1e-9)
    assert np.isfinite(locked.value_samples(cancer.X_test, cancer.y_test).value).all()


def test_targets_of_the_validation_rows_may_be_a_column_or_a_frame(cancer):
    def values(y_val):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataConversionWarning)
            ecoval = EcoVal(GaussianNB(), n_clusters=6, random_state=0)
            return ecoval.fit(cancer.X[:100], cancer.y[:100], cancer.X_val, y_val).values_

    expected = values(cancer.y_val)
    for same in (cancer.y_val[:, None], pd.DataFrame({"y": cancer.y_val}), cancer.y_val.tolist()):
        assert np.array_equal(values(same), expected)
    with pytest.raises(ValueError, match="1d array"):
        values(np.column_stack([cancer.y_val, cancer.y_val]))


@pytest.mark.parametrize("power", [99, 101])
@pytest.mark.parametrize("name", ["X", "y"])
def test_huge_numbers_give_finite_values_or_one_clear_error(power, name):
    X, y = RNG.normal(size=(80, 3)), RNG.normal(size=80)
    X, y = (X * 10.0**power, y) if name == "X" else (X, y * 10.0**power)
    ecoval = EcoVal(n_clusters=8, random_state=0)
    if power > 99:
        with pytest.raises(ValueError, match=rf"^{name} holds a number of size .* divide by"):
            ecoval.fit(X, y, X[:20], y[:20])
        return
    with np.errstate(over="ignore"):
        ecoval.fit(X, y, X[:20], y[:20])
    assert np.isfinite([ecoval.values_, ecoval.standard_errors_]).all()
    assert np.isfinite(ecoval.value_samples(X[:5], y[:5]).value).all()
