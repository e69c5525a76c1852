"""Charts of two valuations beside each other, and of test scores."""

import numpy as np
import pandas as pd
import pytest

from ecoval_core import charts
from ecoval_core.charts.points import MAX_LOWEST, MAX_POINTS
from ecoval_core.evaluation.comparison import compare_valuations

NAMES = ("digits, logistic regression", "<b>KNN</b>-Shapley")
METHODS = {"ecoval": "EcoVal", "knn": "KNN-Shapley & co"}


def compared(n=80, seed=0):
    random = np.random.default_rng(seed)
    ids = pd.Index(3 * np.arange(n), name="row_id")
    a = pd.Series(random.normal(size=n), ids)
    return compare_valuations(a, a + random.normal(size=n))


def classes(n=80, n_classes=3):
    return pd.Series([f"class {i % n_classes}" for i in range(n)], index=3 * np.arange(n))


def removal_summary():
    shares = [0.0, 0.1, 0.3]
    rows = [
        (method, strategy, share, round(100 * share), score - share / 10, score - 0.02, score + 0.02)
        for method, strategy, score in (
            ("ecoval", "lowest", 0.9), ("ecoval", "highest", 0.5), ("knn", "lowest", 0.8),
            ("knn", "highest", 0.6), ("random", "random", 0.7),
        )
        for share in shares
    ]  # fmt: skip
    columns = ["method", "strategy", "share", "n_removed", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def scatter(theme="light", **options):
    return charts.agreement_scatter(compared().rows, names=NAMES, theme=theme, **options)


def lines(theme="light", strategy="lowest", summary=None, score=0.88):
    summary = removal_summary() if summary is None else summary
    summary = summary[summary["strategy"].isin([strategy, "random"])]
    return charts.orders_chart(summary, score, "accuracy", by="method", names=METHODS, theme=theme)


def acquired(theme="light"):
    summary = removal_summary().rename(columns={"n_removed": "n_added"})
    summary = summary[summary["strategy"] != "highest"].drop(columns="strategy")
    summary = summary.rename(columns={"method": "strategy"})
    return charts.orders_chart(summary, 0.88, "accuracy", names=METHODS, theme=theme)


def class_bars(summary, theme="light", share=0.15):
    return charts.class_bars(summary, names=NAMES, share=share, theme=theme)


COMPARISON_CHARTS = {
    "agreement": scatter,
    "agreement of values": lambda theme="light": scatter(theme, by="values", selected=[3, 9]),
    "overlap": lambda theme="light": charts.overlap_bars(compared().overlaps, theme=theme),
    "classes": lambda theme="light": class_bars(compared().by_class(classes()), theme),
    "methods": lines,
    "acquisition": acquired,
}


@pytest.mark.parametrize("draw", COMPARISON_CHARTS.values(), ids=COMPARISON_CHARTS)
def test_names_of_users_are_no_mark_up(draw):
    text = draw().to_json().replace("\\u003c", "<").replace("\\u003e", ">")
    assert "<b>KNN" not in text


# --- Scatter ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("by", "column"), [("ranks", "rank"), ("values", "value")])
def test_points_carry_their_row_ids_and_what_disagrees_most_lies_on_top(by, column):
    found = compared()
    figure = scatter(by=by)
    (trace,) = figure.data
    assert trace.customdata.dtype == np.int32
    assert set(trace.customdata) == set(found.rows.index)
    rows = found.rows.loc[trace.customdata].astype(np.float32)
    np.testing.assert_array_equal(trace.x, rows[f"{column}_a"])
    np.testing.assert_array_equal(trace.y, rows[f"{column}_b"])
    np.testing.assert_array_equal(trace.marker.color, rows["difference"])
    assert np.abs(trace.marker.color).argmax() == len(trace.x) - 1
    diagonal = [(line.x0, line.y0, line.x1, line.y1) for line in figure.layout.shapes]
    assert diagonal == ([(0, 0, 100, 100)] if by == "ranks" else [])


def test_selected_rows_have_a_ring():
    _, ring = scatter(selected=[0, 6, 999]).data
    np.testing.assert_allclose(ring.x, compared().rows.loc[[0, 6], "rank_a"], rtol=1e-6)


def test_of_many_rows_a_sample_is_drawn_with_all_that_disagree_most():
    found = compared(MAX_POINTS + 5_000)
    figure = charts.agreement_scatter(found.rows, names=NAMES, theme="light")
    (trace,) = figure.data
    assert len(trace.x) == MAX_POINTS
    assert set(found.disagreements(MAX_LOWEST).index) <= set(trace.customdata)
    assert "showing 20,000 of 25,000 rows" in figure.layout.title.text


def test_where_no_row_is_common_it_says_so():
    figure = charts.agreement_scatter(compared().rows.iloc[:0], names=NAMES, theme="dark")
    assert not figure.data
    assert figure.layout.annotations[0].text == "No row is valued by both."


# --- Overlap and classes ---------------------------------------------------------------------


def test_overlap_bars_show_the_part_in_both_and_by_chance():
    overlaps = compared().overlaps
    bars, chance = charts.overlap_bars(overlaps, theme="light").data
    shown = overlaps[overlaps["n_rows"] > 0]
    np.testing.assert_allclose(bars.x, shown["shared"] / shown["n_rows"], rtol=1e-6)
    np.testing.assert_allclose(chance.x, shown["n_rows"] / 80, rtol=1e-6)
    assert bars.text[0] == f"{bars.x[0]:.0%}"
    assert "Jaccard index" in bars.customdata[0]
    nothing = charts.overlap_bars(overlaps.assign(n_rows=0), theme="light")
    assert not nothing.data


def test_class_bars_show_both_and_where_all_would_be_alike():
    summary = compared().by_class(classes(), share=0.2)
    figure = class_bars(summary, share=0.2)
    first, second = figure.data
    np.testing.assert_allclose(first.x, summary["lowest_a"], rtol=1e-6)
    np.testing.assert_allclose(second.x, summary["lowest_b"], rtol=1e-6)
    assert figure.layout.shapes[0].x0 == 0.2
    assert list(figure.layout.yaxis.ticktext) == summary["label"].tolist()


def test_of_many_classes_those_that_differ_most_are_drawn():
    summary = compared(400).by_class(classes(400, 50))
    figure = class_bars(summary)
    apart = (summary["lowest_a"] - summary["lowest_b"]).abs()
    drawn = summary["label"].isin(figure.layout.yaxis.ticktext)
    assert drawn.sum() == 30
    assert apart[drawn].min() >= apart[~drawn].max()
    assert "30 of 50 classes" in figure.layout.title.subtitle.text


# --- Scores ----------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["lowest", "highest"])
def test_curves_of_methods_are_those_of_the_summary(strategy):
    by_name = {trace.name: trace for trace in lines(strategy=strategy).data}
    summary = removal_summary()
    for key, name in (("ecoval", "EcoVal"), ("knn", "KNN-Shapley &amp; co")):
        of = summary[(summary["method"] == key) & (summary["strategy"] == strategy)]
        np.testing.assert_allclose(by_name[name].x, of["share"], rtol=1e-6)
        np.testing.assert_allclose(by_name[name].y, of["mean"], rtol=1e-6)
    assert by_name["no row removed: 0.880"].y == (0.88, 0.88)
    chance = summary[summary["strategy"] == "random"]
    band = [*chance["high"], *chance["low"][::-1]]
    np.testing.assert_allclose(by_name["random rows, 10-90 %"].y, band, rtol=1e-6)


def test_a_method_that_was_not_measured_is_left_out_and_a_missing_score_ends_the_line():
    summary = removal_summary()
    summary.loc[2, "mean"] = np.nan
    baseline, ecoval = lines(summary=summary[summary["method"] == "ecoval"]).data
    assert (baseline.name, ecoval.name) == ("no row removed: 0.880", "EcoVal")
    assert len(ecoval.x) == 2
    assert not lines(summary=summary.assign(mean=np.nan)).data


def test_acquisition_curves_start_where_nothing_is_added():
    figure = acquired()
    assert [trace.name for trace in figure.data] == [
        "no row added: 0.880", "random rows, 10-90 %", "random rows", "KNN-Shapley &amp; co",
        "EcoVal",
    ]  # fmt: skip
    assert figure.data[-1].text[1] == "0.890, 10 rows added"
    assert figure.layout.xaxis.title.text == "share of the new rows added"


@pytest.mark.parametrize("score", [0.9722, 0.0, -0.3, 57.3])
def test_a_curve_that_does_not_move_is_drawn_flat_around_its_score(score):
    summary = removal_summary().assign(mean=score, low=score, high=score)
    low, high = lines(summary=summary, score=score).layout.yaxis.range
    assert low < score < high
    assert high - low == pytest.approx(0.024 * (abs(score) or 1))
