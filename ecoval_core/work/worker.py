"""Worker processes: forked from one that has imported everything, so that each begins within milliseconds.

``python -m ecoval_core.work.worker FD`` is the process they are forked from. multiprocessing's own
forkserver would do, but its children run the parent's ``__main__`` again, which under Streamlit is the app's
page. Messages are lines of JSON on a socket pair: nothing is pickled.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PRELOADED = ("pyarrow.parquet", "python_calamine", "skrub", "ecoval_core.work.slow")
# Two BLAS threads on a busy machine were measured to make one fit 12 times slower.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
# The one layer of numba's that starts anew after a fork.
_ENVIRONMENT = {**_ONE_THREAD, "NUMBA_THREADING_LAYER": "workqueue"}
REPORT_SECONDS = 0.1
# How far long work steps back behind the pages; of 20.
PATIENCE = 10
Message = dict[str, Any]


class Worker:
    """A process that does one task; made by :meth:`ForkServer.fork`."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lines = channel.makefile("rb")
        self._pid: int | None = None
        self._lock = threading.Lock()
        self._killed = False

    def request(self, **work: Any) -> None:
        """Send what to do: task, arguments, context, megabytes, cpu_seconds and whether it is patient."""
        with contextlib.suppress(ConnectionError):
            self._channel.sendall(json.dumps(work).encode() + b"\n")

    def messages(self, seconds: float) -> Iterator[Message]:
        """Yield what the worker says until it ends; raise TimeoutError after so many seconds of work."""
        deadline = math.inf
        while True:
            if deadline < math.inf:
                self._channel.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                line = self._lines.readline()
            except ConnectionError:
                return
            if not line.endswith(b"\n"):
                return
            message = json.loads(line)
            if "pid" in message:
                # Whatever the fork server still had to import is not charged to the work.
                deadline = time.monotonic() + seconds
                with self._lock:
                    self._pid = message["pid"]
                if self._killed:
                    self.kill()
                continue
            yield message

    def kill(self) -> None:
        """End the process, and whatever it has started, at once."""
        with self._lock:
            self._killed = True
            pid = self._pid
        # A worker whose number is not known yet ends by itself when its channel closes.
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def close(self) -> None:
        """Free the channel."""
        self._lines.close()
        self._channel.close()


class ForkServer:
    """The process that workers are forked from; it is started at the first fork, and again if it ended.

    `prepare` names functions, as "module:name", that are called once before the first fork.
    """

    def __init__(self, *prepare: str) -> None:
        self._prepare = prepare
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self) -> socket.socket:
        """Start the process, if it does not run, without waiting for its imports; return its channel."""
        with self._lock:
            if self._control is not None and self._process and self._process.poll() is None:
                return self._control
            self.stop()
            self._control, theirs = socket.socketpair()
            # Found on any path that this process found it on, whatever its working directory.
            path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - our own module
                    [sys.executable, "-m", __spec__.name, str(theirs.fileno()), *self._prepare],
                    pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True,
                    env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": path},
                )  # fmt: skip
            return self._control

    def fork(self) -> Worker:
        """Return a new worker."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            try:
                socket.send_fds(self.start(), [b"f"], [theirs.fileno()])
            except OSError:
                self.stop()
                socket.send_fds(self.start(), [b"f"], [theirs.fileno()])
        return Worker(ours)

    def stop(self) -> None:
        """End the process; its workers end with their channels."""
        with self._lock:
            if self._control is not None:
                self._control.close()
                self._control = None
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._process = None


# --- In the other process -------------------------------------------------------------------


def _limit(megabytes: float, cpu_seconds: int | None) -> None:
    """Limit this process; memory is limited on Linux alone, where it can be counted from here on."""
    import resource

    if cpu_seconds is not None:
        limit = int(time.process_time()) + cpu_seconds + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii").splitlines()
        held = next(int(line.split()[1]) for line in lines if line.startswith("VmData:"))
        limit = held * 1024 + int(megabytes * 2**20)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _end_with(channel: socket.socket) -> None:
    """End this process and what it started as soon as the other side is gone."""
    with contextlib.suppress(OSError):
        while channel.recv(1):
            pass
    os.killpg(0, signal.SIGKILL)


def _serve(channel: socket.socket) -> None:
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    say_lock = threading.Lock()

    def say(message: Message) -> None:
        try:
            with say_lock:
                channel.sendall(json.dumps(message).encode() + b"\n")
        except ConnectionError:  # nobody listens any longer: the server was killed
            os.killpg(0, signal.SIGKILL)

    say({"pid": os.getpid()})
    with channel.makefile("rb") as lines:
        line = lines.readline()
    if not line.endswith(b"\n"):
        return
    work = json.loads(line)
    threading.Thread(target=_end_with, args=(channel,), daemon=True).start()
    latest = 0.0

    def report(done: int, total: int) -> None:
        nonlocal latest
        now = time.monotonic()
        if done >= total or now - latest >= REPORT_SECONDS:
            latest = now
            say({"progress": [done, total]})

    from ecoval_core.work.slow import perform

    try:
        _limit(work["megabytes"], work["cpu_seconds"])
        if work["patient"]:
            os.nice(PATIENCE)
        say(perform(work["task"], work["arguments"], work["context"], report))
    except MemoryError:
        say({"error": "memory"})
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        is_for_user = isinstance(error, ValueError) and first
        if not is_for_user:
            traceback.print_exc()
        say({"error": "sentence" if is_for_user else type(error).__name__, "sentence": first})


def _end_without(channel: socket.socket) -> None:
    """Wait for the first request; end this process, busy as it is, if the other side goes before."""
    if not channel.recv(1, socket.MSG_PEEK):
        os._exit(1)


def _main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    import importlib

    watcher = threading.Thread(target=_end_without, args=(control,), daemon=True)
    watcher.start()
    for module in PRELOADED:
        importlib.import_module(module)
    for function in sys.argv[2:]:
        module, _, name = function.partition(":")
        getattr(importlib.import_module(module), name)()
    # No thread may be left when workers are forked.
    watcher.join()
    while True:
        order, handles, _, _ = socket.recv_fds(control, 1, 1)
        if not order:
            return
        if os.fork() == 0:
            control.close()
            try:
                _serve(socket.socket(fileno=handles[0]))
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(0)
        os.close(handles[0])


if __name__ == "__main__":
    _main()
