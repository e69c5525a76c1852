"""Baselines and the benchmarks' peer against games and tables with known answers, and other libraries."""

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import BaggingClassifier, BaggingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ecoval_core import Cancelled, EcoVal, cross_value
from ecoval_core.evaluation.baselines import (
    BASELINES,
    baseline_values,
    cross_baseline_values,
    estimate_baseline_seconds,
)
from ecoval_core.evaluation.peers import (
    data_oob_values,
    knn_shapley_regression_values,
    leave_one_out_values,
    self_confidence_values,
)
from ecoval_core.models.catalog import weigh_classes
from ecoval_core.valuation.quality import identical_rows, make_folds
from ecoval_core.valuation.scoring import Scale
from tests.test_games import shapley

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from peers import tmc_shapley_values


def blobs(n_rows, flipped, seed=0):
    random = np.random.default_rng(seed)
    y = np.arange(n_rows) % 2
    X = random.normal(size=(n_rows, 2)) + 6 * y[:, None]
    y[flipped] = 1 - y[flipped]
    return X, y


def slopes(n_rows, seed=0):
    random = np.random.default_rng(seed)
    X = random.normal(size=(n_rows, 3))
    return X, X @ [3.0, -2.0, 0.5] + random.normal(size=n_rows)


# --- KNN-Shapley of amounts ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_rows", "n_neighbors"), [(1, 1), (2, 5), (8, 1), (8, 3), (8, 8), (7, 20)]
)
def test_knn_shapley_of_amounts_is_the_shapley_value_of_the_regression_game(n_rows, n_neighbors):
    random = np.random.default_rng(n_neighbors)
    X, X_val = random.normal(size=(n_rows, 2)), random.normal(size=(4, 2))
    y, y_val = random.normal(20, 3, n_rows), random.normal(20, 3, 4)
    deviation = y.std() or 1.0

    def worth(coalition):
        rows = np.array(coalition, dtype=int)
        gaps = ((X[rows][:, None] - X_val) ** 2).sum(axis=-1)
        nearest = rows[gaps.argsort(axis=0)[:n_neighbors]] if len(rows) else np.empty((0, 4), int)
        predicted = y.mean() + (y[nearest] - y.mean()).sum(axis=0) / n_neighbors
        return -(((predicted - y_val) / deviation) ** 2).mean()

    ours = knn_shapley_regression_values(X, y, X_val, y_val, n_neighbors=n_neighbors)
    np.testing.assert_allclose(ours, shapley(n_rows, worth), atol=1e-12)


# --- Leave-one-out ---------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"scoring": "brier", "class_weight": "balanced"}])
def test_leave_one_out_is_ecoval_s_first_stage_at_its_finest(settings):
    X, y = blobs(40, [3, 11, 20], seed=3)
    X_val, y_val = blobs(30, [4], seed=4)
    y_val[:6] = 1
    rows, model = (X, y, X_val, y_val), RandomForestClassifier(5)
    finest = EcoVal(model, n_clusters=40, random_state=7, **settings).fit(*rows)
    weighted = weigh_classes(RandomForestClassifier(5), settings.get("class_weight"))
    ours = baseline_values("leave_one_out", weighted, *rows, random_state=7, **settings)
    np.testing.assert_allclose(ours, finest.cluster_values_[finest.labels_], atol=1e-12)


def test_leave_one_out_of_amounts_is_the_loss_of_a_refit_without_the_row():
    X, y = slopes(20)
    X_val, y_val = slopes(15, seed=1)

    def utility(rows):
        error = (y_val - Ridge().fit(X[rows], y[rows]).predict(X_val)) / y.std()
        return -np.minimum(error**2, 4).mean()

    everything = np.arange(20)
    expected = [utility(everything) - utility(np.delete(everything, row)) for row in everything]
    ours = leave_one_out_values(Ridge(), X, y, X_val, y_val)
    np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_leave_one_out_of_the_only_row_of_a_class_is_the_largest():
    X, y = slopes(20)[0], np.where(np.arange(20) == 4, "rare", "common")
    values = leave_one_out_values(LogisticRegression(), X, y, slopes(15, seed=1)[0], y[:15])
    assert np.argmax(np.abs(values)) == 4


# --- Data-OOB --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_trees", [25, 60])
def test_data_oob_is_the_out_of_bag_probability_of_scikit_learn(n_trees):
    X, y = blobs(60, [0, 7, 30, 41])
    bags = BaggingClassifier(DecisionTreeClassifier(), n_trees, oob_score=True, random_state=3).fit(
        X, y
    )
    for labels in (y, np.array(["no", "yes"])[y]):
        ours = data_oob_values(X, labels, n_trees=n_trees, random_state=3)
        np.testing.assert_allclose(ours, bags.oob_decision_function_[np.arange(60), y], atol=1e-12)


def test_data_oob_of_amounts_is_the_squared_error_out_of_bag():
    X, y = slopes(50)
    bags = BaggingRegressor(DecisionTreeRegressor(), 40, oob_score=True, random_state=3).fit(X, y)
    predicted = np.full((40, 50), np.nan)
    for tree, bag, row in zip(bags.estimators_, bags.estimators_samples_, predicted, strict=True):
        out = ~np.isin(np.arange(50), bag)
        row[out] = tree.predict(X[out])
    np.testing.assert_allclose(np.nanmean(predicted, axis=0), bags.oob_prediction_)
    expected = -np.nanmean((predicted - y) ** 2, axis=0) / y.var()
    ours = data_oob_values(X, y, task="regression", n_trees=40, random_state=3)
    np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_rows_in_every_bag_get_the_mean_of_the_others():
    X, y = blobs(12, [])
    values = data_oob_values(X, y, n_trees=1, random_state=0)
    bag = BaggingClassifier(DecisionTreeClassifier(), 1, random_state=0).fit(X, y)
    inside = np.unique(bag.estimators_samples_[0])
    np.testing.assert_array_equal(values[inside], np.delete(values, inside).mean())


# --- Self-confidence -------------------------------------------------------------------------


def out_of_fold(model, X, y, task, method, seed):
    codes = np.unique(y, return_inverse=True)[1] if task == "classification" else y
    drawn = int(np.random.RandomState(seed).randint(np.iinfo(np.int32).max))
    folds = make_folds(identical_rows(X, codes), codes, Scale.of(codes, task), drawn)
    assert len(np.unique(folds)) == 5
    return cross_val_predict(model, X, y, cv=PredefinedSplit(folds), method=method)


def test_self_confidence_is_scikit_learn_s_out_of_fold_probability():
    X, y = blobs(60, [1, 2, 30])
    proba = out_of_fold(LogisticRegression(), X, y, "classification", "predict_proba", 5)
    ours = self_confidence_values(LogisticRegression(), X, np.array(["b", "a"])[y], random_state=5)
    np.testing.assert_allclose(ours, proba[np.arange(60), y], atol=1e-6)


def test_self_confidence_without_probabilities_and_of_amounts():
    X, y = blobs(60, [1, 2, 30])
    predicted = out_of_fold(RidgeClassifier(), X, y, "classification", "predict", 0)
    ours = self_confidence_values(RidgeClassifier(), X, y, random_state=0)
    np.testing.assert_array_equal(ours, predicted == y)
    assert 0 < ours.sum() < 60
    X, y = slopes(40)
    predicted = out_of_fold(Ridge(), X, y, "regression", "predict", 0)
    ours = self_confidence_values(Ridge(), X, y, random_state=0)
    np.testing.assert_allclose(ours, -np.abs(y - predicted) / y.std(), atol=1e-12)


# --- The registry ----------------------------------------------------------------------------


@pytest.mark.parametrize("key", BASELINES)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_baseline_values_every_row_reproducibly(key, task):
    if task == "classification":
        model, rows, held_out = GaussianNB(), blobs(50, [4, 9]), blobs(20, [])
    else:
        model, rows, held_out = Ridge(), slopes(50), slopes(20)
    values = baseline_values(key, model, *rows, *held_out, random_state=3)
    assert values.shape == (50,)
    assert np.isfinite(values).all()
    assert len(np.unique(values)) > 5
    if BASELINES[key].needs_validation:
        with pytest.raises(ValueError, match=f"{BASELINES[key].title} needs validation rows"):
            baseline_values(key, model, *rows)
    else:
        held_out = ()
    again = baseline_values(key, model, *rows, *held_out, random_state=3)
    np.testing.assert_array_equal(values, again)


@pytest.mark.parametrize("key", [key for key in BASELINES if key != "random"])
def test_baseline_reports_steps_and_stops(key):
    X, y = blobs(30, [4])
    steps, rows = [], (GaussianNB(), X, y, X, y)
    baseline_values(key, *rows, progress=lambda *step: steps.append(step))
    assert steps == [(done, len(steps)) for done in range(1, len(steps) + 1)]
    started = []
    settings = {
        "progress": lambda *step: started.append(step),
        "should_stop": lambda: bool(started),
    }
    with pytest.raises(Cancelled):
        baseline_values(key, *rows, **settings)
    assert 1 <= len(started) <= max(3, len(steps) // 2)


@pytest.mark.parametrize("key", BASELINES)
@pytest.mark.slow
def test_cross_baseline_is_mean_over_folds_that_train_on_the_row(key):
    X, y = blobs(40, [3, 4])
    model, steps = GaussianNB(), []
    fold = cross_value(EcoVal(model, random_state=0), X, y, 4).fold_
    cross_baseline_values(key, model, X, y, fold, progress=lambda *step: steps.append(step))
    assert steps == [(done, len(steps)) for done in range(1, len(steps) + 1)]
    fold[7] = -1
    ours = cross_baseline_values(key, model, X, y, fold, random_state=2)
    expected = np.zeros(40)
    if not BASELINES[key].needs_validation:
        expected = baseline_values(key, model, X, y, random_state=2)
    else:
        for number in range(4):
            train, held = fold != number, fold == number
            rows = X[train], y[train], X[held], y[held]
            expected[train] += baseline_values(key, model, *rows, random_state=2) / 4
    np.testing.assert_allclose(ours, expected, atol=1e-15)


def test_estimate_extrapolates_the_steps_done(monkeypatch):
    clock = iter(np.arange(0.0, 1e6, 0.25))
    time = "ecoval_core.evaluation.baselines.time.perf_counter"
    monkeypatch.setattr(time, lambda: float(next(clock)))
    X, y = blobs(30, [])
    rows = ("leave_one_out", GaussianNB(), X, y, X, y)
    # A quarter of a second a look at the clock, one look a step: 31 fits.
    assert estimate_baseline_seconds(*rows, enough=1.0) == pytest.approx(31 * 0.25)
    assert estimate_baseline_seconds(*rows, enough=1.0, n_folds=5) == pytest.approx(5 * 31 * 0.25)
    # Where all is done before that, the time is what it took: 31 looks and one at the end.
    assert estimate_baseline_seconds(*rows, enough=100.0) == pytest.approx(32 * 0.25)


# --- Truncated Monte Carlo Shapley -----------------------------------------------------------


def test_monte_carlo_shapley_of_a_model_shares_its_surplus_and_finds_wrong_labels():
    flipped = np.array([3, 8, 21])
    X, y = blobs(30, flipped)
    X_val, y_val = blobs(20, [], seed=1)
    model = LogisticRegression()
    sampled = tmc_shapley_values(
        model, X, y, X_val, y_val, tolerance=0.0, max_permutations=6, random_state=0
    )
    probability = model.fit(X, y).predict_proba(X_val)[np.arange(20), y_val]
    prior = np.bincount(y)[y_val] / 30
    assert sampled.values.sum() == pytest.approx(probability.mean() - prior.mean(), abs=1e-3)
    assert set(np.argsort(sampled.values)[:3]) == set(flipped)
