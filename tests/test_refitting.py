import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from ecoval_core.models.catalog import RefitError, seed_estimator
from ecoval_core.models.parallel import Cancelled, Monitor
from ecoval_core.valuation.clustering import cluster_groups
from ecoval_core.valuation.problem import make_problem, sample_by_cluster
from ecoval_core.valuation.refitting import leave_clusters_out


def problem_of(data, model):
    return make_problem(model, data.X, data.y, data.X_val, data.y_val, np.unique(data.y))


@pytest.fixture(scope="module")
def labels(cancer):
    return cluster_groups(cancer.X, cancer.y, 8, 0).labels


MODELS = [
    LogisticRegression(tol=1e-8, max_iter=2000),
    make_pipeline(PCA(5), LogisticRegression(tol=1e-8, max_iter=2000)),
    RandomForestClassifier(20, random_state=0),
    HistGradientBoostingClassifier(max_iter=10, random_state=0),
    GaussianNB(),
    # Training that was cut short must not go on in the refits.
    LogisticRegression(max_iter=3),
    MLPClassifier((16,), max_iter=15),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_effects_are_those_of_refits_from_scratch(cancer, labels, model):
    model = seed_estimator(model, 0)
    result = leave_clusters_out(problem_of(cancer, model), labels)
    rows = np.arange(len(cancer.y_val))
    full = model.fit(cancer.X, cancer.y).predict_proba(cancer.X_val)[rows, cancer.y_val]
    for cluster in range(labels.max() + 1):
        rest = labels != cluster
        without = model.fit(cancer.X[rest], cancer.y[rest])
        expected = full - without.predict_proba(cancer.X_val)[rows, cancer.y_val]
        np.testing.assert_allclose(result.effects[cluster], expected, atol=2e-3)
        own = without.predict_proba(cancer.X[~rest])
        np.testing.assert_allclose(result.output_own[~rest], own, atol=2e-3)
    assert np.abs(result.effects).max() > 1e-3


def test_a_cluster_that_holds_the_last_points_of_a_class_is_refitted_cold(digits):
    result = leave_clusters_out(problem_of(digits, LogisticRegression(max_iter=1000)), digits.y)
    for digit in range(10):
        assert (result.output_val[digit][:, digit] == 0).all()
        assert result.effects[digit][digits.y_val == digit].mean() > 0.3


class ThreadCounter(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.threads_ = max(pool["num_threads"] for pool in threadpool_info())
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), self.threads_ / 100)


def test_every_fit_is_held_to_one_thread(cancer, labels):
    # The tests as a whole run on one thread: the limit shows where more are allowed.
    with threadpool_limits(2):
        result = leave_clusters_out(problem_of(cancer, ThreadCounter()), labels)
    assert (result.output_val == np.float32(0.01)).all()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_stop_is_heeded_between_fits(cancer, labels, n_jobs):
    steps = []
    monitor = Monitor(lambda done, total: steps.append(done), lambda: len(steps) >= 3)
    with pytest.raises(Cancelled):
        leave_clusters_out(problem_of(cancer, GaussianNB()), labels, n_jobs=n_jobs, monitor=monitor)
    assert steps == [1, 2, 3]


class RefusesSmall(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        if len(X) < 250:
            raise RuntimeError("I want 250 rows")
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def test_a_model_that_fails_without_a_cluster_is_named_with_its_own_words(cancer, labels):
    with pytest.raises(
        RefitError, match=r"RefusesSmall could not be fitted without cluster 0 \(.*I want"
    ):
        leave_clusters_out(problem_of(cancer, RefusesSmall()), labels)


def test_random_states_left_to_chance_are_set_and_others_kept():
    seeded = seed_estimator(make_pipeline(StandardScaler(), RandomForestClassifier()), 7)
    assert seeded[-1].random_state == 7
    assert seed_estimator(RandomForestClassifier(random_state=3), 7).random_state == 3


def test_the_fitted_sample_is_stratified_by_cluster():
    labels = np.repeat([0, 1, 2], [6000, 3000, 3])
    rows = sample_by_cluster(labels, 900, 0)
    assert np.bincount(labels[rows]).tolist() == [600, 300, 1]
    assert len(np.unique(rows)) == len(rows)
    assert np.array_equal(sample_by_cluster(labels, 10_000, 0), np.arange(9003))
