import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, TimeSeriesSplit
from sklearn.naive_bayes import GaussianNB

from ecoval_core import EcoVal, cross_value

PER_ROW = (
    "values_", "intrinsic_", "extrinsic_", "raw_extrinsic_", "standard_errors_", "quality_",
    "label_quality_", "judged_",
)  # fmt: skip


@pytest.fixture(scope="module")
def wine():
    return load_wine(return_X_y=True)


@pytest.fixture(scope="module")
def valued(wine):
    return cross_value(EcoVal(GaussianNB(), n_clusters=9, random_state=0), *wine, cv=4)


def in_folds(valued, name, row):
    """Attribute of a row in each fold that valued it."""
    folds = zip(valued.estimators_, valued.trained_, strict=True)
    return np.concatenate([getattr(one, name)[rows == row] for one, rows in folds])


def test_every_row_is_valued_and_values_sum_to_the_mean_surplus(valued):
    assert all(np.isfinite(getattr(valued, name)).all() for name in PER_ROW)
    assert {len(getattr(valued, name)) for name in PER_ROW} == {178}
    surplus = [one.surplus_ for one in valued.estimators_]
    assert valued.surplus_ == pytest.approx(np.mean(surplus))
    assert valued.values_.sum() == pytest.approx(valued.surplus_)
    assert np.bincount(valued.fold_).tolist() == [45, 45, 44, 44]


def test_each_row_is_the_mean_over_the_folds_that_valued_it(valued):
    for row in (5, 77, 177):
        assert valued.values_[row] == pytest.approx(in_folds(valued, "values_", row).sum() / 4)
        assert valued.quality_[row] == pytest.approx(in_folds(valued, "quality_", row).mean())
        errors = in_folds(valued, "standard_errors_", row)
        assert valued.standard_errors_[row] == pytest.approx(np.sqrt((errors**2).sum()) / 4)


def test_clusters_are_those_of_the_first_fold_and_hold_one_label_each(wine, valued):
    first, held = valued.estimators_[0], valued.fold_ == 0
    assert (valued.labels_[~held] == first.labels_).all()
    assert (valued.labels_[held] == first.value_samples(wine[0][held], wine[1][held]).cluster).all()
    assert valued.n_clusters_ == len(valued.cluster_values_) == 9
    for cluster in range(9):
        assert len(set(wine[1][valued.labels_ == cluster])) == 1


def test_reweighted_values_equal_a_fit_with_that_weight(wine, valued):
    other = valued.reweight(1.0)
    np.testing.assert_allclose(other.extrinsic_, other.raw_extrinsic_)
    assert other.values_.sum() == pytest.approx(valued.surplus_)
    steps = []
    heavy = EcoVal(GaussianNB(), n_clusters=9, extrinsic_weight=1.0, random_state=0)
    anew = cross_value(heavy, *wine, cv=4, progress=lambda *step: steps.append(step))
    assert steps == [(done, 60) for done in range(1, 61)]
    np.testing.assert_allclose(other.values_, anew.values_)
    np.testing.assert_allclose(other.standard_errors_, anew.standard_errors_)


class Refitted(GaussianNB):
    """Has no short way, as its type is in no table."""


def test_models_can_be_forgotten_without_a_change_of_values(wine):
    valued = cross_value(EcoVal(Refitted(), n_clusters=9, random_state=0), *wine, cv=2)
    before = valued.reweight(1.0).values_
    unseen = [one.value_samples(*wine).extrinsic for one in valued.estimators_]
    valued.forget_models()
    assert (valued.reweight(1.0).values_ == before).all()
    for one, known in zip(valued.estimators_, unseen, strict=True):
        # The full model stands in: other numbers, much the same order.
        again = one.value_samples(*wine).extrinsic
        assert not np.array_equal(again, known)
        assert spearmanr(again, known).statistic > 0.3


def test_classes_smaller_than_the_number_of_folds_are_valued():
    X = np.random.default_rng(0).normal(size=(45, 3))
    y = np.repeat(["a", "b", "pair", "single"], [22, 20, 2, 1])
    valued = cross_value(EcoVal(n_clusters=8, random_state=0), X, y)
    assert np.isfinite(valued.values_).all()
    assert valued.fold_[-1] == -1
    assert len(set(valued.fold_[42:44])) == 2
    assert np.bincount(valued.fold_[:-1]).tolist() == [9, 9, 9, 9, 8]


def test_regression_and_any_splitter():
    X, y = load_diabetes(return_X_y=True)
    splitter = KFold(3, shuffle=True, random_state=1)
    valued = cross_value(EcoVal(Ridge(), n_clusters=20, random_state=0), X, y, cv=splitter)
    assert valued.task_ == "regression"
    assert valued.reliable_
    assert valued.values_.sum() == pytest.approx(valued.surplus_)
    assert set(valued.labels_) <= set(range(valued.n_clusters_))


def test_values_are_unreliable_where_nothing_can_be_learnt():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(60, 3)), np.repeat([0, 1], 30)
    valued = cross_value(EcoVal(GaussianNB(), n_clusters=10, random_state=0), X, y)
    assert not valued.reliable_


@pytest.mark.parametrize("cv", [1, 179])
def test_an_impossible_number_of_folds_is_refused(wine, cv):
    with pytest.raises(ValueError, match=f"cv is {cv}: choose at least 2 folds"):
        cross_value(EcoVal(), *wine, cv=cv)


def test_rows_that_no_fold_trained_on_have_no_values(cancer):
    cv = TimeSeriesSplit(3)
    crossed = cross_value(EcoVal(n_clusters=6, random_state=0), cancer.X[:160], cancer.y[:160], cv)
    never = np.setdiff1d(np.arange(160), np.concatenate(crossed.trained_))
    valued = np.setdiff1d(np.arange(160), never)
    assert len(never) == 40
    for name in PER_ROW:
        assert np.isnan(getattr(crossed, name)[never]).all(), name
        assert np.isfinite(getattr(crossed, name)[valued]).all(), name
    assert (crossed.labels_[never] == -1).all()
    assert not crossed.label_issues_[never].any()
    assert pd.isna(crossed.suggested_labels_[never]).all()
    assert set(crossed.suggested_labels_[valued]) == {0, 1}
    assert np.nansum(crossed.values_) == pytest.approx(crossed.surplus_)


def test_issues_are_those_that_most_folds_list(cancer):
    crossed = cross_value(EcoVal(n_clusters=8, random_state=0), cancer.X, cancer.y)
    votes = np.zeros(len(cancer.y))
    for one, rows in zip(crossed.estimators_, crossed.trained_, strict=True):
        votes[rows] += one.label_issues_
    assert np.array_equal(crossed.label_issues_, votes > 2)
    assert (crossed.suggested_labels_ != cancer.y)[crossed.label_issues_].all()
