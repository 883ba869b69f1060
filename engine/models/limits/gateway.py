"""Calls to one server, within what it can do: at most so many at once, at a rate, again after a failure, not in an outage.

    gateway = Gateway("http://127.0.0.1:8000", settings, holds, probe)
    completion = await gateway.call(attempt, tokens=prompt_tokens + max_tokens)
    gateway.measured(event)          # a `ServerMeasured`, where the server has metrics
    await gateway.close()

`attempt()` is a coroutine function that makes one HTTP request. It raises `Busy` or `Retryable` where the same request may
succeed later; everything else that it raises, and its result, is an answer and ends the call. `probe()` is one too: a
request that costs nothing, such as the list of models.

A call that fails is made again after a wait that grows: `settings.retries` times, within the budget that all calls share
(`rates.RetryBudget`); then `call` raises `ModelUnavailable`. When the server answers nobody any more, the circuit breaker
(`breaker`) pauses the run, and the calls wait and are made again, however long it takes: an outage loses nothing. Waiting
here does not count for the callers' time limits. The order is that of the first arrival, so that no call starves.

A server that hangs is found before a request reaches `answer_seconds`: where requests are in work and none was answered for
`SILENT_SECONDS`, it is probed, and a failing probe opens the breaker.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from engine.core.events import ServerMeasured
from engine.core.holds import Holds
from engine.core.lockstep import elsewhere
from engine.models.base import Completion, ModelUnavailable
from engine.models.limits.breaker import Breaker, Probe, nothing
from engine.models.limits.concurrency import Concurrency
from engine.models.limits.errors import Busy, Retryable, Slow
from engine.models.limits.line import Line
from engine.models.limits.rates import Rate, RetryBudget
from engine.models.limits.retries import note_retry
from engine.models.limits.settings import LimitedSettings

T = TypeVar("T")

BACK_OFF_SECONDS = 0.5
MOST_BACK_OFF_SECONDS = 20.0
TRIALS = 3
OWN_SECONDS = 60.0
"""So often one call may be the trial of a half-open breaker and fail, and for so long; then the fault may be its own. What a
gateway lists while the model behind it starts again is not taken for that."""
REFUSALS = 30
"""So often one call may be refused for the load while others are answered."""
SILENT_SECONDS = 30.0
"""A server that works on requests and answers none for so long is probed."""


class _Call:
    """What happened to one call so far."""

    def __init__(self, ticket: int) -> None:
        self.ticket = ticket
        self.failures = self.refusals = self.trials = 0
        self.began = 0.0
        self.trial = False
        """Whether its present attempt is the trial of a half-open breaker."""
        self.seen = 0
        """How many calls the server had answered when the present attempt began."""
        self.answers: int | None = None
        """How many calls the server had answered at the first failure."""
        self.first: float | None = None
        """When it failed first."""

    def has_own_fault(self) -> bool:
        """Whether it failed so often and for so long that the fault may be its own."""
        return self.trials >= TRIALS and self.first is not None and time.monotonic() - self.first >= OWN_SECONDS

    def start_again(self, ticket: int) -> None:
        """Forget the failures, which were those of the server."""
        self.ticket, self.failures, self.answers = ticket, 0, None


class Gateway:
    """The calls to one server. `name` is its address, as people are shown it."""

    def __init__(self, name: str, settings: LimitedSettings, holds: Holds, probe: Probe = nothing) -> None:
        self.name = name
        self._settings = settings
        self._holds = holds
        self._concurrency = Concurrency(settings.concurrency)
        self._line = Line()
        self._breaker = Breaker(name, holds, probe, self._breaker_changed, lambda: self._line.waiting)
        self._requests = Rate(settings.requests_per_minute)
        self._tokens = Rate(settings.tokens_per_minute)
        self._budget = RetryBudget()
        self._tickets = itertools.count()
        self._not_before = 0.0
        self._answers = 0
        self._failing: set[_Call] = set()  # since the last answer
        self._probes = probe is not nothing
        self._heard = 0.0
        """When the server gave its last sign, or began to work on requests."""
        self._watching: asyncio.Task[None] | None = None
        self._random = random.Random()  # its own: the run's draws are not touched
        self._set_capacity()

    @property
    def concurrency(self) -> int:
        """How many requests the server is sent at the same time, now."""
        return self._concurrency.limit

    @property
    def working(self) -> int:
        """How many requests are not answered yet."""
        return self._line.working

    async def call(self, attempt: Callable[[], Awaitable[T]], tokens: int = 0) -> T:
        """The result of `attempt`, which is made as often as needed. `tokens` is an estimate of what it uses.

        Raises `ModelUnavailable`, and what `attempt` raises besides `Retryable`.
        """
        call = _Call(next(self._tickets))
        self._budget.called()
        with elsewhere():
            while True:
                try:
                    return await self._once(call, attempt, tokens)
                except Retryable as error:
                    wait = self._after(call, error)
                note_retry()
                with self._holds.uncounted():
                    await asyncio.sleep(wait)

    def measured(self, event: ServerMeasured) -> None:
        """Take in what the server reports of itself."""
        self._concurrency.measured(event)
        self._set_capacity()

    async def close(self) -> None:
        """End what runs beside the calls."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._breaker.close()

    async def _once(self, call: _Call, attempt: Callable[[], Awaitable[T]], tokens: int) -> T:
        """One attempt, in its turn. Raises `Retryable` and what `attempt` raises."""
        with self._holds.uncounted():
            turn = await self._turn(call)
        call.trial = self._breaker.state == "half open"
        try:
            if (wait := max(self._requests.take(1), self._tokens.take(tokens))) > 0:
                with self._holds.uncounted():
                    await asyncio.sleep(wait)
            call.began, call.seen = time.monotonic(), self._answers
            self._watch()
            full = self._line.working >= self._line.capacity
            result = await self._limited(attempt)
            used = result.usage.prompt + result.usage.completion if isinstance(result, Completion) else 0
            self._concurrency.answered(used, full=full)
            self._tokens.take(used - tokens if used else 0)
            self._answered()
            return result
        except Retryable as error:
            self._tokens.take(-tokens)
            self._failed(call, error)
            raise
        except Exception:
            self._answered()  # a final error is an answer, too
            raise
        finally:
            self._leave(turn)

    async def _turn(self, call: _Call) -> int:
        """A turn at a time at which requests may be sent."""
        while True:
            turn = await self._line.enter(call.ticket)
            try:
                if (wait := self._not_before - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                await self._holds.passed(besides=self._breaker.hold)
            except asyncio.CancelledError:
                self._leave(turn)
                raise
            if self._breaker.state != "open":
                return turn
            self._line.leave(turn)

    def _leave(self, turn: int) -> None:
        self._line.leave(turn)
        if not self._line.working and not self._line.waiting:
            self._breaker.idle()

    async def _limited(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The attempt, within `answer_seconds`."""
        seconds = self._settings.answer_seconds
        try:
            async with asyncio.timeout(seconds) as limit:
                return await attempt()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise Slow(f"no answer within {seconds:g} s; where it is only slow, raise answer_seconds") from error

    def _watch(self) -> None:
        """A request begins: see to it that somebody looks after a server that answers none."""
        if self._line.working == 1:
            self._heard = time.monotonic()
        if self._probes and (self._watching is None or self._watching.done()):
            self._watching = asyncio.create_task(self._look_after(), name=f"looking after {self.name}")

    async def _look_after(self) -> None:
        """Probe the server whenever it has given no sign for `SILENT_SECONDS`, as long as requests are in work."""
        while self._line.working:
            left = self._heard + SILENT_SECONDS - time.monotonic()
            if left > 0:
                await asyncio.sleep(left)
            else:
                await self._breaker.look()
                self._heard = time.monotonic()

    def _answered(self) -> None:
        self._answers += 1
        self._heard = time.monotonic()
        self._failing.clear()
        self._breaker.answered()
        self._set_capacity()

    def _failed(self, call: _Call, error: Retryable) -> None:
        """Take in a failure, before the call leaves its turn to another."""
        call.answers = self._answers if call.answers is None else call.answers
        call.first = time.monotonic() if call.first is None else call.first
        self._failing.add(call)
        self._heard = time.monotonic()
        call.trials += call.trial
        slow, answers_others = isinstance(error, Slow), self._answers > call.seen
        if call.trial or (self._breaker.state == "closed" and not (slow and answers_others)):
            self._breaker.failed(error)
        if slow and not answers_others:  # nobody was answered for `answer_seconds`
            self._breaker.open(error)
        if isinstance(error, Busy | Slow):
            self._concurrency.refused(call.began)
            self._set_capacity()
        if isinstance(error, Busy):
            call.refusals += 1
        else:
            call.failures += 1

    def _after(self, call: _Call, error: Retryable) -> float:
        """How long a call that failed waits before it joins the line again. Raises `ModelUnavailable` where it does not."""
        if self._breaker.state != "closed":
            if self._probes and call.has_own_fault() and self._failing == {call}:
                raise self._unavailable(error)
            call.start_again(next(self._tickets))  # behind the others: the next trial is another call's
            return 0.0
        if isinstance(error, Busy):
            return self._after_refusal(call, error)
        if call.failures > self._settings.retries and self._answers == call.answers:  # nobody was answered meanwhile
            self._breaker.open(error)
            call.start_again(next(self._tickets))
            return 0.0
        if call.failures > self._settings.retries or not self._budget.take():
            raise self._unavailable(error)
        return max(error.after or 0.0, self._back_off(call.failures))

    def _after_refusal(self, call: _Call, error: Busy) -> float:
        """All calls wait as long as the server asks for, and longer where it answers nobody; the one that was refused keeps
        its place in the line."""
        silent = self._answers == call.answers  # nobody was answered meanwhile
        if call.refusals > REFUSALS and not silent:
            raise self._unavailable(error)
        wait = error.after or 0.0
        if silent or error.after is None:
            wait = max(wait, self._back_off(call.refusals))
        self._not_before = max(self._not_before, time.monotonic() + wait)
        return 0.0

    def _back_off(self, count: int) -> float:
        """A random wait that doubles with each failure, up to `MOST_BACK_OFF_SECONDS`."""
        longest = min(MOST_BACK_OFF_SECONDS, BACK_OFF_SECONDS * 2.0 ** min(count - 1, 10))
        return longest * self._random.uniform(0.5, 1.0)

    def _unavailable(self, error: Retryable) -> ModelUnavailable:
        return ModelUnavailable(f"the server {self.name} gave no answer: {error.reason}")

    def _breaker_changed(self) -> None:
        if self._breaker.state != "open":
            self._line.renew()
        if self._breaker.state == "closed":
            self._concurrency.restart()
        self._set_capacity()

    def _set_capacity(self) -> None:
        """Let as many calls work as the server can take now."""
        capacities = {"closed": self._concurrency.limit, "half open": 1, "open": 0}
        self._line.open(capacities[self._breaker.state])
