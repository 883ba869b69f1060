"""What makes a run wait for a while: a server that is down, memory that runs out, a cap that is reached.

    holds = Holds()
    holds.hold("server", "the server at 127.0.0.1:8000 does not answer")      # by whoever finds it
    await holds.passed()                       # before each request to a model: waits while anything holds
    async with holds.timeout(600, "the episode"):    # a time limit that does not run while anything holds
        with holds.uncounted():                # nor while this task waits here for its turn
            ...
    async with holds.phase("the rollouts of step 3", 3600):    # the deadline of all time limits inside, `uncounted` or not
        ...
    holds.lift("server")

`on_change` is called after each change of `reason`. A hold with `on_resume` may be ended by a person, who asks the run to go
on: `resume()` calls that function and lifts it. Everything here runs on one event loop, and in no other thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar

import msgspec


class Hold(msgspec.Struct, frozen=True):
    """Why work waits. `on_resume` is None where only the one who holds can lift it."""

    reason: str
    on_resume: Callable[[], None] | None = None


class TimedOut(TimeoutError):
    """A time limit passed. The message says whose: "the episode took over 600 s", or "deadline: the rollouts of step 3 took
    over 3600 s" where it is that of a phase."""


class _Limit:
    """A time limit that can stand still. `left` are its seconds while it does, None while it runs."""

    def __init__(self, timeout: asyncio.Timeout, left: float) -> None:
        self._timeout = timeout
        self._left: float | None = left
        self.waits = 0

    def stop(self) -> None:
        """Keep what is left, and run no more."""
        if self._left is None and not self._timeout.expired() and (when := self._timeout.when()) is not None:
            self._left = max(0.0, when - asyncio.get_running_loop().time())
            self._timeout.reschedule(None)

    def run(self) -> None:
        """Run for what was left."""
        if self._left is not None and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._left)
            self._left = None


_limits_of_task: ContextVar[tuple[_Limit, ...]] = ContextVar("time limits", default=())
"""The time limits that the present task is inside of."""


class Phase:
    """Work of many tasks that shares a deadline. `over`: it has passed."""

    def __init__(self, reason: str) -> None:
        self.over = False
        self._reason = reason
        self._inside: set[asyncio.Timeout] = set()

    def end(self) -> None:
        """The deadline passes: the time limits inside end, and those that begin from now on."""
        self.over = True
        for timeout in self._inside:
            if not timeout.expired():
                timeout.reschedule(asyncio.get_running_loop().time())

    def check(self) -> None:
        """Raises `TimedOut` where the deadline has passed."""
        if self.over:
            raise TimedOut(self._reason)

    @contextmanager
    def around(self, timeout: asyncio.Timeout) -> Iterator[None]:
        """Let `timeout` end with the phase."""
        self._inside.add(timeout)
        try:
            yield
        finally:
            self._inside.remove(timeout)


_phases_of_task: ContextVar[tuple[Phase, ...]] = ContextVar("phases", default=())
"""The phases that the present task is a part of, with the tasks that it begins."""


class Holds:
    """The holds of one run, each by the name of who holds."""

    def __init__(self) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._holds: dict[str, Hold] = {}
        self._changed = asyncio.Event()
        self._limits: set[_Limit] = set()

    @property
    def reason(self) -> str:
        """Why work waits, all reasons together; "" where nothing holds."""
        return "; ".join(dict.fromkeys(hold.reason for hold in self._holds.values()))

    def hold(self, name: str, reason: str, on_resume: Callable[[], None] | None = None) -> None:
        """Let work wait until `name` lifts the hold. A second call of the same name replaces the reason."""
        before = self.reason
        self._holds[name] = Hold(reason, on_resume)
        for limit in self._limits:
            limit.stop()
        if self.reason != before:
            self.on_change()

    def lift(self, name: str) -> None:
        """Let work go on, unless something else holds. Does nothing where `name` does not hold."""
        before = self.reason
        if self._holds.pop(name, None) is None:
            return
        for limit in self._limits:
            self._continue(limit)
        self._changed.set()
        self._changed = asyncio.Event()
        if self.reason != before:
            self.on_change()

    def resume(self) -> None:
        """Lift the holds that a person may end. `on_resume` may hold again, for another reason."""
        for name, hold in list(self._holds.items()):
            if hold.on_resume is not None:
                hold.on_resume()
                if self._holds.get(name) is hold:
                    self.lift(name)

    async def passed(self, besides: str = "") -> None:
        """Wait until nothing holds, besides the hold of that name."""
        while any(name != besides for name in self._holds):
            await self._changed.wait()

    @asynccontextmanager
    async def timeout(self, seconds: float, what: str = "it", *, whole: bool = False) -> AsyncIterator[asyncio.Timeout]:
        """As `asyncio.timeout`, but time in which anything holds, or that is `uncounted`, does not count; with `whole`, what
        is `uncounted` counts too. `what` is for the message. It ends with each phase that it is in.

        Raises `TimedOut`.
        """
        phases = _phases_of_task.get()
        for phase in phases:
            phase.check()
        try:
            async with asyncio.timeout(None) as timeout:
                limit = _Limit(timeout, seconds)
                self._continue(limit)
                self._limits.add(limit)
                limits = _limits_of_task.get()
                token = _limits_of_task.set(limits if whole else (*limits, limit))
                try:
                    with ExitStack() as inside:
                        for phase in phases:
                            inside.enter_context(phase.around(timeout))
                        yield timeout
                finally:
                    _limits_of_task.reset(token)
                    self._limits.remove(limit)
        except TimeoutError as error:
            if isinstance(error, TimedOut) or not timeout.expired():
                raise
            for phase in phases:
                phase.check()
            raise TimedOut(f"{what} took over {seconds:g} s") from error

    @asynccontextmanager
    async def phase(self, what: str, seconds: float) -> AsyncIterator[Phase]:
        """A deadline for what is done in the block, by this task and the tasks that it begins; 0: none.

        When it passes, each time limit inside ends with `TimedOut`, and so does each that begins later; the block goes on.
        Time in which anything holds does not count.
        """
        phase = Phase(f"deadline: {what} took over {seconds:g} s")
        watching = asyncio.create_task(self._watch(phase, seconds), name=f"deadline of {what}")
        token = _phases_of_task.set((*_phases_of_task.get(), phase))
        try:
            yield phase
        finally:
            _phases_of_task.reset(token)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self, phase: Phase, seconds: float) -> None:
        """End `phase` after `seconds`."""
        if seconds:
            with suppress(TimedOut):
                async with self.timeout(seconds, whole=True):
                    await asyncio.Event().wait()
            phase.end()

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Time in here does not count for the time limits of this task, nor for those of the task that began it."""
        limits = [limit for limit in _limits_of_task.get() if limit in self._limits]
        for limit in limits:
            limit.waits += 1
            limit.stop()
        try:
            yield
        finally:
            for limit in limits:
                limit.waits -= 1
                if limit in self._limits:
                    self._continue(limit)

    def _continue(self, limit: _Limit) -> None:
        """Let a time limit run, unless it has a reason to stand still."""
        if not self._holds and not limit.waits:
            limit.run()
