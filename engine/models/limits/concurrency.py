"""How many requests a server is sent at the same time: more while that makes it faster, fewer when it is at its limit.

    concurrency = Concurrency(ceiling=64)
    concurrency.limit                                   # at first 8; always 1 to 64
    concurrency.answered(seconds, tokens, full=True)    # an answer; `full`: as many were in work as the limit allows
    concurrency.refused()                               # the server takes no more (429)
    concurrency.measured(event)                         # what the server reports of itself

Additive increase, multiplicative decrease: it doubles with each round of answers until the first sign of a limit, and grows
by one a round from then on. Signs are a refusal, a key-value cache that is nearly full, a long queue at the server, and
latency that grows while the tokens a second do not.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.core.events import ServerMeasured

START = 8
FULL_CACHE = 0.95
HIGH_CACHE = 0.85
"""Shares of the key-value cache from which requests are fewer, and from which they are no more than now."""
REST_SECONDS = 2.0
"""After it became fewer, no earlier sign counts again for this long."""
WORSE = 0.85
"""A greater concurrency that gives less than this share of the best throughput is not worth it."""
WINDOW = 16
"""The fewest answers that throughput is taken from."""


class Concurrency:
    """The limit of one server, by what it answers. `ceiling` is the highest."""

    def __init__(self, ceiling: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._ceiling = ceiling
        self._clock = clock
        self._limit = float(min(ceiling, START))
        self._doubling = True
        self._growing = True  # as far as the server's own measures say
        self._rested = clock()
        self._best: tuple[float, float] | None = None  # throughput, and the limit that it was reached with
        self._begin_window()

    @property
    def limit(self) -> int:
        """The most requests at the same time, now."""
        return max(1, int(self._limit))

    def answered(self, seconds: float, tokens: int, *, full: bool) -> None:
        """An answer of so many tokens after so many seconds."""
        self._answers += 1
        self._seconds += seconds
        self._tokens += max(1, tokens)
        self._all_full &= full
        if full and self._growing:
            self._limit = min(self._ceiling, self._limit + (1.0 if self._doubling else 1.0 / self._limit))
        if self._answers >= max(WINDOW, self.limit):
            self._compare()
            self._begin_window()

    def refused(self) -> None:
        """The server takes no more."""
        self._fewer(0.5)

    def restart(self) -> None:
        """The server was away, and answers again."""
        self._limit, self._doubling, self._growing, self._best = 1.0, True, True, None
        self._begin_window()

    def measured(self, event: ServerMeasured) -> None:
        """What the server reports of itself."""
        cache, waiting, running = event.kv_cache or 0.0, event.waiting or 0, event.running or 0
        self._growing = cache < HIGH_CACHE and waiting <= max(1, running // 4)
        if cache >= FULL_CACHE or waiting > max(4, running):
            self._fewer(0.75)

    def _fewer(self, share: float) -> None:
        now = self._clock()
        if now >= self._rested:
            self._limit, self._doubling = max(1.0, self._limit * share), False
            self._rested = now + REST_SECONDS

    def _begin_window(self) -> None:
        self._answers = self._tokens = 0
        self._seconds = 0.0
        self._all_full = True

    def _compare(self) -> None:
        """Go back to the limit of the best throughput where more gave clearly less. The best is forgotten slowly, since the
        work changes."""
        if not self._all_full:
            return
        throughput = self._tokens / max(self._seconds, 1e-9) * self._limit  # Little's law
        if self._best is None or throughput >= self._best[0]:
            self._best = (throughput, self._limit)
            return
        best, limit = self._best
        if throughput < WORSE * best and self._limit > limit:
            self._limit, self._doubling = limit, False
        self._best = (0.98 * best, limit)
