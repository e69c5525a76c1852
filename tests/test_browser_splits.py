"""Splits on the Data page in a real browser: pointed out, chosen with clicks, and from files of one's own."""

import re

import numpy as np
import pandas as pd
import pytest
from browser import (
    IN_CHROMIUM,
    choose_option,
    idle,
    press,
    visiting,
    widget,
)
from playwright.sync_api import expect

pytestmark = IN_CHROMIUM


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty patients with five rows each, a date, a part and a weight, and the same rows as three files."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("tables")
    patient = np.repeat(np.arange(40), 5)
    x = rng.normal(size=(40, 4))[patient] + 0.1 * rng.normal(size=(200, 4))
    y = np.where(x[:, 0] + 0.5 * rng.normal(size=200) > 0, "ill", "well")
    frame = pd.DataFrame(x.round(3), columns=list("abcd")).assign(y=y, patient=patient)
    frame["seen"] = pd.date_range("2024-01-01", periods=200).strftime("%Y-%m-%d")
    frame["part"] = np.tile(["train", "train", "train", "dev", "holdout"], 40)
    frame.to_csv(folder / "visits.csv", index=False)
    plain = frame[[*"abcd", "y"]]
    for name, rows in (
        ("known", slice(0, 120)),
        ("val", slice(120, 160)),
        ("held", slice(160, 200)),
    ):
        plain[rows].to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.fixture
def page(browser, app_server):
    with visiting(browser, app_server.address) as page:
        page.goto(app_server.address)
        idle(page)
        yield page


def upload(page, place, path):
    place.locator('input[type="file"]').set_input_files(path)
    idle(page)


def test_rows_of_a_patient_are_kept_together_with_one_click_or_split_by_time(page, folder):
    upload(page, widget(page, "upload"), folder / "visits.csv")
    hint = page.locator(".st-key-split_hint_2")
    expect(hint).to_contain_text("'patient' looks like a group: 40 values with 5 rows each")
    hint.get_by_role("button", name="Keep them together").click()
    left_out = widget(page, "data_excluded")
    expect(left_out).to_contain_text("patient")
    expect(page.get_by_text("says which rows belong together")).to_be_visible()
    idle(page)
    page.get_by_role("radio", name="At random").click()
    idle(page)
    expect(left_out).not_to_contain_text("patient")
    page.get_by_role("radio", name="Order in time").click()
    idle(page)
    choose_option(page, widget(page, "data_time"), "seen")
    expect(page.get_by_text("says when a row was made")).to_be_visible()
    idle(page)
    page.get_by_role("button", name="Value these rows").click()
    idle(page)
    widget(page, "every_row").locator("label").first.click()
    expect(page.get_by_text(re.compile(r"so the 2\d latest rows are used"))).to_be_visible()


def test_a_column_with_the_parts_is_taken_up_and_a_word_is_changed(page, folder):
    upload(page, widget(page, "upload"), folder / "visits.csv")
    page.get_by_role("button", name="Split by it").click()
    expect(page.get_by_text("says which part a row is in")).to_be_visible()
    idle(page)
    word = page.locator('[class*="st-key-data_word_part_holdout"]')
    expect(word).to_contain_text("holdout is")
    choose_option(page, word, "none")
    expect(page.get_by_text("40 rows have no part in 'part' and are set aside.")).to_be_visible()
    expect(page.get_by_text("No test rows were given")).to_be_visible()


def test_files_of_ones_own_validate_and_test(page, folder, tmp_path):
    upload(page, widget(page, "upload"), folder / "known.csv")
    page.get_by_role("radio", name="Own files").click()
    idle(page)
    upload(page, widget(page, "data_upload_validation"), folder / "val.csv")
    expect(page.get_by_text("Validation rows: val.csv")).to_be_visible()
    upload(page, widget(page, "data_upload_test"), folder / "held.csv")
    expect(page.get_by_text("Test rows: held.csv")).to_be_visible()
    page.get_by_role("button", name="Value these rows").click()
    expect(page.get_by_text(re.compile("120 training rows are valued"))).to_be_visible()
    press(page, "start")
    expect(page.get_by_text("What came out")).to_be_visible()
