"""Manners that only a browser sees: Back, what moves under the eye, a phone, and tabs beside each other."""

import re
import time
from itertools import cycle

import pytest
from browser import (
    IN_CHROMIUM,
    PATIENCE,
    follow,
    idle,
    menu,
    visiting,
    widget,
)
from playwright.sync_api import expect

pytestmark = IN_CHROMIUM
LAPTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (!entry.hadRecentInput) window.shifts.push([entry.value, entry.startTime]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""


def largest_shift(page):
    """The largest sum of shifts in a window of at most five seconds without a second's rest."""
    windows = [[0.0, -1e9, -1e9]]
    for value, at in sorted(page.evaluate("window.shifts"), key=lambda shift: shift[1]):
        if at - windows[-1][2] > 1000 or at - windows[-1][1] > 5000:
            windows.append([0.0, at, at])
        windows[-1][0] += value
        windows[-1][2] = at
    return max(total for total, *_ in windows)


@pytest.mark.parametrize(
    ("path", "size"),
    [
        *((path, LAPTOP) for path in ("", "value", "explore", "labels", "prune", "runs")),
        ("explore", PHONE),
        ("prune", PHONE),
    ],
)
def test_what_a_page_shows_hardly_moves_while_it_opens(browser, app_server, path, size):
    with visiting(browser, app_server.address, viewport=size) as page:
        page.add_init_script(SHIFTS)
        page.goto(f"{app_server.address}/{path}?run={app_server.run}")
        expect(page.get_by_role("heading", level=2).first).to_be_visible()
        idle(page)
        page.wait_for_timeout(1000)
        idle(page)
        assert largest_shift(page) < 0.1
        if size == PHONE:
            # The header stays one line.
            boxes = [
                widget(page, key).bounding_box() for key in ("run_menu", "view_menu", "help_menu")
            ]
            assert len({round(box["y"]) for box in boxes}) == 1
            assert boxes[-1]["x"] + boxes[-1]["width"] <= PHONE["width"]


def test_one_press_of_back_goes_back_one_page(browser, app_server):
    address, query = app_server.address, f"run={app_server.run}"
    with visiting(browser, address) as page:

        def go_back(path):
            page.go_back()
            expect(page).to_have_url(re.compile(f"/{path}[?]"))
            idle(page)

        page.goto(f"{address}/value?{query}")
        expect(page.get_by_text("What came out")).to_be_visible()
        idle(page)
        menu(page, "Labels")
        menu(page, "Prune")
        # Each writes to the address: a review begins, and the switch is named there.
        widget(page, "prune_share").get_by_role("slider").press("ArrowRight")
        idle(page)
        widget(page, "balanced").locator("label").first.click()
        expect(page).to_have_url(re.compile("balanced="))
        idle(page)
        go_back("labels")
        go_back("value")
        # An address of before leaves no step to itself.
        page.goto(f"{address}/decompose?{query}")
        expect(page.get_by_role("heading", name="Explore", exact=True)).to_be_visible()
        idle(page)
        go_back("value")


def test_address_of_no_page_says_so_on_the_first(browser, app_server):
    with visiting(browser, app_server.address) as page:
        page.goto(f"{app_server.address}/charts?run={app_server.run}")
        expect(page.get_by_text("There is no page 'charts' here")).to_be_visible()
        expect(page.get_by_role("heading", name="Data", exact=True)).to_be_visible()
        expect(widget(page, "run_menu")).to_contain_text("Wine")


def test_two_tabs_say_that_they_show_one_run_and_share_what_is_decided(browser, app_server):
    address, query = app_server.address, f"run={app_server.run}"
    with visiting(browser, address) as one:
        one.goto(f"{address}/prune?{query}")
        figure = one.get_by_test_id("stMetric").first
        expect(figure).to_be_visible()
        idle(one)
        notice = "This run is open in another tab too"
        expect(one.get_by_text(notice)).to_have_count(0)
        two = follow(one.context.new_page())
        two.goto(f"{address}/labels?{query}")
        expect(two.get_by_text(notice)).to_be_visible()
        idle(two)
        # The first change begins a review of this visitor's own, which is that of both tabs.
        widget(one, "prune_share").get_by_role("slider").press("End")
        idle(one)
        told = figure.inner_text()
        menu(two, "Prune")
        expect(two.get_by_test_id("stMetric").first).to_have_text(told, use_inner_text=True)
        idle(two)
        widget(two, "clear").get_by_role("button").click()
        idle(two)
        menu(one, "Labels")
        expect(one.get_by_text(notice)).to_be_visible()
        expect(widget(one, "status")).to_contain_text("To prune: 0")
        two.close()
        # The server learns a moment later that a tab was closed, and the page asks at the next click.
        pages, end = cycle(("Prune", "Labels")), time.monotonic() + PATIENCE / 1000
        while one.get_by_text(notice).count():
            assert time.monotonic() < end, "the notice stays"
            menu(one, next(pages))
