"""Two valuations compared, against SciPy, closed forms and enumeration."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.naive_bayes import GaussianNB

from ecoval_core.evaluation import comparison
from ecoval_core.evaluation.comparison import compare_valuations
from ecoval_core.evaluation.curves import (
    count_refits,
    removal_curves,
    summarise_curves,
)


def series(values, ids=None):
    ids = 3 * np.arange(len(values)) if ids is None else ids
    return pd.Series(values, index=pd.Index(ids, name="row_id"), dtype=float)


def correlated(n_rows, rho=0.6, seed=0):
    random = np.random.default_rng(seed)
    x, noise = random.normal(size=(2, n_rows))
    return series(x), series(np.exp(rho * x + np.sqrt(1 - rho**2) * noise))


def test_rank_correlations_are_scipy_s():
    a, b = correlated(200)
    a = a.round(1)
    result = compare_valuations(a, b)
    assert result.spearman.value == pytest.approx(stats.spearmanr(a, b).statistic)
    assert result.kendall.value == pytest.approx(stats.kendalltau(a, b).statistic)
    assert result.spearman.low < result.spearman.value < result.spearman.high


def test_rows_are_matched_by_id_and_the_rest_is_named():
    a = series([1, 2, np.nan, 4, 5, 6], [10, 11, 12, 13, 14, 15])
    b = series([60, 10, 20, 30, 50, 70, np.nan], [15, 10, 11, 12, 14, 99, 13])
    result = compare_valuations(a, b)
    assert result.rows.index.tolist() == [10, 11, 14, 15]
    assert result.rows["value_b"].tolist() == [10, 20, 50, 60]
    assert result.only_a.tolist() == [13]
    assert result.only_b.tolist() == [12, 99]
    assert result.spearman.value == pytest.approx(1.0)


def test_ranks_are_in_percent_and_ties_share_theirs():
    result = compare_valuations(series([5, 1, 1, 9, 7]), series([1, 2, 3, 4, 5]))
    assert result.rows["rank_a"].tolist() == [50, 12.5, 12.5, 100, 75]
    assert result.rows["rank_b"].tolist() == [0, 25, 50, 75, 100]
    assert result.rows["difference"].tolist() == [-50, 12.5, 37.5, -25, 25]
    assert result.disagreements(2).index.tolist() == [0, 6]


@pytest.mark.slow
def test_intervals_cover_the_true_correlation(monkeypatch):
    """In nine of ten samples, also where fewer rows are drawn than there are."""
    monkeypatch.setattr(comparison, "MAX_DRAWN_ROWS", 40)
    monkeypatch.setattr(comparison, "N_DRAWS", 80)
    rho, n_samples = 0.6, 40
    truth = {"spearman": 6 / np.pi * np.arcsin(rho / 2), "kendall": 2 / np.pi * np.arcsin(rho)}
    covered = dict.fromkeys(truth, 0)
    for seed in range(n_samples):
        result = compare_valuations(*correlated(150, rho, seed), random_state=seed)
        for name, value in truth.items():
            one = getattr(result, name)
            covered[name] += one.low <= value <= one.high
    for name, n_covered in covered.items():
        # At 90 %, fewer than 30 or all of 40 happen once in 50 times.
        assert 30 <= n_covered <= 39, name


def test_the_lowest_overlap_as_sets_do():
    a, b = correlated(200)
    result = compare_valuations(a, b, shares=(0.1, 0.25))
    for row in result.overlaps.itertuples():
        n = round(row.share * 200)
        lowest = [set(values.nsmallest(n).index) for values in (a, b)]
        shared = len(lowest[0] & lowest[1])
        assert (row.n_rows, row.shared) == (n, pytest.approx(shared))
        assert row.jaccard == pytest.approx(shared / len(lowest[0] | lowest[1]))
        assert row.jaccard > row.expected_jaccard


def test_the_overlap_by_chance_is_that_of_all_orders():
    values = series(np.arange(6.0))
    overlap = compare_valuations(values, values, shares=(0.5,)).overlaps.iloc[0]
    shared = np.array([len({0, 1, 2} & set(order[:3])) for order in permutations(range(6))])
    assert overlap["expected_shared"] == pytest.approx(shared.mean())
    assert overlap["expected_jaccard"] == pytest.approx((shared / (6 - shared)).mean())


def test_values_that_are_all_alike_agree_by_chance_alone():
    result = compare_valuations(series(np.arange(20.0)), series(np.ones(20)), shares=(0.25,))
    assert np.isnan([result.spearman.value, result.kendall.low]).all()
    overlap = result.overlaps.iloc[0]
    assert overlap["shared"] == pytest.approx(overlap["expected_shared"])
    assert result.rows["rank_b"].tolist() == [50.0] * 20


def test_classes_are_summarised_one_by_one():
    random = np.random.default_rng(0)
    labels = pd.Series(np.where(np.arange(100) < 20, "rare", "common"), index=3 * np.arange(100))
    a = series(random.random(100) + (labels == "common").to_numpy())
    b = series(random.random(100))
    result = compare_valuations(a, b)
    table = result.by_class(labels, share=0.2).set_index("label")
    assert table["n_rows"].to_dict() == {"common": 80, "rare": 20}
    rare, found = labels.index[labels == "rare"], table.loc["rare"]
    assert found["lowest_a"] == 1.0
    assert found["lowest_b"] == pytest.approx(rare.isin(b.nsmallest(20).index).mean())
    assert found["spearman"] == pytest.approx(stats.spearmanr(a[rare], b[rare])[0])
    assert found["rank_a"] == pytest.approx(result.rows.loc[rare, "rank_a"].mean())


def test_valuations_of_other_rows_are_refused():
    with pytest.raises(ValueError, match="have 0 rows in common"):
        compare_valuations(series([1, 2, 3]), series([1, 2, 3], [1, 2, 4]))


# --- Curves of several methods ---------------------------------------------------------------

SHARES = (0.0, 0.2, 0.4)


def curves_of(data, values, **settings):
    return removal_curves(
        GaussianNB(), data.X, data.y, data.X_test, data.y_test, values, shares=SHARES, n_random=3,
        every_measure=True, **settings,
    )  # fmt: skip


@pytest.mark.parametrize("class_balanced", [False, True])
def test_curves_of_methods_are_those_of_each_alone(cancer, valued_cancer, class_balanced):
    values = {"ours": valued_cancer.values_, "theirs": np.random.default_rng(0).random(250)}
    curves = curves_of(cancer, values, class_balanced=class_balanced)
    for name, of in values.items():
        alone = removal_curves(
            GaussianNB(), cancer.X, cancer.y, cancer.X_test, cancer.y_test, of, shares=SHARES,
            strategies=("lowest", "highest"), class_balanced=class_balanced, every_measure=True,
        )  # fmt: skip
        mine = curves[curves["method"] == name].drop(columns="method").reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, alone)
    chance = curves[curves["method"] == "random"]
    assert chance.groupby(["measure", "share"]).size().eq(3).all()
    summary = summarise_curves(curves[curves["measure"] == "accuracy"])
    lines = {(name, end) for name in values for end in ("lowest", "highest")} | {
        ("random", "random")
    }
    assert summary.groupby(["method", "strategy"]).size().to_dict() == dict.fromkeys(lines, 3)


def test_methods_that_agree_share_their_refits(cancer, valued_cancer):
    values, steps = valued_cancer.values_, []
    agreeing = {"one": values, "other": values * 3 + 1}
    curves_of(cancer, agreeing, progress=lambda *step: steps.append(step))
    alike = count_refits(("lowest", "highest", "random"), SHARES, 3)
    assert steps == [(done, alike) for done in range(1, alike + 1)]
