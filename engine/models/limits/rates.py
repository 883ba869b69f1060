"""Rates a minute, and the share of calls that may be retries.

rate = Rate(60)
await asyncio.sleep(rate.take(1))        # how long to wait for it
rate.take(-20)                           # what was taken too much
"""

from __future__ import annotations

import time
from collections.abc import Callable

MINUTE = 60.0
BURST_SECONDS = 6.0
"""So many seconds' worth may be used at once after a time of rest."""


class Rate:
    """An allowance that refills steadily: `a_minute` units; 0: without limit. It may be overdrawn, by waiting for it."""

    def __init__(self, a_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_second = a_minute / MINUTE
        self._most = max(1.0, self._a_second * BURST_SECONDS)
        self._clock = clock
        self._left = self._most
        self._at = clock()

    def take(self, units: float) -> float:
        """Take so many units; the seconds to wait until they are there. Negative units are given back."""
        if not self._a_second:
            return 0.0
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._a_second) - units
        self._at = now
        return max(0.0, -self._left / self._a_second)


class RetryBudget:
    """The retries that all calls of a server share: in a minute as many as there are calls, and at least thirty. So a server
    that answers badly gets no more than twice the requests, and one that answers six of ten well loses few calls."""

    SHARE = 1.0
    LEAST = 30

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._calls = self._retries = 0
        self._last_calls = 0

    def called(self) -> None:
        """Count a call."""
        self._turn()
        self._calls += 1

    def take(self) -> bool:
        """Whether there is a retry left; it is taken then."""
        self._turn()
        if self._retries >= max(self.LEAST, self.SHARE * max(self._calls, self._last_calls)):
            return False
        self._retries += 1
        return True

    def _turn(self) -> None:
        """Begin a new window where the last is over."""
        now = self._clock()
        if now - self._since >= MINUTE:
            self._last_calls, self._calls, self._retries, self._since = self._calls, 0, 0, now
