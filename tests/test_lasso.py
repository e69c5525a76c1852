"""Points on the map: what a lasso holds, which rows are drawn, and in which colours."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecoval_core.charts.coloring import color_by, colorings
from ecoval_core.charts.decomposition import decomposition_layout, decomposition_scatter
from ecoval_core.charts.points import make_points
from ecoval_core.charts.selection import change_selection, inside_box, inside_polygon
from ecoval_core.charts.shades import N_SHADES, shade
from ecoval_core.charts.style import CATEGORIES, palette_of

LIGHT = palette_of("light")
SQUARE = np.array([(0, 0), (2, 0), (2, 2), (0, 2)])


def crossings(point, polygon):
    """Even-odd rule by the letter, a point and an edge at a time."""
    x, y = point
    odd = False
    for (a, b), (c, d) in pairwise([*polygon, polygon[0]]):
        if (b > y) != (d > y) and x < a + (y - b) / (d - b) * (c - a):
            odd = not odd
    return odd


@pytest.mark.parametrize("n_vertices", [3, 7, 40])
def test_lasso_holds_what_the_rule_says_also_where_it_crosses_itself(n_vertices):
    rng = np.random.default_rng(n_vertices)
    coords, polygon = rng.normal(size=(500, 2)), rng.normal(size=(n_vertices, 2))
    expected = [crossings(point, polygon.tolist()) for point in coords]
    np.testing.assert_array_equal(inside_polygon(coords, polygon), expected)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=9),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=20),
)
def test_points_on_edges_and_vertices_follow_the_same_rule(polygon, points):
    # On a small grid nearly every point lies on an edge or level with a vertex.
    expected = [crossings(point, polygon) for point in points]
    np.testing.assert_array_equal(inside_polygon(np.array(points), np.array(polygon)), expected)


def test_lasso_of_nothing_and_around_nothing():
    assert inside_polygon(np.empty((0, 2)), SQUARE).shape == (0,)
    held = inside_polygon(np.array([(1, 1), (np.nan, 1), (np.inf, 1), (1, -np.inf)]), SQUARE)
    assert held.tolist() == [True, False, False, False]
    flat = np.array([(0, 0), (2, 0), (1, 0)])
    assert not inside_polygon(np.array([(1, 0), (1, 1)]), flat).any()


def test_box_holds_its_edges_whichever_corner_came_first():
    coords = np.array([(0, 0), (1, 1), (2, 2), (2, 3), (np.nan, 1)])
    for corners in ([(0, 0), (2, 2)], [(2, 2), (0, 0)], [(0, 2), (2, 0)]):
        held = inside_box(coords, np.array(corners))
        assert held.tolist() == [True, True, True, False, False]


def test_gestures_replace_add_and_remove_as_sets_do():
    rng = np.random.default_rng(0)
    before, taken = rng.random((2, 100)) < 0.5
    was, now = set(np.flatnonzero(before)), set(np.flatnonzero(taken))
    for mode, expected in (("replace", now), ("add", was | now), ("remove", was - now)):
        assert set(np.flatnonzero(change_selection(before, taken, mode))) == expected


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(1)
    n = 9_000
    flipped = rng.random(n) < 0.1
    quality, effect = rng.uniform(0, 2, n), rng.normal(0, 1, n)
    return pd.DataFrame(
        {
            "value": quality + effect, "intrinsic": quality, "extrinsic": effect,
            "raw_extrinsic": effect, "quality": quality, "cluster": rng.integers(0, 9, n),
            "label": rng.choice(["a", "b <i>"], n), "flipped": flipped, "original_label": "c",
        },
        index=pd.Index(rng.permutation(n) + 7, name="row_id"),
    )  # fmt: skip


def test_all_rows_are_drawn_up_to_the_limit_and_told_in_plain_text(frame):
    hover = pd.DataFrame({"weight": np.arange(len(frame)) / 8}, index=frame.index)
    coords = frame[["intrinsic", "extrinsic"]].to_numpy().copy()
    coords[3] = np.nan
    points = make_points(frame, coords, unit="‰ of <all>", hover=hover)
    assert points.drawn.tolist() == [i for i in range(len(frame)) if i != 3]
    at = int(np.flatnonzero(frame["flipped"] & (frame["label"] == "b <i>"))[5])
    text = points.texts()[points.drawn.tolist().index(at)].split("\n")
    assert text[0] == "value = intrinsic + extrinsic"
    assert text[1].endswith("‰ of <all>")
    assert text[2] == f"label b <i>, cluster {frame['cluster'].iloc[at]}"
    assert text[3:] == ["planted noise, it was c", f"weight: {at / 8:,.6g}"]
    ids = frame.index[[5, 1, 2]]
    assert points.mask([*ids, -4]).nonzero()[0].tolist() == [1, 2, 5]


def test_beyond_the_limit_the_lowest_and_a_sample_are_drawn(frame):
    coords = np.zeros((len(frame), 2))
    points = make_points(frame, coords, limit=7_000)
    assert len(points.drawn) == len(set(points.drawn)) == 7_000
    assert (np.diff(points.drawn) > 0).all()
    lowest = np.argsort(frame["value"].to_numpy())[:1_750]
    assert set(lowest) <= set(points.drawn)
    assert len(points.ids) == len(frame)
    same = make_points(frame, coords, limit=7_000)
    np.testing.assert_array_equal(points.drawn, same.drawn)
    assert len(make_points(frame, coords, limit=100).drawn) == 100


def channels(color):
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])


def test_amounts_have_the_colours_of_their_scale_and_lie_in_no_order(frame):
    coloring = colorings(frame, LIGHT, "units")["value"]
    shaded = shade(coloring, LIGHT)
    positions = [position for position, _ in coloring.colorscale]
    scale = np.array([channels(color) for _, color in coloring.colorscale])
    share = np.clip((coloring.codes - coloring.low) / (coloring.high - coloring.low), 0, 1)
    for row in range(0, len(frame), 997):
        expected = [np.interp(share[row], positions, channel) for channel in scale.T]
        drawn = channels(shaded.colors[shaded.codes[row]])
        np.testing.assert_allclose(drawn, expected, atol=2)
    in_order = frame["value"].to_numpy(np.float32)[shaded.order]
    assert abs(np.corrcoef(np.arange(len(frame)), in_order)[0, 1]) < 0.05
    assert sorted(shaded.order) == list(range(len(frame)))
    np.testing.assert_allclose([at for at, _ in shaded.ticks], [0, 0.25, 0.5, 0.75, 1], atol=1e-7)
    assert shaded.names == []


def test_column_of_both_signs_has_a_scale_around_zero_and_missing_ones_a_grey():
    column = pd.Series([-4.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, np.nan, np.inf], name="gain <b>")
    coloring = color_by(column, LIGHT)
    assert coloring.low == -coloring.high
    shaded = shade(coloring, LIGHT)
    assert shaded.title == "gain <b>"
    assert shaded.colors[shaded.codes[2]] == LIGHT.zero
    assert (shaded.colors[shaded.codes[0]], shaded.colors[shaded.codes[6]]) == (
        LIGHT.harm, LIGHT.gain,
    )  # fmt: skip
    assert shaded.codes[7] == shaded.codes[8] == N_SHADES
    assert shaded.names == [(LIGHT.muted, "missing (2)")]
    # What is missing is drawn first, beneath the others.
    assert set(shaded.order[:2]) == {7, 8}


def test_column_of_one_sign_has_a_scale_between_its_percentiles():
    column = pd.Series(np.r_[np.arange(1.0, 100.0), 1e6], name="size")
    coloring = color_by(column, LIGHT)
    low, high = np.percentile(column.to_numpy(np.float32), (2, 98))
    assert (coloring.low, coloring.high) == pytest.approx((low, high))
    assert coloring.names[-1].startswith("≥")
    assert coloring.names[0].startswith("≤")
    assert coloring.title == "size"


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([True, False, True]),
        pd.Series([1, 2, 1]),
        pd.Series(["x", "y", "x"]),
        pd.Series(pd.Categorical(["x", "y", "x"], categories=["y", "x", "never"])),
        pd.Series(["x", 1, "x"], dtype=object),
        pd.Series([2.5, 7.0, 2.5]),
    ],
    ids=["bool", "few numbers", "text", "category", "mixed", "few amounts"],
)
def test_few_different_cells_are_categories_with_counts(column):
    shaded = shade(color_by(column, LIGHT), LIGHT)
    assert shaded.codes[0] == shaded.codes[2] != shaded.codes[1]
    color_of = {name.split(" ")[0]: color for color, name in shaded.names}
    assert len(color_of) == 2
    assert shaded.colors[shaded.codes[0]] == color_of[str(column[0])]
    assert sorted(name.split(" ")[-1] for _, name in shaded.names) == ["(1)", "(2)"]


def test_rare_categories_share_a_grey():
    column = pd.Series([f"c{i:02}" for i in range(20) for _ in range(30 - i)])
    shaded = shade(color_by(column, LIGHT), LIGHT)
    n_rest = (column.str[1:].astype(int) >= len(CATEGORIES) - 1).sum()
    assert shaded.names[-1] == (LIGHT.zero, f"9 others ({n_rest})")
    assert len(shaded.names) == len(CATEGORIES)
    assert shaded.colors[shaded.codes[-1]] == LIGHT.zero
    assert shaded.colors[shaded.codes[0]] == shaded.names[0][0] == CATEGORIES[0]


def test_dates_have_a_scale_and_columns_of_nothing_a_grey():
    days = pd.Series(pd.date_range("2020-01-01", periods=9, freq="D"))
    days[4] = pd.NaT
    shaded = shade(color_by(days, LIGHT), LIGHT)
    assert shaded.ticks[0] == (0.0, "2020-01-01")
    assert shaded.ticks[-1] == (1.0, "2020-01-09")
    assert shaded.names == [(LIGHT.muted, "missing (1)")]
    assert shaded.codes[0] == 0
    assert shaded.codes[8] == N_SHADES - 1
    for nothing in (pd.Series([np.nan, np.nan]), pd.Series([None, None], dtype=object),
                    pd.Series([pd.NaT, pd.NaT])):  # fmt: skip
        shaded = shade(color_by(nothing, LIGHT), LIGHT)
        assert shaded.names == [(LIGHT.muted, "missing (2)")]
        assert {shaded.colors[code] for code in shaded.codes} == {LIGHT.muted}


def test_backdrop_is_that_of_the_scatter(frame):
    layout = decomposition_layout(frame, theme="light", unit="units")
    figure = decomposition_scatter(frame, theme="light", unit="units").layout
    # The figure draws single precision.
    np.testing.assert_allclose(layout["xaxis"]["range"], figure.xaxis.range, rtol=1e-6)
    np.testing.assert_allclose(layout["yaxis"]["range"], figure.yaxis.range, rtol=1e-6)
    assert [note["text"] for note in layout["annotations"]] == [
        note.text for note in figure.annotations
    ]
    assert len(layout["shapes"]) == len(figure.shapes) == 3
    assert decomposition_layout(frame.iloc[:0], theme="light") == {}
