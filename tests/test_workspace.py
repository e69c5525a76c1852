"""The workspace: a folder that is full, read-only, damaged or gone is said, and the session goes on."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_disk import MEGABYTES, can_mount, small_disk
from small_runs import drawn_values, keep_run, make_workspace, small_table

from ecoval_core.runs.run import Values, load_run
from ecoval_core.workspace import history, workspace
from ecoval_core.workspace.schema import Review
from ecoval_core.workspace.store import DATABASE, Store, WorkspaceError
from ecoval_core.workspace.workspace import Workspace, default_root, quota_bytes

FULL, READ_ONLY = "the disk is full", "it is read-only"


@pytest.fixture(autouse=True)
def without_cache():
    workspace.forget()


@pytest.fixture
def disk():
    if not can_mount():
        pytest.skip("mounting a disk is not permitted here")
    with small_disk() as disk:
        yield disk


@pytest.fixture
def here(tmp_path):
    return make_workspace(tmp_path)


def on(disk, tmp_path):
    return Workspace(disk.root / "w", tmp_path / "temporary")


def stop(disk, why):
    disk.fill() if why == FULL else disk.lock()


def check_whole(workspace_, run, seed=0):
    """Check that a run is listed as done and opens with the values that were kept."""
    record = history.find_run(workspace_, run)
    assert record.state == "done"
    workspace.forget()
    opened = load_run(workspace_, record.key, record.split, record.settings)
    expected = drawn_values(small_table(), seed).at(record.settings.extrinsic_weight)
    assert opened.ecoval.values_.tobytes() == expected.values_.tobytes()


# --- Results --------------------------------------------------------------------------------


def test_result_comes_back_and_its_summary_is_read_without_the_rest(here):
    values = drawn_values(small_table())
    here.save("k", "value", values, owner="p", arguments={"n": 1})
    assert here.result("k").summary == values.summary
    assert [one.key for one in here.results_of("p")] == ["k"]
    assert here.load("k", Values).at(0.0).values_.tobytes() == values.at(0.0).values_.tobytes()
    assert here.load("x", Values) is here.result("x") is None


def test_cache_knows_results_saved_again_and_other_workspaces(tmp_path):
    here, there = (Workspace(tmp_path / name, tmp_path / "t") for name in ("a", "b"))
    for number in (1, 2):
        here.save("k", "curves", {"n": number})
        assert here.load("k") == {"n": number}
    assert there.load("k") is None


@pytest.mark.parametrize("content", [b"", b"no archive", None], ids=["empty", "text", "cut"])
def test_unreadable_result_is_missing_and_can_be_made_again(here, content):
    run, key = keep_run(here)
    store = Store(here.root)
    if content is None:
        content = store.content(key)[:-200]
    store.save(key, "value", content)
    assert here.load(key, Values) is None
    assert history.find_run(here, run).state == "missing"
    assert keep_run(here) == (run, key)
    check_whole(here, run)


# --- A disk that is full or read-only --------------------------------------------------------


@pytest.mark.parametrize("why", [FULL, READ_ONLY])
def test_session_goes_on_and_is_told_until_the_disk_can_be_written_again(disk, why, tmp_path):
    here = on(disk, tmp_path)
    early, _ = keep_run(here, name="early")
    assert here.trouble == ""
    assert not here.temporary.exists()
    stop(disk, why)
    late, _ = keep_run(here, seed=1, name="late")
    assert here.trouble.startswith("Not kept beyond this session: ")
    assert f"{disk.root / 'w'} cannot be written ({why}" in here.trouble
    assert [run.name for run in history.list_runs(here)] == ["late", "early"]
    check_whole(here, early)
    check_whole(here, late, 1)
    history.save_review(here, "d", early, "v", Review(selected=(1,)))
    assert history.latest_review(here, early).review.selected == (1,)
    with pytest.raises(WorkspaceError, match=r"^Not changed: .* cannot be written \(.*\)\.$"):
        history.annotate_run(here, early, "x" * 10_000)
    disk.free() if why == FULL else disk.unlock()
    history.save_review(here, "d", early, "v", Review(selected=(2,)))
    assert here.trouble == ""
    assert history.rename_run(here, early, "other")
    # The later one, which the folder has, and not that of the temporary folder.
    assert history.find_review(here, "d").review.selected == (2,)
    check_whole(Workspace(disk.root / "w", tmp_path / "other"), early)


def in_new_process(code, root):
    """Run code with the store alone, whose module is imported at once without the packages around it."""
    begin = f"import os, pathlib, store\nstore = store.Store(pathlib.Path({str(root)!r}))\n"
    env = {"PYTHONPATH": str(Path(workspace.__file__).parent)}
    return subprocess.run([sys.executable, "-c", begin + code], env=env, capture_output=True)


@pytest.mark.parametrize("why", [FULL, READ_ONLY])
def test_new_process_reads_what_is_on_a_disk_that_cannot_be_written(disk, why, tmp_path):
    _, key = keep_run(on(disk, tmp_path))
    content = Store(disk.root / "w").content(key)
    stop(disk, why)
    done = in_new_process(f"os.write(1, store.content({key!r}))", disk.root / "w")
    assert done.stdout == content, done.stderr


def test_run_in_the_folder_with_its_values_in_the_temporary_one_is_whole(disk, tmp_path):
    here = on(disk, tmp_path)
    run, key = keep_run(here)
    for part in (key, history.find_run(here, run).split):
        Store(disk.root / "w").remove(part)
    assert history.find_run(here, run).state == "missing"
    disk.lock()
    assert keep_run(here)[1] == key
    check_whole(here, run)


def test_what_no_run_names_makes_room_on_a_full_disk(disk, tmp_path):
    here = on(disk, tmp_path)
    numbers = np.random.default_rng(0).random(int(0.6 * MEGABYTES * 2**17))
    here.save("old", "curves", numbers[: len(numbers) // 4 * 3])
    store = Store(disk.root / "w")
    store.rows("UPDATE results SET used = used - 7200")
    here.save("new", "curves", numbers)
    assert here.trouble == ""
    assert store.find("new") is not None
    assert store.find("old") is None


def test_log_that_a_killed_process_left_is_read_from_a_read_only_disk(disk):
    root = disk.root / "w"
    in_new_process(
        "with store.connect(): store.save('k', 'curves', b'x'); os.kill(os.getpid(), 9)", root
    )
    assert (root / f"{DATABASE}-wal").stat().st_size > 0
    disk.lock()
    assert Store(root).content("k") == b"x"


# --- A folder that is damaged, of another make, or gone --------------------------------------


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda root: (root / DATABASE).write_bytes(b"no database" * 99), "is damaged"),
        (lambda root: Store(root).rows("PRAGMA user_version = 99"), "later EcoVal"),
        (lambda root: (root / DATABASE).mkdir(), "cannot be"),
        (lambda root: (root.rmdir(), root.write_text("a file")), "cannot be"),
    ],
    ids=["damaged", "later", "folder", "file"],
)
def test_folder_that_cannot_be_used_says_so_and_the_session_goes_on(tmp_path, make, why):
    (tmp_path / "root").mkdir()
    make(tmp_path / "root")
    here = make_workspace(tmp_path)
    run, _ = keep_run(here)
    assert here.trouble.startswith("Not kept beyond this session: ")
    assert why in here.trouble
    assert "\n" not in here.trouble
    check_whole(here, run)


def test_folder_that_is_deleted_under_a_server_is_made_anew(here):
    keep_run(here)
    shutil.rmtree(here.root)
    assert history.list_runs(here) == []
    run, _ = keep_run(here)
    assert here.trouble == ""
    check_whole(Workspace(here.root, here.root / "t"), run)


def test_damage_that_shows_in_a_read_finds_nothing_and_is_told(here):
    run, key = keep_run(here)
    Store(here.root).rows("PRAGMA wal_checkpoint(TRUNCATE)")
    path = here.root / DATABASE
    path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * 40_000)
    assert here.load(key, Values) is None
    assert history.find_run(here, run) is None
    assert history.list_runs(here) == []
    assert "is damaged" in here.trouble


def test_full_temporary_folder_too_is_said_in_one_sentence(here):
    def fail(_store):
        raise OSError(28, "No space left on device")

    with pytest.raises(WorkspaceError, match=r"^Nothing can be written, .* free some space\.$"):
        here.write(fail)


# --- Names and quotas ------------------------------------------------------------------------


def test_folder_is_named_by_the_environment_or_the_user_s_own(monkeypatch, tmp_path):
    monkeypatch.setenv("ECOVAL_WORKSPACE", "~/here")
    assert default_root() == Path("~/here").expanduser()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECOVAL_WORKSPACE", "relative")
    assert default_root() == tmp_path / "relative"
    monkeypatch.delenv("ECOVAL_WORKSPACE")
    assert default_root().is_absolute()
    assert default_root().name == "ecoval"


def test_quota_is_taken_from_the_environment(monkeypatch):
    monkeypatch.delenv("ECOVAL_WORKSPACE_MB", raising=False)
    assert quota_bytes() == workspace.DEFAULT_MB * 2**20
    monkeypatch.setenv("ECOVAL_WORKSPACE_MB", " 1.5 ")
    assert quota_bytes() == 3 * 2**19


@pytest.mark.parametrize("quota", ["plenty", "-1", "0", "nan", "inf"])
def test_quota_that_is_no_number_is_told_and_the_session_goes_on(tmp_path, monkeypatch, quota):
    monkeypatch.setenv("ECOVAL_WORKSPACE_MB", quota)
    here = make_workspace(tmp_path)
    assert f"ECOVAL_WORKSPACE_MB is '{quota}': give a number of megabytes above 0" in here.trouble
    run, _ = keep_run(here)
    check_whole(here, run)


def test_quota_that_is_used_up_is_told_until_runs_are_deleted(tmp_path, monkeypatch):
    here = make_workspace(tmp_path)
    keep_run(here, name="first")
    monkeypatch.setenv("ECOVAL_WORKSPACE_MB", "1e-6")
    second, _ = keep_run(here, seed=1, name="second")
    assert here.trouble.startswith("Not kept beyond this session: ")
    assert "(ECOVAL_WORKSPACE_MB) is used up" in here.trouble
    check_whole(here, second, 1)
    # What was found no room for is in the temporary folder alone.
    there = Workspace(here.root, tmp_path / "other")
    assert {run.name: run.state for run in history.list_runs(there)}["first"] == "done"
    monkeypatch.delenv("ECOVAL_WORKSPACE_MB")
    here.save("k", "curves", {"n": 1})
    assert here.trouble == ""
