"""The whole trip in a real browser: Debian's Chromium against the app as the README starts it."""

import re

import pandas as pd
import pytest
from browser import (
    IN_CHROMIUM,
    choose,
    idle,
    menu,
    press,
    visiting,
    widget,
    work_done,
)
from playwright.sync_api import expect
from screens import CLEAN

from ecoval_core.tables import load_sample

pytestmark = IN_CHROMIUM


@pytest.fixture
def page(browser, app_server):
    with visiting(browser, app_server.address) as page:
        yield page


# The others are opened by their address in test_manners_browser, with a run. Review and curves are addresses
# of before, whose content another page took over.
@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("explore", "Explore"),
        ("new_data", "New data"),
        ("compare", "Compare"),
        ("review", "Labels"),
        ("curves", "Prune"),
    ],
)
def test_page_opens_by_its_address_in_a_fresh_browser(app_server, page, path, title):
    page.goto(f"{app_server.address}/{path}")
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    idle(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_text("Page not found")).to_have_count(0)


def test_the_whole_trip(app_server, page, tmp_path):
    page.goto(app_server.address)
    widget(page, "sample_digits").get_by_role("button").click()
    expect(widget(page, "status")).to_contain_text("1,797 rows")
    idle(page)
    widget(page, "data_noisy").locator("label").first.click()
    expect(widget(page, "status")).to_contain_text("planted errors")

    menu(page, "Value")
    # A thousand clusters, which take long enough to be watched.
    widget(page, "granularity").get_by_role("slider").press("End")
    expect(page.get_by_text("About 1 row per cluster")).to_be_visible()
    expect(page.get_by_text(re.compile(r"\d+ clusters of about .* fits"))).to_be_visible()
    idle(page)
    widget(page, "start").get_by_role("button").click()
    bar = page.get_by_test_id("stProgress")
    expect(bar).to_contain_text(re.compile(r"Steps done: \d+ of \d+.*left"))

    def n_done():
        return int(re.search(r"done: ([\d,]+) of", bar.inner_text())[1].replace(",", ""))

    told = []
    while len(set(told)) < 3:
        told.append(n_done())
        page.wait_for_timeout(250)
    assert told == sorted(told)

    # A refresh finds the running job again: neither stopped nor started twice.
    page.reload()
    expect(bar).to_contain_text("Steps done")
    assert n_done() >= told[-1]
    expect(page.get_by_text("What came out")).to_be_visible()
    expect(page.get_by_text("Surplus").first).to_be_visible()

    menu(page, "Explore")
    expect(page.get_by_text("Shown by PCA")).to_have_count(0)
    idle(page)
    pad = page.locator(".ecoval-map-pad")
    expect(pad).to_be_visible()
    page.locator("button[data-tool=lasso]").click()
    box = pad.bounding_box()
    corners = [(0.2, 0.2), (0.7, 0.2), (0.7, 0.7), (0.2, 0.7), (0.2, 0.2)]
    spots = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots[1:]:
        page.mouse.move(*spot, steps=8)
    page.mouse.up()
    selected = widget(page, "status").get_by_text(re.compile(r"Selected: [1-9]"))
    expect(selected).to_be_visible()
    n_selected = int(re.search(r"Selected: ([\d,]+)", selected.inner_text())[1].replace(",", ""))
    idle(page)
    widget(page, "add_to_prune").get_by_role("button").click()
    # A lasso may hold more than half of a class, which its quota keeps.
    expect(widget(page, "status")).to_contain_text(re.compile(r"To prune: [1-9]"))
    told = re.search(
        r"To prune: ([\d,]*\d)(?: · ([\d,]*\d) more kept)?", widget(page, "status").inner_text()
    )
    n_pruned, n_spared = (int((n or "0").replace(",", "")) for n in told.groups())
    assert n_pruned + n_spared == n_selected

    menu(page, "Prune")
    expect(page.get_by_test_id("stMetric").first).to_contain_text(f"{n_pruned:,}")
    expect(page.get_by_test_id("stMetric").nth(1)).to_contain_text("Planted errors caught")
    expect(page.get_by_text("90 % interval").first).to_be_visible()
    # What a page offers to download goes with it when it is drawn again.
    work_done(page)
    with page.expect_download() as download:
        widget(page, "download_kept").get_by_role("button").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)

    original = load_sample("digits").frame
    pruned = pd.read_csv(path)
    assert pruned.columns.tolist() == ["row_id", *original.columns]
    assert len(pruned) == len(original) - n_pruned
    assert pruned["row_id"].is_monotonic_increasing
    expected = original.loc[pruned["row_id"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(pruned.drop(columns="row_id"), expected, check_dtype=False)


def test_rows_are_reviewed_by_the_keyboard(app_server, page):
    page.goto(app_server.address)
    press(page, "demo")
    expect(page.get_by_role("heading", name="Explore", exact=True)).to_be_visible()
    idle(page)
    menu(page, "Labels")
    choose(page, "label_view", "Cards, by keyboard")
    choose(page, "review_queue", "Lowest values")
    heading = page.get_by_role("heading", name=re.compile(r"Row \d+: label"))
    queue = page.get_by_text(re.compile(r"Row \d+ of 1,078 in the queue"))
    expect(queue).to_contain_text("Row 1 of")
    first = heading.inner_text()

    def press_key(key, expected):
        page.keyboard.press(key)
        expect(queue).to_contain_text(expected)
        idle(page)

    press_key("p", "Row 2 of 1,078 in the queue · 1 decided")
    expect(widget(page, "status")).to_contain_text("To prune: 1")
    press_key("l", "Row 3 of 1,078 in the queue · 2 decided")
    press_key("k", "Row 4 of 1,078 in the queue · 3 decided")
    press_key("n", "Row 5 of")
    press_key("b", "Row 4 of")
    press_key("u", "Row 3 of 1,078 in the queue · 2 decided")
    press_key("u", "Row 2 of 1,078 in the queue · 1 decided")
    press_key("u", "Row 1 of 1,078 in the queue · 0 decided")
    expect(widget(page, "status")).to_contain_text("To prune: 0")
    assert heading.inner_text() == first
    # Digits are drawn as pictures, a row's and its neighbours'.
    expect(page.get_by_role("img", name=re.compile(r"Row \d+, labelled \d"))).to_have_count(11)


def test_file_in_place_of_a_refused_one_is_opened_however_slowly_it_arrives(
    app_server, page, tmp_path
):
    def send(name, content):
        (tmp_path / name).write_bytes(content)
        page.set_input_files("input[type=file]", tmp_path / name)

    page.goto(app_server.address)
    idle(page)
    send("broken.xlsx", b"PK\x03\x04 and then nothing")
    expect(page.get_by_test_id("stAlert")).to_contain_text("broken.xlsx")
    idle(page)
    # The page without the first file is drawn before the second one is there.
    page.route("**/upload_file/**", lambda route: (page.wait_for_timeout(2000), route.continue_()))
    send("clean.csv", CLEAN)
    expect(widget(page, "status")).to_contain_text("60 rows")
