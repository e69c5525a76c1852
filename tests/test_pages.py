"""Every screen, driven as a visitor would, without a browser."""

import hashlib
import io
import json
import os
import re
import sqlite3
import threading
from functools import partial

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from scipy.stats import spearmanr
from screens import (
    CLEAN,
    check,
    figure,
    go,
    has,
    kept,
    mark_rows,
    open_app,
    opened,
    press,
    run_of,
    text,
    upload,
    value,
    wait,
)  # fmt: skip

from ecoval_core import charts
from ecoval_core.runs.exports import unit_of
from ecoval_core.tables import load_sample
from ecoval_core.work import slow
from ecoval_core.workspace.store import DATABASE
from ecoval_core.workspace.workspace import default_root, forget
from pages.shared import layout, removal, server, story

# umap-learn says so when it is imported and when it is handed neighbours, here from a job's thread,
# where the filters that the core sets around it may be undone by the main thread.
pytestmark = [
    pytest.mark.pages,
    pytest.mark.usefixtures("fresh_server"),
    pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning"),
    pytest.mark.filterwarnings(r"ignore:precomputed_knn\[2\]:UserWarning"),
]

NEEDS_RUN = ("explore", "labels", "prune", "new_data", "compare")
TITLES = {"new_data": "New data"}
BAD_FILES = {
    "empty.csv": b"",
    "one_column.csv": b"a\n" + b"1\n2\n" * 20,
    "infinite.csv": b"a,b,y\n" + b"1,inf,x\n2,1,z\n" * 20,
    "binary.csv": bytes(range(256)) * 20,
    "broken.xlsx": b"PK\x03\x04 and then nothing",
}


@pytest.fixture
def visit_table(valuations):
    """Open a screen with a table whose rows are not valued in this workspace."""

    def visit_table(screen, name="wine"):
        _, table = valuations.copy(name, default_root())
        with sqlite3.connect(default_root() / DATABASE) as db:
            db.execute("DELETE FROM runs")
            db.execute("DELETE FROM results WHERE kind = 'value'")
        return open_app({"data": table}, screen)

    return visit_table


@pytest.fixture
def offered(monkeypatch):
    """What the download buttons on a page give, by their keys."""
    made, draw_button = {}, st.download_button

    def remember(label, data, *args, key, **options):
        made[key] = data
        return draw_button(label, b"", *args, key=key, **options)

    monkeypatch.setattr(st, "download_button", remember)
    return made


def table(app, key):
    """Return the frame that a table shows, also where it was drawn again under a new key."""
    found = (one for one in app.dataframe if re.fullmatch(rf"{key}(_\d+)?", one.key or ""))
    return next(found).value


@pytest.fixture
def patient(monkeypatch):
    """Curves begin by themselves however slow this machine is."""
    monkeypatch.setattr(layout, "FEW_SECONDS", float("inf"))


def table_with(app, column):
    """Return the frame of the table with a column; only tables that rows are marked in have keys."""
    return next(one.value for one in app.dataframe if column in one.value)


def state_of(task):
    """Return the stored result of a task."""
    return server.workspace().load(task.key, task.definition.returns)


def csv_of(made):
    return pd.read_csv(io.BytesIO(made()), float_precision="round_trip")


# --- Every screen ---------------------------------------------------------------------------


@pytest.mark.parametrize("screen", ["data", "value", *NEEDS_RUN, "runs", "method"])
def test_screen_opens_before_there_is_anything(screen):
    app = open_app(screen=screen)
    assert app.header[0].value == TITLES.get(screen, screen.capitalize())
    if screen in NEEDS_RUN or screen == "value":
        assert "first" in app.info[0].value


@pytest.mark.parametrize("screen", NEEDS_RUN)
def test_screen_without_a_run_says_to_value_first(screen, visit_table):
    assert "Value them first" in visit_table(screen).info[0].value


def test_first_visit_shows_one_demo_button_one_upload_field_and_the_samples():
    app = open_app()
    assert [button.label for button in app.button].count("Try the demo") == 1
    assert len(app.file_uploader) == 1
    assert sum(button.label == "Load" for button in app.button) == 5


def test_unknown_address_says_so():
    app = open_app({"data": "0" * 32, "run": "1" * 32})
    assert "not in this workspace" in app.error[0].value


# --- Data -----------------------------------------------------------------------------------


def test_bad_files_say_one_sentence_and_the_open_table_stays(visit_table):
    app = visit_table("data", "penguins")
    for name, content in BAD_FILES.items():
        upload(app, name, content)
        (error,) = app.error
        assert "Traceback" not in error.value, name
        assert "\n" not in error.value.strip(), name
        assert "target **species**" in text(app), name
        has_choice = name == "infinite.csv"
        assert has(app.button, "open_refused") == has_choice, "where a choice of columns helps"


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
def test_good_file_opens_and_the_error_of_a_bad_one_goes(kind):
    app = upload(open_app(), "bad.csv", b"")
    assert app.error
    frame, buffer = pd.read_csv(io.BytesIO(CLEAN)), io.BytesIO()
    write = {"csv": frame.to_csv, "parquet": frame.to_parquet, "xlsx": frame.to_excel}[kind]
    write(buffer, index=False)
    upload(app, f"good.{kind}", buffer.getvalue())
    assert not app.error
    assert figure(app, "Rows") == "60"
    assert opened(app).table.name == f"good.{kind}"
    assert "60 rows · target **y**" in text(app)


def test_everything_assumed_can_be_changed(visit_table):
    app = visit_table("data", "penguins")
    check(app.selectbox(key="data_target").set_value("island").run())
    check(app.multiselect(key="data_excluded").set_value(["sex"]).run())
    check(app.slider(key="data_split").set_value((50, 75)).run())
    check(app.number_input(key="data_seed").set_value(7).run())
    check(app.toggle(key="data_noisy").set_value(True).run())
    check(app.slider(key="data_noise").set_value(20).run())
    spec, split = opened(app).spec, opened(app).split
    assert (spec.table.target, list(spec.table.excluded)) == ("island", ["sex"])
    assert spec.split.proportions == pytest.approx((0.5, 0.25, 0.25))
    assert spec.split.random_state == 7
    assert len(split.flipped_ids) == pytest.approx(0.2 * len(split.y_train), abs=1)
    assert f"target **island** · {len(split.flipped_ids)} planted errors" in text(app)


@pytest.mark.parametrize("target", ["only", "rare"])
def test_target_of_one_class_or_with_a_class_of_one_row_is_refused(target):
    frame = pd.read_csv(io.BytesIO(CLEAN)).assign(only="x", rare=["odd", *["x", "z"] * 29, "x"])
    columns = ["only", "rare", "a", "b", "y"]
    app = upload(open_app(), "one.csv", frame[columns].to_csv(index=False).encode())
    check(app.selectbox(key="data_target").set_value(target).run())
    assert "class" in app.error[0].value
    assert f"target **{target}**" not in text(app)


def test_impossible_task_is_refused_and_its_widget_taken_back(visit_table):
    app = visit_table("data", "penguins")
    check(app.segmented_control(key="data_task").set_value("regression").run())
    assert app.error
    assert app.segmented_control(key="data_task").value == "classification"


def test_refused_file_opens_without_the_column_at_fault(visit_table):
    app = visit_table("data")
    odd = CLEAN.replace(b"a,b,y", b"[a](x),b*_c_*,y").replace(b"\n1,1,", b"\n1,inf,", 1)
    upload(app, "odd_*name*.csv", odd)
    assert "infinite" in app.error[0].value
    assert r"b\*\_c\_\*" in app.error[0].value
    assert app.selectbox(key="refused_target").value == "y"
    check(app.multiselect(key="refused_excluded").set_value(["b*_c_*"]).run())
    press(app, "open_refused")
    assert not app.error
    assert not has(app.button, "open_refused")
    assert opened(app).table.features == ["[a](x)"]
    assert opened(app).table.name == "odd_*name*.csv"


def test_refused_file_opens_with_another_target():
    frame = pd.read_csv(io.BytesIO(CLEAN)).assign(label=["rare", *["x", "z"] * 29, "x"])
    app = upload(open_app(), "rare.csv", frame.to_csv(index=False).encode())
    press(app, "open_refused")
    assert "rare" in app.error[0].value
    check(app.selectbox(key="refused_target").set_value("y").run())
    assert "target **y**" in text(press(app, "open_refused"))


def test_refused_file_opens_with_its_cells_fixed():
    rows = "\n".join(f"{i % 7},{i % 5},{'ok' if i % 3 else 'fraud'}" for i in range(60))
    messy = f"a,b,outcome\n{rows}\n1,2,FRAUD\n2,1,fraud \n".encode()
    app = upload(open_app(), "messy.csv", messy)
    assert "single row" in app.error[0].value
    press(app, "fix_refused")
    assert not app.error
    assert figure(app, "Classes") == "2"


def test_cells_are_fixed_by_a_click_in_new_rows_too_and_the_recipe_says_so(offered):
    frame = pd.DataFrame(
        {
            "share": [f"{i % 9} %" for i in range(90)],
            "smoker": ["Yes", "yes ", "no"] * 30,
            "size": [float(i % 7) for i in range(90)],
            "class": ["a", "b", "b"] * 30,
        }
    )
    app = upload(open_app(), "cells.csv", frame.to_csv(index=False).encode())
    assert sum(box.key.startswith("data_fix_") for box in app.checkbox) == 2
    press(app, "fix_all")
    fixed = app.dataframe[0].value
    assert fixed["share"].dtype.kind in "if"
    assert fixed["smoker"].nunique() == 2
    check(app.checkbox(key="data_fix_0").uncheck().run())
    assert app.dataframe[0].value["share"].dtype.kind not in "if"
    check(app.number_input(key="data_seed").set_value(3).run())
    assert app.dataframe[0].value["smoker"].nunique() == 2

    value(app)
    go(app, "new_data")
    # Also under a header that differs in case and spaces alone.
    for names in ({}, {"share": " Share"}):
        new_file(app, frame.head(30).rename(columns=names))
        assert figure(app, "Valued") == "30"
    assert not app.error
    go(app, "prune")
    recipe = json.loads(offered["download_recipe"]())
    assert [one["column"] for one in recipe["run"]["table"]["fixes"]] == ["smoker"]
    assert b"<html" in offered["download_report"]()[:1000]


# --- Value ----------------------------------------------------------------------------------


def test_plan_says_fits_and_time_and_the_run_is_summed_up(visit):
    app = visit("value")
    assert any("fits, about" in markdown.value for markdown in wait(app).markdown)
    assert {metric.label for metric in app.metric} == {
        "Surplus", "Intrinsic share", "Clearly harmful rows", "Rows below zero"
    }  # fmt: skip
    assert [len(table.value) for table in app.dataframe] == [10, 10]
    assert (app.dataframe[0].value["standard_error"] > 0).all()
    run = run_of(app)
    assert figure(app, "Clearly harmful rows") == f"{len(run.harmful_ids):,}"
    effect = state_of(slow.change_effect(run, list(run.harmful_ids)))
    # They may have been measured on another page of this run.
    curves = state_of(removal.task_of(run))
    verdict = run.verdict(effect, None if curves is None else curves.frame)
    assert verdict.advice() in text(app)
    assert not app.toggle(key="balanced_classes").value
    assert "Below a third, this would be switched on automatically." in text(app)


def test_setting_of_the_model_chosen_on_the_page_is_that_of_the_run():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(80, 2)), columns=["a", "b"])
    frame["y"] = np.where(frame["a"] > 0, "in", "out")
    app = upload(open_app(), "sides.csv", frame.to_csv(index=False).encode())
    go(app, "value")
    check(app.number_input(key="parameter_logistic_regression.C").set_value(0.05).run())
    wait(press(wait(app), "start"))
    assert run_of(app).settings.parameters == {"C": 0.05}
    assert run_of(app).make_estimator().C == 0.05


def test_without_a_surplus_its_shares_are_dashes():
    random = np.random.default_rng(3)
    frame = pd.DataFrame(random.normal(size=(80, 12))).add_prefix("x")
    frame["y"] = random.permutation(["a", "b"] * 40)
    app = value(upload(open_app(), "chance.csv", frame.to_csv(index=False).encode()))
    assert float(figure(app, "Surplus")) <= 0
    assert figure(app, "Intrinsic share") == "–"
    assert "sum of cluster effects – of the surplus" in text(app)
    assert "nan" not in text(app)


def test_regression_speaks_of_targets():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(120, 3)), columns=["a", "b", "c"])
    frame["y"] = 2 * frame["a"] + frame["b"]
    frame.loc[::15, "y"] += 40
    app = value(upload(open_app(), "amounts.csv", frame.to_csv(index=False).encode()))
    assert "of squared error over the target's variance" in text(app)
    wait(go(app, "explore"))
    mark_rows(app, "explore_rows", [0])
    assert ": target " in app.subheader[0].value
    assert "label" not in text(app).replace("labels", "")
    go(app, "prune")
    check(app.slider(key="prune_share").set_value(30.0).run())
    captions = [one.value for one in wait(app).caption]
    pruned = captions[captions.index("**Pruned by target**") + 1]
    n_by_range = re.findall(r" to \S+: (\d+) of \d+", pruned)
    assert sum(map(int, n_by_range)) == int(figure(app, "Rows to prune"))
    assert "Kept by the limit of their class" not in [metric.label for metric in app.metric]
    go(app, "labels")
    listed = app.dataframe[0].value.index
    assert set(listed) == set(run_of(app).frame.query("label_issue").index)
    assert len(listed)
    assert "suggestion" not in text(app), "an unusual amount need not be an error"
    button = app.button(key="accept_labels")
    assert (button.label, button.disabled) == ("Take the expected target for 0 rows", True)
    mark_rows(app, "suspect_rows", [0])
    button = app.button(key="accept_labels")
    assert (button.label, button.disabled) == ("Take the expected target for 1 row", False)


def granularity(app):
    """Return what is chosen and what the plan calls automatic."""
    slider = app.select_slider(key="granularity")
    (automatic,) = [option for option in slider.options if option.endswith("(automatic)")]
    return slider.value, int(automatic.split()[0].replace(",", ""))


def choose_granularity(app, step):
    slider = app.select_slider(key="granularity")
    check(slider.set_value(int(slider.options[step].split()[0].replace(",", ""))).run())


def test_settings_reach_the_run_and_a_refresh_shows_them(visit_table):
    app = visit_table("value")
    choose_granularity(app, 3)
    check(app.selectbox(key="model_classification").set_value("naive_bayes").run())
    check(app.selectbox(key="scoring_classification").set_value("brier").run())
    wait(app)
    wait(press(app, "start"))
    assert "Naive Bayes" in text(app)
    assert "squared distance" in text(app)
    other = open_app(dict(app.query_params), "value")
    assert other.selectbox(key="model_classification").value == "naive_bayes"
    assert granularity(other)[0] == granularity(app)[0]


def test_granularity_is_automatic_for_each_table_and_a_choice_stays_with_its_table(visit_table):
    app = visit_table("value")
    chosen, automatic = granularity(app)
    assert chosen == automatic
    choose_granularity(app, 3)
    chosen = granularity(app)[0]
    assert chosen != automatic
    go(app, "data")
    check(app.toggle(key="data_noisy").set_value(True).run())
    assert granularity(go(app, "value"))[0] == chosen
    press(go(app, "data"), "sample_breast_cancer")
    chosen, of_larger = granularity(go(app, "value"))
    assert chosen == of_larger > automatic
    check(app.toggle(key="every_row").set_value(True).run())
    chosen, of_every_row = granularity(app)
    assert chosen == of_every_row > of_larger


def test_demo_survives_a_refresh_leads_to_the_map_and_is_automatic_whatever_was_chosen():
    app = press(open_app(), "demo")
    assert app.header[0].value == "Value"
    other = open_app(dict(app.query_params), "value")
    assert other.query_params["run"] == app.query_params["run"]
    wait(app)
    assert app.header[0].value == "Explore"
    assert "162 planted errors" in text(app)
    surplus = figure(wait(other), "Surplus")
    assert figure(go(app, "value"), "Surplus") == surplus
    choose_granularity(app, 2)
    assert granularity(app)[0] != granularity(app)[1]
    go(wait(press(go(app, "data"), "demo")), "value")
    chosen, automatic = granularity(app)
    assert chosen == automatic
    assert f"{automatic:,} clusters" in text(app)


def test_run_under_way_shows_its_settings_after_a_refresh_and_is_cancelled():
    app = go(press(open_app(), "sample_digits"), "value")
    check(app.selectbox(key="model_classification").set_value("random_forest").run())
    check(app.number_input(key="value_seed").set_value(7).run())
    choose_granularity(app, -1)
    wait(app)
    press(app, "start")
    assert "Cancel" in [button.label for button in app.button]
    other = open_app(dict(app.query_params), "value")
    assert has(other.button, "cancel")
    assert other.selectbox(key="model_classification").value == "random_forest"
    assert other.number_input(key="value_seed").value == 7
    for window in (other, app):
        wait(press(window, "cancel"))
        assert "cancelled" in text(window)
        assert not window.metric
        assert has(window.button, "start")


def test_damaged_values_are_offered_to_be_made_again(visit):
    app = visit("value")
    with sqlite3.connect(default_root() / DATABASE) as db:
        db.execute("UPDATE results SET content = x'00' WHERE kind = 'value'")
    forget()
    app = open_app(dict(app.query_params), "value")
    assert "value the rows again" in app.warning[0].value
    assert figure(wait(press(app, "run_again")), "Surplus")


def test_same_file_under_another_name_opens_under_that_name():
    app = upload(open_app(), "monday.csv", CLEAN)
    value(app)
    assert upload(go(app, "data"), "tuesday.csv", CLEAN).subheader[0].value == "tuesday.csv"
    value(app)
    assert run_of(app).table.name == "tuesday.csv"


def test_weight_and_unit_change_every_view_without_a_fit(visit):
    app = visit("value")
    run, multiples = app.query_params["run"], app.dataframe[0].value["value"]
    surplus = float(figure(app, "Surplus"))
    check(app.selectbox(key="unit").set_value("score").run())
    scaled = app.dataframe[0].value["value"] * len(run_of(app).frame) / surplus
    assert scaled.tolist() == pytest.approx(multiples.tolist(), rel=0.01)
    check(app.slider(key="extrinsic_weight").set_value(1.0).run())
    assert app.query_params["run"] == run
    assert app.dataframe[0].value["value"].tolist() != scaled.tolist()
    assert go(app, "explore").slider(key="extrinsic_weight").value == 1.0


@pytest.mark.usefixtures("patient")
def test_every_row_is_valued_at_five_times_the_fits_and_followed_on_every_page(visit_table):
    app = visit_table("value")
    split = opened(app).split
    n_rows = len(split.y_train) + len(split.y_val)
    check(app.toggle(key="every_row").set_value(True).run())
    wait(app)
    assert "in each of 5 folds" in text(app)
    assert f"{n_rows} rows are valued, which takes 5 times as many fits" in text(app)
    wait(press(app, "start"))
    assert figure(app, "Rows below zero").endswith(f"of {n_rows}")
    values = app.dataframe[0].value["value"].tolist()
    check(app.slider(key="extrinsic_weight").set_value(1.0).run())
    assert app.dataframe[0].value["value"].tolist() != values
    go(app, "explore")
    row = int(split.ids_val[0])
    mark_rows(app, "explore_rows", [app.dataframe[0].value.index.get_loc(row)])
    assert app.subheader[0].value.startswith(f"Row {row}: label")
    go(app, "prune")
    check(app.slider(key="prune_share").set_value(10.0).run())
    assert figure(wait(app), "Rows to prune") == str(round(0.1 * n_rows))
    assert "90 % interval" in text(app)
    assert table_with(app, "strategy")["n_removed"].max() > 0.5 * len(split.y_train)
    assert open_app(dict(app.query_params), "value").toggle(key="every_row").value


def test_repeats_say_how_stable_values_are_at_any_weight(visit):
    app = wait(press(visit("value"), "repeat"))
    assert 0 < float(figure(app, "Rank agreement")) <= 1
    n_sure, of = map(int, figure(app, "More than two errors from zero").split(" of "))
    assert 0 < n_sure <= of == len(run_of(app).frame)
    moved = figure(app, "A value moves by")
    check(app.slider(key="extrinsic_weight").set_value(1.0).run())
    assert figure(app, "A value moves by") != moved
    assert not has(app.button, "repeat")


# --- Explore and Decompose ------------------------------------------------------------------


def select(app, ids):
    """Select rows by the search field; lassos on the map are for the browser's tests."""
    field = app.text_input(key="search_rows")
    return check(field.set_value(", ".join(map(str, ids))).run())


def test_selection_fills_the_table_and_goes_to_the_prune_list(visit):
    app = visit("explore")
    ids = run_of(app).ids[:4].tolist()
    select(app, ids)
    assert "Selected: 4" in text(app)
    assert sorted(app.dataframe[0].value.index) == ids
    assert app.button(key="add_to_prune").label == "Prune 4"
    press(app, "add_to_prune")
    assert "To prune: 4" in text(app)
    press(app, "clear_selection")
    assert "Selected: 0" in text(app)
    assert figure(go(app, "prune"), "Rows to prune") == "4"


def test_selection_is_inverted_and_grown_to_clusters(visit):
    app = visit("explore")
    frame = run_of(app).frame
    first = int(frame.index[0])
    select(app, [first])
    assert app.subheader[0].value.startswith(f"Row {first}:"), "the only row found is read about"
    press(app, "grow_selection")
    cluster = frame.index[frame["cluster"] == frame.loc[first, "cluster"]]
    assert sorted(table(app, "explore_rows").index) == cluster.tolist()
    press(app, "invert_selection")
    assert sorted(table(app, "explore_rows").index) == frame.index.difference(cluster).tolist()


def test_rows_are_found_by_text_and_filtered_and_coloured_by_any_column(visit):
    app = visit("explore", "penguins")
    run = run_of(app)
    frame = run.table.frame.loc[run.ids]
    torgersen = frame.index[frame["island"] == "Torgersen"].tolist()
    for words in ("torgersen", "nowhere"):
        check(app.text_input(key="search_rows").set_value(words).run())
        assert sorted(app.dataframe[0].value.index) == torgersen
    assert "No valued row has this number" in text(app)
    press(app, "clear_selection")
    check(app.multiselect(key="filter_columns").set_value(["year"]).run())
    assert len(app.dataframe[0].value) == len(frame)
    check(app.slider(key="filter_range_year").set_value((2008.0, 2009.0)).run())
    assert len(app.dataframe[0].value) == (frame["year"] >= 2008).sum()
    check(app.multiselect(key="filter_columns").set_value(["year", "island"]).run())
    check(app.multiselect(key="filter_values_island").set_value(["Dream"]).run())
    both = (frame["year"] >= 2008) & (frame["island"] == "Dream")
    assert 0 < len(app.dataframe[0].value) == both.sum() < (frame["island"] == "Dream").sum()
    for color in ("label_quality", "column: island", "column: bill_length_mm"):
        check(app.selectbox(key="map_color").set_value(color).run())


def test_row_marked_in_the_table_is_explained(visit):
    app = visit("explore")
    mark_rows(app, "explore_rows", [0])
    row = table(app, "explore_rows").iloc[0]
    assert app.subheader[0].value.startswith(f"Row {row.name}: label")
    assert unit_of(run_of(app)).text(
        *run_of(app).frame.loc[row.name, ["value", "standard_error"]]
    ) in text(app)
    assert "the lowest of" in text(app)
    assert "Its cluster" in text(app)
    assert "nearest neighbours carry the same" in text(app)
    assert len(table(app, f"neighbors_{row.name}")) == 11
    kinds = charts.quadrant_of(run_of(app).frame)
    for kind in kinds.unique():
        kept(app)["picked_id"] = int(kinds.index[kinds == kind][0])
        check(app.run())
        assert ("**pulls the model away**" in text(app)) == kind.endswith("harmful")


@pytest.mark.parametrize("sample", ["wine", "penguins"])
def test_a_row_has_one_quality_and_one_verdict_on_its_label(visit, sample):
    run = run_of(visit("explore", sample))
    for row_id, row in run.frame.iloc[::5].iterrows():
        said = story.credibility(run, row_id, story.neighbors_of(run, row_id))
        said += story.why(run, row_id)
        assert re.findall(r"\d\.\d\d of 1", said) == [f"{row['label_quality']:.2f} of 1"]
        assert ("looks wrong" in said) == row["label_issue"]
        is_likeliest = row["label"] == row["suggested_label"]
        assert ("no label likelier" in said) == is_likeliest
        assert ("is no label issue" in said) == (not is_likeliest and not row["label_issue"])


def test_sentence_on_a_cluster_never_contradicts_its_value(visit):
    run = run_of(visit("explore"))
    worth, error = run.ecoval.cluster_values_, run.ecoval.cluster_standard_errors_
    seen = set()
    for row in run.frame.index[::7]:
        said = story.about_cluster(run, int(row))
        cluster = int(run.frame.loc[row, "cluster"])
        sure = abs(worth[cluster]) > 2 * error[cluster]
        assert unit_of(run).text(worth[cluster], error[cluster]) in said
        assert "is passed on to its rows" in said
        assert ("about the same" in said) == (not sure)
        if sure:
            assert ("scores worse" in said) == (worth[cluster] > 0)
        seen.add(sure)
    assert seen == {True, False}


def test_filters_narrow_the_table_and_do_no_harm_to_another(visit):
    app = visit("explore")
    frame = app.dataframe[0].value
    label = frame["label"].iloc[0]
    check(app.multiselect(key="filter_labels").set_value([label]).run())
    assert set(app.dataframe[0].value["label"]) == {label}
    check(app.toggle(key="filter_negative").set_value(True).run())
    n_negative = ((frame["value"] < 0) & (frame["label"] == label)).sum()
    assert len(app.dataframe[0].value) == n_negative
    check(app.toggle(key="filter_planted").set_value(True).run())
    assert app.dataframe[0].value["flipped"].all()
    value(press(go(app, "data"), "sample_penguins"))
    assert go(app, "explore").dataframe[0].value["label"].nunique() == 3


def test_status_says_how_many_of_the_selected_rows_pass_the_filters(visit):
    app = visit("explore")
    labels = run_of(app).frame["label"]
    is_one = labels == labels.iloc[0]
    select(app, [*labels.index[is_one][:2], *labels.index[~is_one][:3]])
    assert "pass the filters" not in text(app)
    check(app.multiselect(key="filter_labels").set_value([labels.iloc[0]]).run())
    assert "Selected: 5, 2 pass the filters" in text(app)


def test_selection_is_saved_by_name_selected_again_and_deleted(visit):
    app = visit("explore", "wine")
    frame = run_of(app).frame
    first, second = frame.index[:5].tolist(), frame.index[5:8].tolist()

    def select(ids):
        kept(app)["selected_ids"] = ids
        check(app.run())

    select(first)
    check(app.text_input(key="selection_name").set_value("odd [ones](x)").run())
    assert "Saved as" in text(app)
    select(second)
    assert "Saved as" not in text(app)
    press(app, "select_saved_0")
    assert kept(app)["selected_ids"] == first
    # It is in the review, which a new session opens.
    again = wait(open_app(dict(app.query_params), "explore"))
    assert again.button(key="select_saved_0").label.endswith(": 5 rows")
    press(again, "forget_saved_0")
    assert not has(again.button, "select_saved_0")


def test_untouched_range_is_no_filter_when_more_rows_are_valued(visit):
    app = visit("explore", "wine")
    check(app.multiselect(key="filter_columns").set_value(["color_intensity"]).run())
    first = app.slider(key="filter_range_color_intensity").value
    go(app, "value")
    check(app.toggle(key="every_row").set_value(True).run())
    wait(press(app, "start"))
    go(app, "explore")
    more = app.slider(key="filter_range_color_intensity").value
    assert more[0] < first[0] < first[1] < more[1]
    n_rows = len(run_of(app).frame)
    assert len(app.dataframe[0].value) == n_rows
    check(app.slider(key="filter_range_color_intensity").set_value((3.0, 5.0)).run())
    assert len(app.dataframe[0].value) < n_rows


def test_umap_comes_in_the_background_and_pca_is_there_at_once(valuations, monkeypatch):
    run, _ = valuations.copy("wine planted", default_root())
    with sqlite3.connect(default_root() / DATABASE) as db:
        db.execute("DELETE FROM results WHERE kind = 'umap'")
    may_start, start_job = threading.Event(), server.engine().jobs._start

    def held_back(job):
        assert may_start.wait(60)
        return start_job(job)

    monkeypatch.setattr(server.engine().jobs, "_start", held_back)
    app = open_app({"run": run}, "explore")
    assert "UMAP projection is ready" in text(app)
    may_start.set()
    assert "UMAP projection is ready" not in text(wait(app))
    assert not app.error


def test_marked_clusters_select_their_rows_and_clusters_are_described(visit):
    app = visit("explore", "penguins")
    check(app.segmented_control(key="explore_below").set_value("clusters").run())
    worst = table(app, "cluster_rows").iloc[0]
    assert (table(app, "cluster_rows")["left_out_error"] > 0).all()
    mark_rows(app, "cluster_rows", [0])
    assert f"Selected: {worst['n_rows']}" in text(app)
    assert "What sets them apart" in text(app)
    check(app.segmented_control(key="explore_below").set_value("words").run())
    assert " is Torgersen in " in text(app)


# --- Curves ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("patient")
def test_curves_begin_by_themselves_conclude_and_are_balanced_on_request(visit):
    app = wait(visit("prune"))
    assert "199 model fits in" in text(app)
    summary = table_with(app, "strategy")
    assert set(summary["strategy"]) == {"lowest", "highest", "random", "random_clusters"}
    assert "Removing the lowest values first" in text(app)
    check(app.selectbox(key="curve_measure").set_value("recall: class_1").run())
    assert not table_with(app, "strategy").equals(summary)
    wait(check(app.toggle(key="balanced").set_value(True).run()))
    assert not table_with(app, "strategy").equals(summary)
    check(app.toggle(key="balanced").set_value(False).run())
    wait(check(app.slider(key="extrinsic_weight").set_value(0.8).run()))
    assert not table_with(app, "strategy").equals(summary)


@pytest.mark.usefixtures("patient")
def test_score_chosen_for_the_curves_is_that_of_its_run_alone(visit):
    app = wait(visit("prune"))
    shown = app.selectbox(key="curve_measure")
    main = run_of(app).main_measure
    other = next(name for name in ("balanced_accuracy", "roc_auc") if name != main)
    check(shown.set_value(other).run())
    assert app.selectbox(key="curve_measure").value == other
    value(wait(press(go(app, "data"), "sample_penguins")))
    wait(go(app, "prune"))
    assert app.selectbox(key="curve_measure").value == run_of(app).main_measure != other


# --- Prune ----------------------------------------------------------------------------------


def test_prune_rules_combine_can_be_undone_and_rows_restored(visit):
    app = visit("prune")
    lowest = str(round(0.1 * len(run_of(app).frame)))
    check(app.slider(key="prune_share").set_value(10.0).run())
    assert figure(app, "Rows to prune") == lowest
    check(app.toggle(key="prune_by_threshold").set_value(True).run())
    n_both = int(figure(app, "Rows to prune"))
    press(app, "undo")
    assert figure(app, "Rows to prune") == lowest
    assert not app.toggle(key="prune_by_threshold").value
    press(app, "redo")
    assert int(figure(app, "Rows to prune")) == n_both
    mark_rows(app, "pruned_rows", [0, 1])
    press(app, "restore")
    assert int(figure(app, "Rows to prune")) == n_both - 2
    press(app, "unrestore")
    assert int(figure(app, "Rows to prune")) == n_both
    check(app.number_input(key="prune_threshold_rows").set_value(-1e6).run())
    assert figure(app, "Rows to prune") == lowest
    press(app, "clear")
    assert figure(app, "Rows to prune") == "0"
    assert app.slider(key="prune_share").value == 0


def test_effect_of_pruning_is_measured_and_planted_errors_counted(visit):
    app = visit("prune")
    check(app.slider(key="prune_share").set_value(15.0).run())
    assert "90 % interval" in text(wait(app))
    frame = run_of(app).frame
    pruned = frame.nsmallest(round(0.15 * len(frame)), "value")
    caught, planted = pruned["flipped"].sum(), frame["flipped"].sum()
    assert figure(app, "Planted errors caught") == f"{caught} of {planted}"
    assert f"precision {caught / len(pruned):.0%}, recall {caught / planted:.0%}" in text(app)


def test_pruning_too_much_says_so_once_the_quota_is_off(visit):
    app = visit("prune", "wine")
    check(app.slider(key="prune_quota").set_value(0).run())
    check(app.toggle(key="prune_by_threshold").set_value(True).run())
    check(app.number_input(key="prune_threshold_rows").set_value(1e6).run())
    assert "prune fewer rows" in wait(app).error[0].value


def test_rare_class_weighs_equally_by_itself_and_survives_pruning(visit):
    app = visit("value", "loans")
    assert app.toggle(key="balanced_classes").value
    assert "Below a third, this is switched on automatically." in text(app)
    frame = run_of(app).frame
    sizes = frame["label"].value_counts()
    go(app, "prune")
    check(app.toggle(key="prune_by_threshold").set_value(True).run())
    wait(app)
    pruned = frame[frame["value"] < 0]["label"].value_counts()
    assert pruned.get("charged off", 0) <= sizes["charged off"] // 2
    table = next(t.value for t in app.dataframe if "90 % interval" in t.value)
    assert {"recall of charged off", "recall of paid", "balanced accuracy"} < set(table["measure"])
    assert table.set_index("measure").loc["recall of charged off", "test rows"] < 20
    # Asked to prune everything, half of each class stays.
    check(app.number_input(key="prune_threshold_rows").set_value(1e6).run())
    assert figure(app, "Rows to prune") == str(sum(size // 2 for size in sizes))
    spared = {label: size - size // 2 for label, size in sizes.items()}
    assert figure(app, "Kept by the limit of their class") == str(sum(spared.values()))
    assert f"charged off: {spared['charged off']} of {sizes['charged off']}" in text(app)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_downloads_hold_the_rows_they_say_and_the_numbers_on_screen(kind, visit, offered):
    app = visit("prune", "wine")
    check(app.slider(key="prune_share").set_value(10.0).run())
    check(app.segmented_control(key="format").set_value(kind).run())
    assert [button.label for button in app.download_button] == [
        "Every fit as CSV",
        "Pruned table",
        "Removed rows",
        "All rows with values",
        "Report (HTML)",
        "Recipe (JSON)",
    ]
    read = (
        pd.read_parquet if kind == "parquet" else partial(pd.read_csv, float_precision="round_trip")
    )
    original, n_pruned = run_of(app).table.frame, int(figure(app, "Rows to prune"))
    sums = {}
    for unit in ("rows", "share", "score"):
        check(app.selectbox(key="unit").set_value(unit).run())
        wait(app)
        kept, removed, every = (
            read(io.BytesIO(offered[f"download_{name}"]())).set_index("row_id")
            for name in ("kept", "removed", "all_values")
        )
        assert list(kept) == list(original)
        assert [len(kept), len(removed)] == [len(original) - n_pruned, n_pruned]
        assert every.index.tolist() == original.index.tolist()
        screen = next(table.value for table in app.dataframe if "reason" in table.value)
        assert sorted(screen.index) == removed.index.tolist()
        for column in ("value", "standard_error", "intrinsic", "extrinsic", "reason"):
            assert (removed.loc[screen.index, column] == screen[column]).all(), column
        pd.testing.assert_frame_equal(
            every[every["pruned"]], removed, check_dtype=False, check_exact=True
        )
        recipe = json.loads(offered["download_recipe"]())
        for name in ("removed", "all_values"):
            digest = hashlib.sha256(offered[f"download_{name}"]()).hexdigest()
            assert digest == recipe["expected"]["files"][f"{name}.{kind}"]
        assert b"written in " + every["unit"].iloc[0].encode() in offered["download_report"]()
        sums[every["unit"].unique().item()] = removed["value"].sum()
        total = float(figure(app, "Their value together").replace("−", "-").rstrip("×"))
        assert total == pytest.approx(removed["value"].sum(), rel=0.2)
    assert list(sums) == ["average rows", "per mille of the surplus", "units of probability"]
    assert len(set(sums.values())) == 3


def test_column_that_parquet_cannot_hold_is_named_and_csv_still_offered():
    frame = pd.read_csv(io.BytesIO(CLEAN))
    frame["b"] = [f"n{b}" if b == 3 else b for b in frame["b"]]
    buffer = io.BytesIO()
    frame.to_excel(buffer, index=False)
    app = go(value(upload(open_app(), "mixed.xlsx", buffer.getvalue())), "prune")
    assert not app.warning
    check(app.segmented_control(key="format").set_value("parquet").run())
    assert "Column 'b' mixes kinds of values" in app.warning[0].value
    assert all(button.disabled for button in app.download_button[:3])


# --- What lasts -----------------------------------------------------------------------------


def test_refresh_keeps_the_prune_list_and_windows_do_not_overwrite_each_other(visit):
    app = visit("prune")
    check(app.slider(key="prune_share").set_value(10.0).run())
    n_pruned = figure(app, "Rows to prune")
    other = open_app(dict(app.query_params), "prune")
    assert figure(other, "Rows to prune") == n_pruned != "0"
    assert other.query_params["review"] == app.query_params["review"], "nothing was changed yet"
    press(other, "undo")
    assert figure(other, "Rows to prune") == "0"
    assert other.query_params["review"] != app.query_params["review"]
    again = open_app(dict(app.query_params), "prune")
    assert figure(again, "Rows to prune") == n_pruned


def test_folder_that_cannot_be_written_is_said_and_the_session_goes_on(monkeypatch, tmp_path):
    in_the_way = tmp_path / "a file"
    in_the_way.write_text("not a folder")
    monkeypatch.setenv("ECOVAL_WORKSPACE", str(in_the_way / "workspace"))
    app = go(value(upload(open_app(), "clean.csv", CLEAN)), "prune")
    assert any("Not kept beyond this session" in warning.value for warning in app.warning)
    check(app.slider(key="prune_share").set_value(10.0).run())
    assert "90 % interval" in text(wait(app))
    other = open_app(dict(app.query_params), "prune")
    assert figure(other, "Rows to prune") == figure(app, "Rows to prune") != "0"


def test_run_is_there_after_any_client_clears_the_caches(visit):
    app = visit("explore")
    st.cache_data.clear()
    st.cache_resource.clear()
    other = open_app(dict(app.query_params), "explore")
    assert len(other.dataframe[0].value) == len(run_of(app).frame)


@pytest.mark.usefixtures("patient")
def test_run_reopens_with_its_curves_weight_and_decisions(visit):
    app = wait(visit("prune"))
    check(app.slider(key="extrinsic_weight").set_value(0.4).run())
    check(app.slider(key="prune_share").set_value(20.0).run())
    n_pruned, run = figure(app, "Rows to prune"), app.query_params["run"]
    other = press(open_app(), f"recent_{run}")
    assert other.slider(key="extrinsic_weight").value == 0.4
    assert figure(wait(go(other, "prune")), "Rows to prune") == n_pruned
    assert "199 model fits in" in text(other)


def test_undone_deletion_goes_on_with_the_run_that_was_open(visit):
    app = visit("runs")
    run = app.query_params["run"]
    press(app, "delete_run")
    assert "run" not in app.query_params
    press(app, "undo_delete")
    assert app.query_params["run"] == run


def test_runs_are_renamed_deleted_restored_exported_and_imported(visit, offered, monkeypatch):
    app = visit("prune")
    check(app.slider(key="prune_share").set_value(10.0).run())
    run, frame = app.query_params["run"], run_of(app).frame
    go(app, "runs")
    listed = app.dataframe[0].value
    assert listed["state"].tolist() == ["finished"]
    assert listed["rows"].tolist() == [len(frame)]
    check(app.text_input(key=f"run_name_{run}").set_value("First try").run())
    check(app.text_input(key=f"run_note_{run}").set_value("with planted errors").run())
    listed = app.dataframe[0].value
    assert (listed["name"][0], listed["note"][0]) == ("First try", "with planted errors")
    exported = offered["export_run"]()
    press(app, "delete_run")
    assert not app.dataframe
    assert "run" not in app.query_params
    press(app, "undo_delete")
    assert app.dataframe[0].value["name"].tolist() == ["First try"]

    monkeypatch.setenv("ECOVAL_WORKSPACE", os.environ["ECOVAL_WORKSPACE"] + "-elsewhere")
    other = upload(open_app(screen="runs"), "run.ecoval", exported[:-100], "run_upload")
    assert "Traceback" not in other.error[0].value
    upload(other, "run.ecoval", exported, "run_upload")
    assert not other.error
    go(press(other, "open_imported"), "prune")
    pd.testing.assert_frame_equal(run_of(other).frame, frame, check_exact=True)
    assert figure(other, "Rows to prune") == str(round(0.1 * len(frame)))


# --- Labels -----------------------------------------------------------------------------


def test_wrong_labels_are_accepted_kept_undone_measured_and_exported(visit, offered):
    app = visit("labels")
    frame = run_of(app).frame
    listed = app.dataframe[0].value
    assert listed["label_quality"].is_monotonic_increasing
    assert (listed["label"] != listed["suggested_label"]).all()
    assert frame.loc[listed.index, "flipped"].mean() > 0.5
    check(app.toggle(key="label_undecided").set_value(True).run())
    mark_rows(app, "suspect_rows", [0, 2])
    press(app, "keep_labels")
    left = listed.index.delete([0, 2]).tolist()
    assert app.dataframe[0].value.index.tolist() == left
    # A row that moves up into the place of a marked one is not marked.
    assert app.button(key="accept_labels").label == f"Accept the suggestion for {len(left)} rows"
    press(app, "undo_labels")
    assert app.dataframe[0].value.index.tolist() == listed.index.tolist()
    wait(press(app, "accept_labels"))
    measured = [t.value.set_index("measure") for t in app.dataframe if "90 % interval" in t.value]
    assert len(measured) == 2
    assert measured[0].loc["accuracy", "before"] == measured[1].loc["accuracy", "before"]
    go(app, "prune")
    kept = csv_of(offered["download_kept"]).set_index("row_id")
    corrected = kept["corrected_label"]
    assert (corrected[listed.index] == frame.loc[listed.index, "suggested_label"]).all()
    others = kept.index.difference(listed.index)
    assert (corrected[others] == kept.loc[others, run_of(app).table.target]).all()


def test_row_whose_new_label_is_accepted_leaves_the_prune_list(visit, offered):
    app = visit("prune")
    check(app.slider(key="prune_share").set_value(20.0).run())
    pruned = set(kept(app)["prune_reasons"][1].reasons.index)
    wait(press(go(app, "labels"), "accept_labels"))
    accepted = set(kept(app)["label_decisions"])
    assert pruned & accepted
    go(app, "prune")
    remaining = set(csv_of(offered["download_kept"])["row_id"])
    assert accepted <= remaining
    assert not (pruned - accepted) & remaining


def test_row_under_review_is_kept_pruned_or_relabelled_and_its_decision_shows_everywhere(visit):
    app = cards_of(visit("labels"))
    check(app.segmented_control(key="review_queue").set_value("values").run())
    frame = run_of(app).frame
    worst = [int(row) for row in frame["value"].sort_values(kind="stable").index[:3]]
    for verdict in ("prune", "keep"):
        press(app, f"review_{verdict}")
    rules = kept(app)["prune_list"]
    assert (rules.picked, rules.restored) == ({worst[0]}, {worst[1]})
    assert kept(app)["label_decisions"] == {worst[1]: "keep"}
    press(app, "review_back")
    press(app, "review_relabel")
    assert kept(app)["label_decisions"] == {worst[1]: "accept"}
    assert "To prune: 1" in text(app)
    for _ in range(3):
        press(app, "review_undo")
    assert app.button(key="review_undo").disabled
    assert kept(app)["label_decisions"] == {}
    assert "To prune: 0" in text(app)


def cards_of(app):
    return check(app.segmented_control(key="label_view").set_value("cards").run())


def test_row_is_compared_with_its_class(visit):
    app = cards_of(visit("labels", "penguins"))
    check(app.segmented_control(key="review_queue").set_value("values").run())
    shown = table_with(app, "unusual")
    assert {"column", "value", "typical", "unusual"} == set(shown.columns)
    assert set(shown["column"]) >= {"island", "bill_length_mm", "sex"}
    check(app.segmented_control(key="review_queue").set_value("selected").run())
    assert "Nothing is selected" in text(app)


# --- Compare --------------------------------------------------------------------------------


def test_run_is_compared_with_another_method_and_both_curves_are_measured(visit):
    app = visit("compare")
    run = run_of(app)
    task = slow.baseline(run.key, "knn_shapley")
    shapley = server.workspace().load(task.key, np.ndarray)
    expected = spearmanr(run.frame["value"], shapley).statistic
    assert figure(app, "Rank agreement") == f"{expected:.2f}"
    press(app, "select_disagreements")
    chosen = kept(app)["selected_ids"]
    ranks = run.frame["value"].rank() - pd.Series(shapley, run.frame.index).rank()
    assert set(chosen) <= set(ranks.abs().nlargest(21).index)
    wait(press(app, "measure_both"))
    assert "rows that both value" in text(app)


def test_method_that_takes_long_waits_for_a_click_and_says_how_long(visit, monkeypatch):
    app = visit("compare")
    monkeypatch.setattr(layout, "FEW_SECONDS", 0.0)
    wait(check(app.selectbox(key="compare_with").set_value("baseline leave_one_out").run()))
    assert not app.metric
    label = app.button(key="start_baseline").label
    assert re.fullmatch(r"Value by Leave-one-out, about [\d.]+ (s|min)", label)
    assert figure(wait(press(app, "start_baseline")), "Rank agreement")


def test_comparison_is_downloaded_in_the_units_on_screen(visit, offered):
    app = visit("compare")
    run = run_of(app)
    made = csv_of(offered["download_comparison"]).set_index("row_id")
    assert set(made["unit this run"]) == {"average rows"}
    assert set(made["unit KNN-Shapley"]) == {"KNN-Shapley's own"}
    assert (made["value this run"] == unit_of(run).scale(run.frame)["value"]).all()
    check(app.selectbox(key="unit").set_value("score").run())
    made = csv_of(offered["download_comparison"])
    assert set(made["unit this run"]) == {"units of probability"}
    assert made["value this run"].tolist() == run.frame["value"].tolist()
    check(app.segmented_control(key="compare_by").set_value("values").run())
    assert "Units: here units of probability; there KNN-Shapley's own." in text(app)


def test_runs_of_one_file_are_compared_whatever_was_fixed_in_it():
    frame = pd.read_csv(io.BytesIO(CLEAN)).assign(share=[f"{i % 9} %" for i in range(60)])
    app = value(upload(open_app(), "cells.csv", frame.to_csv(index=False).encode()))
    first = app.query_params["run"]
    value(press(go(app, "data"), "fix_all"))
    second = app.query_params["run"]
    assert first != second
    go(app, "compare")
    check(app.selectbox(key="compare_with").set_value(f"run {first}").run())
    assert figure(wait(app), "Rows compared") == str(len(run_of(app).frame))
    go(press(go(app, "data"), f"recent_{first}"), "compare")
    assert any(
        "cells" in option and "(2)" in option
        for option in app.selectbox(key="compare_with").options
    )


# --- New data -------------------------------------------------------------------------------


def new_file(app, frame):
    return upload(app, "new.csv", frame.to_csv(index=False).encode(), "new_upload")


def test_new_rows_are_valued_without_a_refit_and_what_does_not_fit_is_said(visit):
    app = visit("new_data", "penguins")
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
    assert doubts["place"].tolist() == list(range(1, 11))
    assert doubts["doubt"].iloc[0] == doubts["doubt"].max()
    wait(press(app, "measure_acquisition"))
    assert "Added by priority" in text(app)
    assert "90 % interval of the change" in "".join(e.value for e in (*app.info, *app.success))


def test_file_of_new_rows_is_in_the_unit_on_screen_and_keeps_the_names_of_the_table(visit, offered):
    app = visit("new_data", "penguins")
    frame = load_sample("penguins").frame.sample(40, random_state=0)
    new_file(app, frame.assign(row_id=range(100, 140), unit="mm", ecoval_unit="cm"))
    screen = app.dataframe[0].value
    made = csv_of(offered["download_new_rows"]).set_index("ecoval_row_id")
    for column in ("value", "intrinsic", "extrinsic"):
        assert (made.loc[screen.index, column] == screen[column]).all()
    assert set(made["ecoval_ecoval_unit"]) == {"average rows"}
    assert (set(made["unit"]), set(made["ecoval_unit"])) == ({"mm"}, {"cm"})
    assert made["row_id"].tolist() == list(range(100, 140))
