"""Seconds from a gesture on Explore to its answer, in Chromium with WebGL in software.

``python benchmarks/explore_gestures.py`` puts tables with a given number of valued rows into a workspace of
its own (values and places on the map are drawn, not computed), starts the app, and makes the gestures of
``map_gestures.py`` there. "count" is the frame in which the page tells the new selection, "map" that in
which the map has the new colours, "inspector" that in which a row's story is there, "whole" that in which the
script has come to its end.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from map_gestures import CHROMIUM, FLAGS, POINT, WATCH, drag, noter
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser import running_server  # noqa: E402 - found on the path set above
from small_runs import SETTINGS, keep, keep_run, open_table  # noqa: E402

from ecoval_core.tables import make_table  # noqa: E402
from ecoval_core.work import slow  # noqa: E402
from ecoval_core.workspace.workspace import Workspace  # noqa: E402

# The line above the page; when its script ends is told by an attribute.
WATCH_APP = (
    WATCH.replace(
        "[...document.querySelectorAll('p')]", "[...document.querySelectorAll('.st-key-status p')]"
    )
    .replace("p.textContent.startsWith('Selected:')", "p.textContent.includes('Selected')")
    .replace(
        "const states = {",
        "const app = document.querySelector('[data-testid=stApp]');\n"
        "    let runs = 0, state = '';\n"
        "    const whole = () => {\n"
        "        const now = app.dataset.testScriptState;\n"
        "        if (now !== state && now === 'notRunning') runs += 1;\n"
        "        state = now;\n"
        "        return String(runs);\n"
        "    };\n"
        "    const inspector = () => document.querySelector('.st-key-inspector')?.textContent;\n"
        "    const states = {whole, inspector, ",
    )
)


def keep_table(workspace, n_rows):
    """Put a run of so many valued rows into a workspace, and return its id."""
    random = np.random.default_rng(n_rows)
    n = round(n_rows / 0.6)
    places = random.normal(size=(n, 2)) + random.integers(0, 6, (n, 1)) * [[3.0, 1.5]]
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 90, n),
            "income": random.lognormal(10, 1, n).round(2),
            "region": random.choice(["north", "south", "east", "west"], n),
            "x": places[:, 0],
            "y": places[:, 1],
            "status": random.choice(["paid", "late", "lost"], n, p=[0.7, 0.2, 0.1]),
        }
    )
    opened = open_table(make_table(frame, f"{n_rows} rows", "status"))
    settings = SETTINGS.replace(n_clusters=n_rows // 30)
    run, _ = keep_run(workspace, opened, settings=settings)
    keep(workspace, slow.umap(opened.key), places[opened.split.ids_train].astype(np.float32))
    return run


def gestures(page, repeats):
    """Seconds by what was done and what was awaited."""
    found, note = noter(page, repeats)
    page.evaluate(WATCH_APP)
    page.locator("button[data-tool=lasso]").first.click()
    # Through the middle of the map, where each turn takes other rows than the one before.
    ends = [0.5 + 0.03 * turn for turn in range(repeats)]
    note(
        "lasso",
        lambda turn: drag(page, [(0.05, 0.1), (ends[turn], 0.2), (0.5, 0.9)]),
        "count", "map", "whole",
    )  # fmt: skip
    page.locator("button[data-tool=box]").first.click()
    note("box", lambda turn: drag(page, [(0.05, 0.1), (ends[turn], 0.7)]), "count", "map", "whole")
    note("invert", lambda _: page.keyboard.press("i"), "count", "map", "whole")
    page.keyboard.press("Escape")
    page.wait_for_timeout(1500)
    note(
        "click",
        lambda turn: page.mouse.click(*page.evaluate(POINT, 97 * turn)),
        "inspector",
        "whole",
    )
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[2_000, 20_000, 50_000])
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as server:
        workspace = Workspace(server.workspace, Path(folder) / "temporary")
        runs = {n_rows: keep_table(workspace, n_rows) for n_rows in options.rows}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
            for n_rows, run in runs.items():
                context = browser.new_context(viewport={"width": 1440, "height": 900})
                page = context.new_page()
                page.set_default_timeout(120_000)
                page.goto(f"{server.address}/explore?run={run}")
                page.wait_for_selector(".ecoval-map-picture[data-drawn]")
                took = page.evaluate("performance.now()") / 1000
                print(f"{n_rows:6,} rows  opened {took:5.2f} s")
                page.wait_for_timeout(2500)
                for (name, what), times in gestures(page, options.repeats).items():
                    print(
                        f"{n_rows:6,} rows  {name:6} {what:9} median {statistics.median(times):5.2f} s  "
                        f"worst {max(times):5.2f} s"
                    )
                context.close()
            print(f"load of the machine after: {os.getloadavg()[0]:.1f}")
            browser.close()


if __name__ == "__main__":
    main()
