"""Every screen, driven as a visitor would, without a browser."""

import hashlib
import io
import json
import os
import re
import sqlite3
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
    put,
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
from pages.shared import formats, layout, progress, removal, server, state, story

# umap-learn says so when it is imported and when it is handed neighbours, here from a job's thread,
# where the filters that the core sets around it may be undone by the main thread.
pytestmark = [
    pytest.mark.pages,
    pytest.mark.usefixtures("fresh_server"),
    pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning"),
    pytest.mark.filterwarnings(r"ignore:precomputed_knn\[2\]:UserWarning"),
]

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
def patient(monkeypatch):
    """Curves begin by themselves however slow this machine is."""
    monkeypatch.setattr(layout, "FEW_SECONDS", float("inf"))


def clean_frame(**columns):
    return pd.read_csv(io.BytesIO(CLEAN)).assign(**columns)


def open_frame(app, frame, name="table.csv", key="upload"):
    return upload(app, name, frame.to_csv(index=False).encode(), key)


def table(app, key):
    """Return the frame that a table shows, also where it was drawn again under a new key."""
    found = (one for one in app.dataframe if re.fullmatch(rf"{key}(_\d+)?", one.key or ""))
    return next(found).value


def tables_with(app, column):
    """Return the frames of the tables with a column; only tables that rows are marked in have keys."""
    return [one.value for one in app.dataframe if column in one.value]


def state_of(task):
    """Return the stored result of a task."""
    return server.workspace().load(task.key, task.definition.returns)


def csv_of(made):
    return pd.read_csv(io.BytesIO(made()), float_precision="round_trip")


# --- Data -----------------------------------------------------------------------------------


def test_every_screen_opens_before_there_is_a_table():
    app = open_app()
    assert [button.label for button in app.button].count("Try the demo") == 1
    assert len(app.file_uploader) == 1
    assert sum(button.label == "Load" for button in app.button) == 5
    for screen in ("value", "explore", "labels", "prune", "new_data", "compare", "runs", "method"):
        go(app, screen)
        assert app.header[0].value == screen.capitalize().replace("_", " ")
        if screen not in ("runs", "method"):
            assert "first" in app.info[0].value


def test_bad_file_says_one_sentence_and_the_open_table_stays_until_a_good_one(visit_table):
    app = visit_table("data", "penguins")
    for name, content in BAD_FILES.items():
        upload(app, name, content)
        (error,) = app.error
        assert "Traceback" not in error.value, name
        assert "\n" not in error.value.strip(), name
        assert "target **species**" in text(app), name
        has_choice = name == "infinite.csv"
        assert has(app.button, "open_refused") == has_choice, "where a choice of columns helps"
    good = io.BytesIO()
    clean_frame().to_parquet(good)
    upload(app, "good.parquet", good.getvalue())
    assert not app.error
    assert figure(app, "Rows") == "60"
    assert opened(app).table.name == "good.parquet"
    assert "60 rows · target **y**" in text(app)


def test_everything_assumed_can_be_changed(visit_table):
    app = visit_table("data", "penguins")
    put(app, data_target="island", data_excluded=["sex"], data_split=(50, 75), data_seed=7)
    put(app, data_noisy=True, data_noise=20)
    spec, split = opened(app).spec, opened(app).split
    assert (spec.table.target, list(spec.table.excluded)) == ("island", ["sex"])
    assert spec.split.proportions == pytest.approx((0.5, 0.25, 0.25))
    assert spec.split.random_state == 7
    assert len(split.flipped_ids) == pytest.approx(0.2 * len(split.y_train), abs=1)
    assert f"target **island** · {len(split.flipped_ids)} planted errors" in text(app)


def test_impossible_target_or_task_is_refused_and_its_widget_taken_back():
    frame = clean_frame(only="x", rare=["odd", *["x", "z"] * 29, "x"])
    app = open_frame(open_app(), frame[["only", "rare", "a", "b", "y"]])
    for target in ("only", "rare"):
        put(app, data_target=target)
        assert "class" in app.error[0].value
        assert f"target **{target}**" not in text(app)
    put(app, data_task="regression")
    assert app.error
    assert app.segmented_control(key="data_task").value == "classification"


def test_refused_file_opens_without_the_column_at_fault():
    odd = CLEAN.replace(b"a,b,y", b"[a](x),b*_c_*,y").replace(b"\n1,1,", b"\n1,inf,", 1)
    app = upload(open_app(), "odd_*name*.csv", odd)
    assert "infinite" in app.error[0].value
    assert r"b\*\_c\_\*" in app.error[0].value
    assert app.selectbox(key="refused_target").value == "y"
    put(app, refused_excluded=["b*_c_*"])
    press(app, "open_refused")
    assert not app.error
    assert not has(app.button, "open_refused")
    assert opened(app).table.features == ["[a](x)"]
    assert opened(app).table.name == "odd_*name*.csv"


def test_refused_file_opens_with_another_target_or_with_its_cells_fixed():
    app = open_frame(open_app(), clean_frame(label=["rare", *["x", "z"] * 29, "x"]))
    press(app, "open_refused")
    assert "rare" in app.error[0].value
    put(app, refused_target="y")
    assert "target **y**" in text(press(app, "open_refused"))

    spelled = ["FRAUD", "fraud ", *["ok", "ok", "fraud"] * 19, "ok"]
    open_frame(app, clean_frame(y=spelled), "messy.csv")
    assert "single row" in app.error[0].value
    press(app, "fix_refused")
    assert not app.error
    assert figure(app, "Classes") == "2"


def test_cells_are_fixed_by_a_click_in_new_rows_too_and_the_recipe_says_so(offered):
    frame = pd.DataFrame(
        {
            "customer_id": [f"C-{i:05d}" for i in range(90)],
            "share": [f"{i % 9} %" for i in range(90)],
            "smoker": ["Yes", "yes ", "no"] * 30,
            "size": [float(i % 7) for i in range(90)],
            "class": ["a", "b", "b"] * 30,
        }
    )
    app = open_frame(open_app(), frame)
    assert app.multiselect(key="data_excluded").value == ["customer_id"]
    assert sum(box.key.startswith("data_fix_") for box in app.checkbox) == 2
    press(app, "fix_all")
    fixed = app.dataframe[0].value
    assert fixed["share"].dtype.kind in "if"
    assert fixed["smoker"].nunique() == 2
    put(app, data_fix_0=False)
    assert app.dataframe[0].value["share"].dtype.kind not in "if"
    put(app, data_seed=3)
    again = open_app(dict(app.query_params))
    for window in (app, again):
        assert window.dataframe[0].value["smoker"].nunique() == 2
    assert [again.checkbox(key=f"data_fix_{i}").value for i in range(2)] == [False, True]

    value(app)
    go(app, "new_data")
    # Also under a header that differs in case and spaces alone.
    for names in ({}, {"share": " Share"}):
        open_frame(app, frame.head(30).rename(columns=names), key="new_upload")
        assert figure(app, "Valued") == "30"
    assert not app.error
    go(app, "prune")
    recipe = json.loads(offered["download_recipe"]())
    assert [one["column"] for one in recipe["run"]["table"]["fixes"]] == ["smoker"]
    assert b"<html" in offered["download_report"]()[:1000]


# --- Value ----------------------------------------------------------------------------------


def test_work_that_ends_while_the_page_is_drawn_is_shown(visit_table, monkeypatch):
    def wait_for_jobs(given):
        for job in server.engine().jobs.active():
            assert job.wait(300)
        return given

    rows_each, read = formats.rows_each, state.read
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(formats, "rows_each", lambda n: wait_for_jobs(rows_each(n)))
    app = visit_table("value")
    assert "fits, about" in text(app)
    monkeypatch.setattr(formats, "rows_each", rows_each)
    wait(press(app, "start"))
    repeats = slow.repeats(run_of(app).key)
    monkeypatch.setattr(
        state, "read", lambda one: wait_for_jobs(read(one)) if one.key == repeats.key else read(one)
    )
    assert "How stable the values are" in text(press(app, "repeat"))


def test_plan_says_fits_and_time_and_the_run_is_summed_up(visit):
    app = visit("value")
    assert any("fits, about" in markdown.value for markdown in wait(app).markdown)
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


def test_weight_and_unit_change_values_and_their_stability_without_a_fit(visit):
    app = wait(press(visit("value"), "repeat"))
    run, values = app.query_params["run"], app.dataframe[0].value["value"]
    assert 0 < float(figure(app, "Rank agreement")) <= 1
    n_sure, of = map(int, figure(app, "More than two errors from zero").split(" of "))
    assert 0 < n_sure <= of == len(run_of(app).frame)
    moved = figure(app, "A value moves by")

    put(app, unit="score")
    scaled = app.dataframe[0].value["value"] * of / float(figure(app, "Surplus"))
    assert scaled.tolist() == pytest.approx(values.tolist(), rel=0.01)
    put(app, unit="rows", extrinsic_weight=1.0)
    assert app.query_params["run"] == run
    assert app.dataframe[0].value["value"].tolist() != values.tolist()
    assert figure(app, "A value moves by") != moved
    assert not has(app.button, "repeat")
    assert go(app, "explore").slider(key="extrinsic_weight").value == 1.0


def test_without_a_surplus_its_shares_are_dashes():
    random = np.random.default_rng(3)
    frame = pd.DataFrame(random.normal(size=(80, 12))).add_prefix("x")
    app = value(open_frame(open_app(), frame.assign(y=random.permutation(["a", "b"] * 40))))
    assert float(figure(app, "Surplus")) <= 0
    assert figure(app, "Intrinsic share") == "–"
    assert "there is no surplus to divide" in text(app)
    assert not has(go(app, "prune").button, "put_harmful"), "by values that are not reliable"
    assert "nan" not in text(app)


def test_regression_speaks_of_targets():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(120, 3)), columns=["a", "b", "c"])
    frame["y"] = 2 * frame["a"] + frame["b"]
    frame.loc[::15, "y"] += 40
    app = value(open_frame(open_app(), frame))
    assert "of squared error over the target's variance" in text(app)
    wait(go(app, "explore"))
    mark_rows(app, "explore_rows", [0])
    assert ": target " in app.subheader[0].value
    assert "label" not in text(app).replace("labels", "")
    put(go(app, "prune"), prune_share=30.0)
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
    assert app.button(key="accept_labels").disabled
    mark_rows(app, "suspect_rows", [0])
    assert app.button(key="accept_labels").label == "Take the expected target for 1 row"


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
    put(app, model_classification="naive_bayes")
    put(app, **{"parameter_naive_bayes.var_smoothing": 0.05})
    put(app, scoring_classification="brier")
    wait(press(wait(app), "start"))
    assert "Naive Bayes" in text(app)
    assert "squared distance" in text(app)
    assert run_of(app).settings.parameters == {"var_smoothing": 0.05}
    assert run_of(app).make_estimator().var_smoothing == 0.05
    press(app, "start")
    (said,) = app.toast
    assert said.value == "These rows are valued with these settings already."
    other = open_app(dict(app.query_params), "value")
    assert other.selectbox(key="model_classification").value == "naive_bayes"
    assert granularity(other)[0] == granularity(app)[0]
    # What is chosen, but not valued, too.
    put(app, model_classification="logistic_regression", value_seed=7)
    choose_granularity(app, 2)
    other = open_app(dict(app.query_params), "value")
    assert other.selectbox(key="model_classification").value == "logistic_regression"
    assert (granularity(other), other.number_input(key="value_seed").value) == (granularity(app), 7)
    assert "**Not yet valued**; valued with: Naive Bayes" in text(other)


def test_granularity_is_automatic_for_each_table_and_a_choice_stays_with_its_table(visit_table):
    app = visit_table("value")
    chosen, automatic = granularity(app)
    assert chosen == automatic
    choose_granularity(app, 3)
    chosen = granularity(app)[0]
    assert chosen != automatic
    put(go(app, "data"), data_noisy=True)
    assert granularity(go(app, "value"))[0] == chosen
    press(go(app, "data"), "sample_breast_cancer")
    chosen, of_larger = granularity(go(app, "value"))
    assert chosen == of_larger > automatic
    put(app, every_row=True)
    chosen, of_every_row = granularity(app)
    assert chosen == of_every_row > of_larger


def test_demo_survives_a_refresh_leads_to_the_map_and_is_automatic_whatever_was_chosen():
    app = press(open_app(), "demo")
    other = open_app(dict(app.query_params), "value")
    assert other.query_params["run"] == app.query_params["run"]
    assert "162 planted errors" in text(other)
    assert wait(app).header[0].value == "Explore"
    choose_granularity(go(app, "value"), 2)
    assert granularity(app)[0] != granularity(app)[1]
    go(wait(press(go(app, "data"), "demo")), "value")
    chosen, automatic = granularity(app)
    assert chosen == automatic


def test_damaged_values_are_offered_to_be_made_again(visit):
    app = visit("value")
    with sqlite3.connect(default_root() / DATABASE) as db:
        db.execute("UPDATE results SET content = x'00' WHERE kind = 'value'")
    forget()
    app = open_app(dict(app.query_params), "value")
    assert "value the rows again" in app.warning[0].value
    assert figure(wait(press(app, "run_again")), "Surplus")


def test_same_file_under_another_name_opens_under_that_name():
    app = value(upload(open_app(), "monday.csv", CLEAN))
    assert upload(go(app, "data"), "tuesday.csv", CLEAN).subheader[0].value == "tuesday.csv"
    assert run_of(value(app)).table.name == "tuesday.csv"


@pytest.mark.usefixtures("patient")
def test_every_row_is_valued_at_five_times_the_fits_and_followed_on_every_page(visit):
    app = put(visit("explore", "wine"), filter_columns=["color_intensity"])
    fewer = app.slider(key="filter_range_color_intensity").value
    split = opened(app).split
    n_rows = len(split.y_train) + len(split.y_val)
    wait(put(go(app, "value"), every_row=True))
    assert "in each of 5 folds" in text(app)
    assert f"{n_rows} rows are valued, which takes 5 times as many fits" in text(app)
    wait(press(app, "start"))
    assert figure(app, "Rows below zero").endswith(f"of {n_rows}")
    values = app.dataframe[0].value["value"].tolist()
    assert put(app, extrinsic_weight=1.0).dataframe[0].value["value"].tolist() != values

    go(app, "explore")
    more = app.slider(key="filter_range_color_intensity").value
    assert more[0] < fewer[0] < fewer[1] < more[1]
    assert len(app.dataframe[0].value) == n_rows, "an untouched range is no filter"
    row = int(split.ids_val[0])
    mark_rows(app, "explore_rows", [app.dataframe[0].value.index.get_loc(row)])
    assert app.subheader[0].value.startswith(f"Row {row}: label")
    put(app, filter_range_color_intensity=(3.0, 5.0))
    assert len(table(app, "explore_rows")) < n_rows
    put(go(app, "prune"), prune_share=10.0)
    assert figure(wait(app), "Rows to prune") == str(round(0.1 * n_rows))
    assert "90 % interval" in text(app)
    assert tables_with(app, "strategy")[0]["n_removed"].max() > 0.5 * len(split.y_train)
    assert open_app(dict(app.query_params), "value").toggle(key="every_row").value


# --- Explore --------------------------------------------------------------------------------


def select(app, ids):
    """Select rows by the search field; lassos on the map are for the browser's tests."""
    return put(app, search_rows=", ".join(map(str, ids)))


def test_selection_fills_the_table_grows_is_inverted_and_goes_to_the_prune_list(visit):
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
    ids = frame.index[:4].tolist()
    select(app, ids)
    assert "Selected: 4" in text(app)
    assert sorted(table(app, "explore_rows").index) == ids
    assert app.button(key="add_to_prune").label == "Prune 4"
    press(app, "add_to_prune")
    assert "To prune: 4" in text(app)
    press(app, "clear_selection")
    assert "Selected: 0" in text(app)
    assert figure(go(app, "prune"), "Rows to prune") == "4"


def test_selection_is_saved_by_name_selected_again_and_deleted(visit):
    app = visit("explore", "wine")
    frame = run_of(app).frame
    first, second = frame.index[:5].tolist(), frame.index[5:8].tolist()
    select(app, first)
    put(app, selection_name="odd [ones](x)")
    assert "Saved as" in text(app)
    select(app, second)
    assert "Saved as" not in text(app)
    press(app, "select_saved_0")
    assert kept(app)["selected_ids"] == first
    # It is in the review, which a new session opens.
    again = wait(open_app(dict(app.query_params), "explore"))
    assert again.button(key="select_saved_0").label.endswith(": 5 rows")
    press(again, "forget_saved_0")
    assert not has(again.button, "select_saved_0")


def test_rows_are_found_by_text_filtered_coloured_and_clusters_are_described(visit):
    app = visit("explore", "penguins")
    run = run_of(app)
    frame = run.table.frame.loc[run.ids]
    torgersen = frame.index[frame["island"] == "Torgersen"].tolist()
    for words in ("torgersen", "nowhere"):
        put(app, search_rows=words)
        assert sorted(app.dataframe[0].value.index) == torgersen
    assert "No valued row has this number" in text(app)
    press(app, "clear_selection")
    put(app, filter_columns=["year", "island"])
    assert len(app.dataframe[0].value) == len(frame)
    put(app, filter_range_year=(2008.0, 2009.0))
    assert len(app.dataframe[0].value) == (frame["year"] >= 2008).sum()
    put(app, filter_values_island=["Dream"])
    both = (frame["year"] >= 2008) & (frame["island"] == "Dream")
    assert 0 < len(app.dataframe[0].value) == both.sum() < (frame["island"] == "Dream").sum()
    for color in ("label_quality", "column: island", "column: bill_length_mm"):
        put(app, map_color=color)

    put(app, filter_columns=[], explore_below="clusters")
    clusters = table(app, "cluster_rows")
    assert (clusters["left_out_error"] > 0).all()
    mark_rows(app, "cluster_rows", [0])
    assert f"Selected: {clusters.iloc[0]['n_rows']}" in text(app)
    assert "What sets them apart" in text(app)
    put(app, explore_below="words")
    assert " is Torgersen in " in text(app)


def test_row_marked_in_the_table_is_explained(visit):
    app = visit("explore")
    mark_rows(app, "explore_rows", [0])
    row = table(app, "explore_rows").iloc[0]
    assert app.subheader[0].value.startswith(f"Row {row.name}: label")
    worth = run_of(app).frame.loc[row.name, ["value", "standard_error"]]
    assert unit_of(run_of(app)).text(*worth) in text(app)
    assert "the lowest of" in text(app)
    assert "Its cluster" in text(app)
    assert "nearest neighbours carry the same" in text(app)
    assert len(table(app, f"neighbors_{row.name}")) == 11
    press(app, "relabel_row")
    assert "It takes the likelier label." in text(app)
    press(app, "prune_row")
    assert "To prune: 1" in text(app), "the last decision counts"
    assert "It takes" not in text(app)
    kinds = charts.quadrant_of(run_of(app).frame)
    for kind in kinds.unique():
        select(app, [kinds.index[kinds == kind][0]])
        assert ("**pulls the model away**" in text(app)) == kind.endswith("harmful")


def test_story_of_a_row_never_contradicts_its_quality_or_the_value_of_its_cluster(visit):
    run = run_of(visit("explore"))
    worth, error = run.ecoval.cluster_values_, run.ecoval.cluster_standard_errors_
    seen = set()
    for row_id, row in run.frame.sort_values("label_quality").iloc[::3].iterrows():
        said = story.credibility(run, row_id, story.neighbors_of(run, row_id))
        said += story.why(run, row_id)
        assert re.findall(r"\d\.\d\d of 1", said) == [f"{row['label_quality']:.2f} of 1"]
        assert ("looks wrong" in said) == row["label_issue"]
        is_likeliest = row["label"] == row["suggested_label"]
        assert ("no label likelier" in said) == is_likeliest
        assert ("is no label issue" in said) == (not is_likeliest and not row["label_issue"])

        said = story.about_cluster(run, row_id)
        cluster = int(row["cluster"])
        is_sure = abs(worth[cluster]) > 2 * error[cluster]
        assert unit_of(run).text(worth[cluster], error[cluster]) in said
        assert ("about the same" in said) == (not is_sure)
        assert ("scores worse" in said) == (is_sure and worth[cluster] > 0)
        seen |= {("issue", row["label_issue"]), ("likeliest", is_likeliest), ("sure", is_sure)}
    assert len(seen) == 6


def test_filters_narrow_the_table_and_the_status_counts_the_selected_rows_that_pass(visit):
    app = visit("explore")
    frame = run_of(app).frame
    label = frame["label"].iloc[0]
    is_one = frame["label"] == label
    select(app, [*frame.index[is_one][:2], *frame.index[~is_one][:3]])
    assert "pass the filters" not in text(app)
    put(app, filter_labels=[label])
    assert "Selected: 5, 2 pass the filters" in text(app)
    press(app, "clear_selection")
    assert set(app.dataframe[0].value["label"]) == {label}
    put(app, filter_negative=True)
    assert len(app.dataframe[0].value) == ((frame["value"] < 0) & is_one).sum()
    put(app, filter_planted=True)
    assert app.dataframe[0].value["flipped"].all()


@pytest.mark.usefixtures("patient")
def test_filters_and_the_score_of_curves_are_those_of_their_run_alone(visit):
    app = visit("explore")
    label = run_of(app).frame["label"].iloc[0]
    put(app, filter_labels=[label])
    wait(go(app, "prune"))
    main = run_of(app).main_measure
    other = next(name for name in ("balanced_accuracy", "roc_auc") if name != main)
    put(app, curve_measure=other)
    assert app.selectbox(key="curve_measure").value == other
    value(wait(press(go(app, "data"), "sample_penguins")))
    assert go(app, "explore").dataframe[0].value["label"].nunique() == 3
    wait(go(app, "prune"))
    assert app.selectbox(key="curve_measure").value == run_of(app).main_measure != other


# --- Prune ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("patient")
def test_curves_begin_by_themselves_follow_every_choice_and_reopen_with_their_run(visit):
    app = wait(visit("prune"))
    assert "199 model fits in" in text(app)
    assert "Removing the lowest values first" in text(app)
    (summary,) = tables_with(app, "strategy")
    assert set(summary["strategy"]) == {"lowest", "highest", "random", "random_clusters"}
    put(app, curve_measure="recall: class_1")
    assert not tables_with(app, "strategy")[0].equals(summary)
    wait(put(app, balanced=True))
    assert not tables_with(app, "strategy")[0].equals(summary)
    wait(put(app, balanced=False, extrinsic_weight=0.8))
    assert not tables_with(app, "strategy")[0].equals(summary)

    put(app, prune_share=20.0)
    n_pruned = figure(app, "Rows to prune")
    put(app, curve_measure="recall: class_1")
    other = press(open_app(), f"recent_{app.query_params['run']}")
    assert other.slider(key="extrinsic_weight").value == 0.8
    assert figure(wait(go(other, "prune")), "Rows to prune") == n_pruned != "0"
    assert "199 model fits in" in text(other)
    assert other.selectbox(key="curve_measure").value == "recall: class_1"


def test_prune_rules_combine_are_measured_can_be_undone_and_rows_restored(visit):
    app = visit("prune")
    frame = run_of(app).frame
    put(app, prune_share=15.0)
    pruned = frame.nsmallest(round(0.15 * len(frame)), "value")
    lowest = str(len(pruned))
    assert figure(app, "Rows to prune") == lowest
    caught, planted = pruned["flipped"].sum(), frame["flipped"].sum()
    assert figure(app, "Planted errors caught") == f"{caught} of {planted}"
    assert f"precision {caught / len(pruned):.0%}, recall {caught / planted:.0%}" in text(app)
    assert "90 % interval" in text(wait(app))
    put(app, prune_by_threshold=True)
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
    put(app, prune_threshold_rows=-1e6)
    assert figure(app, "Rows to prune") == lowest
    press(app, "clear")
    assert figure(app, "Rows to prune") == "0"
    assert app.slider(key="prune_share").value == 0


def test_rare_class_weighs_equally_by_itself_and_survives_pruning_while_the_quota_is_on(visit):
    app = visit("value", "loans")
    assert app.toggle(key="balanced_classes").value
    assert "Below a third, this is switched on automatically." in text(app)
    frame = run_of(app).frame
    sizes = frame["label"].value_counts()
    wait(put(go(app, "prune"), prune_by_threshold=True))
    pruned = frame[frame["value"] < 0]["label"].value_counts()
    assert pruned.get("charged off", 0) <= sizes["charged off"] // 2
    measured = tables_with(app, "90 % interval")[0].set_index("measure")
    assert {"recall of charged off", "recall of paid", "balanced accuracy"} < set(measured.index)
    assert measured.loc["recall of charged off", "test rows"] < 20
    # Asked to prune everything, half of each class stays.
    put(app, prune_threshold_rows=1e6)
    assert figure(app, "Rows to prune") == str(sum(size // 2 for size in sizes))
    spared = {label: size - size // 2 for label, size in sizes.items()}
    assert figure(app, "Kept by the limit of their class") == str(sum(spared.values()))
    assert f"charged off: {spared['charged off']} of {sizes['charged off']}" in text(app)
    put(app, prune_quota=0)
    assert "prune fewer rows" in wait(app).error[0].value


def test_downloads_hold_the_rows_they_say_and_the_numbers_on_screen(visit, offered):
    app = put(visit("prune", "wine"), prune_share=10.0)
    read_csv = partial(pd.read_csv, float_precision="round_trip")
    original, n_pruned = run_of(app).table.frame, int(figure(app, "Rows to prune"))
    sums = {}
    for unit, kind, read in (
        ("rows", "csv", read_csv), ("share", "parquet", pd.read_parquet), ("score", "csv", read_csv),
    ):  # fmt: skip
        wait(put(app, format=kind, unit=unit))
        kept, removed, every = (
            read(io.BytesIO(offered[f"download_{name}"]())).set_index("row_id")
            for name in ("kept", "removed", "all_values")
        )
        assert list(kept) == list(original)
        assert [len(kept), len(removed)] == [len(original) - n_pruned, n_pruned]
        assert every.index.tolist() == original.index.tolist()
        (screen,) = tables_with(app, "reason")
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
    frame, buffer = clean_frame(), io.BytesIO()
    frame["b"] = [f"n{b}" if b == 3 else b for b in frame["b"]]
    frame.to_excel(buffer, index=False)
    app = go(value(upload(open_app(), "mixed.xlsx", buffer.getvalue())), "prune")
    assert not app.warning
    put(app, format="parquet")
    assert "Column 'b' mixes kinds of values" in app.warning[0].value
    assert all(button.disabled for button in app.download_button[:3])


# --- What lasts -----------------------------------------------------------------------------


def test_refresh_keeps_the_prune_list_and_windows_do_not_overwrite_each_other(visit):
    app = put(visit("prune"), prune_share=10.0)
    n_pruned = figure(app, "Rows to prune")
    # Streamlit lets any client do so.
    st.cache_data.clear()
    st.cache_resource.clear()
    other = open_app(dict(app.query_params), "prune")
    assert figure(other, "Rows to prune") == n_pruned != "0"
    assert other.query_params["review"] == app.query_params["review"], "nothing was changed yet"
    press(other, "undo")
    assert figure(other, "Rows to prune") == "0"
    assert other.query_params["review"] != app.query_params["review"]
    put(go(app, "labels"), label_list="ranked", label_threshold=0.3, label_undecided=True)
    again = open_app(dict(app.query_params), "prune")
    assert figure(again, "Rows to prune") == n_pruned
    (listed,) = tables_with(go(again, "labels"), "suggested_label")
    assert listed.index.tolist() == tables_with(app, "suggested_label")[0].index.tolist()
    put(app, label_view="cards")
    press(press(app, "review_next"), "review_next")
    again = open_app(dict(app.query_params), "labels")
    assert has(again.button, "review_next")
    assert kept(again)["review_row"] == kept(app)["review_row"]


def test_folder_that_cannot_be_written_is_said_and_the_session_goes_on(monkeypatch, tmp_path):
    in_the_way = tmp_path / "a file"
    in_the_way.write_text("not a folder")
    monkeypatch.setenv("ECOVAL_WORKSPACE", str(in_the_way / "workspace"))
    app = go(value(upload(open_app(), "clean.csv", CLEAN)), "prune")
    assert any("Not kept beyond this session" in warning.value for warning in app.warning)
    put(app, prune_share=10.0)
    assert "90 % interval" in text(wait(app))
    other = open_app(dict(app.query_params), "prune")
    assert figure(other, "Rows to prune") == figure(app, "Rows to prune") != "0"


def test_runs_are_renamed_deleted_restored_exported_and_imported(visit, offered, monkeypatch):
    app = put(visit("prune"), prune_share=10.0)
    run, frame = app.query_params["run"], run_of(app).frame
    go(app, "runs")
    listed = app.dataframe[0].value
    assert listed["state"].tolist() == ["finished"]
    assert listed["rows"].tolist() == [len(frame)]
    put(app, **{f"run_name_{run}": "First try", f"run_note_{run}": "with planted errors"})
    listed = app.dataframe[0].value
    assert (listed["name"][0], listed["note"][0]) == ("First try", "with planted errors")
    assert app.get("popover")[0].proto.popover.label.startswith("**First try** · ")
    assert f"Open: First try, table {run_of(app).table.name}" in text(app)
    exported = offered["export_run"]()
    press(app, "delete_run")
    assert not app.dataframe
    assert "run" not in app.query_params
    press(app, "undo_delete")
    assert app.dataframe[0].value["name"].tolist() == ["First try"]
    assert app.query_params["run"] == run

    monkeypatch.setenv("ECOVAL_WORKSPACE", os.environ["ECOVAL_WORKSPACE"] + "-elsewhere")
    other = upload(open_app(screen="runs"), "run.ecoval", exported[:-100], "run_upload")
    assert "Traceback" not in other.error[0].value
    upload(other, "run.ecoval", exported, "run_upload")
    assert not other.error
    go(press(other, "open_imported"), "prune")
    pd.testing.assert_frame_equal(run_of(other).frame, frame, check_exact=True)
    assert figure(other, "Rows to prune") == str(round(0.1 * len(frame)))


# --- Labels -----------------------------------------------------------------------------


def test_wrong_labels_are_accepted_kept_undone_measured_not_pruned_and_exported(visit, offered):
    app = put(visit("prune"), prune_share=20.0)
    pruned = set(kept(app)["prune_reasons"][1].reasons.index)
    go(app, "labels")
    frame = run_of(app).frame
    listed = app.dataframe[0].value
    accepted = set(listed.index)
    assert listed["label_quality"].is_monotonic_increasing
    assert (listed["label"] != listed["suggested_label"]).all()
    assert frame.loc[listed.index, "flipped"].mean() > 0.5
    put(app, label_undecided=True)
    mark_rows(app, "suspect_rows", [0, 2])
    press(app, "keep_labels")
    left = listed.index.delete([0, 2]).tolist()
    assert app.dataframe[0].value.index.tolist() == left
    # A row that moves up into the place of a marked one is not marked.
    assert app.button(key="accept_labels").label == f"Accept the suggestion for {len(left)} rows"
    put(app, label_undecided=False)
    assert app.dataframe[0].value.index.tolist() == listed.index.tolist()
    assert app.button(key="accept_labels").label.endswith(f" {len(left)} rows"), (
        "what is decided stays"
    )
    press(app, "undo_labels")
    wait(press(app, "accept_labels"))
    first, second = (one.set_index("measure") for one in tables_with(app, "90 % interval"))
    assert first.loc["accuracy", "before"] == second.loc["accuracy", "before"]

    wait(go(app, "prune"))
    assert "What pruning and relabelling do to the model" in [one.value for one in app.subheader]
    (both,) = tables_with(app, "90 % interval")
    assert not both["after"].equals(first["after"].reset_index(drop=True)), (
        "both are measured together"
    )
    exported = csv_of(offered["download_kept"]).set_index("row_id")
    corrected = exported["corrected_label"]
    assert (corrected[listed.index] == frame.loc[listed.index, "suggested_label"]).all()
    others = exported.index.difference(listed.index)
    assert (corrected[others] == exported.loc[others, run_of(app).table.target]).all()
    assert pruned & accepted, "of the rows to prune, those whose new label was accepted stay"
    assert not (pruned - accepted) & set(exported.index)
    put(app, prune_share=30.0)
    assert not accepted & set(csv_of(offered["download_removed"])["row_id"]), "in whatever order"
    press(app, "undo")
    press(go(app, "labels"), "undo_labels")
    assert figure(go(app, "prune"), "Rows to prune") == str(len(pruned))


def cards_of(app):
    put(app, label_view="cards")
    return put(app, review_queue="values")


def test_row_under_review_is_kept_pruned_or_relabelled_and_its_decision_shows_everywhere(visit):
    app = cards_of(visit("labels"))
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


def test_row_under_review_is_compared_with_its_class(visit):
    app = cards_of(visit("labels", "penguins"))
    (shown,) = tables_with(app, "unusual")
    assert {"column", "value", "typical", "unusual"} == set(shown.columns)
    assert set(shown["column"]) >= {"island", "bill_length_mm", "sex"}
    put(app, review_queue="selected")
    assert "Nothing is selected" in text(app)


# --- Compare --------------------------------------------------------------------------------


def test_run_is_compared_with_another_method_and_downloaded_in_the_units_on_screen(visit, offered):
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

    made = csv_of(offered["download_comparison"]).set_index("row_id")
    assert set(made["unit this run"]) == {"average rows"}
    assert set(made["unit KNN-Shapley"]) == {"KNN-Shapley's own"}
    assert (made["value this run"] == unit_of(run).scale(run.frame)["value"]).all()
    put(app, unit="score")
    made = csv_of(offered["download_comparison"])
    assert set(made["unit this run"]) == {"units of probability"}
    assert made["value this run"].tolist() == run.frame["value"].tolist()
    put(app, compare_by="values")
    assert "Units: here units of probability; there KNN-Shapley's own." in text(app)


def test_method_that_takes_long_waits_for_a_click_and_says_how_long(visit, monkeypatch):
    app = visit("compare")
    monkeypatch.setattr(layout, "FEW_SECONDS", 0.0)
    wait(put(app, compare_with="baseline leave_one_out"))
    assert not app.metric
    label = app.button(key="start_baseline").label
    assert re.fullmatch(r"Value by Leave-one-out, about [\d.]+ (s|min)", label)
    assert figure(wait(press(app, "start_baseline")), "Rank agreement")


def test_runs_of_one_file_are_compared_whatever_was_fixed_in_it():
    frame = clean_frame(share=[f"{i % 9} %" for i in range(60)])
    app = value(open_frame(open_app(), frame, "cells.csv"))
    first = app.query_params["run"]
    value(press(go(app, "data"), "fix_all"))
    second = app.query_params["run"]
    assert first != second
    put(go(app, "compare"), compare_with=f"run {first}")
    assert figure(wait(app), "Rows compared") == str(len(run_of(app).frame))
    go(press(go(app, "data"), f"recent_{first}"), "compare")
    options = app.selectbox(key="compare_with").options
    assert any("cells" in option and "(2)" in option for option in options)


# --- New data -------------------------------------------------------------------------------


def test_new_rows_are_valued_and_downloaded_and_what_does_not_fit_is_said(visit, offered):
    app = visit("new_data", "penguins")
    frame = load_sample("penguins").frame.sample(60, random_state=0)
    frame = frame.rename(columns={"bill_length_mm": "Bill length MM"})
    # Names of columns in the file that is made.
    frame = frame.assign(row_id=range(100, 160), unit="mm", ecoval_unit="cm")
    frame.loc[frame.index[:10], "species"] = None
    frame.loc[frame.index[10], "species"] = "Emperor"
    open_frame(app, frame, key="new_upload")
    assert figure(app, "Rows in the file") == "60"
    assert figure(app, "Valued") == "49"
    assert "10 more have no label" in text(app)
    assert any("Emperor" in warning.value for warning in app.warning)
    screen = app.dataframe[0].value
    assert screen["place"].is_monotonic_increasing
    made = csv_of(offered["download_new_rows"]).set_index("ecoval_row_id").loc[screen.index]
    for column in ("value", "intrinsic", "extrinsic"):
        assert (made[column] == screen[column]).all()
    assert set(made["ecoval_ecoval_unit"]) == {"average rows"}
    assert (set(made["unit"]), set(made["ecoval_unit"])) == ({"mm"}, {"cm"})
    assert set(made["row_id"]) < set(range(100, 160))

    doubts = app.dataframe[-1].value
    assert doubts["place"].tolist() == list(range(1, 11))
    assert doubts["doubt"].iloc[0] == doubts["doubt"].max()
    wait(press(app, "measure_acquisition"))
    assert "Added by priority" in text(app)
    assert "90 % interval of the change" in "".join(e.value for e in (*app.info, *app.success))
