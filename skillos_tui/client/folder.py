"""Follow a folder of skills: its files, and the newest commit of its history.

await follow_folder(root, changed)      # `changed` is awaited when the watch begins, and after each change
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from engine.skills.history.head import head_changes

if TYPE_CHECKING:
    from engine.skills.repo.watch import Changes

WATCH_MS = 100
"""How often edits by hand are looked for; see `engine.skills.repo.watch` for what that costs."""


async def follow_folder(root: Path, changed: Callable[[], Awaitable[object]]) -> None:
    """Call `changed` for each change of the files of a folder, and of its newest commit, until the task is cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_each(await asyncio.to_thread(_files, root), changed))
        group.create_task(_each(head_changes(root), changed))


async def _each(changes: AsyncGenerator[object, None], changed: Callable[[], Awaitable[object]]) -> None:
    async with aclosing(changes):
        async for _ in changes:
            await changed()


def _files(root: Path) -> AsyncGenerator[Changes, None]:
    from engine.skills.repo.watch import watch  # in this thread, since it loads watchfiles

    return watch(root, step=WATCH_MS)
