import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss
from sklearn.svm import LinearSVC

from ecoval_core.valuation.scoring import (
    Scale,
    available_scorings,
    check_scoring,
    model_output,
    prior_scores,
    sample_scores,
)


@pytest.mark.parametrize(
    ("scoring", "metric"),
    [
        ("accuracy", lambda codes, output: accuracy_score(codes, output.argmax(axis=1))),
        ("log_loss", lambda codes, output: -log_loss(codes, output)),
        ("brier", lambda codes, output: -brier_score_loss(codes, output, scale_by_half=False)),
    ],
)
def test_scores_average_to_scikit_learns_metrics(scoring, metric):
    random = np.random.default_rng(0)
    output = random.dirichlet([1, 2, 3], size=200) * 0.97 + 0.01
    codes, scale = random.integers(3, size=200), Scale.of(np.arange(30) % 3, "classification")
    found = sample_scores(output, codes, scoring, scale).mean()
    assert found == pytest.approx(metric(codes, output))


def test_log_loss_is_clipped():
    scale = Scale.of(np.array([0, 1]), "classification")
    score = sample_scores(np.array([[1.0, 0.0]]), np.array([1]), "log_loss", scale)
    assert score == pytest.approx(np.log(1e-3))


def test_regression_scores_are_in_units_of_the_training_target_and_clipped():
    scale = Scale.of(np.array([0.0, 20.0]), "regression")
    output = np.array([[10.0], [0.0], [-1e9]])
    truth = np.array([10.0, 5.0, 0.0])
    assert sample_scores(output, truth, "squared_error", scale).tolist() == [0, -0.25, -4]
    assert sample_scores(output, truth, "absolute_error", scale).tolist() == [0, -0.5, -2]


def test_the_prior_predictor_scores_class_frequencies_or_the_mean():
    scale = Scale.of(np.array([0, 0, 0, 1]), "classification")
    assert prior_scores(np.array([0, 1]), "probability", scale).tolist() == [0.75, 0.25]
    scale = Scale.of(np.array([1.0, 3.0]), "regression")
    assert prior_scores(np.array([2.0, 3.0]), "squared_error", scale).tolist() == [0, -1]


def test_outputs_are_aligned_to_classes_that_the_model_never_saw():
    X = np.arange(20.0)[:, None]
    classes = np.array(["a", "b", "c"])
    model = LogisticRegression().fit(X, np.where(X[:, 0] < 10, "a", "c"))
    output = model_output(model, X, classes)
    assert (output[:, 1] == 0).all()
    np.testing.assert_allclose(output[:, [0, 2]], model.predict_proba(X))
    without = LinearSVC().fit(X, np.where(X[:, 0] < 10, "a", "c"))
    hard = model_output(without, X, classes)
    assert (classes[hard.argmax(axis=1)] == without.predict(X)).all()
    target = model_output(LinearRegression().fit(X, 3 * X[:, 0]), X, None)
    np.testing.assert_allclose(target[:, 0], 3 * X[:, 0], atol=1e-9)


def test_a_model_without_probabilities_can_offer_accuracy_only():
    assert available_scorings("classification", has_proba=False) == ("accuracy",)
    with pytest.raises(ValueError, match="no predict_proba; choose from accuracy"):
        check_scoring("brier", "classification", has_proba=False)
    with pytest.raises(ValueError, match="does not fit regression; choose from squared_error"):
        check_scoring("accuracy", "regression")
    assert check_scoring(None, "regression") == "squared_error"
