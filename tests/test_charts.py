"""Charts of values, of removal curves and of a table; what all charts have in common."""

import base64
import re
from itertools import combinations, product, starmap

import numpy as np
import pandas as pd
import pytest
from test_charts_comparison import COMPARISON_CHARTS

from ecoval_core import charts
from ecoval_core.charts.coloring import colorings
from ecoval_core.charts.points import MAX_LOWEST, MAX_POINTS
from ecoval_core.charts.shades import shade
from ecoval_core.charts.style import (
    CATEGORIES,
    PALETTES,
    palette_of,
    safe,
    short_names,
)
from pages.shared.pointmap.element import _FADED

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


def button(figure, label):
    (found,) = [b for b in figure.layout.updatemenus[0].buttons if b.label == label]
    return found


def pressed(figure, label):
    """The figure after a press on one of the buttons above it."""
    marker, title, _ = button(figure, label).args
    packed, (scale,) = marker["marker.color"][0], marker["marker.colorscale"]
    color = np.frombuffer(base64.b64decode(packed["bdata"]), dtype=packed["dtype"])
    figure.update_traces(marker={"color": color, "colorscale": scale})
    for name in ("cmin", "cmax", "showscale", "colorbar.len"):
        figure.update_traces({f"marker_{name.replace('.', '_')}": marker[f"marker.{name}"]})
    for name in ("tickvals", "ticktext"):
        figure.update_traces({f"marker_colorbar_{name}": marker[f"marker.colorbar.{name}"][0]})
    return figure.update_layout(title)


def words(figure):
    """All the text of a figure outside its data."""
    title = figure.layout.title
    notes = [annotation.text for annotation in figure.layout.annotations]
    return " ".join([title.text or "", title.subtitle.text or "", *notes])


def written(figure):
    """Every text that a figure shows."""
    texts = [words(figure), *(figure.layout.yaxis.ticktext or ())]
    for trace in figure.data:
        marks = trace.marker.colorbar.ticktext if trace.type == "scattergl" else None
        told = trace["customdata"] if "customdata" in (trace.hovertemplate or "") else None
        for part in (trace.text, told, getattr(trace, "hovertext", None), marks):
            texts += [] if part is None else [str(text) for text in part]
    return texts


# --- Every chart ----------------------------------------------------------------------------


@pytest.mark.parametrize("draw", ALL_CHARTS.values(), ids=ALL_CHARTS)
class TestEveryChart:
    @pytest.mark.parametrize("theme", PALETTES)
    def test_background_is_the_page_and_text_is_legible_on_it(self, draw, theme):
        layout = draw(theme).layout
        assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
        assert layout.font.color == layout.hoverlabel.font.color == PALETTES[theme].text
        assert layout.hoverlabel.bgcolor == PALETTES[theme].surface
        assert layout.xaxis.gridcolor == PALETTES[theme].grid
        assert layout.newselection.line.color == PALETTES[theme].text

    def test_is_a_function_of_its_inputs_with_a_known_theme(self, draw):
        assert draw().to_json() == draw().to_json()
        with pytest.raises(ValueError, match="Unknown theme 'sepia'"):
            draw("sepia")


@pytest.mark.parametrize("draw", VALUE_CHARTS.values(), ids=VALUE_CHARTS)
class TestEveryChartOfValues:
    @pytest.mark.parametrize(
        "frame",
        [
            make_frame(n=1, n_classes=1, n_clusters=1),
            make_frame(n=40, n_classes=1),
            make_frame(n=200, n_classes=100),
            make_frame(n=600, n_clusters=300),
            make_frame().assign(value=0.0, intrinsic=0.0, extrinsic=0.0),
            make_frame().assign(extrinsic=0.0),
            make_frame().assign(intrinsic=0.0),
            regression(make_frame()),
            regression(make_frame()).assign(label=5.0),
            make_frame().assign(label=np.arange(60) % 10),
            make_frame().assign(label="<b>a & b</b> " * 10),
        ],
        ids=[
            "one row", "one class", "100 classes", "300 clusters", "all zero", "weight 0",
            "no surplus", "regression", "constant target", "integers", "mark-up",
        ],
    )  # fmt: skip
    def test_draws_whatever_a_run_may_hold(self, draw, frame):
        before = frame.copy(deep=True)
        figure = draw(frame)
        assert figure.data
        for text in written(figure):
            assert "nan" not in text.lower()
            assert "<b>a &" not in text
            assert not re.search(r"\b1 rows", text)
        for trace in figure.data:
            for numbers in (trace.x, trace.y):
                assert numbers is None or np.isfinite(numbers).all()
        pd.testing.assert_frame_equal(frame, before)

    def test_rows_without_a_value_are_left_out(self, draw):
        frame, parts = make_frame(), ["value", "intrinsic", "extrinsic"]
        frame.loc[frame.index[:20], parts] = np.nan
        for full, part in zip(draw(frame).data, draw(frame.iloc[20:]).data, strict=True):
            assert full.x is part.x or len(full.x) == len(part.x)
            if draw is not draw_map:  # its coordinates are of other rows
                np.testing.assert_array_equal(full.x, part.x)
        nothing = draw(make_frame().assign(**dict.fromkeys(parts, np.nan)))
        assert not nothing.data
        assert "No row has a value." in words(nothing)


# --- Map ------------------------------------------------------------------------------------


def shares_of(values):
    """Values as shares of the 95th percentile of their own side of zero."""
    limits = [
        np.percentile(part[part > 0], 95) if (part > 0).any() else 1 for part in (values, -values)
    ]
    return np.where(values < 0, values / limits[1], values / limits[0])


class TestMap:
    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_three_small_values_below_zero_among_a_thousand_are_visibly_orange(self, theme):
        frame = make_frame(n=1000).assign(value=np.linspace(0, 40, 1000))
        frame.iloc[[10, 500, 990], frame.columns.get_loc("value")] = [-0.2, -0.3, -0.25]
        palette = palette_of(theme)
        drawn = shade(colorings(frame, palette)["value"], palette)
        for position, (value, code) in enumerate(zip(frame["value"], drawn.codes, strict=True)):
            red, _, blue = (int(drawn.colors[code][i : i + 2], 16) for i in (1, 3, 5))
            assert (red > blue + 60) == (value < 0), position
        assert drawn.ticks[0][1].endswith("0.295")
        assert drawn.ticks[-1][1].startswith("≥ +38")

    def test_one_trace_in_single_precision_whose_arrays_belong_to_the_row_ids(self):
        frame = make_frame()
        (trace,) = draw_map(frame).data
        assert trace.type == "scattergl"
        assert trace.x.dtype == trace.y.dtype == trace.marker.color.dtype == np.float32
        assert trace.customdata.dtype == np.int32
        rows = frame.index.get_indexer(trace.customdata)
        assert sorted(rows) == list(range(60))
        assert np.array_equal(np.column_stack([trace.x, trace.y]), coords_of(frame)[rows])
        np.testing.assert_allclose(trace.marker.color, shares_of(frame["value"])[rows], rtol=1e-5)
        for position, text in zip(rows, trace.hovertext, strict=True):
            assert text.startswith(frame["label"].iloc[position])
            assert f"cluster {frame['cluster'].iloc[position]}" in text
        assert (np.diff(trace.marker.color) <= 0).all(), "low values lie on top"

    def test_value_scale_is_centred_at_zero_clipped_and_explained(self):
        frame = make_frame(n=500)
        figure = draw_map(frame, unit="‰ of the surplus")
        (trace,) = figure.data
        assert (trace.marker.cmin, trace.marker.cmax) == (-1, 1)
        scale = dict(trace.marker.colorscale)
        assert (scale[0], scale[0.5], scale[1]) == (LIGHT.harm, LIGHT.zero, LIGHT.gain)
        names = trace.marker.colorbar.ticktext
        assert names[0].startswith("≤ −")
        assert names[2] == "0"
        assert names[-1].startswith("≥ +")
        assert figure.layout.title.text == "Value (‰ of the surplus)"
        for name, part in ((names[-1], frame["value"]), (names[0], -frame["value"])):
            limit = np.percentile(part[part > 0], 95)
            assert float(name.strip("≤≥ +−")) == pytest.approx(limit, rel=0.01)
        words = figure.layout.title.subtitle.text
        assert "below zero: the model is better without it" in words
        assert "Either side of zero has a scale of its own." in words
        assert "‰ of the surplus" in trace.hovertemplate

    def test_buttons_recolour_with_colour_scale_legend_and_words(self):
        frame = make_frame()
        labels = [choice.label for choice in draw_map(frame).layout.updatemenus[0].buttons]
        assert labels == ["Value", "Intrinsic", "Extrinsic", "Cluster", "Label", "Planted errors"]
        for label in labels:
            figure = pressed(draw_map(frame), label)
            marker = figure.data[0].marker
            assert figure.layout.title.text == label
            assert figure.layout.title.subtitle.text
            assert len(marker.colorbar.tickvals) == len(marker.colorbar.ticktext)
            assert marker.showscale == bool(len(marker.colorbar.tickvals))
            assert marker.cmin < marker.cmax
            if (name := label.lower()) in ("value", "intrinsic", "extrinsic"):
                rows = frame.index.get_indexer(figure.data[0].customdata)
                shares = shares_of(frame[name])[rows]
                np.testing.assert_allclose(marker.color, shares, rtol=1e-5)
        opened, again = draw_map(frame), pressed(draw_map(frame), "Value")
        assert again.data[0].marker == opened.data[0].marker
        assert words(again) == words(opened)

    def test_planted_noise_is_a_choice_where_there_is_some_and_told_beside_the_point(self):
        frame = make_frame(flipped=0.0)
        plain = draw_map(frame).layout.updatemenus[0].buttons
        assert "Planted errors" not in [choice.label for choice in plain]
        frame.loc[6, ["flipped", "label", "original_label"]] = [True, "class 1", "class 2"]
        (trace,) = pressed(draw_map(frame), "Planted errors").data
        (position,) = np.flatnonzero(trace.customdata == 6)
        assert "planted noise, it was class 2" in trace.hovertext[position]
        assert sum("planted" in text for text in trace.hovertext) == 1
        assert trace.marker.color[position] == trace.marker.color.sum() == 1
        assert list(trace.marker.colorbar.ticktext) == ["as it was (59)", "made wrong (1)"]

    def test_many_classes_share_the_last_colour_and_few_have_their_own_in_order(self):
        frame = make_frame(n=400, n_classes=26)
        frame.loc[frame.index[:10], "label"] = "class 25"
        figure = pressed(draw_map(frame), "Label")
        marker = figure.data[0].marker
        names = list(marker.colorbar.ticktext)
        assert len(names) == len(CATEGORIES)
        assert names[0] == "15 others"
        assert "26 classes" in figure.layout.title.subtitle.text
        drawn = dict(zip(figure.data[0].customdata, marker.color, strict=True))
        of_class = frame.index[frame["label"] == "class 25"]
        assert {drawn[row] for row in of_class} == {names.index("class 25")}
        frame = make_frame(n=60).assign(label=np.arange(60) % 10)
        (trace,) = pressed(draw_map(frame), "Label").data
        assert list(trace.marker.colorbar.ticktext) == list("9876543210")
        drawn = dict(zip(trace.customdata, trace.marker.color, strict=True))
        assert all(9 - drawn[row] == frame.loc[row, "label"] for row in frame.index)

    def test_clusters_beyond_the_colours_repeat_them_and_say_so(self):
        figure = pressed(draw_map(make_frame(n=600, n_clusters=300)), "Cluster")
        assert not figure.data[0].marker.showscale
        assert "300 clusters" in figure.layout.title.subtitle.text
        assert "repeat" in figure.layout.title.subtitle.text
        assert set(figure.data[0].marker.color) == set(range(len(CATEGORIES)))

    def test_coordinates_must_fit_and_points_without_are_left_out(self):
        frame = make_frame()
        coords = coords_of(frame)
        with pytest.raises(ValueError, match=r"\(60, 2\).*\(59, 2\)"):
            charts.value_map(frame, coords[:59], theme="light")
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
    def test_kinds_go_by_absolute_quality_and_effect(self):
        frame = pd.DataFrame(
            {
                "quality": [0.5, 0.5, 0.9, 0.49, 0.49, 0.1, 0.1],
                "raw_extrinsic": [1.0, -1.0, -1.0, 1.0, 0.05, -1.0, -0.05],
                "value": [2.0, 1.0, -1.0, 1.0, 0.0, -1.0, -0.1],
            }
        )
        kinds = [
            "Typical and needed", "Typical but redundant", "Typical but harmful", "Odd but useful",
            "Odd, of little effect", "Odd and harmful", "Odd, of little effect",
        ]  # fmt: skip
        assert charts.quadrant_of(frame).tolist() == kinds
        in_another_unit = frame * {"quality": 1, "raw_extrinsic": 1000, "value": 1000}
        assert charts.quadrant_of(in_another_unit).tolist() == kinds

    def test_only_values_below_zero_are_called_harmful(self):
        frame = make_frame(n=500)
        is_harmful = charts.quadrant_of(frame).str.contains("harmful")
        assert is_harmful.any()
        assert (frame["value"][is_harmful] < 0).all()

    def test_corners_are_named_and_counted_over_all_rows(self):
        frame = make_frame(n=MAX_POINTS + 1000)
        figure = scatter(frame)
        assert len(figure.data[0].x) == MAX_POINTS
        assert "showing 20,000 of 21,000 rows" in figure.layout.title.text
        notes = {re.search("<b>(.*)</b>", note.text)[1]: note for note in figure.layout.annotations}
        told = " ".join(note.text for note in notes.values())
        for name, n in charts.quadrant_of(frame).value_counts().items():
            assert re.search(rf"{name}(</b><br>|: ){n:,} row", told), name
        assert {name: (note.x, note.y) for name, note in notes.items()} == {
            "Typical and needed": (1, 1), "Typical but redundant": (1, 0),
            "Odd but useful": (0, 1), "Odd and harmful": (0, 0),
        }  # fmt: skip

    def test_points_carry_ids_parts_and_colour_of_the_value(self):
        frame = make_frame(n=200)
        figure = scatter(frame, unit="points")
        (trace,) = figure.data
        rows = frame.loc[trace.customdata]
        assert np.array_equal(trace.x, rows["intrinsic"].to_numpy(np.float32))
        assert np.array_equal(trace.y, rows["extrinsic"].to_numpy(np.float32))
        np.testing.assert_allclose(trace.marker.color, shares_of(rows["value"]), rtol=1e-5)
        assert trace.marker.cmin == -trace.marker.cmax
        assert figure.layout.xaxis.title.text == "intrinsic (points)"
        assert figure.layout.yaxis.title.text == "extrinsic (points)"

    def test_lines_are_drawn_at_the_splits_and_all_points_are_in_view(self):
        frame = make_frame(n=200)
        frame["intrinsic"] = 0.02 * frame["quality"]
        layout = scatter(frame).layout
        across, up, falling = layout.shapes
        assert across.y0 == across.y1 == 0
        assert up.x0 == up.x1 == pytest.approx(0.02 * charts.TYPICAL_QUALITY)
        assert (falling.x0, falling.y0) == (0, 0)
        assert falling.y1 == -falling.x1 < 0
        for axis, part in ((layout.xaxis, "intrinsic"), (layout.yaxis, "extrinsic")):
            assert axis.range[0] < frame[part].min() < frame[part].max() < axis.range[1]

    def test_at_weight_zero_nobody_is_called_harmful(self):
        figure = scatter(make_frame().assign(extrinsic=0.0))
        assert "its weight is 0" in figure.layout.title.subtitle.text
        assert not re.search(r"\d rows?", words(figure))


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

    def test_limit_keeps_the_lowest_says_so_and_sets_the_height(self):
        frame = make_frame(n=600, n_clusters=300)
        few, many = (totals(frame, by="cluster", limit=limit) for limit in (5, 40))
        expected = frame.groupby("cluster")["value"].sum().sort_values().iloc[:40]
        assert [int(key) for key in many.data[0].customdata] == expected.index.tolist()
        assert many.layout.title.text == "Total value by cluster: the lowest 40 of 300"
        assert many.layout.height - few.layout.height == 35 * 22

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
        with pytest.raises(ValueError, match="not by 'colour'"):
            totals(frame, by="colour")


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

    def test_many_classes_are_limited_and_amounts_fall_into_five_ranges_in_order(self):
        figure = distribution(make_frame(n=500, n_classes=100))
        assert len(figure.layout.yaxis.ticktext) == 30
        assert "The 30 of 100 classes with the lowest median." in words(figure)
        names = list(distribution(regression(make_frame())).layout.yaxis.ticktext)
        starts = [float(name.split(" to ")[0].replace("−", "-")) for name in names]
        assert len(names) == 5
        assert starts == sorted(starts)

    def test_a_continuous_target_is_not_called_a_label_or_a_class(self):
        frame = regression(make_frame())
        told = words(distribution(frame))
        assert "the middle half of a range of the target" in told
        assert "class" not in told
        assert "Total value by target" in words(totals(frame))
        for choice in colorings(frame, LIGHT).values():
            assert "label" not in choice.subtitle

    def test_payload_does_not_grow_with_the_rows(self):
        small, large = (len(distribution(make_frame(n=n)).to_json()) for n in (5_000, 50_000))
        assert large < 1.2 * small


# --- Removal curves -------------------------------------------------------------------------


@pytest.fixture
def summary():
    curves = {
        "lowest": ([0.8, 0.85, 0.9, 0.7], 0.0),
        "highest": ([0.8, 0.6, 0.5, 0.4], 0.0),
        "random": ([0.8, 0.79, 0.78, 0.77], 0.02),
        "random_clusters": ([0.8, 0.75, 0.7, 0.65], 0.05),
    }
    return pd.DataFrame(
        [
            {
                "strategy": strategy, "share": share, "n_removed": int(100 * share), "mean": mean,
                "low": mean - width, "high": mean + width,
            }
            for strategy, (means, width) in curves.items()
            for share, mean in zip([0.0, 0.1, 0.2, 0.3], means, strict=True)
        ]
    )  # fmt: skip


def removal(summary, baseline=0.8, **options):
    """The chart of a summary, and its traces by name."""
    figure = charts.removal_chart(summary, baseline, "accuracy", theme="light", **options)
    return figure, {trace.name: trace for trace in figure.data}


class TestRemoval:
    def test_every_strategy_has_its_mean_line_and_the_baseline_lies_across(self, summary):
        figure, traces = removal(summary, 0.8125, title="Why?")
        for strategy, name in (
            ("lowest", "lowest value first"), ("highest", "highest value first"),
            ("random", "random rows"), ("random_clusters", "random clusters"),
        ):  # fmt: skip
            own = summary[summary["strategy"] == strategy]
            assert np.allclose(traces[name].x, own["share"])
            assert np.allclose(traces[name].y, own["mean"])
        assert figure.layout.title.text == "Why?"
        assert figure.layout.yaxis.title.text == "test accuracy"
        line = traces["no row removed: 0.812"]
        assert (list(line.x), list(line.y)) == ([0, 0.3], [0.8125, 0.8125])

    def test_random_strategies_have_a_band_and_the_others_none(self, summary):
        figure, _ = removal(summary)
        bands = {trace.legendgroup: trace for trace in figure.data if trace.fill == "toself"}
        assert set(bands) == {"random", "random_clusters"}
        assert np.allclose(bands["random"].y, [0.82, 0.81, 0.8, 0.79, 0.75, 0.76, 0.77, 0.78])
        assert np.allclose(bands["random"].x, [0, 0.1, 0.2, 0.3, 0.3, 0.2, 0.1, 0])

    def test_peak_of_removing_the_lowest_first_is_marked_and_no_other(self, summary):
        figure, traces = removal(summary)
        assert (traces["peak"].x[0], traces["peak"].y[0]) == (0.2, 0.9)
        assert [note.text for note in figure.layout.annotations] == ["peak 0.900, 20% removed"]
        assert "peak" not in removal(summary[summary["strategy"] == "highest"])[1]
        summary.loc[summary["strategy"] == "lowest", "mean"] = [np.nan, 0.9, 0.7, 0.9]
        assert charts.peak_of(summary.sample(frac=1, random_state=0))["share"] == 0.1

    def test_only_what_was_measured_is_drawn(self, summary):
        part = summary[summary["strategy"].isin(["lowest", "random"])]
        assert set(removal(part)[1]) == {
            "lowest value first", "random rows", "random rows, 10-90 %", "peak",
            "no row removed: 0.800",
        }  # fmt: skip
        is_last = (summary["strategy"] == "highest") & (summary["share"] == 0.3)
        summary.loc[is_last, ["mean", "low", "high"]] = np.nan
        assert np.allclose(removal(summary)[1]["highest value first"].x, [0, 0.1, 0.2])
        assert "No score could be measured." in words(removal(summary.assign(mean=np.nan))[0])


# --- Table ----------------------------------------------------------------------------------


class TestTable:
    def test_class_counts_largest_first_the_smallest_of_many_together(self):
        figure = charts.class_counts(pd.Series(["b", "a", "b", "b"], name="y"), theme="light")
        assert list(figure.layout.yaxis.ticktext) == ["b", "a"]
        assert list(figure.data[0].text) == ["3 (75.0%)", "1 (25.0%)"]
        assert "2 classes" in figure.layout.title.text
        labels = np.repeat([f"c{i}" for i in range(100)], np.arange(100, 0, -1))
        figure = charts.class_counts(pd.Series(labels, name="y"), theme="light")
        names, bars = figure.layout.yaxis.ticktext, figure.data[0]
        assert (len(names), names[0], names[-1]) == (30, "c0", "71 smaller classes")
        assert bars.x.sum() == len(labels)
        assert bars.marker.color[-1] == LIGHT.zero != bars.marker.color[0]

    def test_continuous_target_is_a_histogram(self):
        figure = charts.class_counts(pd.Series(np.arange(41.0), name="y"), theme="dark")
        assert figure.data[0].y.sum() == 41
        assert figure.layout.xaxis.title.text == "y"
        assert figure.data[0].customdata[0].endswith("1 row")
        assert figure.data[0].customdata[-1].endswith("2 rows")

    def test_missing_values_worst_first_and_only_where_there_are_any(self):
        frame = pd.DataFrame({"a": [1, None, 3, 4], "b": [1, 2, 3, 4], "c": [None, None, None, 1]})
        figure = charts.missing_by_column(frame, theme="light")
        assert list(figure.layout.yaxis.ticktext) == ["c", "a"]
        assert list(figure.data[0].text) == ["3 (75.0%)", "1 (25.0%)"]
        assert figure.layout.title.text == "Missing values · 2 of 3 used columns"
        figure = charts.missing_by_column(frame[["b"]], theme="light")
        assert not figure.data
        assert "None in 1 used column." in words(figure)
        many = pd.DataFrame({f"c{i}": [None] * (i + 1) + [1] * (40 - i) for i in range(40)})
        figure = charts.missing_by_column(many, theme="light")
        assert (len(figure.data[0].x), figure.data[0].x.max()) == (20, 40)
        assert "the worst 20 shown" in figure.layout.title.text

    def test_split_shows_every_row_once(self):
        parts = ["train"] * 50 + ["validation"] * 30 + ["test"] * 10 + ["no target"] * 10
        figure = charts.split_bar(pd.Series(parts), theme="light")
        assert [trace.name for trace in figure.data] == [
            "training: 50 (50%)", "validation: 30 (30%)", "test: 10 (10%)", "no target: 10 (10%)",
        ]  # fmt: skip
        assert sum(trace.x[0] for trace in figure.data) == 100
        assert len(charts.split_bar(pd.Series(parts[:90]), theme="light").data) == 3


# --- Style ----------------------------------------------------------------------------------


def linear(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def contrast(first, second):
    low, high = sorted(np.dot(linear(color), [0.2126, 0.7152, 0.0722]) for color in (first, second))
    return (high + 0.05) / (low + 0.05)


def apart(first, second):
    """Distance of two colours as the eye sees them: CIE 1976, where 2 is just to be seen side by side."""

    def lab(color):
        x = np.array(
            [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
        ) @ linear(color) / [0.9505, 1, 1.089]  # fmt: skip
        f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])

    return np.linalg.norm(lab(first) - lab(second))


class TestStyle:
    @pytest.mark.parametrize(("name", "background"), [("light", "#ffffff"), ("dark", "#14171c")])
    def test_text_points_and_greys_stand_out(self, name, background):
        palette = PALETTES[name]
        assert contrast(palette.text, background) > 7
        assert contrast(palette.text, palette.surface) > 7
        for color in (palette.muted, palette.harm, palette.gain):
            assert contrast(color, background) > 4.5
        assert min(contrast(color, background) for color in CATEGORIES) > 2.2
        assert contrast(palette.zero, background) > 1.9
        for pressed_or_not in (palette.button, "#f4faff"):
            assert contrast(palette.button_text, pressed_or_not) > 7
        greys = [palette.muted, palette.zero, _FADED[name], background]
        assert min(starmap(apart, combinations(greys, 2))) > 12
        assert min(starmap(apart, product(greys, CATEGORIES))) > 18

    def test_categories_differ(self):
        assert len(CATEGORIES) == 12
        assert min(starmap(apart, combinations(CATEGORIES, 2))) > 20

    def test_names_are_cut_safe_and_apart(self):
        assert safe("a\n b  c") == "a b c"
        assert safe("<b>" + "x" * 50, 10) == "&lt;b&gt;xxxxxx…"
        assert safe("می\u200cخواهم") == "می\u200cخواهم", "letters are joined as Persian has them"
        assert short_names(["a" * 30 + "1", "a" * 30 + "2", "b"], 9) == [
            "aaaa…aaa1", "aaaa…aaa2", "b",
        ]  # fmt: skip

    def test_config_offers_no_upload(self):
        assert charts.CHART_CONFIG["showSendToCloud"] is False
