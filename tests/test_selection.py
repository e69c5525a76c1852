"""One selection everywhere: what takes it, what shows it, and that it, the filters and the colour last."""

import re

import numpy as np
import pandas as pd
import pytest
import screens
from browser import (
    IN_CHROMIUM,
    choose,
    choose_option,
    idle,
    menu,
    press,
    see_curves,
    visiting,
    widget,
    work_done,
)
from playwright.sync_api import expect

from ecoval_core import charts
from ecoval_core.charts import curves as curve_charts
from ecoval_core.charts.selection import bar_key, rows_behind, value_bins
from ecoval_core.evaluation.curves import rows_removed, standing_of
from pages.shared.pointmap.chart import Touch
from pages.shared.pointmap.component import unanswered


def make_frame(n=200, *, regression=False, seed=0):
    random = np.random.default_rng(seed)
    label = random.normal(10, 3, n) if regression else random.choice(["cat", "dog", "eel"], n)
    value, intrinsic = random.normal(0.2, 1, n), random.normal(0.1, 0.5, n)
    return pd.DataFrame(
        {
            "value": value, "intrinsic": intrinsic, "extrinsic": value - intrinsic, "label": label,
            "cluster": random.integers(0, 7, n),
        },
        index=pd.Index(np.arange(n) * 3, name="row_id"),
    )  # fmt: skip


# --- Which rows stand behind a bar ------------------------------------------------------------


@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("by", ["label", "cluster"])
def test_rows_behind_a_bar_are_those_it_sums(by, regression):
    frame = make_frame(regression=regression)
    figure = charts.totals_by(frame, by=by, theme="light")
    total = figure.data[2]
    for key, value in zip(total.ids, total.x, strict=True):
        assert frame.loc[rows_behind(frame, [key]), "value"].sum() == pytest.approx(value, rel=1e-5)
    assert sorted(rows_behind(frame, total.ids)) == frame.index.tolist()


def test_rows_behind_the_bars_of_the_histogram_are_those_it_counts():
    frame = make_frame()
    frame.iloc[0, 0], frame.iloc[1, 0] = -1e4, 1e4
    bars = charts.value_distribution(frame, theme="light").data[0]
    behind = [rows_behind(frame, [key]) for key in bars.ids]
    assert [len(rows) for rows in behind] == list(bars.y)
    assert frame.index[0] in behind[0]
    assert frame.index[1] in behind[-1]
    assert 0.0 in value_bins(frame["value"].to_numpy())[0]
    for x, rows in zip(bars.x, behind, strict=True):
        assert ((frame.loc[rows, "value"] < 0) == (x < 0)).all()


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_few_values_of_the_other_sign_have_a_bar_of_their_own(sign):
    values = sign * np.concatenate([np.linspace(1.0, 2.0, 999), [-0.01]])
    edges, bins = value_bins(values)
    assert (bins == bins[-1]).sum() == 1
    assert edges[bins[-1]] < 0 if sign > 0 else edges[bins[-1]] == 0
    edges, bins = value_bins(abs(values))
    assert edges[0] == 0


def test_unknown_bars_hold_no_row():
    frame = make_frame()
    assert rows_behind(frame, ["label:gnu", "cluster:99", "bin:500", "nonsense", ""]) == []
    assert rows_behind(frame.iloc[:0], [bar_key("bin", 0)]) == []


# --- What a chart shows of it -----------------------------------------------------------------


def test_bars_without_a_selected_row_are_fainter():
    frame = make_frame()
    selected = frame.index[frame["label"] == "dog"]
    bars = charts.totals_by(frame, by="label", theme="dark", selected=selected).data[0]
    faint = np.asarray(bars.marker.opacity) < 1
    assert [key for key, is_faint in zip(bars.ids, faint, strict=True) if not is_faint] == [
        "label:dog"
    ]


def summary():
    shares = [0.0, 0.1, 0.2, 0.3]
    frame = pd.DataFrame({"share": shares, "mean": [0.8, 0.85, 0.9, 0.7]})
    return frame.assign(
        strategy="lowest", n_removed=[0, 10, 20, 30], low=frame["mean"], high=frame["mean"]
    )


def test_marks_stand_on_their_curve_at_their_share():
    marks = [
        charts.Mark("prune list", "lowest", 0.15, 15, 15),
        charts.Mark("selection", "highest", 0.1, 10, 9),
        charts.Mark("far", "lowest", 0.7, 70, 70),
    ]
    figure = charts.removal_chart(summary(), 0.8, "accuracy", theme="light", marks=marks)
    names = {trace.name: trace for trace in figure.data}
    assert names["prune list"].x[0] == 0.15
    assert names["prune list"].y[0] == pytest.approx(0.875)
    assert names["prune list"].ids == (curve_charts.key_of("lowest", 0.15),)
    assert {"selection", "far"}.isdisjoint(names)
    assert names["lowest value first"].ids[1] == curve_charts.key_of("lowest", 0.1)


# --- Where a set of rows stands ---------------------------------------------------------------


@pytest.mark.parametrize("key", ["x", "lowest", "lowest:nan", "random:0.100000", "lowest:1.500000"])
def test_unknown_point_of_a_curve_is_passed_over(key):
    assert curve_charts.point_of(key) is None
    at_a_third = curve_charts.key_of("highest", 1 / 3)
    assert curve_charts.point_of(at_a_third) == ("highest", 0.333333)


def test_rows_removed_are_the_lowest_or_highest_of_all_or_of_each_class():
    frame = make_frame()
    ranked = frame["value"].sort_values(kind="stable").index.tolist()
    assert rows_removed(frame["value"], "lowest", 0.1) == ranked[:20]
    assert rows_removed(frame["value"], "highest", 0.1) == ranked[:-21:-1]
    assert rows_removed(frame["value"], "lowest", 0.0) == []
    gone = rows_removed(frame["value"], "lowest", 0.5, frame["label"])
    shares = frame.loc[gone, "label"].value_counts() / frame["label"].value_counts()
    assert shares.tolist() == pytest.approx([0.5] * 3, abs=0.02)
    with pytest.raises(ValueError, match="lowest or highest"):
        rows_removed(frame["value"], "random", 0.1)


def test_set_stands_on_the_curve_that_removes_more_of_it():
    values = make_frame()["value"]
    highest = rows_removed(values, "highest", 0.2)
    found = standing_of([*highest, 10**6], values)
    assert (found.strategy, found.share, found.n_rows, found.n_removed) == ("highest", 0.2, 40, 40)
    assert standing_of(rows_removed(values, "lowest", 0.3), values).strategy == "lowest"
    assert standing_of([10**6], values) is None


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"number": 1, "keys": "bin:1", "mode": "add"},
        {"number": 1, "keys": [], "mode": "dance"},
        {"number": float("inf"), "keys": [], "mode": "add"},
        {"number": 1, "keys": ["a"] * 10_000, "mode": "add"},
    ],
    ids=["empty", "keys are a text", "unknown mode", "infinite", "too many keys"],
)
def test_message_that_is_no_touch_is_passed_over(message):
    assert unanswered([message], 0, Touch.read) == []


# --- In a browser -----------------------------------------------------------------------------


_SPOT = """([name, key]) => {
  const chart = document.querySelector(`.st-key-chart_${name} .ecoval-chart`);
  chart.scrollIntoView({ block: "center" });
  for (const trace of [...chart._fullData].reverse()) {
    const i = (trace.ids ?? []).indexOf(key);
    if (i < 0) continue;
    const axis = (id) => chart._fullLayout[`${id[0]}axis${id.slice(1)}`];
    const [x, y] = [axis(trace.xaxis), axis(trace.yaxis)];
    let [left, top] = [x.d2p(trace.x[i]), y.d2p(trace.y[i])];
    if (trace.type === "bar" && trace.orientation === "h") left = (x.d2p(0) + left) / 2;
    else if (trace.type === "bar") top = (y.d2p(0) + top) / 2;
    const box = chart.getBoundingClientRect();
    return [box.left + x._offset + left, box.top + y._offset + top];
  }
}"""


@pytest.fixture
def page(browser, app_server):
    with visiting(browser, app_server.address) as page:
        page.goto(f"{app_server.address}/value?run={app_server.run}")
        expect(page.get_by_text("What came out")).to_be_visible()
        # What removing the harmful rows does is measured at the first visit, and said above the charts.
        work_done(page)
        yield page


def in_chromium(test):
    """Mark a test that needs a browser."""
    for mark in IN_CHROMIUM:
        test = mark(test)
    return test


def chart(page, name):
    found = page.locator(f".st-key-chart_{name} .ecoval-chart[data-drawn]")
    expect(found).to_be_visible()
    return found


def spot(page, name, key):
    """Where the mark of a key is on the screen, once it has stopped to move."""
    chart(page, name)
    before, now = None, page.evaluate(_SPOT, [name, key])
    while now != before:
        page.wait_for_timeout(300)
        before, now = now, page.evaluate(_SPOT, [name, key])
    return now


def traces(page, name):
    """Names, ids and heights of the traces of a chart."""
    found = chart(page, name).evaluate(
        "chart => chart._fullData.map("
        "({ name, ids, x, y }) => ({ name, ids, x: [...x ?? []], y: [...y ?? []] }))"
    )
    return {trace["name"]: trace for trace in found}


def n_selected(page):
    return int(re.search(r"Selected: (\d+)", widget(page, "status").inner_text())[1])


def expect_selected(page, n):
    expect(widget(page, "status")).to_contain_text(re.compile(rf"Selected: {n}\b"))
    idle(page)


def touch(page, name, key, *, shift=False):
    x, y = spot(page, name, key)
    if shift:
        page.keyboard.down("Shift")
    page.mouse.click(x, y)
    if shift:
        page.keyboard.up("Shift")
    idle(page)


def click_row(page, table, number):
    """Click beside a row of a table, where its tick is."""
    shown = page.locator(f"[class*=st-key-{table}] [data-testid=stDataFrame]").first
    shown.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    box = shown.bounding_box()
    page.mouse.click(box["x"] + 16, box["y"] + 35 * number + 52)
    idle(page)


def drag_slider(page, key, n_steps):
    """Move a slider by its keys; the page answers the first while they are held."""
    slider = widget(page, key).get_by_role("slider").first
    slider.focus()
    for step in range(n_steps):
        page.keyboard.press("ArrowRight")
        if step == 0:
            page.wait_for_timeout(500)
            idle(page)
            expect(slider).to_be_focused()
    idle(page)


@in_chromium
def test_bar_of_the_histogram_selects_its_rows_shows_them_and_lets_go(page):
    bars = traces(page, "distribution")["all rows"]
    full = [i for i, n in enumerate(bars["y"]) if n]
    first, second = full[0], full[-1]
    touch(page, "distribution", bars["ids"][first])
    expect_selected(page, bars["y"][first])
    assert traces(page, "distribution")["selected rows"]["y"][first] == bars["y"][first]
    touch(page, "distribution", bars["ids"][second], shift=True)
    expect_selected(page, bars["y"][first] + bars["y"][second])
    menu(page, "Explore")
    choose(page, "decomposed_by", "Distribution")
    shown = traces(page, "totals_distribution")["selected rows"]["y"]
    assert sum(shown) == bars["y"][first] + bars["y"][second]
    # A box takes whole bars; its outline goes.
    left, right = (spot(page, "totals_distribution", bars["ids"][i]) for i in full[:2])
    page.mouse.move(left[0] - 8, left[1])
    page.mouse.down()
    page.mouse.move(right[0] + 8, right[1] + 9, steps=6)
    page.mouse.up()
    expect_selected(page, bars["y"][full[0]] + bars["y"][full[1]])
    page.wait_for_timeout(500)
    assert page.locator(".st-key-chart_totals_distribution .selectionlayer path").count() == 0
    # The class of a bar replaces it; that bar again, and nothing is selected.
    choose(page, "decomposed_by", "By label")
    touch(page, "totals_label", "label:class_1")
    touch(page, "totals_label", "label:class_1")
    expect_selected(page, 0)
    choose(page, "decomposed_by", "Distribution")
    assert "selected rows" not in traces(page, "totals_distribution")


@in_chromium
def test_zoom_outlasts_gestures_the_page_and_a_reload(page):
    def ends():
        return chart(page, "totals_cluster").evaluate("chart => chart._fullLayout.xaxis.range")

    menu(page, "Explore")
    choose(page, "decomposed_by", "By cluster")
    clusters = traces(page, "totals_cluster")["value (sum)"]["ids"]
    x, y = spot(page, "totals_cluster", clusters[-1])
    whole = ends()
    page.mouse.move(x - 60, y - 40)
    page.mouse.down()
    page.mouse.move(x + 60, y + 4, steps=6)
    page.mouse.up()
    page.wait_for_timeout(500)
    zoomed = ends()
    assert zoomed[1] - zoomed[0] < 0.9 * (whole[1] - whole[0])
    touch(page, "totals_cluster", clusters[-1])
    expect(widget(page, "status")).not_to_contain_text("Selected: 0")
    assert ends() == pytest.approx(zoomed)
    menu(page, "Prune")
    menu(page, "Explore")
    assert ends() == pytest.approx(zoomed)
    page.reload()
    page.wait_for_timeout(500)
    assert ends() == pytest.approx(zoomed)


@in_chromium
def test_neighbour_is_picked_by_a_click(page):
    menu(page, "Explore")
    expect(page.get_by_text("Shown by PCA")).to_have_count(0)
    idle(page)
    click_row(page, "explore_rows", 0)
    heading = page.get_by_role("heading", name=re.compile(r"^Row \d+:"))
    expect(heading).to_be_visible()
    first = heading.inner_text()
    click_row(page, "neighbors", 2)
    expect(heading).not_to_have_text(first)
    row = re.search(r"\d+", heading.inner_text())[0]
    expect(page.locator(f".ecoval-map-root[data-picked='{row}']")).to_have_count(1)
    page.reload()
    expect(heading).to_contain_text(f"Row {row}:")


@in_chromium
def test_point_of_a_curve_and_mark_on_it_select_the_rows_removed_up_to_there(page):
    menu(page, "Prune")
    drag_slider(page, "prune_share", 26)
    expect(widget(page, "status")).to_contain_text("To prune: 14")
    see_curves(page)
    mark = traces(page, "curve_accuracy")["prune list"]
    assert mark["x"][0] == pytest.approx(14 / 107, abs=1e-4)
    menu(page, "Explore")
    touch(page, "curves", mark["ids"][0])
    expect_selected(page, 14)
    assert traces(page, "curves")["selection"]["x"] == mark["x"]
    touch(page, "curves", "highest:0.200000")
    expect_selected(page, 21)
    # On Prune the curve is the slider.
    menu(page, "Prune")
    touch(page, "curve_accuracy", "lowest:0.200000")
    expect(widget(page, "status")).to_contain_text("To prune: 21")
    slider = widget(page, "prune_share").get_by_role("slider")
    expect(slider).to_have_value("20")


@in_chromium
def test_slider_stays_under_the_hand_when_its_page_says_what_changed(page):
    menu(page, "Explore")
    press(page, "view_menu")
    drag_slider(page, "extrinsic_weight", 3)
    expect(page).to_have_url(re.compile("extrinsic_weight=0.4&.*review="))
    assert page.locator(".stException").count() == 0
    menu(page, "Data")
    # Slower than the page answers, so that the table is opened many times meanwhile.
    first, last = widget(page, "data_split").get_by_role("slider").all()
    first.focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(300)
    idle(page)
    expect(first).to_have_value("50")
    expect(widget(page, "back_to_run")).to_be_visible()
    # Without a validation row between them, they are moved apart.
    last.press("End")
    first.press("End")
    expect(first).to_have_value("94")
    expect(last).to_have_value("95")


@in_chromium
def test_filters_colour_projection_and_selection_outlast_other_pages_and_a_reload(page):
    def look():
        expect(page.locator(".ecoval-map-root[data-seen]")).to_be_visible()
        idle(page)
        # A menu that was open before comes back open, a moment after the page.
        page.wait_for_timeout(1000)
        if not widget(page, "filter_columns").is_visible():
            press(page, "filter_menu")
        expect(widget(page, "filter_columns")).to_contain_text("Filter by columns")
        return {
            "title": page.locator(".ecoval-map-title").inner_text(),
            "status": page.locator(".ecoval-map-status").inner_text(),
            "color": widget(page, "map_color").locator("input").input_value(),
            "projection": widget(page, "projection").locator("[aria-checked=true]").inner_text(),
            "columns": widget(page, "filter_columns").inner_text(),
            "low": widget(page, "filter_range_ash").get_by_role("slider").first.input_value(),
            "negative": widget(page, "filter_negative").locator("input").is_checked(),
            "labels": widget(page, "filter_labels").inner_text(),
            "n_selected": n_selected(page),
        }

    touch(page, "distribution", "bin:2")
    menu(page, "Explore")
    choose_option(page, widget(page, "map_color"), "Colour: Label quality")
    press(page, "filter_menu")
    choose_option(page, widget(page, "filter_labels"), "class_0")
    page.keyboard.press("Escape")
    idle(page)
    widget(page, "filter_negative").locator("label").first.click()
    idle(page)
    choose_option(page, widget(page, "filter_columns"), "ash")
    page.keyboard.press("Escape")
    idle(page)
    drag_slider(page, "filter_range_ash", 20)
    page.keyboard.press("Escape")
    choose(page, "projection", "PCA")
    page.wait_for_timeout(500)
    before = look()
    assert before["title"] == "Label quality"
    assert before["negative"]
    assert before["n_selected"] > 0
    menu(page, "Prune")
    menu(page, "Explore")
    page.wait_for_timeout(500)
    assert look() == before
    # A reload of a page without the map begins a session that draws it later.
    menu(page, "Runs")
    page.reload()
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    idle(page)
    menu(page, "Explore")
    page.wait_for_timeout(500)
    assert look() == before


@pytest.mark.pages
@pytest.mark.usefixtures("fresh_server")
def test_filter_of_a_target_of_amounts_outlasts_a_reload():
    app = screens.open_app()
    screens.press(app, "sample_wine")
    screens.wait(screens.check(app.selectbox(key="data_target").set_value("alcohol").run()))
    screens.value(app)
    screens.wait(screens.go(app, "explore"))
    assert not screens.has(app.multiselect, "filter_labels")
    screens.check(app.slider(key="filter_target_alcohol").set_value((13.0, 14.0)).run())
    shown = app.dataframe[0].value
    assert shown["label"].between(13, 14).all()
    again = screens.wait(screens.open_app({"run": app.query_params["run"]}, "explore"))
    assert again.slider(key="filter_target_alcohol").value == (13.0, 14.0)
    assert 0 < len(again.dataframe[0].value) == len(shown) < 107


@in_chromium
def test_restored_rows_leave_no_tick(page):
    menu(page, "Prune")
    drag_slider(page, "prune_share", 20)
    expect(page.get_by_text("90 % interval").first).to_be_visible()
    idle(page)
    for number in (0, 1):
        click_row(page, "pruned_rows", number)
    expect(widget(page, "restore")).to_contain_text("Restore 2 selected rows")
    press(page, "restore")
    expect(page.get_by_text("2 rows kept whatever the rules")).to_be_visible()
    idle(page)
    expect(widget(page, "restore")).to_contain_text("Select rows to restore them")
