"""New rows: valued without a refit, ranked, and the ranking measured by refits."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score
from sklearn.naive_bayes import GaussianNB

from ecoval_core import EcoVal, cross_value
from ecoval_core.evaluation.curves import summarise_curves
from ecoval_core.evaluation.new_rows import (
    acquisition_curves,
    advantages,
    count_additions,
    rank_unlabelled,
    value_new,
)


def split(data, n_train=120):
    """Few training rows, the rest of them a pool."""
    return SimpleNamespace(
        X=data.X[:n_train], y=data.y[:n_train], X_new=data.X[n_train:], y_new=data.y[n_train:],
        X_val=data.X_val, y_val=data.y_val, X_test=data.X_test, y_test=data.y_test,
    )  # fmt: skip


@pytest.fixture(scope="module")
def pool(digits):
    return split(digits)


@pytest.fixture(scope="module")
def fitted(pool):
    model = LogisticRegression(max_iter=1000)
    return EcoVal(model, random_state=0).fit(pool.X, pool.y, pool.X_val, pool.y_val)


@pytest.fixture(scope="module")
def valued(fitted, pool):
    return value_new(fitted, pool.X_new, pool.y_new, 7 * np.arange(len(pool.y_new)))


def surprise(proba, pool):
    """How unlikely the label of each new row is by the probabilities."""
    return 1 - proba[np.arange(len(pool.y_new)), pool.y_new]


def of_first(result):
    """The rows of highest priority of each cluster, where none is discounted for rows before it."""
    return result.loc[result.groupby("cluster")["priority"].idxmax()]


@pytest.fixture(scope="module")
def amounts():
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 4))
    y = X @ [3.0, -2.0, 1.0, 0.0] + 2 * X[:, 0] ** 2 + random.normal(size=400)
    wrong = np.arange(400) % 7 == 3
    return SimpleNamespace(
        X=X[:80], y=(y + 15 * wrong)[:80], X_new=X[80:200], y_new=(y + 15 * wrong)[80:200],
        X_val=X[200:300], y_val=y[200:300], flipped=wrong[80:200],
    )  # fmt: skip


@pytest.fixture(scope="module")
def fitted_amounts(amounts):
    return EcoVal(Ridge(), random_state=0).fit(amounts.X, amounts.y, amounts.X_val, amounts.y_val)


# --- Values and places -----------------------------------------------------------------------


def test_values_are_those_of_the_fit(fitted, pool, valued):
    result = fitted.value_samples(pool.X_new, pool.y_new)
    assert valued.index.tolist() == (7 * np.arange(len(pool.y_new))).tolist()
    for name in ("value", "intrinsic", "extrinsic", "cluster", "label_quality", "suggested_label"):
        np.testing.assert_array_equal(valued[name], result[name])
    np.testing.assert_array_equal(valued["label"], pool.y_new)
    expected = surprise(fitted.estimator_.predict_proba(pool.X_new), pool)
    np.testing.assert_allclose(valued["surprise"], expected, atol=1e-12)


def test_priority_is_need_less_for_each_row_before_in_the_cluster(fitted, valued):
    assert sorted(valued["place"]) == list(range(1, len(valued) + 1))
    assert (np.diff(valued.sort_values("place")["priority"]) <= 0).all()
    sizes = np.bincount(fitted.labels_)
    for cluster, rows in valued[valued["priority"] > 0].groupby("cluster"):
        rows = rows.sort_values("priority", ascending=False)
        n = sizes[cluster]
        need = rows["priority"].to_numpy() * (n + np.arange(len(rows))) / n
        # Without the share of those before it, need falls within a cluster too: that is the order.
        assert (np.diff(need) <= 1e-15).all()
        quality = rows["intrinsic"] / fitted.intrinsic_rate_
        np.testing.assert_allclose(need, rows["extrinsic"] * quality * rows["surprise"])


def test_priority_uses_label_quality_where_quality_is_paid_nothing(fitted, pool):
    claimed = fitted.reweight(100.0)
    assert claimed.intrinsic_rate_ == 0
    result = value_new(claimed, pool.X_new, pool.y_new)
    assert (result["intrinsic"] == 0).all()
    top = of_first(result).query("priority > 0")
    need = top["extrinsic"] * top["label_quality"] * top["surprise"]
    np.testing.assert_allclose(top["priority"], need)


def test_harmful_rows_come_last_by_extrinsic_value(valued):
    harmful = valued["extrinsic"] <= 0
    assert 0 < harmful.sum() < len(valued)
    np.testing.assert_array_equal(valued.loc[harmful, "priority"], valued.loc[harmful, "extrinsic"])
    assert valued.loc[harmful, "place"].min() > valued.loc[~harmful, "place"].max()


def test_the_order_is_the_same_where_the_extrinsic_part_is_paid_nothing(fitted, pool, valued):
    result = value_new(fitted.reweight(0.0), pool.X_new, pool.y_new)
    np.testing.assert_array_equal(result["place"], valued["place"])
    assert (result["extrinsic"] == 0).all()


def test_credible_surprises_come_first_of_amounts(amounts, fitted_amounts):
    result = value_new(fitted_amounts, amounts.X_new, amounts.y_new)
    residual = np.abs(amounts.y_new - fitted_amounts.estimator_.predict(amounts.X_new))
    np.testing.assert_allclose(result["surprise"], residual)
    top = of_first(result)
    np.testing.assert_allclose(top["priority"], top["surprise"] * top["label_quality"])
    assert (result["priority"] > 0).all()
    n = len(result) // 4
    first, by_extrinsic = result["place"] <= n, result["extrinsic"].rank(ascending=False) <= n
    # By the extrinsic part alone outliers come first.
    assert amounts.flipped[first].mean() < amounts.flipped[by_extrinsic].mean()


def test_a_valuation_by_folds_gives_the_means_of_its_folds(pool):
    folds = cross_value(EcoVal(GaussianNB(), random_state=0), pool.X, pool.y, 3)
    result = value_new(folds, pool.X_new, pool.y_new)
    each = [one.value_samples(pool.X_new, pool.y_new).extrinsic for one in folds.estimators_]
    np.testing.assert_allclose(result["extrinsic"], np.mean(each, axis=0))
    proba = np.mean([one.estimator_.predict_proba(pool.X_new) for one in folds.estimators_], axis=0)
    np.testing.assert_allclose(result["surprise"], surprise(proba, pool), atol=1e-12)
    assert sorted(rank_unlabelled(folds, pool.X_new)["place"]) == list(range(1, len(result) + 1))


def test_unknown_labels_are_named(fitted, pool):
    with pytest.raises(ValueError, match="never seen in training: 99"):
        value_new(fitted, pool.X_new[:2], np.array([1, 99]))


# --- Without labels --------------------------------------------------------------------------


def test_unlabelled_rows_rank_by_doubt(fitted, pool, valued):
    result = rank_unlabelled(fitted, pool.X_new, valued.index)
    assert result.columns.tolist() == ["suggested_label", "doubt", "priority", "place"]
    np.testing.assert_array_equal(result.index, valued.index)
    by_label = [
        fitted.value_samples(pool.X_new, np.full(len(result), label)).label_quality
        for label in fitted.classes_
    ]
    likeliest = fitted.classes_[np.argmax(by_label, axis=0)]
    np.testing.assert_array_equal(result["suggested_label"], likeliest)
    np.testing.assert_allclose(result["doubt"], 1 - np.max(by_label, axis=0), atol=1e-12)
    assert sorted(result["place"]) == list(range(1, len(result) + 1))
    assert result.loc[result["place"] <= 50, "doubt"].mean() > result["doubt"].mean()


def test_unlabelled_amounts_rank_by_difference_of_model_and_judges(amounts, fitted_amounts):
    result = rank_unlabelled(fitted_amounts, amounts.X_new)
    predicted = fitted_amounts.estimator_.predict(amounts.X_new)
    np.testing.assert_allclose(result["doubt"], np.abs(predicted - result["suggested_label"]))
    assert result["place"].idxmin() == result["doubt"].idxmax()


# --- Adding ----------------------------------------------------------------------------------

SHARES = (0.0, 0.25, 0.5, 1.0)


def curves_of(pool, priorities, **settings):
    rows = pool.X, pool.y, pool.X_new, pool.y_new, pool.X_test, pool.y_test
    return acquisition_curves(GaussianNB(), *rows, priorities, shares=SHARES, **settings)


def joined(pool, rows):
    """The rows of the table and some of the new ones."""
    return np.concatenate([pool.X, pool.X_new[rows]]), np.concatenate([pool.y, pool.y_new[rows]])


def accuracy_with(pool, X, y):
    return accuracy_score(pool.y_test, GaussianNB().fit(X, y).predict(pool.X_test))


def test_every_step_is_an_honest_refit_with_the_rows_of_highest_priority(cancer):
    pool = split(cancer)
    priority = np.random.default_rng(1).normal(size=len(pool.y_new))
    curves = curves_of(pool, {"ours": priority}, n_random=2)
    assert set(curves["measure"]) >= {"accuracy", "balanced_accuracy", "roc_auc", "recall: 0"}
    curves = curves[curves["measure"] == "accuracy"]
    ours = curves[curves["strategy"] == "ours"]
    assert ours["share"].tolist() == list(SHARES)
    for row in ours.itertuples():
        assert row.n_added == round(row.share * len(priority))
        added = np.sort(np.argsort(-priority)[: row.n_added])
        assert row.score == pytest.approx(accuracy_with(pool, *joined(pool, added)))
        assert row.low <= row.score <= row.high
    ends = curves[curves["share"].isin([0, 1])]
    assert ends.groupby("share")["score"].nunique().tolist() == [1, 1]


def test_additions_are_counted_and_reported(cancer):
    pool = split(cancer)
    priorities = {"ours": np.arange(len(pool.y_new)), "theirs": -np.arange(len(pool.y_new))}
    steps = []
    curves = curves_of(pool, priorities, n_random=3, progress=lambda *step: steps.append(step))
    expected = count_additions(2, SHARES, 3)
    assert expected == 2 + 5 * 2
    assert steps == [(done, expected) for done in range(1, expected + 1)]
    assert curves.equals(curves_of(pool, priorities, n_random=3))
    summary = summarise_curves(curves[curves["measure"] == "accuracy"])
    assert summary.columns.tolist() == ["strategy", "share", "n_added", "mean", "low", "high"]
    assert len(summary) == 3 * len(SHARES)


def test_an_advantage_is_the_mean_between_none_and_all():
    steps = [("ours", 0, share, score) for share, score in ((0, 9), (0.5, 0.8), (0.6, 0.7), (1, 9))]
    steps += [("random", i, share, 0.5 + i / 100) for i in range(11) for share in (0, 0.5, 0.6, 1)]
    curves = pd.DataFrame(steps, columns=["strategy", "repeat", "share", "score"])
    (one,) = advantages(curves)
    assert (one.score, one.chance, one.low, one.high) == pytest.approx((0.75, 0.55, 0.51, 0.59))
    assert one.verdict == "better"
    inside = curves.assign(score=curves["score"].where(curves["strategy"] == "random", 0.52))
    assert advantages(inside)[0].verdict == "alike"
    assert advantages(curves[curves["share"].isin([0, 1])]) == ()
    assert advantages(curves[curves["strategy"] == "ours"]) == ()
