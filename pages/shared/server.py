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
from http.cookies import SimpleCookie
from typing import Any, TypeVar
from uuid import uuid4

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecoval_core.notebook import UNTIL_INPUT_ENDS
from ecoval_core.workspace.workspace import Workspace, default_root, forget
from pages.shared import access
from pages.shared.engine import Engine
from pages.shared.housekeeping import keep_house
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
    return engine().workspace(access.workspace_root(default_root(), access.user()))


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


class VisitorCookie:
    """Middleware that gives a browser a random name at its first request.

    Parameters
    ----------
    app : ASGI application
        The app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and set the cookie with the answer where it is missing."""
        if scope["type"] != "http" or self._is_named(scope):
            await self._app(scope, receive, send)
            return
        cookie = SimpleCookie({COOKIE: uuid4().hex})
        morsel = cookie[COOKIE]
        morsel["path"], morsel["samesite"] = "/", "Lax"
        morsel["httponly"], morsel["max-age"] = True, COOKIE_SECONDS

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.append("set-cookie", cookie.output(header="").strip())
            await send(message)

        await self._app(scope, receive, send_named)

    @staticmethod
    def _is_named(scope: Scope) -> bool:
        given = (value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie")
        return any(COOKIE in cookie_parser(cookies) for cookies in given)
