"""Refits on a real cluster: a scheduler and two worker processes on this machine, some of them killed."""

import gc
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from unittest import mock

import dask
import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster
from joblib import parallel_config
from joblib.parallel import get_active_backend
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from threadpoolctl import threadpool_info

from ecoval_core import Cancelled, EcoVal, RefitError
from ecoval_core.evaluation.curves import removal_curves
from ecoval_core.valuation.planning import count_fits
from ecoval_core.work import cluster as module
from ecoval_core.work import opening, slow
from ecoval_core.work.cluster import cluster
from ecoval_core.workspace.schema import Settings

pytestmark = pytest.mark.processes

# Workers inherit them: it must be the engine that holds its fits to one thread.
TWO_THREADS = {f"{name}_NUM_THREADS": "2" for name in ("OMP", "OPENBLAS", "MKL")}
FITTED = ("values_", "intrinsic_", "extrinsic_", "quality_", "cluster_values_", "labels_")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with (
        mock.patch.dict(os.environ, TWO_THREADS),
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0",
            local_directory=str(tmp_path_factory.mktemp("dask")),
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        workers = [psutil.Process(pid) for pid in client.run(_process_id).values()]
        yield client
    gone, alive = psutil.wait_procs(workers, timeout=5)
    assert (len(gone), alive) == (2, [])


def _process_id():
    return psutil.Process().pid


def value(data, estimator=None, **told):
    ecoval = EcoVal(estimator, n_clusters=12, random_state=0)
    return ecoval.fit(data.X, data.y, data.X_val, data.y_val, **told)


def value_on_cluster(data, estimator=None, **told):
    with parallel_config("dask"):
        return value(data, estimator, **told)


def assert_same_bits(found, expected):
    for name in FITTED:
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes(), name


@pytest.mark.parametrize("model", [None, RandomForestClassifier(10)], ids=["default", "forest"])
def test_values_have_the_bits_of_a_local_run_and_every_fit_is_counted(client, cancer, model):
    told = []
    found = value_on_cluster(cancer, model, progress=lambda *count: told.append(count))
    expected = value(cancer, model)
    assert_same_bits(found, expected)
    unseen = cancer.X_test[:20], cancer.y_test[:20]
    assert np.array_equal(found.value_samples(*unseen).value, expected.value_samples(*unseen).value)
    total = count_fits(12)
    assert told == [(done, total) for done in range(1, total + 1)]


def test_curves_have_the_bits_of_a_local_run(client, cancer):
    arguments = (GaussianNB(), cancer.X, cancer.y, cancer.X_test, cancer.y_test, cancer.X[:, 0])
    with parallel_config("dask"):
        found = removal_curves(*arguments, n_random=2)
    assert found.equals(removal_curves(*arguments, n_random=2))


class WorkerReport(ClassifierMixin, BaseEstimator):
    """Leaves a file, in a folder if one is given, of the process and threads it was fitted with."""

    def __init__(self, folder=None):
        self.folder = folder

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.pid_ = _process_id()
        self.threads_ = max(pool["num_threads"] for pool in threadpool_info())
        self.stays_ = getattr(get_active_backend()[0], "supports_sharedmem", False)
        if self.folder is not None:
            (self.folder / f"{self.pid_} {self.threads_} {self.stays_}").touch()
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def test_fits_run_in_the_workers_on_one_thread_without_tasks_of_their_own(client, digits, tmp_path):
    free = client.run(_fit_report, digits.X, digits.y)
    assert {report.threads_ for report in free.values()} == {2}
    with parallel_config("dask"):
        ecoval = EcoVal(WorkerReport(tmp_path), n_clusters=12, random_state=0)
        ecoval.fit(digits.X, digits.y, digits.X_val, digits.y_val)
    workers = {str(report.pid_) for report in free.values()}
    reports = [path.name.split() for path in tmp_path.iterdir()]
    assert {pid for pid, *_ in reports} >= workers
    assert {tuple(rest) for pid, *rest in reports if pid in workers} == {("1", "True")}


def _fit_report(X, y):
    return WorkerReport().fit(X, y)


class RefusesSmall(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        if len(X) < 250:
            raise RuntimeError("I want 250 rows")
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def test_cancelled_run_and_model_that_fails_leave_the_cluster_idle_and_usable(client, cancer):
    told = []
    with pytest.raises(Cancelled):
        value_on_cluster(
            cancer, progress=lambda done, _: told.append(done), should_stop=lambda: len(told) == 5
        )
    assert told == [1, 2, 3, 4, 5]
    assert not any(client.processing().values())
    with pytest.raises(RefitError, match=r"RefusesSmall .* without cluster \d+ .*I want 250 rows"):
        value_on_cluster(cancer, RefusesSmall())
    assert_same_bits(value_on_cluster(cancer), value(cancer))


# --- What is lost ----------------------------------------------------------------------------


@contextmanager
def own_cluster(folder, n_workers):
    """A scheduler and workers that nobody starts again: their processes, and the address."""
    address = folder / "scheduler.json"
    worker = ["dask_worker", "--no-nanny", "--nthreads", "1", "--local-directory", str(folder)]
    options = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(address)]
    with ExitStack() as stack:
        processes = []
        for name, *own in [["dask_scheduler", "--port", "0"], *n_workers * [worker]]:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{name}", *own, *options],
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes.append(process)
        with Client(scheduler_file=str(address), timeout=60) as client:
            client.wait_for_workers(n_workers, timeout=60)
            yield processes, client.scheduler.address


def killing(process, at):
    """Progress that kills a process once so many fits are done."""

    def progress(done, _):
        if done == at:
            process.kill()

    return progress


LOST = "The Dask cluster at {} lost its .*, then run it again."


def test_runs_survive_workers_lost_midway_with_the_same_bits_up_to_the_last(
    cancer, tmp_path, monkeypatch
):
    expected = value(cancer)
    with own_cluster(tmp_path, 3) as ((_, *workers, last), address):
        for worker, at in zip(workers, (1, 10), strict=True):
            with cluster(address):
                assert_same_bits(value(cancer, progress=killing(worker, at)), expected)
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 3.0)
        with pytest.raises(ValueError, match=LOST.format(address)), cluster(address):
            value(cancer, progress=killing(last, 4))
    gc.collect()


# A client whose scheduler is gone leaves sockets to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_lost_scheduler_ends_a_run_in_one_sentence(cancer, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 3.0)
    with (
        own_cluster(tmp_path, 1) as ((scheduler, _), address),
        pytest.raises(ValueError, match=LOST.format(address)),
        cluster(address),
    ):
        value(cancer, progress=killing(scheduler, 4))
    gc.collect()


def test_without_a_scheduler_a_table_opens_and_a_run_says_at_once_why_not(tmp_path):
    address = "tcp://127.0.0.1:9"
    context = {
        "root": str(tmp_path / "workspace"), "temporary": str(tmp_path), "uploads": str(tmp_path),
        "dask": address,
    }  # fmt: skip

    def perform(task):
        return slow.perform(task.name, task.arguments, context, lambda *_: None)["done"]

    opened = perform(opening.open_table({"sample": "wine"}, "Wine"))
    settings = Settings(model="naive_bayes", scoring="probability", n_clusters=6)
    # Whoever waited as long as Dask does would be ended by the limit on each test.
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1 hour"}),
        pytest.raises(ValueError, match=f"scheduler at {address} does not answer: start it"),
    ):
        perform(slow.value("key", opened["split"], settings))
