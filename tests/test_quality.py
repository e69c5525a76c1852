import numpy as np
import pytest
from scipy.optimize import nnls
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from ecoval_core.valuation import quality
from ecoval_core.valuation.quality import (
    SMOOTHING,
    IssueRule,
    Pool,
    identical_rows,
    make_folds,
    nearest_neighbors,
    neighbor_output,
)
from ecoval_core.valuation.scoring import Scale


def test_identical_rows_are_found_by_features_and_label():
    X = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [2.0, 1.0]])
    assert identical_rows(X, np.array([0, 0, 1, 0])).tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_folds_keep_identical_rows_together_and_classes_spread(task):
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 2)
    codes = np.repeat(random.integers(3, size=50), 2)
    folds = make_folds(groups, codes, Scale.of(codes, task), 0)
    assert (folds[::2] == folds[1::2]).all()
    assert np.bincount(folds).tolist() == [20] * 5
    if task == "classification":
        per_class = np.array([np.bincount(folds[codes == c], minlength=5) for c in range(3)])
        assert np.ptp(per_class, axis=1).max() <= 2


def test_neighbours_judge_by_their_shares_or_their_median():
    scale = Scale.of(np.array([0, 1, 2]), "classification")
    result = neighbor_output(np.array([[0, 0, 1, 2], [2, 2, 2, 2]]), scale)
    assert result.tolist() == [[0.5, 0.25, 0.25], [0, 0, 1]]
    scale = Scale.of(np.array([0.0, 10.0]), "regression")
    assert neighbor_output(np.array([[1.0, 2.0, 90.0]]), scale).tolist() == [[2.0]]


def judges_of(codes, skills, seed=0):
    """Judges of two classes, of falling skill; one of none knows nothing."""
    random = np.random.default_rng(seed)
    logits = (random.normal(size=(len(codes), 2)) + skill * np.eye(2)[codes] for skill in skills)
    return [softmax(each, axis=1) for each in logits]


def test_two_classes_are_pooled_as_a_logistic_regression_on_log_odds_would():
    codes = np.random.default_rng(1).integers(2, size=500)
    outputs = judges_of(codes, (1.5, 0.7, 0.1))
    pool = Pool.fit(outputs, codes, Scale.of(codes, "classification"))
    smoothed = [(1 - SMOOTHING) * p + SMOOTHING / 2 for p in outputs]
    odds = np.column_stack([np.log(p[:, 1] / p[:, 0]) for p in smoothed])
    model = LogisticRegression(C=1e12, fit_intercept=False, tol=1e-10).fit(odds, codes)
    np.testing.assert_allclose(pool.weights, np.maximum(model.coef_[0], 0), atol=5e-3)
    given = pool.label_quality(pool.output(outputs), codes)
    expected = model.predict_proba(odds)[np.arange(500), codes]
    np.testing.assert_allclose(given, expected, atol=5e-3)


def test_labels_that_nobody_can_predict_leave_every_judge_an_equal_say():
    codes = np.random.default_rng(3).integers(2, size=400)
    outputs = judges_of(codes, (-3.0, -3.0, -3.0))
    weights = Pool.fit(outputs, codes, Scale.of(codes, "classification")).weights
    np.testing.assert_allclose(weights, 1 / 3)


def test_quality_is_relative_to_the_likeliest_label_after_the_priors_are_divided_out():
    scale = Scale.of(np.array([0] * 9 + [1]), "classification")
    pool = Pool(scale, np.ones(1))
    pooled, codes = np.array([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 1])
    np.testing.assert_allclose(pool.label_quality(pooled, codes), [0.8, 0.2])
    np.testing.assert_allclose(pool.quality(pooled, codes), [1, 0.25])
    # Ten times rarer: a fifth of the probability is more than its share.
    result = pool.quality(pooled, codes, np.array([1 / 0.9, 1 / 0.1]))
    np.testing.assert_allclose(result, [0.8 / 0.9 / 2, 1])


def test_predictions_are_pooled_by_non_negative_least_squares():
    random = np.random.default_rng(0)
    y = random.normal(50, 7, size=300)
    outputs = [(y + random.normal(0, s, size=300))[:, None] for s in (2.0, 6.0, 50.0)]
    scale = Scale.of(y, "regression")
    pool = Pool.fit(outputs, y, scale)
    design = np.column_stack([p[:, 0] - y.mean() for p in outputs])
    expected, _ = nnls(design, y - y.mean())
    np.testing.assert_allclose(pool.weights, expected, atol=1e-8)
    pooled = pool.output(outputs)
    np.testing.assert_allclose(pooled[:, 0], y.mean() + design @ expected, atol=1e-8)
    residual = np.abs(y - pooled[:, 0])
    result = pool.label_quality(pooled, y)
    np.testing.assert_allclose(
        result, np.exp(-residual / (2 * 1.4826 * np.median(residual))), rtol=1e-9
    )
    assert (pool.quality(pooled, y, None) == result).all()


def test_neighbours_leave_the_point_itself_out():
    X = np.array([[0.0], [1.0], [3.0]])
    assert nearest_neighbors(X, 10).tolist() == [[1, 2], [0, 2], [1, 0]]
    assert nearest_neighbors(X, 1, np.array([[2.9]])).tolist() == [[2]]


def test_neighbours_come_from_a_sample_where_there_are_too_many(monkeypatch):
    X = np.random.default_rng(0).normal(size=(400, 2))
    exact = nearest_neighbors(X, 3)
    monkeypatch.setattr(quality, "MAX_REFERENCE_POINTS", 399)
    nearly = nearest_neighbors(X, 3)
    assert nearly.shape == (400, 3)
    assert (nearly != np.arange(400)[:, None]).all()
    assert (nearly == exact).all(axis=1).mean() > 0.9
    monkeypatch.setattr(quality, "MAX_REFERENCE_POINTS", 50)
    sampled = nearest_neighbors(X, 3, seed=1)
    assert len(np.unique(sampled)) <= 50
    assert np.array_equal(sampled, nearest_neighbors(X, 3, seed=1))
    new = nearest_neighbors(X, 3, X[:5], seed=1)
    gaps = np.linalg.norm(X[new] - X[:5, None], axis=2)
    assert (np.diff(gaps, axis=1) >= 0).all()


def test_an_issue_is_below_its_class_and_confidently_another():
    first, codes = np.array([0.9, 1.0, 0.95, 0.35, 0.55, 0.75, 0.2]), np.repeat([0, 1], [4, 3])
    judged = np.column_stack([first, 1 - first])
    rule = IssueRule.fit(judged, codes, "classification")
    # Mean probabilities of the own class, of rows 0 to 3 and 4 to 6.
    np.testing.assert_allclose(rule.thresholds, [0.8, 0.5])
    # Row 3: likelier the other, and confidently so. Rows 4 and 5: likelier the other, yet class 0 is
    # surer of its own than that.
    assert np.flatnonzero(rule.find(judged, codes)).tolist() == [3]
    assert rule.suggest(judged, codes).tolist() == [0, 0, 0, 1, 0, 0, 1]


def test_an_issue_suggests_a_class_that_is_confident_even_if_another_is_likelier():
    rule = IssueRule("classification", np.array([0.95, 0.25, 0.6]), np.empty(0))
    judged = np.array([[0.5, 0.3, 0.2]])
    assert rule.find(judged, np.array([2])).all()
    assert rule.suggest(judged, np.array([2])).tolist() == [1]


def test_a_target_is_an_issue_beyond_what_rows_of_its_size_show():
    rng = np.random.default_rng(0)
    predicted = rng.uniform(1, 100, 2_000)
    targets = predicted * (1 + 0.05 * rng.normal(size=2_000))
    rule = IssueRule.fit(predicted[:, None], targets, "regression")
    assert rule.find(predicted[:, None], targets).mean() < 0.01
    # Five off is much for an amount of ten, and nothing for one of ninety.
    assert rule.find(np.array([[10.0], [90.0]]), np.array([15.0, 95.0])).tolist() == [True, False]


def test_targets_that_are_predicted_exactly_are_no_issues():
    rule = IssueRule.fit(np.ones((90, 1)), np.ones(90), "regression")
    assert not rule.find(np.ones((90, 1)), np.r_[np.ones(89), 2.0]).any()
