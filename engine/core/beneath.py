"""Read and write files below a folder without following a link, also while another process swaps links in.

    with Beneath(root) as folder:
        folder.write("alpha/SKILL.md.tmp", data)                 # makes alpha/; must not exist yet
        folder.rename("alpha/SKILL.md.tmp", "alpha/SKILL.md")
        folder.read("alpha/SKILL.md", limit=1_000_000)

Each part of a path is opened relative to the descriptor of the part before it, with O_NOFOLLOW. So no byte is written or
read outside `root`, whatever changes between two calls. `root` itself may be reached through links. All paths are relative,
in POSIX form, and may not contain "..". Every method raises `OSError`; where a link is in the way, `LinkInTheWay`.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

_SMALL = 65_536
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LinkInTheWay(OSError):
    """A part of a path is a link (or no folder), and links are not followed."""


class Entry(NamedTuple):
    """A name in a folder. A link is neither a folder nor a file here, wherever it leads."""

    name: str
    is_folder: bool
    is_file: bool
    is_link: bool


class Beneath:
    """A folder that stays open. Close it, or use it as a context manager."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def below(self, path: str) -> Self:
        """The folder at `path` as a folder of its own, which stays the same one when its name is given to another."""
        with self._folder(path) as folder:
            made = type(self).__new__(type(self))
            made.root = self.root / path
            made._descriptor = os.dup(folder)
        return made

    def close(self) -> None:
        """Close the folder; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def lstat(self, path: str) -> os.stat_result:
        """The status of a file, folder or link."""
        with self._parent(path) as (folder, name):
            return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def exists(self, path: str) -> bool:
        """Whether there is a file, a folder or a link at `path`. False below a link."""
        try:
            self.lstat(path)
        except (FileNotFoundError, LinkInTheWay):
            return False
        return True

    def names(self, path: str = "") -> list[str]:
        """The names in a folder, sorted."""
        with self._folder(path) as folder:
            return sorted(os.listdir(folder))  # noqa: PTH208 - a descriptor, not a path

    def entries(self, path: str = "") -> list[Entry]:
        """The entries of a folder, sorted by name."""
        with self._folder(path) as folder, os.scandir(folder) as found:
            entries = [
                Entry(
                    each.name,
                    each.is_dir(follow_symlinks=False),
                    each.is_file(follow_symlinks=False),
                    each.is_symlink(),
                )
                for each in found
            ]
        return sorted(entries)

    def open(self, path: str) -> BinaryIO:
        """A regular file, open for reading."""
        with self._parent(path) as (folder, name):
            descriptor = _opened(name, os.O_RDONLY | os.O_NONBLOCK, folder, path)
        file = os.fdopen(descriptor, "rb")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            file.close()
            raise OSError(errno.EINVAL, "it is not a regular file", path)
        return file

    def read(self, path: str, limit: int) -> bytes:
        """The bytes of a regular file, at most `limit` + 1 of them, so that a caller can see that there are more."""
        with self.open(path) as file:
            # `file.read` takes all the memory that it is asked for, also for a small file
            size = os.fstat(file.fileno()).st_size
            return file.read(min(limit, max(size, _SMALL)) + 1)

    def readlink(self, path: str) -> str:
        """Where a link leads."""
        with self._parent(path) as (folder, name):
            return os.readlink(name, dir_fd=folder)

    def write(self, path: str, data: bytes | Iterable[bytes], *, executable: bool = False, sync: bool = True) -> None:
        """Write a new file and sync it to the disk; its folders are made. Raises `FileExistsError`.

        After an error the file is removed again, as far as that is possible.
        """
        self._write(path, data, os.O_CREAT | os.O_EXCL, 0o777 if executable else 0o666, sync)

    def overwrite(self, path: str, data: bytes) -> None:
        """Write a file in place; it is made if absent. After a crash it can hold a part of `data`."""
        self._write(path, data, os.O_CREAT | os.O_TRUNC, 0o666, sync=False)

    def append(self, path: str, data: bytes) -> None:
        """Append to a file, which is made if absent, and its folders too."""
        self._write(path, data, os.O_CREAT | os.O_APPEND, 0o666, sync=False)

    def descriptor(self, path: str, flags: int, mode: int = 0o666) -> int:
        """Open a file with the flags of `os.open`; its descriptor, which the caller closes."""
        with self._parent(path) as (folder, name):
            return _opened(name, flags, folder, path, mode)

    def _write(self, path: str, data: bytes | Iterable[bytes], flags: int, mode: int, sync: bool) -> None:
        with self._parent(path, make=True) as (folder, name):
            descriptor = _opened(name, os.O_WRONLY | os.O_NONBLOCK | flags, folder, path, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines([data] if isinstance(data, bytes) else data)
                file.flush()
                if sync:
                    os.fsync(descriptor)
        except OSError as error:
            self._locate(error, path)
            if flags & os.O_EXCL:
                with suppress(OSError):
                    self.unlink(path)
            raise

    def symlink(self, target: str, path: str) -> None:
        """Make a link at `path`; its folders are made. Raises `FileExistsError`."""
        with self._parent(path, make=True) as (folder, name):
            os.symlink(target, name, dir_fd=folder)

    def link(self, old: str, new: str) -> None:
        """Give a file a second name, `new`, which must not exist yet. Raises `FileExistsError`."""
        with self._parent(old) as (source, source_name), self._parent(new) as (target, target_name):
            os.link(source_name, target_name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)

    def mkdir(self, path: str) -> None:
        """Make a folder with its parents; one that exists is left as it is."""
        with self._folder(path, make=True):
            pass

    def rename(self, old: str, new: str) -> None:
        """Rename a file or folder; a file at `new` is replaced."""
        with self._parent(old) as (source, source_name), self._parent(new) as (target, target_name):
            os.rename(source_name, target_name, src_dir_fd=source, dst_dir_fd=target)

    def unlink(self, path: str, *, missing_ok: bool = False) -> None:
        """Remove a file or a link."""
        try:
            with self._parent(path) as (folder, name):
                os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        with self._parent(path) as (folder, name):
            os.rmdir(name, dir_fd=folder)

    def rmtree(self, path: str) -> None:
        """Remove a folder with all its content, as far as that is possible. Raises nothing for what is left."""
        with suppress(OSError), self._parent(path) as (folder, name):
            shutil.rmtree(name, ignore_errors=True, dir_fd=folder)

    def sync(self, path: str = "") -> None:
        """Sync the entries of a folder to the disk."""
        with self._folder(path) as folder:
            os.fsync(folder)

    @contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        parent, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            raise OSError(errno.EINVAL, "it is not the path of a file", path)
        with self._folder(parent, make=make) as folder:
            try:
                yield folder, name
            except OSError as error:
                self._locate(error, path)
                raise

    @contextmanager
    def _folder(self, path: str, *, make: bool = False) -> Iterator[int]:
        here = os.dup(self._descriptor)
        try:
            for name in path.split("/") if path else []:
                if name in ("", ".", ".."):
                    raise OSError(errno.EINVAL, "it is not a relative path in its shortest form", path)
                below = _opened_or_made(name, here, path) if make else _opened(name, _FOLDER, here, path)
                os.close(here)
                here = below
            yield here
        except OSError as error:
            self._locate(error, path)
            raise
        finally:
            os.close(here)

    def _locate(self, error: OSError, path: str) -> None:
        """Give an error the whole path, where it has only the last part of it."""
        if error.errno is not None and not (
            isinstance(error.filename, str) and error.filename.startswith(str(self.root))
        ):
            error.filename = str(self.root / path)


def _opened_or_made(name: str, folder: int, path: str) -> int:
    try:
        return _opened(name, _FOLDER, folder, path)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
        return _opened(name, _FOLDER, folder, path)


def _opened(name: str, flags: int, folder: int, path: str, mode: int = 0o777) -> int:
    try:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise LinkInTheWay(
                error.errno, f"{name} is a link or no folder, and links are not followed", path
            ) from error
        raise
