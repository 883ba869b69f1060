"""Store the index of a large repository in its folder, as `.skillos/search-index`.

    write(root, state)
    read(root)                                # None if there is none, or if another version wrote it

The file is replaced atomically: a reader sees the old one or the new one. A `.gitignore` excludes the folder from git. The
content is not trusted: links are not followed, and the bytes are decoded as plain data after a check of size and of a digest
with the user's own key (`engine.core.seals`), so that an index that came with the repository is built again.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.core.locks import try_lock
from engine.core.seals import DIGEST_BYTES, is_sealed, seal
from engine.skills.search.inverted import Postings
from engine.skills.search.words import STEMMER

FOLDER = ".skillos"
FILE = "search-index"
MAX_BYTES = 2 * 1024**3
FORMAT = 3  # increase it with every change of `State`, of `words` or of the indexed fields
VERSION = f"{FORMAT} {sys.byteorder} {STEMMER}"

PURPOSE = "search-index"
_TEMPORARY = f"{FILE}.tmp"
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class State(msgspec.Struct, frozen=True):
    """An index as plain data. By slot: the name of the skill (None for an empty slot), and the digest of its content."""

    names: list[str | None]
    digests: list[bytes]
    fields: list[Postings]
    version: str = VERSION


def read(root: Path) -> State | None:
    """The state in the folder `root`, decoded but not checked for consistency. None if there is none or it is unreadable."""
    try:
        data = _read(root)
        digest, content = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
        if not is_sealed(content, digest, PURPOSE):
            return None
    except OSError:
        return None
    try:
        state = msgspec.msgpack.decode(content, type=State)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return state if state.version == VERSION else None


def write(root: Path, state: State) -> None:
    """Store `state` in the folder `root`. Raises `OSError`, also while another process writes it."""
    content = msgspec.msgpack.encode(state)
    data = seal(content, PURPOSE) + content
    (root / FOLDER).mkdir(exist_ok=True)
    folder = os.open(root / FOLDER, _OPEN_FOLDER)
    try:
        if not try_lock(folder):
            raise BlockingIOError(errno.EWOULDBLOCK, "another process writes it at this moment", str(root / FOLDER))
        with suppress(FileExistsError):
            _write(folder, ".gitignore", b"*\n")
        with suppress(FileNotFoundError):
            os.unlink(_TEMPORARY, dir_fd=folder)  # left by a killed process
        _write(folder, _TEMPORARY, data)
        os.replace(_TEMPORARY, FILE, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(folder)


def _read(root: Path) -> bytes:
    folder = os.open(root / FOLDER, _OPEN_FOLDER)
    try:
        descriptor = os.open(FILE, _OPEN_FILE, dir_fd=folder)
    finally:
        os.close(folder)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise OSError("it is not a regular file, or too large")
        return file.read(MAX_BYTES)


def _write(folder: int, name: str, data: bytes) -> None:
    with os.fdopen(os.open(name, _OPEN_NEW, 0o666, dir_fd=folder), "wb") as file:
        file.write(data)
