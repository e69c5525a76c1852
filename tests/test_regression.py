"""Regression throughout: continuous targets get real values, never by label equality."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from ecoval_core import EcoVal
from ecoval_core.evaluation.curves import removal_curves, summarise_curves
from ecoval_core.tables.prepare import plant_label_noise


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    return X[:200], y[:200], X[200:320], y[200:320], X[320:], y[320:]


@pytest.fixture(scope="module")
def friedman():
    X, y = make_friedman1(900, 8, noise=0.5, random_state=0)
    noisy, shifted = plant_label_noise(y[:500], 0.15, task="regression", random_state=0)
    return X[:500], noisy, shifted, X[500:700], y[500:700], X[700:], y[700:]


def ridge_prediction(X, y, X_new, alpha=1.0):
    """Closed form of ridge regression with an intercept that is not penalised."""
    centre = X.mean(axis=0)
    weights = np.linalg.solve(
        (X - centre).T @ (X - centre) + alpha * np.eye(X.shape[1]), (X - centre).T @ (y - y.mean())
    )
    return y.mean() + (X_new - centre) @ weights


def test_the_finest_granularity_is_leave_one_out_in_closed_form(diabetes):
    X, y, X_val, y_val, *_ = diabetes
    X, y = X[:60], y[:60]
    ecoval = EcoVal(Ridge(), n_clusters=60, random_state=0).fit(X, y, X_val, y_val)

    def utility(rows):
        gap = (y_val - ridge_prediction(X[rows], y[rows], X_val)) ** 2 / y.var()
        return -np.minimum(gap, 4).mean()

    everyone = np.arange(60)
    expected = [utility(everyone) - utility(np.delete(everyone, row)) for row in everyone]
    np.testing.assert_allclose(ecoval.cluster_values_[ecoval.labels_], expected, atol=1e-10)
    prior = -np.minimum((y_val - y.mean()) ** 2 / y.var(), 4).mean()
    assert ecoval.surplus_ == pytest.approx(utility(everyone) - prior)


@pytest.mark.parametrize(
    ("estimator", "auc"),
    [(Ridge(), 0.9), (HistGradientBoostingRegressor(max_iter=15), 0.7)],
    ids=["ridge", "boosting"],
)
@pytest.mark.slow
def test_shifted_targets_rank_low_and_removing_them_helps(friedman, estimator, auc):
    X, y, shifted, X_val, y_val, X_test, y_test = friedman
    ecoval = EcoVal(estimator, random_state=0).fit(X, y, X_val, y_val)
    is_shifted = np.isin(np.arange(len(y)), shifted)
    assert roc_auc_score(is_shifted, -ecoval.values_) > auc
    curves = removal_curves(
        estimator, X, y, X_test, y_test, ecoval.values_, shares=(0.0, 0.15), n_random=2
    )
    at = summarise_curves(curves).set_index(["strategy", "share"])["mean"]
    assert at["lowest", 0.15] > at["lowest", 0.0]
    assert at["lowest", 0.15] > at["random", 0.15] > at["highest", 0.15]


def test_a_change_of_units_changes_no_value(diabetes):
    X, y, X_val, y_val, *_ = diabetes
    one, other = (
        EcoVal(Ridge(), random_state=0).fit(X, unit * y, X_val, unit * y_val) for unit in (1, 1024)
    )
    np.testing.assert_allclose(one.values_, other.values_, rtol=1e-6, atol=1e-12)


def test_a_classifier_refuses_a_continuous_target(diabetes):
    X, y, X_val, y_val, *_ = diabetes
    with pytest.raises(ValueError, match="continuous"):
        EcoVal(LogisticRegression()).fit(X, y + 0.5, X_val, y_val)
