"""Watch the newest commit of a folder: whoever commits, checks out or resets there, it changes.

    async with aclosing(head_changes(root)) as changes:
        async for _ in changes: ...

Two small files are read at an interval, since a commit of what is on the disk already changes no other file of the folder.
Imports no git library.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator
from pathlib import Path

OWN = ".git"
FOLDER = ".skillos"
APART = f"{FOLDER}/history"
INTERVAL_SECONDS = 1.0
"""How often the files are read."""
MAX_BYTES = 4_096

_REFERENCE = re.compile(rb"ref: (refs/[^\0\r\n]+)")


async def head_changes(root: Path, interval: float = INTERVAL_SECONDS) -> AsyncGenerator[None, None]:
    """Yield whenever the newest commit of a folder is another one, until the iterator is closed. Raises nothing for
    the state of the folder."""
    known = await asyncio.to_thread(head_mark, root)
    while True:
        await asyncio.sleep(interval)
        mark = await asyncio.to_thread(head_mark, root)
        if mark != known:
            known = mark
            yield


def head_mark(root: Path) -> tuple[object, ...]:
    """What is another value after the newest commit has changed, in either place that a history can have."""
    return tuple(part for inside in (APART, OWN) for part in _mark(root / inside))


def _mark(git: Path) -> tuple[object, ...]:
    head, written = _read(git / "HEAD")
    found = _REFERENCE.match(head)
    if found is None or b".." in found[1]:
        return head, written
    reference = _read(git / os.fsdecode(found[1]))
    return head, written, reference if reference[0] else _read(git / "packed-refs")[1]


def _read(path: Path) -> tuple[bytes, int]:
    """The first bytes of a file and when it was written; (b"", 0) where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b"", 0
    try:
        return os.read(descriptor, MAX_BYTES), os.fstat(descriptor).st_mtime_ns
    except OSError:
        return b"", 0
    finally:
        os.close(descriptor)
