"""One writer at a time on a repository, also among processes.

    with folder_lock(path, wait=10.0):
        ...

The kernel holds the lock on the folder itself (flock) and frees it however the process ends; nothing is left on disk.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE = 0.02


class Locked(Exception):
    """Another process or thread held the lock for the whole wait."""


@contextmanager
def folder_lock(folder: Path, wait: float) -> Iterator[None]:
    """Hold the lock of `folder`, waiting at most `wait` seconds. Raises `Locked`, or `OSError` for the folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + wait
        while not _taken(descriptor):
            if time.monotonic() >= deadline:
                raise Locked(f"another process is writing to {folder} and did not finish within {wait:g} s")
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
