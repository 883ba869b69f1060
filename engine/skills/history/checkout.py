"""A git repository and its folder, moved together from one commit to the next.

    advance(repository, new)        # the branch and every file that differs, or neither

The order makes a crash harmless: a marker that names the commit is written, new files are staged under temporary
names, the branch moves, the staged files are renamed into place, the marker goes. `recover` finds the marker: if the
branch had moved, it finishes the files; if not, nothing had happened. Blobs hold exact bytes: no filter touches line
ends.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
import pygit2
from pygit2.enums import DiffOption, FileMode

from engine.skills.repo.layout import decoded_name

MARKER = "skillos-pending"
TEMPORARY = ".skillos-"


class FileDelta(msgspec.Struct, frozen=True):
    """One file that two trees hold differently: object ids (hex) and modes, None and 0 where a tree lacks the file."""

    path: str
    old: str | None
    new: str | None
    old_mode: int
    new_mode: int


def root_of(repository: pygit2.Repository) -> Path:
    """The folder of a repository."""
    return Path(repository.workdir)


def head_of(repository: pygit2.Repository) -> pygit2.Commit | None:
    """The present commit, None before the first."""
    return None if repository.head_is_unborn else repository.head.peel(pygit2.Commit)


def deltas(old: pygit2.Commit | None, new: pygit2.Commit) -> list[FileDelta]:
    """The files that differ from `old` (None is the empty tree) to `new`, sorted by path."""
    flags = DiffOption.INCLUDE_TYPECHANGE | DiffOption.SKIP_BINARY_CHECK
    difference = old.tree.diff_to_tree(new.tree, flags) if old else new.tree.diff_to_tree(flags=flags, swap=True)
    found = []
    for delta in difference.deltas:
        was, now = (
            (str(file.id), int(file.mode)) if file.mode not in (FileMode.UNREADABLE, FileMode.COMMIT) else (None, 0)
            for file in (delta.old_file, delta.new_file)
        )
        if was != now:
            path = os.fsdecode(delta.new_file.raw_path if now[0] else delta.old_file.raw_path)
            found.append(FileDelta(path, was[0], now[0], was[1], now[1]))
    return sorted(found, key=lambda delta: delta.path)


def files(tree: pygit2.Tree, under: str = "") -> dict[str, tuple[str, int]]:
    """Object id and mode of the files of a tree, by path; `under` names one folder or file. Submodules are left out."""
    prefix = ""
    if under:
        if under not in tree:
            return {}
        found = tree[under]
        if not isinstance(found, pygit2.Tree):
            return {under: (str(found.id), int(found.filemode))} if isinstance(found, pygit2.Blob) else {}
        tree, prefix = found, f"{under}/"
    index = pygit2.Index()
    index.read_tree(tree)
    return {prefix + entry.path: (str(entry.id), int(entry.mode)) for entry in index if entry.mode != FileMode.COMMIT}


def tree_with(
    repository: pygit2.Repository, base: pygit2.Tree | None, changes: Mapping[str, tuple[str, int] | None]
) -> pygit2.Oid:
    """The id of `base` (None is the empty tree) with `changes` (object id and mode by path; None removes the file).

    Only the folders that change are written. Raises `pygit2.GitError` for a path that is not one inside the folder.
    """
    return _built(repository, base, changes).write()


def _built(
    repository: pygit2.Repository, base: pygit2.Tree | None, changes: Mapping[str, tuple[str, int] | None]
) -> pygit2.TreeBuilder:
    builder = repository.TreeBuilder(base) if base is not None else repository.TreeBuilder()
    below: dict[str, dict[str, tuple[str, int] | None]] = {}
    for path, entry in sorted(changes.items(), key=lambda change: change[1] is not None):  # what goes makes room first
        name, _, rest = path.partition("/")
        if name.lower() in ("", ".", "..", ".git"):
            raise pygit2.GitError(f"{path!r} is not a path inside the folder")
        if rest:
            below.setdefault(name, {})[rest] = entry
        elif entry is not None:
            builder.insert(name, pygit2.Oid(hex=entry[0]), FileMode(entry[1]))
        elif builder.get(name) is not None:
            builder.remove(name)
    for name, inside in below.items():
        old = builder.get(name)
        folder = _built(repository, old if isinstance(old, pygit2.Tree) else None, inside)
        if len(folder):
            builder.insert(name, folder.write(), FileMode.TREE)
        elif isinstance(old, pygit2.Tree):
            builder.remove(name)
    return builder


def blob(repository: pygit2.Repository, oid: str) -> bytes:
    """The bytes of a blob. Raises `pygit2.GitError` where the repository lacks it."""
    found = repository.get(oid)
    if not isinstance(found, pygit2.Blob):
        raise pygit2.GitError(f"the object {oid} is missing")
    return found.data


def store_file(repository: pygit2.Repository, path: str) -> tuple[str, int] | None:
    """Store a file of the folder; its object id and mode, or None for what git does not keep. Raises `OSError`."""
    full = root_of(repository) / path
    mode = full.lstat().st_mode
    if stat.S_ISLNK(mode):
        return str(repository.create_blob(os.fsencode(full.readlink()))), int(FileMode.LINK)
    if not stat.S_ISREG(mode):
        return None
    with full.open("rb") as file:
        oid = repository.create_blob_fromiobase(file)
    return str(oid), int(FileMode.BLOB_EXECUTABLE if mode & stat.S_IXUSR else FileMode.BLOB)


def walk(repository: pygit2.Repository, under: str = "") -> Iterator[str]:
    """The paths of all files of the folder that git may keep, sorted; `under` names one folder or file of it.

    Left out are `.git` folders, other repositories inside this one, our temporary files, and names that are not UTF-8,
    which libgit2 cannot be told; links are not followed.
    """
    root = root_of(repository)
    top = root / under
    if under and (top.is_symlink() or not top.is_dir()):
        if os.path.lexists(top):
            yield under
        return
    for folder, folders, names in os.walk(top):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if name != ".git" and not (here / name / ".git").exists())
        links = [name for name in folders if (here / name).is_symlink()]
        for name in sorted([*names, *links]):
            path = (here / name).relative_to(root).as_posix()
            if name != ".git" and not name.startswith(TEMPORARY) and decoded_name(path) == path:
                yield path


def point_to(repository: pygit2.Repository, new: pygit2.Oid, old: pygit2.Oid | None) -> None:
    """Move the present branch (or a detached head) from the commit `old`, None before the first, to `new`.

    Raises `pygit2.GitError` where it is elsewhere by now: a commit that somebody made meanwhile is never left behind.
    """
    head = repository.references["HEAD"]
    if isinstance(head.target, str):
        if old is None:
            repository.references.create(head.target, new)
            return
        head = repository.references[head.target]
    if head.target != old:
        raise pygit2.GitError("somebody else committed meanwhile")
    head.set_target(new)


def refresh_index(repository: pygit2.Repository, changed: Iterable[FileDelta]) -> None:
    """Let git's index say what the commit says, so that `git status` is clean; what somebody staged stays."""
    index = repository.index
    index.read(True)
    for delta in changed:
        staged = str(index[delta.path].id) if delta.path in index else None
        if staged != delta.old:
            continue
        if delta.new is not None:
            index.add(pygit2.IndexEntry(delta.path, pygit2.Oid(hex=delta.new), FileMode(delta.new_mode)))
        elif staged is not None:
            index.remove(delta.path)
    index.write()


def adopt(repository: pygit2.Repository, new: pygit2.Commit) -> None:
    """Move the branch to the child `new` of the present commit, which holds what lies in the folder already.

    Needs the lock. Raises `OSError` and `pygit2.GitError`.
    """
    old = _parent(new)
    _write_marker(repository, str(new.id))
    point_to(repository, new.id, old.id if old else None)
    refresh_index(repository, deltas(old, new))
    _marker(repository).unlink()


def advance(repository: pygit2.Repository, new: pygit2.Commit) -> None:
    """Move the branch and the folder from the present commit to its child `new`; on an error, neither.

    Needs the lock. Raises `OSError` and `pygit2.GitError`.
    """
    changed = deltas(new.parents[0], new)
    for delta in changed:
        _refuse_links(root_of(repository), delta.path)
    _write_marker(repository, str(new.id))
    try:
        _stage(repository, changed)
        point_to(repository, new.id, new.parents[0].id)
        _place(repository, changed)
        refresh_index(repository, changed)
    except (OSError, pygit2.GitError):
        _retreat(repository, new, changed)
        raise
    _marker(repository).unlink()


def _refuse_links(root: Path, path: str) -> None:
    """Raise `OSError` where a folder on the way to `path` is a link: writing there would leave the repository."""
    for folder in list((root / path).parents)[: path.count("/")]:
        if folder.is_symlink():
            raise OSError(f"{folder.name} is a link, and edits do not follow links")


def _temporary(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY}{path.name}.tmp")


def _stage(repository: pygit2.Repository, changed: list[FileDelta]) -> None:
    """Write every new file under its temporary name, and see it on the disk."""
    for delta in changed:
        if delta.new is not None:
            path = root_of(repository) / delta.path
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(_temporary(path), blob(repository, delta.new), delta.new_mode)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a file of git's `mode`; a link is made as a link."""
    path.unlink(missing_ok=True)
    if mode == FileMode.LINK:
        path.symlink_to(os.fsdecode(data))
        return
    permissions = 0o777 if mode == FileMode.BLOB_EXECUTABLE else 0o666
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, permissions)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _place(repository: pygit2.Repository, changed: list[FileDelta]) -> None:
    """Rename the staged files into their places and remove those that are gone, with folders that this leaves empty."""
    for delta in changed:
        path = root_of(repository) / delta.path
        if not holds(repository, path, delta.old):
            raise OSError(f"{delta.path} was changed meanwhile")
        if delta.new is not None:
            _temporary(path).replace(path)
        else:
            path.unlink(missing_ok=True)
            _prune(root_of(repository), path.parent)


def _prune(root: Path, folder: Path) -> None:
    """Remove `folder` and what is above it up to `root`, as far as they are empty."""
    while folder != root:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _retreat(repository: pygit2.Repository, new: pygit2.Commit, changed: list[FileDelta]) -> None:
    """Put the files that were changed, and then the branch, back after a failed `advance`."""
    for delta in changed:
        path = root_of(repository) / delta.path
        _temporary(path).unlink(missing_ok=True)
        if holds(repository, path, delta.new):
            _put(repository, path, delta.old, delta.old_mode)
        _prune(root_of(repository), path.parent)
    if head_of(repository) == new:
        point_to(repository, new.parents[0].id, new.id)
    _marker(repository).unlink(missing_ok=True)


def _put(repository: pygit2.Repository, path: Path, oid: str | None, mode: int) -> None:
    """See to it that `path` holds a blob, or nothing for None, replacing at once what stands there."""
    if oid is None:
        path.unlink(missing_ok=True)
    elif not holds(repository, path, oid):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(_temporary(path), blob(repository, oid), mode)
        _temporary(path).replace(path)


def holds(repository: pygit2.Repository, path: Path, oid: str | None) -> bool:
    """Whether `path` holds just this blob, or nothing for None."""
    if path.is_symlink():
        return oid is not None and os.fsencode(path.readlink()) == blob(repository, oid)
    if not path.is_file():
        return oid is None and not path.exists()
    return oid is not None and path.read_bytes() == blob(repository, oid)


def _marker(repository: pygit2.Repository) -> Path:
    return Path(repository.path) / MARKER


def _write_marker(repository: pygit2.Repository, commit: str) -> None:
    marker = _marker(repository)
    temporary = marker.with_suffix(".tmp")
    temporary.write_text(commit, encoding="ascii")
    temporary.replace(marker)


def interrupted(repository: pygit2.Repository) -> bool:
    """Whether an `advance` was cut short and `recover` has work to do."""
    return _marker(repository).exists()


def recover(repository: pygit2.Repository) -> None:
    """Finish an `advance` that a crash cut short, leaving alone files that somebody changed since.

    Needs the lock. Raises `OSError` and `pygit2.GitError`.
    """
    if not interrupted(repository):
        return
    _unlock(repository)
    commit = repository.get(_marker(repository).read_text(encoding="ascii", errors="replace"))
    if isinstance(commit, pygit2.Commit):
        changed = deltas(_parent(commit), commit)
        wanted = _still_wanted(repository, commit, changed)
        for delta in changed:
            path = root_of(repository) / delta.path
            _temporary(path).unlink(missing_ok=True)
            if delta in wanted and holds(repository, path, delta.old):
                _put(repository, path, delta.new, delta.new_mode)
            _prune(root_of(repository), path.parent)
        refresh_index(repository, wanted)
    _marker(repository).unlink()


def _still_wanted(repository: pygit2.Repository, commit: pygit2.Commit, changed: Iterable[FileDelta]) -> set[FileDelta]:
    """Those changes of `commit` that the branch has come to and still has, so that the files must follow."""
    head = head_of(repository)
    if head is None or (head != commit and not repository.descendant_of(head.id, commit.id)):
        return set()
    there = files(head.tree)
    return {delta for delta in changed if there.get(delta.path, (None, 0))[0] == delta.new}


def _unlock(repository: pygit2.Repository) -> None:
    """Remove the lock files that libgit2 left in a process that was killed while it moved a branch or wrote the index."""
    folder = Path(repository.path)
    link = folder / "commondir"  # of a linked working tree, whose branches are another folder's
    common = folder / link.read_text(encoding="utf-8").strip() if link.exists() else folder
    for lock in [folder / "index.lock", folder / "HEAD.lock", *(common / "refs" / "heads").rglob("*.lock")]:
        lock.unlink(missing_ok=True)


def _parent(commit: pygit2.Commit) -> pygit2.Commit | None:
    return commit.parents[0] if commit.parents else None
