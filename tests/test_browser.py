"""The whole trip in a real browser: Debian's Chromium against a freshly started server."""

import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pandas as pd
import pytest
from data_files import loan_csv
from playwright.sync_api import Error, Page, expect, sync_playwright

from ecoval_core.tables import load_sample

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
PAGES = {
    "": "Data", "value": "Value", "explore": "Explore", "decompose": "Decompose",
    "labels": "Wrong labels", "curves": "Curves", "prune": "Prune", "method": "Method",
}  # fmt: skip
PATIENCE = 180_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed"),
]


@pytest.fixture
def server(tmp_path):
    """Address of a server started as the README says, on a free port."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    log = (tmp_path / "server.log").open("w")
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://localhost:{port}"
    try:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5) as answer:  # noqa: S310
                    if answer.status == 200:
                        break
            except OSError:
                if process.poll() is not None:
                    break
                # The port is polled until the server listens; there is no other signal.
                process_wait(process)
        else:
            pytest.fail(f"The server did not start: {(tmp_path / 'server.log').read_text()}")
        yield address
        assert "Traceback" not in (tmp_path / "server.log").read_text()
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def process_wait(process):
    try:
        process.wait(0.2)
    except subprocess.TimeoutExpired:
        return


@pytest.fixture
def page(server):
    """A page of the server that notes whatever is asked of another host."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
                "--disable-background-networking",
            ],
        )  # fmt: skip
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        outside = []
        page.on(
            "request",
            lambda request: (
                outside.append(request.url)
                if request.url.startswith("http") and not request.url.startswith(server)
                else None
            ),
        )
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        try:
            yield page
            assert outside == []
        finally:
            if os.environ.get("ECOVAL_SHOT"):
                try:
                    page.screenshot(path=os.environ["ECOVAL_SHOT"])
                except Error as error:
                    print(error)  # noqa: T201
            browser.close()


def widget(page: Page, key: str):
    """Element of a keyed widget."""
    return page.locator(f".st-key-{key}")


def idle(page: Page) -> None:
    """Wait until the script that a gesture started has come to its end."""
    page.wait_for_timeout(200)
    expect(page.locator("[data-testid=stApp]")).to_have_attribute(
        "data-test-script-state", "notRunning"
    )


def menu(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).first.click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    idle(page)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_by_its_address_on_a_fresh_server(server, page, path):
    page.goto(f"{server}/{path}")
    expect(page.get_by_role("heading", name=PAGES[path], exact=True)).to_be_visible()
    idle(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_text("Page not found")).to_have_count(0)


def test_the_whole_trip(server, page, tmp_path):
    page.goto(server)
    widget(page, "sample_digits").get_by_role("button").click()
    expect(widget(page, "status")).to_contain_text("1,797 rows")
    idle(page)
    widget(page, "data_noisy").locator("label").first.click()
    expect(widget(page, "status")).to_contain_text("planted errors")

    menu(page, "Value")
    widget(page, "model_classification").locator("input").click()
    page.get_by_role("option", name="Random forest").click()
    expect(page.get_by_text(re.compile(r"\d+ clusters of about .* fits"))).to_be_visible()
    idle(page)
    widget(page, "start").get_by_role("button").click()
    bar = page.get_by_test_id("stProgress")
    expect(bar).to_contain_text(re.compile(r"Models fitted: \d+ of \d+.*left"))
    told = []
    while len(set(told)) < 3:
        told.append(int(re.search(r"fitted: (\d+)", bar.inner_text()).group(1)))
        page.wait_for_timeout(250)
    assert told == sorted(told)

    # A refresh finds the running job again: neither stopped nor started twice.
    page.reload()
    expect(bar).to_contain_text("Models fitted")
    again = int(re.search(r"fitted: (\d+)", bar.inner_text()).group(1))
    assert again >= told[-1]
    expect(page.get_by_text("What came out")).to_be_visible()
    expect(page.get_by_text("Surplus").first).to_be_visible()

    menu(page, "Explore")
    expect(page.get_by_text("Shown by PCA")).to_have_count(0)
    idle(page)
    plot = widget(page, "map").locator(".nsewdrag").first
    expect(plot).to_be_visible()
    widget(page, "map").locator("[data-title='Lasso Select']").click()
    box = plot.bounding_box()
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
        r"To prune: ([\d,]*\d)(?:, ([\d,]*\d) more spared)?", widget(page, "status").inner_text()
    )
    n_pruned, n_spared = (int((n or "0").replace(",", "")) for n in told.groups())
    assert n_pruned + n_spared == n_selected

    menu(page, "Prune")
    expect(page.get_by_test_id("stMetric").first).to_contain_text(f"{n_pruned:,}")
    expect(page.get_by_test_id("stMetric").nth(1)).to_contain_text("Planted errors caught")
    expect(page.get_by_text("90 % interval").first).to_be_visible()
    idle(page)
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


def test_a_rare_class_is_left_standing_and_the_page_says_what_it_pays(server, page, tmp_path):
    loans = tmp_path / "loans.csv"
    loans.write_bytes(loan_csv())
    page.goto(server)
    page.set_input_files("input[type=file]", loans)
    expect(widget(page, "status")).to_contain_text("target status")
    idle(page)

    menu(page, "Value")
    expect(page.get_by_text(re.compile("Below a third this is on by itself"))).to_be_visible()
    idle(page)
    widget(page, "start").get_by_role("button").click()
    expect(page.get_by_text("What came out")).to_be_visible()
    idle(page)

    menu(page, "Wrong labels")
    doubted = page.get_by_role("button", name=re.compile(r"Accept the suggestion for \d+ rows"))
    n_doubted = int(re.search(r"\d+", doubted.inner_text())[0])
    doubted.click()
    expect(page.get_by_text(f"Relabelling {n_doubted} rows")).to_be_visible()
    expect(page.get_by_text(f"Removing the same {n_doubted} rows")).to_be_visible()
    expect(page.get_by_test_id("stAlert")).to_have_count(2)
    widget(page, "undo_labels").get_by_role("button").click()
    expect(page.get_by_text("Accepted: 0")).to_be_visible()
    idle(page)

    menu(page, "Prune")
    widget(page, "prune_by_threshold").locator("label").first.click()
    expect(page.get_by_text("90 % interval").first).to_be_visible()
    idle(page)
    frame = pd.read_csv(loans)
    with page.expect_download() as download:
        widget(page, "download_kept").get_by_role("button").click()
    kept_path = tmp_path / "kept.csv"
    download.value.save_as(kept_path)
    kept = pd.read_csv(kept_path)
    rare = "charged off"
    assert (kept["status"] == rare).sum() >= (frame["status"] == rare).sum() * 0.8
    verdict = page.get_by_test_id("stAlert").inner_text()
    # The measure that stands for all is the one in which every class counts alike.
    assert "the balanced accuracy" in verdict

    # Asked to prune everything, half of each class stays and the page counts what was spared.
    threshold = widget(page, "prune_threshold_share").locator("input")
    threshold.fill("100000")
    threshold.press("Enter")
    expect(page.get_by_text(re.compile(rf"{rare}: \d+ of \d+")).first).to_be_visible()
    expect(page.get_by_text("Spared by the quota", exact=True)).to_be_visible()
    idle(page)
    with page.expect_download() as download:
        widget(page, "download_kept").get_by_role("button").click()
    download.value.save_as(kept_path)
    left = pd.read_csv(kept_path)["status"].value_counts()
    assert left[rare] > frame["status"].value_counts()[rare] / 2
