"""What the map in the browser fetches, each once: plotly.js, the map's own scripts, and packed data.

Everything has an address that names its content, so that the browser keeps it: a script run sends the
addresses only. Plotly comes from the package of that name; nothing of it is copied, nothing asked of
another host.
"""

from __future__ import annotations

import gzip
import json
import secrets
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import plotly
import streamlit as st
from cachetools import LRUCache
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

PREFIX = "pointmap"
# For all visitors together; the three of a map of 50,000 rows have 2 MB.
MAX_PACKAGES = 120
_HERE = Path(__file__).parent
_PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
_KINDS = {".js": "text/javascript", ".css": "text/css"}
# Private: a cache between could hand the cookies of one visitor to another.
_FOR_EVER = "private, max-age=31536000, immutable"


# Who knows a table must not be able to tell from an address whether somebody works on it.
_SECRET = secrets.token_bytes(16)
_shelf: LRUCache[str, Package] = LRUCache(MAX_PACKAGES)
_lock = Lock()


def forget() -> None:
    """Forget what is published; whoever draws a map publishes it again."""
    with _lock:
        _shelf.clear()


class Package:
    """Arrays (of at most 32 bits, or doubles) and a few words that JSON can hold, packed for the browser."""

    def __init__(self, words: dict[str, Any], **arrays: NDArray | bytes) -> None:
        sections, blocks, at = {}, [], 0
        for name, array in arrays.items():
            kind = (
                "bytes" if isinstance(array, bytes) else f"{array.dtype.kind}{array.dtype.itemsize}"
            )
            block = array if isinstance(array, bytes) else np.ascontiguousarray(array).tobytes()
            sections[name] = [kind, at, len(block)]
            # Typed arrays of the browser begin at multiples of their size.
            block += bytes(-len(block) % 8)
            blocks.append(block)
            at += len(block)
        head = json.dumps({"sections": sections, "words": words}).encode()
        head += b" " * (-(len(head) + 4) % 8)
        raw = b"".join([len(head).to_bytes(4, "little"), head, *blocks])
        self.address = blake2b(raw, digest_size=16, key=_SECRET).hexdigest()
        self._packed = gzip.compress(raw, compresslevel=1, mtime=0)

    def packed(self) -> bytes:
        """Return what is sent."""
        return self._packed

    def publish(self) -> str:
        """Put it where the browser can fetch it, and return its address."""
        with _lock:
            _shelf[self.address] = self
        return self.address


class LatePackage(Package):
    """A package that is made when the browser asks for it, so that no page waits for it."""

    def __init__(self, make: Callable[[], Package]) -> None:
        self.address = secrets.token_hex(16)
        self._make = make

    def packed(self) -> bytes:
        """Return what is sent."""
        if not hasattr(self, "_packed"):
            self._packed = self._make().packed()
        return self._packed


def texts_package(texts: Sequence[str]) -> Package:
    """Pack texts, one a point: `utf8` holds all of them on end, `ends` where each one ends."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.uint32)
    return Package({}, utf8=b"".join(encoded), ends=ends)


def _files() -> dict[str, Path]:
    own = {path.name: path for path in sorted(_HERE.iterdir()) if path.suffix in _KINDS}
    return own | {"plotly.min.js": _PLOTLY}


def version() -> str:
    """Name of the scripts as they are now; part of their address."""
    stamps = [(name, path.stat().st_mtime_ns) for name, path in _files().items()]
    return blake2b(repr(stamps).encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=32)
def _script(path: Path, stamp: int) -> bytes:  # noqa: ARG001 - a file that was changed is another
    return gzip.compress(path.read_bytes(), compresslevel=6, mtime=0)


def routes() -> list[Route]:
    """Return the routes of scripts and of data, under the base path of the server."""
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    root = f"/{base}/{PREFIX}" if base else f"/{PREFIX}"
    # Functions that are no coroutines run in a thread: packing plotly.js does not halt the server.
    return [
        Route(f"{root}/{{version}}/{{name}}", _send_script),
        Route(f"{root}/{{address}}", _send_data),
    ]


def _send_script(request: Request) -> Response:
    path = _files().get(request.path_params["name"])
    if path is None:
        return _missing()
    # A script that was changed since the page was opened is not kept under the old address.
    keep = _FOR_EVER if request.path_params["version"] == version() else "no-store"
    return _answer(request, _script(path, path.stat().st_mtime_ns), _KINDS[path.suffix], keep)


def _send_data(request: Request) -> Response:
    with _lock:
        package = _shelf.get(request.path_params["address"])
    if package is None:
        return _missing()
    return _answer(request, package.packed(), "application/octet-stream", _FOR_EVER)


def _missing() -> Response:
    return PlainTextResponse("not found", status_code=404)


def _answer(request: Request, packed: bytes, kind: str, keep: str) -> Response:
    headers = {"Cache-Control": keep, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        # Set here, it keeps Streamlit from packing the same bytes again for every visitor.
        headers["Content-Encoding"] = "gzip"
        return Response(packed, media_type=kind, headers=headers)
    return Response(gzip.decompress(packed), media_type=kind, headers=headers)
