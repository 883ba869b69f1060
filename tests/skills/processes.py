"""Run work in child processes: to kill it, without rights, or in parallel."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable

TOUCHING = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "fcntl.flock")


def start(work: Callable[[], None]) -> int:
    """Run `work` in a forked process that exits with 0 if it succeeds. Returns the process id."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            if status:
                traceback.print_exc()
            os._exit(status)
    return child


def status_of(child: int) -> int:
    """Wait for a child. Returns its exit status, negative for the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_child(work: Callable[[], None]) -> int:
    return status_of(start(work))


def touches_nothing(arguments: tuple[object, ...]) -> bool:
    """Whether an "open" event only reads, or makes a file object of a descriptor: the next event is the next write."""
    path, _, flags = arguments
    writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    return isinstance(path, int) or not writes


def killed_at(number: int, work: Callable[[], None]) -> bool:
    """Run `work` in a child that kills itself before its `number`-th disk operation. Returns whether it was killed."""

    def doomed() -> None:
        before_operation(number, lambda: os.kill(os.getpid(), signal.SIGKILL))
        work()

    status = in_child(doomed)
    assert status in (0, -signal.SIGKILL)
    return status != 0


def before_operation(number: int, act: Callable[[], None], *, onwards: bool = False) -> None:
    """Call `act` before the `number`-th disk operation of this process from now on, or `onwards` before each from it on.

    An error that it raises fails the operation.
    """
    left = number

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in TOUCHING and not (event == "open" and touches_nothing(arguments)):
            left -= 1
            if left == 0 or (onwards and left < 0):
                act()

    sys.addaudithook(count)


def without_rights(work: Callable[[], None]) -> int:
    """Run `work` as an unprivileged user, because permissions do not apply to root."""

    def powerless() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        work()

    return in_child(powerless)
