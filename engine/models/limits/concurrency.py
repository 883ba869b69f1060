"""How many requests a server is sent at the same time: more while that makes it faster, fewer when it is at its limit.

    concurrency = Concurrency(ceiling=64)
    concurrency.limit                                   # at first 16; always 1 to 64
    concurrency.answered(tokens, full=True)             # an answer, with as many calls in work as the limit allows
    concurrency.refused(began)                          # the server took no more (429), or gave no answer in time
    concurrency.measured(event)                         # what the server reports of itself

Additive increase, multiplicative decrease: it doubles with each round of answers until the first sign of a limit, and grows
by one a round from then on. Signs are a refusal, a request that gets no answer in its time, a key-value cache that is nearly
full, a long queue at the server, and latency that grows while the tokens a second do not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from engine.core.events import ServerMeasured

START = 16
FULL_CACHE = 0.95
HIGH_CACHE = 0.85
"""Shares of the key-value cache from which requests are fewer, and from which they are no more than now."""
REST_SECONDS = 2.0
"""After it became fewer, what the server reports does not count again for this long."""
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
        self._changed = -math.inf  # when it last became fewer
        self._best: tuple[float, float] | None = None  # throughput, and the limit that it was reached with
        self._begin_window()

    @property
    def limit(self) -> int:
        """The most requests at the same time, now."""
        return max(1, int(self._limit))

    def answered(self, tokens: int, *, full: bool) -> None:
        """An answer of so many tokens; `full`: as many calls were in work as the limit allows."""
        self._answers += 1
        self._tokens += max(1, tokens)
        self._all_full &= full
        if full and self._growing:
            self._limit = min(self._ceiling, self._limit + (1.0 if self._doubling else 1.0 / self._limit))
        if self._answers >= max(WINDOW, self.limit):
            self._compare()
            self._begin_window()

    def refused(self, began: float) -> None:
        """The server took no more when a request came that `began` then, or let it wait too long. Those that began before
        the last change do not count again."""
        if began >= self._changed:
            self._fewer(0.5)

    def restart(self) -> None:
        """The server was away, and answers again."""
        self._limit, self._doubling, self._growing, self._best = 1.0, True, True, None
        self._begin_window()

    def measured(self, event: ServerMeasured) -> None:
        """What the server reports of itself."""
        cache, waiting, running = event.kv_cache or 0.0, event.waiting or 0, event.running or 0
        self._growing = cache < HIGH_CACHE and waiting <= max(1, running // 4)
        full = cache >= FULL_CACHE or waiting > max(4, running)
        if full and self._clock() >= self._changed + REST_SECONDS:
            self._fewer(0.75)

    def _fewer(self, share: float) -> None:
        self._limit, self._doubling = max(1.0, self._limit * share), False
        self._changed = self._clock()

    def _begin_window(self) -> None:
        self._answers = self._tokens = 0
        self._began = self._clock()
        self._all_full = True

    def _compare(self) -> None:
        """Go back to the limit of the best throughput where more gave clearly less. The best is forgotten slowly, since the
        work changes."""
        if not self._all_full:
            return
        throughput = self._tokens / max(self._clock() - self._began, 1e-9)
        if self._best is None or throughput >= self._best[0]:
            self._best = (throughput, self._limit)
            return
        best, limit = self._best
        if throughput < WORSE * best and self._limit > limit:
            self._limit, self._doubling = limit, False
        self._best = (0.98 * best, limit)
