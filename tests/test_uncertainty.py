import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB

from ecoval_core import EcoVal, repeat_value


def test_errors_come_from_seeds_and_from_the_validation_set(cancer):
    steps = []
    data = cancer.X, cancer.y, cancer.X_val, cancer.y_val
    result = repeat_value(
        EcoVal(GaussianNB(), n_clusters=10, random_state=0), *data, n_repeats=4,
        progress=lambda *step: steps.append(step),
    )  # fmt: skip
    values = np.array([one.values_ for one in result.estimators])
    assert len({one.random_state for one in result.estimators}) == 4
    np.testing.assert_allclose(result.value, values.mean(axis=0))
    np.testing.assert_allclose(result.seed_error, values.std(axis=0, ddof=1) / 2)
    np.testing.assert_allclose(
        result.standard_error**2, result.seed_error**2 + result.validation_error**2
    )
    assert steps == [(done, 64) for done in range(1, 65)]
    with pytest.raises(ValueError, match="at least 2, but it is 1"):
        repeat_value(EcoVal(), *data, n_repeats=1)


def test_the_error_follows_the_weight_without_a_refit(cancer, valued_cancer):
    none = valued_cancer.reweight(0.0)
    rows = np.arange(len(cancer.y_val))
    given = valued_cancer.estimator_.predict_proba(cancer.X_val)[rows, cancer.y_val]
    scores = given - np.bincount(cancer.y)[cancer.y_val] / len(cancer.y)
    # Without extrinsic payment every value is a fixed part of the surplus.
    expected = scores.std() / np.sqrt(len(scores)) * none.values_ / none.surplus_
    np.testing.assert_allclose(none.standard_errors_, expected, rtol=1e-6)
    assert (valued_cancer.reweight(1.0).standard_errors_ != none.standard_errors_).all()
