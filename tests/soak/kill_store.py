"""Hundreds of kills of processes that save: nothing finished is lost, nothing half there, nothing left.

    python tests/soak/kill_store.py --kills 300

First one save is killed at every line of the store, one after another; then processes that save without end
are killed at moments that are drawn; then processes that save and evict the same things at once. Exits with 1
if anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]


def run(*options: str) -> dict[str, object]:
    """Have kills done, and return what was found."""
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    command = [sys.executable, str(TESTS / "kill_points.py"), *options]
    started = time.monotonic()
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, check=True
    )
    found: dict[str, object] = json.loads(done.stdout)
    counted = {name: value for name, value in found.items() if name != "failures"}
    print(f"{options[0]}: {counted}, {time.monotonic() - started:.0f} s", flush=True)
    return found


def main() -> int:
    """Do all of them, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="lines from one kill to the next")
    parser.add_argument("--kills", type=int, default=300, help="kills at moments that are drawn")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    drawn = ("--kills", str(chosen.kills), "--seed", str(chosen.seed))
    failures = [
        failure
        for options in (
            ("lines", "--every", str(chosen.every)), ("moments", *drawn), ("writers", *drawn),
        )
        for failure in run(*options)["failures"]  # type: ignore[attr-defined]
    ]  # fmt: skip
    for failure in failures:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
