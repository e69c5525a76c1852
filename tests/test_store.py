"""The store: what is put in comes out, whole, whoever else writes, reads, evicts or is killed at the time."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ecoval_core.workspace.database import Database, WorkspaceError
from ecoval_core.workspace.parquet import read_arrays, write_arrays
from ecoval_core.workspace.shelf import DATABASE
from ecoval_core.workspace.valuations import read_valuation
from small_runs import frames, keep_run, prepared_table

from ecoval_core.tables import make_table, prepare
from ecoval_core.tables.table import content_digest
from ecoval_core.workspace import database, files, history, shelf
from ecoval_core.workspace import store as store_module
from ecoval_core.workspace.store import Store

ARRAYS = [f"{name}_{part}" for name in ("X", "y", "ids") for part in ("train", "val", "test")]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "workspace")


def write_number(number, count=3):
    """A writer of a result of several files that must go together."""

    def write(folder):
        for file in range(count):
            write_arrays({"n": np.full(50, number)}, folder / f"{file}.parquet")

    return write


def numbers_in(folder, count=3):
    return {int(n) for file in range(count) for n in read_arrays(folder / f"{file}.parquet")["n"]}


def age(store, seconds):
    """Have everything in a store be unused for so long."""
    for table in shelf.FILED:
        store.db.run(f"UPDATE {table} SET used = used - ?", seconds)  # noqa: S608


# --- What is put in comes out ----------------------------------------------------------------


@pytest.mark.parametrize("frame", frames().values(), ids=frames())
def test_a_frame_comes_back_with_its_cells_its_types_and_its_digest(store, frame):
    store.save_frame("d", frame)
    found = store.load_frame("d")
    pd.testing.assert_frame_equal(found, frame)
    assert content_digest(found) == content_digest(frame)


@pytest.mark.parametrize(
    "target",
    [
        ["yes", "no", "perhaps"] * 20,
        [3, 1, 2] * 20,
        [True, False, True] * 20,
        list(np.random.default_rng(0).normal(size=60)),
        ["1.5", "x", None] * 20,
    ],
    ids=["text", "int", "bool", "float", "missing"],
)
def test_a_prepared_table_comes_back_to_the_last_bit(store, target):
    frame = prepared_table().table.frame.assign(label=target)
    prepared = prepare(make_table(frame, "t", "label"), noise=0.2, random_state=3)
    store.save_frame(prepared.table.content, prepared.table.frame)
    store.save_prepared(prepared)
    found = store.load_prepared(prepared.fingerprint)
    for name in (*ARRAYS, "y_train_clean", "flipped_ids"):
        array, kept = getattr(prepared, name), getattr(found, name)
        assert kept.dtype.kind == array.dtype.kind
        np.testing.assert_array_equal(kept, array)
        if array.dtype.kind == "f":
            assert kept.tobytes() == array.tobytes()
    for name in ("task", "proportions", "noise", "random_state", "fingerprint"):
        assert getattr(found, name) == getattr(prepared, name)
    for name in ("name", "target", "task", "excluded", "fingerprint", "content"):
        assert getattr(found.table, name) == getattr(prepared.table, name)
    pd.testing.assert_frame_equal(found.table.frame, prepared.table.frame)


def test_a_result_comes_back_and_belongs_to_its_valuation(store):
    parameters = {"preparation": "p", "valuation": "v", "weight": 0.25}
    store.save_result("a", "curves", parameters, {"score": float("nan")}, write_number(1))
    store.save_result("b", "curves", {**parameters, "weight": 0.5}, {}, write_number(2))
    store.save_result("c", "effect", parameters, {"changes": []})
    found = store.find_result("a")
    assert (found.kind, found.parameters) == ("curves", parameters)
    assert np.isnan(found.payload["score"])
    assert numbers_in(found.folder) == {1}
    assert [one.key for one in store.results_of("v", "curves")] == ["a", "b"]
    assert [one.key for one in store.results_of("v")] == ["a", "b", "c"]
    assert store.results_of("w") == []
    assert store.find_result("x") is None


def test_the_same_work_done_again_takes_the_place_of_the_first(store):
    store.save_result("a", "curves", {"valuation": "v"}, {"n": 1}, write_number(1))
    first = store.find_result("a").folder
    store.save_result("a", "curves", {"valuation": "v"}, {"n": 2}, write_number(2))
    assert [one.payload["n"] for one in store.results_of("v")] == [2]
    assert numbers_in(store.find_result("a").folder) == {2}
    # Whoever has found the first before goes on reading it.
    assert numbers_in(first) == {1}


def test_what_belongs_to_a_table_alone_is_found_by_it(store):
    store.save_result("u", "umap", {"preparation": "p", "every_row": True}, {})
    store.save_result("c", "curves", {"preparation": "p", "valuation": "v"}, {})
    assert [one.key for one in store.results_of_preparation("p", "umap")] == ["u"]
    assert store.results_of_preparation("p", "curves") == []


def test_a_folder_is_made_for_its_owner_alone(store):
    assert store.root.stat().st_mode & 0o077 == 0


def test_a_table_of_another_name_does_not_rename_one_that_is_to_be_kept(store):
    prepared = prepared_table()
    store.save_prepared(prepared)
    other = replace(prepared, table=replace(prepared.table, name="other.csv"))
    store.save_prepared(other, keep_table=True)
    assert store.db.one("SELECT name FROM tables")["name"] == "small.csv"
    store.save_prepared(other)
    assert store.db.one("SELECT name FROM tables")["name"] == "other.csv"


# --- What is missing or damaged --------------------------------------------------------------


def damage(path):
    path.write_bytes(path.read_bytes()[:40] + b"\0" * 60)


@pytest.mark.parametrize("spoil", [damage, Path.unlink], ids=["damaged", "deleted"])
def test_a_frame_that_cannot_be_read_is_gone_and_can_be_kept_again(store, spoil):
    frame = frames()["numbers"]
    store.save_frame("d", frame)
    spoil(store.file_of("frames", "d"))
    assert store.load_frame("d") is None
    store.save_frame("d", frame)
    pd.testing.assert_frame_equal(store.load_frame("d"), frame)


def values_of(found):
    return read_valuation(found.folder)


def test_a_result_that_is_damaged_is_not_there_and_can_be_made_again(store):
    run, key = keep_run(store)
    assert store.read_result(key, values_of).full_score_ == 0.9
    damage(store.find_result(key).folder / "rows.parquet")
    assert store.read_result(key, values_of) is None
    assert store.find_result(key) is None
    assert history.find_run(store, run).state == "missing"
    assert keep_run(store) == (run, key)
    assert store.read_result(key, values_of).full_score_ == 0.9
    assert store.read_result("none", values_of) is None


def test_what_is_damaged_is_set_aside_and_not_deleted(store):
    store.save_frame("d", frames()["numbers"])
    path = store.file_of("frames", "d")
    damage(path)
    store.load_frame("d")
    assert [one.name for one in (store.root / shelf.DAMAGED).iterdir()] == [path.name]


def test_a_table_without_its_frame_and_a_result_without_its_folder_are_not_there(store):
    _, key = keep_run(store)
    files.remove(store.file_of("results", key))
    assert store.find_result(key) is None
    assert store.results_of(key) == []
    store.db.run("DELETE FROM frames")
    assert store.load_prepared(prepared_table().fingerprint) is None


def test_an_error_of_the_disk_is_not_taken_for_damage(store, monkeypatch):
    store.save_frame("d", frames()["numbers"])

    def fail(_path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(store_module, "read_frame", fail)
    with pytest.raises(OSError, match="Input/output"):
        store.load_frame("d")
    monkeypatch.undo()
    assert store.load_frame("d") is not None


def test_a_memory_limit_is_not_taken_for_damage(store, monkeypatch):
    store.save_frame("d", frames()["numbers"])

    def fail(_path):
        raise MemoryError

    monkeypatch.setattr(store_module, "read_frame", fail)
    with pytest.raises(MemoryError):
        store.load_frame("d")
    monkeypatch.undo()
    assert store.load_frame("d") is not None


# --- The order of a save ---------------------------------------------------------------------


def test_a_file_is_on_the_disk_before_it_has_its_name_and_named_in_the_database_last(
    store, monkeypatch
):
    steps = []
    fsync, rename, put = os.fsync, Path.replace, shelf.put

    def note_fsync(handle):
        steps.append(("fsync", Path(f"/proc/self/fd/{handle}").readlink().name))
        fsync(handle)

    def note_rename(path, target):
        steps.append(("rename", path.name))
        return rename(path, target)

    def note_put(db, table, row, **options):
        steps.append(("name", table))
        put(db, table, row, **options)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_rename)
    monkeypatch.setattr(shelf, "put", note_put)
    store.save_result("k", "curves", {}, {}, write_number(1))
    written = ["content", "0.parquet", "1.parquet", "2.parquet"]
    assert sorted(steps[:4]) == sorted(("fsync", name) for name in written)
    assert steps[4:] == [("rename", "content"), ("fsync", "results"), ("name", "results")]


def test_every_connection_has_the_log_on_the_disk_at_each_commit(store):
    with store.db.connect() as db:
        assert db.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_save_that_fails_leaves_nothing(store):
    def fail(folder):
        (folder / "half").write_bytes(b"x" * 1000)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        store.save_result("k", "curves", {}, {}, fail)
    assert store.find_result("k") is None
    assert not any((store.root / "results").iterdir())
    assert [one.name for one in (store.root / shelf.UNFINISHED).iterdir()] == ["swept"]


def test_a_database_that_cannot_be_written_leaves_no_file(store, monkeypatch):
    def fail(*_args, **_options):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(shelf, "put", fail)
    with pytest.raises(sqlite3.OperationalError):
        store.save_result("k", "curves", {}, {}, write_number(1))
    assert not any((store.root / "results").iterdir())


# --- Many at once ----------------------------------------------------------------------------


def test_two_writers_of_one_key_and_a_reader_never_meet_half_a_result(store):
    stop, seen, failures = threading.Event(), set(), []

    def write(number):
        while not stop.is_set():
            store.save_result(
                "k", "curves", {"valuation": "v"}, {"n": number}, write_number(number)
            )

    def read():
        other = Store(store.root)
        while not stop.is_set():
            found = other.find_result("k")
            if found is not None:
                inside = numbers_in(found.folder)
                seen.add(found.payload["n"])
                if inside != {found.payload["n"]}:
                    failures.append((found.payload, inside))

    def guard(work, *args):
        try:
            work(*args)
        except Exception as error:
            failures.append(error)
            stop.set()

    threads = [threading.Thread(target=guard, args=(write, n)) for n in (1, 2)]
    threads += [threading.Thread(target=guard, args=(read,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while seen != {1, 2} and not failures and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert seen == {1, 2}


def test_servers_that_start_at_once_on_a_new_folder_all_open_it(tmp_path):
    failures = []
    for round_ in range(5):
        gate = threading.Barrier(8)

        def start(folder, gate=gate):
            gate.wait()
            try:
                Store(folder)
            except Exception as error:
                failures.append(error)

        folder = tmp_path / str(round_)
        threads = [threading.Thread(target=start, args=(folder,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_server_that_starts_waits_for_another_that_is_making_the_folder(tmp_path):
    other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.5, lambda: other.execute("ROLLBACK"))
    timer.start()
    store = Store(tmp_path)
    timer.join()
    other.close()
    store.save_result("k", "curves", {}, {})
    assert store.find_result("k") is not None


def test_a_log_that_another_process_is_making_is_waited_for(tmp_path, monkeypatch):
    # Where two processes make it at the same moment, SQLite refuses one of them at once: 1 in 600.
    connect, refused = sqlite3.connect, []

    class Refused(sqlite3.Connection):
        def execute(self, statement, *values):
            if "journal_mode" in statement and not refused:
                refused.append(statement)
                error = sqlite3.OperationalError("database is locked")
                error.sqlite_errorcode = sqlite3.SQLITE_BUSY
                raise error
            return super().execute(statement, *values)

    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=Refused, **k))
    Store(tmp_path)
    assert len(refused) == 1


def test_a_writer_waits_for_another_process_that_is_writing(store):
    holder = sqlite3.connect(store.root / DATABASE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    done = threading.Event()

    def save():
        store.save_result("k", "curves", {}, {})
        done.set()

    thread = threading.Thread(target=save)
    thread.start()
    assert not done.wait(0.3)
    holder.execute("ROLLBACK")
    holder.close()
    thread.join()
    assert done.is_set()


# --- What is left behind ---------------------------------------------------------------------


def test_what_a_killed_process_was_writing_goes_and_what_a_living_one_writes_stays(store):
    left = store.root / shelf.UNFINISHED / "left"
    left.mkdir()
    (left / "content").write_bytes(b"x")
    with store.draft() as draft:
        draft.write_bytes(b"x")
        for folder in (left, draft.parent):
            os.utime(folder, (0, 0))
        store.sweep(every=0.0)
        assert not left.exists()
        assert draft.exists()
    assert not draft.parent.exists()


def test_a_draft_of_a_moment_ago_stays_since_its_lock_may_not_be_held_yet(store):
    left = store.root / shelf.UNFINISHED / "left"
    left.mkdir()
    store.sweep(every=0.0)
    assert left.exists()


def test_a_file_that_the_database_does_not_name_goes_after_an_hour(store):
    store.save_result("k", "curves", {}, {}, write_number(1))
    stray = store.root / "results" / "stray"
    stray.mkdir()
    store.sweep(every=0.0)
    assert stray.exists()
    for path in (store.root / "results").iterdir():
        os.utime(path, (0, 0))
    store.sweep(every=0.0)
    assert not stray.exists()
    assert numbers_in(store.find_result("k").folder) == {1}


def test_what_was_replaced_stays_for_an_hour_however_old_it_was(store):
    store.save_result("k", "curves", {}, {}, write_number(1))
    first = store.find_result("k").folder
    os.utime(first, (0, 0))
    store.save_result("k", "curves", {}, {}, write_number(2))
    store.sweep(every=0.0)
    assert numbers_in(first) == {1}
    os.utime(first, (0, 0))
    store.sweep(every=0.0)
    assert not first.exists()


def test_sweeping_is_done_every_ten_minutes_only(store):
    left = store.root / shelf.UNFINISHED / "left"
    left.mkdir()
    os.utime(left, (0, 0))
    Store(store.root)
    assert left.exists()
    os.utime(store.root / shelf.UNFINISHED / "swept", (0, 0))
    Store(store.root)
    assert not left.exists()


# --- The database ----------------------------------------------------------------------------


def test_another_program_s_database_is_refused_in_a_sentence(tmp_path):
    with sqlite3.connect(tmp_path / DATABASE) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.close()
    with pytest.raises(WorkspaceError, match="database of another program: set ECOVAL_WORKSPACE"):
        Store(tmp_path)


def test_a_later_version_is_refused_in_a_sentence(store):
    with store.db.connect() as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(WorkspaceError, match=r"later EcoVal \(version 99 .*knows 1\)"):
        Store(store.root)


@pytest.mark.parametrize("content", [b"no database" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_file_that_is_no_database_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / DATABASE).write_bytes(content)
    with pytest.raises(WorkspaceError, match="not a workspace of EcoVal or is damaged"):
        Store(tmp_path)


def test_damage_that_shows_later_is_told_in_a_sentence(store):
    for number in range(200):
        store.save_result(f"k{number}", "curves", {"text": "x" * 500}, {})
    path = store.root / DATABASE
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(WorkspaceError, match="is damaged"):
        store.find_result("k7")


def test_an_empty_file_left_by_a_kill_becomes_a_workspace(tmp_path):
    (tmp_path / DATABASE).touch()
    Store(tmp_path).save_result("k", "curves", {}, {})
    assert Store(tmp_path).find_result("k") is not None


def test_a_database_that_was_deleted_under_a_server_is_not_made_empty_by_a_read(store):
    (store.root / DATABASE).unlink()
    with pytest.raises(sqlite3.OperationalError):
        store.find_result("k")
    assert not (store.root / DATABASE).exists()


SECOND = """
CREATE TABLE extras (id TEXT PRIMARY KEY, note TEXT NOT NULL DEFAULT 'a; b');
ALTER TABLE runs ADD COLUMN stars INTEGER NOT NULL DEFAULT 0;
"""


def test_an_older_version_is_brought_up_with_all_it_holds(store, monkeypatch):
    run, key = keep_run(store)
    monkeypatch.setattr(database, "MIGRATIONS", (*database.MIGRATIONS, SECOND))
    later = Store(store.root)
    assert later.db.one("PRAGMA user_version")["user_version"] == 2
    assert later.db.one("SELECT stars FROM runs")["stars"] == 0
    assert history.find_run(later, run).state == "done"
    assert later.find_result(key) is not None


def test_an_older_version_that_cannot_be_brought_up_stays_as_it_is(store, monkeypatch):
    run, _ = keep_run(store)
    broken = SECOND + "CREATE TABLE runs (id TEXT);"
    monkeypatch.setattr(database, "MIGRATIONS", (*database.MIGRATIONS, broken))
    with pytest.raises(
        WorkspaceError, match=r"version 1 .*cannot be brought to version 2 .*as it was"
    ):
        Store(store.root)
    monkeypatch.undo()
    again = Store(store.root)
    assert again.db.all("SELECT name FROM sqlite_schema WHERE name = 'extras'") == []
    assert history.find_run(again, run).state == "done"


def test_servers_that_bring_up_an_older_folder_at_once_do_it_once(store, monkeypatch):
    monkeypatch.setattr(database, "MIGRATIONS", (*database.MIGRATIONS, SECOND))
    failures, gate = [], threading.Barrier(6)

    def start():
        gate.wait()
        try:
            Database(store.root / DATABASE)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# --- kill -9 ---------------------------------------------------------------------------------


def run_kills(*options):
    command = [sys.executable, Path(__file__).with_name("kill_points.py"), *options]
    here = Path(__file__).parent
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_process_killed_at_any_line_of_a_save_loses_nothing_and_leaves_nothing_half():
    found = run_kills("lines", "--every", "30")
    assert found["failures"] == []
    assert found["kills"] >= 20
    # Some were killed before the save was finished, and some after its last line but before its end.
    assert found["absent"] > 0
    assert found["kept"] > 0


def test_a_process_killed_at_any_moment_of_saving_loses_nothing_it_had_finished():
    found = run_kills("moments", "--kills", "20", "--seed", "9")
    assert found["failures"] == []
    assert found["kills"] == 20
    assert found["finished"] > 0
