"""Seconds from a gesture on the map to its answer, in Chromium with WebGL in software.

``python benchmarks/map_gestures.py`` starts the demo of the map (tests/pointmap_demo), draws boxes and
lassos that take about a third of the rows, clicks, zooms and recolours, and prints medians and the worst.
Times are taken inside the page: from the release of the button to the frame in which the page has the new
count, and to the frame in which the map has the new colours.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-background-networking",
]  # fmt: skip
# Notes when a button goes up, when the page's line changes, and when the map is drawn.
WATCH = """() => {
    const map = document.querySelector('.ecoval-map-root');
    const picture = map.querySelector('.ecoval-map-picture');
    const line = () =>
        [...document.querySelectorAll('p')].find(p => p.textContent.startsWith('Selected:'))?.textContent;
    const states = {count: line, map: () => map.dataset.seen, drawn: () => picture.dataset.drawn};
    const before = Object.fromEntries(Object.entries(states).map(([name, get]) => [name, get()]));
    window.told = {};
    for (const name of ['pointerup', 'keydown'])
        document.addEventListener(name, () => { window.told = {start: performance.now()}; }, true);
    new MutationObserver(() => {
        for (const [name, get] of Object.entries(states)) {
            const now = get();
            if (!now || now === before[name]) continue;
            before[name] = now;
            requestAnimationFrame(() => setTimeout(() => window.told[name] ??= performance.now()));
        }
    }).observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
}"""
# Where on the screen the nth point of the map lies.
POINT = """n => {
    const {data, layout} = document.querySelector('.ecoval-map-picture');
    const box = document.querySelector('.ecoval-map-pad').getBoundingClientRect();
    const rows = data.reduce((most, one) => one.x?.length > most.x?.length ? one : most);
    const [x, y] = [rows.x[n], rows.y[n]];
    const [[left, right], [bottom, top]] = [layout.xaxis.range, layout.yaxis.range];
    return [
        box.x + (x - left) / (right - left) * box.width, box.y + (top - y) / (top - bottom) * box.height
    ];
}"""


def start():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "streamlit", "run", str(ROOT / "tests" / "pointmap_demo" / "app.py"),
        f"--server.port={port}",
    ]  # fmt: skip
    server = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://localhost:{port}"
    while True:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5):  # noqa: S310
                return server, address
        except OSError:
            if server.poll() is not None:
                raise SystemExit("The server did not start.") from None
            try:
                server.wait(0.2)
            except subprocess.TimeoutExpired:
                continue


def spots(page, shares):
    box = page.locator(".ecoval-map-pad").bounding_box()
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in shares]


def drag(page, shares):
    first, *rest = spots(page, shares)
    page.mouse.move(*first)
    page.mouse.down()
    for spot in rest:
        page.mouse.move(*spot, steps=10)
    page.mouse.up()


def seconds(page, what):
    page.wait_for_function("what => window.told.start && window.told[what]", arg=what)
    value = page.evaluate("what => (window.told[what] - window.told.start) / 1000", what)
    page.wait_for_timeout(400)
    return value


def noter(page, repeats):
    """Return a dict of seconds by what was done and awaited, and a function that does it and notes them."""
    found = {}

    def note(name, act, *awaited):
        for turn in range(repeats):
            act(turn)
            for what in awaited:
                found.setdefault((name, what), []).append(seconds(page, what))

    return found, note


def gestures(page, repeats):
    """Seconds by what was done and what was awaited."""
    found, note = noter(page, repeats)
    page.evaluate(WATCH)
    ends = [0.05 + 0.01 * turn for turn in range(repeats)]
    note(
        "lasso",
        lambda turn: drag(page, [(ends[turn], 0.1), (0.8, 0.2), (0.5, 0.9)]),
        "count",
        "map",
    )
    page.locator("[data-tool=box]").click()
    note("box", lambda turn: drag(page, [(ends[turn], 0.1), (0.6, 0.7)]), "count", "map")
    note("invert", lambda _: page.keyboard.press("i"), "count", "map")
    note("zoom", lambda turn: page.keyboard.press("+-"[turn % 2]), "drawn")
    page.keyboard.press("0")
    page.keyboard.press("Escape")
    page.wait_for_timeout(1500)

    def click(turn):
        page.mouse.click(*page.evaluate(POINT, 97 * turn))

    note("click", click, "count")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[2_000, 20_000, 50_000])
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    server, address = start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
            for n_rows in options.rows:
                context = browser.new_context(viewport={"width": 1280, "height": 800})
                page = context.new_page()
                page.set_default_timeout(120_000)
                for name in ("first", "again"):
                    page.goto(f"{address}/?rows={n_rows}")
                    page.wait_for_selector(".ecoval-map-picture[data-drawn]")
                    took = page.evaluate("performance.now()") / 1000
                    print(f"{n_rows:6,} rows  opened {name:6} {took:5.2f} s")
                page.wait_for_timeout(1500)
                for (name, what), times in gestures(page, options.repeats).items():
                    print(
                        f"{n_rows:6,} rows  {name:6} {what:6} median {statistics.median(times):5.2f} s"
                        f"  worst {max(times):5.2f} s"
                    )
                context.close()
            print(f"load of the machine after: {os.getloadavg()[0]:.1f}")
            browser.close()
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main()
