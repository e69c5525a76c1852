"""Every screen, driven as a visitor would, without a browser."""

import hashlib
import io
import json
import os
import re
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from data_files import loan_csv
from scipy.stats import spearmanr
from streamlit.testing.v1 import AppTest

from ecoval_core import charts
from ecoval_core.tables import load_sample
from ecoval_core.valuation.record import DEFAULT_EXTRINSIC_WEIGHT
from ecoval_core.workspace import history
from ecoval_core.workspace.exports import unit_of
from ecoval_core.workspace.workspace import forget
from pages.shared import prunelist, server, story

# umap-learn says so when it is imported and when it is handed neighbours, here from a job's thread,
# where the filters that the core sets around it may be undone by the main thread.
pytestmark = [
    pytest.mark.pages,
    pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning"),
    pytest.mark.filterwarnings(r"ignore:precomputed_knn\[2\]:UserWarning"),
]

ENTRY = Path(__file__).parents[1] / "pages" / "main.py"
SCREENS = (
    "data", "value", "explore", "decompose", "labels", "review", "curves", "prune", "new_data", "compare",
    "runs", "method",
)  # fmt: skip
NEEDS_RUN = (
    "explore", "decompose", "labels", "review", "curves", "prune", "new_data", "compare"
)  # fmt: skip
CLEAN = b"a,b,y\n" + b"\n".join(
    b"%d,%d,%s" % (i % 7, i % 5, b"yes" if i % 7 > 3 else b"no") for i in range(60)
)
BAD_FILES = {
    "empty.csv": b"",
    "header.csv": b"a,b,y\n",
    "one_column.csv": b"a\n" + b"1\n2\n" * 20,
    "one_row.csv": b"a,b,y\n1,2,x\n",
    "duplicates.csv": b"a,a,y\n" + b"1,2,x\n2,1,z\n" * 20,
    "infinite.csv": b"a,b,y\n" + b"1,inf,x\n2,1,z\n" * 20,
    "labels.csv": b"a,b,y\n" + b"".join(b"%d,%d,n%dx\n" % (i, i % 9, i) for i in range(10_000)),
    "binary.csv": bytes(range(256)) * 20,
    "encoding.csv": b"a,b,y\n" + b"1,\x81\x8d,x\n2,\x90\x9d\xff,z\n" * 20,
    "broken.parquet": b"PAR1 and then nothing",
    "broken.xlsx": b"PK\x03\x04 and then nothing",
}


@pytest.fixture(autouse=True)
def fresh_server(monkeypatch, tmp_path):
    """What visitors share on a server begins empty, and nothing runs on into the next test."""
    st.cache_data.clear()
    monkeypatch.setenv("ECOVAL_WORKSPACE", str(tmp_path / "workspace"))
    engine = server.engine()
    yield
    for job in engine.jobs.active():
        for visitor in list(job.visitors):
            engine.jobs.leave(job, visitor)
        assert job.wait(60)
    forget()


def open_app(query=None):
    app = AppTest.from_file(ENTRY, default_timeout=60)
    for name, value in (query or {}).items():
        app.query_params[name] = value
    return check(app.run())


def check(app):
    assert not app.exception, [e.message for e in app.exception]
    return app


def go(app, screen):
    return check(app.switch_page(f"{screen}.py").run())


def has(elements, key):
    return any(element.key == key for element in elements)


def wait(app, seconds=60):
    """Run until no job is being watched, as the fragment does in a browser."""
    deadline = time.monotonic() + seconds
    while has(app.button, "cancel") or any("hourglass" in c.value for c in app.caption):
        assert time.monotonic() < deadline, "the job did not end"
        time.sleep(0.1)
        check(app.run())
    return app


def valued(sample="wine", noise=True):
    app = open_app()
    check(app.button(key=f"sample_{sample}").click().run())
    if noise:
        check(app.toggle(key="data_noisy").set_value(True).run())
    if noise not in (True, False):
        check(app.slider(key="data_noise").set_value(round(100 * noise)).run())
    go(app, "value")
    wait(app)
    check(app.button(key="start").click().run())
    return wait(app)


def figure(app, label):
    return next(metric.value for metric in app.metric if metric.label == label)


def text(app):
    return "\n".join(element.value for element in (*app.markdown, *app.caption, *app.info))


def upload(app, name, content):
    kind = "text/csv" if name.endswith("csv") else "application/octet-stream"
    return check(app.file_uploader(key="upload").set_value((name, content, kind)).run())


@pytest.mark.parametrize("screen", SCREENS)
def test_every_screen_opens_before_there_is_anything(screen):
    app = go(open_app(), screen)
    titles = {"labels": "Wrong labels", "new_data": "New data"}
    assert app.header[0].value == titles.get(screen, screen.capitalize())
    if screen in NEEDS_RUN or screen == "value":
        assert "first" in app.info[0].value


@pytest.mark.parametrize("screen", NEEDS_RUN)
def test_a_screen_without_a_run_says_to_value_first(screen):
    app = open_app()
    check(app.button(key="sample_wine").click().run())
    assert "Value them first" in go(app, screen).info[0].value


def test_a_first_visit_shows_one_demo_button_one_upload_field_and_the_samples():
    app = open_app()
    assert [button.label for button in app.button].count("Try the demo") == 1
    assert len(app.file_uploader) == 1
    assert sum(button.label == "Load" for button in app.button) == 5


def test_values_that_were_damaged_are_offered_to_be_made_again():
    app = valued("wine")
    store = Store(default_root())
    record = history.find_run(store, app.session_state.run_id)
    for path in store.find_result(record.valuation).folder.iterdir():
        path.write_bytes(b"PAR1 and then nothing")
    server.engine().forget()
    app.session_state.weighted_run = None
    check(app.run())
    assert "value the rows again" in app.warning[0].value
    check(app.button(key="run_again").click().run())
    wait(app)
    assert figure(app, "Surplus")


def test_the_same_file_under_another_name_opens_under_that_name():
    app = upload(open_app(), "monday.csv", CLEAN)
    assert app.subheader[0].value == "monday.csv"
    check(go(app, "value").button(key="start").click().run())
    wait(app)
    assert upload(go(app, "data"), "tuesday.csv", CLEAN).subheader[0].value == "tuesday.csv"
    check(go(app, "value").button(key="start").click().run())
    wait(app)
    assert app.session_state.weighted_run[2].prepared.table.name == "tuesday.csv"


def test_an_untouched_range_is_no_filter_when_more_rows_are_valued_nor_in_another_table():
    app = valued("wine", noise=False)
    go(app, "explore")
    check(app.selectbox(key="filter_column").set_value("color_intensity").run())
    first = app.slider(key="filter_range_color_intensity").value
    go(app, "value")
    check(app.toggle(key="every_row").set_value(True).run())
    check(app.button(key="start").click().run())
    wait(app)
    go(app, "explore")
    more = app.slider(key="filter_range_color_intensity").value
    assert more[0] < first[0] < first[1] < more[1]
    n_rows = len(app.session_state.weighted_run[2].frame)
    assert len(app.dataframe[0].value) == n_rows
    # A range that was chosen narrows them, and says nothing of another table.
    check(app.slider(key="filter_range_color_intensity").set_value((3.0, 5.0)).run())
    assert len(app.dataframe[0].value) < n_rows
    check(app.selectbox(key="filter_column").set_value("hue").run())
    other = b"color_intensity,hue,y\n" + b"\n".join(
        b"%d,%d,%s" % (i % 19, i % 5, b"yes" if i % 7 > 3 else b"no") for i in range(60)
    )
    upload(go(app, "data"), "other.csv", other)
    check(go(app, "value").button(key="start").click().run())
    wait(app)
    go(app, "explore")
    check(app.selectbox(key="filter_column").set_value("color_intensity").run())
    assert app.slider(key="filter_range_color_intensity").value == (0.0, 18.0)


def test_a_target_that_mending_alone_can_save_is_mended_where_it_is_refused():
    rows = "\n".join(f"{i % 7},{i % 5},{'ok' if i % 3 else 'fraud'}" for i in range(60))
    messy = f"a,b,outcome\n{rows}\n1,2,FRAUD\n2,1,fraud \n".encode()
    app = upload(open_app(), "messy.csv", messy)
    assert "single row" in app.error[0].value
    check(app.button(key="mend_refused").click().run())
    assert not app.error
    assert app.session_state.prepared.table.classes.tolist() == ["fraud", "ok"]


def test_whoever_takes_a_deletion_back_goes_on_with_the_run_that_was_open():
    app = go(valued("wine"), "runs")
    run = app.session_state.run_id
    check(app.button(key="delete_run").click().run())
    assert "run_id" not in app.session_state
    check(app.button(key="undo_delete").click().run())
    assert app.session_state.run_id == run


def test_a_decision_on_a_marked_row_marks_no_other_in_its_place():
    app = go(valued("wine"), "labels")
    check(app.toggle(key="label_undecided").set_value(True).run())
    listed = app.dataframe[0].value.index.tolist()
    mark_rows(app, "suspect_rows", [0])
    check(app.button(key="accept_labels").click().run())
    assert app.session_state.label_decisions == {listed[0]: "accept"}
    assert app.dataframe[0].value.index.tolist() == listed[1:]
    assert (
        app.button(key="accept_labels").label == f"Accept the suggestion for {len(listed) - 1} rows"
    )


def test_the_demo_leads_to_the_map_and_to_its_point_by_itself():
    app = check(open_app().button(key="demo").click().run())
    assert app.header[0].value == "Value"
    wait(app)
    assert app.header[0].value == "Explore"
    assert "162 planted errors" in text(app)
    run = app.session_state["weighted_run"][2]
    lowest = run.frame["value"].nsmallest(162).index
    caught = int(run.frame.loc[lowest, "flipped"].sum())
    assert f"{caught} of 162 planted errors are in the lowest 15%" in text(app)
    check(app.button(key="prune_lowest").click().run())
    wait(app)
    assert app.header[0].value == "Prune"
    assert figure(app, "Planted errors caught") == f"{caught} of 162"
    assert "90 % interval" in app.success[0].value


def test_bad_files_say_one_sentence_and_what_was_loaded_stays():
    app = open_app()
    check(app.button(key="sample_penguins").click().run())
    held = app.session_state["prepared"]
    for name, content in BAD_FILES.items():
        upload(app, name, content)
        assert app.error, name
        message = app.error[0].value
        assert len(app.error) == 1, name
        assert "Traceback" not in message, name
        assert "\n" not in message.strip(), name
        assert app.session_state["prepared"] is held, name


def test_a_good_upload_opens_and_the_message_of_a_bad_one_goes():
    app = open_app()
    upload(app, "bad.csv", b"")
    assert app.error
    upload(app, "good.csv", CLEAN)
    assert not app.error
    table = app.session_state["prepared"].table
    assert (table.name, table.target, table.n_rows) == ("good.csv", "y", 60)


@pytest.mark.parametrize("kind", ["parquet", "xlsx"])
def test_parquet_and_excel_open(kind):
    frame = pd.read_csv(io.BytesIO(CLEAN))
    buffer = io.BytesIO()
    frame.to_parquet(buffer) if kind == "parquet" else frame.to_excel(buffer, index=False)
    app = upload(open_app(), f"good.{kind}", buffer.getvalue())
    assert not app.error
    assert app.session_state["prepared"].table.n_rows == 60


def test_everything_assumed_can_be_changed():
    app = open_app()
    check(app.button(key="sample_penguins").click().run())
    check(app.selectbox(key="data_target").set_value("island").run())
    assert app.session_state["prepared"].table.target == "island"
    check(app.multiselect(key="data_excluded").set_value(["sex"]).run())
    assert list(app.session_state["prepared"].table.excluded) == ["sex"]
    check(app.slider(key="data_split").set_value((50, 75)).run())
    assert app.session_state["prepared"].proportions == pytest.approx((0.5, 0.25, 0.25))
    check(app.number_input(key="data_seed").set_value(7).run())
    assert app.session_state["prepared"].random_state == 7
    check(app.toggle(key="data_noisy").set_value(True).run())
    check(app.slider(key="data_noise").set_value(20).run())
    prepared = app.session_state["prepared"]
    assert len(prepared.flipped_ids) == pytest.approx(0.2 * len(prepared.y_train), abs=1)
    assert prepared.proportions == pytest.approx((0.5, 0.25, 0.25))


@pytest.mark.parametrize("target", ["only", "rare"])
def test_a_target_of_one_class_or_a_class_of_one_row_is_refused(target):
    frame = pd.read_csv(io.BytesIO(CLEAN)).assign(only="x", rare=["odd", *["x", "z"] * 29, "x"])
    app = upload(
        open_app(), "one.csv", frame[["only", "rare", "a", "b", "y"]].to_csv(index=False).encode()
    )
    check(app.selectbox(key="data_target").set_value(target).run())
    assert "class" in app.error[0].value
    assert app.session_state["prepared"].table.target != target


def test_a_choice_that_cannot_be_is_refused_and_taken_back():
    app = open_app()
    check(app.button(key="sample_penguins").click().run())
    check(app.segmented_control(key="data_task").set_value("regression").run())
    assert app.error
    assert app.segmented_control(key="data_task").value == "classification"


def test_the_plan_tells_fits_and_time_and_the_run_sums_up():
    app = valued()
    assert any("fits, about" in markdown.value for markdown in app.markdown)
    assert {"Surplus", "Intrinsic share", "Harmful clusters", "Rows below zero"} <= {
        metric.label for metric in app.metric
    }
    assert len(app.dataframe) == 2
    assert len(app.dataframe[0].value) == 10


def value_upload(name, frame):
    app = upload(open_app(), name, frame.to_csv(index=False).encode())
    go(app, "value")
    wait(app)
    check(app.button(key="start").click().run())
    return wait(app)


def test_without_a_surplus_its_shares_are_dashes():
    random = np.random.default_rng(3)
    frame = pd.DataFrame(random.normal(size=(80, 12))).add_prefix("x")
    app = value_upload("chance.csv", frame.assign(y=random.permutation(["a", "b"] * 40)))
    assert float(figure(app, "Surplus")) <= 0
    assert figure(app, "Intrinsic share") == "–"
    assert "returns to scale –" in text(app)
    assert "nan" not in text(app)


def test_harmful_clusters_are_told_with_their_sureness():
    app = valued()
    ecoval = app.session_state["weighted_run"][2].ecoval
    sure = int((ecoval.cluster_values_ < -2 * ecoval.cluster_standard_errors_).sum())
    assert f"without {sure:,} of them by more than two standard errors" in text(app)


def test_a_regression_speaks_of_targets():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(120, 3)), columns=["a", "b", "c"])
    app = value_upload("amounts.csv", frame.assign(y=2 * frame["a"] + frame["b"]))
    assert "of squared error over the target's variance" in text(app)
    titles = [heading.value for heading in go(app, "decompose").subheader]
    assert "By target" in titles
    assert "By label" not in titles
    wait(go(app, "explore"))
    mark_rows(app, "explore_rows", [0])
    assert ": target " in app.subheader[0].value
    assert "label" not in text(app).replace("labels", "")
    go(app, "prune")
    check(app.slider(key="prune_share").set_value(30.0).run())
    wait(app)
    pruned = app.caption[[one.value for one in app.caption].index("**Pruned by target**") + 1].value
    n_by_range = re.findall(r" to \S+: (\d+) of \d+", pruned)
    assert sum(map(int, n_by_range)) == int(figure(app, "Rows to prune"))
    assert "Spared by the quota" not in [metric.label for metric in app.metric]


def test_granularity_model_and_score_reach_the_run():
    app = open_app()
    check(app.button(key="sample_wine").click().run())
    go(app, "value")
    steps = app.select_slider(key="granularity")
    check(steps.set_value(int(steps.options[3].split()[0].replace(",", ""))).run())
    check(app.selectbox(key="model_classification").set_value("naive_bayes").run())
    check(app.selectbox(key="scoring_classification").set_value("brier").run())
    wait(app)
    check(app.button(key="start").click().run())
    wait(app)
    assert "Naive Bayes" in text(app)
    assert "squared distance" in text(app)


def granularity(app):
    """Return what is chosen and what the plan calls automatic."""
    slider = app.select_slider(key="granularity")
    (automatic,) = [option for option in slider.options if option.endswith("(automatic)")]
    return slider.value, int(automatic.split()[0].replace(",", ""))


def choose_granularity(app, step):
    slider = app.select_slider(key="granularity")
    check(slider.set_value(int(slider.options[step].split()[0].replace(",", ""))).run())


def test_automatic_granularity_is_that_of_each_table_in_turn():
    app = open_app()
    found = []
    for sample in ("breast_cancer", "wine", "breast_cancer"):
        go(app, "data")
        check(app.button(key=f"sample_{sample}").click().run())
        go(app, "value")
        chosen, automatic = granularity(app)
        assert chosen == automatic
        found.append(automatic)
    assert found[0] == found[2] > found[1]
    check(app.toggle(key="every_row").set_value(True).run())
    chosen, automatic = granularity(app)
    assert chosen == automatic > found[0]


def test_a_chosen_granularity_stays_with_its_table_and_goes_with_another():
    app = open_app()
    check(app.button(key="sample_wine").click().run())
    go(app, "value")
    choose_granularity(app, 3)
    chosen, automatic = granularity(app)
    assert chosen != automatic
    go(app, "data")
    check(app.toggle(key="data_noisy").set_value(True).run())
    go(app, "value")
    assert granularity(app)[0] == chosen
    go(app, "data")
    check(app.button(key="sample_penguins").click().run())
    go(app, "value")
    chosen, automatic = granularity(app)
    assert chosen == automatic


def test_the_demo_takes_its_automatic_granularity_whatever_was_chosen():
    app = open_app()
    check(app.button(key="demo").click().run())
    go(wait(app), "value")
    automatic = granularity(app)[1]
    choose_granularity(app, 2)
    assert granularity(app)[0] != automatic
    go(app, "data")
    check(app.button(key="demo").click().run())
    go(wait(app), "value")
    assert granularity(app)[0] == automatic
    assert f"{automatic:,} clusters" in text(app)


def test_a_valuation_survives_a_refresh_and_is_not_doubled():
    app = open_app()
    check(app.button(key="demo").click().run())
    first = app.session_state["run_id"]
    query = dict(app.query_params)
    assert query["run"] == first
    other = open_app(query)
    assert other.session_state["run_id"] == first
    go(other, "value")
    wait(other)
    assert figure(other, "Surplus")
    go(wait(app), "value")
    assert figure(app, "Surplus") == figure(other, "Surplus")


def test_a_refresh_shows_the_settings_of_the_run():
    app = open_app()
    check(app.button(key="sample_wine").click().run())
    go(app, "value")
    check(app.selectbox(key="model_classification").set_value("naive_bayes").run())
    wait(app)
    check(app.button(key="start").click().run())
    wait(app)
    other = go(open_app(dict(app.query_params)), "value")
    assert other.selectbox(key="model_classification").value == "naive_bayes"


def test_a_refresh_keeps_the_prune_list():
    app = go(valued(), "prune")
    check(app.slider(key="prune_share").set_value(10.0).run())
    other = go(open_app(dict(app.query_params)), "prune")
    assert figure(other, "Rows to prune") == figure(app, "Rows to prune") != "0"
    check(other.button(key="undo").click().run())
    assert figure(other, "Rows to prune") == "0"
    assert figure(check(app.run()), "Rows to prune") != "0"


def test_an_address_of_nothing_known_says_so():
    app = open_app({"data": "0" * 32, "run": "1" * 32})
    assert "not in this workspace" in app.error[0].value


def test_cancel_ends_a_run_and_it_can_be_started_again():
    app = open_app()
    check(app.button(key="sample_digits").click().run())
    go(app, "value")
    steps = app.select_slider(key="granularity")
    check(steps.set_value(len(app.session_state["prepared"].y_train)).run())
    wait(app)
    check(app.button(key="start").click().run())
    check(app.button(key="cancel").click().run())
    wait(app)
    assert "cancelled" in text(app)
    assert not app.metric
    assert has(app.button, "start")


def test_the_extrinsic_weight_changes_the_views_without_a_fit():
    app = valued()
    job = app.session_state["run_id"]
    before = app.dataframe[0].value["value"].tolist()
    check(app.slider(key="extrinsic_weight").set_value(1.0).run())
    assert app.session_state["run_id"] == job
    assert app.dataframe[0].value["value"].tolist() != before
    go(app, "decompose")
    assert app.slider(key="extrinsic_weight").value == 1.0


def test_the_unit_is_chosen_in_one_place():
    app = valued()
    share = app.dataframe[0].value["value"]
    surplus = float(figure(app, "Surplus"))
    check(app.selectbox(key="unit").set_value("score").run())
    assert (app.dataframe[0].value["value"] * 1000 / surplus).tolist() == pytest.approx(
        share.tolist(), rel=0.01
    )


def gesture(app, elements, key, selection):
    """Send what the browser sends after a selection; AppTest has no such gesture of its own."""
    element = next(element for element in elements if element.key == key)
    states = app._tree.get_widget_states()
    states.widgets.add(id=element.proto.id, string_value=json.dumps({"selection": selection}))
    return check(app._run(states))


def select(app, ids):
    """Select rows by the search field; lassos on the map are for the browser's tests."""
    field = app.text_input(key="search_rows")
    return check(field.set_value(", ".join(map(str, ids))).run())


def mark_rows(app, key, positions):
    selection = {"rows": positions, "columns": [], "cells": []}
    return gesture(app, app.dataframe, key, selection)


def test_a_selection_fills_the_table_and_goes_to_the_prune_list():
    app = go(valued(), "explore")
    ids = app.session_state["prepared"].ids_train[:4].tolist()
    select(app, ids)
    assert "Selected: 4" in text(app)
    assert sorted(app.dataframe[0].value.index) == ids
    assert app.button(key="add_to_prune").label == "Prune 4"
    check(app.button(key="add_to_prune").click().run())
    assert "To prune: 4" in text(app)
    check(app.button(key="clear_selection").click().run())
    assert "Selected: 0" in text(app)
    go(app, "prune")
    assert figure(app, "Rows to prune") == "4"


def test_the_selection_is_inverted_and_grown_to_clusters():
    app = go(valued(), "explore")
    frame = app.session_state["weighted_run"][2].frame
    first = int(frame.index[0])
    select(app, [first])
    assert app.session_state["picked_id"] == first, "the only row found is the one to read about"
    check(app.button(key="grow_selection").click().run())
    cluster = frame.index[frame["cluster"] == frame.loc[first, "cluster"]]
    assert sorted(app.session_state["selected_ids"]) == cluster.tolist()
    check(app.button(key="invert_selection").click().run())
    assert sorted(app.session_state["selected_ids"]) == frame.index.difference(cluster).tolist()


def test_rows_are_found_by_the_text_of_a_cell():
    app = go(valued("penguins", noise=False), "explore")
    check(app.text_input(key="search_rows").set_value("torgersen").run())
    prepared = app.session_state["prepared"]
    island = prepared.table.frame["island"].loc[prepared.ids_train]
    assert app.session_state["selected_ids"] == island.index[island == "Torgersen"].tolist()
    check(app.text_input(key="search_rows").set_value("nowhere").run())
    assert "No valued row has this number" in text(app)
    assert app.session_state["selected_ids"] == island.index[island == "Torgersen"].tolist()


def test_any_column_filters_by_its_range_or_its_categories():
    app = go(valued("penguins", noise=False), "explore")
    prepared = app.session_state["prepared"]
    frame = prepared.table.frame.loc[prepared.ids_train]
    n_rows = len(app.dataframe[0].value)
    check(app.selectbox(key="filter_column").set_value("year").run())
    assert len(app.dataframe[0].value) == n_rows
    check(app.slider(key="filter_range_year").set_value((2008.0, 2009.0)).run())
    assert len(app.dataframe[0].value) == (frame["year"] >= 2008).sum()
    check(app.selectbox(key="filter_column").set_value("island").run())
    check(app.multiselect(key="filter_values_island").set_value(["Dream"]).run())
    assert len(app.dataframe[0].value) == (frame["island"] == "Dream").sum()


def test_the_map_is_coloured_by_any_column():
    app = go(valued("penguins", noise=False), "explore")
    for color in ("label", "label_quality", "column: island", "column: bill_length_mm"):
        check(app.selectbox(key="map_color").set_value(color).run())
    go(app, "decompose")


def test_a_table_row_tells_its_story():
    app = go(valued(), "explore")
    mark_rows(app, "explore_rows", [0])
    lowest = app.dataframe[0].value.index[0]
    assert app.subheader[0].value.startswith(f"Row {lowest}: labelled")
    told = text(app)
    assert "intrinsic" in told
    assert "Its cluster" in told
    assert "nearest neighbours carry the same" in told
    assert len(app.dataframe[1].value) == 11


def test_filters_narrow_the_table():
    app = go(valued(), "explore")
    frame = app.dataframe[0].value
    check(app.toggle(key="filter_negative").set_value(True).run())
    assert len(app.dataframe[0].value) == (frame["value"] < 0).sum()
    check(app.toggle(key="filter_planted").set_value(True).run())
    assert app.dataframe[0].value["flipped"].all()


def test_filters_of_another_table_do_no_harm():
    app = go(valued("wine"), "explore")
    label = app.dataframe[0].value["label"].iloc[0]
    check(app.multiselect(key="filter_labels").set_value([label]).run())
    assert set(app.dataframe[0].value["label"]) == {label}
    go(app, "data")
    check(app.button(key="sample_penguins").click().run())
    go(app, "value")
    wait(app)
    check(app.button(key="start").click().run())
    wait(app)
    go(app, "explore")
    assert app.dataframe[0].value["label"].nunique() == 3


def test_umap_comes_in_the_background_and_pca_is_there_at_once(monkeypatch):
    may_start = threading.Event()
    start_job = server.engine().jobs._start

    def held_back(job):
        if job.order.kind == "umap":
            assert may_start.wait(60)
        return start_job(job)

    monkeypatch.setattr(server.engine().jobs, "_start", held_back)
    app = go(valued(), "explore")
    assert "UMAP projection is ready" in text(app)
    may_start.set()
    wait(app)
    assert "UMAP projection is ready" not in text(app)
    assert not app.error


def test_clusters_select_their_rows():
    app = go(valued(), "decompose")
    worst = app.dataframe[0].value.iloc[0]
    mark_rows(app, "cluster_rows", [0])
    assert f"Selected: {worst['n_rows']}" in text(app)


def test_a_story_and_decompose_say_the_same_of_a_row():
    app = wait(go(valued(), "explore"))
    run = app.session_state["weighted_run"][2]
    kinds = charts.quadrant_of(run.frame)
    for kind in kinds.unique():
        app.session_state["picked_id"] = int(kinds.index[kinds == kind][0])
        check(app.run())
        assert f"**{kind.lower()}**" in text(app)
        assert f"{'a **typical**' if kind.startswith('Typical') else 'an **odd**'} example" in text(
            app
        )
        assert ("**pulls the model away**" in text(app)) == kind.endswith("harmful")


def test_curves_are_measured_plain_and_balanced():
    app = go(valued(), "curves")
    check(app.button(key="measure").click().run())
    wait(app)
    assert "199 refits in" in text(app)
    summary = app.dataframe[-1].value
    assert set(summary["strategy"]) == {"lowest", "highest", "random", "random_clusters"}
    measures = app.dataframe[0].value
    assert {"accuracy", "balanced accuracy", "ROC AUC"} < set(measures["measure"])
    check(app.selectbox(key="curve_measure").set_value("recall: class_1").run())
    assert "Test recall of class\\_1 with all rows" in text(app)
    assert not has(app.button, "measure")
    check(app.toggle(key="balanced").set_value(True).run())
    assert has(app.button, "measure")
    check(app.toggle(key="balanced").set_value(False).run())
    check(app.slider(key="extrinsic_weight").set_value(0.8).run())
    assert f"extrinsic weight {DEFAULT_EXTRINSIC_WEIGHT:.2f}" in text(app)
    assert has(app.button, "measure")


def test_prune_rules_combine_can_be_undone_and_rows_restored():
    app = go(valued(), "prune")
    n_rows = len(app.session_state["prepared"].y_train)
    check(app.slider(key="prune_share").set_value(10.0).run())
    assert figure(app, "Rows to prune") == str(round(0.1 * n_rows))
    check(app.toggle(key="prune_by_threshold").set_value(True).run())
    n_both = int(figure(app, "Rows to prune"))
    check(app.button(key="undo").click().run())
    assert figure(app, "Rows to prune") == str(round(0.1 * n_rows))
    assert not app.toggle(key="prune_by_threshold").value
    check(app.button(key="redo").click().run())
    assert int(figure(app, "Rows to prune")) == n_both
    mark_rows(app, "pruned_rows", [0, 1])
    check(app.button(key="restore").click().run())
    assert int(figure(app, "Rows to prune")) == n_both - 2
    check(app.button(key="unrestore").click().run())
    assert int(figure(app, "Rows to prune")) == n_both
    check(app.number_input(key="prune_threshold_share").set_value(-1e6).run())
    assert figure(app, "Rows to prune") == str(round(0.1 * n_rows))
    check(app.button(key="clear").click().run())
    assert figure(app, "Rows to prune") == "0"


def test_a_rule_that_changes_leaves_its_widget_for_a_second_event(monkeypatch):
    app = go(valued(), "prune")
    change_by, widgets = prunelist.change_by, ("prune_share", "prune_by_threshold")
    left = []

    def watched(**rule):
        change_by(**rule)
        left.append([key for key in widgets if key in st.session_state])

    monkeypatch.setattr(prunelist, "change_by", watched)
    check(app.slider(key="prune_share").set_value(10.0).run())
    check(app.toggle(key="prune_by_threshold").set_value(True).run())
    check(app.number_input(key="prune_threshold_share").set_value(0.5).run())
    assert left == [list(widgets)] * 3
    check(app.button(key="undo").click().run())
    assert app.number_input(key="prune_threshold_share").value == 0
    check(app.button(key="clear").click().run())
    assert app.slider(key="prune_share").value == 0
    assert not app.toggle(key="prune_by_threshold").value


def test_the_effect_of_pruning_is_measured_and_planted_errors_counted():
    app = go(valued(), "prune")
    check(app.slider(key="prune_share").set_value(15.0).run())
    wait(app)
    assert "90 % interval" in text(app)
    frame = app.session_state["weighted_run"][2].frame
    pruned = frame.nsmallest(round(0.15 * len(frame)), "value")
    caught, planted = pruned["flipped"].sum(), frame["flipped"].sum()
    assert figure(app, "Planted errors caught") == f"{caught} of {planted}"
    assert f"precision {caught / len(pruned):.0%}, recall {caught / planted:.0%}" in text(app)


def test_pruning_too_much_says_so_once_the_quota_is_off():
    app = go(valued(noise=False), "prune")
    check(app.slider(key="prune_quota").set_value(0).run())
    check(app.toggle(key="prune_by_threshold").set_value(True).run())
    check(app.number_input(key="prune_threshold_share").set_value(1e6).run())
    wait(app)
    assert "prune fewer rows" in app.error[0].value


def loans():
    """The app with a valued table of loans, one class of which is rare."""
    app = upload(open_app(), "loans.csv", loan_csv())
    check(app.selectbox(key="data_target").set_value("status").run())
    go(app, "value")
    wait(app)
    check(app.button(key="start").click().run())
    return wait(app)


def test_a_rare_class_is_weighed_by_itself_and_survives_pruning_below_zero():
    app = loans()
    assert app.toggle(key="balanced_classes").value
    assert "of an even share. Below a third this is on by itself." in text(app)
    frame = app.session_state["weighted_run"][2].frame
    go(app, "prune")
    check(app.toggle(key="prune_by_threshold").set_value(True).run())
    wait(app)
    n_rare = (frame["label"] == "charged off").sum()
    pruned = frame.index[frame["value"] < 0]
    n_gone = (frame.loc[pruned, "label"] == "charged off").sum()
    assert n_gone <= n_rare // 2
    assert f"charged off: {n_gone} of {n_rare}" in text(app) or not n_gone
    table = next(t.value for t in app.dataframe if "90 % interval" in t.value)
    assert {"recall of charged off", "recall of paid", "balanced accuracy"} < set(table["measure"])
    assert table.set_index("measure").loc["recall of charged off", "test rows"] < 20


def test_the_quota_keeps_half_of_a_class_and_says_how_many_it_spared():
    app = go(loans(), "prune")
    frame = app.session_state["weighted_run"][2].frame
    check(app.toggle(key="prune_by_threshold").set_value(True).run())
    check(app.number_input(key="prune_threshold_share").set_value(1e6).run())
    sizes = frame["label"].value_counts()
    assert figure(app, "Rows to prune") == str(sum(size // 2 for size in sizes))
    spared = {label: size - size // 2 for label, size in sizes.items()}
    assert figure(app, "Spared by the quota") == str(sum(spared.values()))
    assert f"charged off: {spared['charged off']} of {sizes['charged off']}" in text(app)


def test_an_even_table_is_not_weighed_unless_asked():
    app = go(valued(), "value")
    assert not app.toggle(key="balanced_classes").value
    assert "Above a third it starts off." in text(app)


def test_wrong_labels_are_accepted_kept_undone_measured_and_exported(monkeypatch):
    offered = {}
    draw_button = st.download_button

    def remember(label, data, *args, **kwargs):
        offered[label] = data
        return draw_button(label, b"", *args, **kwargs)

    monkeypatch.setattr(st, "download_button", remember)
    app = go(valued(), "labels")
    frame = app.session_state["weighted_run"][2].frame
    listed = app.dataframe[0].value
    assert listed["label_quality"].is_monotonic_increasing
    assert (listed["label"] != listed["suggested_label"]).all()
    assert frame.loc[listed.index, "flipped"].mean() > 0.5
    app = gesture(app, app.dataframe, "suspect_rows", {"rows": [0, 2], "columns": [], "cells": []})
    marked = [int(row) for row in listed.index[[0, 2]]]
    check(app.button(key="keep_labels").click().run())
    assert app.session_state["label_decisions"] == dict.fromkeys(marked, "keep")
    check(app.button(key="undo_labels").click().run())
    assert app.session_state["label_decisions"] == {}
    check(app.button(key="accept_labels").click().run())
    wait(app)
    accepted = app.session_state["label_decisions"]
    effects_drawn = [t.value for t in app.dataframe if "90 % interval" in t.value]
    assert len(effects_drawn) == 2
    before = [t.set_index("measure").loc["accuracy", "before"] for t in effects_drawn]
    assert before[0] == before[1]
    go(app, "prune")
    kept = pd.read_csv(io.BytesIO(offered["Pruned table"]())).set_index("row_id")
    target = app.session_state["prepared"].table.target
    for row in accepted:
        assert kept.loc[row, "corrected_label"] == frame.loc[row, "suggested_label"]
    others = kept.index.difference(list(accepted))
    assert (kept.loc[others, "corrected_label"] == kept.loc[others, target]).all()


def test_the_story_never_contradicts_the_cluster():
    app = go(valued(), "explore")
    run = app.session_state["weighted_run"][2]
    worth, error = run.ecoval.cluster_values_, run.ecoval.cluster_standard_errors_
    seen = set()
    for row in run.frame.index[::7]:
        told = story.about_cluster(run, int(row))
        cluster = int(run.frame.loc[row, "cluster"])
        sure = abs(worth[cluster]) > 2 * error[cluster]
        assert ("about the same" in told) == (not sure)
        if sure:
            assert ("scores worse" in told) == (worth[cluster] > 0)
        seen.add(sure)
    assert seen == {True, False}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_downloads_hold_what_they_say(kind, monkeypatch):
    offered = {}
    draw_button = st.download_button

    def remember(label, data, *args, key, **kwargs):
        offered[key] = data
        return draw_button(label, data, *args, key=key, **kwargs)

    monkeypatch.setattr(st, "download_button", remember)
    app = go(valued(), "prune")
    check(app.slider(key="prune_share").set_value(10.0).run())
    check(app.segmented_control(key="format").set_value(kind).run())
    assert [button.label for button in app.download_button] == [
        "Pruned table", "Removed rows", "All rows with values", "Report (HTML)", "Recipe (JSON)"
    ]  # fmt: skip
    del offered["download_report"], offered["download_recipe"]
    original = app.session_state["prepared"].table.frame
    n_pruned = int(figure(app, "Rows to prune"))
    read = pd.read_csv if kind == "csv" else pd.read_parquet
    tables = {key: read(io.BytesIO(make())) for key, make in offered.items()}
    kept, removed = tables["download_kept"], tables["download_removed"]
    assert len(removed) == n_pruned
    assert len(kept) == len(original) - n_pruned
    assert list(kept.columns)[-len(original.columns) :] == list(original.columns)
    assert {"value", "intrinsic", "extrinsic", "cluster"} <= set(tables["download_all_values"])
    assert len(tables["download_all_values"]) == len(original)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_values_in_a_file_are_the_very_numbers_on_screen_in_the_unit_chosen_there(
    kind, monkeypatch
):
    offered = {}
    draw_button = st.download_button

    def remember(label, data, *args, key, **kwargs):
        offered[key] = data
        return draw_button(label, b"", *args, key=key, **kwargs)

    monkeypatch.setattr(st, "download_button", remember)
    app = go(valued(noise=False), "prune")
    check(app.slider(key="prune_share").set_value(10.0).run())
    check(app.segmented_control(key="format").set_value(kind).run())
    read = (
        pd.read_parquet if kind == "parquet" else partial(pd.read_csv, float_precision="round_trip")
    )
    seen = {}
    for unit in ("share", "score"):
        check(app.selectbox(key="unit").set_value(unit).run())
        wait(app)
        screen = next(table.value for table in app.dataframe if "reason" in table.value)
        removed = read(io.BytesIO(offered["download_removed"]())).set_index("row_id")
        assert sorted(screen.index) == removed.index.tolist()
        for column in ("value", "standard_error", "intrinsic", "extrinsic", "reason"):
            assert (removed.loc[screen.index, column] == screen[column]).all(), column
        every = read(io.BytesIO(offered["download_all_values"]())).set_index("row_id")
        pd.testing.assert_frame_equal(
            every[every["pruned"]], removed, check_dtype=False, check_exact=True
        )
        recipe = json.loads(offered["download_recipe"]())
        for name in ("removed", "all_values"):
            made = offered[f"download_{name}"]()
            assert hashlib.sha256(made).hexdigest() == recipe["expected"]["files"][f"{name}.{kind}"]
        assert b"written in " + every["unit"].iloc[0].encode() in offered["download_report"]()
        seen[every["unit"].unique().item()] = removed["value"].sum()
        total = float(figure(app, "Their value together").replace("−", "-"))
        assert total == pytest.approx(seen[every["unit"].iloc[0]], rel=0.2)
    assert list(seen) == ["per mille of the surplus", "units of probability"]
    assert len(set(seen.values())) == 2


def test_the_method_says_what_is_the_papers_and_what_is_ours():
    app = go(open_app(), "method")
    assert "From the paper" in app.info[0].value
    assert "not public to us" in app.warning[0].value
    assert len(app.latex) >= 4
    assert "2402.09288" in app.code[0].value


ODD = CLEAN.replace(b"a,b,y", b"[a](x),b*_c_*,y")


def test_a_refused_file_can_be_opened_without_the_column_at_fault():
    app = open_app()
    check(app.button(key="sample_wine").click().run())
    held = app.session_state["prepared"]
    upload(app, "odd_*name*.csv", ODD.replace(b"\n1,1,", b"\n1,inf,", 1))
    assert "infinite" in app.error[0].value
    assert r"b\*\_c\_\*" in app.error[0].value
    assert app.session_state["prepared"] is held
    assert app.selectbox(key="refused_target").value == "y"
    check(app.multiselect(key="refused_excluded").set_value(["b*_c_*"]).run())
    check(app.button(key="open_refused").click().run())
    assert not app.error
    assert not has(app.button, "open_refused")
    table = app.session_state["prepared"].table
    assert (table.name, table.target, table.features) == ("odd_*name*.csv", "y", ["[a](x)"])
    assert r"odd\_\*name\*.csv" in text(app)


def test_a_refused_file_can_be_opened_with_another_target():
    frame = pd.read_csv(io.BytesIO(CLEAN)).assign(label=["rare", *["x", "z"] * 29, "x"])
    app = upload(open_app(), "rare.csv", frame.to_csv(index=False).encode())
    assert "rare" in app.error[0].value
    check(app.button(key="open_refused").click().run())
    assert "rare" in app.error[0].value
    check(app.selectbox(key="refused_target").set_value("y").run())
    check(app.button(key="open_refused").click().run())
    assert app.session_state["prepared"].table.target == "y"


@pytest.mark.parametrize("name", ["one_column.csv", "one_row.csv", "duplicates.csv", "binary.csv"])
def test_no_second_try_where_no_choice_of_columns_helps(name):
    app = upload(open_app(), name, BAD_FILES[name])
    assert app.error
    assert not has(app.button, "open_refused")


def test_every_row_is_valued_at_five_times_the_fits_and_followed_on_every_page():
    app = open_app()
    check(app.button(key="sample_wine").click().run())
    prepared = app.session_state["prepared"]
    n_rows = len(prepared.y_train) + len(prepared.y_val)
    go(app, "value")
    check(app.toggle(key="every_row").set_value(True).run())
    wait(app)
    assert "in each of 5 folds" in text(app)
    assert f"{n_rows} rows are valued, at 5 times the fits" in text(app)
    check(app.button(key="start").click().run())
    wait(app)
    assert figure(app, "Rows below zero").endswith(f"of {n_rows}")
    assert f"{n_rows} rows valued" in text(app)
    weight = app.dataframe[0].value["value"].tolist()
    check(app.slider(key="extrinsic_weight").set_value(1.0).run())
    assert app.dataframe[0].value["value"].tolist() != weight
    go(app, "explore")
    wait(app)
    assert len(app.dataframe[0].value) == n_rows
    row = int(prepared.ids_val[0])
    mark_rows(app, "explore_rows", [app.dataframe[0].value.index.get_loc(row)])
    assert app.subheader[0].value.startswith(f"Row {row}: labelled")
    go(app, "decompose")
    go(app, "prune")
    check(app.slider(key="prune_share").set_value(10.0).run())
    wait(app)
    assert figure(app, "Rows to prune") == str(round(0.1 * n_rows))
    assert "90 % interval" in text(app)
    go(app, "curves")
    check(app.button(key="measure").click().run())
    wait(app)
    assert app.dataframe[-1].value["n_removed"].max() > 0.5 * len(prepared.y_train)
    assert not app.error
    other = go(open_app(dict(app.query_params)), "value")
    assert other.toggle(key="every_row").value


def test_a_refresh_while_it_runs_shows_the_settings_of_the_run():
    app = open_app()
    check(app.button(key="sample_digits").click().run())
    go(app, "value")
    check(app.selectbox(key="model_classification").set_value("random_forest").run())
    check(app.selectbox(key="scoring_classification").set_value("brier").run())
    check(app.number_input(key="value_seed").set_value(7).run())
    wait(app)
    check(app.button(key="start").click().run())
    other = go(open_app(dict(app.query_params)), "value")
    assert has(other.button, "cancel")
    assert other.selectbox(key="model_classification").value == "random_forest"
    assert other.selectbox(key="scoring_classification").value == "brier"
    assert other.number_input(key="value_seed").value == 7
    check(other.button(key="cancel").click().run())
    wait(other)


def test_values_come_with_their_error():
    app = valued()
    shown = app.dataframe[0].value
    assert (shown["standard_error"] > 0).all()
    assert "by more than two standard errors" in text(app)
    go(app, "explore")
    mark_rows(app, "explore_rows", [0])
    row = app.dataframe[0].value.iloc[0]
    assert f"± {row['standard_error']:.1f}" in text(app)
    check(app.selectbox(key="unit").set_value("score").run())
    assert app.dataframe[0].value["standard_error"].max() < shown["standard_error"].max()


def test_repeats_tell_how_stable_values_are_at_any_weight():
    app = valued()
    check(app.button(key="repeat").click().run())
    wait(app)
    ranks = float(figure(app, "Rank agreement"))
    assert 0 < ranks <= 1
    n_rows = len(app.session_state["prepared"].y_train)
    n_sure, of = map(int, figure(app, "Beyond two errors of zero").split(" of "))
    assert 0 < n_sure <= of == n_rows
    moved = figure(app, "A value moves by")
    check(app.slider(key="extrinsic_weight").set_value(1.0).run())
    assert figure(app, "A value moves by") != moved
    assert not has(app.button, "repeat")


def test_a_column_that_parquet_cannot_hold_is_named_and_csv_still_offered():
    frame = pd.read_csv(io.BytesIO(CLEAN))
    frame["b"] = [f"n{b}" if b == 3 else b for b in frame["b"]]
    buffer = io.BytesIO()
    frame.to_excel(buffer, index=False)
    app = upload(open_app(), "mixed.xlsx", buffer.getvalue())
    go(app, "value")
    wait(app)
    check(app.button(key="start").click().run())
    wait(app)
    go(app, "prune")
    assert not app.warning
    check(app.segmented_control(key="format").set_value("parquet").run())
    assert "Column 'b' mixes kinds of values" in app.warning[0].value
    assert all(button.disabled for button in app.download_button[:3])


def test_a_folder_that_cannot_be_written_is_said_and_the_session_goes_on(monkeypatch, tmp_path):
    in_the_way = tmp_path / "a file"
    in_the_way.write_text("not a folder")
    monkeypatch.setenv("ECOVAL_WORKSPACE", str(in_the_way / "workspace"))
    app = go(valued(), "prune")
    assert any("Not kept beyond this session" in warning.value for warning in app.warning)
    check(app.slider(key="prune_share").set_value(10.0).run())
    wait(app)
    assert "90 % interval" in text(app)
    other = go(open_app(dict(app.query_params)), "prune")
    assert figure(other, "Rows to prune") == figure(app, "Rows to prune") != "0"


def test_what_every_visitor_shares_is_not_in_a_cache_that_any_client_can_clear():
    app = valued()
    st.cache_data.clear()
    st.cache_resource.clear()
    other = go(open_app(dict(app.query_params)), "explore")
    assert len(other.dataframe[0].value) == len(app.session_state["prepared"].y_train)


def test_a_run_reopens_with_its_curves_weight_and_decisions():
    app = go(valued(), "curves")
    check(app.button(key="measure").click().run())
    wait(app)
    check(app.slider(key="extrinsic_weight").set_value(0.4).run())
    go(app, "prune")
    check(app.slider(key="prune_share").set_value(20.0).run())
    n_pruned = figure(app, "Rows to prune")
    other = open_app()
    run = app.session_state["run_id"]
    check(other.button(key=f"recent_{run}").click().run())
    assert other.slider(key="extrinsic_weight").value == 0.4
    go(other, "prune")
    assert figure(other, "Rows to prune") == n_pruned
    go(other, "curves")
    assert f"extrinsic weight {DEFAULT_EXTRINSIC_WEIGHT:.2f}" in text(other)
    assert "199 refits in" in text(other)


def test_two_windows_with_one_address_do_not_overwrite_each_other():
    app = go(valued(), "prune")
    check(app.slider(key="prune_share").set_value(10.0).run())
    other = go(open_app(dict(app.query_params)), "prune")
    assert other.query_params["desk"] == app.query_params["desk"], "nothing was changed yet"
    check(other.slider(key="prune_share").set_value(30.0).run())
    assert other.query_params["desk"] != app.query_params["desk"]
    again = go(open_app(dict(app.query_params)), "prune")
    assert figure(again, "Rows to prune") == figure(app, "Rows to prune")
    assert figure(again, "Rows to prune") != figure(other, "Rows to prune")


def test_a_row_under_review_is_kept_pruned_or_relabelled_and_its_decision_shows_everywhere():
    app = go(valued(), "review")
    frame = app.session_state["weighted_run"][2].frame
    worst = [int(row) for row in frame["value"].sort_values(kind="stable").index[:3]]
    for verdict in ("prune", "keep"):
        check(app.button(key=f"review_{verdict}").click().run())
    rules = app.session_state["prune_list"]
    assert (rules.picked, rules.restored) == ({worst[0]}, {worst[1]})
    assert app.session_state["label_decisions"] == {worst[1]: "keep"}
    check(app.button(key="review_back").click().run())
    check(app.button(key="review_relabel").click().run())
    assert app.session_state["label_decisions"] == {worst[1]: "accept"}
    assert app.session_state["prune_list"].picked == {worst[0]}
    for _ in range(3):
        check(app.button(key="review_undo").click().run())
    assert app.button(key="review_undo").disabled
    assert app.session_state["label_decisions"] == {}
    assert app.session_state["prune_list"].picked == set()


def test_a_row_is_set_beside_its_class_and_clusters_are_described():
    app = go(valued("penguins", noise=False), "review")
    table = app.dataframe[0].value
    assert {"column", "value", "typical", "unusual"} == set(table.columns)
    assert set(table["column"]) >= {"island", "bill_length_mm", "sex"}
    check(app.segmented_control(key="review_queue").set_value("clusters").run())
    assert " is Torgersen in " in text(app)
    check(app.segmented_control(key="review_queue").set_value("labels").run())
    check(app.segmented_control(key="review_queue").set_value("selected").run())
    assert "Nothing is selected" in text(app)


def test_a_run_is_set_beside_another_method_and_both_curves_are_measured():
    app = go(valued(), "compare")
    wait(app)
    frame = app.session_state["weighted_run"][2].frame
    shapley = server.engine().read(
        server.engine().workspace(default_root()),
        orders.baseline(app.session_state["weighted_run"][2], "knn_shapley"),
    )
    expected = spearmanr(frame["value"], shapley).statistic
    assert figure(app, "Rank agreement") == f"{expected:.2f}"
    check(app.button(key="select_disagreements").click().run())
    chosen = app.session_state["selected_ids"]
    ranks = frame["value"].rank() - pd.Series(shapley, frame.index).rank()
    assert set(chosen) <= set(ranks.abs().nlargest(21).index)
    check(app.button(key="measure_both").click().run())
    wait(app)
    assert "rows that both value" in text(app)


def test_leave_one_out_waits_for_a_click_and_says_what_it_costs():
    app = go(valued(), "compare")
    wait(app)
    check(app.selectbox(key="compare_with").set_value("baseline leave_one_out").run())
    n_rows = len(app.session_state["prepared"].y_train)
    assert app.button(key="start_baseline").label == f"Value by Leave-one-out: {n_rows:,} fits"


def test_a_run_is_set_beside_another_run_of_the_same_file():
    app = valued()
    first = app.session_state["run_id"]
    check(app.number_input(key="value_seed").set_value(5).run())
    wait(app)
    check(app.button(key="start").click().run())
    wait(app)
    go(app, "compare")
    check(app.selectbox(key="compare_with").set_value(f"run {first}").run())
    assert 0.3 < float(figure(app, "Rank agreement")) < 1
    assert figure(app, "Rows compared") == str(len(app.session_state["prepared"].y_train))


def new_file(app, frame):
    content = frame.to_csv(index=False).encode()
    field = app.file_uploader(key="new_upload")
    check(field.set_value(("new.csv", content, "text/csv")).run())
    return wait(app)


def test_new_rows_are_valued_without_a_refit_and_what_does_not_fit_is_said():
    app = go(valued("penguins", noise=False), "new_data")
    frame = load_sample("penguins").frame.sample(60, random_state=0)
    frame = frame.rename(columns={"bill_length_mm": "Bill length MM"})
    frame.loc[frame.index[:10], "species"] = None
    frame.loc[frame.index[10], "species"] = "Emperor"
    new_file(app, frame)
    assert figure(app, "Rows in the file") == "60"
    assert figure(app, "Valued") == "49"
    assert "10 more have no label" in text(app)
    assert any("Emperor" in warning.value for warning in app.warning)
    places = app.dataframe[0].value["place"].tolist()
    assert places == sorted(places)
    doubts = app.dataframe[-1].value
    assert len(doubts) == 10
    assert doubts["place"].tolist() == list(range(1, 11))
    assert doubts["doubt"].iloc[0] == doubts["doubt"].max()
    check(app.button(key="measure_acquisition").click().run())
    wait(app)
    assert "Added by priority" in text(app)
    assert "90 % interval of the change" in "".join(e.value for e in (*app.info, *app.success))


def test_the_file_of_new_rows_is_in_the_unit_on_screen_and_keeps_apart_what_the_table_has(
    monkeypatch,
):
    offered = {}

    def remember(label, data, *args, key, **kwargs):
        offered[key] = data

    monkeypatch.setattr(st, "download_button", remember)
    app = go(valued("penguins", noise=False), "new_data")
    frame = load_sample("penguins").frame.sample(40, random_state=0)
    new_file(app, frame.assign(row_id=range(100, 140), unit="mm", ecoval_unit="cm"))
    screen = app.dataframe[0].value
    made = pd.read_csv(io.BytesIO(offered["download_new_rows"]()), float_precision="round_trip")
    made = made.set_index("ecoval_row_id")
    for column in ("value", "intrinsic", "extrinsic"):
        assert (made.loc[screen.index, column] == screen[column]).all()
    assert set(made["ecoval_ecoval_unit"]) == {"per mille of the surplus"}
    assert (set(made["unit"]), set(made["ecoval_unit"])) == ({"mm"}, {"cm"})
    assert made["row_id"].tolist() == list(range(100, 140))


def test_a_comparison_is_downloaded_in_the_units_on_screen_which_it_names(monkeypatch):
    offered = {}
    draw_button = st.download_button

    def remember(label, data, *args, key, **kwargs):
        offered[key] = data
        return draw_button(label, b"", *args, key=key, **kwargs)

    monkeypatch.setattr(st, "download_button", remember)
    app = go(valued(), "compare")
    wait(app)
    run = app.session_state["weighted_run"][2]
    made = pd.read_csv(io.BytesIO(offered["download_comparison"]()), float_precision="round_trip")
    made = made.set_index("row_id")
    assert set(made["unit this run"]) == {"per mille of the surplus"}
    assert set(made["unit KNN-Shapley"]) == {"KNN-Shapley's own"}
    assert (made["value this run"] == unit_of(run).scale(run.frame)["value"]).all()
    check(app.selectbox(key="unit").set_value("score").run())
    wait(app)
    made = pd.read_csv(io.BytesIO(offered["download_comparison"]()), float_precision="round_trip")
    assert set(made["unit this run"]) == {"units of probability"}
    assert made["value this run"].tolist() == run.frame["value"].tolist()
    check(app.segmented_control(key="compare_by").set_value("values").run())
    assert "Units: here units of probability; there KNN-Shapley's own." in text(app)


def test_a_new_file_without_a_needed_column_is_refused_with_the_columns_named():
    app = go(valued("penguins", noise=False), "new_data")
    new_file(app, load_sample("penguins").frame.drop(columns=["island", "sex"]))
    assert "island" in app.error[0].value
    assert "sex" in app.error[0].value
    assert "Which to acquire first" not in [e.value for e in app.subheader]


def test_what_is_noticed_in_the_cells_is_mended_by_a_click_and_named_in_the_recipe(monkeypatch):
    made = {}

    def remember(label, data, name, mime, **options):
        made[options["key"]] = data

    monkeypatch.setattr(st, "download_button", remember)
    frame = pd.DataFrame(
        {
            "share": [f"{i % 9} %" for i in range(90)],
            "smoker": ["Yes", "yes ", "no"] * 30,
            "size": [float(i % 7) for i in range(90)],
            "class": ["a", "b", "b"] * 30,
        }
    )
    app = upload(open_app(), "cells.csv", frame.to_csv(index=False).encode())
    assert app.session_state["prepared"].table.target == "class"
    boxes = [box for box in app.checkbox if box.key.startswith("data_mend_")]
    assert len(boxes) == 2
    check(app.button(key="mend_all").click().run())
    mended = app.session_state["prepared"].table.frame
    assert mended["share"].dtype.kind in "if"
    assert mended["smoker"].nunique() == 2
    check(app.checkbox(key="data_mend_0").uncheck().run())
    again = app.session_state["prepared"].table.frame
    assert again["share"].dtype.kind not in "if"
    assert again["smoker"].nunique() == 2
    check(app.number_input(key="data_seed").set_value(3).run())
    assert app.session_state["prepared"].table.frame["smoker"].nunique() == 2

    go(app, "value")
    wait(app)
    check(app.button(key="start").click().run())
    wait(app)
    go(app, "new_data")
    # Also under a header that differs in case and spaces alone.
    for names in ({}, {"share": " Share"}):
        new_file(app, frame.head(30).rename(columns=names))
        assert figure(app, "Valued") == "30", "the new rows are mended as the table was"
    assert not app.error
    go(app, "prune")
    recipe = json.loads(made["download_recipe"]())
    assert [one["column"] for one in recipe["mends"]] == ["smoker"]
    assert b"<html" in made["download_report"]()[:1000]


def test_runs_are_renamed_deleted_restored_exported_and_imported(monkeypatch):
    made = {}

    def remember(label, data, name, mime, **options):
        made[options["key"]] = data

    monkeypatch.setattr(st, "download_button", remember)
    app = go(valued(), "prune")
    check(app.slider(key="prune_share").set_value(10.0).run())
    run, frame = app.session_state["run_id"], app.session_state["weighted_run"][2].frame
    go(app, "runs")
    listed = app.dataframe[0].value
    assert listed["state"].tolist() == ["finished"]
    assert listed["rows"].tolist() == [len(frame)]
    check(app.text_input(key=f"run_name_{run}").set_value("First try").run())
    check(app.text_input(key=f"run_note_{run}").set_value("with planted errors").run())
    listed = app.dataframe[0].value
    assert (listed["name"][0], listed["note"][0]) == ("First try", "with planted errors")
    exported = made["export_run"]()
    check(app.button(key="delete_run").click().run())
    assert not app.dataframe
    assert "not valued yet" in text(app)
    check(app.button(key="undo_delete").click().run())
    assert app.dataframe[0].value["name"].tolist() == ["First try"]

    monkeypatch.setenv("ECOVAL_WORKSPACE", os.environ["ECOVAL_WORKSPACE"] + "-elsewhere")
    other = go(open_app(), "runs")
    field = other.file_uploader(key="run_upload")
    check(field.set_value(("run.ecoval", exported[:-100], "application/zip")).run())
    assert "Traceback" not in other.error[0].value
    field = other.file_uploader(key="run_upload")
    check(field.set_value(("run.ecoval", exported, "application/zip")).run())
    assert not other.error
    check(other.button(key="open_imported").click().run())
    go(other, "prune")
    found = other.session_state["weighted_run"][2].frame
    pd.testing.assert_frame_equal(found, frame, check_exact=True)
    assert figure(other, "Rows to prune") == str(round(0.1 * len(frame)))
