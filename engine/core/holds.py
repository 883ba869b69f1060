"""What holds the work of a run back for a while: a server that is down, memory that runs out, a cap that is reached.

    holds = Holds()
    holds.hold("server", "the server at 127.0.0.1:8000 does not answer")      # by whoever finds it
    await holds.passed()                       # before each request to a model: waits while anything holds
    async with holds.timeout(600):             # a time limit that does not run while anything holds
        ...
    holds.lift("server")

`on_change` is called after each change of `reason`. A hold with `on_resume` may be ended by a person, who asks the run to go
on: `resume()` lifts it and calls that function. Everything here runs on one event loop, and in no other thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec


class Hold(msgspec.Struct, frozen=True):
    """Why work is held back. `on_resume` is None where only the one who holds can lift it."""

    reason: str
    on_resume: Callable[[], None] | None = None


class Holds:
    """The holds of one run, each by the name of who holds."""

    def __init__(self) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._holds: dict[str, Hold] = {}
        self._free = asyncio.Event()
        self._free.set()
        self._limits: dict[asyncio.Timeout, float | None] = {}

    @property
    def reason(self) -> str:
        """Why work is held back, all reasons together; "" where nothing holds."""
        return "; ".join(dict.fromkeys(hold.reason for hold in self._holds.values()))

    def hold(self, name: str, reason: str, on_resume: Callable[[], None] | None = None) -> None:
        """Hold work back until `name` lifts it. A second call of the same name replaces the reason."""
        before = self.reason
        if not self._holds:
            self._stop_limits()
        self._holds[name] = Hold(reason, on_resume)
        self._free.clear()
        if self.reason != before:
            self.on_change()

    def lift(self, name: str) -> None:
        """Let work go on, unless somebody else holds it back. Does nothing where `name` does not hold."""
        if self._holds.pop(name, None) is None:
            return
        if not self._holds:
            self._start_limits()
            self._free.set()
        self.on_change()

    def resume(self) -> None:
        """Lift the holds that a person may end."""
        for name, hold in list(self._holds.items()):
            if hold.on_resume is not None:
                hold.on_resume()
                self.lift(name)

    async def passed(self) -> None:
        """Wait until nothing holds."""
        await self._free.wait()

    @asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncIterator[asyncio.Timeout]:
        """As `asyncio.timeout`, but time in which anything holds does not count. Raises `TimeoutError`."""
        held = bool(self._holds)
        limit = asyncio.timeout(None if held else seconds)
        async with limit:
            self._limits[limit] = seconds if held else None
            try:
                yield limit
            finally:
                del self._limits[limit]

    def _stop_limits(self) -> None:
        """Keep what is left of each time limit, and let it run no more."""
        now = asyncio.get_running_loop().time()
        for limit in self._limits:
            if not limit.expired() and (when := limit.when()) is not None:
                self._limits[limit] = max(0.0, when - now)
                limit.reschedule(None)

    def _start_limits(self) -> None:
        """Let each time limit run again for what was left of it."""
        now = asyncio.get_running_loop().time()
        for limit, left in self._limits.items():
            if left is not None and not limit.expired():
                limit.reschedule(now + left)
                self._limits[limit] = None
