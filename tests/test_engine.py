"""Tasks done by real processes: the same bits as in this one, within limits, and none outlives its server."""

import errno
import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import numpy as np
import odd_tasks
import pandas as pd
import psutil
import pytest
from data_files import csv_bytes, make_frame
from PIL import Image
from test_results import same

from ecoval_core.columns.pictures import thumbnail
from ecoval_core.runs.opened import load_frame, load_opened, save_frame
from ecoval_core.runs.run import load_run, value_split
from ecoval_core.runs.tasks import Work
from ecoval_core.tables import load_sample, prepare
from ecoval_core.tables.table import content_digest
from ecoval_core.work import opening, slow
from ecoval_core.work.worker import ForkServer
from ecoval_core.workspace import history
from ecoval_core.workspace.schema import RunSpec, Settings, SplitSpec
from ecoval_core.workspace.workspace import forget
from pages.shared.engine import Engine

pytestmark = pytest.mark.processes

PATIENCE = 400
FRAME = make_frame(60)
# The last of them have no label.
NEW = make_frame(30, label=["yes", "no"] * 12 + [None] * 6)
SETTINGS = Settings(model="logistic_regression", n_clusters=8, scoring="probability")
# As many clusters as rows, of a model whose fits take a while.
ENDLESS = SETTINGS.replace(model="random_forest", n_clusters=1000)


def make_engine():
    engine = Engine(warm_up=False)
    engine._forks = engine._map_forks = ForkServer("odd_tasks:ready")
    return engine


@pytest.fixture(scope="module")
def engine():
    engine = make_engine()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def workspace(engine, tmp_path_factory):
    return engine.workspace(tmp_path_factory.mktemp("workspace"))


def do(engine, workspace, task, visitor="ada"):
    """Have a task done by a worker, and return its job."""
    job = engine.submit(workspace, task, visitor)
    assert job.wait(PATIENCE)
    return job


def done(engine, workspace, task):
    """Have a task done by a worker, and return its result."""
    job = do(engine, workspace, task)
    assert job.error is None
    return workspace.load(task.key, task.definition.returns) if job.result is None else job.result


def upload(engine, workspace, content, make):
    job = engine.submit_upload(workspace, content, make, "ada")
    assert job.wait(PATIENCE)
    return job


def start_run(workspace, opened, settings=SETTINGS):
    spec = RunSpec(table=opened.spec.table, split=opened.spec.split, settings=settings)
    run_id = history.start_run(workspace, spec, frame=opened.table.content)
    return history.find_run(workspace, run_id)


@pytest.fixture(scope="module")
def opened(engine, workspace):
    """The small table, uploaded and opened."""
    make = partial(_open_file, split=SplitSpec(noise=0.1))
    job = upload(engine, workspace, csv_bytes(FRAME), make)
    assert job.error is None
    return load_opened(workspace, job.result["split"])


def _open_file(digest, name="small.csv", **more):
    return opening.open_table({"file": digest}, name, **more)


@pytest.fixture(scope="module")
def run(engine, workspace, opened):
    """Its rows, valued by a worker."""
    record = start_run(workspace, opened)
    done(engine, workspace, slow.value_run(record))
    save_frame(workspace, NEW, content_digest(NEW))
    return load_run(workspace, record.key, record.split, record.settings)


def begun(job):
    """Wait until the worker of a job has reported progress, and return its process."""
    deadline = time.monotonic() + PATIENCE
    while job.total == 0:
        assert job.is_active, job.error
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return psutil.Process(job._worker._pid)


def left_alive(processes, seconds):
    """Wait for processes to end, and return those that run on; what nobody waits for stays as a zombie."""
    _, left = psutil.wait_procs(processes, timeout=seconds)
    return [one for one in left if one.status() != psutil.STATUS_ZOMBIE]


# --- The same bits --------------------------------------------------------------------------


def test_table_opened_by_a_worker_is_the_same_to_the_last_bit(engine, workspace):
    task = opening.open_table({"sample": "wine"}, "wine", split=SplitSpec(noise=0.1))
    found = load_opened(workspace, done(engine, workspace, task)["split"]).split
    expected = prepare(load_sample("wine"), noise=0.1)
    for part in ("train", "val", "test"):
        for name in ("X", "y", "ids"):
            of = f"{name}_{part}"
            np.testing.assert_array_equal(getattr(found, of), getattr(expected, of))
    pd.testing.assert_frame_equal(found.table.frame, expected.table.frame)


@pytest.mark.parametrize("every_row", [False, True])
def test_values_of_a_worker_are_the_same_to_the_last_bit_at_every_weight(
    engine, workspace, opened, every_row
):
    record = start_run(workspace, opened, SETTINGS.replace(every_row=every_row))
    done(engine, workspace, slow.value_run(record))
    found = load_run(workspace, record.key, record.split, record.settings)
    expected = value_split(opened, record.settings)
    for weight in (record.settings.extrinsic_weight, 0.0, 0.9):
        of = [one.reweight(weight).frame for one in (found, expected)]
        pd.testing.assert_frame_equal(*of, check_exact=True)
    assert found.clusters.equals(expected.clusters)


# What is asked of a run, by the name of the task.
OF_RUN = {
    "repeats": lambda run: slow.repeats(run.key),
    "curves": lambda run: slow.curves(run.key, weight=0.25, balanced=True),
    "effect": lambda run: slow.change_effect(run, run.ids[:7].tolist(), {run.ids[9]: "yes"}),
    "umap": lambda run: slow.umap(run.opened.key),
    "baseline": lambda run: slow.baseline(run.key, "knn_shapley"),
    "method_curves": lambda run: slow.method_curves(run.key, {"baseline": "knn_shapley"}),
    "new_rows": lambda run: slow.new_rows(run.key, content_digest(NEW), "new.csv", weight=0.5),
    "acquisition": lambda run: slow.acquisition(run.key, content_digest(NEW), "new.csv"),
}


@pytest.mark.parametrize("name", OF_RUN)
def test_result_of_a_worker_is_that_of_the_function(engine, workspace, run, tmp_path, name):
    task = OF_RUN[name](run)
    work = Work(workspace, tmp_path, lambda *_: None)
    assert task.name == name
    expected = task.definition.function(work, **task.typed_arguments())
    assert same(done(engine, workspace, task), expected, but=("seconds",))


def test_thumbnails_are_those_of_the_pictures(engine, workspace):
    frame = pd.DataFrame({"picture": [png(8), b"no picture", png(200)]}, dtype=object)
    digest = content_digest(frame)
    save_frame(workspace, frame, digest)
    found = done(engine, workspace, opening.thumbnails(digest, "picture"))
    assert found["picture"].tolist() == [thumbnail(cell) for cell in frame["picture"]]


def png(side):
    target = io.BytesIO()
    Image.new("RGB", (side, side), "red").save(target, "PNG")
    return target.getvalue()


def test_file_read_by_a_worker_is_kept_under_its_digest(engine, workspace):
    frame = FRAME.assign(more=range(60))
    job = upload(engine, workspace, csv_bytes(frame), partial(opening.read_file, name="more.csv"))
    assert list(job.result) == ["frame"]
    pd.testing.assert_frame_equal(load_frame(workspace, job.result["frame"]), frame)


# --- Results --------------------------------------------------------------------------------


def test_two_servers_share_the_results_of_a_workspace(engine, workspace, run):
    task = slow.effect(run.key, run.ids[:3].tolist())
    other = make_engine()
    try:
        found = done(other, other.workspace(workspace.root), task)
    finally:
        other.close()
    forget()
    assert same(workspace.load(task.key, task.definition.returns), found)


def test_values_that_somebody_deletes_meanwhile_are_a_sentence(engine, workspace):
    job = do(engine, workspace, slow.curves("f" * 32))
    assert "no longer in the workspace: value the rows again" in job.error


def test_how_a_run_ended_is_noted(engine, workspace, opened, monkeypatch):
    record = start_run(workspace, opened, ENDLESS.replace(every_row=True))
    job = engine.submit(workspace, slow.value_run(record), "ada")
    begun(job)
    assert history.find_run(workspace, record.id).state == "started"
    engine.jobs.leave(job, "ada")
    assert job.wait(PATIENCE)
    assert history.find_run(workspace, record.id).state == "cancelled"
    monkeypatch.setenv("ECOVAL_JOB_MINUTES", "0.001")
    job = do(engine, workspace, slow.value_run(record))
    found = history.find_run(workspace, record.id)
    assert (found.state, found.error) == ("error", job.error)
    assert "was stopped after 0.001 minutes, the limit" in job.error


# --- Limits and ends ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (odd_tasks.doze(), "Dozing was stopped after 0.00833 minutes"),
        (odd_tasks.spin(), "more time or memory than it may (500 MB): spin less."),
        (odd_tasks.allocate(200), "Allocating needs more memory than the 100 MB"),
        (odd_tasks.fail("sentence"), "Column 'a' is empty."),
        (odd_tasks.fail("bug"), "Failing failed unexpectedly (KeyError: 'a')."),
    ],
    ids=["time", "processor", "memory", "sentence", "bug"],
)
def test_worker_that_takes_too_much_or_fails_ends_with_a_sentence(engine, workspace, task, words):
    job = do(engine, workspace, task)
    assert job.state == "error"
    assert words in job.error
    assert "\n" not in job.error


def test_cancelling_ends_the_worker_and_what_it_started_within_a_second(engine, workspace):
    job = engine.submit(workspace, odd_tasks.sleep(600.0), "ada")
    assert engine.submit(workspace, odd_tasks.sleep(600.0), "bob") is job
    process = begun(job)
    [child] = process.children()
    engine.jobs.leave(job, "ada")
    assert not job.wait(0.2)
    assert child.is_running()
    engine.jobs.leave(job, "bob")
    assert job.wait(1)
    assert job.state == "cancelled"
    assert left_alive([process, child], 1) == []


def test_after_a_killed_worker_and_a_killed_fork_server_the_next_task_works(engine, workspace):
    job = engine.submit(workspace, odd_tasks.sleep(500.0), "ada")
    begun(job).kill()
    assert job.wait(5)
    assert "its process was stopped from outside" in job.error
    engine._forks._process.kill()
    engine._forks._process.wait(10)
    assert done(engine, workspace, odd_tasks.allocate(50)) == 50


def test_workers_know_no_page_have_one_thread_and_let_pages_go_first(engine, workspace):
    """A worker forked by multiprocessing would run the page again that started it."""
    found = done(engine, workspace, odd_tasks.look_around())
    quick = done(engine, workspace, odd_tasks.look_around_quickly())
    assert (found["streamlit"], found["threads"]) == (False, "1")
    assert found["nice"] == quick + 10


def test_nothing_outlives_a_server_that_is_killed_not_even_what_compiles_for_later(tmp_path):
    script = f"""
        import sys, time
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from odd_tasks import sleep
        from test_engine import ForkServer, begun, make_engine

        engine = make_engine()
        engine._map_forks = ForkServer("odd_tasks:compile_for_long")
        engine.start()
        begun(engine.submit(engine.workspace(Path({str(tmp_path)!r})), sleep(600.0), "ada"))
        print("begun", flush=True)
        time.sleep(600)
    """
    root = Path(__file__).parents[1]
    server = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert {server.stdout.readline() for _ in range(2)} == {b"begun\n", b"compiling\n"}
    children = psutil.Process(server.pid).children(recursive=True)
    assert len(children) >= 4
    server.send_signal(signal.SIGKILL)
    server.wait(10)
    server.stdout.close()
    assert left_alive(children, 5) == []


# --- Uploads --------------------------------------------------------------------------------


def test_uploaded_file_is_kept_as_long_as_somebody_reads_it(engine, workspace):
    rows = "\n".join(f"{i % 7},{i % 5},{i % 3}" for i in range(300_000))
    content = f"a,b,y\n{rows}".encode()
    jobs = [
        engine.submit_upload(workspace, content, partial(opening.read_file, name=name), "ada")
        for name in ("one.csv", "other.csv")
    ]
    path = engine._temporary / jobs[0].task.arguments["upload"]
    assert path.exists()
    for job in jobs:
        assert job.wait(PATIENCE)
        assert job.error is None
    assert not path.exists()


def test_upload_that_does_not_fit_on_the_disk_is_not_read_in_part(engine, workspace, monkeypatch):
    content = csv_bytes(make_frame(900))
    write = Path.write_bytes

    def write_half(path, data):
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", write_half)
        with pytest.raises(ValueError, match="No space left on device"):
            upload(engine, workspace, content, _open_file)
    job = upload(engine, workspace, content, _open_file)
    found = load_opened(workspace, job.result["split"])
    assert len(found.table.frame) == 900


def test_workspace_that_cannot_be_written_is_said_by_the_worker(engine, run, tmp_path):
    """The worker writes into the temporary folder, where the server reads."""
    blocked = tmp_path / "file"
    blocked.touch()
    workspace = engine.workspace(blocked / "workspace")
    found = done(engine, workspace, opening.open_table({"sample": "wine"}, "wine"))
    assert load_opened(workspace, found["split"]) is not None
    assert workspace.trouble.startswith("Not kept beyond this session")
