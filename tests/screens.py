"""Screens driven as a visitor would, without a browser; values are computed once and copied to each test."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest
from data_files import loan_csv
from streamlit.testing.v1 import AppTest

from ecoval_core.workspace.store import DATABASE, Store

ENTRY = Path(__file__).parents[1] / "pages" / "main.py"
CLEAN = b"a,b,y\n" + b"\n".join(
    b"%d,%d,%s" % (i % 7, i % 5, b"yes" if i % 7 > 3 else b"no") for i in range(60)
)


class Valuations:
    """Workspaces in which one table is valued, made at the first call of each kind in any process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def copy(self, name: str, root: Path) -> tuple[str, str]:
        """Put a workspace into an empty folder; return the id of its run and the key of its table."""
        made = self._folder / name.replace(" ", "_")
        made.mkdir(parents=True, exist_ok=True)
        ids = made / "ids.json"
        with (made / "lock").open("w") as lock:
            # The second process of the tests waits for what the first one makes.
            flock(lock, LOCK_EX)
            if not ids.exists():
                ids.write_text(json.dumps(self._value(name, made)))
        root.mkdir(parents=True, exist_ok=True)
        shutil.copy(made / DATABASE, root / DATABASE)
        run, table = json.loads(ids.read_text())
        return run, table

    def _value(self, name: str, root: Path) -> tuple[str, str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ECOVAL_WORKSPACE", str(root))
            sample, _, planted = name.partition(" ")
            app = open_app()
            if sample == "loans":
                upload(app, "loans.csv", loan_csv())
            else:
                press(app, f"sample_{sample}")
            if planted:
                check(app.toggle(key="data_noisy").set_value(True).run())
            value(app)
            if sample != "loans":
                # The map's projection is there for every test, too.
                wait(go(app, "explore"))
        with sqlite3.connect(Store(root).path) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return app.query_params["run"], app.query_params["data"]


def open_app(query=None, screen=None):
    app = AppTest.from_file(ENTRY, default_timeout=300)
    for name, value_ in (query or {}).items():
        app.query_params[name] = value_
    if screen not in (None, "data"):
        app.switch_page(f"{screen}.py")
    return check(app.run())


def check(app):
    assert not app.exception, [e.message for e in app.exception]
    return app


def go(app, screen):
    return check(app.switch_page(f"{screen}.py").run())


def press(app, key):
    return check(app.button(key=key).click().run())


def put(app, **values):
    """Set widgets by their keys, one after another."""
    for key, value_ in values.items():
        kinds = (
            app.checkbox, app.multiselect, app.number_input, app.segmented_control, app.selectbox, app.slider,
            app.text_input, app.toggle,
        )  # fmt: skip
        widget = next(one for kind in kinds for one in kind if one.key == key)
        check(widget.set_value(value_).run())
    return app


def has(elements, key):
    return any(element.key == key for element in elements)


def wait(app, seconds=300):
    """Run until no job is being watched, as the fragment does in a browser."""
    deadline = time.monotonic() + seconds
    signs = ("hourglass", "not known yet")
    while has(app.button, "cancel") or any(sign in text(app) for sign in signs):
        assert time.monotonic() < deadline, "the job did not end"
        time.sleep(0.1)
        check(app.run())
    return app


def value(app):
    """Value the rows of the open table with the settings that are proposed."""
    wait(go(app, "value"))
    return wait(press(app, "start"))


def upload(app, name, content, key="upload"):
    kind = "text/csv" if name.endswith("csv") else "application/octet-stream"
    return wait(check(app.file_uploader(key=key).set_value((name, content, kind)).run()))


def figure(app, label):
    return next(metric.value for metric in app.metric if metric.label == label)


def text(app):
    return "\n".join(element.value for element in (*app.markdown, *app.caption, *app.info))


def kept(app):
    """Return what is kept for the visitor beside the values of widgets."""
    return app.session_state["ecoval"]


def opened(app):
    return kept(app)["opened"]


def run_of(app):
    return kept(app)["weighted_run"][1]


def gesture(app, elements, key, selection):
    """Send what the browser sends after a selection; AppTest has no such gesture of its own."""
    element = next(element for element in elements if element.key == key)
    states = app._tree.get_widget_states()
    states.widgets.add(id=element.proto.id, string_value=json.dumps({"selection": selection}))
    return check(app._run(states))


def mark_rows(app, key, positions):
    return gesture(app, app.dataframe, key, {"rows": positions, "columns": [], "cells": []})
