"""The workspace folder: full, read-only, damaged or gone, the session goes on, is told, and loses nothing."""

import errno
import shutil
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ecoval_core.workspace.database import WorkspaceError
from ecoval_core.workspace.parquet import read_arrays, write_arrays
from ecoval_core.workspace.shelf import DATABASE, FILED
from ecoval_core.workspace.valuations import read_valuation
from small_disk import KINDS, MEGABYTES, small_disk
from small_runs import SETTINGS, drawn_valuation, keep_run, prepared_table

from ecoval_core.workspace import history, moving, workspace
from ecoval_core.workspace.history import Desk
from ecoval_core.workspace.store import Store
from ecoval_core.workspace.workspace import Workspace, default_root

FULL, READ_ONLY = "the disk is full", "the disk is read-only"


@pytest.fixture(params=KINDS)
def disk(request, monkeypatch):
    with small_disk(request.param, monkeypatch) as disk:
        yield disk


@pytest.fixture
def kept(tmp_path):
    return Workspace(tmp_path / "root", tmp_path / "spare")


def spared(tmp_path):
    spare = tmp_path / "spare"
    spare.mkdir(exist_ok=True)
    return spare


def save(workspace_, key, megabytes=0.0):
    numbers = np.random.default_rng(0).random(int(megabytes * 2**17) or 1)
    workspace_.write(
        lambda store: store.save_result(
            key, "curves", {}, {}, lambda folder: write_arrays({"n": numbers}, folder / "n.parquet")
        )
    )


def has(store, key):
    found = store.find_result(key)
    return found is not None and len(read_arrays(found.folder / "n.parquet")["n"]) > 0


# --- A disk that is full or read-only --------------------------------------------------------


def stop(disk, why):
    disk.fill() if why == FULL else disk.lock()


def resume(disk, why):
    disk.free() if why == FULL else disk.unlock()


@pytest.mark.parametrize("why", [FULL, READ_ONLY])
def test_the_session_goes_on_is_told_and_goes_home_when_it_can(disk, why, tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "RETRY_SECONDS", 0.0)
    kept = Workspace(disk.root / "w", spared(tmp_path))
    early, _ = kept.write(lambda store: keep_run(store, name="early"))
    assert kept.trouble == ""
    stop(disk, why)
    _, key = kept.write(lambda store: keep_run(store, seed=1, name="late"))
    assert kept.trouble == (
        f"Not kept beyond this session: {disk.root / 'w'} cannot be written ({why})."
    )
    # Both are there for the session: what was kept before can be read.
    assert [run.name for run in kept.runs()] == ["late", "early"]
    assert {run.state for run in kept.runs()} == {"done"}
    assert kept.find(lambda store: store.find_result(key)) is not None
    kept.write(
        lambda store: history.save_desk(store, "d", Desk(early, "v", {"n": 1}, {})),
        within_quota=False,
    )
    assert kept.find(lambda store: history.find_desk(store, "d")).selection == {"n": 1}
    assert kept.trouble != ""
    resume(disk, why)
    kept.write(lambda _store: None, within_quota=False)
    assert kept.trouble == ""
    alone = Store(disk.root / "w")
    assert [run.name for run in history.list_runs(alone)] == ["late", "early"]
    assert {run.state for run in history.list_runs(alone)} == {"done"}
    assert history.find_desk(alone, "d").selection == {"n": 1}
    values = read_valuation(alone.find_result(key).folder)
    assert values.values_.tobytes() == drawn_valuation(prepared_table(), 1).values_.tobytes()
    assert alone.load_prepared(prepared_table().fingerprint) is not None
    assert [run.name for run in kept.runs()] == ["late", "early"]
    assert moving.is_empty(Store(tmp_path / "spare"))


@pytest.mark.parametrize("why", [FULL, READ_ONLY])
def test_a_new_process_reads_what_is_on_a_disk_that_cannot_be_written(disk, why, tmp_path):
    run, key = keep_run(Store(disk.root / "w"))
    stop(disk, why)
    kept = Workspace(disk.root / "w", spared(tmp_path))
    assert why in kept.trouble
    assert [one.id for one in kept.runs()] == [run]
    assert kept.run(run).state == "done"
    assert kept.find(lambda store: store.load_prepared(prepared_table().fingerprint)) is not None
    assert kept.find(lambda store: store.find_result(key)) is not None
    resume(disk, why)


@pytest.mark.parametrize("why", [FULL, READ_ONLY])
def test_a_run_in_a_folder_that_cannot_be_written_is_not_renamed_and_that_is_said(
    disk, why, tmp_path
):
    kept = Workspace(disk.root / "w", spared(tmp_path))
    run, _ = kept.write(keep_run)
    stop(disk, why)
    with pytest.raises(WorkspaceError, match=f"^Not changed: .* cannot be written .{why}.*$"):
        kept.change(lambda store: history.rename_run(store, run, "other"))
    assert kept.run(run).name == "small"
    resume(disk, why)
    assert kept.change(lambda store: history.rename_run(store, run, "other")) is True
    assert kept.run(run).name == "other"
    assert kept.change(lambda store: history.rename_run(store, "none", "other")) is False


def test_a_folder_that_never_could_be_written_has_a_session_all_the_same(disk, tmp_path):
    disk.lock()
    kept = Workspace(disk.root / "new" / "w", spared(tmp_path))
    assert READ_ONLY in kept.trouble
    run, _ = kept.write(keep_run)
    assert kept.run(run).state == "done"
    disk.unlock()
    kept.close()
    assert history.find_run(Store(disk.root / "new" / "w"), run).state == "done"


def test_values_that_found_no_room_end_the_waiting_of_a_run_that_did(disk, tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "RETRY_SECONDS", 0.0)
    kept = Workspace(disk.root / "w", spared(tmp_path))
    run, key = kept.write(keep_run)
    # As if the run had begun, and the disk were full by the time its values are there.
    home = Store(disk.root / "w")
    result = home.find_result(key)
    home.db.run("DELETE FROM results")
    history.change_run(home, run, state="started")
    disk.fill()
    kept.write(lambda store: store.save_result(key, "value", result.parameters, result.payload))
    assert kept.run(run).state == "done"
    disk.free()
    kept.write(lambda _store: None, within_quota=False)
    assert history.find_run(Store(disk.root / "w"), run).state == "done"


@pytest.mark.skipif("real" not in KINDS, reason="mounting a disk is not permitted here")
class TestARealDisk:
    """What only a disk of limited size shows; the played one stands in elsewhere."""

    @pytest.fixture
    def disk(self, monkeypatch):
        with small_disk("real", monkeypatch) as disk:
            yield disk

    def test_a_file_that_does_not_fit_leaves_nothing_of_itself(self, disk, tmp_path):
        kept = Workspace(disk.root / "w", spared(tmp_path))
        save(kept, "large", 2.0 * MEGABYTES)
        assert FULL in kept.trouble
        assert not has(Store(disk.root / "w"), "large")
        assert has(Store(tmp_path / "spare"), "large")
        left = [one.name for one in (disk.root / "w" / "unfinished").iterdir()]
        assert left == ["swept"]
        assert not any((disk.root / "w" / "results").iterdir())

    def test_what_is_small_still_fits_and_does_not_hide_what_did_not(self, disk, tmp_path):
        kept = Workspace(disk.root / "w", spared(tmp_path))
        save(kept, "large", 2.0 * MEGABYTES)
        kept.write(lambda store: history.start_run(store, "v", "p", SETTINGS, "small"))
        assert FULL in kept.trouble
        assert [run.name for run in history.list_runs(Store(disk.root / "w"))] == ["small"]

    def test_what_no_run_names_makes_room_on_a_full_disk(self, disk, tmp_path):
        kept = Workspace(disk.root / "w", spared(tmp_path))
        save(kept, "old", 0.6 * MEGABYTES)
        home = Store(disk.root / "w")
        home.db.run("UPDATE results SET used = used - 7200")
        save(kept, "new", 0.6 * MEGABYTES)
        assert kept.trouble == ""
        assert has(home, "new")
        assert home.find_result("old") is None

    def test_a_log_that_a_killed_process_left_is_read_from_a_read_only_disk(self, disk, tmp_path):
        root = disk.root / "w"
        Store(root)
        code = (
            "import os, sys; from pathlib import Path\n"
            "from ecoval_core.workspace.store import Store\n"
            "store = Store(Path(sys.argv[1]))\n"
            "with store.db.connect() as db:\n"
            "    db.execute(\"INSERT INTO desks VALUES ('d', 'r', 'v', '{}', 1)\")\n"
            "    os.kill(os.getpid(), 9)\n"
        )
        subprocess.run([sys.executable, "-c", code, root], check=False)
        assert (root / f"{DATABASE}-wal").stat().st_size > 0
        disk.lock()
        assert history.find_desk(Store(root), "d") == Desk("r", "v", {}, {})
        disk.unlock()


def test_a_full_spare_folder_too_is_said_in_one_sentence(kept, monkeypatch):
    def fail(_store):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(
        WorkspaceError, match=r"^Nothing can be written, neither .* \(the disk is full\)"
    ):
        kept.write(fail)
    assert "the disk is full" in kept.trouble


# --- A folder that is damaged, of another make, or gone --------------------------------------


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda root: (root / DATABASE).write_bytes(b"no database" * 99), "is damaged"),
        (lambda root: _foreign(root / DATABASE), "database of another program"),
        (lambda root: _later(root), "later EcoVal"),
        (lambda root: (root / DATABASE).mkdir(), "cannot be"),
        (lambda root: (root.rmdir(), root.write_text("a file")), "cannot be"),
    ],
    ids=["damaged", "foreign", "later", "folder", "file"],
)
def test_a_folder_that_cannot_be_used_says_so_and_the_session_goes_on(tmp_path, make, why):
    root = tmp_path / "w"
    root.mkdir()
    make(root)
    kept = Workspace(root, spared(tmp_path))
    assert kept.trouble.startswith("Not kept beyond this session: ")
    assert why in kept.trouble
    assert kept.trouble.count(".") >= 1
    assert "\n" not in kept.trouble
    run, _ = kept.write(keep_run)
    assert why in kept.trouble
    assert kept.run(run).state == "done"
    assert [one.id for one in kept.runs()] == [run]


def _foreign(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.close()


def _later(root):
    with Store(root).db.connect() as db:
        db.execute("PRAGMA user_version = 99")


def test_a_folder_that_is_deleted_under_a_server_is_made_anew(kept, tmp_path):
    kept.write(keep_run)
    shutil.rmtree(kept.root)
    assert kept.runs() == []
    run, _ = kept.write(keep_run)
    kept.write(lambda _store: None, within_quota=False)
    assert kept.trouble == ""
    assert history.find_run(Store(kept.root), run).state == "done"


def test_damage_that_shows_in_a_read_finds_nothing_and_is_told(kept):
    run, _ = kept.write(keep_run)
    path = kept.root / DATABASE
    path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * 40_000)
    assert kept.find(lambda store: history.find_run(store, run)) is None
    assert "is damaged" in kept.trouble


# --- The spare folder ------------------------------------------------------------------------


def block(kept, monkeypatch):
    """Have the folder refuse what is written, and return how to let it again."""
    home = kept.root

    def full(root):
        if root == home:
            raise OSError(errno.ENOSPC, "No space left on device")
        return Store(root)

    monkeypatch.setattr(workspace, "Store", full)
    kept._drop(home)
    return monkeypatch.undo


def test_nothing_is_spared_while_all_is_well(kept, tmp_path):
    kept.write(keep_run)
    assert not (tmp_path / "spare").exists()
    assert [store.root for store in kept.readable()] == [kept.root]


def test_a_spare_folder_of_its_own_is_made_when_needed_and_removed(tmp_path, monkeypatch):
    kept = Workspace(tmp_path / "w")
    assert kept._spare is None
    let = block(kept, monkeypatch)
    run, _ = kept.write(keep_run)
    spare = kept.spare
    assert spare.is_dir()
    let()
    kept.close()
    assert not spare.exists()
    # What could be kept at last was kept.
    assert history.find_run(Store(tmp_path / "w"), run).state == "done"


def test_two_servers_that_move_one_spare_folder_home_move_it_once(kept, tmp_path, monkeypatch):
    let = block(kept, monkeypatch)
    runs = [
        kept.write(lambda store, n=n: keep_run(store, seed=n, name=f"{n}"))[0] for n in range(3)
    ]
    let()
    others = [Workspace(kept.root, kept.spare) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda o=o: o.write(lambda _s: None, within_quota=False))
        for o in others
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    home = Store(kept.root)
    assert {run.id for run in history.list_runs(home)} == set(runs)
    assert {run.state for run in history.list_runs(home)} == {"done"}
    assert moving.is_empty(Store(kept.spare))
    # Each file once.
    for table in FILED:
        named = home.db.all(f"SELECT * FROM {table}")  # noqa: S608
        assert len(list((home.root / table).iterdir())) == len(named)


def test_a_move_that_fails_half_way_loses_nothing_and_is_done_again(tmp_path, monkeypatch):
    spare, home = Store(tmp_path / "spare"), Store(tmp_path / "home")
    run, _ = keep_run(spare)
    history.save_desk(
        spare, "d", Desk(run, "v", {"n": 1}, {"prune": {"present": 1, "past": [], "future": []}})
    )
    copy = Store.copy_from

    def fail(self, other, table, row):
        if table == "results":
            raise OSError(errno.ENOSPC, "No space left on device")
        copy(self, other, table, row)

    monkeypatch.setattr(Store, "copy_from", fail)
    with pytest.raises(OSError, match="No space"):
        moving.bring_home(spare, home)
    assert history.find_run(spare, run).state == "done"
    assert history.list_runs(home) == []
    monkeypatch.undo()
    moving.bring_home(spare, home)
    assert history.find_run(home, run).state == "done"
    assert history.find_desk(home, "d").decisions["prune"]["present"] == 1
    assert moving.is_empty(spare)


def test_what_is_written_to_the_spare_folder_during_the_move_stays_there(tmp_path, monkeypatch):
    spare, home = Store(tmp_path / "spare"), Store(tmp_path / "home")
    keep_run(spare)
    copy = Store.copy_from

    def meanwhile(self, other, table, row):
        copy(self, other, table, row)
        if row.get("key") == "again":
            spare.save_result("late", "curves", {}, {"n": 1})
            spare.save_result("again", "curves", {}, {"n": 2}, lambda f: (f / "a").touch())

    spare.save_result("again", "curves", {}, {"n": 1}, lambda f: (f / "a").touch())
    monkeypatch.setattr(Store, "copy_from", meanwhile)
    moving.bring_home(spare, home)
    monkeypatch.undo()
    assert home.find_result("late") is None
    assert spare.find_result("late").payload == {"n": 1}
    assert spare.find_result("again").payload == {"n": 2}
    moving.bring_home(spare, home)
    assert home.find_result("again").payload == {"n": 2}
    assert moving.is_empty(spare)


def test_the_desk_that_was_changed_last_is_kept_by_a_move(tmp_path):
    spare, home = Store(tmp_path / "spare"), Store(tmp_path / "home")
    history.save_desk(spare, "a", Desk("r", "v", {"from": "spare"}, {}))
    history.save_desk(home, "a", Desk("r", "v", {"from": "home"}, {}))
    history.save_desk(home, "b", Desk("r", "v", {"from": "home"}, {}))
    history.save_desk(spare, "b", Desk("r", "v", {"from": "spare"}, {}))
    moving.bring_home(spare, home)
    assert history.find_desk(home, "a").selection == {"from": "home"}
    assert history.find_desk(home, "b").selection == {"from": "spare"}


def test_what_was_written_last_is_found_first(kept, monkeypatch):
    run, _ = kept.write(keep_run)
    kept.write(lambda store: history.save_desk(store, "d", Desk(run, "v", {"n": 1}, {})))
    let = block(kept, monkeypatch)
    kept.write(lambda store: history.save_desk(store, "d", Desk(run, "v", {"n": 2}, {})))
    let()
    assert kept.find(lambda store: history.find_desk(store, "d")).selection == {"n": 2}


# --- Names and quotas ------------------------------------------------------------------------


def test_the_folder_is_named_by_the_environment_or_the_user_s_own(monkeypatch, tmp_path):
    monkeypatch.setenv("ECOVAL_WORKSPACE", "~/here")
    assert default_root() == Path("~/here").expanduser()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECOVAL_WORKSPACE", "relative")
    assert default_root() == tmp_path / "relative"
    monkeypatch.delenv("ECOVAL_WORKSPACE")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_root().is_absolute()
    assert default_root().name == "ecoval"


@pytest.mark.parametrize("quota", ["plenty", "-1", "0", "nan", "inf"])
def test_a_quota_that_is_no_number_is_told_and_the_session_goes_on(tmp_path, monkeypatch, quota):
    monkeypatch.setenv("ECOVAL_WORKSPACE_MB", quota)
    kept = Workspace(tmp_path / "w", spared(tmp_path))
    assert f"ECOVAL_WORKSPACE_MB is '{quota}': give a number of megabytes above 0" in kept.trouble
    run, _ = kept.write(keep_run)
    assert kept.run(run).state == "done"


def test_a_quota_that_is_used_up_is_told_until_runs_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "RETRY_SECONDS", 0.0)
    kept = Workspace(tmp_path / "w", spared(tmp_path), max_bytes=40_000)
    kept.write(lambda store: keep_run(store, name="first"))
    home = Store(tmp_path / "w")
    kept.max_bytes = 1
    second, _ = kept.write(lambda store: keep_run(store, seed=1, name="second"))
    assert "its quota of 0 MB is used up: delete runs on the Runs page" in kept.trouble
    assert history.find_run(home, second) is None
    assert kept.run(second).state == "done"
    kept.max_bytes = 10**9
    kept.write(lambda _store: None)
    assert kept.trouble == ""
    assert history.find_run(home, second).state == "done"


def test_a_run_that_is_in_one_folder_and_its_table_in_the_other_is_whole(kept, monkeypatch):
    kept.write(keep_run)
    let = block(kept, monkeypatch)
    prepared = prepared_table()
    other = replace(SETTINGS, random_state=9)
    run = kept.write(
        lambda store: history.start_run(store, "k9", prepared.fingerprint, other, "second"),
        within_quota=False,
    )
    kept.write(lambda store: store.save_result("k9", "value", {}, {"seconds": 1.0}))
    let()
    found = kept.run(run)
    assert (found.state, found.table, found.target) == ("done", "small.csv", "label")
    assert [one.state for one in kept.runs()] == ["done", "done"]
    assert kept.spare.is_dir()
