"""Which process is the engine of a run, and does it live.

`engine.lock` in the run directory is held with flock, which the kernel releases however the process ends. It contains
the holder's pid and identity, and its modification time is the heartbeat, so that beating needs no space on the disk
and wakes no reader of the database.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

import msgspec
import psutil

from engine.runs.errors import RunError, RunLocked

LOCK_FILE = "engine.lock"
START_SECONDS = 60.0
"""How long an engine may take from its start until it holds the lock."""


class EngineProcess(msgspec.Struct, frozen=True):
    """The process that last took a run's lock; `identity` tells it from a later process with the same pid."""

    pid: int
    identity: str
    since: float

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return identity_of(self.pid) == self.identity


def identity_of(pid: int) -> str | None:
    """What tells process `pid` from any other that had or will have its pid; None when it is not running.

    On Linux the boot's id and the start time in clock ticks since boot, which no change of the clock moves; elsewhere
    the time of its creation. A zombie does not run.
    """
    stat = Path(f"/proc/{pid}/stat")
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        if boot.exists():
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            return None if fields[0] in "ZX" else f"{boot.read_text().strip()}:{fields[19]}"
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except (OSError, psutil.Error):
        return None


def engine_of(run: Path) -> EngineProcess | None:
    """The process that holds (or held, until it was killed) the lock of the run directory `run`."""
    try:
        return msgspec.json.decode((run / LOCK_FILE).read_bytes(), type=EngineProcess)
    except (OSError, msgspec.DecodeError):
        return None


def beat(run: Path) -> None:
    """Say that the engine of `run` is at work. Raises `RunError` when the run directory is gone or not writable."""
    try:
        os.utime(run / LOCK_FILE)
    except OSError as error:
        raise RunError(f"cannot write the heartbeat of {run}: {error.strerror}") from error


def heartbeat_age(run: Path) -> float | None:
    """Seconds since the last heartbeat; None when no engine has ever worked on the run."""
    try:
        return max(0.0, time.time() - (run / LOCK_FILE).stat().st_mtime)
    except OSError:
        return None


class EngineLock:
    """The right to work on a run, held until `release` or the end of the process. Use as a context manager.

    Raises `RunLocked` when another engine has it.
    """

    def __init__(self, run: Path) -> None:
        self.path = run / LOCK_FILE
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RunError(f"cannot open {self.path}: {error.strerror}; check that you may write there") from error
        try:
            self._take(run)
        except BaseException:
            os.close(self._file)
            raise

    def _take(self, run: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = engine_of(run)
            who = f"process {holder.pid}, since {time.ctime(holder.since)}" if holder else "a process that just began"
            raise RunLocked(
                f"another engine works on {run} ({who}); stop it first: skillos-engine stop {run}"
            ) from error
        except OSError as error:
            raise RunError(f"cannot lock {self.path}: {error.strerror}; is it on a file system with locks?") from error
        identity = identity_of(os.getpid()) or ""
        self._write(msgspec.json.encode(EngineProcess(pid=os.getpid(), identity=identity, since=time.time())))

    def _write(self, content: bytes) -> None:
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, content, 0)
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror}; free some space") from error

    def release(self) -> None:
        """Give the run free; a second call does nothing."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> EngineLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
