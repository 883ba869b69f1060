"""The circuit breaker of one server: it opens in an outage, pauses the run with the reason, and closes with the next answer.

    breaker.failed(error)        # after several failures in succession it opens
    breaker.answered()           # anything that shows that the server works

    await breaker.look()         # a server that answers nothing for long: it opens where a probe fails too

Open, nothing is sent but `probe()`, after waits of a tenth of the outage so far, of 1 to 5 s: so the run goes on within
seconds after the server is back. When that succeeds it is half open: one waiting call goes as a trial. With its answer the
breaker closes; with its failure it is open again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
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
MOST_SECONDS = 5.0
"""The shortest and the longest wait between probes."""
WAIT_SHARE = 0.1
"""A wait between probes, as a share of the time since the first failure."""
DAY_SECONDS = 86_400.0
"""A server may ask for no longer wait than this."""
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
        self._asked = asyncio.Event()
        self._recovering: asyncio.Task[None] | None = None
        self._since = 0.0  # the first of the failures in succession
        self._reason = ""  # of its hold, "" where it holds nothing
        self._kind = ("", "", "")

    @property
    def hold(self) -> str:
        """The name of its hold; two roles may have breakers of their own for one server."""
        return f"server {self._name} {id(self)}"

    def answered(self) -> None:
        """The server answered; an error that is final is an answer too."""
        self.unanswered = 0
        if self.state != "closed":
            self._close()

    def failed(self, error: Retryable) -> None:
        """A request failed."""
        now = time.monotonic()
        if not self.unanswered:
            self._since = now
        self.unanswered += 1
        silent = now - self._since
        enough = self.unanswered >= FAILURES and (silent >= BUSY_SECONDS or not isinstance(error, Busy))
        if self.state == "half open" or enough or (error.after or 0.0) >= LONG_SECONDS:
            self.open(error)

    def open(self, error: Retryable) -> None:
        """Open, and pause the run, until the server answers."""
        if self.state != "open":
            if not self.unanswered:
                self._since = time.monotonic()
            self.state = "open"
            self._wait = self._wait_after(error)
            self._tell(error)
            self._on_change()
            self._recovering = asyncio.create_task(self._recover(), name=f"probing {self._name}")

    async def look(self) -> None:
        """Probe a server that has answered nothing for long, and open where that fails too."""
        if self.state != "open" and (error := await self._probed()) is not None:
            self.open(error)

    def idle(self) -> None:
        """No call waits any more that could be the trial."""
        if self.state == "half open":
            self._close()

    async def close(self) -> None:
        """End the probing, at the end of the work."""
        if self._recovering is not None:
            self._recovering.cancel()
            await asyncio.gather(self._recovering, return_exceptions=True)
        self._lift()

    def _wait_after(self, error: Retryable) -> float:
        """How long to wait before the next probe: by how long the server is away, or as long as it asks for."""
        away = time.monotonic() - self._since
        return max(FIRST_SECONDS, min(MOST_SECONDS, WAIT_SHARE * away), min(error.after or 0.0, DAY_SECONDS))

    def _tell(self, error: Retryable) -> None:
        """Hold the run with the reason. One that differs from the last in its details alone, such as a number of bytes, is
        not reported again: the log would get one with each attempt."""
        does = "takes no requests" if isinstance(error, Busy) else "does not answer"
        after = f" {self._wait:.0f} s from now" if self._wait > MOST_SECONDS else ""
        kind = does, error.reason.partition(" (")[0], after
        if not self._reason or kind != self._kind:
            self._kind = kind
            self._reason = (
                f"the server {self._name} {does} ({error.reason}); the run waits, asks it again{after}, and goes on when it "
                "answers; resume the run to ask it at once"
            )
            self._holds.hold(self.hold, self._reason, on_resume=self._ask_now)

    def _ask_now(self) -> None:
        """A person resumes the run: probe at once, and let it wait until then."""
        if self.state == "open":
            self._asked.set()
        self._holds.hold(self.hold, self._reason, on_resume=self._ask_now)

    async def _recover(self) -> None:
        """Probe until the server answers, then let one call try."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._wait):
                    await self._asked.wait()
            self._asked.clear()
            if (error := await self._probed()) is None:
                break
            self._wait = self._wait_after(error)
            self._tell(error)
        if self._waiting():
            self.state = "half open"
            self._on_change()
        else:
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
        self._lift()
        self._on_change()

    def _lift(self) -> None:
        self._reason = ""
        self._holds.lift(self.hold)
