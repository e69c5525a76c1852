"""Data and settings that the tests share."""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest
from browser import chromium, running_server
from screens import Valuations, open_app, wait
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from ecoval_core import EcoVal
from ecoval_core.workspace.store import DATABASE
from ecoval_core.workspace.workspace import default_root, forget

# From the slowest on, each a minute or more; the second works while the first values what others need, too.
SLOW = (
    "accessibility",
    "restart",
    "pages",
    "selection",
    "engine",
    "dask",
    "pointmap",
    "browser",
    "hostile_input",
    "projection",
)


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, so that neither process waits for the other in the end."""

    def place(item):
        name = item.path.stem.removeprefix("test_")
        is_in_chromium = item.get_closest_marker("browser") is not None
        return SLOW.index(name) if name in SLOW else len(SLOW) + (not is_in_chromium)

    items.sort(key=place)


MAIN = sys.modules["__main__"]


@pytest.fixture(autouse=True)
def unchanged_main():
    """AppTest leaves the page as ``__main__``, which a process that Dask or joblib starts would run again."""
    # Not the one found here: fixtures of the module or the session, which come first, use AppTest too.
    yield
    sys.modules["__main__"] = MAIN


@pytest.fixture(scope="session")
def browser():
    """Chromium; each visit has a profile of its own."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def valuations(tmp_path_factory):
    """Workspaces with a valued table, to be copied; all processes of the tests share them."""
    base = tmp_path_factory.getbasetemp()
    return Valuations((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "valuations")


@pytest.fixture(scope="session")
def started_app(valuations, tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    run, _ = valuations.copy("wine planted", folder / "workspace")
    with running_server(folder) as server:
        server.run = run
        yield server


@pytest.fixture
def app_server(started_app):
    """The app, for tests that neither stop nor configure it; on its `run` nothing is decided."""
    with closing(sqlite3.connect(started_app.workspace / DATABASE)) as db, db:
        db.execute("DELETE FROM reviews")
    return started_app


@pytest.fixture
def fresh_server(monkeypatch, tmp_path):
    """What visitors of AppTest share on a server begins empty, and nothing runs on into the next test."""
    import streamlit as st

    from pages.shared import server

    st.cache_data.clear()
    monkeypatch.setenv("ECOVAL_WORKSPACE", str(tmp_path / "workspace"))
    engine = server.engine()
    yield
    for job in engine.jobs.active():
        for visitor in list(job.visitors):
            engine.jobs.leave(job, visitor)
        assert job.wait(60)
    forget()


@pytest.fixture
def visit(valuations):
    """Open a screen with a run of a table that was valued before: "wine", or "wine planted" with errors."""

    def visit(screen, name="wine planted", **query):
        run, _ = valuations.copy(name, default_root())
        return wait(open_app({"run": run, **query}, screen))

    return visit


class Offered(dict):
    """What download buttons give, by their keys; `names` has those of the files."""

    def __init__(self):
        super().__init__()
        self.names = {}


@pytest.fixture
def offered(monkeypatch):
    """What the download buttons give that a page has drawn."""
    import streamlit as st

    made, draw_button = Offered(), st.download_button

    def remember(label, data, name, *args, key, **options):
        made[key], made.names[key] = data, name
        return draw_button(label, b"", name, *args, key=key, **options)

    monkeypatch.setattr(st, "download_button", remember)
    return made


def run_apart(coroutine):
    """Run a coroutine in a thread: in the main one Playwright's loop runs, once there is a browser."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def split_and_spoil(X, y, n_train, n_val, share=0.15, seed=0):
    """Standardised train / validation / test with a share of the training labels moved on by one."""
    X, X_rest, y, y_rest = train_test_split(X, y, train_size=n_train, random_state=seed, stratify=y)
    X_val, X_test, y_val, y_test = train_test_split(
        X_rest, y_rest, train_size=n_val, random_state=seed, stratify=y_rest
    )
    scaler = StandardScaler().fit(X)
    flipped = np.random.default_rng(seed).random(n_train) < share
    y_noisy = np.where(flipped, (y + 1) % (y.max() + 1), y)
    return SimpleNamespace(
        X=scaler.transform(X), y=y_noisy, y_clean=y, X_val=scaler.transform(X_val), y_val=y_val,
        X_test=scaler.transform(X_test), y_test=y_test, flipped=flipped,
    )  # fmt: skip


def check_cluster_consistency(ecoval):
    """Members share the prediction, and of its difference to Phi what is reliable."""
    valued = ecoval.labels_ >= 0
    by_cluster = np.bincount(ecoval.labels_[valued], ecoval.raw_extrinsic_[valued])
    predicted, rho = ecoval.cluster_predictions_, ecoval.cluster_reliability_
    expected = predicted + rho * (ecoval.cluster_values_ - predicted)
    np.testing.assert_allclose(by_cluster, expected, atol=1e-9)
    assert ((rho >= 0) & (rho <= 1)).all()


@pytest.fixture(scope="session")
def digits():
    return split_and_spoil(*load_digits(return_X_y=True), n_train=600, n_val=300)


@pytest.fixture(scope="session")
def cancer():
    return split_and_spoil(*load_breast_cancer(return_X_y=True), n_train=250, n_val=150)


@pytest.fixture(scope="session")
def valued_digits(digits):
    return EcoVal(random_state=0).fit(digits.X, digits.y, digits.X_val, digits.y_val)


@pytest.fixture(scope="session")
def valued_cancer(cancer):
    return EcoVal(random_state=0).fit(cancer.X, cancer.y, cancer.X_val, cancer.y_val)
