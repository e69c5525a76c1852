"""Kill processes that save, at every line of a save or at any moment, and look at what they leave.

Run as a program, with this folder on the path, it writes what it found as JSON. Processes are forked from it,
so that a kill costs no import. ``lines`` kills a save at one line of the store after another; ``moments``
lets a process save without end and kills it after a time that is drawn; ``writers`` lets three do so at
once, of the same things, while a fourth evicts, and kills them in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from ecoval_core.workspace.quota import evict
from ecoval_core.workspace.shelf import UNFINISHED
from ecoval_core.workspace.valuations import read_valuation
from small_runs import drawn_valuation, frames, keep_run, prepared_table

from ecoval_core.workspace import history
from ecoval_core.workspace.history import Desk
from ecoval_core.workspace.store import Store

TRACED = (
    "store.py",
    "shelf.py",
    "files.py",
    "database.py",
    "valuations.py",
    "history.py",
    "desks.py",
    "parquet.py",
)
SELECTION = {"selected_ids": [1, 2, 3]}
DECISIONS = {"prune": {"present": {"share": 0.1}, "past": [{"share": 0.0}], "future": []}}


def table_of(number):
    """A prepared table of its own for each number."""
    prepared = prepared_table()
    table = replace(
        prepared.table, fingerprint=f"table{number}", content=f"frame{number}",
        frame=prepared.table.frame.assign(extra=number),
    )  # fmt: skip
    return replace(
        prepared, table=table, fingerprint=f"prepared{number}", X_train=prepared.X_train + number
    )


def save(store, number):
    """Keep everything that belongs to a number: frame, table, values, run, desk."""
    prepared = table_of(number)
    valuation = drawn_valuation(prepared, number)
    run, _ = keep_run(store, prepared, name=f"run {number}", valuation=valuation)
    history.save_desk(store, f"desk{number}", Desk(run, "v", SELECTION, DECISIONS))


def faults(store, number, *, finished):
    """What is wrong with what a store holds of a number; nothing of it may be half there."""
    wrong = []
    prepared = table_of(number)
    frame = store.load_frame(f"frame{number}")
    if frame is not None and not frame.equals(prepared.table.frame):
        wrong.append("another frame")
    found = store.load_prepared(f"prepared{number}")
    if found is not None and not np.array_equal(found.X_train, prepared.X_train):
        wrong.append("another table")
    # Not all of them: after hundreds of kills there are thousands.
    runs = {one.name: one for one in history.list_runs(store, search=f"run {number}")}
    run, values = runs.get(f"run {number}"), None
    if run is not None:
        kept = store.find_result(run.valuation)
        if (run.state, kept is None) in (("done", True), ("started", False)):
            wrong.append(f"a run that is {run.state}")
        # Somebody may evict it at this moment; then it is not there, but never half there.
        values = store.read_result(run.valuation, lambda found: read_valuation(found.folder))
        if values is not None:
            wanted = drawn_valuation(prepared, number)
            if values.values_.tobytes() != wanted.values_.tobytes():
                wrong.append("other values")
    desk = history.find_desk(store, f"desk{number}")
    if desk is not None and (desk.selection, desk.decisions) != (SELECTION, DECISIONS):
        wrong.append("another desk")
    if finished and (values is None or any(one is None for one in (frame, found, run, desk))):
        wrong.append("something finished is lost")
    if finished and run is not None and run.state != "done":
        wrong.append("a finished run is lost")
    return [f"{number}: {fault}" for fault in wrong], run is not None and run.state == "done"


def leftovers(store):
    """Files that no row of the database names once what is left behind has been swept."""
    for folder in ("frames", "preparations", "results", UNFINISHED):
        for path in (store.root / folder).iterdir():
            os.utime(path, (0, 0))
    store.sweep(every=0.0)
    named = {
        row["file"]
        for table in ("frames", "preparations", "results")
        for row in store.db.all(f"SELECT file FROM {table}")  # noqa: S608
    }
    return [
        path.name
        for folder in ("frames", "preparations", "results", UNFINISHED)
        for path in (store.root / folder).iterdir()
        if path.name not in named | {"swept"}
    ]


def fork(work):
    """Do something in a process of its own, and return the process's number."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            sys.stderr.write(f"{error!r}\n")
            sys.stderr.flush()
            os._exit(1)
    return child


def kill_at_line(number):
    """Have this process killed when it comes to a line of the store, counted from its first."""
    seen = 0

    def trace_lines(_frame, event, _arg):
        nonlocal seen
        if event == "line":
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace_lines

    def trace_calls(frame, _event, _arg):
        return trace_lines if Path(frame.f_code.co_filename).name in TRACED else None

    sys.settrace(trace_calls)


def kill_lines(every, first):
    """Kill a save at every so many lines until one comes to its end."""
    found = {"kills": 0, "absent": 0, "kept": 0, "failures": []}
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template"
        save(Store(template), 1)
        line = first
        while True:
            root = Path(folder) / "workspace"
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(template, root)

            def work(root=root, line=line):
                store = Store(root)
                kill_at_line(line)
                save(store, 2)
                sys.settrace(None)

            _, status = os.waitpid(fork(work), 0)
            if os.waitstatus_to_exitcode(status) == 0:
                return found
            found["kills"] += 1
            store = Store(root)
            before, _ = faults(store, 1, finished=True)
            after, kept = faults(store, 2, finished=False)
            found["kept" if kept else "absent"] += 1
            save(store, 2)
            again, _ = faults(store, 2, finished=True)
            found["failures"] += [f"line {line}: {one}" for one in [*before, *after, *again]]
            found["failures"] += [f"line {line}: {one} is left" for one in leftovers(store)]
            line += every


def kill_moments(kills, seed):
    """Kill processes that save without end, each after a time that is drawn."""
    random = np.random.default_rng(seed)
    found = {"kills": 0, "finished": 0, "failures": []}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "workspace"
        Store(root)
        number, finished = 0, []
        for _ in range(kills):
            here, there = os.pipe()

            def work(there=there, start=number):
                store = Store(root)
                for one in range(start, start + 10_000):
                    save(store, one)
                    os.write(there, f"{one}\n".encode())

            child = fork(work)
            os.close(there)
            time.sleep(random.uniform(0.0, 1.0))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            with os.fdopen(here, "rb") as pipe:
                told = [int(line) for line in pipe.read().split()]
            found["kills"] += 1
            finished += told
            store = Store(root)
            last = told[-1] + 1 if told else number
            for one in told[-3:]:
                found["failures"] += faults(store, one, finished=True)[0]
            found["failures"] += faults(store, last, finished=False)[0]
            number = last + 1
        found["finished"] = len(finished)
        for one in finished:
            found["failures"] += faults(store, one, finished=True)[0]
        found["failures"] += [f"{one} is left" for one in leftovers(store)]
    return found


def kill_writers(kills, seed):
    """Kill one after another of processes that save and evict the same things at once."""
    random = np.random.default_rng(seed)
    found = {"kills": 0, "failures": []}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "workspace"
        Store(root)

        def write():
            store = Store(root)
            while True:
                for number in range(4):
                    save(store, number)

        def evict_all():
            store = Store(root)
            while True:
                store.db.run("UPDATE runs SET deleted = 1 WHERE name = 'run 3'")
                history.purge_deleted(store, older_than=0.0)
                for table in ("frames", "preparations", "results"):
                    store.db.run(f"UPDATE {table} SET used = 0")  # noqa: S608
                evict(store, 2**60)

        works = [write, write, write, evict_all]
        children = [fork(work) for work in works]
        try:
            for number in range(kills):
                time.sleep(random.uniform(0.0, 0.5))
                which = number % len(works)
                os.kill(children[which], signal.SIGKILL)
                _, status = os.waitpid(children[which], 0)
                if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
                    found["failures"].append(f"process {which} ended by itself")
                found["kills"] += 1
                children[which] = fork(works[which])
                if number % 10 == 0:
                    store = Store(root)
                    for one in range(4):
                        found["failures"] += faults(store, one, finished=False)[0]
        finally:
            for child in children:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        store = Store(root)
        for one in range(4):
            found["failures"] += faults(store, one, finished=False)[0]
            save(store, one)
            found["failures"] += faults(store, one, finished=True)[0]
        found["failures"] += [f"{one} is left" for one in leftovers(store)]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["lines", "moments", "writers"])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    frames()
    if chosen.what == "lines":
        found = kill_lines(chosen.every, chosen.first)
    elif chosen.what == "moments":
        found = kill_moments(chosen.kills, chosen.seed)
    else:
        found = kill_writers(chosen.kills, chosen.seed)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
