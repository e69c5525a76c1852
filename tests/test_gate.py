"""What stands before Streamlit: which request it lets through, and what it makes of the answers."""

import pytest
from conftest import run_apart
from starlette.responses import StreamingResponse

from pages.shared import access, gate, uploads
from pages.shared.front import Front
from pages.shared.gate import Gate, OnAnswer, SecurityHeaders
from pages.shared.identity import User

ADA = User("a" * 32, "Ada")
UPLOAD = "/_stcore/upload_file/session/file"
HERE = {"Host": "localhost:8501"}


class Behind:
    """The application behind the gate: notes that it was asked and answers with some headers."""

    def __init__(self, status=204, **headers):
        self.asked = False
        self._status = status
        self._headers = [
            (name.replace("_", "-").encode(), value.encode())
            for name, values in headers.items()
            for value in ([values] if isinstance(values, str) else values)
        ]

    async def __call__(self, scope, receive, send):
        self.asked = True
        if scope["type"] == "http":
            await send(
                {"type": "http.response.start", "status": self._status, "headers": self._headers}
            )
            await send({"type": "http.response.body", "body": b""})


def ask(app, path="/", method="GET", headers=HERE, kind="http"):
    """Status of the answer, if there is one, and its headers; the messages of a websocket."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": kind, "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "scheme": kind, "root_path": "", "http_version": "1.1",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    run_apart(Gate(app)(scope, receive, send))
    if kind == "websocket":
        return sent
    if not sent:
        return None
    answer = [(name.decode().lower(), value.decode()) for name, value in sent[0]["headers"]]
    return sent[0]["status"], answer


@pytest.fixture
def sessions(monkeypatch):
    """Ada is in one session and nobody in another; there is room for 100 bytes."""
    monkeypatch.setattr(access, "_sessions", {"session": (ADA, 0.0), "another": (None, 0.0)})
    monkeypatch.setattr(uploads, "has_room", lambda session, n: session == "session" and n <= 100)


@pytest.mark.parametrize(
    ("path", "method", "length", "status"),
    [
        (UPLOAD, "PUT", "100", 204),
        (UPLOAD, "DELETE", None, 204),
        (UPLOAD, "PUT", "101", 413),
        *((UPLOAD, "PUT", length, 411) for length in (None, "", "many", "-5", "9" * 40)),
        ("/_stcore/upload_file/another/file", "PUT", "5", 403),
        ("/_stcore/upload_file/another/file", "DELETE", None, 403),
        ("/_stcore/upload_file/", "PUT", "5", 403),
        ("/x/_stcore/upload_file/session/file", "PUT", "5", 403),
        ("/_stcore/agent/interact", "POST", "5", 403),
        ("/anything", "PATCH", "5", 403),
    ],
)
def test_files_pass_into_admitted_sessions_with_room_alone(sessions, path, method, length, status):
    behind = Behind()
    headers = HERE if length is None else HERE | {"Content-Length": length}
    assert ask(behind, path, method, headers)[0] == status
    assert behind.asked == (status == 204)


def test_page_of_another_site_opens_no_websocket_and_the_internet_is_not_asked(monkeypatch):
    from streamlit import net_util

    monkeypatch.setattr(net_util, "get_external_ip", lambda: pytest.fail("the internet was asked"))
    for origin in ("https://evil.example", "http://localhost:3000", "null", "http://[broken"):
        behind = Behind()
        sent = ask(behind, kind="websocket", headers=HERE | {"Origin": origin})
        assert [message["type"] for message in sent] == ["websocket.close"], origin
        assert not behind.asked


@pytest.mark.parametrize(
    ("address", "base", "is_safe"),
    [
        ("/explore?data=1&run=2", "/", True),
        ("/", "/", True),
        ("/app/explore", "/app", True),
        ("/explore", "/app", False),
        ("//evil.example", "/", False),
        ("/\\evil.example", "/", False),
        ("https://evil.example", "/", False),
        ("javascript:alert(1)", "/", False),
        ("/x\r\nSet-Cookie: a=b", "/", False),
        ("/" + "x" * 2000, "/", False),
        ("", "/", False),
    ],
)
def test_return_leads_to_a_page_of_the_app(address, base, is_safe):
    assert gate.is_safe_return(address, base) is is_safe


@pytest.mark.parametrize(
    "referer",
    ["https://evil.example/explore", "http://localhost:8501//evil.example", "nonsense", ""],
)
def test_referer_of_another_site_is_not_returned_to(referer):
    _, answer = ask(Behind(302, location="/"), "/auth/login", headers=HERE | {"Referer": referer})
    assert [name for name, _ in answer] == ["location"]


@pytest.mark.parametrize(
    ("kept", "location"),
    [
        ("%2F%2Fevil.example", "/"),
        ("https%3A%2F%2Fevil.example", "/"),
        ("%2F%5Cevil", "/"),
        ("%2Fexplore", "https://login.example"),
    ],
)
def test_forged_return_cookie_leads_nowhere_and_the_way_to_the_provider_is_left_alone(
    kept, location
):
    back = HERE | {"Cookie": f"ecoval_return={kept}"}
    _, answer = ask(Behind(302, location=location), "/oauth2callback", headers=back)
    assert ("location", location) in answer


def test_cookies_are_secure_over_https(monkeypatch):
    cookies = ["_streamlit_user=x; HttpOnly; Path=/", "other=y; Secure"]
    secure = ["_streamlit_user=x; HttpOnly; Path=/; Secure", "other=y; Secure"]
    for is_https, expected in ((False, cookies), (True, secure)):
        monkeypatch.setattr(access, "is_https", lambda is_https=is_https: is_https)
        _, answer = ask(Behind(200, set_cookie=cookies))
        assert [value for name, value in answer if name == "set-cookie"] == expected


def test_app_that_fails_answers_with_the_headers_too():
    sent = []

    async def fail(*_):
        raise RuntimeError("broken")

    async def send(message):
        sent.append(message)

    with pytest.raises(RuntimeError, match="broken"):
        run_apart(SecurityHeaders(fail)({"type": "http", "method": "GET"}, None, send))
    assert sent[0]["status"] == 500
    assert (b"content-security-policy", b"frame-ancestors 'none'") in sent[0]["headers"]


def test_browser_that_leaves_before_it_is_answered_is_no_error():
    async def say_nothing(*_):
        pass

    assert ask(Front(say_nothing), headers=HERE | {"Accept": "text/html"}) is None


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [("/prune", 200, b"<head><style>"), ("/nowhere", 307, b""), ("/decompose", 307, b"")],
)
def test_page_that_comes_in_parts_gets_our_head_or_leads_on(path, status, expected):
    async def answer(scope, receive, send):
        parts = [b"<html><head></he", b'ad><div id="root">', b"</div></html>"]
        headers = {"content-type": "text/html; charset=utf-8", "etag": "1", "content-length": "46"}
        await StreamingResponse(as_stream(parts), headers=headers)(scope, receive, send)

    async def as_stream(parts):
        for part in parts:
            yield part

    sent = []

    async def send(message):
        sent.append(message)

    named = OnAnswer(Front(answer), lambda _, response: response.set_cookie("visitor", "x"))
    scope = {
        "type": "http", "method": "GET", "path": path, "query_string": b"a=1", "root_path": "",
        "headers": [(b"accept", b"text/html")], "asgi": {"spec_version": "2.4"},
    }  # fmt: skip
    run_apart(named(scope, None, send))
    head = dict(sent[0]["headers"])
    assert sent[0]["status"] == status
    assert head[b"set-cookie"].startswith(b"visitor=x")
    body = b"".join(message.get("body", b"") for message in sent[1:])
    assert expected in body
    assert b"etag" not in head
    if status == 200:
        assert int(head[b"content-length"]) == len(body)
    else:
        assert b"a=1" in head[b"location"]
