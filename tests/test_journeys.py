"""What visitors come for, done with mouse and keys: the demo to its end, and a table as people have them."""

import gzip
import re

import numpy as np
import pandas as pd
import pytest
from browser import IN_CHROMIUM, idle, menu, press, running_server, visiting, widget
from playwright.sync_api import expect

pytestmark = IN_CHROMIUM


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running.address


@pytest.fixture
def page(browser, server):
    with visiting(browser, server, viewport={"width": 1280, "height": 800}) as page:
        yield page


def download(page, key, path):
    with page.expect_download() as coming:
        press(page, key)
    coming.value.save_as(path)
    return pd.read_csv(path)


def test_demo_ends_with_its_point_and_a_click_tells_a_row_s_story(server, page, tmp_path):
    page.goto(server)
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
    idle(page)
    verdict = page.get_by_test_id("stAlert").inner_text()
    before, after = re.findall(r"([\d.]+) before, ([\d.]+) after", verdict)[0]
    assert verdict.startswith("Better")
    assert float(after) > float(before)
    removed = download(page, "download_removed", tmp_path / "removed.csv")
    assert removed["planted_noise"].sum() == n_caught
    assert (removed["part"] == "train").all()

    # Back on the map there is nothing left to point out.
    menu(page, "Explore")
    expect(told).to_have_count(0)


def test_table_as_people_have_them_is_fixed_by_a_click(server, page, tmp_path):
    rng = np.random.default_rng(0)
    n = 400
    months, charges = rng.integers(1, 60, n), rng.normal(60, 20, n).round(2)
    leaves = rng.random(n) < 1 / (1 + np.exp((months - 20) / 8))
    spelled = np.where(leaves, rng.choice(["Yes", "yes ", "YES"], n), rng.choice(["No", "no"], n))
    frame = pd.DataFrame(
        {
            "customerID": [f"C-{i:05d}" for i in range(n)],
            "months": np.where(rng.random(n) < 0.05, "?", months.astype(str)),
            "discount": [f"{value}%" for value in rng.integers(0, 40, n)],
            "Churn": spelled,
            "remark": [" ".join([*rng.choice(["slow", "late", "kind", "odd"], 9), str(i)]) for i in range(n)],
            "Price": charges,
        }
    )  # fmt: skip
    path = tmp_path / "customers.csv.gz"
    path.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    page.goto(server)
    page.set_input_files("input[type=file]", path)
    status = widget(page, "status")
    expect(status).to_contain_text("target Churn")
    classes = page.get_by_test_id("stMetric").filter(has_text="Classes").last
    expect(classes).to_have_text(re.compile(r"^Classes\s*5$"))
    idle(page)
    left_out = widget(page, "data_excluded")
    expect(left_out).to_contain_text("customerID")
    expect(left_out).to_contain_text("remark")
    boxes = page.get_by_test_id("stCheckbox")
    for column in ("Churn", "discount", "months"):
        box = boxes.filter(has_text=re.compile(f"^{column}: '{column}'"))
        expect(box.locator("input")).not_to_be_checked()

    press(page, "fix_all")
    expect(classes).to_have_text(re.compile(r"^Classes\s*2$"))
    idle(page)
    page.reload()
    expect(classes).to_have_text(re.compile(r"^Classes\s*2$"))
    page.get_by_text(re.compile(r"Noticed in the cells: \d+ things? to fix")).click()
    churn = boxes.filter(has_text=re.compile("^Churn: 'Churn'"))
    expect(churn.locator("input")).to_be_checked()

    # One of them is taken back.
    churn.locator("label").click()
    expect(classes).to_have_text(re.compile(r"^Classes\s*5$"))
