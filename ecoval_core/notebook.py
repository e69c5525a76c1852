"""From a notebook or a terminal into the app: it opens a table, and serves it on this machine."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from ecoval_core.files.limits import check_shape, column_names
from ecoval_core.files.read import index_to_columns
from ecoval_core.runs.given import take_values
from ecoval_core.runs.opened import save_frame
from ecoval_core.tables.table import content_digest
from ecoval_core.valuation.cross_valuation import CrossValuation
from ecoval_core.valuation.estimator import EcoVal
from ecoval_core.work.slow import perform
from ecoval_core.workspace.store import WorkspaceError
from ecoval_core.workspace.workspace import Workspace, default_root

FIRST_PORT, START_SECONDS = 8501, 120
# In a clone the app lies beside this package, in a wheel in a package of its own.
_PLACES = (Path(__file__).parents[1], Path(__file__).parents[1] / "ecoval_app")
# The server then ends with its input, a pipe that closes with this process, however that ends.
UNTIL_INPUT_ENDS = "ECOVAL_UNTIL_INPUT_ENDS"


class App:
    """The app, served on this machine until `stop` or the end of the process that started it.

    Attributes
    ----------
    address : str
        Where a browser finds what was shown.
    """

    def __init__(self, port: int | None = None) -> None:
        self.port = _free_port() if port is None else port
        self.address = f"http://localhost:{self.port}"
        folder = next(folder for folder in _PLACES if (folder / "app.py").is_file())
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server writes to it
        command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={self.port}"]
        # In a session of its own, it does not hear the Ctrl-C that interrupts a cell.
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=folder, stdin=subprocess.PIPE, stdout=self._log, stderr=self._log,
            start_new_session=True, env=os.environ | {UNTIL_INPUT_ENDS: "1"},
        )  # fmt: skip
        atexit.register(self.stop)
        self._wait_until_it_answers()

    def __repr__(self) -> str:
        return f"EcoVal at {self.address}"

    @property
    def is_running(self) -> bool:
        """Whether the server is up."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Wait until the server ends."""
        self._process.wait()

    def stop(self) -> None:
        """End the server; what was worked out stays in the workspace."""
        if self.is_running:
            self._process.terminate()
            self._process.wait()

    def _wait_until_it_answers(self) -> None:
        for _ in range(10 * START_SECONDS):
            try:
                with urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=5):  # noqa: S310
                    return
            except OSError:
                # The port is polled until the server listens; there is no other signal.
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.1)
                    break
        self.stop()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip() or "no reason given"
        raise RuntimeError(f"The app did not start: {lines.splitlines()[-1].strip()}")


def show(
    data: pd.DataFrame | EcoVal | CrossValuation, frame: pd.DataFrame | None = None, *,
    target: Any = None, test: pd.DataFrame | None = None, name: str = "table",
    port: int | None = None,
) -> App:  # fmt: skip
    """Open a table, or values with their rows, in the app and print its address.

    The app runs in a process of its own until this one ends; a second call uses the same server.

    Parameters
    ----------
    data : DataFrame of shape (n_rows, n_columns), fitted EcoVal or result of cross_value
        A table to value in the app, a row per example, of which a named index becomes a column; or values
        to look at: map, decomposition, stories, labels, prune list and downloads.
    frame : DataFrame of shape (n_samples, n_columns), default=None
        With values only: the rows that were valued, in the order in which they were fitted. They may hold
        other columns than the model saw; then nothing can be fitted again.
    target : str or array-like of shape (n_samples,), default=None
        Column to predict; guessed without it, as when a file is opened in the app. With values it is needed,
        and may be the targets themselves.
    test : DataFrame of shape (n_test, n_columns), default=None
        With values only: rows that took no part, with the columns of `frame`. Removal curves and the effect
        of pruning are measured on them with the given estimator, if skops can keep it.
    name : str, default="table"
        Name of the table in the app.
    port : int, default=None
        Port to serve on; the first that is free from 8501 on without it.

    Returns
    -------
    App
        With the address, and `stop`.

    Raises
    ------
    TypeError
        If `data` is neither a table nor values.
    ValueError
        If the frame cannot be valued, or its rows are not those that were: the sentence names the column
        and what to do.
    WorkspaceError
        If the workspace cannot be written.
    RuntimeError
        If the app does not start.
    """
    if isinstance(data, (EcoVal, CrossValuation)):
        check_is_fitted(data)
        if frame is None or target is None:
            raise TypeError("Values need their rows: show(ecoval, frame, target=...).")
        workspace = _workspace()
        tested = None if test is None else _table(test, "test")
        run = take_values(workspace, data, _table(frame, name), target, tested, name)
        _check(workspace.trouble)
        return _serve(f"explore?run={run}", port)
    if frame is not None or test is not None:
        raise TypeError("frame and test go with values: give a fitted EcoVal, or a table alone.")
    table, workspace = _table(data, name), _workspace()
    digest = content_digest(table)
    save_frame(workspace, table, digest)
    return _serve(f"?data={open_in(workspace, {'frame': digest}, name, target=target)}", port)


def _table(data: Any, name: str) -> pd.DataFrame:
    if not isinstance(data, pd.DataFrame):
        raise TypeError(f"show takes a DataFrame or values, not {type(data).__name__}.")
    frame = index_to_columns(data)
    check_shape(*frame.shape, name)
    frame.columns = pd.Index(column_names(frame.columns, name))
    return frame


def show_file(path: Path, *, port: int | None = None, **options: Any) -> App:
    """Open a file in the app; `options` are those of the task that opens tables."""
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    folder, source = path.absolute().parent, {"file": path.name}
    key = open_in(_workspace(), source, path.name, folder, **options)
    return _serve(f"?data={key}", port)


def open_in(
    workspace: Workspace,
    source: Mapping[str, str],
    name: str,
    folder: Path = Path(),
    **options: Any,
) -> str:
    """Open a table as the app does, in this process; return the key of its split."""
    context = {"root": workspace.root, "temporary": workspace.temporary, "uploads": folder}
    asked = {"source": dict(source), "name": name}
    asked |= {option: value for option, value in options.items() if value is not None}
    found = perform("open_table", asked, context, lambda _done, _total: None)
    _check(found["trouble"])
    if "refusal" in found["done"]:
        raise ValueError(found["done"]["refusal"])
    return str(found["done"]["split"])


def _workspace() -> Workspace:
    """Return the workspace that the app will open, which must outlast this process."""
    workspace = Workspace(default_root(), Path(tempfile.gettempdir()) / "ecoval-unused")
    _check(workspace.trouble)
    return workspace


def _check(trouble: str) -> None:
    if trouble:
        reason = trouble.partition(": ")[2]
        raise WorkspaceError(f"The app would not find it: {reason}")


_running: dict[Path, App] = {}


def _serve(place: str, port: int | None) -> App:
    """Return the app at a place, on the server of this process if that is up."""
    root = default_root()
    app = _running.get(root)
    if app is None or not app.is_running or port not in (None, app.port):
        app = _running[root] = App(port)
    app.address = f"http://localhost:{app.port}/{place}"
    print(f"EcoVal shows it at {app.address}")  # noqa: T201 - what the caller waits for
    return app


def _free_port() -> int:
    for port in (*range(FIRST_PORT, FIRST_PORT + 100), 0):
        with socket.socket() as taken, suppress(OSError):
            taken.bind(("localhost", port))
            return int(taken.getsockname()[1])
    raise RuntimeError("No port is free.")
