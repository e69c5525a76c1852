"""Seconds from the click on the demo to the coloured map and to its UMAP, in Chromium, from a cold start.

``python benchmarks/demo.py`` starts a server with an empty workspace, opens the page, waits as long as a
visitor reads it, clicks, and does nothing more.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from map_gestures import CHROMIUM, FLAGS, ROOT
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(ROOT / "tests"))

from browser import running_server


def measure(wait):
    """Seconds to the map, and to its projection by UMAP."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder)) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(120_000)
        page.goto(server.address)
        button = page.locator(".st-key-demo").get_by_role("button")
        button.wait_for()
        time.sleep(wait)
        started = time.perf_counter()
        button.click()
        page.wait_for_selector(".ecoval-map-picture[data-drawn]")
        to_map = time.perf_counter() - started
        page.get_by_role("application", name=re.compile("by UMAP")).wait_for()
        return to_map, time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waits", type=float, nargs="+", default=[0, 10, 30])
    options = parser.parse_args()
    for wait in options.waits:
        to_map, to_umap = measure(wait)
        print(
            f"clicked {wait:g} s after the page opened: map after {to_map:.1f} s, UMAP after {to_umap:.1f} s "
            f"(load {os.getloadavg()[0]:.1f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
