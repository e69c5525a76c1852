"""Temporary folders end with their process, and those of a killed one at the next start of another."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from browser import WITHOUT_MAPS, running_server

from pages.shared import scratch
from pages.shared.scratch import make_scratch, sweep_scratch

# Without the rest of the package, which takes seconds to import.
MAKE = f"import runpy; make_scratch = runpy.run_path({scratch.__file__!r})['make_scratch']\n"
FILL = (
    f"{MAKE}folder = make_scratch('test'); (folder / 'part').mkdir(); print(folder, flush=True)\n"
)


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield tmp_path
    tempfile.tempdir = None


def start(script):
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe, text=True)


def test_folder_of_a_killed_process_goes_and_that_of_a_running_one_stays():
    with start(f"{FILL}input()") as killed, start(f"{FILL}input()") as running:
        gone, stays = (Path(process.stdout.readline().strip()) for process in (killed, running))
        mine = make_scratch("test")
        killed.kill()
        killed.wait()
        sweep_scratch()
        assert not gone.exists()
        assert (stays / "part").exists()
        assert mine.exists()
        running.communicate("\n")
    assert not stays.exists(), "a process that ends by itself removes it"


def test_folders_of_others_are_not_touched(temporary):
    work, target = temporary / "ecoval-my-own-work", temporary / "target"
    for folder in (work, target):
        folder.mkdir()
        (folder / "file").touch()
    (target / ".owner").touch()
    (temporary / "ecoval-link").symlink_to(target)
    sweep_scratch()
    assert (work / "file").exists()
    assert (target / "file").exists()


def test_folder_is_not_swept_while_it_is_made(temporary):
    many = f"{MAKE}for _ in range(300): print(make_scratch('test'), flush=True)\ninput()"
    with start(many) as process:
        while len(list(temporary.glob("*/.owner"))) < 300:
            assert process.poll() is None
            sweep_scratch()
        folders = [Path(process.stdout.readline().strip()) for _ in range(300)]
        sweep_scratch()
        assert all((folder / ".owner").exists() for folder in folders)
        process.communicate("\n")


def test_where_files_cannot_be_locked_an_open_one_cannot_be_deleted(temporary, monkeypatch):
    monkeypatch.setattr(scratch, "fcntl", None)
    _, stays = make_scratch("test"), make_scratch("test")
    unlink = Path.unlink

    def unlink_as_on_windows(path, **options):
        if path == stays / ".owner":
            raise PermissionError(13, "being used by another process")
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink_as_on_windows)
        sweep_scratch()
    assert list(temporary.iterdir()) == [stays]


@pytest.mark.processes
def test_folder_of_a_killed_server_goes_when_it_starts_again(tmp_path):
    (tmp_path / "server").mkdir()
    with running_server(tmp_path / "server", TMPDIR=str(tmp_path), **WITHOUT_MAPS) as server:
        before = list(tmp_path.glob("ecoval-*"))
        server.restart()
        after = list(tmp_path.glob("ecoval-*"))
        assert (len(before), len(after)) == (1, 1)
        assert before != after
    assert list(tmp_path.glob("ecoval-*")) == []
