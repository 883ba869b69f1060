"""Find the engine process of a run, and whether it is running.

`engine.lock` in the run directory is held with flock, which the kernel releases however the process ends. It contains
the holder's pid and identity, and its modification time is the heartbeat, so that beating needs no space on the disk
and wakes no reader of the database. `engine.starting` contains the process that was started last to become the engine;
it is locked while somebody starts one.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil

from engine.core.files import try_lock
from engine.runs.errors import RunError, RunLocked

LOCK_FILE = "engine.lock"
START_FILE = "engine.starting"
_RECORD_BYTES = 256
"""Every record has this size, so that one write replaces another and no reader finds a part of it."""


class EngineProcess(msgspec.Struct, frozen=True):
    """The process that last took a run's lock, or was last started to take it, at the unix time `since`.

    `identity` distinguishes it from a later process with the same pid.
    """

    pid: int
    identity: str
    since: float

    def alive(self) -> bool:
        """Whether this very process is running."""
        return identity_of(self.pid) == self.identity


def identity_of(pid: int) -> str | None:
    """What distinguishes process `pid` from any other that had or will have its pid; None when it is not running.

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
    return _read(run / LOCK_FILE)


def started_for(run: Path) -> EngineProcess | None:
    """The process that was last started to become the engine of `run`, whatever became of it."""
    return _read(run / START_FILE)


def _read(path: Path) -> EngineProcess | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=EngineProcess)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return None


def beat(run: Path) -> None:
    """Write the heartbeat of the engine of `run`. Raises `RunError` when the run directory is gone or not writable."""
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


class _LockedFile:
    """A file of the run directory that one process at a time holds with flock, and that contains a process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RunError(f"cannot open {path}: {error.strerror}; check that you may write there") from error
        try:
            taken = try_lock(self._file)
        except OSError as error:
            os.close(self._file)
            raise RunError(f"cannot lock {path}: {error.strerror}; is it on a file system with locks?") from error
        if not taken:
            os.close(self._file)
            raise RunLocked(self._refusal())

    def _refusal(self) -> str:
        """The message for when another process holds the file."""
        raise NotImplementedError

    def _write(self, pid: int) -> None:
        process = EngineProcess(pid=pid, identity=identity_of(pid) or "", since=time.time())
        try:
            os.pwrite(self._file, msgspec.json.encode(process).ljust(_RECORD_BYTES), 0)
            os.ftruncate(self._file, _RECORD_BYTES)
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror}; free some space") from error

    def release(self) -> None:
        """Let another process have it; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class EngineLock(_LockedFile):
    """The right to work on a run, held until `release` or the end of the process. Use as a context manager.

    Raises `RunLocked` when another engine has it.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        super().__init__(run / LOCK_FILE)
        try:
            self._write(os.getpid())
        except BaseException:
            super().release()
            raise

    def _refusal(self) -> str:
        holder = engine_of(self._run)
        who = f"process {holder.pid}, since {time.ctime(holder.since)}" if holder else "a process that just began"
        return f"another engine works on {self._run} ({who}); stop it first: skillos-engine stop {self._run}"

    def release(self) -> None:
        """Release the lock; a second call does nothing."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
        super().release()


class StartLock(_LockedFile):
    """The right to start an engine for a run. It is held only until that process is there. Use as a context manager.

    Raises `RunLocked` while another process starts one.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        super().__init__(run / START_FILE)

    def _refusal(self) -> str:
        return f"another process starts an engine for {self._run} at this moment"

    def record(self, pid: int) -> None:
        """Record that process `pid` was started to become the engine. Raises `RunError` when it cannot be written."""
        self._write(pid)
