"""A table of a notebook or a terminal opens in the app, whose server goes with whoever started it."""

import os
import signal
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import psutil
import pytest

import ecoval_core
from ecoval_core.notebook import App
from ecoval_core.runs.opened import load_opened
from ecoval_core.tables import load_sample
from ecoval_core.workspace.workspace import Workspace

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[1]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ECOVAL_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("ECOVAL_WARM_UP", "0")
    return tmp_path / "workspace"


def opened_at(address, home):
    return load_opened(Workspace(home, home / "unused"), address.partition("?data=")[2])


def answers(address):
    with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310
        return answer.status == 200


def test_frame_opens_and_a_second_one_uses_the_same_server(home, capsys):
    wine = load_sample("wine").frame
    app = ecoval_core.show(wine, target="alcohol", name="wine")
    try:
        opened = opened_at(app.address, home)
        assert (opened.table.name, opened.table.target) == ("wine", "alcohol")
        assert opened.table.task == "regression"
        assert answers(app.address)
        assert app.address in capsys.readouterr().out
        again = ecoval_core.show(wine.rename_axis("bottle"), name="bottles")
        assert again is app
        assert "bottle" in opened_at(app.address, home).table.frame
    finally:
        app.stop()
    assert not app.is_running


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda wine: (wine, "price"), "has no column 'price'"),
        (lambda wine: (wine.head(3), None), "3 rows only"),
        (lambda wine: (wine.to_numpy(), None), "takes a DataFrame or values, not ndarray"),
    ],
)
def test_frame_that_cannot_be_valued_is_refused_without_a_server(home, change, problem):
    data, target = change(load_sample("wine").frame)
    with pytest.raises((ValueError, TypeError), match=problem):
        ecoval_core.show(data, target=target)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_command_serves_a_file_until_it_ends(home, tmp_path, end):
    load_sample("wine").frame.to_csv(tmp_path / "wine.csv", index=False)
    # What runs the tests in the background may have every program ignore Ctrl-C.
    code = (
        "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "runpy.run_module('ecoval_core', run_name='__main__')"
    )
    command = [sys.executable, "-c", code, "open", tmp_path / "wine.csv"]
    process = subprocess.Popen(
        [*command, "--target", "cultivar"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    address = process.stdout.readline().split()[-1]
    assert answers(address)
    assert opened_at(address, home).table.target == "cultivar"
    (server,) = psutil.Process(process.pid).children()
    os.kill(process.pid, end)
    process.communicate()
    server.wait(30)


def test_app_that_does_not_start_says_why(home, monkeypatch, tmp_path):
    (tmp_path / "app.py").write_text("")
    (tmp_path / "streamlit.py").write_text("raise ImportError('it is broken')")
    monkeypatch.setattr("ecoval_core.notebook._PLACES", (tmp_path,))
    with pytest.raises(RuntimeError, match="did not start: ImportError: it is broken"):
        App()


def test_wheel_carries_every_package_and_the_files_of_the_app():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = [path.parent.relative_to(ROOT) for path in ROOT.glob("*/**/__init__.py")]
    core = {".".join(p.parts) for p in packages if p.parts[0] == "ecoval_core"}
    app = {".".join(("ecoval_app", *p.parts)) for p in packages if p.parts[0] == "pages"}
    assert set(told["packages"]) == {"ecoval_app"} | core | app
    kinds = {path.suffix for path in (ROOT / "pages").rglob("*.*")} - {".py", ".pyc"}
    assert {f"*{kind}" for kind in kinds} == set(
        told["package-data"]["ecoval_app.pages.shared.pointmap"]
    )
