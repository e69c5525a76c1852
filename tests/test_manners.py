"""How the app behaves between the clicks: old values stay, changes are marked, links and tabs are told of."""

import pytest
from screens import figure, go, has, kept, open_app, press, put, run_of, text, wait

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


def test_values_stay_while_others_are_made_and_what_changes_meanwhile_is_for_the_next_ones(visit):
    app = visit("value")
    run, before = app.query_params["run"], run_of(app).frame
    # Long enough to be under way until it is cancelled.
    put(app, model_classification="random_forest", every_row=True)
    press(put(app, **{"parameter_random_forest.n_estimators": 500}), "start")
    under_way = app.query_params["run"]
    assert has(app.button, "cancel")
    assert "It keeps its settings: what you change here applies to the next one." in text(app)
    assert figure(app, "Surplus"), "the values of before are still summed up"
    for screen in ("explore", "labels"):
        go(app, screen)
        assert "new valuation running" in header(app)
        assert run_of(app).frame.equals(before)
    put(go(app, "data"), data_seed=7)
    assert "what you change here applies to the next one" in text(app)
    assert app.query_params["run"] == under_way
    other = open_app(dict(app.query_params), "value")
    assert has(other.button, "cancel"), "a refresh finds the valuation under way"
    assert other.selectbox(key="model_classification").value == "random_forest"
    for tab in (other, go(app, "value")):
        press(tab, "cancel")
        assert "The valuation was cancelled." in text(wait(tab))
        assert tab.query_params["run"] == run
        assert figure(tab, "Surplus")


def test_changed_settings_are_marked_until_they_are_valued_and_each_run_opens_with_its_own(visit):
    app = visit("value")
    first = app.query_params["run"]
    assert "ot yet valued" not in text(app) + header(app)
    put(app, value_seed=7)
    assert "**Not yet valued**; valued with: 0" in text(app)
    for screen in ("value", "explore"):
        assert header(go(app, screen)).endswith("**not yet valued: seed**")
    put(go(app, "value"), value_seed=0)
    assert "ot yet valued" not in text(app) + header(app)
    wait(press(put(app, value_seed=7), "start"))
    assert app.query_params["run"] != first
    assert run_of(app).settings.random_state == 7
    assert header(app).endswith("clusters")
    press(app, f"switch_{first}")
    assert app.number_input(key="value_seed").value == 0
    assert "ot yet valued" not in text(app) + header(app)


def test_a_changed_split_is_marked_and_taken_back_and_the_values_stay(visit):
    app = visit("data")
    before = run_of(app).frame
    put(app, data_seed=7)
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
    for screen in ("explore", "labels", "prune", "new_data", "compare"):
        assert "Value them first" in go(app, screen).info[0].value


# --- Links and tabs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "screen", "sentence"),
    [
        ({"run": "0" * 32}, "explore", "names a run that is not in this workspace"),
        ({"data": "0" * 32}, "value", "names a table that is not in this workspace"),
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
            "filters": Filters(negative=True, label_view="cards", card=4),
        }
    )  # fmt: skip
    # One may show the list and the other the cards.
    merged = windows.merge(base, mine, theirs)
    assert merged == Review(
        selected=(7,), prune=PruneList(0.3, picked=frozenset({2, 3, 4})), labels={2: "keep", 3: "keep"},
        filters=Filters(negative=True),
    )  # fmt: skip
    assert windows.merge(base, mine.model_copy(update={"selected": (9,)}), theirs).selected == (9,)


def test_review_of_another_is_begun_once_by_two_tabs_and_can_be_seen_again(visit, monkeypatch):
    theirs = put(visit("prune"), prune_share=10.0)
    monkeypatch.setattr(server, "visitor", lambda: "another")
    one, two = (open_app(dict(theirs.query_params), "prune") for _ in range(2))
    assert figure(two, "Rows to prune") != "0"
    begun = press(one, "undo").query_params["review"]
    assert begun != theirs.query_params["review"]
    assert figure(put(two, prune_quota=20), "Rows to prune") == "0"
    assert two.query_params["review"] == begun
    again = go(open_app(dict(theirs.query_params), "labels"), "prune")
    assert again.query_params["review"] == theirs.query_params["review"]
    assert figure(again, "Rows to prune") != "0"


# --- Where to go, and what files are called ------------------------------------------------------


def test_every_page_leads_on_with_a_primary_button(visit):
    app = visit("data")
    for screen in SCREENS:
        assert has(go(app, screen).button, "lead_on"), screen


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("loans.csv", "loans"), ("loans.csv.gz", "loans"), ("v1.2 final.XLSX", "v1_2_final"),
        ("Müller/../x.parquet", "Müller_x"), ("..", "table"), ("a" * 99, "a" * 60),
    ],
)  # fmt: skip
def test_file_names_begin_like_the_table(name, stem):
    assert file_stem(name) == stem


def test_downloads_are_called_after_the_table(visit, offered):
    visit("prune")
    assert offered.names.items() >= {
        "download_kept": "Wine_pruned.csv", "download_removed": "Wine_removed.csv",
        "download_all_values": "Wine_values.csv", "download_report": "Wine_report.html",
        "download_recipe": "Wine_recipe.json",
    }.items()  # fmt: skip
