"""How the app behaves between the clicks: old values stay, changes are marked, links and tabs are told of."""

import re
from itertools import count

import pytest
import streamlit as st
from screens import check, figure, go, has, kept, open_app, press, run_of, text, wait

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.text import file_stem
from ecoval_core.workspace.schema import Filters, Review
from pages.shared import server, windows

pytestmark = [
    pytest.mark.pages,
    pytest.mark.usefixtures("fresh_server"),
    pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning"),
    pytest.mark.filterwarnings(r"ignore:precomputed_knn\[2\]:UserWarning"),
]
SCREENS = ("data", "value", "explore", "labels", "prune", "new_data", "runs", "compare", "method")


def header(app):
    """Label of the run switcher."""
    blocks, labels = [app.main], []
    while blocks:
        block = blocks.pop()
        blocks += getattr(block, "children", {}).values()
        labels.append(getattr(getattr(block.proto, "popover", None), "label", ""))
    return next(label for label in labels if "·" in label)


# --- A second valuation --------------------------------------------------------------------------


def test_values_stay_on_every_page_while_others_are_made_and_after_that_is_cancelled(visit):
    app = visit("value")
    run, before = app.query_params["run"], run_of(app).frame
    check(app.selectbox(key="model_classification").set_value("random_forest").run())
    press(app, "start")
    assert has(app.button, "cancel")
    assert "It keeps its settings: what you change here applies to the next one." in text(app)
    assert figure(app, "Surplus"), "the values of before are still summed up"
    for screen in ("explore", "labels"):
        go(app, screen)
        assert "new valuation running" in header(app)
        assert run_of(app).frame.equals(before)
    other = open_app(dict(app.query_params), "value")
    assert has(other.button, "cancel"), "a refresh finds the valuation under way"
    assert other.selectbox(key="model_classification").value == "random_forest"
    for tab in (other, go(app, "value")):
        press(tab, "cancel")
        assert "The valuation was cancelled." in text(wait(tab))
        assert tab.query_params["run"] == run
        assert figure(tab, "Surplus")


def test_new_values_take_the_place_of_those_before_as_soon_as_they_are_there(visit):
    app = visit("value")
    run = app.query_params["run"]
    check(app.number_input(key="value_seed").set_value(7).run())
    wait(press(app, "start"))
    assert app.query_params["run"] != run
    assert run_of(app).settings.random_state == 7
    assert header(app).endswith("clusters")


def test_changed_settings_are_marked_where_they_stand_and_in_the_header(visit):
    app = visit("value")
    assert "ot yet valued" not in text(app) + header(app)
    check(app.number_input(key="value_seed").set_value(7).run())
    assert "**Not yet valued**; valued with: 0" in text(app)
    assert header(app).endswith("**not yet valued: seed**")
    go(app, "explore")
    assert header(app).endswith("**not yet valued: seed**")
    go(app, "value")
    check(app.number_input(key="value_seed").set_value(0).run())
    assert "ot yet valued" not in text(app) + header(app)


def test_a_changed_split_is_marked_and_taken_back_and_the_values_stay(visit):
    app = visit("data")
    before = run_of(app).frame
    check(app.number_input(key="data_seed").set_value(7).run())
    assert "**Not yet valued**; valued with: 0" in text(app)
    for screen in ("explore", "prune"):
        go(app, screen)
        assert run_of(app).frame.equals(before)
        assert header(app).endswith("**not yet valued: seed of the split**")
    again = open_app(dict(app.query_params), "data")
    assert again.number_input(key="data_seed").value == 7
    assert run_of(again).frame.equals(before)
    press(go(app, "data"), "back_to_run")
    assert app.number_input(key="data_seed").value == 0
    assert "ot yet valued" not in text(app) + header(app)


def test_another_table_has_no_values_of_the_one_before(visit):
    app = press(visit("data"), "sample_penguins")
    assert "not valued yet" in header(app)
    assert "Value them first" in go(app, "explore").info[0].value


def test_a_split_changed_during_a_valuation_is_for_the_next_one():
    app = go(press(open_app(), "sample_digits"), "value")
    check(app.selectbox(key="model_classification").set_value("random_forest").run())
    press(app, "start")
    run = app.query_params["run"]
    check(go(app, "data").number_input(key="data_seed").set_value(7).run())
    assert "what you change here applies to the next one" in text(app)
    assert app.query_params["run"] == run
    assert has(go(app, "value").button, "cancel")


def test_a_run_opened_by_hand_shows_its_own_settings(visit):
    app = visit("value")
    first = app.query_params["run"]
    check(app.number_input(key="value_seed").set_value(7).run())
    wait(press(app, "start"))
    check(app.button(key=f"switch_{first}").click().run())
    assert app.number_input(key="value_seed").value == 0
    assert "ot yet valued" not in text(app) + header(app)


# --- Links and tabs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "screen", "sentence"),
    [
        ({"run": "0" * 32}, "explore", "names a run that is not in this workspace"),
        ({"data": "0" * 32}, "value", "names a table that is not in this workspace"),
        ({"missing": "charts"}, "data", "There is no page 'charts' here; choose one in the menu"),
    ],
)
def test_link_to_something_unknown_says_so_on_the_page_it_opens(query, screen, sentence):
    app = open_app(query, screen)
    (error,) = app.error
    assert sentence in error.value
    assert any(has(app.button, key) for key in ("lead_on", "demo"))
    assert not go(app, "runs").error


def test_link_with_an_unknown_selection_opens_the_run_without_it(visit):
    app = visit("explore", review="0" * 12)
    assert "names a selection that is not in this workspace" in app.error[0].value
    assert len(run_of(app).frame)
    assert not kept(app).get("selected_ids")


def test_two_tabs_on_one_run_say_so_and_show_what_the_other_changed(visit, monkeypatch):
    monkeypatch.setattr(server, "visitor", lambda: "ada")
    one = visit("prune")
    check(one.slider(key="prune_share").set_value(10.0).run())
    assert "another tab" not in text(one)
    two = wait(open_app(dict(one.query_params), "prune"))
    assert figure(two, "Rows to prune") == figure(one, "Rows to prune") != "0"
    for tab in (two, check(one.run())):
        assert "This run is open in another tab too" in text(tab)
    check(two.slider(key="prune_share").set_value(20.0).run())
    kept(one)["selected_ids"] = [3, 5]
    check(one.run())
    assert one.slider(key="prune_share").value == 20.0
    assert figure(one, "Rows to prune") == figure(two, "Rows to prune")
    assert kept(check(two.run()))["selected_ids"] == [3, 5]
    assert two.query_params["review"] == one.query_params["review"]


def test_what_two_tabs_changed_is_put_together():
    base = Review(
        selected=(1, 2), prune=PruneList(0.1, picked=frozenset({1, 2})), labels={1: "accept"}
    )
    mine = base.model_copy(
        update={
            "prune": PruneList(0.1, picked=frozenset({2, 3})),
            "labels": {1: "accept", 2: "keep"},
        }
    )
    theirs = base.model_copy(
        update={
            "selected": (7,), "prune": PruneList(0.3, picked=frozenset({1, 2, 4})), "labels": {3: "keep"},
            "filters": Filters(negative=True),
        }
    )  # fmt: skip
    merged = windows.merge(base, mine, theirs)
    assert merged == Review(
        selected=(7,), prune=PruneList(0.3, picked=frozenset({2, 3, 4})), labels={2: "keep", 3: "keep"},
        filters=Filters(negative=True),
    )  # fmt: skip
    assert windows.merge(base, mine.model_copy(update={"selected": (9,)}), theirs).selected == (9,)


# --- Where to go, and what files are called ------------------------------------------------------


@pytest.mark.parametrize("screen", SCREENS)
def test_every_page_leads_on_with_a_primary_button(visit, screen):
    app = visit(screen)
    assert has(app.button, "lead_on")


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("loans.csv", "loans"), ("loans.csv.gz", "loans"), ("v1.2 final.XLSX", "v1_2_final"),
        ("Müller/../x.parquet", "Müller_x"), ("..", "table"), ("a" * 99, "a" * 60),
    ],
)  # fmt: skip
def test_file_names_begin_like_the_table(name, stem):
    assert file_stem(name) == stem


def test_downloads_are_called_after_the_table(visit, monkeypatch):
    names, keys = {}, count()
    monkeypatch.setattr(
        st, "download_button",
        lambda label, data, name, *_, key, **__: names.setdefault(f"{next(keys)} {key}", name),
    )  # fmt: skip
    visit("prune")
    found = {re.sub(r"^\d+ download_", "", key): name for key, name in names.items()}
    assert found == found | {
        "kept": "Wine_pruned.csv", "removed": "Wine_removed.csv", "all_values": "Wine_values.csv",
        "report": "Wine_report.html", "recipe": "Wine_recipe.json",
    }  # fmt: skip
