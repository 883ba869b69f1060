"""List and read archives without unpacking them: zip, tar, and tar compressed with gzip, bzip2 or xz.

    for member in members(file, "collection.tar.gz"):        # an open binary file; the content decides, not the name
        member.path, member.why or member.read()

Nothing is written, and everything is bounded: the list of files, and what a compressed tar unpacks to. A file is read when
`read` is called, while `file` is open, and never beyond its declared size. Harmless spellings of a path (`\\`, a leading
`./`, `a//b`) are normalized; then it is checked whether the path leads out of the archive. Links are not followed here.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import posixpath
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Literal, NamedTuple

from engine.core.errors import SkillosError

MAX_MEMBERS = 200_000
MAX_UNPACKED = 512 * 1024**2
"""Bytes that a compressed tar may unpack to, in memory."""
MAX_DIRECTORY = 64 * 1024**2
"""Bytes of a zip's central directory."""
MAX_LINK = 4_096
_CHUNK = 1024**2

_END = b"PK\x05\x06"
_END_64 = b"PK\x06\x06"
_DEVICES = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?", re.IGNORECASE)
_COMPRESSED: tuple[tuple[bytes, Callable[[IO[bytes], Literal["rb"]], IO[bytes]]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
    (b"]\x00\x00", lzma.open),
)  # type: ignore[assignment]
_UNREAD = (
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"\x04\x22\x4d\x18", "compressed with lz4"),
    (b"\x1f\x9d", "compressed with compress"),
    (b"MSCF", "a cabinet file"),
    (b"xar!", "a xar archive"),
)
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, ValueError, OverflowError)
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
_AES = 99


class ArchiveError(SkillosError):
    """An archive, or one file of it, cannot be read. The message says why, and for an archive which and what to do."""


class NotAnArchive(ArchiveError):
    """A file is no archive of a kind that is known here."""


class Member(NamedTuple):
    """One file or link of an archive, at its normalized `path`. `link` is the text of a link. `why` it is left out, or "".

    `read` returns all bytes; it raises `ArchiveError` and `OSError`.
    """

    path: str
    size: int = 0
    executable: bool = False
    link: str = ""
    why: str = ""
    read: Callable[[], bytes] = bytes


def members(file: IO[bytes], name: str, *, limit: int | None = None) -> Iterator[Member]:
    """The files and links of the archive that `file`, called `name`, contains. Raises `ArchiveError` and `OSError`.

    `limit` is how many bytes a compressed tar may unpack to, by default `MAX_UNPACKED`.
    """
    start = file.read(512)
    file.seek(0)
    unread = next((kind for magic, kind in _UNREAD if start.startswith(magic)), "")
    if unread:
        raise ArchiveError(f"{name} is {unread}, which cannot be read here; unpack it and name the folder")
    opens = next((opens for magic, opens in _COMPRESSED if start.startswith(magic)), None)
    if opens is not None:
        whole = io.BytesIO(unpacked(file, name, limit=limit))
        if not _is_tar(whole.read(512)):
            raise NotAnArchive(f"{name} is a compressed file and no archive; unpack it and name the folder")
        return _tar_members(name, whole)
    return _tar_members(name, file) if _is_tar(start) else _zip_members(name, file)


def is_archive(start: bytes) -> bool:
    """Whether a file that begins with the 512 bytes `start` is an archive or compressed, of a kind that is known here."""
    known = (*_COMPRESSED, *_UNREAD, (b"PK\x03\x04", ""), (_END, ""))
    return any(start.startswith(magic) for magic, _ in known) or _is_tar(start)


def unpacked(file: IO[bytes], name: str, *, limit: int | None = None) -> bytes:
    """The content of a file that is compressed with gzip, bzip2 or xz. Raises `ArchiveError`, also beyond `limit` bytes."""
    start = file.read(8)
    file.seek(0)
    opens = next((opens for magic, opens in _COMPRESSED if start.startswith(magic)), None)
    if opens is None:
        raise NotAnArchive(f"{name} is not compressed")
    limit = MAX_UNPACKED if limit is None else limit
    whole = io.BytesIO()
    try:
        content = opens(file, "rb")
        while chunk := content.read(_CHUNK):
            whole.write(chunk)
            if whole.tell() > limit:
                raise ArchiveError(f"{name} unpacks to more than {limit:,} bytes; take a part of it")
    except EOFError as error:
        raise ArchiveError(f"{name} is cut off: it ends before its content does; get it again") from error
    except (*_DAMAGED, OSError) as error:
        raise ArchiveError(f"{name} is damaged: {error}; get it again") from error
    return whole.getvalue()


# Paths


def normalized(name: str) -> str:
    """The path `name` in its shortest form, with `/` between its parts; it can still lead out of the archive."""
    path = name.replace("\\", "/")
    shortest = posixpath.normpath(path) if path else ""
    return shortest.removeprefix("./") if shortest != "." else ""


def escape(name: str) -> str:
    """Why a file of the name `name` must not be read from an archive, or "". Harmless spellings are no reason."""
    path = name.replace("\\", "/")
    parts = normalized(name).split("/")
    if "\0" in name:
        return "its name has a NUL character"
    if path.startswith("/"):
        return "its path is absolute, so it leads out of the archive"
    if re.match(r"[A-Za-z]:", path):
        return "its path names a drive, so it leads out of the archive"
    if ".." in parts:
        return "its path leads out of the archive"
    if any(_DEVICES.fullmatch(part.rstrip(" .")) for part in parts):
        return "its name is that of a device on Windows"
    if any(part != part.rstrip(" .") for part in parts):
        return "its name ends with a dot or a blank, which Windows removes"
    if ":" in path:
        return "its name has a colon, which Windows takes for a part of another file"
    return ""


def _member(name: str, why: str = "", **fields: object) -> Member:
    reason = escape(name) or why
    return Member(name if escape(name) else normalized(name), why=reason, **fields)  # type: ignore[arg-type]


# Zips


def _zip_members(name: str, file: IO[bytes]) -> Iterator[Member]:
    starts_as_zip = file.read(4) == b"PK\x03\x04"
    file.seek(max(0, file.seek(0, io.SEEK_END) - 66_000))
    if any(size > MAX_DIRECTORY for size in _directory_sizes(file.read())):
        raise ArchiveError(f"{name} lists too many files; unpack it and name the folder")
    try:
        archive = zipfile.ZipFile(file)
    except (*_DAMAGED, NotImplementedError) as error:
        if starts_as_zip:
            raise ArchiveError(f"{name} is cut off or damaged: {error}; get it again") from error
        raise NotAnArchive(f"{name} is neither a folder nor an archive (zip or tar): {error}") from error
    listed = archive.infolist()
    if len(listed) > MAX_MEMBERS:
        raise ArchiveError(f"{name} holds more than {MAX_MEMBERS:,} files; take a part of it")
    for info in listed:
        path = _zip_name(info)
        if not path.replace("\\", "/").endswith("/"):
            yield _zip_member(archive, info, path)


def _directory_sizes(tail: bytes) -> Iterator[int]:
    """The size in bytes of the central directory, for each end record that a reader could find in the last bytes."""
    for record, field in ((_END, slice(12, 16)), (_END_64, slice(40, 48))):
        for found in re.finditer(record, tail):
            yield int.from_bytes(tail[found.start() :][field], "little")


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The whole name of a file: `info.filename` ends at a NUL. UTF-8 that is not declared as such is read as UTF-8."""
    if info.flag_bits & 0x800:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Member:
    mode = info.external_attr >> 16
    read = partial(_zip_bytes, archive, info)
    why = _zip_problem(info, stat.S_IFMT(mode))
    link = ""
    if not why and stat.S_ISLNK(mode):
        try:
            link = read().decode("utf-8", "surrogateescape").replace("\\", "/") if info.file_size <= MAX_LINK else ""
        except ArchiveError as error:
            why = f"it is a link that cannot be read: {error}"
        why = why or ("" if link else "it is a link without a target")
    return _member(name, why, size=info.file_size, executable=bool(mode & stat.S_IXUSR), link=link, read=read)


def _zip_problem(info: zipfile.ZipInfo, kind: int) -> str:
    if info.flag_bits & 0x1 or info.compress_type == _AES:
        return "it is encrypted"
    if info.compress_type not in _METHODS:
        return f"its compression (method {info.compress_type}) cannot be read here"
    return "" if kind in (0, stat.S_IFREG, stat.S_IFLNK) else _special(kind)


def _special(kind: int) -> str:
    names = {stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return f"it is {names.get(kind, 'not a regular file')}"


def _zip_bytes(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The bytes of a file of an archive. Reads at most one byte more than its declared size."""
    try:
        with archive.open(info) as file:
            data = file.read(info.file_size + 1)
    except (*_DAMAGED, NotImplementedError, RuntimeError) as error:
        raise ArchiveError(f"it is damaged: {error}" if str(error) else "it is damaged") from error
    if len(data) != info.file_size:
        raise ArchiveError("it is damaged: its size is not the one in the archive's directory")
    return data


# Tars


def _is_tar(start: bytes) -> bool:
    """Whether a block is the header of a tar, also of an old one without a signature."""
    if start[257:262] == b"ustar":
        return True
    try:
        return len(start) == 512 and bool(tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape").name)
    except tarfile.TarError:
        return False


def _tar_members(name: str, file: IO[bytes]) -> Iterator[Member]:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    number = offset = 0
    try:
        archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - it is read when all members are listed
        while (info := archive.next()) is not None:
            number += 1
            if number > MAX_MEMBERS:
                raise ArchiveError(f"{name} holds more than {MAX_MEMBERS:,} files; take a part of it")
            if archive.offset <= offset or info.size < 0:
                raise ArchiveError(f"{name} is damaged at byte {offset:,}; get it again")
            offset = archive.offset
            if not info.isdir():
                yield _tar_member(archive, info)
    except (*_DAMAGED, RecursionError) as error:
        cut = offset >= size or "unexpected end" in str(error)
        why = "is cut off: it ends before its content does" if cut else f"is damaged: {error}"
        raise ArchiveError(f"{name} {why}; get it again") from error
    file.seek(archive.offset)
    block = file.read(512)  # `tarfile` takes a damaged header for the end
    if block.strip(b"\0"):
        what = "cut off" if len(block) < 512 else "damaged"
        raise ArchiveError(f"{name} is {what} at byte {archive.offset:,} of {size:,}; get it again")
    if not block:
        yield Member(name, why="the archive has no end mark, so its last files can be missing")


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    why = link = ""
    if info.issym():
        link = info.linkname.replace("\\", "/")
    elif info.islnk():  # a hard link names a path from the top
        why = "it is a link that leads out of the archive" if escape(info.linkname) else ""
        here = posixpath.dirname(normalized(info.name)) or "."
        link = "" if why or escape(info.name) else posixpath.relpath(normalized(info.linkname) or ".", here)
    elif not info.isreg():
        why = "it is a pipe" if info.isfifo() else "it is a device" if info.isdev() else "it is not a regular file"
    read = partial(_tar_bytes, archive, info)
    return _member(info.name, why, size=info.size, executable=bool(info.mode & 0o100), link=link, read=read)


def _tar_bytes(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(info)
    data = file.read(info.size + 1) if file else b""
    if len(data) != info.size:
        raise ArchiveError("it is cut off")
    return data
