"""Publish files atomically, and lock folders.

    with folder_lock(path, wait=10.0):               # one writer at a time, across processes
        ...
    publish(draft, path)                             # renames a finished file or folder to its final name

The lock is the kernel's (flock): it is released whenever its process ends, and it leaves nothing on the disk.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.core.errors import SkillosError

_PAUSE = 0.02


class Locked(SkillosError):
    """Another process or thread held the lock for longer than the wait."""


@contextmanager
def folder_lock(folder: Path, wait: float) -> Iterator[None]:
    """Hold the lock of `folder`. Waits at most `wait` seconds, then raises `Locked`. Raises `OSError` for the folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + wait
        while not try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise Locked(f"another process is writing to {folder} and did not finish within {wait:g} s")
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder until it is closed. False if another holder has the lock. Raises `OSError`."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def publish(draft: Path, path: Path) -> None:
    """Rename a finished `draft` to `path`, which must be absent, or an empty folder if `draft` is a folder.

    The content is synced before the rename, so after a power failure `path` is complete or absent. Raises `OSError`.
    """
    if draft.is_file() and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    sync(draft)
    draft.rename(path)
    _sync_one(path.parent)


def sync(path: Path) -> None:
    """Sync a file, or a folder with all its content, to the disk. Raises `OSError`."""
    if path.is_dir():
        for content in path.rglob("*"):
            if not content.is_symlink():
                _sync_one(content)
    _sync_one(path)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
