"""Who gets in, in a real browser: a freshly started server and a local OpenID Connect provider."""

import re
import time
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from browser import (
    IN_CHROMIUM,
    WITHOUT_MAPS,
    AppServer,
    follow,
    idle,
    press,
    profile,
    running_server,
    widget,
)
from oidc_provider import Provider
from playwright.sync_api import expect
from visitor import Visitor

PATHS = (
    "", "value", "explore", "decompose", "labels", "review", "curves", "prune", "new_data", "compare", "runs",
    "method", "data",
)  # fmt: skip
PEOPLE = {
    "ada": {
        "sub": "ada-1", "name": "Ada [Lovelace]", "email": "ada@example.org", "email_verified": True,
    },
    "bob": {"sub": "bob-2", "name": "Bob", "email": "bob@example.org", "email_verified": True},
    "eve": {"sub": "eve-3", "name": "Eve", "email": "eve@else.example", "email_verified": True},
    "mallory": {
        "sub": "mallory-4", "name": "Mallory", "email": "ada@example.org", "email_verified": False,
    },
}  # fmt: skip
SETTINGS = '[ecoval]\nallowed = ["example.org"]\nsession_hours = 2\n'
TABLE = b"a,b,y\n" + b"".join(b"%d,%d,%d\n" % (i % 7, i % 5, i % 7 > 3) for i in range(120))
REFUSED = "nobody has said who may use it"

pytestmark = IN_CHROMIUM


@pytest.fixture
def new_page(browser):
    """Opens a page in a browser profile of its own."""
    with ExitStack() as profiles:

        def open_page():
            page = profiles.enter_context(profile(browser)).new_page()
            page.set_viewport_size({"width": 1280, "height": 800})
            return follow(page)

        yield open_page


@pytest.fixture(scope="module")
def provider():
    with Provider(PEOPLE) as running:
        yield running


@pytest.fixture(autouse=True)
def honest(provider):
    """The provider makes no mistakes unless a test wants one, and is asked for nothing wrong."""
    provider.spoil, provider.backdate = "", 0.0
    provider.complaints.clear()
    yield
    assert provider.complaints == []


@contextmanager
def serving(folder, provider, more="", **environment):
    """A server, not yet started, with a login."""
    secrets = folder / "secrets.toml"
    server = AppServer(
        folder,
        STREAMLIT_SECRETS_FILES=str(secrets),
        NO_PROXY="127.0.0.1",
        **WITHOUT_MAPS,
        **environment,
    )
    provider.write_secrets(secrets, server.address, more)
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()


@pytest.fixture(scope="module")
def served(tmp_path_factory, provider):
    """A server with a login, for whoever has an address at example.org."""
    with serving(tmp_path_factory.mktemp("served"), provider, SETTINGS) as server:
        yield server.start()
        log = server.log.read_text()
        refused = r"OAuth token exchange failed.*?(?=\n2\d{3}-|\Z)"
        assert "Traceback" not in re.sub(refused, "", log, flags=re.DOTALL)
        for secret in (provider.client_secret, "eyJ", "ada@example.org"):
            assert secret not in log


def sign_in(page, address, account):
    page.goto(address)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name=account, exact=True).click()
    page.wait_for_url(lambda url: url.startswith(address.split("?")[0].rstrip("/")))
    idle(page)


def signed_in_as(page, name):
    return widget(page, "user").get_by_text(name)


def entrance(page):
    return widget(page, "entrance")


def upload(page, file):
    widget(page, "upload").locator("input").set_input_files(file)


def open_sample(page, name="wine"):
    press(page, f"sample_{name}")
    expect(widget(page, "status")).to_contain_text("rows")
    idle(page)


# --- On this machine and without a provider --------------------------------------------------


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("local"), **WITHOUT_MAPS) as server:
        yield server


def test_own_machine_needs_no_sign_in(local, new_page):
    page = new_page()
    page.goto(local.address)
    expect(page.get_by_role("heading", name="Data", exact=True)).to_be_visible()
    upload(page, {"name": "mine.csv", "mimeType": "text/csv", "buffer": TABLE})
    expect(widget(page, "status")).to_contain_text("mine.csv")
    expect(widget(page, "user")).to_have_count(0)
    assert not (local.workspace / "users").exists()


HANDSHAKE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 200),
        ("GET", "/explore", {}, 200),
        ("HEAD", "/favicon.png", {}, 200),
        ("GET", "/_stcore/health", {}, 200),
        ("GET", "/_stcore/metrics", {}, 200),
        ("GET", "/media/missing.csv", {}, 404),
        ("GET", "/pointmap/missing", {}, 404),
        ("GET", "/pointmap/old/plot.js", {}, 200),
        ("GET", "//evil.example/..%2f", {}, 400),
        ("GET", "/auth/login", {}, 302),
        ("PUT", "/_stcore/upload_file/a/b", {}, 403),
        ("POST", "/", {}, 403),
        ("GET", "/_stcore/stream", HANDSHAKE, 101),
        ("GET", "/_stcore/stream", {**HANDSHAKE, "Origin": "http://evil.example"}, 403),
        ("GET", "/nowhere", HANDSHAKE, 403),
    ],
)
def test_no_answer_may_be_framed_or_guessed_at(local, method, path, headers, status):
    connection = HTTPConnection("localhost", local.port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    assert answer.status == status
    assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    connection.close()


def held_bytes(visitor):
    found = re.search(r'"UploadedFileManager",cache=""} (\d+)', visitor.get("/_stcore/metrics"))
    return int(found[1]) if found else 0


def test_uploaded_file_leaves_the_server_s_memory_once_read(local):
    with Visitor(local.address) as visitor:
        visitor.upload("upload", TABLE + b"1,1,1\n", "read.csv")
        assert "read.csv" in visitor.text()
        assert visitor.put(b"unread", "unread.csv")[:2] == (204, "")
        # Streamlit measures every five seconds.
        deadline = time.monotonic() + 20
        while held_bytes(visitor) != len(b"unread") and time.monotonic() < deadline:
            time.sleep(0.5)
        assert held_bytes(visitor) == len(b"unread")


def test_another_name_of_this_machine_shows_nothing(local, new_page):
    # A page of another site can make its name resolve to this machine, and a proxy has a name of its own.
    page = new_page()
    page.goto(f"http://ecoval.example:{local.port}/?data=1")
    expect(entrance(page)).to_contain_text(REFUSED)
    expect(page.get_by_role("link", name="Explore")).to_have_count(0)


def test_app_behind_a_proxy_shows_nothing(local):
    with Visitor(local.address, headers={"X-Forwarded-For": "10.0.0.1"}) as visitor:
        assert REFUSED in visitor.text()
        assert visitor.put(TABLE, "a.csv")[:2] == (403, "Nobody has been let into this session.")


def test_without_a_provider_no_page_shows_anything_to_others(tmp_path):
    listening = {"STREAMLIT_SERVER_ADDRESS": "0.0.0.0"}  # noqa: S104 - meant
    with running_server(tmp_path, **listening, **WITHOUT_MAPS) as server:
        for path in PATHS:
            with Visitor(server.address, path) as visitor:
                assert REFUSED in visitor.text(), path
                assert visitor.text().count("heading {") == 1, path
                assert visitor.widgets() == [], path


def test_open_server_lets_everybody_in_and_says_so(tmp_path, new_page):
    opened = {"STREAMLIT_SERVER_ADDRESS": "0.0.0.0", "ECOVAL_OPEN": "1"}  # noqa: S104 - meant
    with running_server(tmp_path, **opened, **WITHOUT_MAPS) as server:
        ada, bob = new_page(), new_page()
        ada.goto(server.address)
        open_sample(ada)
        widget(ada, "user").get_by_role("button").click()
        expect(ada.get_by_text("sees and changes the same tables")).to_be_visible()
        bob.goto(ada.url)
        expect(widget(bob, "status")).to_contain_text("178 rows")


# --- With a provider -------------------------------------------------------------------------


def test_signing_in_returns_to_the_page_and_signing_out_ends_the_session(
    served, new_page, provider
):
    page = new_page()
    page.goto(f"{served.address}/method?data=abc")
    expect(page.get_by_role("link", name="Explore")).to_have_count(0)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="ada", exact=True).click()
    expect(page.get_by_role("heading", name="Method", exact=True)).to_be_visible()
    assert urlsplit(page.url).path == "/method"
    expect(signed_in_as(page, "Ada [Lovelace]")).to_be_visible()

    kept = {cookie["name"]: cookie for cookie in page.context.cookies()}
    for name in ("_streamlit_user", "_streamlit_user_tokens"):
        assert kept[name]["httpOnly"]
        assert kept[name]["sameSite"] == "Lax"
    assert "ecoval_return" not in kept

    n_signed_out = provider.n_signed_out
    widget(page, "user").get_by_role("button").click()
    expect(page.get_by_text("ada@example.org")).to_be_visible()
    # Streamlit may show "Sign in" for a moment before it leads to the provider and back.
    with page.expect_response(lambda response: "/end_session" in response.url):
        page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert provider.n_signed_out == n_signed_out + 1
    assert not {"_streamlit_user", "_streamlit_user_tokens"} & {
        cookie["name"] for cookie in page.context.cookies()
    }
    page.goto(f"{served.address}/explore")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_address_of_another_user_opens_nothing(served, new_page):
    ada, bob = new_page(), new_page()
    sign_in(ada, served.address, "ada")
    open_sample(ada, "wine")
    ada.get_by_role("link", name="Value", exact=True).first.click()
    press(ada, "start")
    expect(widget(ada, "status")).to_contain_text(re.compile(r"\d valued"))
    idle(ada)
    assert "run=" in ada.url

    sign_in(bob, served.address, "bob")
    bob.goto(ada.url)
    idle(bob)
    expect(bob.get_by_text("is not in this workspace")).to_be_visible()
    expect(widget(bob, "status")).not_to_contain_text("valued")

    again = new_page()
    sign_in(again, ada.url, "ada")
    expect(widget(again, "status")).to_contain_text(re.compile(r"\d valued"))
    assert len(list((served.workspace / "users").iterdir())) == 2
    assert not list(served.workspace.glob("*.sqlite*"))


@pytest.mark.parametrize("spoil", ["signature", "nonce", "audience", "issuer", "expiry"])
def test_wrong_token_lets_nobody_in(served, new_page, provider, spoil):
    provider.spoil = spoil
    page = new_page()
    sign_in(page, served.address, "ada")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert "_streamlit_user" not in {cookie["name"] for cookie in page.context.cookies()}


@pytest.mark.parametrize("account", ["eve", "mallory"])
def test_user_who_is_not_allowed_is_told_and_can_sign_out(served, new_page, account):
    page = new_page()
    sign_in(page, served.address, account)
    expect(entrance(page)).to_contain_text("is not among the addresses that may use this server")
    expect(page.get_by_role("link", name="Explore")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_sign_in_expires(served, new_page, provider):
    provider.backdate = 3 * 3600
    page = new_page()
    sign_in(page, served.address, "ada")
    expect(entrance(page)).to_contain_text("no longer valid")
    provider.backdate = 1 * 3600
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="ada", exact=True).click()
    expect(page.get_by_role("heading", name="Data", exact=True)).to_be_visible()


def test_visitor_who_has_not_signed_in_can_send_no_file(served):
    with Visitor(served.address) as visitor:
        assert "sign_in_" in visitor.widgets()
        assert visitor.put(TABLE, "a.csv")[:2] == (403, "Nobody has been let into this session.")
        assert held_bytes(visitor) == 0


def test_refusal_at_the_provider_and_a_forged_cookie_lead_to_the_entrance(served, new_page):
    page = new_page()
    sign_in(page, served.address, "nobody")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.context.add_cookies(
        [{"name": "_streamlit_user", "value": "eyJpc3MiOiJ4In0.aaaa.bbbb", "url": served.address}]
    )
    page.goto(served.address)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_incomplete_or_unreadable_secrets_are_explained(tmp_path, new_page):
    secrets, page = tmp_path / "secrets.toml", new_page()
    for content, told in (
        ('[auth]\nredirect_uri = "http://localhost/oauth2callback"\n', "cookie_secret"),
        ("[auth\n", "cannot be read"),
    ):
        secrets.write_text(content)
        where = {"STREAMLIT_SECRETS_FILES": str(secrets)}
        with running_server(tmp_path, **where, **WITHOUT_MAPS) as server:
            page.goto(server.address)
            expect(entrance(page)).to_contain_text(told)
