"""The queue of the local backend: requests that wait at the same time are answered as one batch, in a thread.

    batcher = Batcher(work, max_batch=64)      # work(requests) -> one answer a request, called in a thread
    answer = await batcher.ask(key, job, urgent=True)

    await batcher.hold()                       # no batch is in work, and none begins
    batcher.release()

A request whose task is cancelled is not `wanted` any more: it enters no batch, and `work` leaves it out as soon as it can.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import msgspec

from engine.core.errors import SkillosError

HOLD_SECONDS = 600.0
"""How long `hold` waits for the batch in work: a cancelled request ends with the present forward pass."""


class ModelBusy(SkillosError):
    """The model still answered requests when the wait for it ended."""


class Request(msgspec.Struct):
    """One request that waits. Those of one batch have equal `key`s; `urgent` ones come first. `job` is what is asked."""

    key: Hashable
    job: Any
    urgent: bool
    answer: asyncio.Future[Any]

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for the answer. May be asked from the thread that works on the batch."""
        return not self.answer.done()


Work = Callable[[list[Request]], Sequence[Any]]


class Batcher:
    """Answers requests batch after batch, by `work`, as long as there are any."""

    def __init__(self, work: Work, max_batch: int) -> None:
        self._work = work
        self._max_batch = max_batch
        self._waiting: deque[Request] = deque()
        self._serving: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    async def ask(self, key: Hashable, job: Any, *, urgent: bool) -> Any:
        """The answer to `job`, in a batch with other requests of the same `key`. Raises a `SkillosError` of `work`, and
        `RuntimeError` for any other error of it."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(Request(key, job, urgent, answer))
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve(), name="local model")
        return await answer

    async def hold(self, seconds: float = HOLD_SECONDS) -> None:
        """Wait until no batch is in work, and let none begin until `release`. Raises `ModelBusy` after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._turn.acquire()
        except TimeoutError as error:
            raise ModelBusy(f"the model still answers requests after {seconds:g} s") from error

    def release(self) -> None:
        """Let batches begin again, after `hold`."""
        self._turn.release()

    async def _serve(self) -> None:
        """Answer batch after batch until nobody waits."""
        while self._waiting:
            await asyncio.sleep(0.001)
            async with self._turn:
                if batch := self._next_batch():
                    await self._answer(batch)

    async def _answer(self, batch: list[Request]) -> None:
        """Work on one batch in a thread. An error of it is raised in each request of the batch, and ends nothing else."""
        try:
            answers = await asyncio.to_thread(self._work, batch)
        except BaseException as error:
            for request in batch:
                if request.wanted:
                    request.answer.set_exception(_copy(error))
            if not isinstance(error, Exception):
                raise
            return
        for request, answer in zip(batch, answers, strict=True):
            if request.wanted:
                request.answer.set_result(answer)

    def _next_batch(self) -> list[Request]:
        """The next batch: urgent requests first, then the key that most requests have; the others gather meanwhile."""
        waiting = [request for request in self._waiting if request.wanted]
        by_key: dict[Hashable, list[Request]] = {}
        for request in waiting:
            by_key.setdefault(request.key, []).append(request)
        chosen = max(by_key.values(), key=lambda requests: (requests[0].urgent, len(requests)), default=[])
        batch = chosen[: self._max_batch]
        taken = {id(request) for request in batch}
        self._waiting = deque(request for request in waiting if id(request) not in taken)
        return batch


def _copy(error: BaseException) -> BaseException:
    """An error for one request of many: each gets its own, so that tracebacks do not grow into each other."""
    if isinstance(error, SkillosError):
        copy: BaseException = type(error).__new__(type(error), *error.args)  # `__init__` takes other values
        copy.__dict__.update(error.__dict__)
    else:
        copy = RuntimeError(f"the model failed on a batch: {type(error).__name__}: {error}")
    copy.__cause__ = error
    return copy
