"""Many sessions at once: what the server's memory does while they are there, and after they have gone.

    python tests/soak/sessions.py --sessions 20

One session goes first, so that everything is loaded that any session needs; the level it leaves behind is
what the others are measured against. Every session opens a table of its own, values it, looks at every page
and closes its tab. The server then has the time that Streamlit keeps a closed tab for, and a minute more, to
come back within 20 % of that level. Exits with 1 if it does not.
"""

import argparse
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from browser import running_server
from kill_valuation import table
from visitor import Visitor

TOLERANCE = 0.2
SAMPLES = ("digits", "breast_cancer", "wine", "penguins", "titanic")
LOOKED_AT = ("explore", "labels", "prune", "new_data", "runs", "method")


def visit(server, number, n_rows, leave_together):
    """One visitor's stay."""
    with Visitor(server.address, patience=600) as visitor:
        if number % 2:
            visitor.upload("upload", table(number, n_rows), f"table-{number}.csv")
        else:
            visitor.press(f"sample_{SAMPLES[number // 2 % len(SAMPLES)]}")
        visitor.open("value")
        if "start" in visitor.widgets():
            visitor.press("start")
        visitor.wait_for("Surplus", 1200)
        for page in LOOKED_AT:
            visitor.open(page)
        leave_together.wait()


def visit_together(server, n_sessions, first, n_rows):
    """Let visitors in at once; nobody leaves before everybody has seen everything."""
    leave_together = threading.Barrier(n_sessions, timeout=3600)

    def stay(number):
        try:
            visit(server, number, n_rows, leave_together)
        except Exception:
            # Nobody waits for somebody who will not come.
            leave_together.abort()
            raise

    with ThreadPoolExecutor(n_sessions) as pool:
        list(pool.map(stay, range(first, first + n_sessions)))


def main():
    """Run it and print the figures; the exit status says whether the memory came back."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1, help="times that many come")
    parser.add_argument("--rows", type=int, default=4000, help="of a table of one's own")
    parser.add_argument("--ttl", type=int, default=120, help="seconds a closed tab is kept for")
    options = parser.parse_args()
    patience = options.ttl + 60
    environment = {"STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": str(options.ttl)}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder), **environment) as server,
    ):
        process = psutil.Process(server.process.pid)

        def tell(when):
            """Print and return the resident bytes of the server's own process."""
            now = process.memory_info().rss
            print(f"{when:<26}{now / 2**20:6.0f} MB", flush=True)
            return now

        tell("server alone")
        visit_together(server, 1, 1, options.rows)
        time.sleep(patience)
        level = ended = tell("after the first session")
        for number in range(1, options.rounds + 1):
            visit_together(server, options.sessions, 100 * number, options.rows)
            tell(f"{options.sessions} sessions, leaving")
            time.sleep(patience)
            ended = tell(f"{patience} s later")
    return 0 if ended <= (1 + TOLERANCE) * level else 1


if __name__ == "__main__":
    sys.exit(main())
