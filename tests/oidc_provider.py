"""A small OpenID Connect provider for tests: the authorisation code flow with PKCE, as the standard has it.

Standards: OpenID Connect Core 1.0 (section 3.1), Discovery 1.0, RP-Initiated Logout 1.0, RFC 7636 (PKCE).
Whatever a client gets wrong is refused and noted in `complaints`, so that a test can tell.
"""

from __future__ import annotations

import base64
import hashlib
import html
import secrets
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_plus, urlencode

import uvicorn
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

LIFETIME = 300
PERSON_CLAIMS = ("sub", "name", "email", "email_verified")


@dataclass
class Provider:
    """The provider; a context manager that serves on a free port of 127.0.0.1.

    `people` are claims by the name on the button of the account page. `spoil` makes a part of an id_token
    wrong: "signature", "nonce", "audience", "issuer" or "expiry"; `backdate` makes it older by seconds.
    """

    people: dict[str, dict]
    client_id: str = "ecoval-test"
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    redirect_uris: set[str] = field(default_factory=set)
    spoil: str = ""
    backdate: float = 0.0
    complaints: list[str] = field(default_factory=list)
    n_signed_out: int = 0

    def __enter__(self) -> Provider:
        self._key, self._foreign_key = (
            RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": "first"})
            for _ in range(2)
        )
        # The requests and people that codes and access tokens stand for.
        self._grants: dict[str, tuple[dict, dict]] = {}
        self._bearers: dict[str, dict] = {}
        listening = socket.create_server(("127.0.0.1", 0))
        self.issuer = f"http://127.0.0.1:{listening.getsockname()[1]}"
        routes = [
            Route("/.well-known/openid-configuration", self._metadata),
            Route("/jwks", self._keys),
            Route("/authorize", self._choose_account),
            Route("/authorize", self._enter, methods=["POST"]),
            Route("/token", self._exchange, methods=["POST"]),
            Route("/userinfo", self._userinfo),
            Route("/end_session", self._sign_out),
        ]
        config = uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        run = {"target": self._server.run, "args": ([listening],)}
        self._thread = threading.Thread(**run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    def write_secrets(self, path: Path, address: str, more: str = "") -> None:
        """Write the secrets of a server that uses this provider, and register the server here."""
        redirect = f"{address}/oauth2callback"
        self.redirect_uris.add(redirect)
        path.write_text(
            f'[auth]\nredirect_uri = "{redirect}"\ncookie_secret = "{secrets.token_hex(32)}"\n'
            f'client_id = "{self.client_id}"\nclient_secret = "{self.client_secret}"\n'
            f'server_metadata_url = "{self.issuer}/.well-known/openid-configuration"\n{more}',
            encoding="utf-8",
        )

    def _refuse(self, complaint: str) -> Response:
        self.complaints.append(complaint)
        error = {"error": "invalid_grant", "error_description": complaint}
        return JSONResponse(error, status_code=400)

    async def _metadata(self, _: Request) -> Response:
        ends = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
        return JSONResponse(
            {
                "issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks",
                **{f"{name}_endpoint": f"{self.issuer}/{path}" for name, path in ends.items()},
                "end_session_endpoint": f"{self.issuer}/end_session",
                "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "profile", "email"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
            }
        )  # fmt: skip

    async def _keys(self, _: Request) -> Response:
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    # --- Signing in -----------------------------------------------------------------------

    def _check(self, query: dict[str, str]) -> Response | None:
        wanted = {
            "response_type": "code",
            "client_id": self.client_id,
            "code_challenge_method": "S256",
        }
        for name, value in wanted.items():
            if query.get(name) != value:
                return self._refuse(f"{name} is {query.get(name)!r}, not {value!r}")
        for name in ("state", "nonce", "code_challenge"):
            if not query.get(name):
                return self._refuse(f"{name} is missing")
        if query.get("redirect_uri") not in self.redirect_uris:
            return self._refuse(f"redirect_uri {query.get('redirect_uri')!r} is not registered")
        if "openid" not in query.get("scope", "").split():
            return self._refuse("scope lacks openid")
        return None

    async def _choose_account(self, request: Request) -> Response:
        query = dict(request.query_params)
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in query.items()
        )
        buttons = "".join(
            f'<button name="account" value="{html.escape(name)}">{html.escape(name)}</button>'
            for name in [*self.people, "nobody"]
        )
        page = f'<title>Accounts</title><form method="post" action="/authorize">{hidden}{buttons}</form>'
        return self._check(query) or HTMLResponse(f"<!doctype html>{page}")

    async def _enter(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        if (refusal := self._check(form)) is not None:
            return refusal
        person, answer = self.people.get(form["account"]), {"state": form["state"]}
        if person is None:
            answer["error"] = "access_denied"
        else:
            answer["code"] = secrets.token_urlsafe(24)
            self._grants[answer["code"]] = form, person
        return RedirectResponse(f"{form['redirect_uri']}?{urlencode(answer)}", 302)

    async def _exchange(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        client = form.get("client_id", ""), form.get("client_secret", "")
        if (basic := request.headers.get("Authorization", "")).startswith("Basic "):
            name, _, secret = base64.b64decode(basic[6:]).decode().partition(":")
            client = unquote_plus(name), unquote_plus(secret)
        if client != (self.client_id, self.client_secret):
            return self._refuse("the client is not known")
        if form.get("grant_type") != "authorization_code":
            return self._refuse(f"grant_type is {form.get('grant_type')!r}")
        asked, person = self._grants.pop(form.get("code", ""), ({}, {}))
        if not asked:
            return self._refuse("the code is unknown or used")
        if form.get("redirect_uri") != asked["redirect_uri"]:
            return self._refuse("redirect_uri differs from that of the request")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return self._refuse("code_verifier does not match code_challenge")
        bearer = secrets.token_urlsafe(24)
        self._bearers[bearer] = person
        token = {"access_token": bearer, "token_type": "Bearer", "expires_in": LIFETIME}
        return JSONResponse({**token, "id_token": self._id_token(asked["nonce"], person)})

    def _id_token(self, nonce: str, person: dict) -> str:
        now = int(time.time() - self.backdate)
        claims = {
            "iss": self.issuer, "aud": self.client_id, "nonce": nonce, "iat": now,
            "exp": now + LIFETIME + int(self.backdate),
            **{name: person[name] for name in PERSON_CLAIMS if name in person},
        }  # fmt: skip
        claims |= {
            "nonce": {"nonce": "another"},
            "audience": {"aud": "another"},
            "issuer": {"iss": "https://another.example"},
            "expiry": {"exp": now - 3600},
        }.get(self.spoil, {})
        key = self._foreign_key if self.spoil == "signature" else self._key
        return jwt.encode({"alg": "RS256", "kid": "first"}, claims, key)

    async def _userinfo(self, request: Request) -> Response:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        person = self._bearers.get(bearer)
        return JSONResponse(person, status_code=200 if person else 401)

    # --- Signing out ----------------------------------------------------------------------

    async def _sign_out(self, request: Request) -> Response:
        self.n_signed_out += 1
        query = request.query_params
        if query.get("post_logout_redirect_uri") not in self.redirect_uris:
            return self._refuse("post_logout_redirect_uri is not registered")
        try:
            jwt.decode(query.get("id_token_hint", ""), self._key, algorithms=["RS256"])
        except (JoseError, ValueError):
            return self._refuse("id_token_hint is missing or not ours")
        return RedirectResponse(query["post_logout_redirect_uri"], 302)
