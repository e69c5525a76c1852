"""A trip through every page with all that it can show, for tests that look at each.

Each part is a visit and yields the name of what is to be seen now: a page, or after a comma a state of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from browser import AppServer, choose, choose_option, idle, menu, press, widget
from data_files import csv_bytes, make_frame
from playwright.sync_api import Page, expect
from sklearn.datasets import load_diabetes

from ecoval_core.tables import load_sample

# A line of every kind that a page may have to hold: long names, cells to fix, a target without a value.
_LONG_NAME = "number_of_days_between_the_first_and_the_last_visit"


def messy_csv() -> bytes:
    """A table with cells to fix, long column names, missing cells and rows without a target."""
    frame = make_frame(120)
    frame[_LONG_NAME] = frame["width"] * 10
    frame.loc[frame.index[::7], _LONG_NAME] = None
    frame["share"] = [f"{10 * (row % 9)} %" for row in range(len(frame))]
    every_fifth = frame.index % 5 == 0
    frame["colour"] = frame["colour"].where(~every_fifth, frame["colour"].str.upper())
    frame.loc[frame.index[-6:], "label"] = None
    return csv_bytes(frame)


def _upload(page: Page, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    idle(page)
    page.set_input_files("input[type=file]", path)
    idle(page)


def _settle(page: Page) -> None:
    """Wait until the script has come to its end and no result is being waited for."""
    idle(page)
    # Cards have a bar for how far one has come.
    expect(page.get_by_test_id("stProgress").filter(has_not_text="in the queue")).to_have_count(0)
    expect(page.get_by_test_id("stSpinner")).to_have_count(0)
    idle(page)


def _order(page: Page, key: str, expected: str) -> None:
    """Press a button that orders work, unless an earlier visitor has: then the result is there."""
    button, result = widget(page, key).get_by_role("button"), page.get_by_text(expected).first
    expect(button.or_(result).first).to_be_visible()
    if button.is_visible():
        button.click()
    expect(result).to_be_visible()
    _settle(page)


def _move(page: Page, key: str, presses: int) -> None:
    widget(page, key).get_by_role("slider").first.focus()
    for _ in range(presses):
        page.keyboard.press("ArrowRight")
    _settle(page)


def select_by_box(page: Page) -> None:
    """Select rows with a box, and wait until the table beside the map lists them."""
    clear = widget(page, "clear_selection").get_by_role("button")
    if clear.is_enabled():
        # An earlier visitor's selection and story: to tick the row that is ticked would take the tick away.
        clear.click()
        _settle(page)
    pad = page.locator(".ecoval-map-pad").first
    expect(pad).to_be_visible()
    pad.scroll_into_view_if_needed()
    page.locator("button[data-tool=box]").first.click()
    box = pad.bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.8 * box["height"], steps=6)
    page.mouse.up()
    status = widget(page, "status")
    expect(status).to_contain_text(re.compile(r"Selected: [1-9]"))
    idle(page)
    n_selected = int(re.search(r"Selected: (\d+)", status.inner_text())[1])
    # Until it does, a click on the table is one on a table that is about to go.
    grid = page.locator("[class*=st-key-explore_rows] canvas table").first
    expect(grid).to_have_attribute("aria-rowcount", str(n_selected + 1))


def begin(page: Page, server: AppServer, folder: Path) -> Iterator[str]:
    """Visit the pages that have no run yet."""
    page.goto(server.address)
    expect(widget(page, "demo")).to_be_visible()
    _settle(page)
    yield "data, empty"
    menu(page, "Explore")
    yield "explore, without a table"
    menu(page, "Data")
    _upload(page, folder / "one_class.csv", csv_bytes(make_frame(label="yes")))
    expect(page.get_by_test_id("stAlert").first).to_be_visible()
    yield "data, refused"
    _upload(page, folder / "messy.csv", messy_csv())
    expect(widget(page, "status")).to_contain_text("messy.csv")
    _settle(page)
    yield "data, to be fixed"


def classify(page: Page, server: AppServer, folder: Path) -> Iterator[str]:
    """Visit every page with valued classes and all that can be worked out of them."""
    page.goto(f"{server.address}/value?run={server.run}")
    expect(page.get_by_text("What came out")).to_be_visible()
    _order(page, "repeat", "Rank agreement")
    yield "value"
    menu(page, "Data")
    _settle(page)
    yield "data"
    menu(page, "Explore")
    _settle(page)
    select_by_box(page)
    _mark_first_row(page, "explore_rows")
    expect(page.get_by_text("Nearest neighbours", exact=True)).to_be_visible()
    _settle(page)
    yield "explore"
    for by, below in (("By cluster", "Clusters"), ("Distribution", "Clusters in words")):
        choose(page, "decomposed_by", by)
        choose(page, "explore_below", below)
        yield f"explore, {below.lower()}"
    yield from _menus(page, "explore", "filter_menu")
    menu(page, "Labels")
    page.get_by_text("Every row by label quality").click()
    idle(page)
    _move(page, "label_threshold", 6)
    press(page, "accept_labels")
    expect(page.get_by_text("Removing the same")).to_be_visible()
    _settle(page)
    yield "labels"
    choose(page, "label_view", "Cards, by keyboard")
    _settle(page)
    yield "labels, cards"
    menu(page, "Prune")
    _move(page, "prune_share", 20)
    expect(page.get_by_text("90 % interval").first).to_be_visible()
    _settle(page)
    yield "prune"
    menu(page, "Compare")
    _settle(page)
    _order(page, "measure_both", "rows that both value")
    yield "compare"
    menu(page, "New data")
    yield "new data, empty"
    rows = load_sample("wine").frame.iloc[::3].copy()
    rows.loc[rows.index[:8], load_sample("wine").target] = None
    _upload(page, folder / "more.csv", csv_bytes(rows))
    expect(page.get_by_text("Which to acquire first")).to_be_visible()
    _order(page, "measure_acquisition", "All of them added")
    yield "new data"
    menu(page, "Method")
    yield "method"
    yield from _menus(page, "method", "run_menu", "view_menu", "help_menu")


def run_on(page: Page, server: AppServer, folder: Path) -> Iterator[str]:
    """Visit what differs with amounts, what runs, and the list of runs with one deleted."""
    page.goto(server.address)
    amounts = load_diabetes(as_frame=True).frame.iloc[:200]
    _upload(page, folder / "amounts.csv", csv_bytes(amounts))
    expect(widget(page, "status")).to_contain_text("amounts.csv")
    _settle(page)
    yield "data, amounts"
    menu(page, "Value")
    expect(page.get_by_text(re.compile(r"fits, about"))).to_be_visible()
    _settle(page)
    yield "value, before"
    press(page, "start")
    expect(page.get_by_text("What came out")).to_be_visible()
    for name in ("Value", "Explore", "Labels"):
        menu(page, name)
        _settle(page)
        yield f"{name.lower()}, amounts"
    menu(page, "Value")
    choose_option(page, widget(page, "model_regression"), "Random forest")
    _settle(page)
    widget(page, "granularity").get_by_role("slider").focus()
    page.keyboard.press("End")
    _settle(page)
    press(page, "start")
    expect(page.get_by_test_id("stProgress")).to_contain_text(re.compile(r"Models fitted: \d+ of"))
    yield "value, running"
    press(page, "cancel")
    expect(page.get_by_text("The valuation was cancelled.")).to_be_visible()
    idle(page)
    menu(page, "Runs")
    press(page, "delete_run")
    expect(page.get_by_text("Its values stay here until their space is needed")).to_be_visible()
    _settle(page)
    _mark_first_row(page, "run_rows")
    yield "runs"


def _menus(page: Page, name: str, *keys: str) -> Iterator[str]:
    for key in keys:
        press(page, key)
        page.wait_for_timeout(300)
        yield f"{name}, {key}"
        page.keyboard.press("Escape")


def _mark_first_row(page: Page, key: str) -> None:
    # Its key goes on when its ticks are put right.
    canvas = page.locator(f"[class*=st-key-{key}]").locator("canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.click(box["x"] + 14, box["y"] + 52)
    _settle(page)
