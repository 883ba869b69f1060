"""Files that appear whole or not at all, and locks that end with their process.

    with folder_lock(path, wait=10.0):               # one writer at a time, also among processes
        ...
    publish(draft, path)                             # a finished file or folder gets its name

A lock is the kernel's (flock): it is free again however its holder ends, and it leaves nothing on the disk.
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
    """Another process or thread held the lock for the whole wait."""


@contextmanager
def folder_lock(folder: Path, wait: float) -> Iterator[None]:
    """Hold the lock of `folder`, waiting at most `wait` seconds. Raises `Locked`, or `OSError` for the folder."""
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
    """Lock an open file or folder until it is closed; False where somebody else holds the lock. Raises `OSError`."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def publish(draft: Path, path: Path) -> None:
    """Give a finished file or folder its name: `path` is absent, or an empty folder where `draft` is a folder.

    What was written is on the disk before the name is, so after a power cut there is all of it or nothing. Raises `OSError`.
    """
    if draft.is_file() and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    sync(draft)
    draft.rename(path)
    _sync_one(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or a folder and all that is in it, is on the disk. Raises `OSError`."""
    if path.is_dir():
        for inside in path.rglob("*"):
            if not inside.is_symlink():
                _sync_one(inside)
    _sync_one(path)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
