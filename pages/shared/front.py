"""What browsers are given first: our style and history, and the way on from addresses that no page has.

A style that came with the script would move everything that was drawn before it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import streamlit as st
from starlette.middleware.base import RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pages.shared import menu

_FOLDER = Path(__file__).parent
_HEAD = (
    f"<style>{(_FOLDER / 'front.css').read_text(encoding='utf-8')}</style>"
    f"<script>{(_FOLDER / 'front.js').read_text(encoding='utf-8')}</script></head>"
).encode()
_MARK = b'<div id="root">'
# Bytes that are changed are neither compressed before nor known to the browser by their old digest.
_UNWANTED = {b"accept-encoding", b"if-none-match", b"if-modified-since", b"range"}


async def serve_front(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Add to Streamlit's one HTML page, and redirect from addresses without a page."""
    if "text/html" not in request.headers.get("accept", ""):
        return await call_next(request)
    headers = request.scope["headers"]
    request.scope["headers"] = [pair for pair in headers if pair[0].lower() not in _UNWANTED]
    # A stream, whatever Starlette's types say.
    response: Any = await call_next(request)
    if "text/html" not in response.headers.get("content-type", ""):
        return response
    body = b"".join([part async for part in response.body_iterator])
    if _MARK in body:
        if (onward := _onward(request.scope["path"], request.url.query)) is not None:
            return RedirectResponse(onward)
        body = body.replace(b"</head>", _HEAD, 1)
    for name in ("etag", "last-modified", "content-length"):
        del response.headers[name]
    return Response(body, response.status_code, response.headers)


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
