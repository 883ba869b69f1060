"""Publish files and folders atomically, and open what others have published.

publish(draft, path)                             # renames a finished file or folder to its final name
replace(path, content)                           # a file has this content, or what it had before
open_regular(path)                               # for reading; a pipe, whose opening may never end, is refused
f"… {error}; {remedy(error)} and resume"         # what a user can do about a file that cannot be written
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

_REMEDIES: Mapping[int, str] = MappingProxyType(
    {
        errno.EACCES: "give yourself permission to write there",
        errno.EPERM: "give yourself permission to write there",
        errno.EROFS: "make its file system writable",
        errno.ENOSPC: "free some space",
        errno.EDQUOT: "free some space",
        errno.EFBIG: "free some space or raise the limit on file sizes",
    }
)


def publish(draft: Path, path: Path) -> None:
    """Rename a finished `draft` to `path`, which must be absent, or an empty folder if `draft` is a folder.

    The content is synced before the rename, so after a power failure `path` is complete or absent. Raises `OSError`.
    """
    if draft.is_file() and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    sync(draft)
    draft.rename(path)
    sync_folder(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Let the file `path` have `content`. After an error it is as it was, and nothing is left beside it.

    A file that exists keeps its mode. Raises `OSError`, which names `path`.
    """
    draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            file.write(content)
        if path.exists():
            draft.chmod(path.stat().st_mode & 0o777)
        sync(draft)
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise type(error)(error.errno, error.strerror, str(path)) from error


def open_regular(path: Path) -> BinaryIO:
    """A regular file, open for reading. Raises `OSError`, also for a pipe or a device, whose opening may never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def remedy(error: Exception) -> str:
    """What a user can do about a file that cannot be written. A library may quote the system's error in one of its own."""
    if isinstance(error, OSError):
        code = error.errno or 0
    else:
        code = next((code for code in _REMEDIES if os.strerror(code) in str(error)), 0)
    return _REMEDIES.get(code, "correct that")


def sync(path: Path) -> None:
    """Sync a file, or a folder with all its content, to the disk. Raises `OSError`."""
    if path.is_dir():
        for content in path.rglob("*"):
            if not content.is_symlink():
                _sync_one(content)
    _sync_one(path)


def sync_folder(path: Path) -> None:
    """Sync what a folder lists, after a rename in it, and not the content of its files. Raises `OSError`."""
    _sync_one(path)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
