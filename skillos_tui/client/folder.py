"""Follow a folder of skills: its files, the newest commit of its history, its pins.

await follow_folder(root, changed)      # `changed` is awaited when the watch begins, and after each change
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from engine.skills.history.head import head_mark
from engine.skills.repo.pins import pins_mark

if TYPE_CHECKING:
    from engine.skills.repo.watch import Changes

WATCH_MS = 100
"""How often edits by hand are looked for; see `engine.skills.repo.watch` for what that costs."""
MARK_SECONDS = 1.0
"""How often history and pins are read, which the watch of the skills leaves out."""


async def follow_folder(root: Path, changed: Callable[[], Awaitable[object]]) -> None:
    """Call `changed` for each change of the skills of a folder, of its newest commit and of its pins, until the task is
    cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_each(await asyncio.to_thread(_files, root), changed))
        group.create_task(_each(_marks(root), changed))


async def _each(changes: AsyncGenerator[object, None], changed: Callable[[], Awaitable[object]]) -> None:
    async with aclosing(changes):
        async for _ in changes:
            await changed()


def _files(root: Path) -> AsyncGenerator[Changes, None]:
    from engine.skills.repo.watch import watch  # in this thread, since it loads watchfiles

    return watch(root, step=WATCH_MS)


async def _marks(root: Path) -> AsyncGenerator[None, None]:
    """Yield after each change of the newest commit or of the pins of a folder."""
    known = await asyncio.to_thread(_mark, root)
    while True:
        await asyncio.sleep(MARK_SECONDS)
        mark = await asyncio.to_thread(_mark, root)
        if mark != known:
            known = mark
            yield


def _mark(root: Path) -> object:
    return head_mark(root), pins_mark(root)
