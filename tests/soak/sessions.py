"""Many sessions at once: what the server's memory does while they are there, and after they have gone.

    python tests/soak/sessions.py --sessions 20

One session goes first, so that everything is loaded that any session needs; the level it leaves behind is
what the others are measured against. Every session opens a table of its own, values it, looks at every page
and closes its tab. The server then has the time that Streamlit keeps a closed tab for, and a minute more, to
come back within 20 % of that level. Exits with 1 if it does not.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from browser import AppServer, running_server
from visitor import Visitor

MEGABYTE = 2**20
TOLERANCE = 0.2
SAMPLES = ("digits", "breast_cancer", "wine", "penguins", "titanic")
LOOKED_AT = ("explore", "decompose", "labels", "curves", "prune", "runs", "method")


class Memory:
    """Resident memory of the server's own process and of the processes it started, sampled by a thread.

    Parameters
    ----------
    server : AppServer
        The server.
    """

    def __init__(self, server: AppServer) -> None:
        self._process = psutil.Process(server.process.pid)
        self._ended = threading.Event()
        self.peak = self.peak_of_all = 0
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def now(self) -> int:
        """Bytes of the server's own process."""
        resident: int = self._process.memory_info().rss
        return resident

    def of_children(self) -> int:
        """Bytes of the worker processes; what they share is counted once for each."""
        total = 0
        for child in self._process.children(recursive=True):
            try:
                total += child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total

    def _sample(self) -> None:
        while not self._ended.wait(0.2):
            try:
                now = self.now()
                self.peak = max(self.peak, now)
                self.peak_of_all = max(self.peak_of_all, now + self.of_children())
            except psutil.NoSuchProcess:
                return

    def close(self) -> None:
        self._ended.set()
        self._thread.join(5)


def own_table(number: int, n_rows: int) -> bytes:
    """A CSV file that no other visitor has."""
    rng = np.random.default_rng(number)
    X = rng.normal(size=(n_rows, 12)).round(4)
    label = np.where(X[:, :3].sum(axis=1) + rng.normal(size=n_rows) > 0, "yes", "no")
    frame = pd.DataFrame(X, columns=[f"feature_{i}" for i in range(12)]).assign(label=label)
    return frame.to_csv(index=False).encode()


def visit(server: AppServer, number: int, n_rows: int, meet: Callable[[], object]) -> float:
    """One visitor's stay; returns the seconds it took."""
    began = time.monotonic()
    with Visitor(server.address, patience=600) as visitor:
        if number % 2:
            visitor.upload("upload", own_table(number, n_rows), f"table-{number}.csv")
        else:
            visitor.press(f"sample_{SAMPLES[number // 2 % len(SAMPLES)]}")
        visitor.open("value")
        if "start" in visitor.widgets():
            visitor.press("start")
        visitor.wait_for("Surplus", 1200)
        for page in LOOKED_AT:
            visitor.open(page)
        took = time.monotonic() - began
        # Nobody leaves before everybody has seen everything: that many are there at once.
        meet()
    return took


def visit_together(server: AppServer, n_sessions: int, first: int, n_rows: int) -> list[float]:
    """Let visitors in at once; returns the seconds each of them took, when the last one has left."""
    counted: list[str] = []

    def count() -> None:
        with urllib.request.urlopen(f"{server.address}/_stcore/metrics", timeout=60) as answer:  # noqa: S310 - ours
            counted.extend(re.findall(r"active_sessions (\d+)", answer.read().decode()))

    together = threading.Barrier(n_sessions, action=count, timeout=3600)

    def stay(number: int) -> float:
        try:
            return visit(server, number, n_rows, together.wait)
        except Exception:
            # Nobody waits for somebody who will not come.
            together.abort()
            raise

    with ThreadPoolExecutor(n_sessions) as pool:
        stays = [pool.submit(stay, first + number) for number in range(n_sessions)]
        seconds = sorted(one.result() for one in stays)
    if counted != [str(n_sessions)]:
        raise RuntimeError(f"The server counted {counted} sessions, not {n_sessions}.")
    return seconds


def main() -> int:
    """Run it and print the figures; the exit status says whether the memory came back."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument(
        "--rounds", type=int, default=1, help="times that many come, one after the other"
    )
    parser.add_argument("--rows", type=int, default=4000, help="of a table of one's own")
    parser.add_argument("--ttl", type=int, default=120, help="seconds a closed tab is kept for")
    options = parser.parse_args()
    patience = options.ttl + 60
    environment = {"STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": str(options.ttl)}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder), **environment) as server,
    ):
        memory = Memory(server)
        say("server alone", memory.now())
        seconds = visit(server, 1, options.rows, lambda: None)
        time.sleep(patience)
        level = ended = memory.now()
        say("after the first session", level, f"it stayed {seconds:.0f} s")
        for number in range(1, options.rounds + 1):
            memory.peak = memory.peak_of_all = 0
            stays = visit_together(server, options.sessions, 100 * number, options.rows)
            began = time.monotonic()
            say(
                f"{options.sessions} sessions, peak", memory.peak,
                f"{memory.peak_of_all / MEGABYTE:.0f} MB with workers; they stayed {stays[0]:.0f} to "
                f"{stays[-1]:.0f} s",
            )  # fmt: skip
            say("as the last one leaves", memory.now())
            while memory.now() > (1 + TOLERANCE) * level and time.monotonic() - began < patience:
                time.sleep(0.5)
            say(f"{time.monotonic() - began:.0f} s later", memory.now())
            time.sleep(max(0.0, began + patience - time.monotonic()))
            ended = memory.now()
            say(
                f"{patience} s later", ended,
                f"{ended / level - 1:+.0%} of the first level; workers "
                f"{memory.of_children() / MEGABYTE:.0f} MB",
            )  # fmt: skip
        memory.close()
    return 0 if ended <= (1 + TOLERANCE) * level else 1


def say(what: str, n_bytes: int, more: str = "") -> None:
    """Print a figure."""
    print(f"{what:<26}{n_bytes / MEGABYTE:6.0f} MB   {more}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
