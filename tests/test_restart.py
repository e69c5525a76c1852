"""What somebody has worked out is there after the server was killed, and nobody can disturb another."""

import re
import signal

import pytest
from browser import (
    IN_CHROMIUM,
    WITHOUT_MAPS,
    choose_option,
    idle,
    menu,
    press,
    running_server,
    see_curves,
    visiting,
    widget,
)
from playwright.sync_api import expect

# A tenth of the 107 rows of wine that are valued; one of them has its new label accepted.
A_TENTH_BUT_ONE = re.compile("Rows to prune *10")

pytestmark = IN_CHROMIUM


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of its own, which each test stops or kills; a busy machine has time to end what it began."""
    settings = WITHOUT_MAPS | {"ECOVAL_DRAIN_SECONDS": "50"}
    with running_server(tmp_path_factory.mktemp("restart"), **settings) as server:
        yield server


def open_sample(page, server, sample):
    page.goto(server.address)
    press(page, f"sample_{sample}")
    expect(widget(page, "status")).to_contain_text("rows")
    idle(page)
    menu(page, "Value")


def start_long(page):
    """Start a valuation of a cluster a row by a forest: minutes of work."""
    choose_option(page, widget(page, "model_classification"), "Random forest")
    granularity = widget(page, "granularity").get_by_role("slider")
    granularity.focus()
    page.keyboard.press("End")
    expect(page.get_by_text("About 1 row per cluster")).to_be_visible()
    idle(page)
    press(page, "start")
    expect(page.get_by_test_id("stProgress")).to_contain_text(re.compile(r"Models fitted: \d+ of"))


def first_figure(page):
    return page.get_by_test_id("stMetric").first


def test_run_outlasts_a_change_of_the_split_and_a_killed_server(browser, server):
    with visiting(browser, server.address) as page:
        open_sample(page, server, "wine")
        press(page, "start")
        expect(page.get_by_text("What came out")).to_be_visible()
        idle(page)
        menu(page, "Labels")
        page.get_by_text("Every row by label quality").click()
        idle(page)
        widget(page, "label_threshold").get_by_role("slider").focus()
        page.keyboard.press("End")
        idle(page)
        press(page, "accept_labels")
        accepted = page.get_by_text(re.compile(r"Accepted: \d+"))
        expect(accepted).not_to_contain_text("Accepted: 0")
        n_accepted = accepted.inner_text()
        menu(page, "Prune")
        widget(page, "prune_share").get_by_role("slider").focus()
        for _ in range(20):
            page.keyboard.press("ArrowRight")
        # The slider tells of the last key a moment later.
        expect(first_figure(page)).to_have_text(A_TENTH_BUT_ONE)
        expect(page.get_by_text("90 % interval").first).to_be_visible()
        idle(page)
        menu(page, "Data")
        widget(page, "data_seed").locator("input").fill("7")
        page.keyboard.press("Enter")
        expect(widget(page, "status")).to_contain_text("not yet valued: seed of the split")
        idle(page)
        press(page, "back_to_run")
        expect(widget(page, "status")).not_to_contain_text("not yet valued")
        expect(widget(page, "status")).to_contain_text(re.compile(r"\d valued"))
        menu(page, "Prune")
        expect(first_figure(page)).to_have_text(A_TENTH_BUT_ONE)
        verdict = page.get_by_test_id("stAlert").inner_text()
        address = page.url
    server.restart(signal.SIGKILL)
    with visiting(browser, server.address) as page:
        page.goto(address)
        expect(page.get_by_text("90 % interval").first).to_be_visible()
        idle(page)
        expect(first_figure(page)).to_have_text(A_TENTH_BUT_ONE)
        expect(page.get_by_test_id("stAlert")).to_have_text(verdict, use_inner_text=True)
        menu(page, "Labels")
        accepted = page.get_by_text(re.compile(r"Accepted: \d+"))
        expect(accepted).to_have_text(n_accepted, use_inner_text=True)
        menu(page, "Prune")
        see_curves(page)
        press(page, "undo")
        expect(first_figure(page)).to_have_text(re.compile("Rows to prune *([0-9]|10)$"))
    # Without its address it is offered where one begins.
    with visiting(browser, server.address) as page:
        page.goto(server.address)
        widget(page, "recent").get_by_role("button", name="Open").click()
        expect(widget(page, "status")).to_contain_text("107 valued")


def test_work_is_shared_goes_on_without_one_visitor_and_is_offered_again_after_a_kill(
    browser, server
):
    counted, cancelled = re.compile(r"Models fitted: (\d+) of"), "The valuation was cancelled."
    with (
        visiting(browser, server.address) as ada,
        visiting(browser, server.address) as bob,
    ):
        open_sample(ada, server, "wine")
        start_long(ada)
        bob.goto(ada.url)
        progress = bob.get_by_test_id("stProgress")
        expect(progress).to_contain_text(counted)
        idle(ada)
        press(ada, "cancel")
        expect(ada.get_by_text(cancelled)).to_be_visible()
        seen = int(counted.search(progress.inner_text())[1])
        bob.wait_for_function(
            "(seen) => Number(document.querySelector('[data-testid=stProgress]').innerText"
            ".match(/fitted: (\\d+)/)[1]) > seen",
            arg=seen,
        )
        server.restart(signal.SIGKILL)
        bob.reload()
        expect(bob.get_by_text("This valuation was interrupted")).to_be_visible()
        # The page is drawn once more when the time is known.
        expect(bob.get_by_text(re.compile(r"fits, about"))).to_be_visible()
        idle(bob)
        press(bob, "run_again")
        expect(progress).to_contain_text(counted)
        press(bob, "cancel")
        expect(bob.get_by_text(cancelled)).to_be_visible()


def test_server_that_is_asked_to_stop_lets_what_runs_end(browser, server):
    with visiting(browser, server.address) as page:
        open_sample(page, server, "digits")
        press(page, "start")
        progress = page.get_by_test_id("stProgress")
        expect(progress).to_contain_text(re.compile(r"Steps done: [1-9]\d* of"))
        address = page.url
    server.restart(signal.SIGTERM)
    with visiting(browser, server.address) as page:
        page.goto(address)
        expect(page.get_by_text("What came out")).to_be_visible()
        expect(page.get_by_text("interrupted")).to_have_count(0)
