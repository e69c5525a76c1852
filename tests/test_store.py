"""The store: what is put in comes out whole, whoever else writes, evicts or is killed at the time."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from ecoval_core.workspace import store as store_module
from ecoval_core.workspace.store import DATABASE, Store, WorkspaceError

EVERYTHING = 2**60
HOUR = 3600.0


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "workspace")


def run_row(store, run="r", key="v", split="p", deleted=None):
    """Name results by a run."""
    store.rows(
        "INSERT INTO runs VALUES (?, ?, ?, '[\"f\"]', '{}', 'n', '', 'started', NULL, 1, ?)",
        run, key, split, deleted,
    )  # fmt: skip


def unused(store, **hours):
    """Have results, or all without names, be unused for so many hours."""
    for key, one in (hours or {"%": 9}).items():
        store.rows("UPDATE results SET used = used - ? WHERE key LIKE ?", one * HOUR, key)


def keys(store):
    return {row["key"] for row in store.rows("SELECT key FROM results")}


# --- What is put in comes out ----------------------------------------------------------------


def test_result_comes_back_with_what_made_it(store):
    arguments, summary = {"run": "v", "weight": 0.25}, {"score": 0.1 + 0.2, "é": None}
    store.save("a", "curves", b"\0\xff" * 9, owner="v", arguments=arguments, summary=summary)
    found = store.find("a")
    assert (found.key, found.kind) == ("a", "curves")
    assert (found.arguments, found.summary) == (arguments, summary)
    assert abs(found.created - time.time()) < 60
    assert store.content("a") == b"\0\xff" * 9
    assert store.find("x") is store.content("x") is None


def test_results_of_an_owner_come_the_latest_last_and_each_once(store):
    for key, kind, owner in (("a", "curves", "v"), ("b", "effect", "v"), ("c", "curves", "w")):
        store.save(key, kind, b"", owner=owner)
    store.save("b", "effect", b"two", owner="v")
    assert [one.key for one in store.results_of("v")] == ["a", "b"]
    assert [one.key for one in store.results_of("v", "effect")] == ["b"]
    assert store.content("b") == b"two"
    assert store.results_of("x") == []


def test_blob_beyond_the_limit_is_refused_in_one_sentence(store, monkeypatch):
    monkeypatch.setattr(store_module, "MAX_BLOB_BYTES", 2**20)
    with pytest.raises(ValueError, match="has 2 MB, and the limit is 1 MB: take fewer rows"):
        store.save("a", "curves", bytes(2**21))
    assert keys(store) == set()


def test_folder_is_made_for_its_owner_alone(store):
    assert store.root.stat().st_mode & 0o077 == 0


# --- Quota -----------------------------------------------------------------------------------


def test_longest_unused_result_goes_first_and_no_more_than_must(store):
    for number in range(4):
        store.save(f"k{number}", "curves", bytes(1000))
    unused(store, k0=2, k1=3, k2=5, k3=4)
    assert store.evict(1500) == 2000
    assert keys(store) == {"k0", "k1"}


def test_what_a_run_names_stays_until_the_run_is_forgotten(store):
    for key, owner in (("v", "p"), ("p", ""), ("f", ""), ("curves", "v"), ("umap", "p")):
        store.save(key, "x", b"x", owner=owner)
    run_row(store, deleted=5.0)
    unused(store)
    assert store.evict(EVERYTHING) == 0
    store.rows("DELETE FROM runs")
    assert store.evict(EVERYTHING) == 5
    assert keys(store) == set()


def test_models_go_first_even_those_of_a_run_and_tables_last(store):
    for key, kind, owner in (("m", "models", "v"), ("c", "curves", ""), ("t", "frame", "")):
        store.save(key, kind, bytes(100), owner=owner)
    run_row(store)
    unused(store, m=2, c=5, t=9)
    store.evict(1)
    assert keys(store) == {"c", "t"}
    store.evict(1)
    assert keys(store) == {"t"}


@pytest.mark.parametrize(("hours", "left"), [(0.5, {"k"}), (1.5, set())])
def test_result_used_within_the_hour_stays(store, hours, left):
    store.save("k", "curves", b"x")
    unused(store, k=9)
    assert store.content("k") == b"x"
    unused(store, k=hours)
    store.evict(EVERYTHING)
    assert keys(store) == left


def test_evicted_bytes_leave_the_file(store):
    store.save("k", "curves", os.urandom(2**21))
    unused(store)
    store.evict(1)
    store.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    assert store.path.stat().st_size < 2**20


def test_deleted_runs_go_when_space_is_short_the_first_deleted_first(store):
    for number in range(3):
        store.save(f"v{number}", "value", bytes(1000))
        run_row(store, f"r{number}", f"v{number}", deleted=[20.0, 10.0, None][number])
    unused(store)
    store.make_room(0, 3000)
    assert keys(store) == {"v0", "v1", "v2"}, "there is room"
    store.make_room(0, 2500)
    assert keys(store) == {"v0", "v2"}


def test_quota_used_up_by_runs_is_said_and_nothing_of_them_goes(store):
    store.save("v", "value", bytes(1000))
    run_row(store)
    unused(store)
    with pytest.raises(WorkspaceError, match=r"quota of 0 MB \(ECOVAL_WORKSPACE_MB\) is used up"):
        store.make_room(1000, 1500)
    assert keys(store) == {"v"}


# --- Other databases -------------------------------------------------------------------------


def test_database_of_another_program_is_refused_and_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / DATABASE) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.close()
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(WorkspaceError, match="database of another program: set ECOVAL_WORKSPACE"):
        Store(tmp_path)
    assert (tmp_path / DATABASE).read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [DATABASE]


def test_empty_file_left_by_a_kill_becomes_a_workspace(tmp_path):
    (tmp_path / DATABASE).touch()
    Store(tmp_path).save("k", "curves", b"x")
    assert Store(tmp_path).content("k") == b"x"


# --- Many at once ----------------------------------------------------------------------------


def at_once(*works):
    """Do work in threads that begin at the same moment; what one of them raises is raised."""
    gate = threading.Barrier(len(works))

    def begin(work):
        gate.wait()
        work()

    with ThreadPoolExecutor(len(works)) as pool:
        list(pool.map(begin, works))


def test_servers_that_start_at_once_on_a_new_folder_all_open_it(tmp_path):
    for number in range(4):
        at_once(*[partial(Store, tmp_path / str(number))] * 6)


def test_writers_of_one_key_and_readers_never_meet_half_a_result(store):
    contents = [bytes([n]) * 100_000 for n in (1, 2)]
    seen = set()

    def write(content):
        for _ in range(20):
            store.save("k", "curves", content)

    def read():
        other = Store(store.root)
        for _ in range(60):
            content = other.content("k")
            assert content in (None, *contents)
            seen.add(content)

    def evict():
        for _ in range(20):
            store.rows("UPDATE results SET used = 0")
            store.evict(EVERYTHING)

    at_once(partial(write, contents[0]), partial(write, contents[1]), read, read, evict)
    assert seen & set(contents)


WRITER = """
import sys
from pathlib import Path
from store import Store

store, name, n = Store(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
for number in range(n):
    store.save(f"{name}{number}", "curves", number.to_bytes(4, "big") * 25_000)
    print(number, flush=True)
"""


def start_writer(store, name, n_saves):
    command = [sys.executable, "-c", WRITER, str(store.root), name, str(n_saves)]
    # By itself, without the packages around it, the module is imported at once.
    env = {**os.environ, "PYTHONPATH": str(Path(store_module.__file__).parent)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)


def test_two_processes_that_write_at_once_lose_nothing(store):
    writers = [start_writer(store, name, 30) for name in "ab"]
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    assert keys(store) == {f"{name}{number}" for name in "ab" for number in range(30)}


# --- kill -9 ---------------------------------------------------------------------------------


def kill_writers(store, n_kills, seed):
    """Kill writers after a number of saves that is drawn, at a moment that is drawn; return what was lost."""
    draw = random.Random(seed)  # noqa: S311 - of moments
    wrong = []
    for number in range(n_kills):
        writer = start_writer(store, f"{number}-", 100_000)
        finished = -1
        for _ in range(draw.randint(1, 4)):
            finished = int(writer.stdout.readline())
        threading.Event().wait(draw.random() * 0.01)
        writer.send_signal(signal.SIGKILL)
        rest = [int(line) for line in writer.communicate()[0].split()]
        finished = max([finished, *rest])
        made = {save: save.to_bytes(4, "big") * 25_000 for save in range(finished + 2)}
        found = {save: store.content(f"{number}-{save}") for save in made}
        # The one under way is whole or not there.
        found[finished + 1] = found[finished + 1] or made[finished + 1]
        wrong += [(number, save) for save in made if found[save] != made[save]]
    if store.rows("PRAGMA integrity_check")[0][0] != "ok":
        wrong.append("the file is damaged")
    return wrong


def test_process_killed_at_any_moment_loses_nothing_that_was_finished(store):
    assert kill_writers(store, 20, seed=9) == []
