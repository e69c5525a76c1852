import base64
import re
from itertools import combinations, product, starmap

import numpy as np
import pandas as pd
import pytest

from ecoval_core import charts
from ecoval_core.charts.coloring import colorings
from ecoval_core.charts.points import MAX_LOWEST, MAX_POINTS
from ecoval_core.charts.style import (
    CATEGORIES,
    PALETTES,
    aligned,
    clip_limit,
    label_groups,
    number,
    packed,
    palette_of,
    safe,
    short_names,
    steps,
)
from pages.shared.pointmap.element import _FADED

LIGHT = palette_of("light")
THEME_NAMES = list(PALETTES)


def make_frame(n=60, n_classes=3, n_clusters=6, seed=0, flipped=0.1):
    """A frame as a run gives it; row ids have gaps, as those of a training part do."""
    random = np.random.default_rng(seed)
    codes = np.arange(n) % n_classes
    intrinsic = random.random(n) * 0.01
    extrinsic = random.standard_t(3, n) * 0.004
    labels = np.array([f"class {code}" for code in codes])
    return pd.DataFrame(
        {
            "value": intrinsic + extrinsic,
            "intrinsic": intrinsic,
            "extrinsic": extrinsic,
            "cluster": np.arange(n) % n_clusters,
            "label": labels,
            "original_label": labels,
            "flipped": random.random(n) < flipped,
            "quality": random.random(n),
            "raw_extrinsic": 2 * extrinsic,
        },
        index=pd.Index(3 * np.arange(n), name="row_id"),
    )


def make_coords(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)


def draw_map(frame, **options):
    return charts.value_map(frame, make_coords(len(frame)), **{"theme": "light", **options})


def regression(frame):
    amounts = np.linspace(-3, 900, len(frame))
    return frame.assign(label=amounts, original_label=amounts, flipped=False)


def unpacked(spec):
    return np.frombuffer(base64.b64decode(spec["bdata"]), dtype=spec["dtype"])


def button(figure, label):
    (found,) = [b for b in figure.layout.updatemenus[0].buttons if b.label == label]
    return found


def pressed(figure, label):
    """The figure after a press on one of the buttons above it."""
    marker, title, _ = button(figure, label).args
    color = unpacked(marker["marker.color"][0])
    (scale,) = marker["marker.colorscale"]
    figure.update_traces(marker={"color": color, "colorscale": scale})
    for name in ("cmin", "cmax", "showscale", "colorbar.len"):
        figure.update_traces({f"marker_{name.replace('.', '_')}": marker[f"marker.{name}"]})
    for name in ("tickvals", "ticktext"):
        figure.update_traces({f"marker_colorbar_{name}": marker[f"marker.colorbar.{name}"][0]})
    return figure.update_layout(title)


def words(figure):
    """All the text of a figure outside its data."""
    layout = figure.layout
    return " ".join(
        [layout.title.text or "", layout.title.subtitle.text or ""]
        + [annotation.text for annotation in layout.annotations]
    )


def written(figure):
    """Every text that a figure shows."""
    texts = [words(figure), *(figure.layout.yaxis.ticktext or ())]
    for trace in figure.data:
        marks = trace.marker.colorbar.ticktext if trace.type == "scattergl" else None
        told = trace["customdata"] if "customdata" in (trace.hovertemplate or "") else None
        for part in (trace.text, told, getattr(trace, "hovertext", None), marks):
            texts += [] if part is None else [str(text) for text in part]
    return texts


ALL_CHARTS = {
    "map": draw_map,
    "scatter": lambda frame, theme="light": charts.decomposition_scatter(frame, theme=theme),
    "labels": lambda frame, theme="light": charts.totals_by(frame, by="label", theme=theme),
    "clusters": lambda frame, theme="light": charts.totals_by(frame, by="cluster", theme=theme),
    "distribution": lambda frame, theme="light": charts.value_distribution(frame, theme=theme),
}


# --- Every chart ----------------------------------------------------------------------------


@pytest.mark.parametrize("draw", ALL_CHARTS.values(), ids=ALL_CHARTS)
class TestEveryChart:
    @pytest.mark.parametrize("theme", THEME_NAMES)
    def test_background_is_the_page_and_text_is_legible_on_it(self, draw, theme):
        layout = draw(make_frame(), theme=theme).layout
        assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
        assert layout.font.color == PALETTES[theme].text
        assert layout.hoverlabel.bgcolor == PALETTES[theme].surface
        assert layout.hoverlabel.font.color == PALETTES[theme].text
        assert layout.xaxis.gridcolor == PALETTES[theme].grid
        assert layout.newselection.line.color == PALETTES[theme].text

    def test_is_a_function_of_its_inputs_and_leaves_them_alone(self, draw):
        frame = make_frame()
        before = frame.copy(deep=True)
        assert draw(frame).to_json() == draw(frame.copy()).to_json()
        pd.testing.assert_frame_equal(frame, before)

    def test_unknown_theme_is_refused(self, draw):
        with pytest.raises(ValueError, match="Unknown theme 'sepia'"):
            draw(make_frame(), theme="sepia")

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
        figure = draw(frame)
        assert figure.data
        for text in written(figure):
            assert "nan" not in text.lower()
            assert "<b>a &" not in text
        for trace in figure.data:
            for numbers in (trace.x, trace.y):
                assert numbers is None or np.isfinite(numbers).all()

    def test_rows_without_a_value_are_left_out(self, draw):
        frame = make_frame()
        frame.loc[frame.index[:20], ["value", "intrinsic", "extrinsic"]] = np.nan
        assert draw(frame).data
        kept = draw(frame.iloc[20:])
        if draw is not draw_map:
            for full, part in zip(draw(frame).data, kept.data, strict=True):
                assert np.array_equal(full.x, part.x) if full.x is not None else full.x is part.x

    def test_says_so_where_no_row_has_a_value(self, draw):
        nothing = make_frame().assign(value=np.nan, intrinsic=np.nan, extrinsic=np.nan)
        figure = draw(nothing)
        assert not figure.data
        assert "No row has a value." in words(figure)


# --- Map ------------------------------------------------------------------------------------


class TestMap:
    def test_one_trace_in_single_precision_that_carries_the_row_ids(self):
        frame = make_frame()
        (trace,) = draw_map(frame).data
        assert trace.type == "scattergl"
        assert trace.x.dtype == trace.y.dtype == trace.marker.color.dtype == np.float32
        assert trace.customdata.dtype == np.int32
        assert trace.customdata.ndim == 1
        assert set(trace.customdata) == set(frame.index)

    def test_every_array_belongs_to_the_row_of_its_id(self):
        frame, coords = make_frame(), make_coords(60)
        (trace,) = charts.value_map(frame, coords, theme="light").data
        rows = frame.index.get_indexer(trace.customdata)
        assert np.array_equal(np.column_stack([trace.x, trace.y]), coords[rows])
        assert np.array_equal(trace.marker.color, frame["value"].to_numpy(np.float32)[rows])
        for position, text in zip(rows, trace.hovertext, strict=True):
            assert text.startswith(frame["label"].iloc[position])
            assert f"cluster {frame['cluster'].iloc[position]}" in text

    def test_low_values_lie_on_top(self):
        (trace,) = draw_map(make_frame()).data
        assert (np.diff(trace.marker.color) <= 0).all()

    def test_value_scale_is_centred_at_zero_and_clipped(self):
        frame = make_frame(n=500)
        (trace,) = draw_map(frame).data
        limit = np.percentile(np.abs(frame["value"].astype(np.float32)), 98)
        assert trace.marker.cmax == pytest.approx(limit, rel=1e-5)  # single precision
        assert trace.marker.cmin == -trace.marker.cmax
        scale = dict(trace.marker.colorscale)
        assert (scale[0], scale[0.5], scale[1]) == (LIGHT.harm, LIGHT.zero, LIGHT.gain)
        names = trace.marker.colorbar.ticktext
        assert names[0].startswith("≤ −")
        assert names[2] == "0"
        assert names[-1].startswith("≥ +")

    def test_colour_is_explained_in_words(self):
        figure = draw_map(make_frame(), unit="‰ of the surplus")
        assert figure.layout.title.text == "Value (‰ of the surplus)"
        assert "below zero: the model is better without it" in figure.layout.title.subtitle.text
        assert "‰ of the surplus" in figure.data[0].hovertemplate

    def test_buttons_recolour_with_colour_scale_legend_and_words(self):
        frame = make_frame()
        figure = draw_map(frame)
        rows = frame.index.get_indexer(figure.data[0].customdata)
        labels = [b.label for b in figure.layout.updatemenus[0].buttons]
        assert labels == [
            "Value", "Intrinsic", "Extrinsic", "Cluster", "Label", "Planted noise",
        ]  # fmt: skip
        for name in ("value", "intrinsic", "extrinsic"):
            marker, layout, traces = button(figure, name.capitalize()).args
            (color,) = marker["marker.color"]
            assert np.array_equal(unpacked(color), frame[name].to_numpy(np.float32)[rows])
            assert layout["title.text"] == name.capitalize()
            assert layout["title.subtitle.text"]
            assert list(traces) == [0]
        for choice in figure.layout.updatemenus[0].buttons:
            assert choice.method == "update"
            marker = choice.args[0]
            (ticks,), (names,) = (
                marker["marker.colorbar.tickvals"], marker["marker.colorbar.ticktext"],
            )  # fmt: skip
            assert len(ticks) == len(names)
            assert marker["marker.showscale"] == bool(len(ticks))
            assert len(marker["marker.colorscale"]) == 1
            assert marker["marker.cmin"] < marker["marker.cmax"]

    def test_the_map_opens_as_the_pressed_button_would_draw_it(self):
        opened, again = draw_map(make_frame()), draw_map(make_frame())
        menu = opened.layout.updatemenus[0]
        again = pressed(again, menu.buttons[menu.active].label)
        assert again.data[0].marker == opened.data[0].marker
        assert words(again) == words(opened)

    def test_planted_noise_is_a_choice_only_where_there_is_some(self):
        figure = draw_map(make_frame(flipped=0.0))
        assert "Planted noise" not in [b.label for b in figure.layout.updatemenus[0].buttons]

    def test_planted_noise_is_told_beside_the_point(self):
        frame = make_frame(flipped=0.0)
        frame.loc[6, ["flipped", "label", "original_label"]] = [True, "class 1", "class 2"]
        (trace,) = pressed(draw_map(frame), "Planted noise").data
        (position,) = np.flatnonzero(trace.customdata == 6)
        assert "planted noise, it was class 2" in trace.hovertext[position]
        assert sum("planted" in text for text in trace.hovertext) == 1
        assert trace.marker.color[position] == 1
        assert trace.marker.color.sum() == 1
        assert list(trace.marker.colorbar.ticktext) == ["as it was (59)", "made wrong (1)"]

    def test_selected_points_keep_their_colour_and_others_fade(self):
        frame = make_frame()
        (trace,) = draw_map(frame, selected_ids=[0, 9, 30, 999]).data
        assert set(trace.customdata[list(trace.selectedpoints)]) == {0, 9, 30}
        assert trace.unselected.marker.color == LIGHT.faded
        assert trace.unselected.marker.opacity < trace.selected.marker.opacity
        assert trace.selected.marker.color is None

    def test_no_selection_colours_all_and_an_empty_one_none(self):
        assert draw_map(make_frame()).data[0].selectedpoints is None
        assert draw_map(make_frame(), selected_ids=[]).data[0].selectedpoints == ()

    def test_picked_row_is_pointed_at_without_a_second_trace(self):
        frame = make_frame()
        figure = draw_map(frame, picked_id=9)
        (note,) = figure.layout.annotations
        (position,) = np.flatnonzero(figure.data[0].customdata == 9)
        assert (note.x, note.y) == (figure.data[0].x[position], figure.data[0].y[position])
        assert "row 9" in note.text
        assert len(figure.data) == 1
        assert not draw_map(frame, picked_id=10_000).layout.annotations

    def test_hover_tells_the_sum_and_original_columns(self):
        frame = make_frame(n=2, flipped=0.0)
        frame[["value", "intrinsic", "extrinsic"]] = [[-1.5, 0.25, -1.75], [3.0, 2.0, 1.0]]
        table = pd.DataFrame({"age": [23.0, np.nan], "name": ["<i>x</i>", None]}, index=[3, 0])
        (trace,) = draw_map(frame, hover=table, unit="points").data
        told = dict(zip(trace.customdata, trace.text, strict=True))
        assert told == {0: "-1.50 = 0.25 - 1.75", 3: "3.00 = 2.00 + 1.00"}
        notes = dict(zip(trace.customdata, trace.hovertext, strict=True))
        assert notes[3].endswith("<br>age: 23<br>name: &lt;i&gt;x&lt;/i&gt;")
        assert notes[0].endswith("<br>age: missing<br>name: missing")
        for part in ("%{customdata}", "%{text} points", "%{hovertext}"):
            assert part in trace.hovertemplate

    def test_many_classes_share_the_last_colour(self):
        frame = make_frame(n=400, n_classes=26)
        frame.loc[frame.index[:10], "label"] = "class 25"
        figure = pressed(draw_map(frame), "Label")
        marker = figure.data[0].marker
        assert len(marker.colorbar.ticktext) == len(CATEGORIES)
        assert marker.colorbar.ticktext[0] == "15 others"
        assert "class 25" in marker.colorbar.ticktext
        assert "26 classes" in figure.layout.title.subtitle.text
        drawn = dict(zip(figure.data[0].customdata, marker.color, strict=True))
        where = list(marker.colorbar.ticktext).index("class 25")
        assert {drawn[row] for row in frame.index[frame["label"] == "class 25"]} == {where}

    def test_few_classes_have_colours_of_their_own_in_order(self):
        frame = make_frame(n=60, n_classes=10).assign(label=np.arange(60) % 10)
        marker = pressed(draw_map(frame), "Label").data[0].marker
        assert list(marker.colorbar.ticktext) == list("9876543210")
        drawn = dict(zip(draw_map(frame).data[0].customdata, marker.color, strict=True))
        assert all(9 - drawn[row] == frame.loc[row, "label"] for row in frame.index)

    def test_continuous_target_has_a_sequential_scale(self):
        marker = pressed(draw_map(regression(make_frame())), "Target").data[0].marker
        assert marker.color.dtype == np.float32
        assert dict(marker.colorscale)[1] == LIGHT.amounts[-1]
        assert len(marker.colorbar.ticktext) == 3

    def test_neighbouring_cluster_numbers_differ_in_colour(self):
        figure = pressed(draw_map(make_frame(n=600, n_clusters=300)), "Cluster")
        assert not figure.data[0].marker.showscale
        assert "300 clusters" in figure.layout.title.subtitle.text
        assert "repeat" in figure.layout.title.subtitle.text
        assert set(figure.data[0].marker.color) == set(range(len(CATEGORIES)))

    def test_coordinates_must_fit(self):
        with pytest.raises(ValueError, match=r"\(60, 2\).*\(59, 2\)"):
            charts.value_map(make_frame(), make_coords(59), theme="light")

    def test_points_without_coordinates_are_left_out_and_counted(self):
        coords = make_coords(60)
        coords[5] = np.nan
        figure = charts.value_map(make_frame(), coords, theme="light")
        assert 15 not in figure.data[0].customdata
        assert figure.layout.title.text.endswith("showing 59 of 60 rows")

    def test_huge_row_ids_are_exact(self):
        frame = make_frame(n=3)
        frame.index = pd.Index([2**31 + 5, 2**40 + 1, 7])
        assert set(draw_map(frame).data[0].customdata) == set(frame.index)


class TestLargeMap:
    @pytest.fixture(scope="class")
    @classmethod
    def frame(cls):
        return make_frame(n=MAX_POINTS + 10_000, n_classes=26, n_clusters=300)

    def test_sample_says_so_and_holds_the_lowest_and_the_selected(self, frame):
        highest = frame["value"].sort_values().index[-50:]
        figure = draw_map(frame, selected_ids=highest, picked_id=int(frame.index[123]))
        drawn = set(figure.data[0].customdata)
        assert len(drawn) == MAX_POINTS
        assert figure.layout.title.text.endswith("showing 20,000 of 30,000 rows")
        assert set(frame["value"].sort_values().index[:MAX_LOWEST]) <= drawn
        assert set(highest) <= drawn
        assert frame.index[123] in drawn
        selected = figure.data[0].customdata[list(figure.data[0].selectedpoints)]
        assert set(selected) == set(highest)

    def test_sample_spans_the_other_rows_evenly(self, frame):
        drawn = np.isin(frame.index, draw_map(frame).data[0].customdata)
        rest = drawn[frame["value"].rank() > MAX_LOWEST]
        assert rest.mean() == pytest.approx((MAX_POINTS - MAX_LOWEST) / (30_000 - MAX_LOWEST))
        halves = rest[: len(rest) // 2].mean(), rest[len(rest) // 2 :].mean()
        assert halves[0] == pytest.approx(halves[1], abs=0.03)

    def test_sample_of_a_selection_of_everything_has_the_same_size(self, frame):
        assert len(draw_map(frame, selected_ids=frame.index).data[0].x) == MAX_POINTS

    def test_payload_is_small(self, frame):
        assert len(draw_map(frame).to_json()) < 2.3e6


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
        assert charts.quadrant_of(frame).tolist() == [
            "Typical and needed", "Typical but redundant", "Typical but harmful", "Odd but useful",
            "Odd, of little effect", "Odd and harmful", "Odd, of little effect",
        ]  # fmt: skip

    def test_a_table_of_good_rows_holds_no_odd_and_no_harmful_one(self):
        frame = make_frame(n=200)
        good = frame.assign(
            quality=np.linspace(0.8, 1, 200), value=frame["intrinsic"] + frame["extrinsic"].abs()
        )
        kinds = set(charts.quadrant_of(good))
        assert kinds <= {"Typical and needed", "Typical but redundant"}

    def test_only_values_below_zero_are_called_harmful(self):
        frame = make_frame(n=500)
        kinds = charts.quadrant_of(frame)
        assert kinds.str.contains("harmful").any()
        assert (frame["value"][kinds.str.contains("harmful")] < 0).all()

    def test_kinds_do_not_hang_on_the_unit(self):
        frame = make_frame(n=200)
        parts = ["value", "intrinsic", "extrinsic", "raw_extrinsic"]
        scaled = frame.assign(**{part: 1000 * frame[part] for part in parts})
        assert charts.quadrant_of(scaled).equals(charts.quadrant_of(frame))

    def test_corners_are_named_and_counted(self):
        frame = make_frame(n=200)
        figure = charts.decomposition_scatter(frame, theme="light")
        counts = charts.quadrant_of(frame).value_counts()
        notes = {re.search("<b>(.*)</b>", note.text)[1]: note for note in figure.layout.annotations}
        told = " ".join(note.text for note in notes.values())
        for name, n in counts.items():
            assert re.search(rf"{name}(</b><br>|: ){n} row", told), name
        assert (notes["Typical and needed"].x, notes["Typical and needed"].y) == (1, 1)
        assert (notes["Typical but redundant"].x, notes["Typical but redundant"].y) == (1, 0)
        assert (notes["Odd and harmful"].x, notes["Odd and harmful"].y) == (0, 0)
        assert (notes["Odd but useful"].x, notes["Odd but useful"].y) == (0, 1)

    def test_points_carry_ids_parts_and_colour_of_the_value(self):
        frame = make_frame(n=200)
        figure = charts.decomposition_scatter(frame, theme="light", unit="points")
        (trace,) = figure.data
        rows = frame.loc[trace.customdata]
        assert np.array_equal(trace.x, rows["intrinsic"].to_numpy(np.float32))
        assert np.array_equal(trace.y, rows["extrinsic"].to_numpy(np.float32))
        assert np.array_equal(trace.marker.color, rows["value"].to_numpy(np.float32))
        assert trace.marker.cmin == -trace.marker.cmax
        assert figure.layout.xaxis.title.text == "intrinsic (points)"
        assert figure.layout.yaxis.title.text == "extrinsic (points)"

    def test_lines_are_drawn_at_the_splits_and_all_points_are_in_view(self):
        frame = make_frame(n=200)
        frame["intrinsic"] = 0.02 * frame["quality"]
        figure = charts.decomposition_scatter(frame, theme="light")
        across, up, falling = figure.layout.shapes
        assert across.y0 == across.y1 == 0
        assert up.x0 == up.x1 == pytest.approx(0.02 * charts.TYPICAL_QUALITY)
        assert (falling.x0, falling.y0) == (0, 0)
        assert falling.y1 == -falling.x1 < 0
        for axis, part in ((figure.layout.xaxis, "intrinsic"), (figure.layout.yaxis, "extrinsic")):
            assert axis.range[0] < frame[part].min() < frame[part].max() < axis.range[1]

    def test_at_weight_zero_nobody_is_called_harmful(self):
        frame = make_frame().assign(extrinsic=0.0)
        figure = charts.decomposition_scatter(frame, theme="light")
        assert "its weight is 0" in figure.layout.title.subtitle.text
        assert not re.search(r"\d rows?", words(figure))

    def test_large_frames_are_sampled_and_counted_in_full(self):
        frame = make_frame(n=MAX_POINTS + 1000)
        figure = charts.decomposition_scatter(frame, theme="light")
        assert len(figure.data[0].x) == MAX_POINTS
        assert "showing 20,000 of 21,000 rows" in figure.layout.title.text
        counted = [
            int(n.replace(",", ""))
            for note in figure.layout.annotations
            for n in re.findall(r"([\d,]+) rows?,", note.text)
        ]
        assert sum(counted) == len(frame)


# --- Totals ---------------------------------------------------------------------------------


class TestTotals:
    @pytest.mark.parametrize("by", ["label", "cluster"])
    def test_parts_stack_to_the_total_lowest_first(self, by):
        frame = make_frame()
        figure = charts.totals_by(frame, by=by, theme="light", unit="points")
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
        figure = charts.totals_by(frame, by="cluster", limit=40, theme="light")
        expected = frame.groupby("cluster")["value"].sum().sort_values().iloc[:40]
        assert [int(key) for key in figure.data[0].customdata] == expected.index.tolist()
        assert figure.layout.title.subtitle.text == "The lowest 40 of 300 clusters."

    def test_clusters_are_named_with_their_label(self):
        frame = make_frame(n=60, n_classes=3, n_clusters=3)
        figure = charts.totals_by(frame, by="cluster", theme="light")
        assert set(figure.layout.yaxis.ticktext) == {
            "0 · class 0", "1 · class 1", "2 · class 2",
        }  # fmt: skip
        figure = charts.totals_by(regression(frame), by="cluster", theme="light")
        assert set(figure.layout.yaxis.ticktext) == {"cluster 0", "cluster 1", "cluster 2"}

    def test_classes_alike_when_shortened_stay_apart(self):
        frame = make_frame()
        frame["label"] = "a very long name in front of " + frame["label"]
        figure = charts.totals_by(frame, by="label", theme="light")
        assert len(set(figure.layout.yaxis.ticktext)) == 3
        assert all(len(name) <= 20 for name in figure.layout.yaxis.ticktext)
        assert len(set(figure.data[0].y)) == 3

    def test_height_grows_with_the_bars(self):
        few, many = (
            charts.totals_by(make_frame(n=200, n_clusters=k), by="cluster", theme="light")
            for k in (5, 40)
        )
        assert many.layout.height - few.layout.height == 35 * 22

    def test_unknown_grouping_is_refused(self):
        with pytest.raises(ValueError, match="not by 'colour'"):
            charts.totals_by(make_frame(), by="colour", theme="light")


# --- Distribution ---------------------------------------------------------------------------


class TestDistribution:
    def test_histogram_counts_every_row_and_splits_at_zero(self):
        frame = make_frame(n=1000)
        figure = charts.value_distribution(frame, theme="light")
        bars = figure.data[0]
        is_below = np.array(bars.marker.color) == LIGHT.harm_soft
        assert bars.y.sum() == 1000
        assert bars.y[is_below].sum() == (frame["value"] < 0).sum()
        assert (bars.x[is_below] < 0).all()
        assert (bars.x[~is_below] > 0).all()
        n_below = (frame["value"] < 0).sum()
        assert f"{n_below} rows of 1,000 below zero" in figure.layout.title.text

    def test_outliers_count_in_the_last_bars(self):
        frame = make_frame(n=1000)
        frame.iloc[0, 0], frame.iloc[1, 0] = -1e6, 1e6
        bars = charts.value_distribution(frame, theme="light").data[0]
        assert bars.y.sum() == 1000
        assert bars.x.max() < 1
        assert bars.customdata[0].startswith("below")
        assert bars.customdata[-1].endswith("or more")

    def test_boxes_are_the_quantiles_of_each_class_lowest_median_first(self):
        frame = make_frame(n=300)
        figure = charts.value_distribution(frame, theme="light")
        box = figure.data[1]
        groups = frame.groupby("label")["value"]
        order = groups.median().sort_values().index
        assert list(figure.layout.yaxis.ticktext) == order.tolist()
        for name, q in (("lowerfence", 0.05), ("q1", 0.25), ("median", 0.5), ("upperfence", 0.95)):
            assert np.allclose(box[name], groups.quantile(q)[order], rtol=1e-5)
        below = (frame["value"] < 0).groupby(frame["label"]).mean()[order]
        assert all(
            f"{share:.1%} below zero" in text
            for share, text in zip(below, figure.data[2].text, strict=True)
        )

    def test_many_classes_are_limited_to_the_lowest(self):
        figure = charts.value_distribution(make_frame(n=500, n_classes=100), theme="light")
        assert len(figure.layout.yaxis.ticktext) == 30
        assert "The 30 of 100 classes with the lowest median." in words(figure)

    def test_continuous_targets_fall_into_five_groups_in_order(self):
        figure = charts.value_distribution(regression(make_frame()), theme="light")
        names = list(figure.layout.yaxis.ticktext)
        starts = [float(name.split(" to ")[0].replace("−", "-")) for name in names]
        assert len(names) == 5
        assert starts == sorted(starts)

    def test_a_continuous_target_is_not_called_a_label_or_a_class(self):
        frame = regression(make_frame())
        told = words(charts.value_distribution(frame, theme="light"))
        assert "the middle half of a range of the target" in told
        assert "class" not in told
        told = words(charts.totals_by(frame, by="label", theme="light"))
        assert "Total value by target" in told
        for choice in colorings(frame, LIGHT).values():
            assert "label" not in choice.subtitle
        assert button(draw_map(frame), "Target")

    def test_payload_does_not_grow_with_the_rows(self):
        small, large = (
            len(charts.value_distribution(make_frame(n=n), theme="light").to_json())
            for n in (5_000, 50_000)
        )
        assert large < 1.2 * small


# --- Removal curves -------------------------------------------------------------------------


@pytest.fixture
def summary():
    shares = [0.0, 0.1, 0.2, 0.3]
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
            for share, mean in zip(shares, means, strict=True)
        ]
    )  # fmt: skip


class TestRemoval:
    def curve(self, figure, name):
        (found,) = [trace for trace in figure.data if trace.name == name]
        return found

    def test_every_strategy_has_its_mean_line(self, summary):
        figure = charts.removal_chart(summary, 0.8, "accuracy", theme="light", title="Why?")
        for strategy, name in (
            ("lowest", "lowest value first"), ("highest", "highest value first"),
            ("random", "random rows"), ("random_clusters", "random clusters"),
        ):  # fmt: skip
            own = summary[summary["strategy"] == strategy]
            line = self.curve(figure, name)
            assert np.allclose(line.x, own["share"])
            assert np.allclose(line.y, own["mean"])
        assert figure.layout.title.text == "Why?"
        assert figure.layout.yaxis.title.text == "test accuracy"
        assert self.curve(figure, "random clusters").line.dash

    def test_random_strategies_have_a_band_and_the_others_none(self, summary):
        figure = charts.removal_chart(summary, 0.8, "accuracy", theme="light")
        bands = {trace.legendgroup: trace for trace in figure.data if trace.fill == "toself"}
        assert set(bands) == {"random", "random_clusters"}
        band = bands["random"]
        assert np.allclose(band.y[:4], [0.82, 0.81, 0.8, 0.79])
        assert np.allclose(band.y[4:], [0.75, 0.76, 0.77, 0.78])
        assert np.allclose(band.x, [0, 0.1, 0.2, 0.3, 0.3, 0.2, 0.1, 0])

    def test_peak_of_removing_the_lowest_first_is_marked_and_no_other(self, summary):
        figure = charts.removal_chart(summary, 0.8, "accuracy", theme="light")
        peaks = [(t.x[0], t.y[0], t.legendgroup) for t in figure.data if t.name == "peak"]
        assert peaks == [(0.2, 0.9, "lowest")]
        assert {note.text for note in figure.layout.annotations} == {"peak 0.900, 20% removed"}
        highest = summary[summary["strategy"] == "highest"]
        figure = charts.removal_chart(highest, 0.8, "accuracy", theme="light")
        assert not [t for t in figure.data if t.name == "peak"]

    def test_of_equal_peaks_the_first_is_told(self, summary):
        summary.loc[summary["strategy"] == "lowest", "mean"] = [0.8, 0.9, 0.7, 0.9]
        shuffled = summary.sample(frac=1, random_state=0)
        assert charts.peak_of(shuffled)["share"] == 0.1
        summary.loc[summary["strategy"] == "lowest", "mean"] = [np.nan, 0.9, 0.9, 0.7]
        assert charts.peak_of(summary)["share"] == 0.1

    def test_scores_that_do_not_move_are_drawn_flat(self, summary):
        flat = summary.assign(mean=0.9, low=0.9, high=0.9)
        low, high = charts.removal_chart(flat, 0.9, "accuracy", theme="light").layout.yaxis.range
        assert (low + high) / 2 == pytest.approx(0.9)
        assert high - low > 0.018
        moving = charts.removal_chart(summary, 0.8, "accuracy", theme="light")
        assert moving.layout.yaxis.range is None

    def test_baseline_is_drawn_across_and_named(self, summary):
        figure = charts.removal_chart(summary, 0.8125, "accuracy", theme="light")
        line = self.curve(figure, "no row removed: 0.812")
        assert list(line.y) == [0.8125, 0.8125]
        assert list(line.x) == [0, 0.3]

    def test_only_the_strategies_given_are_drawn(self, summary):
        part = summary[summary["strategy"].isin(["lowest", "random"])]
        names = {t.name for t in charts.removal_chart(part, 0.8, "r2", theme="dark").data}
        assert names == {
            "lowest value first", "random rows", "random rows, 10-90 %", "peak",
            "no row removed: 0.800",
        }  # fmt: skip

    def test_line_ends_where_no_score_could_be_measured(self, summary):
        is_last = (summary["strategy"] == "highest") & (summary["share"] == 0.3)
        summary.loc[is_last, ["mean", "low", "high"]] = np.nan
        figure = charts.removal_chart(summary, 0.8, "accuracy", theme="light")
        assert np.allclose(self.curve(figure, "highest value first").x, [0, 0.1, 0.2])
        summary["mean"] = np.nan
        figure = charts.removal_chart(summary, 0.8, "accuracy", theme="light")
        assert "No score could be measured." in words(figure)


# --- Table ----------------------------------------------------------------------------------


class TestTable:
    def test_class_counts_largest_first(self):
        figure = charts.class_counts(pd.Series(["b", "a", "b", "b"], name="y"), theme="light")
        assert list(figure.layout.yaxis.ticktext) == ["b", "a"]
        assert list(figure.data[0].x) == [3, 1]
        assert list(figure.data[0].text) == ["3 (75.0%)", "1 (25.0%)"]
        assert "2 classes" in figure.layout.title.text

    def test_a_hundred_classes_end_in_one_bar_for_the_rest(self):
        labels = np.repeat([f"c{i}" for i in range(100)], np.arange(100, 0, -1))
        figure = charts.class_counts(pd.Series(labels, name="y"), theme="light")
        names, bars = figure.layout.yaxis.ticktext, figure.data[0]
        assert (len(names), names[0], names[-1]) == (30, "c0", "71 smaller classes")
        assert bars.x.sum() == len(labels)
        assert bars.marker.color[-1] == LIGHT.zero != bars.marker.color[0]

    def test_continuous_target_is_a_histogram(self):
        amounts = pd.Series(np.arange(100.0), name="y")
        figure = charts.class_counts(amounts, theme="dark")
        assert figure.data[0].y.sum() == 100
        assert figure.layout.xaxis.title.text == "y"

    def test_missing_values_worst_first_and_only_where_there_are_any(self):
        frame = pd.DataFrame({"a": [1, None, 3, 4], "b": [1, 2, 3, 4], "c": [None, None, None, 1]})
        figure = charts.missing_by_column(frame, theme="light")
        assert list(figure.layout.yaxis.ticktext) == ["c", "a"]
        assert list(figure.data[0].text) == ["3 (75.0%)", "1 (25.0%)"]
        assert figure.layout.title.text == "Missing values · 2 of 3 used columns"

    def test_missing_values_of_many_columns_are_limited(self):
        frame = pd.DataFrame({f"c{i}": [None] * (i + 1) + [1] * (40 - i) for i in range(40)})
        figure = charts.missing_by_column(frame, theme="light")
        assert len(figure.data[0].x) == 20
        assert figure.data[0].x.max() == 40
        assert "the worst 20 shown" in figure.layout.title.text

    def test_no_missing_values_is_said(self):
        figure = charts.missing_by_column(pd.DataFrame({"a": [1, 2]}), theme="light")
        assert not figure.data
        assert "None in 1 used column." in words(figure)

    def test_split_shows_every_row_once(self):
        parts = ["train"] * 50 + ["validation"] * 30 + ["test"] * 10 + ["no target"] * 10
        figure = charts.split_bar(pd.Series(parts), theme="light")
        assert [trace.name for trace in figure.data] == [
            "training: 50 (50%)", "validation: 30 (30%)", "test: 10 (10%)", "no target: 10 (10%)",
        ]  # fmt: skip
        assert sum(trace.x[0] for trace in figure.data) == 100
        assert len(charts.split_bar(pd.Series(parts[:90]), theme="light").data) == 3


# --- Style ----------------------------------------------------------------------------------


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


def contrast(first, second):
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def apart(first, second):
    """Distance of two colours as the eye sees them: CIE 1976, where 2 is just to be seen side by side."""

    def lab(color):
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        x = np.array(
            [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
        ) @ linear / [0.9505, 1, 1.089]  # fmt: skip
        f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])

    return np.linalg.norm(lab(first) - lab(second))


class TestStyle:
    BACKGROUNDS = (("light", "#ffffff"), ("dark", "#14171c"))

    @pytest.mark.parametrize(("name", "background"), BACKGROUNDS)
    def test_text_and_points_stand_out(self, name, background):
        palette = PALETTES[name]
        assert contrast(palette.text, background) > 7
        assert contrast(palette.muted, background) > 4.5
        assert contrast(palette.text, palette.surface) > 7
        assert contrast(palette.harm, background) > 4.5
        assert contrast(palette.gain, background) > 4.5
        assert min(contrast(color, background) for color in CATEGORIES) > 2.2
        assert contrast(palette.zero, background) > 1.9

    @pytest.mark.parametrize("name", THEME_NAMES)
    def test_buttons_are_readable_pressed_and_not(self, name):
        palette = PALETTES[name]
        assert contrast(palette.button_text, palette.button) > 7
        assert contrast(palette.button_text, "#f4faff") > 7

    def test_categories_differ(self):
        assert len(set(CATEGORIES)) == len(CATEGORIES) == 12
        assert min(starmap(apart, combinations(CATEGORIES, 2))) > 20

    @pytest.mark.parametrize(("name", "background"), BACKGROUNDS)
    def test_greys_differ_from_each_other_and_from_categories(self, name, background):
        palette = PALETTES[name]
        greys = [palette.muted, palette.zero, _FADED[name], background]
        assert min(starmap(apart, combinations(greys, 2))) > 12
        assert min(starmap(apart, product(greys, CATEGORIES))) > 18

    @pytest.mark.parametrize(
        ("value", "signed", "written"),
        [
            (0.0, True, "0"), (0.000587, True, "+0.000587"), (-0.0129, True, "−0.0129"),
            (1.5, False, "1.50"), (1234.5, False, "1,234"), (float("nan"), False, "–"),
            (-3e-9, True, "−3.00e−09"), (2.5e7, False, "2.50e+07"),
        ],
    )  # fmt: skip
    def test_numbers_have_three_digits_and_a_true_minus(self, value, signed, written):
        assert number(value, signed=signed) == written

    def test_aligned_numbers_share_their_decimals(self):
        assert aligned([-1.92, 0.0, 0.96], signed=True) == ["−1.92", "0", "+0.96"]
        assert aligned([0.00001, 250.0]) == ["0", "250"]
        assert aligned([]) == []

    def test_text_is_cut_and_safe(self):
        assert safe("a\n b  c") == "a b c"
        assert safe("<b>" + "x" * 50, 10) == "&lt;b&gt;xxxxxx…"
        assert short_names(["a" * 30 + "1", "a" * 30 + "2", "b"], 9) == [
            "aaaa…aaa1", "aaaa…aaa2", "b",
        ]  # fmt: skip

    def test_clip_limit_ignores_what_is_missing_and_is_never_zero(self):
        assert clip_limit([np.nan, -2.0, 1.0]) == pytest.approx(1.98)
        assert clip_limit([0.0, 0.0]) == clip_limit([]) == clip_limit([np.nan]) == 1.0
        assert clip_limit([0.0] * 999 + [5.0]) == 5.0

    @pytest.mark.parametrize("dtype", [np.float32, np.int16, np.int32])
    def test_packed_arrays_keep_their_numbers(self, dtype):
        array = np.arange(10, dtype=dtype)[::2]
        spec = packed(array)
        assert np.array_equal(unpacked(spec), array)
        assert np.dtype(spec["dtype"]) == dtype

    def test_steps_give_each_code_its_colour(self):
        assert steps(["#a", "#b"]) == [(0, "#a"), (0.5, "#a"), (0.5, "#b"), (1, "#b")]

    def test_groups_of_amounts_and_of_classes(self):
        amounts = label_groups(pd.Series(np.arange(100.0)))
        assert amounts.value_counts().tolist() == [20] * 5
        assert label_groups(pd.Series([1.0, 2.5, 1.0])).tolist() == ["1.00", "2.50", "1.00"]
        assert label_groups(pd.Series([0.0] * 90 + [1.0, 2, 3, 4, 5, 6])).notna().all()
        classes = label_groups(pd.Series(["b", "a"]))
        assert classes.cat.categories.tolist() == ["a", "b"]

    def test_colourings_are_in_the_order_of_the_buttons(self):
        choices = colorings(make_frame(), LIGHT, note=" · sample")
        assert list(choices) == [
            "value", "intrinsic", "extrinsic", "cluster", "label", "flipped",
        ]  # fmt: skip
        assert all(choice.title.endswith(" · sample") for choice in choices.values())

    def test_config_offers_no_upload(self):
        assert charts.CHART_CONFIG["showSendToCloud"] is False
        assert charts.CHART_CONFIG["displaylogo"] is False
