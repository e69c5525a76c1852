"""Headers of every answer: no other page frames the app, and no browser guesses what a file is."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_STARTS = {"http.response.start", "websocket.http.response.start", "websocket.accept"}


class SecurityHeaders:
    """Middleware, the first of all, that adds the headers to pages, files, errors and refused websockets."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add the headers to its answer."""
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
