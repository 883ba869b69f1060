"""Lock files: who holds one is what the kernel says, from any PID namespace, container or copy of the folder.

    with file_lock(run / "decisions.lock", wait=10.0):          # one process at a time; raises `Locked`
        ...
    state = lock_state(run / "engine.lock")                     # state.held: True, False, or None where it cannot be known

A lock is the kernel's (flock) on a file that only its owner can open (mode 0600). It is released whenever its process ends.
A copy of the file is another file, so nobody holds it. A pid is only ever a hint for a person: it can belong to another
PID namespace or host.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from engine.core.errors import SkillosError

PROBE_SECONDS = 0.5
"""How long a taker tries at least: `lock_state` of another process holds a shared lock for an instant."""
LOCK_READINGS = 3
_PAUSE = 0.02


class Locked(SkillosError):
    """Another process or thread held the lock for longer than the wait."""


class LockState(msgspec.Struct, frozen=True):
    """Whether a lock is held. `held` is None where that cannot be known, and `why` says so.

    `pid` is the holder's in the PID namespace of this process; None where the system does not show it. `listed` is True
    where the file could not be opened, so that only `/proc/locks` says that it is held.
    """

    held: bool | None
    pid: int | None = None
    why: str = ""
    listed: bool = False


def open_lock(path: Path) -> int:
    """Open a lock file, made with mode 0600 if absent; a descriptor.

    Raises `OSError`, also for what is no regular file; a link is not followed.
    """
    return _open(path, os.O_RDWR | os.O_CREAT)


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed. False if another holder has the lock. Raises `OSError`."""
    return _flock(descriptor, fcntl.LOCK_EX)


def wait_lock(descriptor: int, wait: float) -> bool:
    """Lock an open file until it is closed, within `wait` seconds. False if another had it all the time."""
    deadline = time.monotonic() + wait
    while not try_lock(descriptor):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE)
    return True


@contextmanager
def file_lock(path: Path, wait: float) -> Iterator[None]:
    """Hold the lock file `path`, made if absent. Raises `Locked` with the holder after `wait` seconds, and `OSError`."""
    descriptor = open_lock(path)
    try:
        if not wait_lock(descriptor, max(wait, PROBE_SECONDS)):
            raise Locked(f"{holder_of(path)} holds {path} and did not release it within {wait:g} s")
        yield
    finally:
        with suppress(OSError):  # what was done under the lock is done
            os.close(descriptor)


def lock_state(path: Path) -> LockState:
    """Whether some process holds the lock file `path`. Writes nothing, and needs no right to write.

    Where the file may not be opened, `/proc/locks` is asked. It lists no holder of another PID namespace, so a lock that
    it does not list is unknown and not free.
    """
    try:
        descriptor = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        return LockState(False)
    except OSError as error:
        pid = _listed(path)
        why = "" if pid else f"{path} cannot be opened ({error.strerror}), and /proc/locks lists no holder"
        return LockState(True if pid else None, pid, why, listed=pid is not None)
    try:
        if _flock(descriptor, fcntl.LOCK_SH):
            return LockState(False)
        return LockState(True, _listed(path))
    except OSError as error:
        return LockState(None, None, f"{path} cannot be locked: {error.strerror}; is it on a file system with locks?")
    finally:
        os.close(descriptor)


def holder_of(path: Path) -> str:
    """Who holds a lock file, for a message: "process 123 (skillos-engine)" or "a process that is not visible from here"."""
    pid = _listed(path)
    if pid is None:
        return "a process that is not visible from here"
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        name = ""
    return f"process {pid}{f' ({name})' if name else ''}"


def _open(path: Path, flags: int) -> int:
    """A descriptor of a regular file. Does not wait for the other end of a pipe, and follows no link."""
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise OSError(errno.ELOOP, "it is a symbolic link", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return descriptor


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def _listed(path: Path) -> int | None:
    """The pid that `/proc/locks` lists for a file, None for none. A line: "1: FLOCK ADVISORY WRITE 123 fe:00:456 0 EOF".

    The table is read page by page while it changes, so one reading may miss a line.
    """
    try:
        found = path.lstat()
        for _ in range(LOCK_READINGS):
            listed = Path("/proc/locks").read_text(encoding="ascii", errors="replace")
            if pid := _holder_in(listed, f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"):
                return pid
    except OSError:
        pass
    return None


def _holder_in(listed: str, file: str) -> int | None:
    for line in listed.splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[1] == "FLOCK" and fields[5] == file and fields[4].isdecimal():
            return int(fields[4]) or None
    return None
