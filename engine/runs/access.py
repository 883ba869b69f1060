"""How the database of a run is opened: to write, or only to read, which needs no right to write.

    access = find(run / "run.db")
    access.read_only            # "" where it may be written, else the reason
    sqlite3.connect(f"file:{access.file}?{access.options}", uri=True)

SQLite reads a WAL database without the right to write where its -wal and -shm files can be read, or where there is no -wal
with content and nobody writes ("immutable"). In all other cases a private copy is read, with the content of the -wal.
`changed` says when an access must be found again: a writer may begin at any time.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
import time
from pathlib import Path

import msgspec

from engine.runs.errors import RunError

COPY_ATTEMPTS = 20
PAUSE_SECONDS = 0.1
SHM_BYTES = 32_768
"""A -shm file with less was not finished, on a full disk."""
MIN_FREE_BYTES = 64 * 1024
"""With less than this free, an engine could not write its events."""
RECOPY_FACTOR = 10
"""A copy is made again at the earliest after so many times the seconds that it took."""

Mark = tuple[int, int, int] | None
"""Inode, size and time of the last write in ns; None without a file."""


class Access(msgspec.Struct, frozen=True):
    """The file that SQLite opens, and with which options of its URI. `marks` are the run's own files as they were then.

    `read_only` is "" or the reason; `copied` where `file` is a private copy, made at `made` in `seconds`.
    """

    file: Path
    options: str = "mode=rw"
    read_only: str = ""
    marks: tuple[Mark, ...] = ()
    copied: bool = False
    made: float = 0.0
    seconds: float = 0.0

    @property
    def immutable(self) -> bool:
        """Whether SQLite takes the file for one that nobody writes."""
        return "immutable" in self.options

    def forget(self) -> None:
        """Remove the private copy; nothing else is ever removed."""
        if self.copied:
            shutil.rmtree(self.file.parent, ignore_errors=True)


def find(path: Path) -> Access:
    """The access to the database at `path`. Raises `RunError` where it may not even be read."""
    why = why_not_written(path)
    return to_read(path, why) if why else Access(path)


def to_read(path: Path, why: str) -> Access:
    """The access that only reads; `why` is the reason. Raises `RunError` where a private copy is needed and not possible."""
    wal, shm = beside(path)
    marks = marks_of(path)
    if not os.access(path, os.R_OK, effective_ids=_EFFECTIVE):
        raise RunError(
            f"no permission to read {path}, which belongs to {_owner(path)}; ask for it, or open it as that user"
        )
    if _readable(wal) and _readable(shm) and shm.stat().st_size >= SHM_BYTES:
        return Access(path, "mode=ro", why, marks)
    if marks[1] is None or marks[1][1] == 0:
        return Access(path, "mode=ro&immutable=1", why, marks)
    return to_copy(path, why)


def to_copy(path: Path, why: str) -> Access:
    """A private copy of the database and its -wal, in a new temporary folder. Raises `RunError`."""
    began = time.monotonic()
    folder = None
    try:
        folder = Path(tempfile.mkdtemp(prefix="skillos-copy-"))
        copy = folder / path.name
        for _ in range(COPY_ATTEMPTS):
            marks = marks_of(path)
            for source, target in zip((path, beside(path)[0]), (copy, beside(copy)[0]), strict=True):
                target.unlink(missing_ok=True)
                if source.exists():
                    shutil.copyfile(source, target)
            if marks_of(path) == marks:
                now = time.monotonic()
                return Access(copy, "mode=rw", why, marks, copied=True, made=now, seconds=now - began)
            time.sleep(PAUSE_SECONDS)
    except OSError as error:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        place = tempfile.gettempdir()
        raise RunError(
            f"{path} can only be read as a copy ({why}), and it cannot be copied to {place}: {error.strerror}"
        ) from error
    shutil.rmtree(folder, ignore_errors=True)
    raise RunError(f"{path} can only be read as a copy ({why}), and it is written all the time; try again later")


def changed(access: Access, path: Path) -> bool:
    """Whether the access to the database at `path` must be found again, since somebody has written since."""
    if not access.read_only or marks_of(path) == access.marks:
        return False
    if access.copied:
        return time.monotonic() - access.made >= RECOPY_FACTOR * access.seconds
    wal = marks_of(path)[1]
    return access.immutable or wal is None or access.marks[1] is None or wal[0] != access.marks[1][0]


def marks_of(path: Path) -> tuple[Mark, ...]:
    """What distinguishes the versions of the database and its -wal."""
    return tuple(_mark(each) for each in (path, beside(path)[0]))


def beside(path: Path) -> tuple[Path, Path]:
    """The -wal and the -shm file of a database."""
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def _mark(path: Path) -> Mark:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def why_not_written(path: Path) -> str:
    """Why a database may not be written; "" where it may."""
    for item in (path, *beside(path), path.parent):
        needed = os.W_OK | (os.X_OK if item == path.parent else os.R_OK)
        if _mark(item) is not None and not os.access(item, needed, effective_ids=_EFFECTIVE):
            return _reason(item, "its folder" if item == path.parent else item.name)
    return ""


def why_failed(path: Path, error: BaseException) -> str:
    """Why a database could not be opened to write. SQLite calls a full disk an "I/O error" where it has no room for the -shm
    file."""
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return str(error)
    if free < SHM_BYTES:
        return f"its disk is full ({free // 1024} KiB are free); free some space"
    return str(error)


def full_disk(run: Path) -> str:
    """That the disk of a run is full; "" where it is not."""
    free = shutil.disk_usage(run).free
    return f"the disk of {run} is full ({free // 1024} KiB are free)" if free < MIN_FREE_BYTES else ""


def _reason(item: Path, name: str) -> str:
    if os.statvfs(item).f_flag & os.ST_RDONLY:
        return "it is on a read-only file system"
    if item.stat().st_uid != os.geteuid():
        return f"you may not write {name}, which belongs to {_owner(item)}"
    return f"{name} is write-protected"


def _owner(item: Path) -> str:
    uid = item.stat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _readable(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode) and os.access(path, os.R_OK, effective_ids=_EFFECTIVE)
    except OSError:
        return False


_EFFECTIVE = os.access in os.supports_effective_ids
