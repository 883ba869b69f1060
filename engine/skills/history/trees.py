"""Read and write git trees: their files, the difference of two commits, a tree with changes. The folder is not touched.

head = head_of(repository)
files(head.tree, "mugs")                    # {"mugs/SKILL.md": (object id, mode)}
tree_with(head.tree, {"mugs/SKILL.md": None}, store)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping

import msgspec
import pygit2
from pygit2.enums import DiffOption, FileMode, SortMode

TEMPORARY = ".skillos-"
"""Prefix of the names of our temporary files, which are never committed."""

TreeEntry = tuple[str, int]
"""Object id (hex) and mode of a file."""


class FileDelta(msgspec.Struct, frozen=True):
    """One file that differs between two trees: object ids (hex) and modes; None and 0 where a tree lacks the file."""

    path: str
    old: str | None
    new: str | None
    old_mode: int
    new_mode: int


def head_of(repository: pygit2.Repository) -> pygit2.Commit | None:
    """The commit that HEAD points to, None before the first commit."""
    return None if repository.head_is_unborn else repository.head.peel(pygit2.Commit)


def commits_from(repository: pygit2.Repository) -> Iterator[pygit2.Commit]:
    """The commits of the current branch, each before its parents. The order does not depend on their times."""
    return iter(repository.walk(repository.head.target, SortMode.TOPOLOGICAL))


def deltas(old: pygit2.Commit | None, new: pygit2.Commit) -> list[FileDelta]:
    """The files that differ between `old` (None: the empty tree) and `new`, sorted by path."""
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


def files(tree: pygit2.Tree, under: str = "") -> dict[str, TreeEntry]:
    """The entry of every file of a tree, by path. `under` selects one folder or file. Submodules are left out."""
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
    base: pygit2.Tree | None, changes: Mapping[str, TreeEntry | None], store: Callable[[bytes], str]
) -> str | None:
    """Store the tree `base` (None: the empty tree) with `changes` (entries by path; None removes the file).

    `store` stores the bytes of one tree and returns its id; only changed folders are stored. Returns the id of the whole
    tree, None where no file is left. Raises `pygit2.GitError` for a path that is not inside the folder.
    """
    present = {entry.raw_name: entry for entry in base or () if entry.raw_name is not None}
    entries = {name: (str(entry.id), int(entry.filemode)) for name, entry in present.items()}
    below: dict[bytes, dict[str, TreeEntry | None]] = {}
    for path, entry in sorted(changes.items(), key=lambda change: change[1] is not None):  # removals first
        first, _, rest = path.partition("/")
        name = os.fsencode(first)
        if first.lower() in ("", ".", "..", ".git") or b"\0" in name:
            raise pygit2.GitError(f"{path!r} is not a path inside the folder")
        if rest:
            below.setdefault(name, {})[rest] = entry
        elif entry is not None:
            entries[name] = entry
        else:
            entries.pop(name, None)
    for name, inside in below.items():
        old = present.get(name) if name in entries else None
        made = tree_with(old if isinstance(old, pygit2.Tree) else None, inside, store)
        if made is not None:
            entries[name] = (made, int(FileMode.TREE))
        elif isinstance(old, pygit2.Tree):
            del entries[name]
    if not entries:
        return None
    ordered = sorted(entries.items(), key=lambda item: item[0] + b"/" * (item[1][1] == FileMode.TREE))
    return store(b"".join(b"%o %b\0%b" % (mode, name, bytes.fromhex(oid)) for name, (oid, mode) in ordered))


def blob(repository: pygit2.Repository, oid: str) -> bytes:
    """The bytes of a blob. Raises `pygit2.GitError` where the repository has none of that id."""
    found = repository.get(oid)
    if not isinstance(found, pygit2.Blob):
        raise pygit2.GitError(f"the object {oid} is missing")
    return found.data
