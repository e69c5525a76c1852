"""The properties that the method promises, on real data."""

from itertools import count

import numpy as np
import pytest
from conftest import check_cluster_consistency
from scipy.stats import spearmanr
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from ecoval_core import Cancelled, EcoVal


def spearman(a, b):
    return spearmanr(a, b).statistic


def fit(data, estimator=None, **settings):
    ecoval = EcoVal(estimator, random_state=0, **settings)
    return ecoval.fit(data.X, data.y, data.X_val, data.y_val)


@pytest.mark.parametrize("valued", ["valued_digits", "valued_cancer"])
def test_values_sum_to_surplus_members_to_cluster_and_errors_rank_low(valued, request):
    data, ecoval = request.getfixturevalue(valued[7:]), request.getfixturevalue(valued)
    assert ecoval.reliable_
    assert ecoval.values_.sum() == pytest.approx(ecoval.surplus_, abs=1e-12)
    check_cluster_consistency(ecoval)
    assert ecoval.returns_to_scale_ == pytest.approx(ecoval.cluster_values_.sum() / ecoval.surplus_)
    assert ecoval.intrinsic_share_ == pytest.approx(ecoval.intrinsic_.sum() / ecoval.surplus_)
    assert roc_auc_score(data.flipped, -ecoval.values_) > 0.9


def test_utilities_are_those_of_the_model_and_of_class_frequencies(digits, valued_digits):
    model = LogisticRegression(max_iter=1000, tol=1e-7).fit(digits.X, digits.y)
    truth = model.predict_proba(digits.X_val)[np.arange(300), digits.y_val]
    assert valued_digits.full_score_ == pytest.approx(truth.mean(), abs=1e-5)
    prior = (np.bincount(digits.y) / len(digits.y))[digits.y_val].mean()
    assert valued_digits.prior_score_ == pytest.approx(prior)


@pytest.mark.parametrize("n_clusters", [12, 500])
def test_identical_rows_get_equal_values(cancer, n_clusters):
    pairs = np.random.default_rng(0).permutation(np.repeat(np.arange(len(cancer.y)), 2))
    ecoval = EcoVal(GaussianNB(), n_clusters=n_clusters, random_state=0)
    ecoval.fit(cancer.X[pairs], cancer.y[pairs], cancer.X_val, cancer.y_val)
    one, other = ecoval.values_[np.argsort(pairs)].reshape(-1, 2).T
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize(("estimator", "n_clusters"), [(None, 150), (RandomForestClassifier(5), 6)])
@pytest.mark.slow
def test_one_seed_gives_the_same_bits_for_any_n_jobs(cancer, estimator, n_clusters):
    def run(seed, n_jobs):
        ecoval = EcoVal(estimator, n_clusters=n_clusters, n_jobs=n_jobs, random_state=seed)
        return ecoval.fit(cancer.X, cancer.y, cancer.X_val, cancer.y_val).values_

    serial = run(3, None)
    assert np.array_equal(serial, run(3, 2))
    assert not np.array_equal(serial, run(4, None))


def test_reweighting_shares_the_fits_and_equals_a_fit_with_that_weight(cancer, valued_cancer):
    before = valued_cancer.values_.copy()
    other = valued_cancer.reweight(0.8)
    assert np.array_equal(other.values_, fit(cancer, extrinsic_weight=0.8).values_)
    assert other.extrinsic_weight == 0.8
    assert np.array_equal(valued_cancer.values_, before)
    assert valued_cancer.extrinsic_weight == 0.25
    with pytest.raises(ValueError, match="extrinsic_weight"):
        valued_cancer.reweight(-1)


def test_unseen_points_are_valued_like_the_training_points_they_resemble(digits, valued_digits):
    again = valued_digits.value_samples(digits.X, digits.y)
    # Training rows were left out themselves; of unseen ones that effect is only predicted.
    assert spearman(again.value, valued_digits.values_) > 0.85
    assert spearman(again.extrinsic, valued_digits.extrinsic_) > 0.85
    assert np.array_equal(again.value, again.intrinsic + again.extrinsic)
    assert (valued_digits.labels_ == again.cluster).mean() > 0.95


class Refitted(LogisticRegression):
    """Has no short way, as its type is in no table."""


def test_models_too_large_to_keep_are_replaced_by_the_full_one(cancer, monkeypatch):
    whole = fit(cancer, Refitted(), n_clusters=6)
    monkeypatch.setattr("ecoval_core.valuation.refitting.MAX_KEPT_BYTES", 100)
    light = fit(cancer, Refitted(), n_clusters=6)
    assert np.array_equal(light.values_, whole.values_)
    of_light, of_whole = (
        e.value_samples(cancer.X_test, cancer.y_test).value for e in (light, whole)
    )
    assert not np.array_equal(of_light, of_whole)
    assert spearman(of_light, of_whole) > 0.9


def test_many_clusters_share_the_outputs_of_the_full_model(cancer, monkeypatch):
    whole = fit(cancer, n_clusters=140)
    monkeypatch.setattr("ecoval_core.valuation.refitting.MAX_OUTPUT_BYTES", 100)
    light = fit(cancer, n_clusters=140)
    np.testing.assert_allclose(light.cluster_values_, whole.cluster_values_)
    assert not np.array_equal(light.values_, whole.values_)
    assert np.corrcoef(light.values_, whole.values_)[0, 1] > 0.999


def test_each_unseen_point_is_valued_alone(digits, valued_digits):
    together = valued_digits.value_samples(digits.X_test[:9], digits.y_test[:9])
    alone = [
        valued_digits.value_samples(digits.X_test[[i]], digits.y_test[[i]]).value[0]
        for i in range(9)
    ]
    np.testing.assert_allclose(together.value, alone, rtol=1e-9)


def test_text_labels_and_a_validation_part_set_aside():
    X, y = load_wine(return_X_y=True)
    names = np.array(["red", "white", "rosé"])[y]
    ecoval = EcoVal(random_state=0).fit(X, names)
    aside = np.isnan(ecoval.values_)
    assert aside.sum() == len(y) // 5
    assert (ecoval.labels_[aside] == -1).all()
    assert np.isnan(ecoval.quality_[aside]).all()
    assert np.isnan(ecoval.judged_[aside]).all()
    assert (ecoval.suggested_labels_[aside] == names[aside]).all()
    assert np.nansum(ecoval.values_) == pytest.approx(ecoval.surplus_)
    assert ecoval.classes_.tolist() == ["red", "rosé", "white"]
    assert ecoval.estimator_.predict(X[:1])[0] in names


@pytest.mark.parametrize("estimator", [RandomForestClassifier(10), LinearSVC()])
def test_classifiers_with_and_without_probabilities_serve(cancer, estimator):
    ecoval = fit(cancer, estimator, n_clusters=10)
    assert roc_auc_score(cancer.flipped, -ecoval.values_) > 0.75
    assert (ecoval.cluster_values_ != 0).mean() > 0.5
    assert not hasattr(estimator, "classes_")


def test_above_max_fit_samples_a_sample_is_fitted_and_every_row_valued(digits):
    ecoval = fit(digits, max_fit_samples=300)
    assert np.isfinite(ecoval.values_).all()
    assert ecoval.values_.sum() == pytest.approx(ecoval.surplus_)
    assert roc_auc_score(digits.flipped, -ecoval.values_) > 0.9


def test_progress_counts_all_fits_and_a_cancelled_fit_changes_nothing(cancer):
    data = cancer.X, cancer.y, cancer.X_val, cancer.y_val
    steps = []
    ecoval = EcoVal(GaussianNB(), n_clusters=7, random_state=0)
    ecoval.fit(*data, progress=lambda *step: steps.append(step))
    assert steps == [(done, 13) for done in range(1, 14)]
    before = ecoval.values_
    asked = count()
    with pytest.raises(Cancelled):
        ecoval.fit(*data, should_stop=lambda: next(asked) >= 3)
    with pytest.raises(Cancelled):
        ecoval.fit(cancer.X[:, :5], cancer.y, should_stop=lambda: True)
    assert ecoval.values_ is before
    assert ecoval.n_features_in_ == cancer.X.shape[1]
    assert len(ecoval.value_samples(cancer.X_test[:2], cancer.y_test[:2]).value) == 2


@pytest.mark.parametrize(
    ("X", "y", "settings", "message"),
    [
        (np.ones((9, 2)), np.zeros(9, dtype=int), {}, "one class only: 0"),
        (np.ones((3, 2)), np.array([0, 1, 1]), {}, "n_samples=3 rows are too few"),
        (np.full((9, 2), np.inf), np.arange(9) % 2, {}, "infinity"),
        *(
            (np.eye(9), np.arange(9) % 2, {name: value}, name)
            for name, value in (
                ("n_clusters", 0), ("n_clusters", "many"), ("scoring", "f1"), ("n_neighbors", 0),
                ("extrinsic_weight", -0.1), ("max_fit_samples", 1), ("estimator", "forest"),
            )
        ),
    ],
)  # fmt: skip
def test_invalid_data_and_parameters_are_named(X, y, settings, message):
    with pytest.raises(ValueError, match=message):
        EcoVal(**settings).fit(X, y)


def test_a_label_that_training_lacks_is_named(digits, valued_digits):
    with pytest.raises(ValueError, match="never seen in training: 42"):
        valued_digits.value_samples(digits.X_test[:2], [1, 42])
    with pytest.raises(ValueError, match="y_val has a label that was never seen in training: 11"):
        EcoVal().fit(digits.X, digits.y, digits.X_val[:2], [1, 11])


def test_validation_rows_beyond_the_cap_are_a_stratified_sample(cancer):
    whole, capped = (fit(cancer, n_clusters=8, max_val_samples=n) for n in (None, 50))
    # A third of the rows, of the same classes.
    assert capped.prior_score_ == pytest.approx(whole.prior_score_, abs=0.005)
    more = capped.surplus_standard_error_ / whole.surplus_standard_error_
    assert more == pytest.approx(3**0.5, rel=0.2)
    # Without validation rows of one's own no more are set aside, and so are valued.
    alone = EcoVal(max_val_samples=20, n_clusters=8, random_state=0).fit(cancer.X, cancer.y)
    assert np.isnan(alone.values_).sum() == 20
