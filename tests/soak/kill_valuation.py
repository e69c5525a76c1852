"""A server killed at twenty points of a valuation: the finished opens as it was, the rest is offered again.

    python tests/soak/kill_valuation.py --kills 20

One run is finished first, with decisions on its rows. Then a table after another is valued by a new server
that is killed (``kill -9``) at moments spread from the click to a little beyond the end. After each kill the
address of the finished run must show what it showed, the address of the killed one must show its values or
offer to run it again, and no process of the server may be left. In the end all of them are run again: their
values must be those of the same settings valued in this process, bit for bit. Exits with 1 if anything was
wrong.
"""

import argparse
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from ecoval_core.runs.run import load_run, value_split

sys.path.insert(0, str(Path(__file__).parents[1]))

from browser import running_server
from visitor import Visitor

from ecoval_core.workspace import history
from ecoval_core.workspace.store import DATABASE
from ecoval_core.workspace.workspace import Workspace

INTERRUPTED = "This valuation was interrupted"
DONE = "What came out"


def table(number, n_rows):
    """A CSV file of its own for each number."""
    rng = np.random.default_rng(number)
    X = rng.normal(size=(n_rows, 24)).round(4)
    score = X[:, :3].sum(axis=1) + rng.normal(size=n_rows)
    label = np.array(["low", "middle", "high"])[np.digitize(score, [-0.7, 0.7])]
    frame = pd.DataFrame(X, columns=[f"feature_{i}" for i in range(X.shape[1])]).assign(label=label)
    return frame.to_csv(index=False).encode()


def begin(server, number, n_rows):
    """Open a table and start its valuation."""
    visitor = Visitor(server.address, patience=600)
    visitor.upload("upload", table(number, n_rows), f"table-{number}.csv")
    visitor.open("value")
    visitor.press("start")
    return visitor


def shown(server, query, *pages):
    """What an address shows on some pages."""
    with Visitor(server.address, "value", query, patience=600) as visitor:
        texts = [visitor.text()]
        for page in pages:
            visitor.open(page)
            texts.append(visitor.text())
    return texts


def lasting(texts):
    """What must be as it was: not the plan of a next run, other runs to switch to, nor ids of downloads."""
    values = texts[0][texts[0].index(DONE) :]
    lasting = "\n\n".join([values, *texts[1:]]).split("\n\n")
    return [re.sub(r"deferred_file_id: .*", "", one) for one in lasting if "-switch_" not in one]


def kill(server):
    """Kill the server, and return what outlives it by half a minute, which even a busy machine needs not."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    server.stop(signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=30)
    return [process.pid for process in alive]


def main():
    """Do it, print what was seen, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rows", type=int, default=6000, help="of each table: seconds of work")
    options = parser.parse_args()
    wrong = []
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as server:
        with begin(server, 0, options.rows) as visitor:
            began = time.monotonic()
            visitor.wait_for(DONE)
            seconds = time.monotonic() - began
            visitor.open("labels")
            visitor.press("accept_labels")
            visitor.open("value")
            kept = visitor.query
        before = lasting(shown(server, kept, "labels"))
        addresses, n_done = [], 0
        for number in range(1, options.kills + 1):
            point = 1.2 * seconds * (number - 0.5) / options.kills
            visitor = begin(server, number, options.rows)
            time.sleep(point)
            addresses.append(visitor.query)
            alive = kill(server)
            visitor.close()
            server.start()
            if alive:
                wrong.append(f"kill {number}: processes {alive} live on")
            if lasting(shown(server, kept, "labels")) != before:
                wrong.append(f"kill {number}: the finished run shows something else")
            [text] = shown(server, addresses[-1])
            n_done += DONE in text
            if (INTERRUPTED in text) == (DONE in text):
                wrong.append(f"kill {number}: its address shows {text[:300]!r}")
            said = f"kill {number} after {point:.1f} s: {n_done} done, {len(wrong)} faults"
            print(said, flush=True)
        for address in addresses:
            with Visitor(server.address, "value", address, patience=600) as visitor:
                if "run_again" in visitor.widgets():
                    visitor.press("run_again")
                visitor.wait_for(DONE)
        server.stop()
        workspace = Workspace(server.workspace, Path(folder) / "temporary")
        wrong += compare(workspace, options.kills + 1)
    for fault in wrong:
        print(fault)
    return 1 if wrong else 0


def compare(workspace, n_runs):
    """Value every table again here, and return what differs, is missing or is left over."""
    others = [one.name for one in workspace.root.iterdir() if not one.name.startswith(DATABASE)]
    wrong = [f"{name} is left over" for name in others]
    with workspace.stores()[0].connect() as db:
        wrong += [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
    found = history.list_runs(workspace)
    if len(found) != n_runs:
        wrong.append(f"{len(found)} runs instead of {n_runs}")
    for record in found:
        run = load_run(workspace, record.key, record.split, record.settings)
        if run is None:
            wrong.append(f"{record.name} is half there")
            continue
        expected = value_split(run.opened, run.settings).ecoval.values_
        if run.ecoval.values_.tobytes() != expected.tobytes():
            wrong.append(f"{record.name} has other values")
    print(f"{len(found)} runs valued again in this process", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
