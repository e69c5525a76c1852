"""What the map's browser side sends and fetches, without a browser."""

import gzip
import json

import numpy as np
import pytest
from conftest import run_apart
from starlette.applications import Starlette

from ecoval_core.charts.points import PointData
from pages.shared.pointmap import wire
from pages.shared.pointmap.component import unanswered
from pages.shared.pointmap.element import PackedPoints
from pages.shared.pointmap.gestures import MAX_VERTICES, Gesture

COORDS = np.array([(0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (np.nan, 1.0)])
POINTS = PointData(
    np.array([10, 11, 12, 13, 14]), COORDS, np.array([0, 2]), lambda: ["zero", "two ½"]
)
LASSO = {"kind": "polygon", "outline": [-0.5, -0.5, 4, -0.5, 4, 1.5, -0.5, 1.5]}
BOX = {"kind": "box", "outline": [0.5, 0.5, 2, 2]}


def gesture(**message):
    return Gesture.read(message)


@pytest.mark.parametrize(
    ("message", "before", "expected"),
    [
        (LASSO, [13], [10, 11]),
        (LASSO | {"mode": "add"}, [13], [10, 11, 13]),
        (LASSO | {"mode": "remove"}, [11, 13], [13]),
        (BOX, [], [11, 12]),
        ({"kind": "point", "mode": "add", "row": 13}, [10], [10, 13]),
        ({"kind": "point", "mode": "remove", "row": 10}, [10, 11], [11]),
        ({"kind": "point", "mode": "add", "row": 99}, [10], [10]),
        ({"kind": "invert"}, [11], [10, 12, 13]),
        ({"kind": "clear"}, [11], []),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else None,
)
def test_gesture_takes_drawn_rows_and_others_alike(message, before, expected):
    # Rows 11 and 13 are not drawn, 14 lies nowhere.
    assert gesture(**message).selects(POINTS, before) == expected


def test_gesture_takes_no_row_that_the_filters_hide():
    assert gesture(**LASSO).selects(POINTS, [], [11, 12]) == [11]
    assert gesture(kind="invert").selects(POINTS, [11, 13], [11, 12]) == [12, 13]
    # What was selected before the filter stays so while rows are added.
    assert gesture(**LASSO, mode="add").selects(POINTS, [13], [11, 12]) == [11, 13]


@pytest.mark.parametrize(
    "message",
    [
        None, "lasso", {}, {"number": 1}, {"number": "x", "kind": "clear"},
        {"number": 1, "kind": "dance"}, {"number": 1, "kind": "clear", "mode": "toggle"},
        {"number": 1, "kind": "polygon", "outline": [0, 0, 1, 1]},
        {"number": 1, "kind": "polygon", "outline": [0, 0, 1]},
        {"number": 1, "kind": "polygon", "outline": [0, 0, 1, 1, None, 2]},
        {"number": 1, "kind": "polygon", "outline": [0, 0, 1, 1, "a", 2]},
        {"number": 1, "kind": "polygon", "outline": [0, 0] * (MAX_VERTICES + 1)},
        {"number": 1, "kind": "box", "outline": [0, 0, 1, 1, 2, 2]},
        {"number": 1, "kind": "point", "mode": "add"},
        {"number": 1, "kind": "pick", "row": [3]},
        {"number": float("inf"), "kind": "clear"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_gesture_is_passed_over(message):
    assert unanswered([message], 0, Gesture.read) == []


def test_each_gesture_is_answered_once_and_in_its_order():
    messages = [{"number": n, "kind": "clear"} for n in (5, 3, 9, 4)]
    assert [number for number, _ in unanswered(messages, 3, Gesture.read)] == [4, 5, 9]
    assert unanswered(messages, 9, Gesture.read) == []
    assert unanswered(None, 0, Gesture.read) == []


def ask(path, encoding="gzip"):
    """Status, headers and body of an answer of the map's routes."""
    return run_apart(_ask(Starlette(routes=ROUTES), path, encoding))


async def _ask(app, path, encoding):
    scope = {
        "type": "http", "method": "GET", "path": path, "query_string": b"", "root_path": "",
        "headers": [(b"accept-encoding", encoding.encode())],
    }  # fmt: skip
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(part.get("body", b"") for part in sent[1:])


ROUTES = wire.routes()


def unpack(raw):
    """Read a package by its description: length, head, sections."""
    length = int.from_bytes(raw[:4], "little")
    head = json.loads(raw[4 : 4 + length])
    arrays = {}
    for name, (kind, at, size) in head["sections"].items():
        begin = 4 + length + at
        assert begin % 8 == 0
        block = raw[begin : begin + size]
        arrays[name] = block if kind == "bytes" else np.frombuffer(block, np.dtype(f"<{kind}"))
    return head["words"], arrays


def test_points_and_texts_arrive_as_they_were_packed_or_not():
    published = PackedPoints(POINTS).publish()
    status, headers, body = ask(f"/pointmap/{published['points']}")
    assert (status, headers["content-encoding"]) == (200, "gzip")
    assert "immutable" in headers["cache-control"]
    assert "private" in headers["cache-control"]
    _, arrays = unpack(gzip.decompress(body))
    np.testing.assert_array_equal(np.c_[arrays["x"], arrays["y"]], COORDS[[0, 2]])
    np.testing.assert_array_equal(arrays["ids"], [10, 12])

    _, headers, body = ask(f"/pointmap/{published['texts']}", "identity")
    assert "content-encoding" not in headers
    _, arrays = unpack(body)
    begins = [0, *arrays["ends"][:-1]]
    texts = [arrays["utf8"][b:e].decode() for b, e in zip(begins, arrays["ends"], strict=True)]
    assert texts == ["zero", "two ½"]


def test_plotly_comes_from_its_package_and_nothing_else_from_the_disk():
    status, headers, body = ask(f"/pointmap/{wire.version()}/plotly.min.js")
    assert status == 200
    assert headers["content-type"].startswith("text/javascript")
    assert b"plotly.js v" in gzip.decompress(body)[:100]
    assert len(body) < 1_700_000
    for name in ("element.py", "../element.py", "%2e%2e/element.py", "wire.pyc", "__init__.py"):
        assert ask(f"/pointmap/{wire.version()}/{name}")[0] == 404
    # A script of another version is not kept for ever under this address.
    assert ask("/pointmap/before/pointmap.js")[1]["cache-control"] == "no-store"


def test_bits_are_those_of_the_drawn_rows_and_rows_that_lie_nowhere_have_no_place():
    packed = PackedPoints(POINTS)
    assert np.unpackbits(np.frombuffer(bytes([0b10]), np.uint8), bitorder="little")[1]
    assert packed.bits([12, 13]) == "Ag=="
    assert packed.where(13) == {"id": 13, "x": 3.0, "y": 3.0}
    assert packed.where(14) is packed.where(99) is packed.where(None) is None
