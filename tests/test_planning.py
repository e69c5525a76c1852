import time

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB

from ecoval_core import EcoVal
from ecoval_core.models import MODELS, make_model, models_for
from ecoval_core.planning import cluster_bounds, count_fits, estimate_seconds


class CountedFits(GaussianNB):
    fits = 0

    def fit(self, X, y, sample_weight=None):
        CountedFits.fits += 1
        return super().fit(X, y)


def test_the_fits_told_are_the_fits_done(cancer):
    CountedFits.fits = 0
    EcoVal(CountedFits(), n_clusters=9).fit(cancer.X, cancer.y, cancer.X_val, cancer.y_val)
    assert CountedFits.fits == count_fits(9)


def test_bounds_are_the_classes_and_the_points(digits):
    assert cluster_bounds(digits.y, "classification") == (10, 600)
    assert cluster_bounds(np.arange(100.0), "regression") == (5, 100)


class Sleeps(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        time.sleep(0.02)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def test_the_estimate_scales_one_timed_fit_by_their_number(cancer):
    def seconds(n_clusters, n_jobs=1):
        return estimate_seconds(
            Sleeps(), cancer.X, cancer.y, cancer.X_val, n_clusters, n_jobs=n_jobs
        )

    # A sleep can last longer, never shorter.
    assert seconds(10) >= 0.02 * count_fits(10)
    assert seconds(30, n_jobs=2) >= 0.02 * (1 + 35 / 2)


def test_the_estimate_is_near_the_time_taken(digits):
    model = make_model("logistic_regression", random_state=0)
    told = estimate_seconds(model, digits.X, digits.y, digits.X_val, 60)
    started = time.perf_counter()
    EcoVal(model, n_clusters=60, random_state=0).fit(digits.X, digits.y, digits.X_val, digits.y_val)
    taken = time.perf_counter() - started
    # Wide, since other work on the machine slows one of the two.
    assert taken / 4 < told < taken * 4


def test_folds_multiply_fits_and_time(cancer):
    assert count_fits(9, 5) == 5 * count_fits(9)
    once, folds = (
        estimate_seconds(Sleeps(), cancer.X, cancer.y, cancer.X_val, 10, n_folds=n) for n in (1, 5)
    )
    assert 3 < folds / once < 8


@pytest.mark.parametrize("n_clusters", [1, 2, 200, 250])
def test_any_granularity_and_task_can_be_estimated(cancer, n_clusters):
    data = cancer.X, cancer.y, cancer.X_val
    assert estimate_seconds(GaussianNB(), *data, n_clusters) > 0
    assert estimate_seconds(Ridge(), cancer.X, cancer.y * 1.5, cancer.X_val, n_clusters) > 0


def test_models_are_offered_by_task_and_seeded():
    assert next(iter(models_for("classification"))) == "logistic_regression"
    assert "naive_bayes" not in models_for("regression")
    assert make_model("random_forest", random_state=5).random_state == 5
    assert isinstance(make_model("logistic_regression"), LogisticRegression)
    for key in MODELS:
        for task in ("classification", "regression"):
            if key in models_for(task):
                assert hasattr(make_model(key, task), "fit")
    with pytest.raises(ValueError, match="No model 'ridge' for classification; choose from"):
        make_model("ridge")
