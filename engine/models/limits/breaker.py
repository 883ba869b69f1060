"""The circuit breaker of one server: it opens in an outage, pauses the run with the reason, and closes with the next answer.

    breaker.failed(error)        # after several failures in succession it opens
    breaker.answered()           # anything that shows that the server works

Open, nothing is sent but `probe()`, after waits that double up to 30 s. When that succeeds it is half open: one waiting call
goes as a trial. With its answer the breaker closes; with its failure it is open again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal

from engine.core.holds import Holds
from engine.models.limits.errors import Busy, Retryable

FAILURES = 5
"""So many failures in succession open the breaker."""
BUSY_SECONDS = 5.0
"""Refusals for the load open it only after nothing was answered for so long."""
LONG_SECONDS = 10.0
"""So long a wait that the server asks for opens it at once."""
FIRST_SECONDS = 1.0
MOST_SECONDS = 30.0
"""The waits between probes."""
PROBE_SECONDS = 10.0
"""How long a probe may take."""

Probe = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """The probe of a server that cannot be asked anything small: the trial call is all."""


class Breaker:
    """The breaker of the server called `name`. `on_change` is called after each change of `state`; `waiting()` is how many
    calls could be the trial."""

    def __init__(
        self, name: str, holds: Holds, probe: Probe, on_change: Callable[[], None], waiting: Callable[[], int]
    ) -> None:
        self.state: Literal["closed", "open", "half open"] = "closed"
        self.unanswered = 0
        self._name = name
        self._holds = holds
        self._probe = probe
        self._on_change = on_change
        self._waiting = waiting
        self._wait = FIRST_SECONDS
        self._recovering: asyncio.Task[None] | None = None
        self._last_answer = time.monotonic()

    @property
    def hold(self) -> str:
        """The name of its hold."""
        return f"server {self._name}"

    def answered(self) -> None:
        """The server answered; an error that is final is an answer too."""
        self.unanswered = 0
        self._last_answer = time.monotonic()
        if self.state != "closed":
            self._close()

    def failed(self, error: Retryable) -> None:
        """A request failed."""
        self.unanswered += 1
        enough = self.unanswered >= FAILURES
        if isinstance(error, Busy):
            silent = time.monotonic() - self._last_answer >= BUSY_SECONDS
            enough = (enough and silent) or (error.after or 0.0) >= LONG_SECONDS
        if self.state == "half open" or (self.state == "closed" and enough):
            self.open(error)

    def open(self, error: Retryable) -> None:
        """Open, and pause the run, until the server answers."""
        if self.state == "closed":
            self._wait = FIRST_SECONDS
        if self.state != "open":
            self.state = "open"
            self._wait = max(self._wait, error.after or 0.0)
            self._tell(error)
            self._on_change()
            self._recovering = asyncio.create_task(self._recover(), name=f"probing {self._name}")

    def idle(self) -> None:
        """No call waits any more that could be the trial."""
        if self.state == "half open":
            self._close()

    async def close(self) -> None:
        """End the probing, at the end of the work."""
        if self._recovering is not None:
            self._recovering.cancel()
            await asyncio.gather(self._recovering, return_exceptions=True)
        self._holds.lift(self.hold)

    def _tell(self, error: Retryable) -> None:
        does = "takes no requests" if isinstance(error, Busy) else "does not answer"
        self._holds.hold(
            self.hold,
            f"the server {self._name} {does} ({error.reason}); it is asked again until it does, and the run then goes on",
        )

    async def _recover(self) -> None:
        """Probe until the server answers, then let one call try."""
        while True:
            await asyncio.sleep(self._wait)
            self._wait = min(MOST_SECONDS, 2 * self._wait)
            if (error := await self._probed()) is None:
                break
            self._tell(error)
        self.state = "half open"
        self._on_change()
        if not self._waiting():
            self._close()

    async def _probed(self) -> Retryable | None:
        """Why the probe failed; None where the server answered, with an error that is final too."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._probe()
        except TimeoutError:
            return Retryable(f"no answer within {PROBE_SECONDS:g} s")
        except Retryable as error:
            return error
        except Exception:  # noqa: BLE001  the trial call meets it too, and raises it
            return None
        return None

    def _close(self) -> None:
        if self._recovering is not None and self._recovering is not asyncio.current_task():
            self._recovering.cancel()
        self.state = "closed"
        self.unanswered = 0
        self._holds.lift(self.hold)
        self._on_change()
