"""Runs and desks: found again by name, date and file; deleted with undo; whole whoever writes at once."""

import threading
import time
from dataclasses import replace

import pytest
from small_runs import SETTINGS, keep_mends, keep_run, mended_table, prepared_table

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.tables import make_table, prepare
from ecoval_core.workspace import desks, files, history
from ecoval_core.workspace.history import Desk
from ecoval_core.workspace.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def names(runs):
    return [run.name for run in runs]


def start(store, valuation="v", name="Wine"):
    return history.start_run(store, valuation, "p", SETTINGS, name)


# --- Runs ------------------------------------------------------------------------------------


def test_a_finished_run_shows_what_the_list_needs(store):
    run, key = keep_run(store, name="First")
    store.save_result(
        "c",
        "curves",
        {"preparation": "x", "valuation": key},
        {},
        lambda f: (f / "a").write_bytes(b"x" * 999),
    )
    found = history.find_run(store, run)
    prepared = prepared_table()
    assert (found.state, found.error, found.deleted) == ("done", None, None)
    assert (found.name, found.note, found.table, found.target) == (
        "First",
        "",
        "small.csv",
        "label",
    )
    assert (found.valuation, found.preparation) == (key, prepared.fingerprint)
    assert found.frame == prepared.table.content
    assert found.settings == SETTINGS
    assert found.summary["n_rows"] == len(prepared.y_train)
    assert found.summary["seconds"] == 1.5
    assert abs(found.created - time.time()) < 60
    on_disk = sum(
        files.size(store.root / folder) for folder in ("frames", "preparations", "results")
    )
    in_rows = found.n_bytes - on_disk
    # Parameters and payloads are in the database.
    assert 0 < in_rows < 2_000


def test_a_run_that_was_asked_for_before_is_the_same_run(store):
    first = start(store)
    history.change_run(store, first, state="error", error="It broke.")
    assert start(store) == first
    found = history.find_run(store, first)
    assert (found.state, found.error) == ("started", None)
    assert start(store, "w") != first


def test_two_servers_that_start_one_run_at_once_start_one(store):
    gate, runs = threading.Barrier(6), []

    def ask():
        gate.wait()
        runs.append(start(store))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(runs)) == 1
    assert len(history.list_runs(store)) == 1


def test_a_run_whose_values_are_there_already_is_done_at_once(store):
    _, key = keep_run(store)
    prepared = prepared_table()
    again = history.start_run(store, key, prepared.fingerprint, SETTINGS, "small")
    assert history.find_run(store, again).state == "done"


def test_values_that_arrive_end_the_waiting_of_a_run(store):
    run = start(store)
    history.change_run(store, run, state="error", error="It broke.")
    assert store.db.one("SELECT state FROM runs")["state"] == "error"
    store.save_result("v", "value", {}, {})
    row = store.db.one("SELECT state, error FROM runs")
    assert (row["state"], row["error"]) == ("done", None)


def test_a_run_says_that_its_values_are_missing(store):
    run, key = keep_run(store)
    files.remove(store.file_of("results", key))
    found = history.find_run(store, run)
    assert (found.state, found.error) == (
        "missing",
        "Its values are no longer kept: value the rows again.",
    )
    store.db.run("DELETE FROM results")
    assert history.find_run(store, run).state == "missing"
    assert names(history.list_runs(store)) == ["small"]


@pytest.mark.parametrize("table", ["frames", "preparations", "tables"])
def test_a_run_says_that_its_table_is_missing(store, table):
    run, _ = keep_run(store)
    store.db.run(f"DELETE FROM {table}")  # noqa: S608
    found = history.find_run(store, run)
    assert (found.state, found.error) == (
        "missing",
        "Its table is no longer kept: load the file again.",
    )


def test_a_run_is_whole_again_when_what_was_missing_is_kept_again(store):
    run, _ = keep_run(store)
    store.db.run("DELETE FROM frames")
    store.save_frame(prepared_table().table.content, prepared_table().table.frame)
    assert history.find_run(store, run).state == "done"


def test_a_run_that_never_finished_is_not_said_to_miss_anything(store):
    run = start(store)
    assert history.find_run(store, run).state == "started"
    history.change_run(store, run, state="cancelled")
    assert history.find_run(store, run).state == "cancelled"


def test_runs_come_the_latest_first(store):
    for number in range(4):
        start(store, f"v{number}", f"run {number}")
    assert names(history.list_runs(store)) == ["run 3", "run 2", "run 1", "run 0"]


def test_a_search_finds_words_in_name_note_table_target_and_model(store):
    keep_run(store, name="Erste Prüfung")
    second, _ = keep_run(store, seed=1, name="second")
    history.change_run(store, second, note="Without the outliers of May")

    def found(search):
        return names(history.list_runs(store, search=search))

    assert found("prüfung") == found("PRÜF erste") == ["Erste Prüfung"]
    assert found("may outliers") == ["second"]
    assert (
        found("small.csv")
        == found("label")
        == found("logistic regression")
        == [
            "second",
            "Erste Prüfung",
        ]
    )
    assert found("%") == found("prüfung may") == []


def test_runs_of_a_file_are_found_whatever_its_split_seed_target_or_columns(store):
    table = prepared_table().table
    keep_run(store, prepare(table, random_state=0), name="seed 0")
    second, _ = keep_run(store, prepare(table, random_state=1), name="seed 1")
    keep_run(
        store,
        prepare(make_table(table.frame, "small.csv", "label", excluded=["width"])),
        name="fewer",
    )
    changed = table.frame.assign(width=table.frame["width"] + 1)
    keep_run(store, prepare(make_table(changed, "small.csv", "label")), name="another file")
    assert names(history.runs_of_frame(store, table.content)) == ["fewer", "seed 1", "seed 0"]
    history.delete_run(store, second)
    assert names(history.runs_of_frame(store, table.content)) == ["fewer", "seed 0"]
    assert history.runs_of_frame(store, "none") == []


def test_runs_of_a_file_are_found_however_it_was_mended(store):
    frame, mends, prepared = mended_table()
    as_read = prepare(make_table(frame, "small.csv", "label"))
    keep_run(store, as_read, name="as read")
    keep_run(store, prepared, name="mended")
    keep_mends(store, frame, mends, prepared)
    content = as_read.table.content
    assert content != prepared.table.content
    for digest in (content, prepared.table.content):
        assert names(history.runs_of_frame(store, digest)) == ["mended", "as read"]


def test_new_runs_of_one_name_are_numbered(store):
    for number in range(3):
        start(store, f"v{number}")
    assert names(history.list_runs(store)) == ["Wine (3)", "Wine (2)", "Wine"]


def test_renaming_takes_no_name_away_from_another_run(store):
    first, second = start(store, "v", "Wine"), start(store, "w", "Beer")
    assert history.rename_run(store, second, " Wine\n ") == "Wine (2)"
    assert history.rename_run(store, first, "Wine") == "Wine"
    assert history.rename_run(store, second, "x" * 500) == "x" * history.MAX_NAME
    assert history.rename_run(store, first, "x" * 500) == "x" * (history.MAX_NAME - 4) + " (2)"
    assert history.rename_run(store, "none", "Wine") is None


@pytest.mark.parametrize("name", ["", " \n", "\0\x1b"])
def test_a_run_keeps_a_name(store, name):
    run = start(store)
    for rename in (
        lambda: history.rename_run(store, run, name),
        lambda: history.change_run(store, run, name=name),
    ):
        with pytest.raises(ValueError, match="needs a name"):
            rename()
    assert names(history.list_runs(store)) == ["Wine"]


def test_names_and_notes_that_look_like_sql_are_text(store):
    run = start(store)
    evil = "x'); DROP TABLE runs; --"
    history.change_run(store, run, name=evil, note=evil)
    found = history.find_run(store, run)
    assert (found.name, found.note) == (evil, evil)
    with pytest.raises(TypeError, match=r"no .* that can be changed"):
        history.change_run(store, run, **{'name" = "x", "note': evil})


def test_a_note_is_held_to_its_length(store):
    run = start(store)
    history.change_run(store, run, note="y" * 20_000)
    assert len(history.find_run(store, run).note) == history.MAX_NOTE


def test_a_run_that_is_not_there_is_not_changed(store):
    assert history.change_run(store, "none", note="x") is False
    assert history.delete_run(store, "none") is False
    assert history.restore_run(store, "none") is False
    assert history.find_run(store, "none") is None
    run = start(store)
    assert history.change_run(store, run, note="x") is True


def test_a_deleted_run_can_be_had_back_with_its_desk(store):
    run = start(store)
    history.save_desk(store, "d", Desk(run, "v", {"n": 1}, {}))
    history.delete_run(store, run)
    assert history.list_runs(store) == []
    assert names(history.list_runs(store, deleted=True)) == ["Wine"]
    assert history.find_run(store, run).deleted is not None
    history.restore_run(store, run)
    assert names(history.list_runs(store)) == ["Wine"]
    assert history.find_desk(store, "d").selection == {"n": 1}


def test_asking_for_a_deleted_run_has_it_back(store):
    run = start(store)
    history.delete_run(store, run)
    assert start(store) == run
    assert names(history.list_runs(store)) == ["Wine"]


def test_a_run_that_is_had_back_leaves_its_name_to_the_one_that_took_it(store):
    run = start(store)
    history.delete_run(store, run)
    start(store, "w")
    history.restore_run(store, run)
    assert sorted(names(history.list_runs(store))) == ["Wine", "Wine (2)"]


def test_deleted_runs_are_forgotten_after_a_week_with_their_desks_alone(store):
    first, second = start(store, "v", "a"), start(store, "w", "b")
    for run in (first, second):
        history.save_desk(store, f"desk of {run}", Desk(run, "v", {}, {"prune": _made(1)}))
        history.delete_run(store, run)
    # A desk of a run that is in another folder.
    history.save_desk(store, "far", Desk("elsewhere", "v", {}, {}))
    store.db.run("UPDATE runs SET deleted = deleted - ? WHERE id = ?", 8 * 24 * 3600, first)
    assert history.purge_deleted(store) == 1
    assert names(history.list_runs(store, deleted=True)) == ["b"]
    assert history.find_desk(store, f"desk of {first}") is None
    assert history.find_desk(store, f"desk of {second}") is not None
    assert history.find_desk(store, "far") is not None
    assert store.db.all("SELECT desk FROM decisions") == [{"desk": f"desk of {second}"}]
    assert history.restore_run(store, first) is False


def test_forgetting_one_takes_the_one_deleted_longest_ago(store):
    for number in range(3):
        run = start(store, f"v{number}", f"{number}")
        history.delete_run(store, run)
        store.db.run("UPDATE runs SET deleted = ? WHERE id = ?", 1000.0 - number, run)
    assert history.purge_deleted(store, older_than=0.0, at_most=1) == 1
    assert names(history.list_runs(store, deleted=True)) == ["0", "1"]


# --- Desks -----------------------------------------------------------------------------------


def _made(number):
    rules = history.rules_to_json(PruneList(share=number / 100, picked=frozenset({number, 7})))
    return {"present": rules, "past": [rules, rules], "future": []}


def test_a_desk_comes_back(store):
    desk = Desk(
        "r",
        "v",
        {"selected_ids": [3, 1], "view": {"unit": "µ"}},
        {"prune": _made(3), "labels": _made(4)},
    )
    history.save_desk(store, "d", desk)
    assert history.find_desk(store, "d") == desk
    fewer = replace(desk, selection={}, decisions={"labels": _made(5)})
    history.save_desk(store, "d", fewer)
    assert history.find_desk(store, "d") == fewer
    assert history.find_desk(store, "e") is None


@pytest.mark.parametrize(
    "rules",
    [PruneList(), PruneList(0.1, -0.5, frozenset({3, 1}), frozenset({2}), 0.25)],
    ids=["none", "all"],
)
def test_a_prune_list_comes_back_from_json(rules):
    assert history.rules_from_json(history.rules_to_json(rules)) == rules


def test_the_latest_desk_of_a_run_is_found_and_that_of_a_visitor(store):
    assert history.latest_desk(store, "r") is None
    history.save_desk(store, "a", Desk("r", "ada", {}, {}))
    history.save_desk(store, "b", Desk("r", "bob", {}, {}))
    history.save_desk(store, "c", Desk("s", "bob", {}, {}))
    assert history.latest_desk(store, "r") == "b"
    assert history.latest_desk(store, "r", "ada") == "a"
    history.save_desk(store, "a", Desk("r", "ada", {"n": 1}, {}))
    assert history.latest_desk(store, "r") == "a"


def test_old_desks_go_but_the_latest_of_each_run_stays(store, monkeypatch):
    monkeypatch.setattr(desks, "MAX_DESKS", 3)
    history.save_desk(store, "old", Desk("first", "v", {}, {}))
    for number in range(6):
        history.save_desk(store, f"d{number}", Desk("second", "v", {}, {}))
    kept = {row["id"] for row in store.db.all("SELECT id FROM desks")}
    assert kept == {"old", "d3", "d4", "d5"}


def test_a_desk_that_is_written_while_it_is_read_is_seen_as_it_was_at_one_moment(store):
    stop, seen, torn = threading.Event(), set(), []

    def write():
        number = 0
        while not stop.is_set():
            number = (number + 1) % 50
            made = {"prune": _made(number), "labels": _made(number)}
            history.save_desk(store, "d", Desk("r", "v", {"n": number}, made))

    thread = threading.Thread(target=write)
    thread.start()
    deadline = time.monotonic() + 30
    while len(seen) < 20 and time.monotonic() < deadline:
        found = history.find_desk(store, "d")
        if found is not None:
            number = found.selection["n"]
            seen.add(number)
            if found.decisions != {"prune": _made(number), "labels": _made(number)}:
                torn.append(number)
    stop.set()
    thread.join()
    assert torn == []
    assert len(seen) >= 20
