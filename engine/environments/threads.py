"""Where the calls of an episode run: on the event loop, or in a thread of the episode where the environment blocks.

    async with calls(blocks=kind.blocks) as call:
        observation = await call(episode.start)

All calls of an episode run in one thread, one after another, so an environment may hold what belongs to a thread (a SQLite
connection). A call that is given up continues in its thread. It delays no other episode, nor the end of the process.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Call(Protocol):
    """Makes a call and awaits its result. Raises what the function raises."""

    async def __call__(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T: ...


@asynccontextmanager
async def calls(*, blocks: bool) -> AsyncIterator[Call]:
    """How an episode makes its calls: in a thread of its own where they block, else at once."""
    if not blocks:
        yield _at_once
        return
    queue: _Queue = SimpleQueue()
    threading.Thread(target=_work, args=(queue,), name="environment", daemon=True).start()

    async def call(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        future: Future[T] = Future()
        queue.put((future, partial(function, *arguments, **named)))
        return await asyncio.wrap_future(future)

    try:
        yield call
    finally:
        queue.put(None)


async def _at_once(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    return function(*arguments, **named)


_Queue = SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]


def _work(queue: _Queue) -> None:
    """Make the calls of `queue` until there is None."""
    while (asked := queue.get()) is not None:
        future, function = asked
        if not future.set_running_or_notify_cancel():
            continue
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - it is raised where the call is awaited
            future.set_exception(error)
        else:
            future.set_result(result)
