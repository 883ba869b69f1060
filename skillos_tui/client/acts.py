"""What a person has asked for, done in threads: each act is completed, also where the program ends before it begins.

    acts = Acts(app)
    acts.in_order("decide", approve)       # after the acts of this line that were added before
    acts.beside(stop)                      # at once
    await_in(app, "tail", follow)          # no act: it ends with the program

An error in an act ends the program.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from textual.app import App
from textual.worker import WorkType

BESIDE = 4
"""Acts that are done beside each other, at most."""


class Acts:
    """The threads that act. Used in the app's thread."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._lines: dict[str, Executor] = {}
        self._others = ThreadPoolExecutor(BESIDE, "act")

    def in_order(self, line: str, act: Callable[[], object]) -> None:
        """Act after the acts of the same line."""
        if line not in self._lines:
            self._lines[line] = ThreadPoolExecutor(1, line)
        self._add(self._lines[line], act)

    def beside(self, act: Callable[[], object]) -> None:
        """Act without waiting for others."""
        self._add(self._others, act)

    def _add(self, threads: Executor, act: Callable[[], object]) -> None:
        done = threads.submit(act)

        async def end() -> None:
            await asyncio.shield(asyncio.wrap_future(done))

        await_in(self._app, "act", end)


def await_in(
    app: App[Any], group: str, work: Callable[[], Coroutine[Any, Any, None]], *, exclusive: bool = False
) -> None:
    """Await what `work` returns, as a worker of the group. It is not called where the program ends before, since Python
    reports a coroutine that was never awaited on the terminal."""
    function: WorkType[None] = work
    app.run_worker(function, name=group, group=group, exclusive=exclusive)
