"""Hundreds of kills of processes that save: nothing finished is lost and nothing is half there.

    python tests/soak/kill_store.py --kills 300

Exits with 1 if anything was wrong.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from test_store import kill_writers  # noqa: E402

from ecoval_core.workspace.store import Store  # noqa: E402


def main():
    """Kill, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300, help="kills at moments that are drawn")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = kill_writers(Store(Path(folder)), chosen.kills, chosen.seed)
    print(f"{chosen.kills} kills; wrong: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
