"""Worker processes: forked from one that has imported everything, so that each begins within milliseconds.

``python -m ecoval_core.work.worker FD`` is the process they are forked from. multiprocessing's own
forkserver would do, but its children run the parent's ``__main__`` again, which under Streamlit is the app's
page. Messages are lines of JSON on a socket pair: nothing is pickled.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
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


class WorkerLost(Exception):  # noqa: N818 - an event, not an error of the caller's
    """The worker ended without a last message."""


class Worker:
    """A process that does one task; made by :meth:`ForkServer.fork`."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lines = channel.makefile("rb")
        self._pid: int | None = None
        self._lock = threading.Lock()
        self._killed = False

    def request(
        self, task: str, arguments: dict[str, Any], context: dict[str, Any],
        *, megabytes: float | None = None, cpu_seconds: int | None = None, patient: bool = False,
    ) -> None:  # fmt: skip
        """Send the task; a patient one lets whoever waits for a page go first."""
        work = {
            "task": task, "arguments": arguments, "context": context, "megabytes": megabytes,
            "cpu_seconds": cpu_seconds, "patient": patient,
        }  # fmt: skip
        with contextlib.suppress(ConnectionError):
            self._channel.sendall(json.dumps(work).encode() + b"\n")

    def messages(self, seconds: float | None = None) -> Iterator[Message]:
        """Yield what the worker says until it ends; raise TimeoutError after so many seconds of work."""
        deadline: float | None = None
        while True:
            if deadline is not None:
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
                deadline = None if seconds is None else time.monotonic() + seconds
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
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self) -> None:
        """Start the process, without waiting for its imports."""
        with self._lock:
            self._start()

    def _start(self) -> socket.socket:
        if self._control is not None and self._process is not None and self._process.poll() is None:
            return self._control
        self._stop()
        ours, theirs = socket.socketpair()
        # Found on any path that this process found it on, whatever its working directory.
        path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", __spec__.name, str(theirs.fileno()), *self._prepare],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": path},
            )  # fmt: skip
        self._control = ours
        return ours

    def fork(self) -> Worker:
        """Return a new worker."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            try:
                socket.send_fds(self._start(), [b"f"], [theirs.fileno()])
            except OSError:
                self._stop()
                socket.send_fds(self._start(), [b"f"], [theirs.fileno()])
        return Worker(ours)

    def stop(self) -> None:
        """End the process; its workers end with their channels."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
            self._process = None


# --- In the other process -------------------------------------------------------------------


def _limit(megabytes: float | None, cpu_seconds: int | None) -> None:
    """Limit this process; memory is limited on Linux alone, where it can be counted from here on."""
    import resource

    if cpu_seconds is not None:
        used = sum(os.times()[:2])
        limit = int(used) + cpu_seconds + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    if megabytes is None:
        return
    status = Path("/proc/self/status")
    if not status.exists():
        return
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
        with say_lock:
            channel.sendall(json.dumps(message).encode() + b"\n")

    say({"pid": os.getpid()})
    line = b""
    while not line.endswith(b"\n"):
        piece = channel.recv(2**16)
        if not piece:
            return
        line += piece
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
    except ValueError as error:
        text = str(error).strip()
        first = text.splitlines()[0] if text else ""
        if not first:
            traceback.print_exc()
        say({"error": "sentence" if first else "ValueError", "sentence": first})
    except Exception as error:
        traceback.print_exc()
        first = (str(error).strip().splitlines() or [""])[0]
        say({"error": type(error).__name__, "sentence": first})


@contextlib.contextmanager
def _ending_with(channel: socket.socket) -> Iterator[None]:
    """End this process if the other side goes, though it is busy with what cannot be interrupted."""
    done = threading.Event()
    closed = select.poll()
    closed.register(channel, select.POLLHUP | getattr(select, "POLLRDHUP", 0))

    def watch() -> None:
        while not done.wait(0.2):
            if closed.poll(0):
                os._exit(1)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        # No thread may be left when workers are forked.
        done.set()
        watcher.join()


def _main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    import importlib

    with _ending_with(control):
        for module in PRELOADED:
            importlib.import_module(module)
        for function in sys.argv[2:]:
            module, _, name = function.partition(":")
            getattr(importlib.import_module(module), name)()
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
