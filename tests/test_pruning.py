import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from ecoval_core.evaluation.measures import Change
from ecoval_core.evaluation.pruning import Effect, PruneList, detection, measure_effect


@pytest.fixture
def values():
    return pd.Series([0.5, -0.2, 0.1, -0.9, 0.0], index=[10, 11, 12, 13, 14])


def test_rules_combine_and_say_why_lowest_first(values):
    reasons = PruneList(share=0.2, threshold=0.0).pick([10, 13, 99]).decide(values).reasons
    assert reasons.to_dict() == {13: "share + threshold + picked", 11: "threshold", 10: "picked"}
    assert reasons.index.tolist() == [13, 11, 10]
    assert reasons.name == "reason"
    assert reasons.dtype == "str"


def test_a_restored_row_stays_until_it_is_picked_again(values):
    prune = PruneList(share=0.4).restore([13])
    assert prune.decide(values).reasons.index.tolist() == [11]
    assert prune.pick([13]).decide(values).reasons.index.tolist() == [13, 11]


def test_a_relabelled_row_stays_as_long_as_it_has_its_new_label(values):
    prune = PruneList(share=0.4).pick([10])
    assert prune.decide(values, relabelled=[13, 10]).reasons.index.tolist() == [11]
    assert prune.decide(values).reasons.index.tolist() == [13, 11, 10]


def test_detection_counts_planted_errors():
    result = detection([1, 2, 3, 4], [3, 4, 5])
    assert (result.caught, result.precision, result.recall) == (2, 0.5, 2 / 3)
    assert np.isnan(detection([], [1]).precision)
    assert np.isnan(detection([1], []).recall)


def test_a_quota_spares_the_highest_valued_of_a_class_and_names_them():
    values = pd.Series(np.arange(10.0) - 20, index=range(100, 110))
    labels = pd.Series(["rare"] * 4 + ["many"] * 6, index=values.index)
    result = PruneList(threshold=0.0).decide(values, labels)
    assert result.reasons.index.tolist() == [100, 101, 104, 105, 106]
    assert result.spared.tolist() == [102, 103, 107, 108, 109]
    for quota, n_spared in ((0.0, 0), (1.0, 10)):
        result = PruneList(threshold=0.0, quota=quota).decide(values, labels)
        assert (len(result.reasons), len(result.spared)) == (10 - n_spared, n_spared)
    assert len(PruneList(threshold=0.0).decide(values).reasons) == 10


def test_at_least_the_quota_stays_and_rows_picked_by_hand_go_first():
    values = pd.Series([1.0, 2.0, 3.0], index=[7, 8, 9])
    labels = pd.Series("a", index=values.index)
    # Half of three rows is one and a half, so two stay.
    assert PruneList(threshold=9).decide(values, labels).reasons.index.tolist() == [7]
    result = PruneList(threshold=9).pick([9]).decide(values, labels)
    assert result.reasons.to_dict() == {9: "threshold + picked"}
    assert result.spared.tolist() == [7, 8]


def effect_on(data, keep, **settings):
    """The effect on a model of keeping some rows, and that model."""
    model = LogisticRegression(max_iter=1000)
    rows = data.X, data.y, data.X_test, data.y_test
    return measure_effect(model, *rows, keep, **settings), model


def test_the_effect_is_measured_on_the_test_rows(cancer):
    effect, model = effect_on(cancer, ~cancer.flipped)
    scores = []
    for rows in (np.full(len(cancer.y), True), ~cancer.flipped):
        model.fit(cancer.X[rows], cancer.y[rows])
        scores.append(accuracy_score(cancer.y_test, model.predict(cancer.X_test)))
    assert [effect.overall.before, effect.overall.after] == pytest.approx(scores)
    assert effect.overall.n_test == len(cancer.y_test)
    assert [c.measure for c in effect.by_class] == ["recall: 0", "recall: 1"]
    assert effect.of("roc_auc").after > 0.9


def test_relabelling_is_measured_as_a_change_of_labels(cancer):
    everything = np.full(len(cancer.y), True)
    effect, model = effect_on(cancer, everything, y_after=cancer.y_clean, balanced=True)
    clean = model.fit(cancer.X, cancer.y_clean).predict(cancer.X_test)
    assert effect.main == "balanced_accuracy"
    assert effect.overall.after == pytest.approx(balanced_accuracy_score(cancer.y_test, clean))


def some_effect(overall, *classes):
    changes = [Change("accuracy", 0.8, 0.8 + sum(overall) / 2, *overall, 100)]
    changes += [
        Change(f"recall: {name}", 0.5, 0.5 + (low + high) / 2, low, high, 50)
        for name, (low, high) in zip("abc", classes, strict=False)
    ]
    return Effect("accuracy", tuple(changes))


def test_verdict_is_worse_if_any_class_surely_falls():
    hidden = some_effect((0.01, 0.05), (0.0, 0.04), (-0.3, -0.1), (-0.5, 0.0))
    assert hidden.worst_hit.measure == "recall: b"
    assert hidden.verdict == "worse"
    assert some_effect((0.01, 0.05), (0.0, 0.04), (-0.1, 0.1)).verdict == "better"
    assert some_effect((-0.01, 0.05), (0.0, 0.04)).verdict == "unsure"
    assert some_effect((-0.05, -0.01), (-0.1, 0.1)).verdict == "worse"
    assert some_effect((0.01, 0.05)).worst_hit is None


@pytest.mark.parametrize(("keep", "what"), [([0] * 4, "no row"), ([1, 0] * 2, "class a")])
def test_pruning_too_much_is_refused(keep, what):
    X, y = np.eye(4), np.array(["a", "b"] * 2)
    with pytest.raises(ValueError, match=what):
        measure_effect(LogisticRegression(), X, y, X, y, np.array(keep, dtype=bool))


@pytest.mark.parametrize(("rule", "outside"), [("share", 1.0), ("quota", 1.5)])
def test_a_share_or_quota_outside_its_range_is_refused(rule, outside):
    with pytest.raises(ValueError, match=f"must lie in .*{outside}"):
        PruneList(**{rule: outside})
