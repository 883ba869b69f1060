"""The queue of the local backend: requests that wait at the same time are answered together, in a thread.

    batcher = Batcher(begin, max_batch=64)     # begin(key) -> a `Batch`, whose `advance` is called in a thread
    answer = await batcher.ask(key, job, urgent=True)

    await batcher.hold()                       # no batch is in work, and none begins
    batcher.release()

Requests of one key are a batch, and later ones join it while it is in work. A request whose task is cancelled is not
`wanted` any more: it enters no batch, and a batch leaves it out as soon as it can.

Requests of a member of a lockstep (`engine.core.lockstep`) are taken only while no member computes, in the order of their
tickets. So what is answered together follows from the requests and the answers, and from no clock. Other requests join when
they come.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import msgspec

from engine.core.errors import SkillosError
from engine.core.lockstep import Member, Ticket, present_member

HOLD_SECONDS = 600.0
"""How long `hold` waits for the batch in work: a cancelled request ends with the present forward pass."""
WORTH_JOINING = 4
"""Requests join a batch that has at most this many times as many rows: a pass over a few prompts takes long for what it
gives."""


class ModelBusy(SkillosError):
    """The model still answered requests when the wait for it ended."""


class Request(msgspec.Struct, eq=False):
    """One request that waits. Those of one batch have equal `key`s; `urgent` ones come first. `job` is what is asked,
    `ticket` its place among the requests of the members of a lockstep."""

    key: Hashable
    job: Any
    urgent: bool
    answer: asyncio.Future[Any]
    member: Member | None = None
    ticket: Ticket | None = None
    ended: bool = False

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for the answer. May be asked from the thread that works on the batch."""
        return not self.answer.done()

    def give(self, answer: Any) -> None:
        """Answer the request, if it is wanted."""
        if self.wanted:
            self.answer.set_result(answer)
            self.end()

    def fail(self, error: BaseException) -> None:
        """Raise `error` in whoever waits."""
        if self.wanted:
            self.answer.set_exception(error)
            self.end()

    def end(self) -> None:
        """Its member waits for it no more."""
        if self.member is not None and not self.ended:
            self.ended = True
            self.member.goes_on()


Answered = Sequence[tuple[Request, Any]]


class Batch(Protocol):
    """Requests in work. Its length is the number of those without an answer."""

    def __len__(self) -> int: ...

    def advance(self, joining: Sequence[Request], interrupted: Callable[[], bool]) -> Answered:
        """Let requests join, and work until at least one has an answer, or `interrupted()`. The requests that have ended,
        each with its answer."""
        ...


class WholeBatch:
    """A batch that answers all at once and lets nobody join later: `work(requests)` gives one answer a request."""

    def __init__(self, work: Callable[[list[Request]], Sequence[Any]]) -> None:
        self._work = work

    def __len__(self) -> int:
        return 0

    def advance(self, joining: Sequence[Request], interrupted: Callable[[], bool]) -> Answered:
        """Answer all."""
        return list(zip(joining, self._work(list(joining)), strict=True))


class Batcher:
    """Answers requests batch after batch as long as there are any. `begin(key)` makes a batch for requests of a key."""

    def __init__(self, begin: Callable[[Any], Batch], max_batch: int) -> None:
        self._begin = begin
        self._max_batch = max_batch
        self._waiting: list[Request] = []
        self._serving: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._holders = 0
        self._newcomer = False

    async def ask(self, key: Hashable, job: Any, *, urgent: bool) -> Any:
        """The answer to `job`, in a batch with other requests of the same `key`. Raises a `SkillosError` of the batch, and
        `RuntimeError` for any other error of it."""
        member = present_member()
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        request = Request(key, job, urgent, answer, member, member.ticket() if member else None)
        self._waiting.append(request)
        self._newcomer |= member is None
        if self._serving is None or self._serving.done():
            # in no context: it is not inside of the time limits and deadlines of who asks first
            self._serving = asyncio.create_task(self._serve(), name="local model", context=contextvars.Context())
        if member is not None:
            member.waits()
        try:
            return await answer
        finally:
            request.end()  # also where it was given up

    async def hold(self, seconds: float = HOLD_SECONDS) -> None:
        """Wait until no batch is in work, and let none begin until `release`. Raises `ModelBusy` after `seconds`."""
        self._holders += 1
        try:
            async with asyncio.timeout(seconds):
                await self._turn.acquire()
        except TimeoutError as error:
            raise ModelBusy(f"the model still answers requests after {seconds:g} s") from error
        finally:
            self._holders -= 1

    def release(self) -> None:
        """Let batches begin again, after `hold`."""
        self._turn.release()

    async def _serve(self) -> None:
        """Answer batch after batch until nobody waits."""
        while self._waiting:
            await asyncio.sleep(0.001)
            await self._quiet(self._waiting)
            async with self._turn:
                if batch := self._next(self._waiting, 0):
                    await self._work_on(batch)

    async def _work_on(self, joining: list[Request]) -> None:
        """Work on a batch, and on what joins it. An error of it is raised in each of its requests, and ends nothing else."""
        key = joining[0].key
        inside = list(joining)
        try:
            batch = self._begin(key)
            while inside:
                self._newcomer = False
                with _working(inside):
                    ended = await asyncio.to_thread(batch.advance, joining, lambda: self._newcomer)
                for request, answer in ended:
                    inside.remove(request)
                    request.give(answer)
                await self._quiet([*inside, *(request for request, _ in ended)])
                joining = self._joining(key, len(batch))
                inside += joining
        except BaseException as error:
            for request in inside:
                request.fail(_copy(error))
            if not isinstance(error, Exception):
                raise

    @staticmethod
    async def _quiet(requests: Sequence[Request]) -> None:
        """Wait until no member of the locksteps of `requests` computes."""
        for lockstep in {request.member.lockstep: None for request in requests if request.member is not None}:
            await lockstep.quiet()

    def _joining(self, key: Hashable, size: int) -> list[Request]:
        """The requests that join a batch of `key` with `size` rows: as soon as they are worth a pass over their prompts."""
        alike = [request for request in self._waiting if request.key == key]
        if self._holders or len(alike) * WORTH_JOINING < size:
            return []
        return self._next(alike, size)

    def _next(self, among: Sequence[Request], size: int) -> list[Request]:
        """The next requests to be answered beside `size` others: urgent ones, then the key that most have; the others gather
        meanwhile."""
        by_key: dict[Hashable, list[Request]] = {}
        for request in sorted(filter(_wanted, among), key=_place):
            by_key.setdefault(request.key, []).append(request)
        chosen = max(by_key.values(), key=lambda requests: (requests[0].urgent, len(requests)), default=[])
        batch = chosen[: self._max_batch - size]
        self._waiting = [request for request in self._waiting if request.wanted and request not in batch]
        return batch


def _wanted(request: Request) -> bool:
    return request.wanted


def _place(request: Request) -> tuple[bool, tuple[int, ...], int]:
    """Members of a lockstep come first, by their tickets."""
    ticket = request.ticket
    return (True, (), 0) if ticket is None else (False, ticket.member, ticket.number)


@contextmanager
def _working(requests: Sequence[Request]) -> Iterator[None]:
    """The locksteps of `requests` are worked for in here."""
    with ExitStack() as stack:
        for lockstep in {request.member.lockstep: None for request in requests if request.member is not None}:
            stack.enter_context(lockstep.working())
        yield


def _copy(error: BaseException) -> BaseException:
    """An error for one request of many: each gets its own, so that tracebacks do not grow into each other."""
    if isinstance(error, SkillosError):
        copy: BaseException = type(error).__new__(type(error), *error.args)  # `__init__` takes other values
        copy.__dict__.update(error.__dict__)
    else:
        copy = RuntimeError(f"the model failed on a batch: {type(error).__name__}: {error}")
    copy.__cause__ = error
    return copy
