"""A small OpenID Connect provider for tests: the authorisation code flow with PKCE, as the standard has it.

Standards: OpenID Connect Core 1.0 (section 3.1), Discovery 1.0, RP-Initiated Logout 1.0, RFC 7636 (PKCE).
Whatever a client gets wrong is refused and kept in `complaints`, so that a test can tell.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

LIFETIME = 300
PERSON_CLAIMS = ("sub", "name", "email", "email_verified")


@dataclass(frozen=True)
class Grant:
    """What an authorisation code stands for."""

    person: dict
    redirect_uri: str
    nonce: str
    challenge: str
    expires: float


@dataclass
class Provider:
    """The provider; a context manager that serves on a free port of 127.0.0.1.

    Parameters
    ----------
    people : dict of str to dict
        Claims by the name that is on the button of the account page; `sub` is needed.
    client_id, client_secret : str
        The one client.
    redirect_uris : set of str
        Addresses that may be returned to, after signing in and out.
    spoil : str
        "signature", "nonce", "audience", "issuer" or "expiry": that part of an id_token is made wrong.
    backdate : float
        Seconds by which an id_token claims to be older.
    """

    people: dict[str, dict]
    client_id: str = "ecoval-test"
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    redirect_uris: set[str] = field(default_factory=set)
    spoil: str = ""
    backdate: float = 0.0
    complaints: list[str] = field(default_factory=list)
    visited: list[str] = field(default_factory=list)

    def __enter__(self) -> Provider:
        self._key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": "first"})
        self._foreign_key = RSAKey.generate_key(
            2048, {"use": "sig", "alg": "RS256", "kid": "first"}
        )
        self._grants: dict[str, Grant] = {}
        self._bearers: dict[str, dict] = {}
        self._lock = threading.Lock()
        provider = self

        class Handler(_Handler):
            def __init__(self, *arguments) -> None:
                self.provider = provider
                super().__init__(*arguments)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def metadata_url(self) -> str:
        """Address of the discovery document."""
        return f"{self.issuer}/.well-known/openid-configuration"

    def write_secrets(self, path: Path, address: str, more: str = "") -> None:
        """Write the secrets of a server that uses this provider, and register the server here.

        Parameters
        ----------
        path : Path
            The file.
        address : str
            Of the server.
        more : str, default=""
            Further sections.
        """
        redirect = f"{address}/oauth2callback"
        self.redirect_uris.add(redirect)
        path.write_text(
            f'[auth]\nredirect_uri = "{redirect}"\ncookie_secret = "{secrets.token_hex(32)}"\n'
            f'client_id = "{self.client_id}"\nclient_secret = "{self.client_secret}"\n'
            f'server_metadata_url = "{self.metadata_url}"\n{more}',
            encoding="utf-8",
        )

    def metadata(self) -> dict:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/end_session",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
        }

    def keys(self) -> dict:
        return {"keys": [self._key.as_dict(private=False)]}

    def refuse(self, complaint: str) -> str:
        self.complaints.append(complaint)
        return complaint

    def check_request(self, query: dict[str, str]) -> str:
        """Complaint about an authorisation request, empty if there is none."""
        wanted = {
            "response_type": "code",
            "client_id": self.client_id,
            "code_challenge_method": "S256",
        }
        for name, value in wanted.items():
            if query.get(name) != value:
                return self.refuse(f"{name} is {query.get(name)!r}, not {value!r}")
        for name in ("state", "nonce", "code_challenge"):
            if not query.get(name):
                return self.refuse(f"{name} is missing")
        if query.get("redirect_uri") not in self.redirect_uris:
            return self.refuse(f"redirect_uri {query.get('redirect_uri')!r} is not registered")
        if "openid" not in query.get("scope", "").split():
            return self.refuse("scope lacks openid")
        return ""

    def grant(self, query: dict[str, str], person: dict) -> str:
        code = secrets.token_urlsafe(24)
        with self._lock:
            self._grants[code] = Grant(
                person, query["redirect_uri"], query["nonce"], query["code_challenge"],
                time.time() + 60,
            )  # fmt: skip
        return code

    def exchange(self, form: dict[str, str], client: tuple[str, str]) -> dict | str:
        """The tokens for a code, or a complaint."""
        if not secrets.compare_digest(client[1], self.client_secret) or client[0] != self.client_id:
            return self.refuse("the client is not known")
        if form.get("grant_type") != "authorization_code":
            return self.refuse(f"grant_type is {form.get('grant_type')!r}")
        with self._lock:
            grant = self._grants.pop(form.get("code", ""), None)
        if grant is None or grant.expires < time.time():
            return self.refuse("the code is unknown, used or too old")
        if form.get("redirect_uri") != grant.redirect_uri:
            return self.refuse("redirect_uri differs from that of the request")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != grant.challenge:
            return self.refuse("code_verifier does not match code_challenge")
        bearer = secrets.token_urlsafe(24)
        with self._lock:
            self._bearers[bearer] = grant.person
        return {
            "access_token": bearer,
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "id_token": self._id_token(grant),
        }

    def _id_token(self, grant: Grant) -> str:
        now = int(time.time() - self.backdate)
        claims = {
            "iss": self.issuer, "aud": self.client_id, "nonce": grant.nonce,
            "iat": now, "exp": now + LIFETIME + int(self.backdate),
            **{name: grant.person[name] for name in PERSON_CLAIMS if name in grant.person},
        }  # fmt: skip
        claims |= {
            "nonce": {"nonce": "another"},
            "audience": {"aud": "another"},
            "issuer": {"iss": "https://another.example"},
            "expiry": {"exp": now - 3600},
        }.get(self.spoil, {})
        key = self._foreign_key if self.spoil == "signature" else self._key
        return jwt.encode({"alg": "RS256", "kid": "first"}, claims, key)

    def userinfo(self, bearer: str) -> dict | None:
        with self._lock:
            return self._bearers.get(bearer)

    def check_logout(self, query: dict[str, str]) -> str:
        """Complaint about a request to sign out, empty if there is none."""
        if query.get("post_logout_redirect_uri") not in self.redirect_uris:
            return self.refuse("post_logout_redirect_uri is not registered")
        try:
            jwt.decode(query.get("id_token_hint", ""), self._key, algorithms=["RS256"])
        except (JoseError, ValueError):
            return self.refuse("id_token_hint is missing or not ours")
        return ""


class _Handler(BaseHTTPRequestHandler):
    provider: Provider
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(
        self, body: str, *, kind: str = "text/html", status: int = 200, **headers: str
    ) -> None:
        data = body.encode()
        self.send_response(status)
        for name, value in {"Content-Type": f"{kind}; charset=utf-8", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)

    def _json(self, value: dict | None, *, status: int = 200) -> None:
        self._answer(json.dumps(value), kind="application/json", status=status)

    def _redirect(self, address: str, **query: str) -> None:
        separator = "&" if "?" in address else "?"
        target = address + (separator + urlencode(query) if query else "")
        self._answer("", status=302, Location=target)

    def _query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def _form(self) -> dict[str, str]:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        return {name: values[0] for name, values in parse_qs(body).items()}

    def do_GET(self) -> None:
        provider, path = self.provider, urlsplit(self.path).path
        provider.visited.append(path)
        if path == "/.well-known/openid-configuration":
            self._json(provider.metadata())
        elif path == "/jwks":
            self._json(provider.keys())
        elif path == "/authorize":
            self._choose_account()
        elif path == "/userinfo":
            person = provider.userinfo(
                self.headers.get("Authorization", "").removeprefix("Bearer ")
            )
            self._json(person, status=200 if person else 401)
        elif path == "/end_session":
            query = self._query()
            if complaint := provider.check_logout(query):
                self._answer(html.escape(complaint), status=400)
            else:
                self._redirect(query["post_logout_redirect_uri"])
        else:
            self._answer("", status=404)

    def do_POST(self) -> None:
        provider, path = self.provider, urlsplit(self.path).path
        provider.visited.append(path)
        form = self._form()
        if path == "/token":
            tokens = provider.exchange(form, self._client(form))
            if isinstance(tokens, str):
                self._json({"error": "invalid_grant", "error_description": tokens}, status=400)
            else:
                self._json(tokens)
        elif path == "/authorize":
            self._enter(form)
        else:
            self._answer("", status=404)

    def _client(self, form: dict[str, str]) -> tuple[str, str]:
        basic = self.headers.get("Authorization", "")
        if basic.startswith("Basic "):
            name, _, secret = base64.b64decode(basic[6:]).decode().partition(":")
            return unquote_plus(name), unquote_plus(secret)
        return form.get("client_id", ""), form.get("client_secret", "")

    def _choose_account(self) -> None:
        query = self._query()
        if complaint := self.provider.check_request(query):
            self._answer(html.escape(complaint), status=400)
            return
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in query.items()
        )
        buttons = "".join(
            f'<button name="account" value="{html.escape(name)}">{html.escape(name)}</button>'
            for name in [*self.provider.people, "nobody"]
        )
        self._answer(
            "<!doctype html><title>Accounts</title>"
            f'<form method="post" action="/authorize">{hidden}{buttons}</form>'
        )

    def _enter(self, form: dict[str, str]) -> None:
        if complaint := self.provider.check_request(form):
            self._answer(html.escape(complaint), status=400)
            return
        person = self.provider.people.get(form.get("account", ""))
        if person is None:
            self._redirect(form["redirect_uri"], error="access_denied", state=form["state"])
        else:
            code = self.provider.grant(form, person)
            self._redirect(form["redirect_uri"], code=code, state=form["state"])
