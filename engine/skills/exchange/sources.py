"""Read skills from a folder, an archive, a commit of a git repository, or a skill repository.

    read_source(Path("collection.zip"))              # detects the kind of source
    read_git(Path("project"), ref="v1.2")            # a working tree or a bare repository
    read_git(run_repo, step=3, run="r1")             # another run's repository after its step 3

All raise `ExchangeError` for a source that cannot be read at all. Problems of single files are in the bundle (`skipped`).
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pygit2
from pygit2.enums import FileMode, SortMode

from engine.core.archives import ArchiveError, Member, members
from engine.core.beneath import Beneath
from engine.skills.exchange.bundle import (
    MAX_FILE,
    MAX_PATH,
    Bundle,
    Entry,
    ExchangeError,
    Skipped,
    Unreadable,
    gather,
)
from engine.skills.history.commits import at_step, commit_of
from engine.skills.history.errors import HistoryError, translate_errors
from engine.skills.history.repository import any_repository, is_bare
from engine.skills.history.trees import blob, files
from engine.skills.repo.listing import list_folder
from engine.skills.repo.rule import Kind

MAX_ARCHIVE = 256 * 1024**2
ARCHIVES = (".zip", ".skill", ".tar", ".tgz", ".gz", ".bz2", ".tbz2", ".xz", ".txz", ".7z", ".rar", ".zst")


def read_source(path: Path, *, ref: str = "", step: int | None = None, run: str = "") -> Bundle:
    """The skills of an archive, a folder, or (with a ref, a step or a run) a commit. Raises `ExchangeError`."""
    if ref or step is not None or run or (path.is_dir() and is_bare(path)):
        return read_git(path, ref=ref, step=step, run=run)
    return read_archive(path) if path.is_file() else read_folder(path)


# Folders


def read_folder(path: Path) -> Bundle:
    """The skills of a folder, at any depth. Raises `ExchangeError`."""
    return _read_folder(path, deep=True)


def read_repo(path: Path) -> Bundle:
    """The skills of a skill repository on disk, one of each name, with all their files. Raises `ExchangeError`."""
    return _read_folder(path, deep=False)


def _read_folder(path: Path, *, deep: bool) -> Bundle:
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            raise ExchangeError(f"{path} is neither a folder nor an archive; name one")
        os.listdir(path)  # noqa: PTH208  (raises where the reading of the folder would, later)
    except OSError as error:
        raise ExchangeError(
            f"cannot read {path}: {error.strerror or error}; name a folder that you may read"
        ) from error
    return gather(_folder_entries(path), path.resolve().name, deep=deep)


def _folder_entries(root: Path) -> Iterator[Entry]:
    for path, kind, target, why in list_folder(root):
        try:
            status = (root / path).lstat()
        except OSError:
            continue  # deleted meanwhile
        link = posixpath.relpath(target or ".", posixpath.dirname(path) or ".") if kind == "link" and not why else ""
        executable = bool(status.st_mode & stat.S_IXUSR)
        yield Entry(path, status.st_size, kind, executable, partial(_file_bytes, root, path), link, why)


def _file_bytes(root: Path, path: str) -> bytes:
    with Beneath(root) as folder:
        data = folder.read(path, MAX_FILE)
    if len(data) > MAX_FILE:
        raise Unreadable(f"it has more than {MAX_FILE:,} bytes")
    return data


# Archives


def read_archive(path: Path) -> Bundle:
    """The skills of a zip or a tar, at any depth. Nothing is unpacked to the disk. Raises `ExchangeError`."""
    try:
        size = path.stat().st_size
        if size > MAX_ARCHIVE:
            raise ExchangeError(
                f"{path} has {size:,} bytes, {MAX_ARCHIVE:,} are allowed; unpack it and name the folder"
            )
        with path.open("rb") as file:
            listed = list(members(file, str(path)))
            bundle = gather([_archive_entry(member) for member in listed], path.name)
    except OSError as error:
        raise ExchangeError(f"cannot read {path}: {error.strerror or error}") from error
    except ArchiveError as error:
        raise ExchangeError(str(error)) from error
    homes = tuple(package.place.removesuffix(package.path) for package in bundle.packages if not package.flat)
    inner = [
        Skipped(member.path, "it is an archive inside the archive; take it out, and import it by itself")
        for member in listed
        if member.path.lower().endswith(ARCHIVES) and not member.why and not member.path.startswith(homes or ("\0",))
    ]
    return msgspec.structs.replace(bundle, skipped=(*bundle.skipped, *inner))


def _archive_entry(member: Member) -> Entry:
    kind: Kind = "link" if member.link else "file"
    read = partial(_archive_bytes, member)
    return Entry(member.path, member.size, kind, member.executable, read, member.link, member.why)


def _archive_bytes(member: Member) -> bytes:
    try:
        return member.read()
    except ArchiveError as error:
        raise Unreadable(str(error)) from error


# Git


def read_git(path: Path, *, ref: str = "", step: int | None = None, run: str = "") -> Bundle:
    """The skills of one commit of the repository at `path`. For a `path` inside a repository, only the skills below it.

    `ref` is a commit, branch or tag, by default the newest commit. `step` of `run` (by default the newest run) selects a
    commit by our trailers (`engine.skills.history.commits.at_step`). Raises `ExchangeError`.
    """
    try:
        with translate_errors(path, "read the commits"):
            repository = any_repository(path)
            commit = _commit(repository, path, ref, step, run)
            inside = _inside(repository, path)
            origin = f"{path.resolve().name}@{str(commit.id)[:12]}"
            return gather(_git_entries(repository, commit, inside), origin)
    except HistoryError as error:
        raise ExchangeError(str(error)) from error


def _commit(repository: pygit2.Repository, path: Path, ref: str, step: int | None, run: str) -> pygit2.Commit:
    if repository.head_is_unborn and not ref:
        raise ExchangeError(f"{path} has no commit yet")
    if ref and (step is not None or run):
        raise ExchangeError("name a ref or a step, not both")
    try:
        if step is None and not run:
            return repository.revparse_single(ref or "HEAD").peel(pygit2.Commit)
        walk = repository.walk(repository.head.target, SortMode.TOPOLOGICAL | SortMode.TIME)
        found = repository[at_step([commit_of(commit) for commit in walk], step, run).id]
        assert isinstance(found, pygit2.Commit)
        return found
    except (KeyError, ValueError) as error:
        raise ExchangeError(f"{path} has no commit {ref!r}; name a branch, a tag or a commit's id") from error
    except LookupError as error:
        raise ExchangeError(f"{path}: {error.args[0]}") from error


def _inside(repository: pygit2.Repository, path: Path) -> str:
    """The path of `path` in the working tree, "" for the root."""
    if repository.workdir is None or not path.resolve().is_relative_to(Path(repository.workdir).resolve()):
        return ""
    inside = path.resolve().relative_to(Path(repository.workdir).resolve()).as_posix()
    return "" if inside == "." else inside


def _git_entries(repository: pygit2.Repository, commit: pygit2.Commit, inside: str) -> Iterator[Entry]:
    for path, (oid, mode) in files(commit.tree, inside).items():
        below = path.removeprefix(f"{inside}/") if inside else path
        size = repository.odb.read_header(oid)[1]
        read = partial(blob, repository, oid)
        if mode == FileMode.LINK:
            link = os.fsdecode(read()) if size <= MAX_PATH else ""
            yield Entry(below, size, "link", False, read, link)
        else:
            yield Entry(below, size, "file", mode == FileMode.BLOB_EXECUTABLE, read)
