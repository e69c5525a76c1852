"""Scikit-learn's own checks: no exception is declared."""

from sklearn import config_context
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from ecoval_core import EcoVal


@parametrize_with_checks([EcoVal(n_clusters=3), EcoVal(Ridge())])
def test_scikit_learns_conventions(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [EcoVal(make_pipeline(StandardScaler(), LogisticRegression()), n_clusters=3)]
)
def test_conventions_hold_where_transformers_return_frames(estimator, check):
    with config_context(transform_output="pandas"):
        check(estimator)
