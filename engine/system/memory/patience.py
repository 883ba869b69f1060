"""Calls that may hang, as those into a driver do: each in a thread that nothing waits for at the end.

reading = Patient("gpu", gpus.read)
await reading.ask(0.8)             # raises `TimeoutError` while there is no answer
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Patient(Generic[T]):
    """Asks `work` in a thread. At most one call runs at a time; one that hangs keeps its thread, and no other begins."""

    def __init__(self, name: str, work: Callable[[], T], clock: Callable[[], float]) -> None:
        self._name = name
        self._work = work
        self._clock = clock
        self._asked: tuple[asyncio.Future[T], float] | None = None

    async def ask(self, seconds: float) -> T:
        """What `work` returns or raises. Raises `TimeoutError` after `seconds`, and at once where an earlier call
        still hangs."""
        if self._asked is None:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[T] = loop.create_future()
            self._asked = answer, self._clock()
            threading.Thread(target=self._answer, args=(loop, answer), name=self._name, daemon=True).start()
        else:
            seconds = 0.0
        answer, _ = self._asked
        await asyncio.wait({answer}, timeout=seconds)
        if not answer.done():
            raise TimeoutError(f"no answer for {self.silent:.0f} s")
        self._asked = None
        return answer.result()

    @property
    def silent(self) -> float:
        """For how many seconds the present call has not been answered."""
        return self._clock() - self._asked[1] if self._asked else 0.0

    def _answer(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[T]) -> None:
        """The thread."""
        try:
            result = self._work()
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
            _tell(loop, answer.set_exception, error)
        else:
            _tell(loop, answer.set_result, result)


def _tell(loop: asyncio.AbstractEventLoop, tell: Callable[..., None], value: object) -> None:
    """Give the answer to the loop, unless it has ended."""
    try:
        loop.call_soon_threadsafe(tell, value)
    except RuntimeError:
        return
