"""What every visitor of this server shares, and who the visitor is.

The engine is a plain module-level object and not in one of Streamlit's caches, which any client can clear.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import uuid4

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response

from ecoval_core.notebook import UNTIL_INPUT_ENDS
from ecoval_core.workspace.workspace import Workspace, default_root, forget
from pages.shared import access, formats
from pages.shared.engine import Engine
from pages.shared.housekeeping import keep_house
from pages.shared.identity import workspace_root
from pages.shared.pointmap import wire
from pages.shared.scratch import sweep_scratch
from pages.shared.session import session

T = TypeVar("T")
COOKIE = "ecoval_visitor"
COOKIE_SECONDS = 400 * 24 * 3600
ENVIRONMENT_DRAIN, DRAIN_SECONDS = "ECOVAL_DRAIN_SECONDS", 20.0
ENVIRONMENT_WARM_UP = "ECOVAL_WARM_UP"

_lock = threading.Lock()
_engine: Engine | None = None


def engine() -> Engine:
    """Return the engine of this server, made at the first call."""
    global _engine
    with _lock:
        if _engine is None:
            _engine = Engine(warm_up=os.environ.get(ENVIRONMENT_WARM_UP) != "0")
        return _engine


def workspace() -> Workspace:
    """Return the workspace of the visitor."""
    return engine().workspace(workspace_root(default_root(), access.user()))


def visitor() -> str:
    """Return what tells this browser from others: the same in all of its windows, and after a refresh."""
    named = st.context.cookies.get(COOKIE)
    if named:
        return str(named)
    session.visitor = session.visitor or uuid4().hex
    return session.visitor


def derive(key: Hashable, make: Callable[[], T], n_bytes: int = 0) -> T:
    """Return what follows from a key and what the workspace holds, made once while it is remembered."""
    kept = workspace().derive(("derived", key), lambda: (n_bytes, (make(),)))
    assert kept is not None  # noqa: S101 - for the type checker: a pair is never None
    return kept[0]


def _forget() -> None:
    """Let go of what is kept for the sake of speed; it is read again from the workspace."""
    forget()
    wire.forget()


def _end_with_input() -> None:
    """Ask this server to stop once whoever started it has ended."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[dict[str, Any]]:
    """Start the engine with the server, and let what runs end before the server does."""
    import anyio.to_thread

    if UNTIL_INPUT_ENDS in os.environ:
        threading.Thread(target=_end_with_input, daemon=True).start()
    engine().start()
    await anyio.to_thread.run_sync(sweep_scratch)
    async with keep_house(_forget):
        yield {}
    seconds = float(os.environ.get(ENVIRONMENT_DRAIN) or DRAIN_SECONDS)
    await anyio.to_thread.run_sync(engine().jobs.drain, seconds)
    engine().close()


def name_visitor(request: Request, response: Response) -> None:
    """Give a browser a random name with its first answer."""
    if COOKIE not in request.cookies:
        response.set_cookie(COOKIE, uuid4().hex, max_age=COOKIE_SECONDS, httponly=True)


def explain(error: Exception) -> bool:
    """Show a visitor one sentence on what went wrong; the traceback goes to the log."""
    if isinstance(error, ValueError) and "\n" not in str(error):
        st.error(formats.plain(error))
    else:
        st.error(
            f"Something unexpected happened here ({type(error).__name__}). Your table and your "
            "runs are kept; go to another page or reload this one. The server's log has the details."
        )
    return True
