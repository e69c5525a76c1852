"""The app's door: nobody signs in on their own machine, everybody does where it is served to others.

Reached in any other way than on a loopback address, the app shows nothing until `[auth]` in `secrets.toml`
names an identity provider, or ``ECOVAL_OPEN=1`` lets everybody in. Pages call :func:`require` first.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ecoval_core.text import shorten
from pages.shared import formats, identity
from pages.shared.identity import LOCAL, SHARED, User

OPEN = "ECOVAL_OPEN"
ALLOWED = "ECOVAL_ALLOWED"
SESSION_HOURS = 24.0
MAX_NAME = 24
# A script run asks some forty times, and the answer takes half a millisecond.
RECENT_SECONDS = 5.0
_REFUSED = (
    "EcoVal is reached from other machines here, but nobody has said who may use it, so it shows nothing: "
    "name an identity provider in the section [auth] of .streamlit/secrets.toml (the README says how under "
    "*Serving it to others*), or let it listen on localhost only, or set ECOVAL_OPEN=1 if everybody who can "
    "reach it may share one workspace."
)
_UNREADABLE = "The server's secrets.toml cannot be read: correct it or move it away."
_EXPIRED = "Your sign-in is no longer valid: sign in again."
_HOURS = (
    "session_hours in the section [ecoval] of secrets.toml must be a number of hours above zero."
)
_NAMELESS = "Your identity provider did not say who you are (iss or sub is missing)."
# In the header, left of Streamlit's own menu, which makes room; on a small screen the icon only. The style
# comes a moment later: until then the container is too small to be seen, or it would push the page down.
_STYLE = """<style>
.st-key-user { position: fixed; top: 0.6rem; right: 3.5rem; z-index: 999991; }
.st-key-user, div:has(> .st-key-user) { width: auto !important; height: auto !important; overflow: visible; }
.st-key-user button, .st-key-user button:hover { color: inherit; }
[data-testid="stMainMenu"] { margin-left: %.1frem; }
@media (max-width: 80rem) {
  .st-key-user p { width: 1px; height: 1px; overflow: hidden; white-space: nowrap; }
  [data-testid="stMainMenu"] { margin-left: 4.5rem; }
}
</style>"""


@dataclass(frozen=True)
class _Verdict:
    """Who has come in, or what stands in the way and which buttons lead on."""

    user: User | None = None
    complaint: str = ""
    providers: tuple[str, ...] = ()
    can_sign_out: bool = False


# Who was let into which session (None for nobody), and when that was asked last; the gate looks here before
# it takes a file. Not in Streamlit's caches, which every client can clear.
_sessions: dict[str, tuple[User | None, float]] = {}
_lock = threading.Lock()


def _section(name: str) -> dict[str, Any]:
    if not st.secrets.load_if_toml_exists():
        return {}
    section = st.secrets.get(name, {})
    return section.to_dict() if hasattr(section, "to_dict") else dict(section)


def _has_unreadable_secrets() -> bool:
    files = st.get_option("secrets.files")
    return not st.secrets.load_if_toml_exists() and any(Path(path).exists() for path in files)


def _allowed(settings: Mapping[str, Any]) -> list[str]:
    named = os.environ.get(ALLOWED) or settings.get("allowed") or []
    return named.replace(",", " ").split() if isinstance(named, str) else [str(n) for n in named]


def _judge() -> _Verdict:
    auth = _section("auth")
    if _has_unreadable_secrets():
        return _Verdict(complaint=_UNREADABLE)
    if auth:
        return _judge_signed_in(auth, _section("ecoval"))
    address, client = st.get_option("server.address"), st.context.ip_address
    if not identity.is_served(address, st.context.headers, client):
        return _Verdict(LOCAL)
    if os.environ.get(OPEN, "").strip().lower() in {"1", "true", "yes"}:
        return _Verdict(SHARED)
    return _Verdict(complaint=_REFUSED)


def _judge_signed_in(auth: Mapping[str, Any], settings: Mapping[str, Any]) -> _Verdict:
    if complaint := identity.check_auth(auth):
        return _Verdict(complaint=complaint)
    providers = tuple(identity.providers(auth))
    claims: dict[str, Any] = dict(st.user.to_dict())
    if not claims.get("is_logged_in"):
        return _Verdict(providers=providers)
    hours = settings.get("session_hours", SESSION_HOURS)
    if not isinstance(hours, (int, float)) or hours <= 0:
        return _Verdict(complaint=_HOURS)
    if time.time() - float(claims.get("iat") or 0) > 3600 * hours:
        return _Verdict(complaint=_EXPIRED, providers=providers)
    found = identity.identify(claims)
    if found is None:
        return _Verdict(complaint=_NAMELESS, can_sign_out=True)
    trusts = settings.get("trust_unverified_email") is True
    if identity.is_allowed(claims, _allowed(settings), trust_unverified=trusts):
        return _Verdict(found)
    # As code: Markdown makes a link of an address otherwise.
    shown = (found.email or found.name).replace("`", "'")
    complaint = (
        f"You are signed in as `{shown}`, which is not among the addresses that may use this server: ask "
        "whoever runs it, or sign out and take another account."
    )
    return _Verdict(complaint=complaint, can_sign_out=True)


def _ask() -> _Verdict:
    verdict, context = _judge(), get_script_run_ctx()
    if context is not None:
        with _lock:
            _sessions[context.session_id] = verdict.user, time.monotonic()
    return verdict


def is_admitted() -> bool:
    """Return whether the visitor may see more than the entrance."""
    return _ask().user is not None


def user() -> User:
    """Return who is using the app; a PermissionError where :func:`require` would have stopped."""
    context = get_script_run_ctx()
    with _lock:
        found, asked = _sessions.get("" if context is None else context.session_id, (None, 0.0))
    if found is None or time.monotonic() - asked > RECENT_SECONDS:
        found = _ask().user
    if found is None:
        raise PermissionError("Nobody is signed in.")
    return found


def require() -> None:
    """Draw the entrance and stop where nobody has been let in."""
    verdict = _ask()
    if verdict.user is None:
        _draw_entrance(verdict)


def is_https() -> bool:
    """Return whether the address that browsers return to after signing in is one of HTTPS."""
    return str(_section("auth").get("redirect_uri", "")).startswith("https://")


def admitted_user(session_id: str) -> User | None:
    """Return who was let into a session, or None."""
    with _lock:
        return _sessions.get(session_id, (None, 0.0))[0]


def sessions() -> list[str]:
    """Return Streamlit's names of the sessions that came to the door and were not forgotten since."""
    with _lock:
        return list(_sessions)


def forget_session(session_id: str) -> None:
    """Forget who was let into a session."""
    with _lock:
        _sessions.pop(session_id, None)


def _draw_entrance(verdict: _Verdict) -> None:
    _, middle, _ = st.columns([1, 2, 1])
    with middle.container(key="entrance", gap="medium"):
        st.header("EcoVal", anchor=False)
        if verdict.complaint:
            st.warning(verdict.complaint, icon=":material/lock:")
        else:
            st.markdown("Which rows of a training table help, which hurt, which can go?")
        for name in verdict.providers:
            st.button(
                f"Sign in with {formats.plain(name)}" if name else "Sign in",
                key=f"sign_in_{name}",
                type="primary",
                icon=":material/login:",
                on_click=st.login,
                args=(name or None,),
            )
        if verdict.can_sign_out:
            _draw_sign_out()
    st.stop()


def _draw_sign_out() -> None:
    st.button("Sign out", key="sign_out", icon=":material/logout:", on_click=st.logout)


def draw_user() -> None:
    """Draw who is signed in, with the way out, beside Streamlit's menu; nothing on one's own machine."""
    who = user()
    if who == LOCAL:
        return
    label = shorten(who.name, MAX_NAME)
    st.html(_STYLE % (5 + len(label) / 2))
    with (
        st.container(key="user", width=1, height=1, border=False),
        st.popover(formats.plain(label), icon=":material/person:", type="tertiary"),
    ):
        if who == SHARED:
            st.markdown(
                "Nobody signs in here: everybody who can reach this server sees and changes the same tables "
                "and runs."
            )
            return
        st.markdown(f"Signed in as **{formats.plain(who.name)}**")
        if who.email:
            st.text(who.email)
        st.caption("Nobody else sees your tables and runs.")
        _draw_sign_out()
