from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import is_classifier, is_regressor
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ecoval_core import EcoVal
from ecoval_core.models.catalog import make_model, models_for
from ecoval_core.valuation import planning
from ecoval_core.valuation.planning import cluster_bounds, count_fits, estimate_seconds


class CountedFits(GaussianNB):
    fits = 0

    def fit(self, X, y, sample_weight=None):
        CountedFits.fits += 1
        return super().fit(X, y)


def test_counted_fits_are_the_fits_done(cancer):
    CountedFits.fits = 0
    EcoVal(CountedFits(), n_clusters=9).fit(cancer.X, cancer.y, cancer.X_val, cancer.y_val)
    assert CountedFits.fits == count_fits(9)


def test_bounds_are_the_classes_and_the_points(digits):
    assert cluster_bounds(digits.y, "classification") == (10, 600)
    assert cluster_bounds(np.arange(100.0), "regression") == (5, 100)


@pytest.fixture
def unit_clock(monkeypatch):
    """Let every step that is timed take one second."""
    monkeypatch.setattr(planning, "time", SimpleNamespace(perf_counter=count().__next__))


def test_clusters_that_need_no_refits_are_timed_together_and_folds_one_by_one(cancer, unit_clock):
    data = GaussianNB(), cancer.X, cancer.y, cancer.X_val, 30
    expected = count_fits(0) + 30 / planning.N_TIMED_REFITS + 4
    assert estimate_seconds(*data) == pytest.approx(expected)
    assert estimate_seconds(*data, n_folds=5) == pytest.approx(5 * expected)
    assert count_fits(9, 5) == 5 * count_fits(9)


@pytest.mark.parametrize(
    ("n_clusters", "stages"), [(1, 4), (2, 4), (10, 4), (200, 200 / 125 + 3), (250, 4)]
)
def test_any_granularity_and_task_can_be_estimated(cancer, unit_clock, n_clusters, stages):
    tree, regressor = DecisionTreeClassifier(), DecisionTreeRegressor()
    for model, y in ((tree, cancer.y), (regressor, cancer.y * 1.5)):
        found = estimate_seconds(model, cancer.X, y, cancer.X_val, n_clusters)
        assert found == pytest.approx(count_fits(n_clusters) + stages)


@pytest.mark.parametrize(
    ("task", "is_of_task"), [("classification", is_classifier), ("regression", is_regressor)]
)
def test_models_are_offered_by_task_and_seeded(task, is_of_task):
    assert all(is_of_task(make_model(key, task)) for key in models_for(task))
    assert make_model("random_forest", task, random_state=5).random_state == 5
    missing, first = {
        "classification": ("ridge", "logistic_regression"),
        "regression": ("naive_bayes", "ridge"),
    }[task]
    assert next(iter(models_for(task))) == first
    with pytest.raises(ValueError, match=f"No model '{missing}' for {task}; choose from {first}"):
        make_model(missing, task)
