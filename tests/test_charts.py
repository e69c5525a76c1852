"""Charts of values, of removal curves and of a table; what all charts have in common."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from test_charts_comparison import COMPARISON_CHARTS

from ecoval_core import charts
from ecoval_core.charts.coloring import colorings
from ecoval_core.charts.points import MAX_LOWEST, MAX_POINTS
from ecoval_core.charts.shades import shade
from ecoval_core.charts.style import CATEGORIES, PALETTES, palette_of, safe, short_names

LIGHT = palette_of("light")


def make_frame(n=60, n_classes=3, n_clusters=6, seed=0, flipped=0.1):
    """A frame as a run gives it; row ids have gaps, as those of a training part do."""
    random = np.random.default_rng(seed)
    codes = np.arange(n) % n_classes
    intrinsic = random.random(n) * 0.01
    extrinsic = random.standard_t(3, n) * 0.004
    labels = np.array([f"class {code}" for code in codes])
    return pd.DataFrame(
        {
            "value": intrinsic + extrinsic, "intrinsic": intrinsic, "extrinsic": extrinsic,
            "cluster": np.arange(n) % n_clusters, "label": labels, "original_label": labels,
            "flipped": random.random(n) < flipped, "quality": random.random(n),
            "raw_extrinsic": 2 * extrinsic,
        },
        index=pd.Index(3 * np.arange(n), name="row_id"),
    )  # fmt: skip


def regression(frame):
    amounts = np.linspace(-3, 900, len(frame))
    return frame.assign(label=amounts, original_label=amounts, flipped=False)


def coords_of(frame):
    return np.random.default_rng(0).normal(size=(len(frame), 2)).astype(np.float32)


def draw_map(frame, theme="light", **options):
    return charts.value_map(frame, coords_of(frame), theme=theme, **options)


def scatter(frame, theme="light", **options):
    return charts.decomposition_scatter(frame, theme=theme, **options)


def totals(frame, theme="light", by="label", **options):
    return charts.totals_by(frame, by=by, theme=theme, **options)


def distribution(frame, theme="light", **options):
    return charts.value_distribution(frame, theme=theme, **options)


VALUE_CHARTS = {
    "map": draw_map,
    "scatter": scatter,
    "labels": totals,
    "clusters": lambda frame, theme="light": totals(frame, theme, "cluster"),
    "distribution": distribution,
}
ALL_CHARTS = COMPARISON_CHARTS | {
    name: lambda theme="light", draw=draw: draw(make_frame(), theme)
    for name, draw in VALUE_CHARTS.items()
}


def text_of(figure):
    """A figure as a browser gets it, without the keys of marks that nobody reads."""
    for trace in figure.data:
        trace.ids = None
        if "customdata" not in (trace.hovertemplate or ""):
            trace.customdata = None
    return json.dumps(json.loads(figure.to_json()))


# --- Every chart ----------------------------------------------------------------------------


@pytest.mark.parametrize("draw", ALL_CHARTS.values(), ids=ALL_CHARTS)
def test_every_chart_is_legible_in_both_themes_and_the_same_each_time(draw):
    for theme, palette in PALETTES.items():
        layout = draw(theme).layout
        assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
        assert layout.font.color == layout.hoverlabel.font.color == palette.text
        assert layout.hoverlabel.bgcolor == palette.surface
        assert layout.newselection.line.color == palette.text
    assert draw().to_json() == draw().to_json()
    with pytest.raises(ValueError, match="Unknown theme 'sepia'"):
        draw("sepia")


UNVALUED = dict.fromkeys(["value", "intrinsic", "extrinsic"], np.nan)
FRAMES = {
    "one row": make_frame(n=1, n_classes=1, n_clusters=1),
    "one class": make_frame(n=40, n_classes=1),
    "100 classes": make_frame(n=200, n_classes=100),
    "300 clusters": make_frame(n=600, n_clusters=300),
    "all zero": make_frame().assign(value=0.0, intrinsic=0.0, extrinsic=0.0),
    "weight 0": make_frame().assign(extrinsic=0.0),
    "no surplus": make_frame().assign(intrinsic=0.0),
    "some rows without a value": pd.concat(
        [make_frame()[:20].assign(**UNVALUED), make_frame()[20:]]
    ),
    "regression": regression(make_frame()),
    "constant target": regression(make_frame()).assign(label=5.0),
    "integers": make_frame().assign(label=np.arange(60) % 10),
    "mark-up": make_frame().assign(label="<b>a & b</b> " * 10),
}


@pytest.mark.parametrize("draw", VALUE_CHARTS.values(), ids=VALUE_CHARTS)
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_chart_of_values_draws_whatever_a_run_may_hold(draw, frame):
    before = frame.copy(deep=True)
    figure = draw(frame)
    assert figure.data
    assert not re.search(r"\bnan\b|<b>a &|\b1 rows", text_of(figure), re.IGNORECASE)
    for trace in figure.data:
        for numbers in (trace.x, trace.y):
            assert numbers is None or np.isfinite(numbers).all()
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("draw", VALUE_CHARTS.values(), ids=VALUE_CHARTS)
def test_chart_without_a_value_says_so(draw):
    figure = draw(make_frame().assign(**UNVALUED))
    assert not figure.data
    assert "No row has a value." in text_of(figure)


# --- Colours and map ------------------------------------------------------------------------


def shares_of(values):
    """Values as shares of the 95th percentile of their own side of zero."""
    above, below = (np.percentile(part[part > 0], 95) for part in (values, -values))
    return np.where(values < 0, values / below, values / above)


class TestColours:
    @pytest.mark.parametrize("theme", PALETTES)
    def test_three_small_values_below_zero_among_a_thousand_are_visibly_orange(self, theme):
        frame = make_frame(n=1000).assign(value=np.linspace(0, 40, 1000))
        frame.iloc[[10, 500, 990], frame.columns.get_loc("value")] = [-0.2, -0.3, -0.25]
        palette = palette_of(theme)
        drawn = shade(colorings(frame, palette)["value"], palette)
        for value, code in zip(frame["value"], drawn.codes, strict=True):
            red, _, blue = (int(drawn.colors[code][i : i + 2], 16) for i in (1, 3, 5))
            assert (red > blue + 60) == (value < 0), value
        assert drawn.ticks[0][1].endswith("0.295")
        assert drawn.ticks[-1][1].startswith("≥ +38")

    def test_scale_of_values_is_centred_at_zero_and_clipped(self):
        frame = make_frame(n=500)
        choice = colorings(frame, LIGHT, "‰ of the surplus")["value"]
        assert choice.title == "Value (‰ of the surplus)"
        np.testing.assert_allclose(choice.codes, shares_of(frame["value"]), rtol=1e-5)
        assert (choice.low, choice.high) == (-1, 1)
        scale = dict(choice.colorscale)
        assert (scale[0], scale[0.5], scale[1]) == (LIGHT.harm, LIGHT.zero, LIGHT.gain)
        lowest, _, zero, _, highest = choice.names
        assert zero == "0"
        for name, part in ((highest, frame["value"]), (lowest, -frame["value"])):
            limit = np.percentile(part[part > 0], 95)
            assert float(name.strip("≤≥ +−")) == pytest.approx(limit, rel=0.01)

    def test_planted_errors_are_a_choice_where_there_are_some(self):
        frame = make_frame(flipped=0.0)
        assert "flipped" not in colorings(frame, LIGHT)
        frame.loc[6, "flipped"] = True
        choice = colorings(frame, LIGHT)["flipped"]
        assert choice.codes.tolist() == frame["flipped"].tolist()
        assert choice.names == ["as it was (59)", "made wrong (1)"]

    def test_few_classes_have_their_own_colour_in_order_and_of_many_the_smallest_share_one(self):
        labels = np.arange(60) % 10
        choice = colorings(make_frame().assign(label=labels), LIGHT)["label"]
        assert choice.names == list("9876543210")
        assert (choice.codes == 9 - labels).all()
        choice = colorings(make_frame(n=400, n_classes=26), LIGHT)["label"]
        assert (len(choice.names), choice.names[0]) == (len(CATEGORIES), "15 others")
        assert "26 classes" in choice.subtitle


class TestMap:
    def test_points_carry_their_row_ids_places_and_words_the_lowest_on_top(self):
        frame = make_frame(flipped=0.0)
        frame.loc[6, ["flipped", "label", "original_label"]] = [True, "class 1", "class 2"]
        (trace,) = draw_map(frame).data
        assert trace.x.dtype == trace.y.dtype == trace.marker.color.dtype == np.float32
        assert trace.customdata.dtype == np.int32
        rows = frame.index.get_indexer(trace.customdata)
        assert sorted(rows) == list(range(60))
        assert np.array_equal(np.column_stack([trace.x, trace.y]), coords_of(frame)[rows])
        for row_id, text in zip(trace.customdata, trace.hovertext, strict=True):
            assert text.startswith(frame["label"][row_id])
            assert f"cluster {frame['cluster'][row_id]}" in text
            assert ("planted noise, it was class 2" in text) == (row_id == 6)
        assert (np.diff(trace.marker.color) <= 0).all()

    def test_points_without_coordinates_are_left_out(self):
        frame = make_frame()
        coords = coords_of(frame)
        coords[5] = np.nan
        figure = charts.value_map(frame, coords, theme="light")
        assert 15 not in figure.data[0].customdata
        assert figure.layout.title.text.endswith("showing 59 of 60 rows")

    def test_huge_row_ids_are_exact(self):
        frame = make_frame(n=3).set_axis([2**31 + 5, 2**40 + 1, 7])
        assert set(draw_map(frame).data[0].customdata) == set(frame.index)

    def test_of_many_rows_the_lowest_and_an_even_sample_are_drawn_and_that_is_said(self):
        frame = make_frame(n=MAX_POINTS + 10_000, n_classes=26, n_clusters=300)
        figure = draw_map(frame)
        drawn = figure.data[0].customdata
        assert len(drawn) == MAX_POINTS
        assert figure.layout.title.text.endswith("showing 20,000 of 30,000 rows")
        assert set(frame["value"].sort_values().index[:MAX_LOWEST]) <= set(drawn)
        rest = np.isin(frame.index, drawn)[frame["value"].rank() > MAX_LOWEST]
        halves = rest[: len(rest) // 2].mean(), rest[len(rest) // 2 :].mean()
        assert halves[0] == pytest.approx(halves[1], abs=0.03)
        assert len(figure.to_json()) < 2.3e6


# --- Decomposition --------------------------------------------------------------------------


class TestDecomposition:
    def test_kinds_go_by_quality_effect_and_value_in_any_unit(self):
        kinds = {
            (0.5, 1.0, 2.0): "Typical and needed",
            (0.5, -1.0, 1.0): "Typical but redundant",
            (0.9, -1.0, -1.0): "Typical but harmful",
            (0.49, 1.0, 1.0): "Odd but useful",
            (0.49, 0.05, 0.0): "Odd, of little effect",
            (0.1, -1.0, -1.0): "Odd and harmful",
            (0.1, -0.05, -0.1): "Odd, of little effect",
        }
        frame = pd.DataFrame(list(kinds), columns=["quality", "raw_extrinsic", "value"])
        assert charts.quadrant_of(frame).tolist() == list(kinds.values())
        in_another_unit = frame * {"quality": 1, "raw_extrinsic": 1000, "value": 1000}
        assert charts.quadrant_of(in_another_unit).tolist() == list(kinds.values())

    def test_at_weight_zero_nobody_is_called_harmful(self):
        text = text_of(scatter(make_frame(n=500).assign(extrinsic=0.0)))
        assert "its weight is 0" in text
        assert not re.search(r"\d rows?", text)

    def test_corners_are_named_and_counted_over_all_rows(self):
        frame = make_frame(n=MAX_POINTS + 1000)
        figure = scatter(frame)
        assert len(figure.data[0].x) == MAX_POINTS
        (few,) = scatter(frame, limit=400).data
        assert set(frame["value"].sort_values().index[:100]) <= set(few.customdata)
        assert len(few.x) == 400
        assert "showing 20,000 of 21,000 rows" in figure.layout.title.text
        notes = {re.search("<b>(.*)</b>", note.text)[1]: note for note in figure.layout.annotations}
        for name, n in charts.quadrant_of(frame).value_counts().items():
            assert re.search(rf"{name}(</b><br>|: ){n:,} row", text_of(figure)), name
        assert {name: (note.x, note.y) for name, note in notes.items()} == {
            "Typical and needed": (1, 1), "Typical but redundant": (1, 0),
            "Odd but useful": (0, 1), "Odd and harmful": (0, 0),
        }  # fmt: skip

    def test_points_carry_ids_parts_and_colour_of_the_value_and_are_all_in_view(self):
        frame = make_frame(n=200)
        figure = scatter(frame, unit="points")
        (trace,), layout = figure.data, figure.layout
        rows = frame.loc[trace.customdata].astype(
            {"intrinsic": np.float32, "extrinsic": np.float32}
        )
        np.testing.assert_allclose(trace.marker.color, shares_of(rows["value"]), rtol=1e-5)
        assert np.array_equal(trace.x, rows["intrinsic"])
        assert np.array_equal(trace.y, rows["extrinsic"])
        for axis, name in ((layout.xaxis, "intrinsic"), (layout.yaxis, "extrinsic")):
            assert axis.title.text == f"{name} (points)"
            assert axis.range[0] < frame[name].min() < frame[name].max() < axis.range[1]

    def test_lines_are_drawn_at_the_splits(self):
        frame = make_frame(n=200)
        across, up, _ = scatter(frame.assign(intrinsic=0.02 * frame["quality"])).layout.shapes
        assert across.y0 == across.y1 == 0
        assert up.x0 == up.x1 == pytest.approx(0.02 * charts.TYPICAL_QUALITY)


# --- Totals and distribution ----------------------------------------------------------------


class TestTotals:
    @pytest.mark.parametrize("by", ["label", "cluster"])
    def test_parts_stack_to_the_total_lowest_first(self, by):
        frame = make_frame()
        figure = totals(frame, by=by, unit="points")
        intrinsic, extrinsic, value = figure.data
        expected = frame.groupby(by)["value"].sum().sort_values()
        assert list(value.customdata) == [str(key) for key in expected.index]
        assert np.allclose(value.x, expected, rtol=1e-5)
        assert np.allclose(intrinsic.x + extrinsic.x, value.x, atol=1e-6)
        assert figure.layout.barmode == "relative"
        assert figure.layout.xaxis.title.text == "total value (points)"
        assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1], "the first is on top"

    def test_limit_keeps_the_lowest_and_says_so(self):
        frame = make_frame(n=600, n_clusters=300)
        figure = totals(frame, by="cluster", limit=40)
        expected = frame.groupby("cluster")["value"].sum().nsmallest(40)
        assert [int(key) for key in figure.data[0].customdata] == expected.index.tolist()
        assert "the lowest 40 of 300" in figure.layout.title.text

    def test_names_tell_clusters_and_long_classes_apart(self):
        frame = make_frame(n_clusters=3)
        names = totals(frame, by="cluster").layout.yaxis.ticktext
        assert set(names) == {"0 · class 0", "1 · class 1", "2 · class 2"}
        names = totals(regression(frame), by="cluster").layout.yaxis.ticktext
        assert set(names) == {"cluster 0", "cluster 1", "cluster 2"}
        frame["label"] = "a very long name in front of " + frame["label"]
        names = totals(frame).layout.yaxis.ticktext
        assert len(set(names)) == 3
        assert all(len(name) <= 20 for name in names)


class TestDistribution:
    def test_histogram_counts_every_row_and_splits_at_zero(self):
        frame = make_frame(n=1000)
        frame.iloc[0, 0], frame.iloc[1, 0] = -1e6, 1e6
        figure = distribution(frame)
        bars = figure.data[0]
        is_below = np.array(bars.marker.color) == LIGHT.harm_soft
        n_below = (frame["value"] < 0).sum()
        assert bars.y.sum() == 1000
        assert bars.y[is_below].sum() == n_below
        assert (bars.x[is_below] < 0).all()
        assert (bars.x[~is_below] > 0).all()
        assert f"{n_below} rows of 1,000 below zero" in figure.layout.title.text
        assert bars.x.max() < 1, "outliers count in the last bars"
        assert bars.customdata[0].startswith("below")
        assert bars.customdata[-1].endswith("or more")

    def test_boxes_are_the_quantiles_of_each_class_lowest_median_first(self):
        frame = make_frame(n=300)
        figure = distribution(frame)
        groups = frame.groupby("label")["value"]
        order = groups.median().sort_values().index
        assert list(figure.layout.yaxis.ticktext) == order.tolist()
        for name, q in (("lowerfence", 0.05), ("q1", 0.25), ("median", 0.5), ("upperfence", 0.95)):
            assert np.allclose(figure.data[1][name], groups.quantile(q)[order], rtol=1e-5)
        below = (frame["value"] < 0).groupby(frame["label"]).mean()[order]
        for share, text in zip(below, figure.data[2].text, strict=True):
            assert f"{share:.1%} below zero" in text

    def test_amounts_fall_into_five_ranges_in_order_that_are_no_classes(self):
        frame = regression(make_frame())
        figure = distribution(frame)
        names = list(figure.layout.yaxis.ticktext)
        starts = [float(name.split(" to ")[0].replace("−", "-")) for name in names]
        assert len(names) == 5
        assert starts == sorted(starts)
        assert "class" not in text_of(figure)
        assert "Total value by target" in text_of(totals(frame))
        for choice in colorings(frame, LIGHT).values():
            assert "label" not in choice.subtitle

    def test_of_many_classes_and_rows_no_more_is_sent(self):
        small, large = (
            text_of(distribution(make_frame(n=n, n_classes=100))) for n in (5_000, 50_000)
        )
        assert "30 of 100 classes" in large
        assert len(large) < 1.2 * len(small)


# --- Removal curves -------------------------------------------------------------------------


@pytest.fixture
def summary():
    curves = {
        "lowest": ([0.8, 0.85, 0.9, 0.7], 0.0),
        "highest": ([0.8, 0.6, 0.5, 0.4], 0.0),
        "random": ([0.8, 0.79, 0.78, 0.77], 0.02),
        "random_clusters": ([0.8, 0.75, 0.7, 0.65], 0.05),
    }
    rows = [
        (strategy, share, int(100 * share), mean, mean - width, mean + width)
        for strategy, (means, width) in curves.items()
        for share, mean in zip([0.0, 0.1, 0.2, 0.3], means, strict=True)
    ]
    return pd.DataFrame(rows, columns=["strategy", "share", "n_removed", "mean", "low", "high"])


def removal(summary, baseline=0.8, **options):
    """The chart of a summary, and its traces by name."""
    figure = charts.removal_chart(summary, baseline, "accuracy", theme="light", **options)
    return figure, {trace.name: trace for trace in figure.data}


class TestRemoval:
    def test_strategies_have_lines_random_ones_a_band_and_the_baseline_lies_across(self, summary):
        figure, traces = removal(summary, 0.8125)
        for strategy, name in (
            ("lowest", "lowest value first"), ("highest", "highest value first"),
            ("random", "random rows"), ("random_clusters", "random clusters"),
        ):  # fmt: skip
            own = summary[summary["strategy"] == strategy]
            assert np.allclose(traces[name].x, own["share"])
            assert np.allclose(traces[name].y, own["mean"])
        assert figure.layout.yaxis.title.text == "test accuracy"
        bands = {trace.legendgroup: trace for trace in figure.data if trace.fill == "toself"}
        assert set(bands) == {"random", "random_clusters"}
        assert np.allclose(bands["random"].y, [0.82, 0.81, 0.8, 0.79, 0.75, 0.76, 0.77, 0.78])
        line = traces["no row removed: 0.812"]
        assert (list(line.x), list(line.y)) == ([0, 0.3], [0.8125, 0.8125])

    def test_peak_of_removing_the_lowest_first_is_marked_and_no_other(self, summary):
        figure, traces = removal(summary)
        assert (traces["peak"].x[0], traces["peak"].y[0]) == (0.2, 0.9)
        assert [note.text for note in figure.layout.annotations] == ["peak 0.900, 20% removed"]
        assert "peak" not in removal(summary[summary["strategy"] == "highest"])[1]
        summary.loc[summary["strategy"] == "lowest", "mean"] = [np.nan, 0.9, 0.7, 0.9]
        assert charts.peak_of(summary.sample(frac=1, random_state=0))["share"] == 0.1

    def test_only_what_was_measured_is_drawn(self, summary):
        is_last = (summary["strategy"] == "highest") & (summary["share"] == 0.3)
        summary.loc[is_last, ["mean", "low", "high"]] = np.nan
        assert np.allclose(removal(summary)[1]["highest value first"].x, [0, 0.1, 0.2])
        assert "No score could be measured." in text_of(removal(summary.assign(mean=np.nan))[0])


# --- Table ----------------------------------------------------------------------------------


def class_counts(values):
    return charts.class_counts(pd.Series(values, name="y"), theme="light")


class TestTable:
    def test_class_counts_largest_first_and_of_many_the_smallest_together(self):
        figure = class_counts(["b", "a", "b", "b"])
        assert list(figure.layout.yaxis.ticktext) == ["b", "a"]
        assert list(figure.data[0].text) == ["3 (75.0%)", "1 (25.0%)"]
        labels = np.repeat([f"c{i}" for i in range(100)], np.arange(100, 0, -1))
        figure = class_counts(labels)
        names = figure.layout.yaxis.ticktext
        assert (len(names), names[0], names[-1]) == (30, "c0", "71 smaller classes")
        assert figure.data[0].x.sum() == len(labels)

    def test_continuous_target_is_a_histogram(self):
        figure = class_counts(np.arange(41.0))
        assert figure.data[0].y.sum() == 41
        assert figure.layout.xaxis.title.text == "y"
        assert figure.data[0].customdata[0].endswith("1 row")
        assert figure.data[0].customdata[-1].endswith("2 rows")

    def test_missing_values_worst_first_and_only_where_there_are_any(self):
        frame = pd.DataFrame({"a": [1, None, 3, 4], "b": [1, 2, 3, 4], "c": [None, None, None, 1]})
        figure = charts.missing_by_column(frame, theme="light")
        assert list(figure.layout.yaxis.ticktext) == ["c", "a"]
        assert list(figure.data[0].text) == ["3 (75.0%)", "1 (25.0%)"]
        assert "2 of 3" in figure.layout.title.text
        assert not charts.missing_by_column(frame[["b"]], theme="light").data
        many = pd.DataFrame({f"c{i}": [None] * (i + 1) + [1] * (40 - i) for i in range(40)})
        (bars,) = charts.missing_by_column(many, theme="light").data
        assert (len(bars.x), bars.x.max()) == (20, 40)

    def test_split_shows_every_row_once(self):
        parts = ["train"] * 50 + ["validation"] * 30 + ["test"] * 20
        assert [trace.name for trace in charts.split_bar(pd.Series(parts), theme="light").data] == [
            "training: 50 (50%)", "validation: 30 (30%)", "test: 20 (20%)",
        ]  # fmt: skip
        without_target = charts.split_bar(pd.Series([*parts, "no target"]), theme="light").data
        assert without_target[-1].name == "no target: 1 (1%)"


# --- Style ----------------------------------------------------------------------------------


def contrast(first, second):
    """Contrast of two colours as WCAG defines it."""
    channels = [[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in (first, second)]
    linear = [
        [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in one]
        for one in channels
    ]
    low, high = sorted(np.dot(linear, [0.2126, 0.7152, 0.0722]))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("name", "background"), [("light", "#ffffff"), ("dark", "#14171c")])
def test_text_and_points_stand_out(name, background):
    palette = PALETTES[name]
    assert contrast(palette.text, background) > 7
    assert contrast(palette.text, palette.surface) > 7
    assert contrast(palette.button_text, palette.button) > 7
    for color in (palette.muted, palette.harm, palette.gain):
        assert contrast(color, background) > 4.5
    assert min(contrast(color, background) for color in CATEGORIES) > 2.2
    assert contrast(palette.zero, background) > 1.9


def test_names_are_cut_safe_and_apart():
    assert safe("a\n b  c") == "a b c"
    assert safe("<b>" + "x" * 50, 10) == "&lt;b&gt;xxxxxx…"
    assert safe("می\u200cخواهم") == "می\u200cخواهم", "letters are joined as Persian has them"
    assert short_names(["a" * 30 + "1", "a" * 30 + "2", "b"], 9) == ["aaaa…aaa1", "aaaa…aaa2", "b"]


def test_config_offers_no_upload():
    assert charts.CHART_CONFIG["showSendToCloud"] is False
