"""Sessions whose tab is gone are closed in time, and what they held goes."""

import time
from types import SimpleNamespace

import pytest
from browser import WITHOUT_MAPS, running_server
from visitor import Visitor

from pages.shared import access, housekeeping, server
from pages.shared.housekeeping import Housekeeper

TTL = 120.0


class Server:
    """Stands in for Streamlit's runtime: finds a session until its time is over, as the real one does."""

    def __init__(self, now):
        self.active, self.closed, self.left_at, self._now = set(), [], {}, now

    def leave(self, name):
        self.active.discard(name)
        self.left_at[name] = self._now()

    def is_active_session(self, name):
        return name in self.active

    def close_session(self, name):
        assert name not in self.active
        assert self._now() - self.left_at[name] < TTL, "too late: it cannot be found any more"
        self.closed.append(name)


@pytest.fixture
def house(monkeypatch):
    """A server with the sessions a and b, its housekeeper, and a clock to turn."""
    clock = SimpleNamespace(now=1000.0)
    server = Server(lambda: clock.now)
    emptied = []
    server.active = {"a", "b"}
    monkeypatch.setattr(access, "_sessions", dict.fromkeys("ab", (None, 0.0)))
    monkeypatch.setattr(housekeeping.runtime, "get_instance", lambda: server)
    monkeypatch.setattr(housekeeping, "give_back", lambda: None)
    housekeeper = Housekeeper(TTL, lambda: emptied.append(clock.now), lambda: clock.now)

    def pass_time(seconds, late=0.0):
        """Rounds as the clock goes, each of them late by some share of an interval."""
        end = clock.now + seconds
        while clock.now < end:
            clock.now += housekeeper.interval * (1 + late)
            housekeeper.go_round()

    return SimpleNamespace(server=server, clock=clock, emptied=emptied, pass_time=pass_time)


@pytest.mark.parametrize("late", [0.0, 0.4, 0.9])
def test_left_session_is_closed_before_it_expires(house, late):
    house.pass_time(500, late)
    assert house.server.closed == []
    house.server.leave("a")
    house.pass_time(60, late)
    assert house.server.closed == [], "a tab that comes back soon finds everything"
    house.pass_time(TTL, late)
    assert house.server.closed == ["a"]
    assert access.sessions() == ["b"]
    assert house.emptied == []
    house.server.leave("b")
    house.pass_time(TTL, late)
    assert house.server.closed == ["a", "b"]
    house.pass_time(TTL, late)
    assert house.server.closed == ["a", "b"]
    assert len(house.emptied) == 1


def test_tab_that_comes_back_starts_the_time_anew(house):
    house.server.leave("a")
    house.pass_time(70)
    house.server.active.add("a")
    house.pass_time(TTL)
    house.server.leave("a")
    house.pass_time(60)
    assert house.server.closed == []
    house.pass_time(60)
    assert house.server.closed == ["a"]


@pytest.mark.parametrize(("told", "compiles"), [(None, True), ("1", True), ("0", False)])
def test_map_is_compiled_ahead_unless_the_environment_forbids_it(monkeypatch, told, compiles):
    monkeypatch.setattr(server, "_engine", None)
    monkeypatch.setattr(server, "Engine", lambda **options: options)
    monkeypatch.delenv("ECOVAL_WARM_UP", raising=False)
    if told is not None:
        monkeypatch.setenv("ECOVAL_WARM_UP", told)
    assert server.engine() == {"warm_up": compiles}


@pytest.mark.pages
def test_idle_server_frees_what_the_last_session_held(tmp_path):
    ttl = {"STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": "6"}
    with running_server(tmp_path, **ttl, **WITHOUT_MAPS) as server:
        with Visitor(server.address) as watcher, Visitor(server.address) as visitor:
            assert visitor.put(b"x" * 1000, "unread.csv")[0] == 204
            deadline = time.monotonic() + 20
            while '"UploadedFileManager",cache=""} 1000' not in watcher.get("/_stcore/metrics"):
                assert time.monotonic() < deadline
                time.sleep(0.5)
        # Nobody is there now, and asking for the figures makes no session.
        deadline = time.monotonic() + 40
        while '"UploadedFileManager"' in watcher.get("/_stcore/metrics"):
            assert time.monotonic() < deadline, "the file of a closed tab is still there"
            time.sleep(0.5)
