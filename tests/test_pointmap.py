"""The map in a real browser: clicks, lassos and keys against a server of its own (`pointmap_demo`)."""

import re
from pathlib import Path

import numpy as np
import pytest
from browser import IN_CHROMIUM, ROOT, AppServer, idle, visiting
from PIL import Image
from playwright.sync_api import Page, expect
from pointmap_demo.rows import make_frame
from test_lasso import crossings

DEMO = Path(__file__).parent / "pointmap_demo"
BASE = "some/where"
TRIANGLE = [(0.15, 0.1), (0.75, 0.3), (0.35, 0.85)]
LEFT, RIGHT = [(0.05, 0.05), (0.5, 0.95)], [(0.4, 0.05), (0.95, 0.95)]

FRAME, COORDS = make_frame(2000)
VALUES = FRAME["value"].to_numpy()

pytestmark = IN_CHROMIUM


class DemoServer(AppServer):
    """The demo under a base path, which all of its addresses then have."""

    script = str(DEMO / "app.py")

    def __init__(self, folder):
        super().__init__(folder, PYTHONPATH=str(ROOT), STREAMLIT_SERVER_BASE_URL_PATH=BASE)
        self.address += f"/{BASE}"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = DemoServer(tmp_path_factory.mktemp("pointmap"))
    try:
        yield server.start().address
        assert "Traceback" not in server.log.read_text()
    finally:
        server.stop()


@pytest.fixture
def page(server, browser):
    """A page in which nothing goes wrong, and that asks nothing of another host."""
    with visiting(browser, server, viewport={"width": 1280, "height": 800}) as page:
        wrong = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: is_wrong(message) and wrong.append(message.text))
        yield page
        assert wrong == []


def is_wrong(message):
    if message.type == "error":
        return True
    # Pages are put together without graphics here, which reads every picture back.
    return "WebGL" in message.text and "GPU stall due to ReadPixels" not in message.text


class Map:
    """What a visitor does on the map, and what the page then says."""

    def __init__(self, page: Page):
        self.page = page

    def open(self, address):
        self.page.goto(address)
        return self.drawn()

    def drawn(self):
        expect(self.picture).to_have_attribute("data-drawn", re.compile(r"\d+"))
        self.idle()
        return self

    def visit(self, name):
        self.page.get_by_role("link", name=name).click()

    @property
    def root(self):
        return self.page.locator(".ecoval-map-root")

    @property
    def picture(self):
        return self.page.locator(".ecoval-map-picture")

    @property
    def line(self):
        return self.page.get_by_text(re.compile(r"^Selected: [\d,]+ of"))

    def tool(self, name):
        return self.page.locator(f".ecoval-map-tool[data-tool={name}]")

    def expect(self, text):
        expect(self.line).to_contain_text(re.compile(text))

    def idle(self):
        """Wait until the script has ended and the map shows what it said."""
        idle(self.page)
        self.page.wait_for_timeout(250)

    def rerun_slowly(self):
        """Start a script that takes two seconds."""
        self.page.locator(".st-key-slow").get_by_role("button").click()

    def choose(self, color):
        """Colour by a column."""
        self.page.get_by_test_id("stSelectbox").locator("input").click()
        self.page.get_by_role("option", name=color).click()

    def spot(self, share_x, share_y):
        box = self.page.locator(".ecoval-map-pad").bounding_box()
        return round(box["x"] + share_x * box["width"]), round(box["y"] + share_y * box["height"])

    def view(self):
        """Ends of both axes, as plotly.js has them."""
        return self.picture.evaluate("e => [e.layout.xaxis.range, e.layout.yaxis.range]")

    def to_data(self, spots):
        (left, right), (bottom, top) = self.view()
        box = self.page.locator(".ecoval-map-pad").bounding_box()
        return [
            (
                left + (x - box["x"]) / box["width"] * (right - left),
                top - (y - box["y"]) / box["height"] * (top - bottom),
            )
            for x, y in spots
        ]

    def spot_of(self, position):
        """Where on the screen a row lies."""
        (left, right), (bottom, top) = self.view()
        x, y = COORDS[position]
        return self.spot((x - left) / (right - left), (top - y) / (top - bottom))

    def alone(self, n):
        """Positions of rows that have no neighbour near, from the middle outwards."""
        gap = np.linalg.norm(COORDS[:, None] - COORDS[None], axis=2)
        np.fill_diagonal(gap, np.inf)
        return np.argsort(-gap.min(axis=1))[:n]

    def drag(self, shares, key=None, hold=None):
        spots = [self.spot(*share) for share in shares]
        if key:
            self.page.keyboard.down(key)
        self.page.mouse.move(*spots[0])
        self.page.mouse.down()
        for spot in spots[1:]:
            self.page.mouse.move(*spot, steps=6)
        if hold:
            hold()
        self.page.mouse.up()
        if key:
            self.page.keyboard.up(key)
        return self.to_data(spots)

    def click(self, position, key=None):
        if key:
            self.page.keyboard.down(key)
        self.page.mouse.click(*self.spot_of(position))
        if key:
            self.page.keyboard.up(key)

    def traces(self):
        """Points by trace, as plotly.js has them."""
        return self.picture.evaluate(
            "e => Object.fromEntries(e.data.map(trace => [trace.name, trace.x.length]))"
        )


@pytest.fixture
def demo(server, page):
    return Map(page).open(f"{server}/?rows=2000")


def inside(polygon):
    return np.array([crossings(point, polygon) for point in COORDS])


def in_box(corners):
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    return ((low <= COORDS) & (high >= COORDS)).all(axis=1)


def test_lasso_takes_what_lies_inside_and_the_rest_turns_grey(demo):
    assert demo.traces() == {"others": 0, "points": 2000, "pruned": 0}
    # Once at first, not again when the style sheet arrives or the window settles.
    expect(demo.picture).to_have_attribute("data-drawn", "1")
    polygon = demo.drag(TRIANGLE)
    expected = int(inside(polygon).sum())
    assert 0 < expected < 2000
    demo.expect(f"Selected: {expected:,} of")
    expect(demo.root).to_contain_text(f"{expected:,} of 2,000 rows selected")
    demo.idle()
    assert demo.traces() == {"others": 2000 - expected, "points": expected, "pruned": 0}
    demo.page.keyboard.press("Escape")
    demo.expect("Selected: 0 of")
    demo.idle()
    assert demo.traces() == {"others": 0, "points": 2000, "pruned": 0}


def test_shift_adds_alt_takes_away_and_the_selection_inverts(demo):
    demo.page.keyboard.press("Tab")
    demo.tool("box").click()
    expect(demo.tool("box")).to_have_attribute("aria-pressed", "true")
    left = in_box(demo.drag(LEFT))
    demo.expect(f"Selected: {left.sum():,} of")
    right = in_box(demo.drag(RIGHT, key="Shift"))
    demo.expect(f"Selected: {(left | right).sum():,} of")
    again = in_box(demo.drag(LEFT, key="Alt"))
    np.testing.assert_array_equal(again, left)
    expected = (left | right) & ~left
    demo.expect(f"Selected: {expected.sum():,} of")
    demo.page.keyboard.press("i")
    demo.expect(f"Selected: {2000 - expected.sum():,} of")
    demo.tool("invert").click()
    demo.expect(f"Selected: {expected.sum():,} of 2,000 · picked None · gestures 5 ·")
    demo.tool("clear").click()
    demo.expect("Selected: 0 of")
    demo.idle()
    expect(demo.tool("clear")).to_be_disabled()


def test_row_is_told_when_pointed_at_and_opened_by_a_click_whatever_tool_is_active(demo):
    first, second = demo.alone(2)
    demo.page.mouse.move(*demo.spot_of(first))
    tip = demo.root.locator(".ecoval-map-tip")
    expect(tip).to_contain_text(f"row {first + 100}")
    expect(tip).to_contain_text("value = intrinsic + extrinsic")
    expect(tip).to_contain_text("amount: ")
    demo.page.mouse.move(*demo.spot(0.005, 0.005))
    expect(tip).to_be_hidden()
    rings = {"picked": 1, "neighbor": 5}
    for tool in ("lasso", "box", "pan"):
        demo.tool(tool).click()
        demo.click(first)
        expect(demo.root).to_have_attribute("data-picked", str(first + 100))
        demo.expect(f"Selected: 0 of 2,000 · picked {first + 100} ")
        for name, n in rings.items():
            expect(demo.root.locator(f".ecoval-map-{name}")).to_have_count(n)
        demo.page.keyboard.press("Escape")
        demo.expect("picked None")
        for name in rings:
            expect(demo.root.locator(f".ecoval-map-{name}")).to_have_count(0)
    demo.rerun_slowly()
    demo.click(second)
    # Shown before the server answers.
    expect(demo.root).to_have_attribute("data-picked", str(second + 100))
    demo.expect(f"picked {second + 100} · gestures 0 · picks 7")


def test_shift_click_adds_alt_click_takes_away_and_nothing_is_lost_by_accident(demo):
    first, second = demo.alone(2)
    demo.click(first, "Shift")
    demo.expect("Selected: 1 of 2,000 · picked None")
    demo.click(second, "Shift")
    demo.expect("Selected: 2 of")
    demo.click(first, "Alt")
    demo.expect("Selected: 1 of")
    demo.idle()
    # Neither clicks beside the points, twice at that, nor one on a point, clear it.
    demo.page.mouse.dblclick(*demo.spot(0.01, 0.01))
    demo.click(first)
    demo.expect(f"Selected: 1 of 2,000 · picked {first + 100} · gestures 3 · picks 1$")
    demo.page.mouse.dblclick(*demo.spot_of(second))
    demo.expect(f"Selected: 1 of 2,000 · picked {second + 100} · gestures 3 · picks 3$")


def test_zoom_tool_and_colour_survive_reruns_other_pages_and_a_reload(demo, server):
    page = demo.page
    whole = demo.view()
    demo.root.focus()
    page.keyboard.press("z")
    page.mouse.move(*demo.spot(0.3, 0.3))
    page.mouse.wheel(0, -400)
    demo.drag([(0.3, 0.3), (0.6, 0.5)])
    demo.idle()
    zoomed = demo.view()
    assert zoomed[0][1] - zoomed[0][0] < 0.8 * (whole[0][1] - whole[0][0])
    demo.choose("label")
    expect(demo.root.locator(".ecoval-map-title")).to_have_text("Label")
    demo.idle()
    assert demo.view() == zoomed
    page.keyboard.press("Escape")

    def is_as_it_was():
        demo.drawn()
        assert demo.view() == zoomed
        expect(demo.tool("pan")).to_have_attribute("aria-pressed", "true")
        expect(demo.root.locator(".ecoval-map-title")).to_have_text("Label")

    page.reload()
    is_as_it_was()
    demo.visit("Nothing")
    expect(page.get_by_role("heading", name="Nothing here")).to_be_visible()
    expect(demo.root).to_have_count(0)
    demo.visit("Map")
    is_as_it_was()
    demo.root.focus()
    page.keyboard.press("0")
    demo.idle()
    np.testing.assert_allclose(demo.view(), whole)


def test_keys_choose_tools_and_zoom(demo):
    page = demo.page
    whole = demo.view()
    # Without focus the keys belong to the page.
    page.mouse.move(5, 5)
    page.keyboard.press("b")
    expect(demo.tool("box")).to_have_attribute("aria-pressed", "false")
    demo.root.focus()
    for key, tool in (("b", "box"), ("z", "pan"), ("l", "lasso")):
        page.keyboard.press(key)
        expect(demo.tool(tool)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("+")
    demo.idle()
    near = demo.view()
    for axis in (0, 1):
        assert np.ptp(near[axis]) == pytest.approx(np.ptp(whole[axis]) / 1.5)
    page.keyboard.press("ArrowRight")
    demo.idle()
    assert demo.view()[0][0] == pytest.approx(near[0][0] + 0.15 * np.ptp(near[0]))
    page.keyboard.press("-")
    demo.idle()
    assert np.ptp(demo.view()[0]) == pytest.approx(np.ptp(whole[0]))
    # Every button can be reached and pressed without a pointer.
    demo.root.focus()
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.tool"))
    enabled = ["lasso", "box", "pan", "zoomIn", "zoomOut", "reset", "invert", "save"]
    assert reached[:8] == enabled
    demo.tool("box").focus()
    page.keyboard.press("Enter")
    expect(demo.tool("box")).to_have_attribute("aria-pressed", "true")


def test_new_colour_and_prune_list_leave_selection_and_picked_row(demo):
    demo.drag(TRIANGLE)
    demo.idle()
    before = demo.traces()
    (position,) = demo.alone(1)
    drawn = demo.picture.get_attribute("data-drawn")
    demo.click(position)
    demo.expect(f"picked {position + 100}")
    demo.idle()
    # A ring moves without the points being drawn again.
    assert demo.picture.get_attribute("data-drawn") == drawn
    demo.choose("amount")
    expect(demo.root.locator(".ecoval-map-title")).to_have_text("amount")
    demo.idle()
    assert demo.traces() == before
    expect(demo.root).to_have_attribute("data-picked", str(position + 100))
    colors = demo.picture.evaluate("e => new Set(e.data[1].marker.color).size")
    assert colors > 30
    demo.choose("note")
    expect(demo.root.locator(".ecoval-map-legend")).to_contain_text("missing (")
    for n_pruned in (int((VALUES < -1).sum()), 0):
        demo.page.get_by_text("Prune list").click()
        demo.idle()
        assert demo.traces() == before | {"pruned": n_pruned}


def test_gestures_made_while_the_script_runs_are_all_applied_once(demo):
    page = demo.page
    demo.tool("box").click()
    demo.rerun_slowly()
    left = in_box(demo.drag(LEFT))
    right = in_box(demo.drag(RIGHT, key="Shift"))
    page.keyboard.press("i")
    expected = 2000 - (left | right).sum()
    demo.expect(f"Selected: {expected:,} of 2,000 · picked None · gestures 3 ·")
    # Nor does any other run apply one again, nor the map of a page that was left.
    demo.rerun_slowly()
    demo.idle()
    demo.visit("Nothing")
    demo.visit("Map")
    demo.expect(f"Selected: {expected:,} of 2,000 · picked None · gestures 3 ·")
    demo.idle()
    demo.root.focus()
    page.keyboard.press("i")
    demo.expect(f"Selected: {2000 - expected:,} of 2,000 · picked None · gestures 4 ·")
    # Nor does a run end a drag that was begun. Escape does, and leaves the selection as it is.
    demo.tool("lasso").click()
    n = inside(demo.drag(TRIANGLE, hold=lambda: rerun_meanwhile(page))).sum()
    demo.expect(f"Selected: {n:,} of 2,000 · picked None · gestures 5 ·")
    demo.drag([(0.2, 0.2), (0.3, 0.8)], hold=lambda: page.keyboard.press("Escape"))
    demo.idle()
    demo.expect(f"Selected: {n:,} of 2,000 · picked None · gestures 5 ·")


def rerun_meanwhile(page):
    """Run the script from beginning to end while the pointer is held down."""
    page.evaluate("document.querySelector('.st-key-slow button').click()")
    for state in ("running", "notRunning"):
        expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", state)


def test_filtered_rows_are_not_taken_and_not_clicked(demo):
    demo.page.get_by_text("Below zero only").click()
    demo.idle()
    polygon = demo.drag(TRIANGLE)
    expected = int((inside(polygon) & (VALUES < 0)).sum())
    demo.expect(f"Selected: {expected:,} of")
    demo.idle()
    faint = next(position for position in demo.alone(40) if VALUES[position] >= 0)
    demo.click(faint)
    demo.idle()
    demo.expect("picked None")
    demo.page.keyboard.press("i")
    demo.expect(f"Selected: {(VALUES < 0).sum() - expected:,} of")


def test_lasso_on_a_sample_takes_all_rows_inside(server, page):
    demo = Map(page).open(f"{server}/?rows=2000&limit=300")
    assert demo.traces()["points"] == 300
    expect(demo.root).to_contain_text("showing 300 of 2,000 rows")
    polygon = demo.drag(TRIANGLE)
    demo.expect(f"Selected: {inside(polygon).sum():,} of")


def test_scripts_and_data_travel_once_and_a_gesture_is_a_small_message(server, page):
    fetched, frames = [], []
    page.on("response", lambda answer: "/pointmap/" in answer.url and fetched.append(answer.url))
    page.on(
        "websocket",
        lambda socket: socket.on("framereceived", lambda payload: frames.append(len(payload))),
    )
    demo = Map(page).open(f"{server}/?rows=20000")
    names = [address.rsplit("/", 1)[1] for address in fetched]
    assert names.count("plotly.min.js") == 1
    assert len(names) == len(set(names))
    n_fetched, n_frames = len(fetched), len(frames)
    demo.drag(TRIANGLE)
    demo.expect("Selected: [1-9]")
    demo.idle()
    assert len(fetched) == n_fetched
    # The table beside the map is the larger part of what comes back; the map's own share is its bits.
    bits = 20_000 / 8 * 4 / 3
    assert sum(size for size in frames[n_frames:] if size > bits) < 150_000
    sizes = page.evaluate(
        """() => performance.getEntriesByType('resource')
            .filter(each => each.name.includes('plotly.min')).map(each => each.transferSize)"""
    )
    assert sizes[0] < 1_600_000
    page.reload()
    demo.drawn()
    again = page.evaluate(
        """() => performance.getEntriesByType('resource')
            .filter(each => each.name.includes('/pointmap/')).map(each => each.transferSize)"""
    )
    assert again
    assert sum(again) == 0


def test_maps_that_were_left_give_their_graphics_back(server, page):
    # A browser has about sixteen of these for all of a page, and takes them from the oldest.
    page.add_init_script(
        """window.graphics = new Set();
        const get = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...options) {
            const context = get.call(this, kind, ...options);
            if (context && kind.includes('webgl')) window.graphics.add(context);
            return context;
        };"""
    )
    demo = Map(page).open(f"{server}/?rows=2000")
    alive = "[...window.graphics].filter(each => !each.isContextLost()).length"
    assert page.evaluate(alive) > 0
    for _ in range(2):
        demo.visit("Scatter")
        expect(page.get_by_text("Typical and needed")).to_be_visible()
        demo.visit("Map")
        expect(page.get_by_text("Typical and needed")).to_have_count(0)
        demo.drawn()
    assert demo.traces()["points"] == 2000
    demo.visit("Nothing")
    expect(demo.root).to_have_count(0)
    page.wait_for_function(f"{alive} === 0")
    assert page.evaluate("window.graphics.size") > 4


def test_map_whose_graphics_were_taken_away_is_drawn_again(demo):
    drawn = int(demo.picture.get_attribute("data-drawn"))
    demo.picture.evaluate(
        "e => e.querySelector('canvas').getContext('webgl')"
        ".getExtension('WEBGL_lose_context').loseContext()"
    )
    expect(demo.picture).to_have_attribute("data-drawn", str(drawn + 1))
    polygon = demo.drag(TRIANGLE)
    demo.expect(f"Selected: {inside(polygon).sum():,} of")


def test_the_picture_that_is_saved_has_the_size_of_the_map_and_its_legend(demo, tmp_path):
    box = demo.picture.bounding_box()
    with demo.page.expect_download() as download:
        demo.tool("save").click()
    assert download.value.suggested_filename == "ecoval-map.png"
    download.value.save_as(tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.width / 2 == pytest.approx(box["width"] + 130, abs=1)
        assert picture.height / 2 == pytest.approx(box["height"] + 60, abs=1)
        colors = {color for _, color in picture.convert("RGB").getcolors(1 << 24)}
    # Both ends of the scale are in it.
    assert {(168, 67, 10), (15, 76, 138)} <= colors


def test_map_is_wholly_visible_and_nothing_runs_over(server, page):
    for width, height in ((390, 844), (1280, 800)):
        page.set_viewport_size({"width": width, "height": height})
        demo = Map(page).open(f"{server}/?rows=2000&color=label")
        box = demo.root.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert demo.root.evaluate("e => e.scrollWidth <= e.clientWidth")
        pad = page.locator(".ecoval-map-pad").bounding_box()
        assert pad["height"] >= 320
        assert pad["width"] >= 300
    # On a laptop without scrolling.
    assert box["y"] + box["height"] <= height
