"""Whether an engine works on a run, and which process it is.

    with EngineLock(run) as lock: lock.beat()        # the engine
    engine = engine_of(run)                          # anybody: engine.works, engine.process, engine.note
    process = starting(run)                          # the process that is loading to become the engine

An engine works on a run exactly while `engine.lock` in the run's directory is held with flock, which the kernel releases
however the process ends, and which it shows in every PID namespace. `engine.starting` is held in the same way from before
the engine's process is started until that process has `engine.lock` or ends: the process inherits the open file.

Each file contains a record of the process. The record is a hint for a person: the pid may belong to another PID
namespace or host. The modification time of `engine.lock` is the heartbeat, so a heartbeat needs no space on the disk and
wakes no reader of the database.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import msgspec
import psutil

from engine.core.locks import PROBE_SECONDS, LockState, holder_of, lock_state, open_lock, wait_lock
from engine.runs.errors import RunError, RunGone, RunLocked

LOCK_FILE = "engine.lock"
START_FILE = "engine.starting"
SILENT_SECONDS = 10.0
"""An engine whose lock cannot be asked is thought to work while its last heartbeat is not older."""
FUTURE_SECONDS = 2.0
"""How far a heartbeat may be in the future before the clock must have been set: file systems round times."""
_ADVICE = MappingProxyType(
    {
        **dict.fromkeys((errno.EACCES, errno.EPERM), "only the user who made the run can start its engine"),
        **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space"),
        errno.EROFS: "an engine cannot work on a read-only file system; copy the run to another",
        errno.ENOENT: "was the run deleted or moved?",
    }
)
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PF_EXITING = 0x4
"""The flag of `/proc/PID/stat` (proc_pid_stat(5), field 9) for a process that is being ended."""
_RECORD_BYTES = 256
"""Every record has this size, so that one write replaces another and no reader finds a part of it."""


class EngineProcess(msgspec.Struct, frozen=True):
    """The process that took a run's lock, or was started to take it, at the unix time `since`; a hint.

    `pid` is None where the record cannot be read. `identity` distinguishes the process from a later one with the same pid.
    `folder` is the inode of the run's directory, 0 in records of older versions: a copy of the directory has another.
    """

    pid: int | None
    identity: str
    since: float
    folder: int = 0

    def alive(self) -> bool:
        """Whether this very process is running and visible from here."""
        return self.pid is not None and bool(self.identity) and identity_of(self.pid) == self.identity

    def exiting(self) -> bool:
        """Whether the kernel is ending this process, which holds its files, so also its locks, until its memory is freed.

        Only known on Linux.
        """
        try:
            fields = _fields(self.pid or 0)
        except OSError:
            return False
        return _identity(fields) == self.identity and (fields[0] in "ZX" or bool(int(fields[6]) & _PF_EXITING))

    def __str__(self) -> str:
        """For a message: "process 12, since Thu Nov 26 01:07:01 2026"."""
        if self.pid is None:
            return "a process that is not visible from here"
        where = "" if self.alive() else " of another container or host"
        return f"process {self.pid}{where}, since {time.ctime(self.since)}"


class Engine(msgspec.Struct, frozen=True):
    """Whether an engine works on a run, and in which process.

    `note` is a sentence that a person needs beside the state, or "": from what `works` is inferred where the lock could
    not be asked, that the engine is suspended, or who else holds the lock. A suspended engine obeys commands once it is
    continued.
    """

    works: bool
    process: EngineProcess | None = None
    note: str = ""
    suspended: bool = False


NONE = Engine(False)


def identity_of(pid: int) -> str | None:
    """What distinguishes process `pid` from any other that had or will have its pid; None when it is not running.

    On Linux the boot's id and the start time in clock ticks since boot, which no change of the clock moves; elsewhere
    the time of its creation. A zombie does not run.
    """
    try:
        if _BOOT.exists():
            fields = _fields(pid)
            return None if fields[0] in "ZX" else _identity(fields)
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except (OSError, psutil.Error):
        return None


def suspended(pid: int) -> bool:
    """Whether process `pid` was stopped by a signal (Ctrl+Z, SIGSTOP) and not continued."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


def _identity(fields: Sequence[str]) -> str:
    """The boot's id and the start time, which the fields of `/proc/PID/stat` give. Raises `OSError`."""
    return f"{_BOOT.read_text().strip()}:{fields[19]}"


def _fields(pid: int) -> list[str]:
    """The fields of `/proc/PID/stat` after the name, the state first. Raises `OSError`."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def engine_of(run: Path) -> Engine:
    """Whether an engine works on the run directory `run`, as its lock says. Needs no right to write."""
    path = run / LOCK_FILE
    lock = lock_state(path)
    if lock.held is None:
        return _inferred(run, lock)
    if not lock.held:
        return NONE
    record = recorded(path)
    if record is not None and _of_other_folder(path, record):
        return Engine(
            False, None, f"{path} is a hard link to the lock of another folder, where an engine works ({record})"
        )
    visible = record is not None and lock.pid is not None and identity_of(lock.pid) == record.identity
    if lock.pid is not None and not visible and _of_other_user(path, lock.pid):
        return Engine(False, None, f"{holder_of(path)} of another user holds {path}; it is no engine of this run")
    process = record or EngineProcess(lock.pid, "", time.time())
    if visible:
        process = msgspec.structs.replace(process, pid=lock.pid)
    if process.pid is not None and process.alive() and suspended(process.pid):
        why = f"the engine of {run} (process {process.pid}) is suspended; to continue it: kill -CONT {process.pid}"
        return Engine(True, process, why, suspended=True)
    note = f"{path} may not be opened; /proc/locks says that it is held" if lock.listed else ""
    return Engine(True, process, note)


def _inferred(run: Path, lock: LockState) -> Engine:
    """What the heartbeat suggests where the lock cannot be asked."""
    age = heartbeat_age(run)
    if age is None:
        return Engine(False, None, f"{lock.why}, and there is no heartbeat: probably no engine works on the run")
    works = -FUTURE_SECONDS <= age <= SILENT_SECONDS
    beat = f"the last heartbeat is {age:.0f} s old"
    if age < -FUTURE_SECONDS:
        beat = f"the last heartbeat is {-age:.0f} s in the future, so a clock was changed"
    guess = "probably an engine works" if works else "probably no engine works"
    process = recorded(run / LOCK_FILE) or EngineProcess(None, "", time.time())
    return Engine(works, process if works else None, f"{lock.why}; {beat}: {guess} on the run")


def _of_other_folder(path: Path, record: EngineProcess) -> bool:
    """Whether `path` is a hard link to the lock file of another folder, whose engine wrote the record."""
    try:
        return path.stat().st_nlink > 1 and record.folder not in (0, path.parent.stat().st_ino)
    except OSError:
        return False


def _of_other_user(path: Path, pid: int) -> bool:
    """Whether process `pid` belongs to another user than the lock file, which since it is private only its owner opens."""
    try:
        return Path(f"/proc/{pid}").stat().st_uid != path.stat().st_uid
    except OSError:
        return False


def starting(run: Path) -> EngineProcess | None:
    """The process that is loading to become the engine of `run`; None for none. Its pid is None until it is known."""
    path = run / START_FILE
    lock, record = lock_state(path), recorded(path)
    if not lock.held or (record is not None and _of_other_folder(path, record)):
        return None
    known = record is not None and record.alive()
    if not known and lock.pid is not None and _of_other_user(path, lock.pid):
        return None
    return record or EngineProcess(None, "", time.time())


def recorded(path: Path) -> EngineProcess | None:
    """The record in a lock file, whatever became of the process; None where there is none that can be read."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return msgspec.json.decode(file.read(_RECORD_BYTES), type=EngineProcess)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return None


def is_copy(run: Path) -> bool:
    """Whether the directory `run` was copied, or moved between disks, since an engine worked on the run."""
    record = recorded(run / LOCK_FILE)
    try:
        return record is not None and record.folder not in (0, run.stat().st_ino)
    except OSError:
        return False


def heartbeat_age(run: Path) -> float | None:
    """Seconds since the last heartbeat; None when no engine has worked in this directory.

    Negative where the heartbeat is in the future: the clock of this machine or of the engine's was changed.
    """
    try:
        lock = (run / LOCK_FILE).lstat()
    except OSError:
        return None
    if not lock.st_mtime or not stat.S_ISREG(lock.st_mode) or is_copy(run):
        return None
    age = time.time() - lock.st_mtime
    return age if age < -FUTURE_SECONDS else max(0.0, age)


def create_locks(run: Path) -> None:
    """Make the lock files of a new run, which only their owner may open. Each has the space of its record, so that an
    engine can be started and ended on a full disk. Raises `OSError`."""
    for name in (LOCK_FILE, START_FILE):
        descriptor = open_lock(run / name)
        try:
            os.pwrite(descriptor, b" " * _RECORD_BYTES, 0)
            os.utime(descriptor, (0, 0))
        finally:
            os.close(descriptor)


def release_start(run: Path) -> None:
    """Close the descriptor of `engine.starting` that an engine inherited, once it has `engine.lock`."""
    try:
        start, descriptors = (run / START_FILE).stat(), os.listdir("/dev/fd")  # noqa: PTH208 - names, not paths
    except OSError:
        return
    for descriptor in map(int, descriptors):
        try:
            if os.get_inheritable(descriptor) and os.path.samestat(os.fstat(descriptor), start):
                os.close(descriptor)
        except OSError:
            continue  # the descriptor by which the folder was listed


class _LockedFile:
    """A lock file of the run directory that one process holds, until `release` or its end. A context manager."""

    def __init__(self, run: Path, name: str) -> None:
        self.run, self.path = run, run / name
        try:
            self._file = open_lock(self.path)
        except OSError as error:
            advice = _ADVICE.get(error.errno or 0, "delete it if no engine works on the run")
            raise RunError(f"cannot open {self.path}: {error.strerror}; {advice}") from error
        try:
            if not wait_lock(self._file, PROBE_SECONDS):
                raise RunLocked(self._refusal())
            if not _same(self._file, self.path):
                raise RunLocked(f"{self.path} was replaced at this moment; try again")
            self._make_private()
        except OSError as error:
            os.close(self._file)
            raise RunError(f"cannot lock {self.path}: {error.strerror}; is it on a file system with locks?") from error
        except BaseException:
            os.close(self._file)
            raise

    def _refusal(self) -> str:
        """The message for when another process holds the file."""
        raise NotImplementedError

    def _make_private(self) -> None:
        """Let nobody else open the lock file of an older run, for who can open it can hold it."""
        found = os.fstat(self._file)
        if found.st_mode & 0o077 and found.st_uid == os.geteuid():
            os.fchmod(self._file, 0o600)

    def _write(self, record: bytes) -> None:
        """Replace the record. Raises `RunError`."""
        try:
            os.pwrite(self._file, record.ljust(_RECORD_BYTES), 0)
            os.ftruncate(self._file, _RECORD_BYTES)
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror}; free some space") from error

    def _record(self, pid: int) -> None:
        folder = self.run.stat().st_ino
        self._write(msgspec.json.encode(EngineProcess(pid, identity_of(pid) or "", time.time(), folder)))

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


class Idle(_LockedFile):
    """The guarantee that no engine works on a run, or begins to, while this is held. Raises `RunLocked` when one works."""

    def __init__(self, run: Path) -> None:
        super().__init__(run, LOCK_FILE)

    def _refusal(self) -> str:
        engine = engine_of(self.run)
        if not engine.works and engine.note:
            return f"{engine.note}. Stop that process, or delete {self.path}, and try again"
        who = engine.process or holder_of(self.path)
        return f"another engine works on {self.run} ({who}); stop it first: skillos-engine stop {shlex.quote(str(self.run))}"


class EngineLock(Idle):
    """The right to work on a run. Raises `RunLocked` when another engine has it."""

    def __init__(self, run: Path) -> None:
        super().__init__(run)
        try:
            self._record(os.getpid())
            os.utime(self._file)
            self._folder = run.stat().st_ino
        except BaseException:
            self.release()
            raise

    def beat(self) -> None:
        """Write the heartbeat. Raises `RunGone` when the run directory was deleted or moved, or another process has its
        lock, and `RunError` when the heartbeat cannot be written."""
        try:
            os.utime(self._file)
        except OSError as error:
            raise RunError(f"cannot write the heartbeat of {self.run}: {error.strerror}") from error
        if _same(self._file, self.path):
            return
        kept = os.fstat(self._file).st_nlink > 0
        if not _is_folder(self.run, self._folder):
            moved = "moved away" if kept else "deleted"
            why = f"the run's directory {self.run} was {moved} while its engine worked, so the engine ends"
            raise RunGone(why, moved=kept and not self.run.exists())
        if lock_state(self.path).held:
            raise RunGone(f"{self.path} was replaced and another process holds it, so the engine ends", moved=False)
        raise RunError(
            f"cannot write the heartbeat of {self.run}: {LOCK_FILE} was {'replaced' if self.path.exists() else 'deleted'}, "
            f"so a second engine could begin. To continue: skillos-engine resume {shlex.quote(str(self.run))}"
        )


class StartLock(_LockedFile):
    """The right to start an engine for a run. The engine inherits `descriptor`, so this lasts until it works or ends.

    Raises `RunLocked` while another process starts one or is loading.
    """

    def __init__(self, run: Path) -> None:
        super().__init__(run, START_FILE)
        try:
            self._write(b"")
        except BaseException:
            self.release()
            raise

    @property
    def descriptor(self) -> int:
        """The open file that holds the lock."""
        return self._file

    def _refusal(self) -> str:
        process = recorded(self.path)
        if process is not None and _of_other_folder(self.path, process):
            return f"{self.path} is a hard link to a lock of another folder, where an engine is loading ({process})"
        if starting(self.run) is not None and process is not None:
            return (
                f"an engine of {self.run} is loading already ({process}); wait for it, or end it: "
                f"skillos-engine stop {shlex.quote(str(self.run))}"
            )
        return f"{holder_of(self.path)} holds {self.path}: it starts an engine at this moment, or keeps others from it"

    def record(self, pid: int) -> None:
        """Record that process `pid` was started to become the engine. Raises `RunError` when it cannot be written."""
        self._record(pid)


def _is_folder(path: Path, inode: int) -> bool:
    """Whether `path` is the folder with this inode."""
    try:
        return path.stat().st_ino == inode
    except OSError:
        return False


def _same(descriptor: int, path: Path) -> bool:
    """Whether `path` is the file that is open."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        return False
