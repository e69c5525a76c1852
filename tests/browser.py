"""A real server and a real browser for the tests that need both."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urljoin
from weakref import WeakKeyDictionary

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    Page,
    WebSocket,
    expect,
    sync_playwright,
)
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
IN_CHROMIUM = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed"),
]
PATIENCE = 180_000
# For servers that draw no map: to compile UMAP takes as long as many a test.
WITHOUT_MAPS = {"ECOVAL_WARM_UP": "0"}
ARGUMENTS = [
    "--no-sandbox", "--host-resolver-rules=MAP ecoval.example 127.0.0.1",
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    # Maps need a graphics processor, emulated here; to put pages together on it takes half of all time.
    "--disable-gpu-compositing", "--disable-background-networking",
    # So that a new page finds the scripts compiled that one before it has used: 2 s to open it, not 4.
    "--process-per-site",
]  # fmt: skip


class AppServer:
    """The app, started as the README says, on a free port, with a workspace and a log in a folder."""

    script = "app.py"
    run: str | None = None  # that its workspace held from the start

    def __init__(self, folder, **environment):
        self.workspace = folder / "workspace"
        self.log = folder / "server.log"
        self._environment = {"ECOVAL_WORKSPACE": str(self.workspace), **environment}
        with socket.socket() as free:
            free.bind(("localhost", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://localhost:{self.port}"
        self.process = None

    def start(self):
        command = [
            sys.executable, "-m", "streamlit", "run", self.script, f"--server.port={self.port}",
        ]  # fmt: skip
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment},
            )  # fmt: skip
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=5) as answer:  # noqa: S310
                    if answer.status == 200:
                        return self
            except OSError:
                # The port is polled until the server listens; there is no other signal.
                try:
                    self.process.wait(0.2)
                except subprocess.TimeoutExpired:
                    continue
                break
        raise AssertionError(f"The server did not start: {self.log.read_text()}")

    def stop(self, with_signal=signal.SIGTERM, seconds=60):
        self.process.send_signal(with_signal)
        self.process.wait(seconds)

    def restart(self, with_signal=signal.SIGKILL):
        self.stop(with_signal)
        return self.start()


@contextmanager
def running_server(folder, **environment):
    """Start a server and stop it in the end; no traceback may have reached its log."""
    server = AppServer(folder, **environment)
    try:
        yield server.start()
        assert "Traceback" not in server.log.read_text()
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()


class Conversation:
    """What a page and the server say to each other: whether the last gesture has been answered.

    The state that the page shows does not tell: until the server begins, which takes its time on a busy
    machine, it is still the one of the script before. The page is new: what was said before is not known.
    """

    def __init__(self, page: Page):
        self.is_answered = True
        self._has_begun = True
        self._socket: WebSocket | None = None
        page.on("websocket", self._follow)

    def _follow(self, socket: WebSocket) -> None:
        self._socket = socket
        socket.on("framesent", self._asked)
        socket.on("framereceived", self._told)
        socket.on("close", self._lost)

    def _lost(self, socket: WebSocket) -> None:
        # After a reload the old one may be told of late.
        if socket is self._socket:
            self._end()

    def _end(self) -> None:
        self.is_answered = self._has_begun = True

    def _asked(self, frame: bytes | str) -> None:
        if isinstance(frame, bytes) and BackMsg.FromString(frame).HasField("rerun_script"):
            self.is_answered = self._has_begun = False

    def _told(self, frame: bytes | str) -> None:
        if isinstance(frame, str):
            return
        told = ForwardMsg.FromString(frame)
        if told.HasField("new_session"):
            self._has_begun = True
        elif (
            told.HasField("script_finished")
            # What was asked while another script ran is answered by the next.
            and self._has_begun
            and told.script_finished != ForwardMsg.ScriptFinishedStatus.FINISHED_EARLY_FOR_RERUN
        ):
            self._end()


_conversations: WeakKeyDictionary[Page, Conversation] = WeakKeyDictionary()


def follow(page: Page) -> Page:
    """Note what a new page and the server say to each other, for `idle`."""
    _conversations[page] = Conversation(page)
    return page


@contextmanager
def chromium():
    """A browser; Playwright waits with the patience of these tests."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        expect.set_options(timeout=PATIENCE)
        try:
            yield browser
        finally:
            browser.close()


# Profiles whose visitor has left. The next visitor gets one of them, without its cookies: to load and compile
# Streamlit's scripts takes a new one six seconds. A page that stays open keeps what is compiled.
_free: WeakKeyDictionary[Browser, list[BrowserContext]] = WeakKeyDictionary()


@contextmanager
def profile(browser):
    """A browser profile that has no cookies and no storage."""
    free = _free.setdefault(browser, [])
    context = free.pop() if free else browser.new_context()
    context.set_default_timeout(PATIENCE)
    try:
        yield context
    except BaseException:
        context.close()
        raise
    *left, stays = context.pages
    with suppress(Error):  # its server may have gone
        stays.goto(urljoin(stays.url, "/_stcore/health"))
    for page in left:
        page.close()
    context.set_storage_state({})
    free.append(context)


@contextmanager
def visiting(browser, address, *, viewport=None, color_scheme=None):
    """A page of a new visitor that notes whatever is asked of another host."""
    outside = []
    with profile(browser) as context:
        page = follow(context.new_page())
        page.set_viewport_size(viewport or {"width": 1280, "height": 900})
        page.emulate_media(color_scheme=color_scheme)
        page.on(
            "request",
            lambda request: (
                outside.append(request.url)
                if request.url.startswith("http") and not request.url.startswith(address)
                else None
            ),
        )
        yield page
        assert outside == []


def widget(page: Page, key: str):
    """Element of a keyed widget."""
    return page.locator(f".st-key-{key}")


def press(page: Page, key: str) -> None:
    """Click a keyed button."""
    widget(page, key).get_by_role("button").click()


def idle(page: Page) -> None:
    """Wait until the script that a gesture started has come to its end."""
    conversation, end = _conversations[page], time.monotonic() + PATIENCE / 1000
    # Sliders and tables tell their news 150 to 200 ms after the gesture.
    page.wait_for_timeout(250)
    while not conversation.is_answered:
        assert time.monotonic() < end, "The server has not answered the last gesture."
        page.wait_for_timeout(30)
    # What has arrived is not yet drawn: a timer comes after what the page has to do before.
    page.evaluate("() => new Promise((done) => setTimeout(done, 50))")
    expect(page.locator("[data-testid=stApp]")).to_have_attribute(
        "data-test-script-state", "notRunning"
    )


def choose(page: Page, key: str, name: str) -> None:
    """Choose one of a row of buttons."""
    widget(page, key).get_by_text(name, exact=True).click()
    idle(page)


def choose_option(page: Page, field, option: str) -> None:
    """Choose an option of a list that opens below a field."""
    # The list closes when the page is scrolled, which the click would do itself.
    field.scroll_into_view_if_needed()
    idle(page)
    words = field.locator("input")
    words.click()
    words.fill(option)
    page.get_by_role("option", name=option, exact=True).click()
    idle(page)


def work_done(page: Page) -> None:
    """Wait until nothing is being computed for the page, which is drawn again when that ends."""
    under_way = page.get_by_text(re.compile("so far|about to begin|in the queue"))
    expect(under_way).to_have_count(0)
    idle(page)


def see_curves(page: Page) -> None:
    """Wait for the removal curves of Prune, which a slow machine measures only when asked."""
    button, result = page.locator(".st-key-measure button"), page.get_by_text("199 model fits in")
    expect(button.or_(result).first).to_be_visible()
    if button.is_visible():
        button.click()
    expect(result).to_be_visible()
    idle(page)


def menu(page: Page, name: str) -> None:
    """Go to a screen; those behind the others are opened from the menus of the header."""
    behind = {"Compare": "run_menu", "Method": "help_menu"}
    if name in behind:
        press(page, behind[name])
    link = page.get_by_role("link", name=re.compile(f"^(\\w+ )?{name}( this|:|$)"))
    link.first.click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    idle(page)
