"""A visitor without a browser: a real session of a running server, held through Streamlit's own websocket.

It costs next to nothing, so that many can be there at once, and it can do what no browser would.
"""

from __future__ import annotations

import http.cookiejar
import time
import urllib.request
import uuid
from collections.abc import Mapping
from typing import Self

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect

_ENDS = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


class Visitor:
    """A session; a context manager that ends it."""

    def __init__(
        self,
        address: str,
        page: str = "",
        query: str = "",
        *,
        patience: float = 60.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.address, self.patience = address, patience
        self._cookies = http.cookiejar.CookieJar()
        self._http = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self._cookies)
        )
        self._http.open(f"{address}/_stcore/health", timeout=patience).close()
        self._elements: dict[tuple[int, ...], Element] = {}
        self._drawn: dict[tuple[int, ...], Element] = {}
        self._polled: dict[str, float] = {}
        self._polled_now: dict[str, float] = {}
        self._pages: dict[str, str] = {}
        self._is_running = False
        self.session_id = self.page_hash = self.query = ""
        self._socket = connect(
            address.replace("http", "ws", 1) + "/_stcore/stream",
            subprotocols=["streamlit"],  # type: ignore[list-item]
            origin=address,  # type: ignore[arg-type]
            additional_headers={"Cookie": self._cookie_header(), **(headers or {})},
            max_size=None,
            proxy=None,
            open_timeout=patience,
        )
        self._rerun(query=query, page_name=page)
        self.settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave, as a closed tab does."""
        self._socket.close()

    def _cookie_header(self) -> str:
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._cookies)

    def _rerun(
        self,
        *states: WidgetState,
        query: str | None = None,
        page_name: str = "",
        fragment: str = "",
    ) -> None:
        message = BackMsg()
        client = message.rerun_script
        client.query_string = self.query if query is None else query
        client.page_script_hash, client.page_name = self.page_hash, page_name
        client.fragment_id, client.is_auto_rerun = fragment, bool(fragment)
        client.widget_states.widgets.extend(states)
        self._is_running = True
        self._socket.send(message.SerializeToString())

    def _receive(self, seconds: float) -> bool:
        try:
            data = self._socket.recv(timeout=max(0.0, seconds))
        except TimeoutError:
            return False
        self._take(ForwardMsg.FromString(data))  # type: ignore[arg-type]
        return True

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._is_running = True
            self.session_id = message.new_session.initialize.session_id or self.session_id
            self._drawn, self._polled_now = {}, {}
        elif kind == "navigation":
            self.page_hash = message.navigation.page_script_hash
            self._pages = {
                page.url_pathname: page.page_script_hash for page in message.navigation.app_pages
            }
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            path = tuple(message.metadata.delta_path)
            self._drawn[path] = self._elements[path] = message.delta.new_element
        elif kind == "auto_rerun":
            fragment, seconds = message.auto_rerun.fragment_id, message.auto_rerun.interval
            self._polled[fragment] = self._polled_now[fragment] = seconds
        elif kind == "stop_auto_rerun":
            self._polled.pop(message.stop_auto_rerun.fragment_id, None)
        elif kind == "script_finished":
            if message.script_finished in _ENDS:
                self._is_running = False
            if message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                self._elements, self._polled = dict(self._drawn), dict(self._polled_now)

    def settle(self) -> None:
        """Wait until the script has come to its end."""
        deadline = time.monotonic() + self.patience
        while self._is_running:
            if not self._receive(deadline - time.monotonic()):
                raise TimeoutError(f"No end of the script after {self.patience} s.")
        while self._receive(0.05):
            pass
        if self._is_running:
            self.settle()

    def wait_for(self, text: str, seconds: float = 120.0) -> None:
        """Stay on the page, whose fragments run again as they ask, until it shows some text."""
        deadline = time.monotonic() + seconds
        while text not in self.text():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{text!r} did not come up in {seconds} s: {self.text()[:2000]}")
            if not self._receive(min(self._polled.values(), default=1.0)):
                for fragment in list(self._polled):
                    self._rerun(fragment=fragment)
        self.settle()

    def text(self) -> str:
        """Everything that the page shows, as the protocol writes it."""
        return "\n".join(str(element) for element in self._elements.values())

    def _ids(self) -> dict[str, str]:
        names = [
            getattr(getattr(element, kind), "id", "")
            for element in self._elements.values()
            if (kind := element.WhichOneof("type"))
        ]
        return {name.split("-", 2)[2]: name for name in names if name.startswith("$$ID-")}

    def _widget(self, key: str) -> str:
        if key not in self._ids():
            raise LookupError(f"No widget {key!r} among: {self.widgets()}")
        return self._ids()[key]

    def widgets(self) -> list[str]:
        """Keys of the widgets on the page."""
        return sorted(self._ids())

    def press(self, key: str) -> None:
        """Press a button and wait for what comes of it."""
        self._rerun(WidgetState(id=self._widget(key), trigger_value=True))
        self.settle()

    def open(self, page: str) -> None:
        """Go to another page by the menu."""
        self.page_hash = self._pages[page]
        self._rerun()
        self.settle()

    def get(self, path: str) -> str:
        """Ask the server for something else."""
        with self._http.open(self.address + path, timeout=self.patience) as answer:
            return str(answer.read().decode())

    def put(self, data: bytes, name: str, *, session_id: str = "") -> tuple[int, str, str]:
        """Send a file to the server; returns the status, the answer and the file's id."""
        file_id, boundary = str(uuid.uuid4()), uuid.uuid4().hex
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
            "Content-Type: text/csv\r\n\r\n"
        )
        body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
        token = next((c.value for c in self._cookies if c.name == "_streamlit_xsrf"), "") or ""
        request = urllib.request.Request(  # noqa: S310 - an address of ours
            f"{self.address}/_stcore/upload_file/{session_id or self.session_id}/{file_id}",
            data=body,
            method="PUT",
            headers={
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                "X-Xsrftoken": token,
            },
        )
        try:
            with self._http.open(request, timeout=self.patience) as answer:
                return answer.status, answer.read().decode(), file_id
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), file_id

    def upload(self, key: str, data: bytes, name: str) -> None:
        """Put a file into an upload field and wait for what comes of it."""
        status, answer, file_id = self.put(data, name)
        if status != 204:
            raise OSError(f"{status}: {answer}")
        state = WidgetState(id=self._widget(key))
        info = state.file_uploader_state_value.uploaded_file_info.add()
        info.file_id, info.name, info.size = file_id, name, len(data)
        info.file_urls.file_id = file_id
        info.file_urls.upload_url = f"/_stcore/upload_file/{self.session_id}/{file_id}"
        info.file_urls.delete_url = info.file_urls.upload_url
        self._rerun(state)
        self.settle()
