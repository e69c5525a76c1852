"""Runs and reviews: listed by name, searched, deleted with undo, and whole whoever writes at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

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

from ecoval_core.runs.run import load_run
from ecoval_core.work import slow
from ecoval_core.workspace import history, workspace
from ecoval_core.workspace.history import TABLE_GONE, VALUES_GONE
from ecoval_core.workspace.schema import Review, RunSpec
from ecoval_core.workspace.store import Store


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


def test_run_that_was_asked_for_before_is_the_same_run_and_starts_anew(here):
    first = start(here)
    history.note_end(here, history.find_run(here, first).key, "error", "It broke.")
    found = history.find_run(here, first)
    assert (found.state, found.error) == ("error", "It broke.")
    assert start(here) == first
    found = history.find_run(here, first)
    assert (found.state, found.error) == ("started", None)
    assert start(here, seed=1) != first


def test_servers_that_start_one_run_at_once_start_one(here):
    gate = threading.Barrier(6)

    def ask(_):
        gate.wait()
        return start(here)

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(ask, range(6)))) == 1
    assert names(here) == ["Wine"]


def test_run_whose_values_are_there_already_is_done_at_once(here):
    run, _ = keep_run(here)
    rows(here, "DELETE FROM runs")
    assert history.find_run(here, start(here)).state == "done"
    assert history.find_run(here, run) is None


def test_values_that_arrive_end_the_waiting_of_a_run(here):
    run = start(here)
    history.note_end(here, history.find_run(here, run).key, "cancelled", None)
    assert history.find_run(here, run).state == "cancelled"
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
    workspace.forget()
    assert load_run(here, key, found.split, found.settings) is None
    keep_run(here)
    assert history.find_run(here, run).state == "done"
    assert load_run(here, key, found.split, found.settings).spec == found.spec


def test_cleaned_table_is_missing_without_the_cells_it_was_cleaned_from(here):
    frame, opened = cleaned_table()
    run, _ = keep_run(here, opened, frame=frame)
    assert history.find_run(here, run).state == "done"
    Store(here.root).remove(opened.spec.table.content)
    assert history.find_run(here, run).error == TABLE_GONE


def test_search_finds_words_in_name_note_table_target_and_model(here):
    keep_run(here, name="Erste Prüfung")
    second, _ = keep_run(here, seed=1, name="second")
    history.annotate_run(here, second, "Without the outliers of May")
    assert names(here, search="prüfung") == names(here, search="PRÜF erste") == ["Erste Prüfung"]
    assert names(here, search="may outliers") == ["second"]
    for words in ("small.csv", "label", "logistic regression"):
        assert names(here, search=words) == ["second", "Erste Prüfung"]
    assert names(here, search="%") == names(here, search="prüfung may") == []


def test_new_runs_are_named_by_their_table_and_numbered(here):
    for number in range(3):
        start(here, number)
    start(here, 3, name="")
    assert names(here) == ["small.csv", "Wine (3)", "Wine (2)", "Wine"]


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


def test_names_and_notes_that_look_like_sql_are_text_and_held_to_their_length(here):
    evil = "x'); DROP TABLE runs; --"
    run = start(here, name=evil, note=evil)
    found = history.find_run(here, run)
    assert (found.name, found.note) == (evil, evil)
    assert names(here, search="DROP TABLE") == [evil]
    history.annotate_run(here, run, "y" * 20_000)
    assert len(history.find_run(here, run).note) == history.MAX_NOTE


def test_run_that_is_not_there_is_not_changed(here):
    assert history.find_run(here, "none") is None
    for change in (history.delete_run, history.restore_run):
        assert change(here, "none") is False
    for change in (history.rename_run, history.annotate_run):
        assert change(here, "none", "x") is False


# --- Deletion --------------------------------------------------------------------------------


def test_deleted_run_can_be_restored_with_its_review_and_leaves_its_name_to_another(here):
    run = start(here)
    history.save_review(here, "d", run, "v", Review(selected=(1,)))
    assert history.delete_run(here, run)
    assert names(here) == []
    assert names(here, deleted=True) == ["Wine"]
    assert history.find_run(here, run).deleted is not None
    start(here, 1)
    history.restore_run(here, run)
    assert sorted(names(here)) == ["Wine", "Wine (2)"]
    assert history.latest_review(here, run).review.selected == (1,)


def test_asking_for_a_deleted_run_restores_it(here):
    run = start(here)
    history.delete_run(here, run)
    assert start(here) == run
    assert names(here) == ["Wine"]


def test_run_that_is_forgotten_takes_its_reviews_alone(here):
    first, second = start(here, 0, "a"), start(here, 1, "b")
    for run in (first, second):
        history.save_review(here, f"of {run}", run, "v", Review())
    # That of a run in another folder.
    history.save_review(here, "far", "elsewhere", "v", Review())
    rows(here, "DELETE FROM runs WHERE id = ?", first)
    assert history.find_review(here, f"of {first}") is None
    assert history.find_review(here, f"of {second}") is not None
    assert history.find_review(here, "far") is not None
    assert history.restore_run(here, first) is False


# --- Reviews ---------------------------------------------------------------------------------


def test_latest_review_of_a_run_is_that_of_the_session_that_saved_last(here):
    assert history.latest_review(here, "r") is history.find_review(here, "a") is None
    for name, run in (("a", "r"), ("b", "r"), ("c", "s")):
        history.save_review(here, name, run, "v", Review(selected=(1,)))
    assert history.latest_review(here, "r").id == "b"
    history.save_review(here, "a", "r", "v", Review(selected=(2,)))
    found = history.latest_review(here, "r")
    assert found == history.find_review(here, "a")
    assert (found.id, found.run, found.review) == ("a", "r", Review(selected=(2,)))
    assert abs(found.updated - time.time()) < 60


def test_old_reviews_go_but_the_latest_of_each_run_stays(here, monkeypatch):
    monkeypatch.setattr(history, "MAX_REVIEWS", 3)
    history.save_review(here, "old", "first", "v", Review(), updated=1.0)
    for number in range(6):
        history.save_review(here, f"d{number}", "second", "v", Review(), updated=10.0 + number)
    kept = {row["id"] for row in rows(here, "SELECT id FROM reviews")}
    assert kept == {"old", "d3", "d4", "d5"}
