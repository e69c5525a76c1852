"""The rules of access, without Streamlit: what counts as served to others, who a user is, who may come in."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

MIN_COOKIE_SECRET = 32
_CALLBACK = "/oauth2callback"
_OF_PROVIDER = ("client_id", "client_secret", "server_metadata_url")
_OF_PROXIES = (
    "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Forwarded", "Via",
)  # fmt: skip


@dataclass(frozen=True)
class User:
    """Who is using the app."""

    # Of issuer and subject: stays the same for good, and names the folder of the user's workspace.
    id: str
    name: str
    # Shown to the user; never an identity.
    email: str = ""


LOCAL = User("local", "You")
SHARED = User("shared", "Everybody")


def workspace_root(base: Path, user: User) -> Path:
    """Return the folder of a user's own workspace; everybody has the one where nobody signs in."""
    return base if user in (LOCAL, SHARED) else base / "users" / user.id


def split(address: str) -> SplitResult:
    """Return the parts of an address, all of them empty if it is none."""
    try:
        parts = urlsplit(address)
        _ = parts.hostname, parts.port
    except ValueError:
        return urlsplit("")
    return parts


def is_loopback(host: str | None) -> bool:
    """Return whether a host name or address means this machine and no other."""
    if not host:
        return False
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_served(address: str | None, headers: Mapping[str, str], client: str | None) -> bool:
    """Return whether anybody but the user of this machine can be at the other end.

    Also of a loopback address: behind a proxy, or under a host name that a foreign page made resolve to it.
    """
    if not is_loopback(address) or (client is not None and not is_loopback(client)):
        return True
    if any(headers.get(name) for name in _OF_PROXIES):
        return True
    host, origin = headers.get("Host"), headers.get("Origin")
    if host is not None and not is_loopback(split(f"//{host}").hostname):
        return True
    return origin is not None and not is_loopback(split(origin).hostname)


def providers(auth: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the settings of each identity provider by its name; "" where they stand in `[auth]` itself."""
    named = {name: part for name, part in auth.items() if isinstance(part, Mapping)}
    named.pop("client_kwargs", None)
    if not named or any(key in auth for key in _OF_PROVIDER):
        return {"": auth, **named}
    return named


def check_auth(auth: Mapping[str, Any]) -> str:
    """Return what is wrong with the section `[auth]`, in one sentence; empty if nothing is."""
    redirect = str(auth.get("redirect_uri", ""))
    parts = split(redirect)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or not redirect.endswith(_CALLBACK)
    ):
        return (
            "The redirect_uri in the section [auth] of secrets.toml must be the app's own address followed "
            f"by {_CALLBACK}."
        )
    if len(str(auth.get("cookie_secret", ""))) < MIN_COOKIE_SECRET:
        return (
            "The cookie_secret in the section [auth] of secrets.toml must have "
            f"{MIN_COOKIE_SECRET} characters or more, drawn at random: whoever guesses it can be anybody."
        )
    for name, part in providers(auth).items():
        section = f"auth.{name}" if name else "auth"
        if "_" in name:
            return f"The section [{section}] of secrets.toml must have no underscore in its name."
        missing = [key for key in _OF_PROVIDER if not part.get(key)]
        if missing:
            return f"The section [{section}] of secrets.toml lacks {' and '.join(missing)}."
    return ""


def identify(claims: Mapping[str, Any]) -> User | None:
    """Return the user that an identity token speaks of, or None if it does not say."""
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not issuer or not subject:
        return None
    digest = hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()[:32]
    email = str(claims.get("email") or "")
    name = str(claims.get("name") or claims.get("preferred_username") or email or "Signed in")
    return User(digest, name, email)


def is_allowed(
    claims: Mapping[str, Any], allowed: Iterable[str], *, trust_unverified: bool = False
) -> bool:
    """Return whether an address, or its domain, is on the list of those who may come in; empty admits all."""
    wanted = {entry.strip().lower().removeprefix("@") for entry in allowed}
    if not wanted:
        return True
    verified = claims.get("email_verified")
    # On request an address is trusted of which the provider says nothing, never one it calls unverified.
    if str(verified).lower() != "true" and not (verified is None and trust_unverified):
        return False
    name, _, domain = str(claims.get("email") or "").strip().lower().rpartition("@")
    return bool(name and domain) and (f"{name}@{domain}" in wanted or domain in wanted)
