"""Many sessions at once: what the server's memory does while they are there, and after they have gone.

    python tests/soak/sessions.py --sessions 20

One session goes first, so that everything is loaded that any session needs; the level it leaves behind is
what the others are measured against. Every session opens a table of its own, values it, looks at every page
and closes its tab. The server then has the time that Streamlit keeps a closed tab for, and a minute more, to
come back within 20 % of that level. Exits with 1 if it does not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
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


def wait_until(is_reached: Callable[[], bool], seconds: float) -> float:
    """Seconds until something holds, or all of them."""
    began = time.monotonic()
    while not is_reached() and time.monotonic() - began < seconds:
        time.sleep(0.5)
    return time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--rows", type=int, default=4000, help="of a table of one's own")
    parser.add_argument("--ttl", type=int, default=120, help="seconds a closed tab is kept for")
    options = parser.parse_args()
    ttl = {"STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": str(options.ttl)}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder), **ttl) as server,
    ):
        memory = Memory(server)
        patience = options.ttl + 60
        print(f"server alone              {memory.now() / MEGABYTE:7.0f} MB")

        seconds = visit(server, 1, options.rows, lambda: None)
        time.sleep(patience)
        level = memory.now()
        print(f"after the first session   {level / MEGABYTE:7.0f} MB   ({seconds:.0f} s)")

        together = threading.Barrier(options.sessions, timeout=3600)
        with ThreadPoolExecutor(options.sessions) as pool:
            stays = [
                pool.submit(visit, server, 100 + number, options.rows, together.wait)
                for number in range(options.sessions)
            ]
            seconds_each = sorted(stay.result() for stay in stays)
        left = memory.now()
        print(
            f"{options.sessions:2d} sessions, peak         {memory.peak / MEGABYTE:7.0f} MB   "
            f"(with workers {memory.peak_of_all / MEGABYTE:.0f} MB; a stay {seconds_each[0]:.0f} to "
            f"{seconds_each[-1]:.0f} s)"
        )
        print(f"as the last one leaves    {left / MEGABYTE:7.0f} MB")
        began = time.monotonic()
        waited = wait_until(lambda: memory.now() <= (1 + TOLERANCE) * level, patience)
        print(f"{waited:4.0f} s later              {memory.now() / MEGABYTE:7.0f} MB")
        time.sleep(max(0.0, began + patience - time.monotonic()))
        ended = memory.now()
        print(
            f"{patience:4.0f} s later              {ended / MEGABYTE:7.0f} MB   "
            f"({ended / level - 1:+.0%} of the first level; workers {memory.of_children() / MEGABYTE:.0f} MB)"
        )
        memory.close()
    return 0 if ended <= (1 + TOLERANCE) * level else 1


if __name__ == "__main__":
    sys.exit(main())
