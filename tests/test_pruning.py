import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, r2_score

from ecoval_core.evaluation.pruning import PruneList, detection, measure_effect


@pytest.fixture
def values():
    return pd.Series([0.5, -0.2, 0.1, -0.9, 0.0], index=[10, 11, 12, 13, 14])


def test_rules_combine_and_say_why_lowest_first(values):
    prune = PruneList(share=0.2, threshold=0.0).pick([10])
    reasons = prune.reasons(values)
    assert reasons.to_dict() == {13: "share + threshold", 11: "threshold", 10: "picked"}
    assert prune.reasons(values).index.tolist() == [13, 11, 10]


def test_a_restored_row_stays_until_it_is_picked_again(values):
    prune = PruneList(share=0.4).restore([13])
    assert prune.reasons(values).index.tolist() == [11]
    assert prune.pick([13]).reasons(values).index.tolist() == [13, 11]


def test_all_rules_at_once_are_told_and_an_id_of_no_row_is_passed_over(values):
    reasons = PruneList(0.2, 0.0).pick([13, 99]).restore([11]).reasons(values)
    assert reasons.to_dict() == {13: "share + threshold + picked"}
    assert reasons.name == "reason"
    assert reasons.dtype == "str"


def test_an_empty_list_prunes_nothing_and_an_unfit_share_is_refused(values):
    assert PruneList().reasons(values).index.tolist() == []
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\)"):
        PruneList(share=1.0)


def test_detection_counts_planted_errors():
    found = detection([1, 2, 3, 4], [3, 4, 5])
    assert (found.caught, found.precision, found.recall) == (2, 0.5, 2 / 3)
    assert np.isnan(detection([], [1]).precision)
    assert np.isnan(detection([1], []).recall)


def test_the_effect_is_measured_on_the_test_rows(cancer):
    model = LogisticRegression(max_iter=1000)
    effect = measure_effect(
        model, cancer.X, cancer.y, cancer.X_test, cancer.y_test, ~cancer.flipped
    )
    scores = []
    for rows in (np.full(len(cancer.y), True), ~cancer.flipped):
        model.fit(cancer.X[rows], cancer.y[rows])
        scores.append(accuracy_score(cancer.y_test, model.predict(cancer.X_test)))
    assert [effect.before, effect.after] == scores
    assert effect.difference == pytest.approx(scores[1] - scores[0])
    assert effect.low <= effect.difference <= effect.high
    assert effect.high - effect.low < 0.2
    assert effect.n_test == len(cancer.y_test)


def test_the_interval_is_that_of_resampled_test_rows():
    X = np.arange(40.0)[:, None]
    y = np.repeat(["a", "b"], 20)
    effect = measure_effect(LogisticRegression(), X, y, X, y, np.full(40, True))
    assert (effect.low, effect.difference, effect.high) == (0, 0, 0)


def test_regression_is_scored_by_r2():
    random = np.random.default_rng(0)
    X = random.normal(size=(80, 2))
    y = X @ [1.0, 2.0] + random.normal(size=80) / 5
    keep = np.arange(80) % 2 == 0
    effect = measure_effect(Ridge(), X, y, X, y, keep)
    assert effect.metric == "r2"
    assert effect.after == pytest.approx(r2_score(y, Ridge().fit(X[keep], y[keep]).predict(X)))


@pytest.mark.parametrize(
    ("keep", "what"), [([False] * 4, "no row"), ([True, False] * 2, "class a")]
)
def test_pruning_too_much_is_refused(keep, what):
    with pytest.raises(ValueError, match=what):
        measure_effect(
            LogisticRegression(), np.eye(4), np.array(["a", "b"] * 2), np.eye(4),
            np.array(["a", "b"] * 2), np.array(keep),
        )  # fmt: skip
