"""Work done by real processes: the same bits as in this one, within limits, ended at a word, and on disk."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from distributed import Client, LocalCluster, get_task_stream
from ecoval_core.workspace.engine import Engine
from ecoval_core.workspace.stability import repeat_run, stability_of

from ecoval_core.evaluation.curves import STRATEGIES, removal_curves
from ecoval_core.evaluation.projection import umap_projection
from ecoval_core.evaluation.pruning import measure_effect
from ecoval_core.tables import load_sample, prepare
from ecoval_core.workspace import history, orders
from ecoval_core.workspace.runs import Settings, value_prepared
from ecoval_core.workspace.worker import Nursery

PATIENCE = 120
SETTINGS = Settings("logistic_regression", n_clusters=12, scoring="probability")
# As many clusters as rows, of a model whose fits take a while.
ENDLESS = Settings("random_forest", n_clusters=1000, scoring="probability")


@pytest.fixture(scope="module")
def engine():
    engine = Engine(warm_up=False)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def workspace(engine, tmp_path_factory):
    return engine.workspace(tmp_path_factory.mktemp("workspace"))


def carry_out(engine, workspace, order, visitor="ada"):
    job = engine.submit(workspace, order, visitor)
    assert job.wait(PATIENCE)
    return job


def read_upload(engine, workspace, content, name):
    job = engine.submit_upload(
        workspace, content.encode(), lambda digest: orders.open_table({"file": digest}, name), "ada"
    )
    assert job.wait(PATIENCE)
    return job


def opened(engine, workspace, sample="wine", noise=0.1):
    order = orders.open_table({"sample": sample}, sample, noise=noise)
    job = carry_out(engine, workspace, order)
    assert job.error is None
    return engine.prepared(workspace, job.result["preparation"])


@pytest.fixture(scope="module")
def prepared(engine, workspace):
    return opened(engine, workspace)


@pytest.fixture(scope="module")
def run(engine, workspace, prepared):
    order = orders.value(prepared, SETTINGS)
    name = workspace.write(
        lambda store: history.start_run(store, order.key, prepared.fingerprint, SETTINGS, "wine")
    )
    assert carry_out(engine, workspace, order).error is None
    return engine.run(workspace, engine.record(workspace, name))


@pytest.fixture(scope="module")
def here(prepared):
    """The same run, valued in this process."""
    return value_prepared(prepare(load_sample("wine"), noise=0.1), SETTINGS)


def begun(job):
    deadline = time.monotonic() + PATIENCE
    while job.total == 0:
        assert job.is_active, job.error
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return psutil.Process(job._worker._pid)


def test_a_table_opened_elsewhere_is_the_same_to_the_last_bit(prepared):
    expected = prepare(load_sample("wine"), noise=0.1)
    assert prepared.fingerprint == expected.fingerprint
    for part in ("train", "val", "test"):
        for name in ("X", "y", "ids"):
            np.testing.assert_array_equal(
                getattr(prepared, f"{name}_{part}"), getattr(expected, f"{name}_{part}")
            )
    pd.testing.assert_frame_equal(prepared.table.frame, expected.table.frame)


@pytest.mark.parametrize("weight", [0.25, 0.0, 0.9])
def test_values_are_the_same_to_the_last_bit_at_every_weight(run, here, weight):
    pd.testing.assert_frame_equal(
        run.reweight(weight).frame, here.reweight(weight).frame, check_exact=True
    )
    assert run.clusters.equals(here.clusters)


def test_every_row_valued_elsewhere_is_the_same(engine, workspace, prepared):
    settings = replace(SETTINGS, every_row=True)
    order = orders.value(prepared, settings)
    name = workspace.write(
        lambda store: history.start_run(store, order.key, prepared.fingerprint, settings, "wine")
    )
    assert carry_out(engine, workspace, order).error is None
    found = engine.run(workspace, engine.record(workspace, name)).reweight(0.7)
    expected = value_prepared(prepared, settings).reweight(0.7)
    pd.testing.assert_frame_equal(found.frame, expected.frame, check_exact=True)


def test_curves_effects_repeats_and_maps_are_those_of_this_process(engine, workspace, run):
    data = run.prepared
    model = run.make_estimator()
    removed, relabelled = run.ids[:7].tolist(), {int(run.ids[9]): run.y[0]}
    work = {
        "curves": orders.curves(run, balanced=True),
        "effect": orders.effect(run, removed, relabelled),
        "repeats": orders.repeats(run),
        "umap": orders.projection(run),
    }
    for order in work.values():
        assert carry_out(engine, workspace, order).error is None
    found = {name: engine.read(workspace, order) for name, order in work.items()}

    curves = removal_curves(
        model, run.X, run.y, data.X_test, data.y_test, run.ecoval.values_,
        clusters=run.ecoval.labels_, strategies=STRATEGIES, class_balanced=True,
        n_random=orders.N_RANDOM, random_state=0, every_measure=True,
    )  # fmt: skip
    pd.testing.assert_frame_equal(found["curves"], curves, check_exact=True)
    after = run.y.copy()
    after[9] = run.y[0]
    keep = ~np.isin(run.ids, removed)
    effect = measure_effect(model, run.X, run.y, data.X_test, data.y_test, keep, y_after=after)
    assert found["effect"] == effect
    assert stability_of(found["repeats"], 0.6) == stability_of(repeat_run(run), 0.6)
    np.testing.assert_array_equal(found["umap"], umap_projection(run.X, random_state=0))


def test_a_result_is_on_disk_when_the_job_is_done(engine, workspace, run):
    order = orders.effect(run, run.ids[:3].tolist())
    carry_out(engine, workspace, order)
    other = Engine(warm_up=False)
    try:
        assert other.read(other.workspace(workspace.root), order) is not None
    finally:
        other.close()


def test_what_was_evicted_is_done_again(engine, workspace, run):
    order = orders.effect(run, run.ids[:4].tolist())
    first = carry_out(engine, workspace, order)
    workspace.readable()[0].db.run("DELETE FROM results WHERE key = ?", order.key)
    engine.forget()
    assert engine.read(workspace, order) is None
    second = carry_out(engine, workspace, order)
    assert second is not first
    assert engine.read(workspace, order) is not None


def test_cancelling_ends_the_process_within_a_second(engine, workspace, prepared):
    job = engine.submit(workspace, orders.value(prepared, ENDLESS), "ada")
    process = begun(job)
    engine.jobs.leave(job, "ada")
    assert job.wait(1)
    assert job.state == "cancelled"
    process.wait(1)


def test_two_visitors_share_a_process_that_ends_with_the_last(engine, workspace, prepared):
    order = orders.value(prepared, replace(ENDLESS, random_state=1))
    job = engine.submit(workspace, order, "ada")
    assert engine.submit(workspace, order, "bob") is job
    process = begun(job)
    engine.jobs.leave(job, "ada")
    done = job.done
    deadline = time.monotonic() + PATIENCE
    while job.done == done:
        assert job.is_active
        assert time.monotonic() < deadline
        time.sleep(0.01)
    engine.jobs.leave(job, "bob")
    assert job.wait(1)
    process.wait(1)


def test_how_a_run_ended_is_noted(engine, workspace, prepared):
    settings = replace(ENDLESS, random_state=2)
    order = orders.value(prepared, settings)
    name = workspace.write(
        lambda store: history.start_run(store, order.key, prepared.fingerprint, settings, "wine")
    )
    job = engine.submit(workspace, order, "ada")
    begun(job)
    assert engine.record(workspace, name).state == "started"
    engine.jobs.leave(job, "ada")
    assert job.wait(1)
    assert engine.record(workspace, name).state == "cancelled"


def test_memory_is_limited_and_the_sentence_says_so(engine, workspace, monkeypatch):
    monkeypatch.setenv("ECOVAL_JOB_MB", "2")
    digits = opened(engine, workspace, "digits", 0.0)
    job = carry_out(engine, workspace, orders.value(digits, SETTINGS))
    assert job.state == "error"
    assert "more memory than the 2 MB it may take: take fewer rows or fewer clusters" in job.error


def test_time_is_limited_and_the_process_ends(engine, workspace, prepared, monkeypatch):
    monkeypatch.setenv("ECOVAL_JOB_MINUTES", "0.02")
    job = engine.submit(workspace, orders.value(prepared, replace(ENDLESS, random_state=3)), "ada")
    assert job.wait(PATIENCE)
    assert "was stopped after 0.02 minutes, the limit" in job.error


def test_reading_a_file_is_limited_on_the_processor(engine, workspace, monkeypatch):
    monkeypatch.setattr(orders, "READ_CPU_SECONDS", 0)
    # Seconds of work, where the limit is reached within the first one.
    rows = "\n".join(f"a{i},b{i},c{i},d{i},e{i},{i % 3}" for i in range(1_900_000))
    job = read_upload(engine, workspace, f"a,b,c,d,e,y\n{rows}", "long.csv")
    assert job.state == "error"
    assert "keep fewer rows or columns, or save it as Parquet" in job.error


def test_a_process_killed_from_outside_is_a_sentence_and_the_next_order_works(
    engine, workspace, prepared
):
    job = engine.submit(workspace, orders.value(prepared, replace(ENDLESS, random_state=4)), "ada")
    begun(job).kill()
    assert job.wait(5)
    assert "its process was stopped from outside" in job.error
    engine._nursery._process.kill()
    engine._nursery._process.wait(10)
    order = orders.timing(prepared, replace(SETTINGS, n_clusters=13))
    assert carry_out(engine, workspace, order).result["seconds"] > 0


def test_a_bad_file_is_one_sentence(engine, workspace):
    job = read_upload(engine, workspace, "%PDF-1.7 and so on", "report.csv")
    assert job.error.startswith("report.csv is a PDF document")


def test_an_uploaded_file_is_kept_as_long_as_somebody_reads_it(engine, workspace):
    rows = "\n".join(f"{i % 7},{i % 5},{i % 3}" for i in range(300_000))
    content = f"a,b,y\n{rows}".encode()
    jobs = [
        engine.submit_upload(workspace, content, partial(orders.read_file, name=name), "ada")
        for name in ("one.csv", "other.csv")
    ]
    path = engine._temporary / jobs[0].order.parameters["source"]["file"]
    assert path.exists()
    for job in jobs:
        assert job.wait(PATIENCE)
        assert job.state == "done"
    assert not path.exists()


def test_an_upload_that_did_not_fit_on_the_disk_is_not_read_in_part(engine, workspace, monkeypatch):
    content = "a,b,y\n" + "\n".join(f"{i % 7},{i % 5},{i % 3}" for i in range(900))
    write = Path.write_bytes

    def write_half(path, data):
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", write_half)
        with pytest.raises(ValueError, match=r"No space left on device.*upload it again"):
            read_upload(engine, workspace, content, "whole.csv")
    job = read_upload(engine, workspace, content, "whole.csv")
    found = engine.prepared(workspace, job.result["preparation"])
    assert found.table.n_rows == 900


def test_a_passing_trouble_costs_no_values(engine, workspace, prepared, monkeypatch):
    settings = replace(SETTINGS, random_state=8)
    order = orders.value(prepared, settings)
    name = workspace.write(
        lambda store: history.start_run(store, order.key, prepared.fingerprint, settings, "w")
    )
    assert carry_out(engine, workspace, order).error is None
    record = engine.record(workspace, name)

    def fail(folder):
        raise RuntimeError("can't start new thread")

    engine.forget()
    with monkeypatch.context() as busy:
        busy.setattr("ecoval_core.workspace.engine.read_valuation", fail)
        with pytest.raises(RuntimeError, match="new thread"):
            engine.run(workspace, record)
    assert engine.run(workspace, record) is not None


def test_a_table_that_is_refused_stays_in_the_workspace_for_another_try(engine, workspace):
    rows = "\n".join(f"{i % 7},{i % 5},same" for i in range(60))
    found = read_upload(engine, workspace, f"a,b,y\n{rows}", "same.csv").result
    assert "same" in found["refusal"]
    assert found["columns"] == ["a", "b", "y"]
    again = orders.open_table(
        {"frame": found["frame"]}, "same.csv", target="b", left_out={"y": "left out by you"}
    )
    table = engine.prepared(workspace, carry_out(engine, workspace, again).result["preparation"])
    assert (table.table.target, table.table.excluded["y"]) == ("b", "left out by you")


def test_nothing_outlives_a_server_that_is_killed(tmp_path):
    script = f"""
        import time
        from pathlib import Path
        from ecoval_core.workspace import orders
        from ecoval_core.workspace.engine import Engine
        from ecoval_core.workspace.runs import Settings

        engine = Engine(warm_up=False)
        workspace = engine.workspace(Path({str(tmp_path)!r}))
        job = engine.submit(workspace, orders.open_table({{"sample": "wine"}}, "wine"), "ada")
        job.wait()
        prepared = engine.prepared(workspace, job.result["preparation"])
        settings = Settings("random_forest", 1000, "probability")
        job = engine.submit(workspace, orders.value(prepared, settings), "ada")
        while not job.done:
            time.sleep(0.01)
        print("begun", flush=True)
        time.sleep(600)
    """
    server = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert server.stdout.readline() == b"begun\n"
    children = psutil.Process(server.pid).children(recursive=True)
    assert len(children) >= 2
    server.send_signal(signal.SIGKILL)
    server.wait(10)
    server.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


def test_what_is_compiling_for_later_ends_with_its_server_too(tmp_path, monkeypatch):
    (tmp_path / "nap.py").write_text("import time\ndef nap(): time.sleep(600)\n")
    monkeypatch.syspath_prepend(tmp_path)
    nursery = Nursery("nap:nap")
    nursery.start()
    nursery._control.close()
    nursery._process.wait(60)


def test_refits_go_to_the_cluster_that_the_environment_names(
    engine, workspace, prepared, here, tmp_path, monkeypatch
):
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1",
            dashboard_address=":0", local_directory=str(tmp_path),
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        monkeypatch.setenv("ECOVAL_DASK", cluster.scheduler_address)
        settings = replace(SETTINGS, random_state=5)
        order = orders.value(prepared, settings)
        name = workspace.write(
            lambda store: history.start_run(store, order.key, prepared.fingerprint, settings, "w")
        )
        with get_task_stream(client) as stream:
            assert carry_out(engine, workspace, order).error is None
        assert len(stream.data) >= settings.n_clusters
    found = engine.run(workspace, engine.record(workspace, name))
    expected = value_prepared(prepared, settings)
    pd.testing.assert_frame_equal(found.frame, expected.frame, check_exact=True)


def test_a_cluster_that_does_not_answer_is_a_sentence(engine, workspace, prepared, monkeypatch):
    monkeypatch.setenv("ECOVAL_DASK", "tcp://127.0.0.1:1")
    job = carry_out(engine, workspace, orders.value(prepared, replace(SETTINGS, random_state=6)))
    assert job.error.startswith("The Dask scheduler at tcp://127.0.0.1:1 does not answer")


def test_workers_are_not_the_page_again():
    """A worker forked by multiprocessing would run the page that started it; ours know no page."""
    code = "import sys, ecoval_core.workspace.worker as w; print('streamlit' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "False"
