"""Refits on a Dask cluster: those of a lost worker are done again, a lost cluster ends in one sentence."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

CONNECT_SECONDS = 3
# Within it lost workers may be replaced, and the run goes on.
PATIENCE_SECONDS = 20.0
_POLL_SECONDS = 1.0


def _same(data: Any) -> Any:
    return data


def _make_client(address: str) -> Any:
    from distributed import Client

    class DurableClient(Client):
        """Sends data as the argument of a task, which the scheduler repeats where its result is lost.

        What is scattered lies on one worker, and with that worker every task that needs it ends.
        """

        def scatter(self, data: Any, *_: Any, **__: Any) -> Any:
            # joblib awaits it.
            async def send() -> Any:
                return self.submit(_same, data, pure=False)

            return send()

    return DurableClient(address, timeout=CONNECT_SECONDS, set_as_default=False)


@contextlib.contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Send whatever goes through joblib to the Dask cluster of a scheduler, if one is named.

    Raises ValueError, for the user, if the scheduler does not answer or the cluster is lost.
    """
    if not address:
        yield
        return
    import dask
    from distributed import CancelledError
    from distributed.comm import CommClosedError
    from distributed.scheduler import KilledWorker
    from joblib import parallel_config

    # Tables are sent with the tasks on purpose.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):
        try:
            client = _make_client(address)
        except (OSError, TimeoutError, ValueError) as error:
            raise ValueError(
                f"The Dask scheduler at {address} does not answer: start it and run it again, or start the "
                "app without ECOVAL_DASK."
            ) from error
        done = threading.Event()
        watch = threading.Thread(target=_close_when_lost, args=(client, done), daemon=True)
        watch.start()
        try:
            with parallel_config("dask", client=client, wait_for_workers_timeout=PATIENCE_SECONDS):
                yield
        except (CancelledError, CommClosedError, KilledWorker, TimeoutError) as error:
            raise ValueError(
                f"The Dask cluster at {address} lost its scheduler or all of its workers: see that they "
                "run, then run it again."
            ) from error
        finally:
            done.set()
            watch.join()
            client.close(timeout=CONNECT_SECONDS)


def _close_when_lost(client: Any, done: threading.Event) -> None:
    """Close a client that has had no worker for long, so that waiting for a result ends in an error."""
    without = 0.0
    while not done.wait(_POLL_SECONDS):
        try:
            has_worker = bool(client.nthreads())
        except Exception:  # whatever a connection that is lost comes to
            has_worker = False
        without = 0.0 if has_worker else without + _POLL_SECONDS
        if without >= PATIENCE_SECONDS:
            client.close(timeout=CONNECT_SECONDS)
            return
