import numpy as np
import pytest
from sklearn.metrics import accuracy_score
from sklearn.naive_bayes import GaussianNB

from ecoval_core.evaluation.curves import (
    count_refits,
    removal_curves,
    removal_order,
    removed_rows,
    summarise_curves,
)

SHARES = (0.0, 0.15, 0.3)


def curves_of(data, values, **settings):
    rows = data.X, data.y, data.X_test, data.y_test
    return removal_curves(GaussianNB(), *rows, values, **({"shares": SHARES} | settings))


def test_every_point_of_a_curve_is_an_honest_refit(cancer, valued_cancer):
    values = valued_cancer.values_
    curves = curves_of(cancer, values, strategies=("lowest", "highest"))
    assert curves["strategy"].tolist() == ["lowest"] * 3 + ["highest"] * 3
    for row in curves.itertuples():
        order = np.argsort(values if row.strategy == "lowest" else -values)
        rest = order[row.n_removed :]
        assert row.n_removed == round(row.share * len(values))
        model = GaussianNB().fit(cancer.X[np.sort(rest)], cancer.y[np.sort(rest)])
        expected = accuracy_score(cancer.y_test, model.predict(cancer.X_test))
        assert row.score == pytest.approx(expected)


def test_class_balanced_removal_keeps_the_shares_of_the_classes_and_the_order_within():
    classes = np.repeat([0, 1], [80, 20])
    order = np.random.default_rng(0).permutation(100)
    gone = removed_rows(order, 0.25, classes)
    assert np.bincount(classes[gone]).tolist() == [20, 5]
    assert set(gone) >= set(order[classes[order] == 1][:5])
    assert len(removed_rows(order, 0.25)) == 25


def test_the_cluster_control_removes_whole_clusters():
    clusters = np.random.default_rng(0).integers(6, size=60)
    order = removal_order("random_clusters", np.zeros(60), clusters, np.random.default_rng(1))
    assert (np.diff(clusters[order]) != 0).sum() == 5
    with pytest.raises(ValueError, match="needs the clusters"):
        removal_order("random_clusters", np.zeros(6), None, np.random.default_rng(1))


def test_random_orders_repeat_and_give_a_band(cancer, valued_cancer):
    curves = curves_of(cancer, valued_cancer.values_, strategies=("random",), n_random=10)
    again = curves_of(cancer, valued_cancer.values_, strategies=("random",), n_random=10)
    assert curves.equals(again)
    assert curves.groupby("share").size().tolist() == [10, 10, 10]
    summary = summarise_curves(curves)
    scores = curves.query("share == 0.3")["score"]
    last = summary.iloc[-1]
    assert (last["low"], last["mean"], last["high"]) == pytest.approx(
        (scores.quantile(0.1), scores.mean(), scores.quantile(0.9))
    )
    assert scores.nunique() > 1


def test_refits_are_counted_and_reported(cancer, valued_cancer):
    steps, strategies = [], ("lowest", "random")
    settings = {"strategies": strategies, "n_random": 3}
    curves_of(cancer, valued_cancer.values_, progress=lambda *step: steps.append(step), **settings)
    expected = count_refits(strategies, SHARES, 3)
    assert steps == [(done, expected) for done in range(1, expected + 1)]


def test_score_is_nan_where_one_class_is_left():
    X, y = np.arange(10.0)[:, None], np.repeat([0, 1], 5)
    curves = removal_curves(
        GaussianNB(), X, y, X, y, np.arange(10.0), strategies=("lowest",), shares=(0.0, 0.5)
    )
    assert curves["score"].isna().tolist() == [False, True]


def test_unknown_strategy_is_named(cancer):
    with pytest.raises(ValueError, match="strategy 'worst'"):
        curves_of(cancer, np.zeros(len(cancer.y)), strategies=("worst",))
