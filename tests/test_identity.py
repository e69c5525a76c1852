"""The rules of access: what is served to others, who a user is, who may come in."""

import re
import tomllib
from pathlib import Path

import pytest

from pages.shared import identity
from pages.shared.identity import LOCAL, SHARED, User

HERE = {"Host": "localhost:8501", "Origin": "http://localhost:8501"}
AUTH = {
    "redirect_uri": "https://ecoval.example.org/oauth2callback",
    "cookie_secret": "s" * 32,
    "client_id": "id",
    "client_secret": "secret",
    "server_metadata_url": "https://login.example.org/.well-known/openid-configuration",
}


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "LOCALHOST"])
def test_loopback_address_asked_from_this_machine_is_not_served_to_others(address):
    assert not identity.is_served(address, HERE, None)
    assert not identity.is_served(address, {}, None)
    assert not identity.is_served(address, {"Host": "[::1]:8501"}, "::1")
    assert not identity.is_served(address, {"Host": "app.localhost"}, "127.0.0.1")


@pytest.mark.parametrize(
    "address",
    [None, "", "0.0.0.0", "::", "192.168.1.4", "ecoval.example.org", "unix://socket"],  # noqa: S104 - not bound to
)
def test_any_other_address_is_served_to_others(address):
    assert identity.is_served(address, HERE, None)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "ecoval.example.org"}, {"Host": "localhost.example.org:8501"},
        {"Host": "127.0.0.1.example.org"}, {"Host": ""}, {"Host": "[not an address"},
        HERE | {"Origin": "https://ecoval.example.org"}, HERE | {"Origin": "null"},
        HERE | {"X-Forwarded-For": "127.0.0.1"}, HERE | {"X-Forwarded-Host": "localhost"},
        HERE | {"X-Forwarded-Proto": "https"}, HERE | {"X-Real-Ip": "10.0.0.1"},
        HERE | {"Forwarded": "for=10.0.0.1"}, HERE | {"Via": "1.1 proxy"},
    ],
)  # fmt: skip
def test_loopback_address_reached_through_something_else_is_served_to_others(headers):
    assert identity.is_served("localhost", headers, None)
    assert identity.is_served("localhost", HERE, "10.0.0.1"), "a client elsewhere"


def test_issuer_and_subject_make_the_user_whatever_else_changes():
    claims = {"iss": "https://a.example", "sub": "1", "name": "Ada", "email": "ada@example.org"}
    ada = identity.identify(claims)
    assert ada.name == "Ada"
    assert identity.identify(claims | {"name": "A. L.", "email": "new@example.org"}).id == ada.id
    assert identity.identify(claims | {"sub": "2"}).id != ada.id
    assert identity.identify(claims | {"iss": "https://b.example"}).id != ada.id
    assert "ada" not in ada.id
    assert ada.id.isalnum()
    assert identity.identify(claims | {"sub": ""}) is None
    assert identity.identify({"sub": "1"}) is None


def test_user_s_folder_is_no_path_of_their_own_making():
    base = Path("/workspace")
    ada = identity.identify({"iss": "https://a.example", "sub": "../../etc", "name": "../.."})
    assert identity.workspace_root(base, LOCAL) == base
    assert identity.workspace_root(base, SHARED) == base
    assert identity.workspace_root(base, ada).parent == base / "users"
    assert identity.workspace_root(base, User("other", "")) != identity.workspace_root(base, ada)


@pytest.mark.parametrize(
    ("email", "verified", "is_in"),
    [
        ("ada@example.org", True, True), ("Ada@Example.org", "true", True), ("eve@firm.example", True, True),
        ("ada@example.org", False, False), ("ada@example.org", None, False), ("eve@example.org", True, False),
        ("eve@sub.firm.example", True, False), ("eve@notfirm.example", True, False),
        ("eve@firm.example@else.example", True, False), ("firm.example", True, False),
        ("@firm.example", True, False), ("", True, False), (None, True, False),
    ],
)  # fmt: skip
def test_verified_address_on_the_list_is_allowed(email, verified, is_in):
    claims = {"email": email} | ({} if verified is None else {"email_verified": verified})
    assert identity.is_allowed(claims, ["ada@example.org", "@Firm.example"]) is is_in
    assert identity.is_allowed(claims, [])


def test_address_of_unknown_standing_is_allowed_on_request_and_an_unverified_one_never():
    ada = {"email": "ada@example.org"}
    assert identity.is_allowed(ada, ["example.org"], trust_unverified=True)
    ada["email_verified"] = False
    assert not identity.is_allowed(ada, ["example.org"], trust_unverified=True)


def test_complete_settings_are_accepted():
    assert identity.check_auth(AUTH) == ""
    shared = {key: AUTH[key] for key in ("redirect_uri", "cookie_secret")}
    own = {key: AUTH[key] for key in ("client_id", "client_secret", "server_metadata_url")}
    assert identity.check_auth(shared | {"okta": own, "google": own}) == ""
    assert list(identity.providers(shared | {"okta": own, "google": own})) == ["okta", "google"]
    assert list(identity.providers(AUTH | {"client_kwargs": {"prompt": "login"}})) == [""]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"redirect_uri": ""}, "redirect_uri"),
        ({"redirect_uri": "https://ecoval.example.org/"}, "redirect_uri"),
        ({"redirect_uri": "/oauth2callback"}, "redirect_uri"),
        ({"redirect_uri": "javascript://x/oauth2callback"}, "redirect_uri"),
        ({"cookie_secret": "changeme"}, "cookie_secret"),
        ({"client_secret": ""}, r"\[auth\] of secrets.toml lacks client_secret"),
        ({"server_metadata_url": ""}, "lacks server_metadata_url"),
        ({"okta": {"client_id": "x"}}, r"\[auth.okta\] .* lacks client_secret and server_metadata"),
        ({"my_okta": {}}, "underscore"),
    ],
)
def test_missing_or_wrong_setting_is_named(change, named):
    complaint = identity.check_auth(AUTH | change)
    assert re.search(named, complaint), complaint
    assert "\n" not in complaint


def test_example_of_the_secrets_lacks_only_the_secrets():
    path = Path(__file__).parents[1] / ".streamlit" / "secrets.toml.example"
    example = tomllib.loads(path.read_text(encoding="utf-8"))
    assert "cookie_secret" in identity.check_auth(example["auth"])
    example["auth"]["cookie_secret"] = "s" * 64
    assert "lacks client_id and client_secret." in identity.check_auth(example["auth"])
    filled = example["auth"] | {"client_id": "id", "client_secret": "secret"}
    assert identity.check_auth(filled) == ""
    assert identity.is_allowed(
        {"email": "bob@example.org", "email_verified": True}, example["ecoval"]["allowed"]
    )
