"""What visitors come for, done with mouse and keys: the demo to its end."""

import re

import numpy as np
import pandas as pd
import pytest
from browser import IN_CHROMIUM, idle, menu, press, visiting, work_done
from playwright.sync_api import expect

pytestmark = IN_CHROMIUM


@pytest.fixture
def page(browser, app_server):
    size = {"width": 1280, "height": 800}
    with visiting(browser, app_server.address, viewport=size) as page:
        page.goto(app_server.address)
        yield page


def test_demo_ends_with_its_point_and_a_click_tells_a_row_s_story(page, tmp_path):
    press(page, "demo")
    expect(page.get_by_role("heading", name="Explore", exact=True)).to_be_visible()
    told = page.get_by_text(re.compile(r"\d+ of 162 planted errors are in the lowest 15%"))
    expect(told).to_be_visible()
    n_caught = int(re.search(r"(\d+) of 162", told.inner_text())[1])
    assert n_caught >= 150

    # A click opens a row's story with the lasso in hand, and the story is still there after a reload.
    pad = page.locator(".ecoval-map-pad")
    expect(page.get_by_text("Shown by PCA")).to_have_count(0)
    idle(page)
    page.locator("button[data-tool=lasso]").click()
    story = page.get_by_role("heading", name=re.compile(r"^Row \d+"))
    box = pad.bounding_box()
    for x, y in np.argwhere(np.ones((9, 9))):
        page.mouse.click(
            box["x"] + (x + 1) * box["width"] / 10, box["y"] + (y + 1) * box["height"] / 10
        )
        page.wait_for_timeout(150)
        if story.count():
            break
    expect(story).to_be_visible()
    idle(page)
    name = story.inner_text()
    page.reload()
    expect(story).to_have_text(name)
    idle(page)

    press(page, "prune_lowest")
    expect(page.get_by_role("heading", name="Prune", exact=True)).to_be_visible()
    figures = page.get_by_test_id("stMetric")
    expect(figures.nth(1)).to_contain_text(f"{n_caught} of 162")
    expect(page.get_by_text("90 % interval").first).to_be_visible()
    work_done(page)
    verdict = page.get_by_test_id("stAlert").inner_text()
    before, after = re.findall(r"([\d.]+) before, ([\d.]+) after", verdict)[0]
    assert verdict.startswith("Better")
    assert float(after) > float(before)
    with page.expect_download() as coming:
        press(page, "download_removed")
    coming.value.save_as(tmp_path / "removed.csv")
    removed = pd.read_csv(tmp_path / "removed.csv")
    assert removed["planted_noise"].sum() == n_caught
    assert (removed["part"] == "train").all()

    # Back on the map there is nothing left to point out.
    menu(page, "Explore")
    expect(told).to_have_count(0)
