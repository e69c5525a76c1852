"""How quick the pages are while valuations run, beside an idle server: one run, in turns.

``python benchmarks/pages.py`` starts the app on a free port with a workspace of its own, values a sample, and
times some screens, first idle, then while two visitors' forests are being valued.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser import running_server  # noqa: E402 - found on the path set above
from visitor import Visitor  # noqa: E402

from ecoval_core.work import opening, slow  # noqa: E402
from ecoval_core.workspace.schema import Settings, key_of  # noqa: E402
from pages.shared.engine import Engine  # noqa: E402

SCREENS = ("value", "explore", "prune")
N_RERUNS = 15


def time_reruns(visitor: Visitor) -> dict[str, float]:
    """Return the median seconds to open each screen."""
    found = {}
    for screen in SCREENS:
        seconds = []
        for _ in range(N_RERUNS):
            started = time.perf_counter()
            visitor.open(screen)
            seconds.append(time.perf_counter() - started)
        found[screen] = statistics.median(seconds)
    return found


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder)) as server,
        Visitor(server.address) as visitor,
    ):
        visitor.press("sample_wine")
        visitor.open("value")
        visitor.press("start")
        visitor.wait_for("What came out")
        visitor.open("explore")
        visitor.wait_for("Lowest value first")
        idle = time_reruns(visitor)
        # The same work as the server's own workers do, beside it on the same cores.
        engine = Engine(warm_up=False)
        workspace = engine.workspace(Path(folder) / "beside")
        job = engine.submit(workspace, opening.open_table({"sample": "digits"}, "digits"), "ada")
        job.wait()
        for seed, name in enumerate(("ada", "bob")):
            settings = Settings(
                model="random_forest", n_clusters=1000, scoring="probability", random_state=seed
            )
            key = key_of("benchmark", seed)
            engine.submit(workspace, slow.value(key, job.result["split"], settings), name)
        time.sleep(3)
        busy = time_reruns(visitor)
        running = len(engine.jobs.active())
        engine.close()
    print(f"{running} valuations ran to the end of the measurement.")
    print("| screen | idle | during two valuations | ratio |")
    print("| --- | --- | --- | --- |")
    for screen in SCREENS:
        ratio = busy[screen] / idle[screen]
        print(f"| {screen} | {idle[screen]:.3f} s | {busy[screen]:.3f} s | {ratio:.2f} |")


if __name__ == "__main__":
    main()
