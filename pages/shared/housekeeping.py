"""Memory of sessions that have ended goes back to the system.

Streamlit keeps a closed tab for two minutes, in case it comes back, but looks at the time only when another
tab closes: the last sessions of a day stay for the night. What they held is partly in reference cycles, and
the allocators keep what they were given back. None of the three mends itself on a server that idles.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import streamlit as st
from streamlit import runtime

from pages.shared import access

MAX_INTERVAL_SECONDS = 10.0


class Housekeeper:
    """Closes sessions whose tab is gone and frees their memory; calls `when_empty` after the last one."""

    def __init__(
        self,
        ttl: float,
        when_empty: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Streamlit finds no session any more after `ttl` seconds, so that this one must come before.
        self.interval = min(MAX_INTERVAL_SECONDS, ttl / 6)
        # Found one interval late and closed another late, a session still has a third until it expires.
        self._patience = ttl - 3 * self.interval
        self._when_empty, self._clock = when_empty, clock
        self._left_at: dict[str, float] = {}

    def go_round(self) -> None:
        """Close sessions that were left long enough ago; on the thread of the server's event loop."""
        server, now = runtime.get_instance(), self._clock()
        known = access.sessions()
        left = [name for name in known if not server.is_active_session(name)]
        self._left_at = {name: self._left_at.get(name, now) for name in left}
        gone = [name for name, since in self._left_at.items() if now - since >= self._patience]
        for session_id in gone:
            server.close_session(session_id)
            access.forget_session(session_id)
            del self._left_at[session_id]
        if gone:
            if len(gone) == len(known):
                self._when_empty()
            give_back()


def give_back() -> None:
    """Collect what is in cycles, and return to the system what the allocators hold in reserve."""
    gc.collect()
    if (arrow := sys.modules.get("pyarrow")) is not None:
        arrow.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@asynccontextmanager
async def keep_house(when_empty: Callable[[], object]) -> AsyncIterator[None]:
    """Look after the memory of ended sessions for as long as the server runs."""
    housekeeper = Housekeeper(st.get_option("server.disconnectedSessionTTL"), when_empty)

    async def go_on() -> None:
        while True:
            await asyncio.sleep(housekeeper.interval)
            try:
                housekeeper.go_round()
            except Exception:
                # The server does not end with its housekeeper.
                logging.getLogger(__name__).exception("Housekeeping failed")

    task = asyncio.create_task(go_on(), name="housekeeping")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
