"""What stands before Streamlit on the way from the network: uploads, the way back after signing in, headers.

Streamlit takes files of any number from every session, whether somebody signed in or not, and asks the
internet for its own address when a foreign page knocks. This middleware answers in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, unquote

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.shared import access, uploads
from pages.shared.identity import LOCAL, is_loopback, split

_UPLOAD = "/_stcore/upload_file/"
_LOGIN, _CALLBACK = "/auth/login", "/oauth2callback"
_RETURN = "ecoval_return"
_RETURN_SECONDS = 600
_MAX_RETURN = 1500
_READING = {"GET", "HEAD", "OPTIONS"}
_STARTS = {"http.response.start", "websocket.http.response.start", "websocket.accept"}


class SecurityHeaders:
    """The first middleware: no other page frames the app, and no browser guesses what a file is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add the headers to its answer, an error or a refused websocket too."""
        has_started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_started
            if message["type"] in _STARTS:
                has_started = True
                message.setdefault("headers", [])
                headers = MutableHeaders(scope=message)
                headers.append("Content-Security-Policy", "frame-ancestors 'none'")
                headers["X-Content-Type-Options"] = "nosniff"
            elif message["type"] == "websocket.close" and not has_started:
                # The server would answer this by itself, without the headers.
                await PlainTextResponse("Refused", 403)(scope, receive, send_with_headers)
                return
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            if scope["type"] == "http" and not has_started:
                await PlainTextResponse("Internal Server Error", 500)(
                    scope, receive, send_with_headers
                )
            raise


class OnAnswer:
    """Middleware that changes the head of every answer.

    Starlette's own base for this logs an error for every browser that leaves before it is answered.
    """

    def __init__(self, app: ASGIApp, change: Callable[[Request, Response], None]) -> None:
        self._app, self._change = app, change

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and change its answer."""

        async def send_changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = Response(status_code=message["status"])
                answer.raw_headers = list(message.get("headers", []))
                self._change(Request(scope), answer)
                message["headers"] = answer.raw_headers
            await send(message)

        await self._app(scope, receive, send_changed)


class Gate(OnAnswer):
    """Middleware that refuses strangers' files and foreign pages, and leads back after signing in."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, _lead_back)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "websocket" and not is_own_page(Headers(scope=scope)):
            # Before it is accepted, this is answered with 403.
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http" and scope["method"] not in _READING:
            request = Request(scope)
            if (refusal := _refuse_file(request, _below_base(request)[1])) is not None:
                await refusal(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def _below_base(request: Request) -> tuple[str, str]:
    """Return the path that this app is served under, and the rest of that of a request."""
    base = "/" + str(st.get_option("server.baseUrlPath")).strip("/")
    return base, "/" + request.scope["path"].removeprefix(base).lstrip("/")


def _lead_back(request: Request, response: Response) -> None:
    """Remember where signing in began, lead back there, and keep cookies to encrypted connections."""
    base, path = _below_base(request)
    if path == _LOGIN:
        _remember_return(request, response, base)
    elif path == _CALLBACK:
        _return(request, response, base)
    if access.is_https():
        for index, (name, value) in enumerate(response.raw_headers):
            if name.lower() == b"set-cookie" and b"; secure" not in value.lower():
                response.raw_headers[index] = (name, value + b"; Secure")


def is_own_page(headers: Headers) -> bool:
    """Return whether a websocket comes from a page of this app, from one that is named, or from no page."""
    origin = headers.get("Origin")
    if origin is None or not st.get_option("server.enableCORS"):
        return True
    site = split(origin)
    if site.netloc and site.netloc == headers.get("Host"):
        return True
    host = site.hostname
    is_named = host == st.get_option("browser.serverAddress") and not is_loopback(host)
    return is_named or origin in st.get_option("server.corsAllowedOrigins")


def _refuse_file(request: Request, path: str) -> PlainTextResponse | None:
    """Answer a request that changes something; None for a file that may come in or be taken back."""
    # Of any other path nothing is left before its first slash, and no session has that name.
    session_id = path.removeprefix(_UPLOAD).partition("/")[0]
    user = access.admitted_user(session_id)
    if user is None:
        return PlainTextResponse("Nobody has been let into this session.", 403)
    if request.method == "DELETE":
        return None
    length = request.headers.get("Content-Length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 16):
        return PlainTextResponse("The size of the file must be given.", 411)
    if user != LOCAL and not uploads.has_room(session_id, int(length)):
        return PlainTextResponse("Earlier files of this session are still here.", 413)
    return None


def is_safe_return(address: str, base: str = "/") -> bool:
    """Return whether an address, a path and a query, leads to a page of this app and nowhere else."""
    leads_away = address.startswith("//") or "\\" in address or not address.isprintable()
    return address.startswith(base) and not leads_away and len(address) <= _MAX_RETURN


def _remember_return(request: Request, response: Response, base: str) -> None:
    referer = split(request.headers.get("Referer", ""))
    address = referer.path + (f"?{referer.query}" if referer.query else "")
    if referer.netloc == request.headers.get("Host") and is_safe_return(address, base):
        kept = quote(address, safe="")
        response.set_cookie(_RETURN, kept, max_age=_RETURN_SECONDS, path=base, httponly=True)


def _return(request: Request, response: Response, base: str) -> None:
    kept = request.cookies.get(_RETURN)
    if kept is None:
        return
    response.delete_cookie(_RETURN, path=base, httponly=True)
    address, given = unquote(kept), response.headers.get("Location", "")
    if given.rstrip("/") == base.rstrip("/") and is_safe_return(address, base):
        response.headers["Location"] = address
