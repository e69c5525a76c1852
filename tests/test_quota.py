"""The quota: what no run names goes, the longest unused first; what is used or named never does."""

import os
import threading
import time

import pytest
from ecoval_core.workspace.database import WorkspaceError
from ecoval_core.workspace.quota import QuotaError, evict, make_room, quota_bytes, used_bytes
from ecoval_core.workspace.shelf import FILED
from small_runs import keep_mends, keep_run, mended_table, prepared_table

from ecoval_core.tables import make_table, prepare
from ecoval_core.workspace import files, history, quota
from ecoval_core.workspace.store import Store

EVERYTHING = 2**60


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def unused_for(store, seconds, **keys):
    """Have everything, or what is named by table, be unused for so long."""
    for table, key in FILED.items():
        if not keys:
            store.db.run(f"UPDATE {table} SET used = used - ?", seconds)  # noqa: S608
        elif table in keys:
            store.db.run(
                f'UPDATE {table} SET used = used - ? WHERE "{key}" = ?',  # noqa: S608
                seconds, keys[table],
            )  # fmt: skip


def result(store, key, n_bytes=1000, **parameters):
    store.save_result(
        key, "curves", parameters, {}, lambda f: (f / "a").write_bytes(bytes(n_bytes))
    )


def keys(store, table):
    return {row[FILED[table]] for row in store.db.all(f"SELECT * FROM {table}")}  # noqa: S608


def on_disk(store, table):
    return len(list((store.root / table).iterdir()))


def test_the_bytes_are_those_of_the_files_and_of_what_results_hold_in_rows(store):
    assert used_bytes(store) == 0
    keep_run(store)
    result(store, "k", 5000)
    found = sum(files.size(store.root / table) for table in FILED)
    assert found < used_bytes(store) < found + 2000


def test_what_no_run_names_goes_the_longest_unused_first(store):
    for number in range(4):
        result(store, f"k{number}")
        unused_for(store, 10_000 * (number + 1), results=f"k{number}")
    freed = evict(store, 1500)
    assert 2000 <= freed < 2200
    assert keys(store, "results") == {"k0", "k1"}
    assert on_disk(store, "results") == 2


def test_what_is_quick_to_make_again_goes_before_what_is_not(store):
    prepared = prepared_table()
    store.save_frame(prepared.table.content, prepared.table.frame)
    store.save_prepared(prepared)
    result(store, "k")
    unused_for(store, 10_000)
    order = []
    while evict(store, 1):
        order.append([on_disk(store, table) for table in FILED])
    # In the order frames, preparations, results.
    assert order == [[1, 1, 0], [1, 0, 0], [0, 0, 0]]
    unused_for(store, 10_000)
    store.db.run("UPDATE tables SET used = 0")
    evict(store, 1)
    assert store.db.all("SELECT * FROM tables") == []


def test_nothing_that_a_run_names_goes(store):
    run, key = keep_run(store)
    named = {"preparation": prepared_table().fingerprint}
    result(store, "curves", valuation=key, **named)
    result(store, "umap", **named)
    unused_for(store, 10_000)
    assert evict(store, EVERYTHING) == 0
    history.delete_run(store, run)
    # It can still be had back.
    assert evict(store, EVERYTHING) == 0
    history.purge_deleted(store, older_than=-1.0)
    assert evict(store, EVERYTHING) > 0
    assert [on_disk(store, table) for table in FILED] == [0, 0, 0]


def test_the_file_that_the_table_of_a_run_was_mended_from_does_not_go(store):
    frame, mends, prepared = mended_table()
    run, key = keep_run(store, prepared)
    keep_mends(store, frame, mends, prepared)
    store.save_result("e", "effect", {"valuation": key}, {"low": float("nan")})
    unused_for(store, 10_000)
    assert evict(store, EVERYTHING) == 0
    history.delete_run(store, run)
    history.purge_deleted(store, older_than=-1.0)
    evict(store, EVERYTHING)
    assert [on_disk(store, table) for table in FILED] == [0, 0, 0]


def test_what_belongs_to_values_that_no_run_names_goes_though_its_table_is_named(store):
    keep_run(store)
    named = prepared_table().fingerprint
    store.save_result("other", "value", {"preparation": named}, {})
    result(store, "curves", valuation="other", preparation=named)
    result(store, "umap", preparation=named)
    unused_for(store, 10_000)
    evict(store, EVERYTHING)
    assert {"other", "curves"} & keys(store, "results") == set()
    assert "umap" in keys(store, "results")


def test_what_was_used_within_the_hour_stays(store):
    result(store, "old")
    unused_for(store, 10_000)
    result(store, "new")
    assert store.find_result("old") is not None
    assert evict(store, EVERYTHING) == 0
    assert keys(store, "results") == {"old", "new"}


def test_what_was_used_within_the_minute_stays_even_when_space_is_short(store):
    result(store, "k")
    assert evict(store, EVERYTHING, in_use_seconds=0.0) == 0
    unused_for(store, quota.LEAST_IN_USE_SECONDS + 1)
    assert evict(store, EVERYTHING, in_use_seconds=0.0) > 0


def test_what_is_opened_or_named_after_it_was_listed_stays(store, monkeypatch):
    for key in ("opened", "named", "gone"):
        result(store, key)
    unused_for(store, 10_000)
    listed = store.db.all

    def meanwhile(query, *values):
        rows = listed(query, *values)
        if query.startswith('SELECT "key"'):
            assert store.find_result("opened") is not None
            store.db.run(
                "INSERT INTO runs VALUES ('r', 'named', 'p', '{}', 'n', '', 'done', NULL, 1, NULL)"
            )
        return rows

    monkeypatch.setattr(store.db, "all", meanwhile)
    evict(store, EVERYTHING)
    assert keys(store, "results") == {"opened", "named"}
    assert on_disk(store, "results") == 2


def test_what_goes_between_being_found_and_being_noted_is_not_there(store, monkeypatch):
    result(store, "k")
    unused_for(store, 10_000)
    first = store.db.one

    def meanwhile(query, *values):
        row = first(query, *values)
        evict(Store(store.root), EVERYTHING)
        return row

    # Its file is still there for a moment.
    monkeypatch.setattr(quota, "remove", lambda _path: None)
    monkeypatch.setattr(store.db, "one", meanwhile)
    assert store.find_result("k") is None


def test_what_is_made_anew_after_it_was_listed_stays(store, monkeypatch):
    result(store, "k", 10)
    unused_for(store, 10_000)
    listed = store.db.all

    def meanwhile(query, *values):
        rows = listed(query, *values)
        if query.startswith('SELECT "key"'):
            result(store, "k", 20)
        return rows

    monkeypatch.setattr(store.db, "all", meanwhile)
    evict(store, EVERYTHING)
    assert (store.find_result("k").folder / "a").stat().st_size == 20


def test_readers_and_evictors_at_once_never_meet_half_a_file(store):
    prepared = prepared_table()
    store.save_frame("d", prepared.table.frame)
    stop, failures, seen = threading.Event(), [], {"there": 0, "gone": 0}

    def guard(work):
        try:
            while not stop.is_set():
                work()
        except Exception as error:
            failures.append(error)
            stop.set()

    def read():
        found = store.load_frame("d")
        seen["gone" if found is None else "there"] += 1
        if found is not None and not found.equals(prepared.table.frame):
            failures.append("another frame")

    def evict_it():
        # As if it had not been used for long.
        store.db.run("UPDATE frames SET used = 0")
        evict(store, EVERYTHING)
        store.save_frame("d", prepared.table.frame)

    threads = [threading.Thread(target=guard, args=(w,)) for w in (read, read, evict_it)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while min(seen.values()) < 20 and not failures and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert min(seen.values()) >= 20


# --- Bringing a folder within its quota ------------------------------------------------------


def test_within_the_quota_nothing_goes(store):
    result(store, "k")
    unused_for(store, 10_000)
    make_room(store, 10**6)
    assert keys(store, "results") == {"k"}


def test_above_it_as_much_goes_as_must(store):
    for number in range(5):
        result(store, f"k{number}", 1000)
        unused_for(store, 10_000 * (number + 1), results=f"k{number}")
    make_room(store, 3200)
    assert used_bytes(store) <= 3200
    assert keys(store, "results") == {"k0", "k1", "k2"}


def test_deleted_runs_go_when_space_is_short_and_no_more_of_them_than_must(store):
    runs = {}
    for seed in range(3):
        runs[seed], _ = keep_run(store, seed=seed, name=f"{seed}")
    for seed in (0, 1):
        history.delete_run(store, runs[seed])
        store.db.run("UPDATE runs SET deleted = ? WHERE id = ?", 1000.0 + seed, runs[seed])
    store.db.run("UPDATE runs SET deleted = ? WHERE deleted IS NOT NULL", time.time() - 60)
    store.db.run("UPDATE runs SET deleted = deleted - 60 WHERE id = ?", runs[0])
    unused_for(store, 10_000)
    make_room(store, used_bytes(store) - 10)
    left = {one.name for one in history.list_runs(store, deleted=True)}
    assert left == {"1"}
    assert {one.name for one in history.list_runs(store)} == {"2"}
    assert history.list_runs(store)[0].state == "done"


def test_a_run_deleted_more_than_a_week_ago_is_forgotten_though_there_is_room(store):
    run, _ = keep_run(store)
    history.delete_run(store, run)
    make_room(store, EVERYTHING)
    assert history.find_run(store, run) is not None
    store.db.run("UPDATE runs SET deleted = deleted - ?", 8 * 24 * 3600)
    make_room(store, EVERYTHING)
    assert history.find_run(store, run) is None


def test_a_quota_used_up_by_runs_is_said_and_nothing_of_them_goes(store):
    run, _ = keep_run(store)
    unused_for(store, 10_000)
    with pytest.raises(
        QuotaError, match="delete runs on the Runs page, or raise ECOVAL_WORKSPACE_MB"
    ):
        make_room(store, 100)
    assert history.find_run(store, run).state == "done"


def test_a_frame_shared_with_a_run_stays_when_another_choice_of_columns_goes(store):
    keep_run(store)
    table = prepared_table().table
    other = prepare(make_table(table.frame, "small.csv", "label", excluded=["width"]))
    store.save_prepared(other)
    unused_for(store, 10_000)
    evict(store, EVERYTHING)
    assert keys(store, "preparations") == {prepared_table().fingerprint}
    assert store.load_frame(table.content) is not None


def test_the_quota_is_taken_from_the_environment(monkeypatch):
    monkeypatch.delenv(quota.ENVIRONMENT, raising=False)
    assert quota_bytes() == quota.DEFAULT_MB * 2**20
    monkeypatch.setenv(quota.ENVIRONMENT, " 1.5 ")
    assert quota_bytes() == 3 * 2**19
    for wrong in ("much", "0", "-3", "nan", "inf"):
        monkeypatch.setenv(quota.ENVIRONMENT, wrong)
        with pytest.raises(WorkspaceError, match="give a number of megabytes above 0"):
            quota_bytes()


def test_what_a_killed_evictor_left_without_a_name_goes(store):
    result(store, "k")
    folder = store.find_result("k").folder
    store.db.run("DELETE FROM results")
    os.utime(folder, (0, 0))
    store.sweep(every=0.0)
    assert not folder.exists()


def test_use_is_noted_at_most_every_few_seconds(store):
    result(store, "k")
    unused_for(store, 10_000)
    before = store.db.one("SELECT used FROM results")["used"]
    store.find_result("k")
    noted = store.db.one("SELECT used FROM results")["used"]
    assert noted > before + 9_000
    store.find_result("k")
    assert store.db.one("SELECT used FROM results")["used"] == noted
