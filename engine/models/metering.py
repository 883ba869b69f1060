"""What a run's models are used for: calls, tokens, cost; and the caps on them.

    meter = Meter(limits, holds, emit, used)        # `used` is what the log has of earlier starts
    models = meter.wrap(models, {"executor": prices, "curator": None, "judge": None})
    meter.report()                                  # emit `ModelsUsed` now, if anything changed

Each call waits until nothing holds requests back, and is counted for its role. `ModelsUsed` is emitted at most once in
five seconds. When a cap of `[limits]` is reached, the run is paused with the reason; who resumes it allows as much again.
A wrapped model can do what the model can: it is a `Scorer` and a `Chooser` where that is one.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from engine.core.events import ModelsUsed, ModelUse, Sink
from engine.core.holds import Holds
from engine.core.text import money
from engine.models.base import ChatModel, Chooser, Completion, Message, Models, ModelUnavailable, Sampling, Scorer
from engine.models.limits.retries import counted
from engine.models.prices import Prices
from engine.system.settings import LimitsSettings

T = TypeVar("T")

REPORT_SECONDS = 5.0
HOLD = "limits"


class _Role:
    """What one role's model was used for, as it is counted."""

    def __init__(self, used: ModelUse, prices: Prices | None) -> None:
        self.used = used
        self.prices = prices

    def count(self, completion: Completion | None, *, failed: bool, retries: int, seconds: float) -> None:
        """Count a call. `completion` is None where there is none, or no report of its tokens."""
        used, usage = self.used, completion.usage if completion else None
        cached, cost = used.cached_tokens, used.cost
        if usage is not None and usage.cached is not None:
            cached = (cached or 0) + usage.cached
        if usage is not None and self.prices is not None:
            cost = (cost or 0.0) + self.prices.cost(usage)
        self.used = ModelUse(
            used.role,
            used.calls + 1,
            used.prompt_tokens + (usage.prompt if usage else 0),
            used.completion_tokens + (usage.completion if usage else 0),
            cached,
            used.failures + failed,
            used.retries + retries,
            cost,
            used.seconds + seconds,
            used.unmeasured + (usage is None and not failed),
        )


class Meter:
    """Counts what the models of a run are used for, and keeps the caps."""

    def __init__(self, limits: LimitsSettings, holds: Holds, emit: Sink, used: Sequence[ModelUse] = ()) -> None:
        self._limits = limits
        self._holds = holds
        self._emit = emit
        self._roles = {use.role: _Role(use, None) for use in used}
        self._reported = list(used)
        self._at = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._allow_more()

    def wrap(self, models: Models, prices: Mapping[str, Prices | None]) -> Models:
        """The models, counted by role."""
        judge = models.judge
        return msgspec.structs.replace(
            models,
            executor=self._wrapped("executor", models.executor, prices),
            curator=self._wrapped("curator", models.curator, prices),
            judge=None if judge is None else self._wrapped("judge", judge, prices),
        )

    @property
    def used(self) -> list[ModelUse]:
        """What each role's model was used for, over all starts of the run."""
        return [role.used for role in self._roles.values()]

    def report(self) -> None:
        """Emit what was used, where it changed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (used := self.used) != self._reported:
            self._reported, self._at = used, time.monotonic()
            self._emit(ModelsUsed(used))

    async def measured(self, role: str, call: Callable[[], Awaitable[T]]) -> T:
        """The result of one call of a role's model, which waits while anything holds, and is counted."""
        await self._holds.passed()
        began = time.monotonic()
        completion, failed = None, False
        with counted() as retries:
            try:
                answer = await call()
                completion = answer if isinstance(answer, Completion) else None
                return answer
            except ModelUnavailable:
                failed = True
                raise
            finally:
                seconds = time.monotonic() - began
                self._roles[role].count(completion, failed=failed, retries=retries.count, seconds=seconds)
                self._report_soon()
                self._check()

    def _wrapped(self, role: str, model: ChatModel, prices: Mapping[str, Prices | None]) -> ChatModel:
        before = self._roles.get(role)
        self._roles[role] = _Role(before.used if before else ModelUse(role, 0, 0, 0), prices.get(role))
        scores, chooses = isinstance(model, Scorer), isinstance(model, Chooser)
        return _KINDS[scores, chooses](model, role, self)

    def _report_soon(self) -> None:
        """Report at once, or when five seconds have passed since the last report."""
        wait = self._at + REPORT_SECONDS - time.monotonic()
        if wait <= 0:
            self.report()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(wait, self.report)

    def _totals(self) -> tuple[float, int]:
        """Cost and tokens of all roles."""
        used = self.used
        return sum(use.cost or 0.0 for use in used), sum(use.prompt_tokens + use.completion_tokens for use in used)

    def _allow_more(self) -> None:
        """Allow, of each limit, the next multiple above what was used."""
        cost, tokens = self._totals()
        self._cost = _next_multiple(self._limits.cost, cost)
        self._tokens = _next_multiple(self._limits.tokens, tokens)

    def _check(self) -> None:
        """Pause the run where a cap is reached."""
        cost, tokens = self._totals()
        reached = [
            *([f"cost {money(cost)} (limits.cost is {self._limits.cost:g})"] if cost >= self._cost else []),
            *([f"used {tokens:,} tokens (limits.tokens is {self._limits.tokens:,})"] if tokens >= self._tokens else []),
        ]
        if reached:
            reason = f"the models have {' and '.join(reached)}; resume the run to allow as much again, or stop it"
            self._holds.hold(HOLD, reason, on_resume=self._allow_more)


def _next_multiple(limit: float, used: float) -> float:
    """The lowest multiple of `limit` above `used`; infinite without a limit."""
    return limit * (math.floor(used / limit) + 1) if limit else math.inf


class _Metered:
    """A `ChatModel` whose calls are measured."""

    def __init__(self, model: Any, role: str, meter: Meter) -> None:
        self._model = model
        self._role = role
        self._meter = meter

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, tools: list[dict[str, Any]] | None = None
    ) -> Completion:
        return await self._meter.measured(self._role, lambda: self._model.complete(messages, sampling, tools))


class _Scores(_Metered):
    """A `Scorer` whose calls are measured."""

    async def loglikelihood(
        self, messages: Sequence[Message], prefix: str, options: Sequence[str], max_prompt_tokens: int | None = None
    ) -> list[float]:
        scoring = lambda: self._model.loglikelihood(messages, prefix, options, max_prompt_tokens)  # noqa: E731
        return await self._meter.measured(self._role, scoring)


class _Chooses(_Metered):
    """A `Chooser` whose calls are measured."""

    async def choose(self, messages: Sequence[Message], options: Sequence[str], sampling: Sampling) -> Completion:
        return await self._meter.measured(self._role, lambda: self._model.choose(messages, options, sampling))


class _Both(_Scores, _Chooses):
    """A model that is both."""


_KINDS: Mapping[tuple[bool, bool], type[_Metered]] = MappingProxyType(
    {(False, False): _Metered, (True, False): _Scores, (False, True): _Chooses, (True, True): _Both}
)
"""The wrapper of a model, by whether it is a `Scorer` and a `Chooser`."""
