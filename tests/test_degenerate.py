"""Shapes, label types, degenerate data: values are finite and sum up, or one sentence says why not."""

import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import check_cluster_consistency
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from ecoval_core import EcoVal, RefitError

LABELS = {
    "int": np.array([3, -1, 7, 20]),
    "text": np.array(["b", "a", "ä ö", ""]),
    "object": np.array(["x", "yy", "z", "w"], dtype=object),
    "bool": np.array([True, False]),
    "float": np.array([0.0, 1.0, 2.0, 3.0]),
}


@st.composite
def tables(draw):
    """A small table, often with repeated rows, constant columns, tiny classes and huge scales."""
    n, d = draw(st.integers(6, 40)), draw(st.integers(1, 5))
    seed = draw(st.integers(0, 2**16))
    random = np.random.default_rng(seed)
    labels = LABELS[draw(st.sampled_from(sorted(LABELS)))]
    X = random.normal(size=(n, d)) * 10.0 ** draw(st.integers(-6, 6))
    if draw(st.booleans()):
        X = np.round(X / np.abs(X).max())
    if draw(st.booleans()):
        X[:, 0] = 1.0
    n_classes = draw(st.integers(2, len(labels)))
    y = random.choice(n_classes, size=n, p=random.dirichlet(np.ones(n_classes)))
    return X, labels[y], draw(st.one_of(st.just("auto"), st.integers(1, 60)))


MODELS = [
    DecisionTreeClassifier(max_depth=3),
    KNeighborsClassifier(1),
    LogisticRegression(max_iter=5),
]


def check_sum(ecoval):
    """Values sum up to the surplus, or to the effects where quality cannot be relied on."""
    valued = ecoval.labels_ >= 0
    expected = ecoval.surplus_ if ecoval.reliable_ else ecoval.extrinsic_[valued].sum()
    assert ecoval.values_[valued].sum() == pytest.approx(expected, abs=1e-9)


@given(tables(), st.sampled_from(MODELS), st.booleans())
@settings(max_examples=20, deadline=None)
@pytest.mark.slow
def test_any_small_table_is_valued_and_sums_up(table, model, own_validation):
    X, y, n_clusters = table
    n_classes = len(np.unique(y))
    assume(n_classes >= 2)
    ecoval = EcoVal(model, n_clusters=n_clusters, random_state=0)
    validation = (X[::2], y[::2]) if own_validation else ()
    with warnings.catch_warnings():
        # Five steps of logistic regression do not converge, nor do labels have to be few.
        warnings.simplefilter("ignore")
        ecoval.fit(X, y, *validation)
        new = ecoval.value_samples(X[:3], y[:3])
    valued = ecoval.labels_ >= 0
    assert valued.all() == own_validation
    for part in (ecoval.values_, ecoval.intrinsic_, ecoval.extrinsic_, ecoval.standard_errors_):
        assert np.isfinite(part[valued]).all()
        assert np.isnan(part[~valued]).all()
    assert np.isfinite(new.value).all()
    assert ((ecoval.quality_[valued] >= 0) & (ecoval.quality_[valued] <= 1)).all()
    check_cluster_consistency(ecoval)
    check_sum(ecoval)
    assert n_classes <= ecoval.n_clusters_ <= valued.sum()


@given(
    st.integers(0, 2**16),
    st.integers(6, 30),
    st.sampled_from(["normal", "ties", "outlier"]),
    st.sampled_from(["squared_error", "absolute_error"]),
    st.booleans(),
)
@settings(max_examples=12, deadline=None)
def test_any_small_regression_is_valued_and_sums_up(seed, n, kind, scoring, own_validation):
    random = np.random.default_rng(seed)
    X, y = random.normal(size=(n, 3)), random.normal(size=n)
    y = np.where(y > 0, 1.5, y) if kind == "ties" else y
    y[0] = 1e9 if kind == "outlier" else y[0]
    validation = (X[::2], y[::2]) if own_validation else ()
    ecoval = EcoVal(Ridge(), scoring=scoring, random_state=0).fit(X, y, *validation)
    assert np.isfinite(ecoval.values_[ecoval.labels_ >= 0]).all()
    check_cluster_consistency(ecoval)
    check_sum(ecoval)


def test_a_constant_target_of_a_regression_is_worth_nothing():
    X = np.random.default_rng(0).normal(size=(20, 2))
    ecoval = EcoVal(Ridge(), random_state=0).fit(X, np.full(20, 3.0), X, np.full(20, 3.0))
    assert ecoval.surplus_ == pytest.approx(0)
    np.testing.assert_allclose(ecoval.values_, 0, atol=1e-12)


def test_frames_and_series_serve_as_arrays_do(cancer):
    columns = [f"c{i}" for i in range(cancer.X.shape[1])]
    arrays = cancer.X, cancer.y, cancer.X_val, cancer.y_val
    frames = [pd.DataFrame(a, columns=columns) if a.ndim == 2 else pd.Series(a) for a in arrays]
    of_arrays, of_frames = (
        EcoVal(GaussianNB(), random_state=0).fit(*data) for data in (arrays, frames)
    )
    np.testing.assert_allclose(of_arrays.values_, of_frames.values_)
    assert of_frames.feature_names_in_.tolist() == columns


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_model_that_predicts_nothing_finite_is_named():
    with pytest.raises(RefitError, match="GaussianNB gives predictions that are not finite"):
        EcoVal(GaussianNB(), random_state=0).fit(np.ones((20, 2)), np.arange(20) % 2)
