"""Runs and reviews: listed by name, searched, deleted with undo, and whole whoever writes at once."""

import threading
import time

import pytest
from small_runs import (
    SETTINGS,
    cleaned_table,
    curves,
    keep,
    keep_run,
    make_workspace,
    small_table,
)

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.runs.run import load_run
from ecoval_core.work import slow
from ecoval_core.workspace import history
from ecoval_core.workspace.history import TABLE_GONE, VALUES_GONE
from ecoval_core.workspace.schema import Filters, Review, RunSpec
from ecoval_core.workspace.store import Store

WEEK = 7 * 24 * 3600


@pytest.fixture
def here(tmp_path):
    return make_workspace(tmp_path)


def start(here, seed=0, name="Wine", **more):
    spec = small_table().spec
    settings = SETTINGS.replace(random_state=seed)
    spec = RunSpec(table=spec.table, split=spec.split, settings=settings)
    return history.start_run(here, spec, name=name, **more)


def rows(here, query, *values):
    return Store(here.root).rows(query, *values)


def names(here, **which):
    return [run.name for run in history.list_runs(here, **which)]


# --- Runs ------------------------------------------------------------------------------------


def test_finished_run_shows_what_the_list_needs(here):
    run, key = keep_run(here, name="First")
    keep(here, slow.curves(key), curves())
    found = history.find_run(here, run)
    opened = small_table()
    assert (found.name, found.note, found.state, found.error) == ("First", "", "done", None)
    assert (found.key, found.split, found.deleted) == (key, opened.key, None)
    assert (found.spec.table, found.settings) == (opened.spec.table, SETTINGS)
    assert found.summary["n_rows"] == len(opened.split.y_train)
    assert found.summary["seconds"] == 1.5
    assert abs(found.created - time.time()) < 60
    assert found.n_bytes == sum(row["bytes"] for row in rows(here, "SELECT bytes FROM results"))


def test_run_that_was_asked_for_before_is_the_same_run(here):
    first = start(here)
    key = history.find_run(here, first).key
    history.note_end(here, key, "error", "It broke.")
    found = history.find_run(here, first)
    assert (found.state, found.error) == ("error", "It broke.")
    assert start(here) == first
    found = history.find_run(here, first)
    assert (found.state, found.error) == ("started", None)
    assert start(here, seed=1) != first


def test_servers_that_start_one_run_at_once_start_one(here):
    gate, found = threading.Barrier(6), []

    def ask():
        gate.wait()
        found.append(start(here))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert names(here) == ["Wine"]


def test_run_whose_values_are_there_already_is_done_at_once(here):
    run, _ = keep_run(here)
    rows(here, "DELETE FROM runs")
    assert history.find_run(here, start(here)).state == "done"
    assert history.find_run(here, run) is None


def test_values_that_arrive_end_the_waiting_of_a_run(here):
    run = start(here)
    history.note_end(here, history.find_run(here, run).key, "error", "It broke.")
    assert keep_run(here)[0] == run
    found = history.find_run(here, run)
    assert (found.state, found.error) == ("done", None)


@pytest.mark.parametrize(
    ("part", "why", "has_table"),
    [("key", VALUES_GONE, True), ("split", TABLE_GONE, False), ("frame", TABLE_GONE, False)],
)
def test_run_says_what_of_it_is_missing_and_is_whole_when_that_is_back(here, part, why, has_table):
    run, key = keep_run(here)
    found = history.find_run(here, run)
    gone = {"key": key, "split": found.split, "frame": found.spec.table.content}[part]
    Store(here.root).remove(gone)
    found = history.find_run(here, run)
    assert (found.state, found.error, found.has_table) == ("missing", why, has_table)
    assert names(here) == ["small"]
    keep_run(here)
    assert history.find_run(here, run).state == "done"


def test_cleaned_table_is_missing_without_the_cells_it_was_cleaned_from(here):
    frame, opened = cleaned_table()
    run, _ = keep_run(here, opened, frame=frame)
    assert history.find_run(here, run).state == "done"
    Store(here.root).remove(opened.spec.table.content)
    assert history.find_run(here, run).error == TABLE_GONE


def test_run_that_never_finished_is_not_said_to_miss_anything(here):
    run = start(here)
    assert history.find_run(here, run).state == "started"
    history.note_end(here, history.find_run(here, run).key, "cancelled", None)
    assert history.find_run(here, run).state == "cancelled"


def test_search_finds_words_in_name_note_table_target_and_model(here):
    keep_run(here, name="Erste Prüfung")
    second, _ = keep_run(here, seed=1, name="second")
    history.annotate_run(here, second, "Without the outliers of May")
    assert names(here, search="prüfung") == names(here, search="PRÜF erste") == ["Erste Prüfung"]
    assert names(here, search="may outliers") == ["second"]
    for words in ("small.csv", "label", "logistic regression"):
        assert names(here, search=words) == ["second", "Erste Prüfung"]
    assert names(here, search="%") == names(here, search="prüfung may") == []


def test_new_runs_of_one_name_are_numbered(here):
    for number in range(3):
        start(here, number)
    assert names(here) == ["Wine (3)", "Wine (2)", "Wine"]


def test_run_without_a_name_has_that_of_its_table(here):
    start(here, name="")
    assert names(here) == ["small.csv"]


def test_renaming_takes_no_name_away_from_another_run(here):
    first, second = start(here, 0, "Wine"), start(here, 1, "Beer")
    for run, wanted, name in (
        (second, " Wine\n ", "Wine (2)"),
        (first, "Wine", "Wine"),
        (second, "x" * 500, "x" * history.MAX_NAME),
        (first, "x" * 500, "x" * (history.MAX_NAME - 4) + " (2)"),
    ):
        assert history.rename_run(here, run, wanted)
        assert history.find_run(here, run).name == name


@pytest.mark.parametrize("name", ["", " \n", "\0\x1b"])
def test_name_without_a_letter_is_refused(here, name):
    run = start(here)
    with pytest.raises(ValueError, match="needs a name"):
        history.rename_run(here, run, name)
    assert names(here) == ["Wine"]


def test_names_and_notes_that_look_like_sql_are_text(here):
    evil = "x'); DROP TABLE runs; --"
    run = start(here, name=evil, note=evil)
    found = history.find_run(here, run)
    assert (found.name, found.note) == (evil, evil)
    assert names(here, search="DROP TABLE") == [evil]


def test_note_is_held_to_its_length(here):
    run = start(here)
    history.annotate_run(here, run, "y" * 20_000)
    assert len(history.find_run(here, run).note) == history.MAX_NOTE


def test_run_that_is_not_there_is_not_changed(here):
    assert history.find_run(here, "none") is None
    for change in (history.delete_run, history.restore_run):
        assert change(here, "none") is False
    for change in (history.rename_run, history.annotate_run):
        assert change(here, "none", "x") is False


# --- Deletion --------------------------------------------------------------------------------


def test_deleted_run_can_be_restored_with_its_review(here):
    run = start(here)
    history.save_review(here, "d", run, "v", Review(selected=(1,)))
    assert history.delete_run(here, run)
    assert names(here) == []
    assert names(here, deleted=True) == ["Wine"]
    assert history.find_run(here, run).deleted is not None
    history.restore_run(here, run)
    assert names(here) == ["Wine"]
    assert history.latest_review(here, run).review.selected == (1,)


def test_asking_for_a_deleted_run_restores_it(here):
    run = start(here)
    history.delete_run(here, run)
    assert start(here) == run
    assert names(here) == ["Wine"]


def test_restored_run_leaves_its_name_to_the_one_that_took_it(here):
    run = start(here)
    history.delete_run(here, run)
    start(here, 1)
    history.restore_run(here, run)
    assert sorted(names(here)) == ["Wine", "Wine (2)"]


def test_runs_deleted_a_week_ago_are_forgotten_with_their_reviews_alone(here):
    first, second = start(here, 0, "a"), start(here, 1, "b")
    for run in (first, second):
        history.save_review(here, f"of {run}", run, "v", Review())
        history.delete_run(here, run)
    # That of a run in another folder.
    history.save_review(here, "far", "elsewhere", "v", Review())
    rows(here, "UPDATE runs SET deleted = deleted - ? WHERE id = ?", WEEK + 1, first)
    history.purge_deleted(here)
    assert names(here, deleted=True) == ["b"]
    assert history.find_review(here, f"of {first}") is None
    assert history.find_review(here, f"of {second}") is not None
    assert history.find_review(here, "far") is not None
    assert history.restore_run(here, first) is False


# --- Reviews ---------------------------------------------------------------------------------

RULES = PruneList(0.1, -0.5, frozenset({3, 1}), frozenset({2}), 0.25)
FULL = Review(
    selected=(3, 1), picked=3, extrinsic_weight=0.5, unit="score",
    filters=Filters(labels=("no", 1), columns={"width": (0.5, 2.5), "kind": ("a", "3")}, color="label"),
    prune=RULES, prune_past=(PruneList(), RULES), labels={1: "accept", 3: "keep"}, labels_past=({},),
)  # fmt: skip


@pytest.mark.parametrize("review", [Review(), FULL], ids=["empty", "full"])
def test_review_comes_back(here, review):
    history.save_review(here, "d", "r", "v", FULL)
    history.save_review(here, "d", "r", "v", review)
    found = history.find_review(here, "d")
    assert (found.id, found.run, found.review) == ("d", "r", review)
    assert abs(found.updated - time.time()) < 60
    assert history.find_review(here, "e") is None


def test_latest_review_of_a_run_is_that_of_the_session_that_saved_last(here):
    assert history.latest_review(here, "r") is None
    for name, run in (("a", "r"), ("b", "r"), ("c", "s")):
        history.save_review(here, name, run, "v", Review())
    assert history.latest_review(here, "r").id == "b"
    history.save_review(here, "a", "r", "v", FULL)
    assert history.latest_review(here, "r").id == "a"
    assert history.latest_review(here, "r").review == FULL


def test_old_reviews_go_but_the_latest_of_each_run_stays(here, monkeypatch):
    monkeypatch.setattr(history, "MAX_REVIEWS", 3)
    history.save_review(here, "old", "first", "v", Review(), updated=1.0)
    for number in range(6):
        history.save_review(here, f"d{number}", "second", "v", Review(), updated=10.0 + number)
    kept = {row["id"] for row in rows(here, "SELECT id FROM reviews")}
    assert kept == {"old", "d3", "d4", "d5"}


# --- Opening ---------------------------------------------------------------------------------


def test_run_opens_as_it_was_valued(here):
    run, _ = keep_run(here)
    record = history.find_run(here, run)
    opened = load_run(here, record.key, record.split, record.settings)
    assert opened.spec == record.spec
    assert opened.table.name == "small.csv"
    assert opened.table.frame.equals(small_table().table.frame)
    other = load_run(here, record.key, record.split, SETTINGS.replace(extrinsic_weight=0.9))
    assert other.settings.extrinsic_weight == 0.9
    assert load_run(here, "none", record.split, record.settings) is None
    assert load_run(here, record.key, "none", record.settings) is None
