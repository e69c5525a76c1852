"""What browsers are given first: our style and history, and the way on from addresses that no page has.

A style that came with the script would move everything that was drawn before it.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.shared import menu

_FOLDER = Path(__file__).parent
_HEAD = (
    f"<style>{(_FOLDER / 'front.css').read_text(encoding='utf-8')}</style>"
    f"<script>{(_FOLDER / 'front.js').read_text(encoding='utf-8')}</script></head>"
).encode()
_MARK = b'<div id="root">'
# Bytes that are changed are neither compressed before nor known to the browser by their old digest.
_UNWANTED = {b"accept-encoding", b"if-none-match", b"if-modified-since", b"range"}


class Front:
    """Middleware that adds to Streamlit's one HTML page, and redirects from addresses without a page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and change the answer if it is a page."""
        if scope["type"] != "http" or "text/html" not in Headers(scope=scope).get("accept", ""):
            await self._app(scope, receive, send)
            return
        wanted = [pair for pair in scope["headers"] if pair[0].lower() not in _UNWANTED]
        start: Message = {}
        body = b""

        async def send_changed(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_html(message):
                start = message
            elif not start:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    await _changed(scope, start, body)(scope, receive, send)

        await self._app({**scope, "headers": wanted}, receive, send_changed)


def _is_html(start: Message) -> bool:
    return "text/html" in Headers(raw=start.get("headers", [])).get("content-type", "")


def _changed(scope: Scope, start: Message, body: bytes) -> Response:
    """Return the page with our head, or where its address leads to."""
    if _MARK in body:
        if (onward := _onward(scope["path"], scope["query_string"].decode())) is not None:
            return RedirectResponse(onward)
        body = body.replace(b"</head>", _HEAD, 1)
    headers = MutableHeaders(raw=start["headers"])
    for name in ("etag", "last-modified", "content-length"):
        del headers[name]
    return Response(body, start["status"], headers)


def _onward(path: str, query: str) -> str | None:
    """Return where an address of before, or of no page, leads to; None for that of a page."""
    base = "/" + str(st.get_option("server.baseUrlPath")).strip("/")
    name = path.removeprefix(base).strip("/")
    if name in menu.ADDRESSES:
        return None
    wanted = [query] if query else []
    if name not in menu.MOVED:
        wanted.append(f"missing={quote(name, safe='')}")
    onward = f"{base.rstrip('/')}/{menu.MOVED.get(name, '')}"
    return f"{onward}?{'&'.join(wanted)}" if wanted else onward
