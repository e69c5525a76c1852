import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    r2_score,
    recall_score,
    roc_auc_score,
)
from sklearn.svm import LinearSVC

from ecoval_core.evaluation.measures import (
    Prediction,
    compare,
    draw_rows,
    main_measure,
    measure,
    predict,
)


def some_predictions(n_classes, n=200, seed=0):
    random = np.random.default_rng(seed)
    y = random.integers(n_classes, size=n)
    scores = random.random((n, n_classes)).round(1) + 0.4 * np.eye(n_classes)[y]
    scores /= scores.sum(axis=1, keepdims=True)
    return y, Prediction(scores.argmax(axis=1), scores, np.arange(n_classes))


@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_every_measure_is_scikit_learn_s_for_the_rows_and_for_any_draw_of_them(n_classes):
    y, prediction = some_predictions(n_classes)
    draws = np.vstack([np.ones(len(y)), draw_rows(len(y), 3, 4)])
    result = measure(y, prediction, draws)
    p, scores = prediction.predicted, prediction.scores
    for d, weight in enumerate(draws):
        weights = {"sample_weight": weight}
        recalls = recall_score(y, p, average=None, **weights)
        areas = [roc_auc_score(y == c, scores[:, c], **weights) for c in range(n_classes)]
        expected = {
            "accuracy": accuracy_score(y, p, **weights),
            "balanced_accuracy": balanced_accuracy_score(y, p, **weights),
            "roc_auc": np.mean(areas),
        } | {f"recall: {c}": recall for c, recall in enumerate(recalls)}
        assert {name: result[name][d] for name in expected} == pytest.approx(expected)


def test_amounts_are_measured_by_r2_whatever_their_size():
    random = np.random.default_rng(0)
    y = 1e90 * random.normal(size=80)
    prediction = Prediction(y + 1e89 * random.normal(size=80))
    draws = np.vstack([np.ones(80), draw_rows(80, 1, 2)])
    predicted = prediction.predicted / 1e90
    expected = [r2_score(y / 1e90, predicted, sample_weight=weight) for weight in draws]
    assert measure(y, prediction, draws)["r2"] == pytest.approx(expected)


def test_a_draw_without_a_class_says_nothing_of_it():
    y = np.array([0, 0, 0, 1])
    prediction = Prediction(np.array([0, 0, 1, 1]))
    result = measure(y, prediction, np.array([[1.0, 1, 2, 0]]))
    assert np.isnan(result["recall: 1"][0])
    assert result["balanced_accuracy"][0] == pytest.approx(0.5)
    assert "roc_auc" not in result


def test_the_interval_is_that_of_a_paired_bootstrap_of_the_test_rows():
    y, before = some_predictions(2, 150, 1)
    _, after = some_predictions(2, 150, 2)
    predicted = np.where(np.arange(150) < 110, y, before.predicted)
    after = Prediction(predicted, after.scores, after.classes)
    change = next(c for c in compare(y, before, after, 0) if c.measure == "accuracy")
    random = np.random.default_rng(5)
    gain = (after.predicted == y).astype(float) - (before.predicted == y)
    drawn = [gain[random.integers(150, size=150)].mean() for _ in range(4000)]
    assert change.difference == pytest.approx(gain.mean())
    assert change.low == pytest.approx(np.quantile(drawn, 0.05), abs=0.012)
    assert change.high == pytest.approx(np.quantile(drawn, 0.95), abs=0.012)
    assert change.low < change.difference < change.high


def test_denominators_are_the_rows_that_a_measure_counts():
    y, prediction = some_predictions(3)
    result = {c.measure: c.n_test for c in compare(y, prediction, prediction)}
    assert result["accuracy"] == 200
    assert [result[f"recall: {c}"] for c in range(3)] == np.bincount(y).tolist()


def test_models_with_and_without_probabilities_are_ranked_and_lost_classes_score_lowest(cancer):
    classes = np.array([0, 1, 2])
    for model in (LogisticRegression(max_iter=1000), LinearSVC()):
        result = predict(model, cancer.X, cancer.y, cancer.X_test, classes, "")
        assert result.scores.shape == (len(cancer.y_test), 3)
        assert (result.scores[:, 2] == result.scores.min()).all()
        area = measure(cancer.y_test, result, np.ones((1, len(cancer.y_test))))["roc_auc"][0]
        assert area > 0.9


def test_the_main_measure_follows_task_and_balance():
    assert main_measure("regression") == "r2"
    assert main_measure("classification") == "accuracy"
    assert main_measure("classification", balanced=True) == "balanced_accuracy"
