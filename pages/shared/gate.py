"""What stands before Streamlit on the way from the network: uploads, the way back after signing in, cookies.

Streamlit takes files of any number from every session, whether somebody signed in or not, and asks the
internet for its own address when a foreign page knocks. This middleware answers in its place.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.shared import access, uploads
from pages.shared.identity import LOCAL, is_loopback, split

_UPLOAD = "/_stcore/upload_file/"
_LOGIN, _CALLBACK = "/auth/login", "/oauth2callback"
_RETURN = "ecoval_return"
_RETURN_SECONDS = 600
_MAX_RETURN = 1500
_READING = {"GET", "HEAD", "OPTIONS"}


class Gate:
    """ASGI middleware between the server and Streamlit.

    Parameters
    ----------
    app : callable
        The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "websocket" and not is_own_page(Headers(scope=scope)):
            # Before it is accepted, this is answered with 403.
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        base = "/" + str(st.get_option("server.baseUrlPath")).strip("/")
        path = "/" + scope["path"].removeprefix(base).lstrip("/")
        if scope["method"] not in _READING:
            refusal = _refuse_file(scope, path)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        headers = Headers(scope=scope)

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                if path == _LOGIN:
                    _remember_return(headers, answer, base)
                elif path == _CALLBACK:
                    _return(headers, answer, base)
                if "Set-Cookie" in answer and access.is_https():
                    _secure_cookies(answer)
            await send(message)

        await self._app(scope, receive, send_on)


def is_own_page(headers: Headers) -> bool:
    """Return whether a websocket is opened by a page of this app, or of a place that the configuration names.

    Parameters
    ----------
    headers : Headers
        Of the request. Without an origin it comes from no page.
    """
    origin = headers.get("Origin")
    if origin is None or not st.get_option("server.enableCORS"):
        return True
    site = split(origin)
    if site.netloc and site.netloc == headers.get("Host"):
        return True
    host = site.hostname
    is_named = host == st.get_option("browser.serverAddress") and not is_loopback(host)
    return is_named or origin in st.get_option("server.corsAllowedOrigins")


def _refuse_file(scope: Scope, path: str) -> PlainTextResponse | None:
    """Answer a request that changes something; None for a file that may come in or be taken back."""
    # Of any other path nothing is left before its first slash, and no session has that name.
    session_id = path.removeprefix(_UPLOAD).partition("/")[0]
    user = access.admitted_user(session_id)
    if user is None:
        return PlainTextResponse("Nobody has been let into this session.", 403)
    if scope["method"] == "DELETE":
        return None
    length = Headers(scope=scope).get("Content-Length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 16):
        return PlainTextResponse("The size of the file must be given.", 411)
    if user != LOCAL and not uploads.has_room(session_id, int(length)):
        return PlainTextResponse("Earlier files of this session are still here.", 413)
    return None


def is_safe_return(address: str, base: str = "/") -> bool:
    """Return whether an address leads to a page of this app and nowhere else.

    Parameters
    ----------
    address : str
        Path and query.
    base : str, default="/"
        Path under which the app is served.
    """
    leads_away = address.startswith("//") or "\\" in address or not address.isprintable()
    return address.startswith(base) and not leads_away and len(address) <= _MAX_RETURN


def _remember_return(headers: Headers, answer: MutableHeaders, base: str) -> None:
    referer = split(headers.get("Referer", ""))
    address = referer.path + (f"?{referer.query}" if referer.query else "")
    if referer.netloc == headers.get("Host") and is_safe_return(address, base):
        answer.append("Set-Cookie", _return_cookie(quote(address, safe=""), base, _RETURN_SECONDS))


def _return(headers: Headers, answer: MutableHeaders, base: str) -> None:
    kept = cookie_parser(headers.get("Cookie", "")).get(_RETURN)
    if kept is None:
        return
    answer.append("Set-Cookie", _return_cookie("", base, 0))
    address = unquote(kept)
    if answer.get("Location", "").rstrip("/") == base.rstrip("/") and is_safe_return(address, base):
        answer["Location"] = address


def _return_cookie(value: str, base: str, seconds: int) -> str:
    return f"{_RETURN}={value}; Path={base}; Max-Age={seconds}; HttpOnly; SameSite=Lax"


def _secure_cookies(answer: MutableHeaders) -> None:
    for index, (name, value) in enumerate(answer.raw):
        if name.lower() == b"set-cookie" and b"; secure" not in value.lower():
            answer.raw[index] = (name, value + b"; Secure")
