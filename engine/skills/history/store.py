"""Write to a git directory: objects, the branch, the index, and the marker of a commit under way. No link is followed.

    store = Store(repository, git)
    tree = store.tree(head, {"mugs/SKILL.md": (store.blob(data), mode)})
    commit = store.commit(tree, "Correct mugs", head)            # on no branch yet
    store.point_to(commit.id, head.id)

libgit2 reads the repository but does not write to it: it opens files by their paths, so a link that another process swaps in
would lead its writes out of the folder. The formats are those of gitrepository-layout(5) and gitformat-index(5).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pygit2
from pygit2.enums import FileMode

from engine.core.beneath import Beneath
from engine.skills.history.errors import Uncertain
from engine.skills.history.trees import FileDelta, TreeEntry, head_of, tree_with

MARKER = "skillos-pending"
MAX_INDEX = 1024**3
_CHUNK = 1024**2
AUTHOR = ("SkillOS", "skillos@localhost")


class Store:
    """The writing half of a repository, while its lock is held. `git` is its git directory."""

    def __init__(self, repository: pygit2.Repository, git: Beneath) -> None:
        self.repository = repository
        self.git = git

    def blob(self, data: bytes) -> str:
        """Store the bytes of a file; the object's id. Raises `OSError`."""
        return self._object("blob", len(data), lambda: [data])

    def blob_of(self, file: BinaryIO) -> str:
        """Store the content of an open file; the object's id. Raises `OSError`, also where it changes meanwhile."""

        def chunks() -> Iterator[bytes]:
            file.seek(0)
            yield from iter(lambda: file.read(_CHUNK), b"")

        return self._object("blob", os.fstat(file.fileno()).st_size, chunks)

    def tree(self, base: pygit2.Commit | None, changes: Mapping[str, TreeEntry | None]) -> str:
        """Store the tree of `base` with `changes` (entries by path; None removes the file); the object's id.

        Raises `OSError`, and `pygit2.GitError` for a path that is not inside the folder.
        """
        made = tree_with(base.tree if base else None, changes, self._tree)
        return self._tree(b"") if made is None else made

    def _tree(self, data: bytes) -> str:
        return self._object("tree", len(data), lambda: [data])

    def commit(self, tree: str, message: str, parent: pygit2.Commit | None) -> pygit2.Commit:
        """Store a commit, which is on no branch yet. Raises `OSError` and `pygit2.GitError`."""
        signature = f"{AUTHOR[0]} <{AUTHOR[1]}> {int(time.time())} +0000"
        parents = [] if parent is None else [f"parent {parent.id}"]
        header = [f"tree {tree}", *parents, f"author {signature}", f"committer {signature}"]
        data = ("\n".join(header) + f"\n\n{message}").encode("utf-8")
        found = self.repository.get(self._object("commit", len(data), lambda: [data]))
        if not isinstance(found, pygit2.Commit):
            raise pygit2.GitError("the commit cannot be read back; did another process move the repository?")
        return found

    def _object(self, kind: str, size: int, chunks: Callable[[], Iterable[bytes]]) -> str:
        """Store an object of git whose content is `chunks()`, which is read twice, unless it is there; its id."""
        header = f"{kind} {size}\0".encode("ascii")
        oid = _digest(header, chunks())
        if not self.repository.odb.exists(pygit2.Oid(hex=oid)):
            path = f"objects/{oid[:2]}/{oid[2:]}"
            draft = f"objects/{oid[:2]}/tmp_obj_{uuid.uuid4().hex}"  # a name that `git prune` removes
            try:
                self.git.write(draft, _compressed(header, chunks(), oid), sync=False)
                self.git.rename(draft, path)
            except OSError:
                with suppress(OSError):
                    self.git.unlink(draft, missing_ok=True)
                raise
        return oid

    def point_to(self, new: pygit2.Oid, old: pygit2.Oid | None) -> None:
        """Move the current branch (or a detached HEAD) from the commit `old` (None: no commit yet) to `new`.

        Raises `pygit2.GitError` where it no longer points to `old`, so that no commit of another process is lost, and
        `OSError`. After an error the branch is where it was; if that cannot be verified, `Uncertain` is raised.
        """
        name = self._branch() or "HEAD"
        try:
            with self._replacing(name, f"{new}\n".encode("ascii")):
                present = self.repository.references.get(name)
                if (present.target if present else None) != old:
                    raise pygit2.GitError("another process committed meanwhile")
        except (OSError, pygit2.GitError) as error:
            if not self._is_at(new, error):
                raise

    @contextmanager
    def _replacing(self, path: str, data: bytes) -> Iterator[None]:
        """Hold git's lock file of `path` during the block, and then replace `path` by it: a file with `data`.

        Raises `OSError`, and `pygit2.GitError` where another process has the lock file.
        """
        lock = f"{path}.lock"
        try:
            self.git.write(lock, data, sync=False)
            yield
            self.git.rename(lock, path)
        except FileExistsError as error:
            raise pygit2.GitError(
                f"git is at work there ({lock}); let it finish, or remove that file if no git is running"
            ) from error
        except (OSError, pygit2.GitError):
            with suppress(OSError):
                self.git.unlink(lock, missing_ok=True)
            raise

    def _branch(self) -> str:
        """The branch that HEAD names; "" for a detached HEAD. Raises `pygit2.GitError`."""
        head = self.repository.references.get("HEAD")
        if head is None:
            raise pygit2.GitError("HEAD is missing")
        return head.target if isinstance(head.target, str) else ""

    def _is_at(self, commit: pygit2.Oid, error: Exception) -> bool:
        """Whether the branch is at `commit`. Raises `Uncertain`, from `error`, where it cannot be read."""
        try:
            head = head_of(self.repository)
        except (OSError, pygit2.GitError):
            raise Uncertain(
                f"it is not known whether the commit {commit} was made in {self.repository.workdir}: {error}; "
                "see whether `log` lists it"
            ) from error
        return head is not None and head.id == commit

    def log_move(self, new: pygit2.Commit, old: pygit2.Oid | None) -> None:
        """Add a move of the branch to git's reflog. Raises `OSError`."""
        branch = self._branch()
        subject = new.message.partition("\n")[0]
        line = f"{old or '0' * 40} {new.id} {AUTHOR[0]} <{AUTHOR[1]}> {new.commit_time} +0000\tcommit: {subject}\n"
        for name in ["HEAD", *([branch] if branch else [])]:
            self.git.append(f"logs/{name}", line.encode("utf-8"))

    def refresh_index(self, changed: Iterable[FileDelta]) -> None:
        """Update git's index to the new commit, so that `git status` is clean. Entries that a user staged are kept.

        Raises `OSError` and `pygit2.GitError`.
        """
        with self._replacing("index", self._index(changed)):
            pass

    def _index(self, changed: Iterable[FileDelta]) -> bytes:
        """git's index with the changes. libgit2 writes it to a private folder."""
        with tempfile.TemporaryDirectory(prefix="skillos-", ignore_cleanup_errors=True) as private:
            draft = Path(private) / "index"
            index = pygit2.Index(str(draft))  # before there is a file: its destructor fails where it cannot read one
            with suppress(FileNotFoundError):
                draft.write_bytes(self.git.read("index", MAX_INDEX))
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
            return draft.read_bytes()

    def mark(self, commit: pygit2.Oid) -> None:
        """Write the marker: the branch and the folder are about to move to `commit`. Raises `OSError`."""
        self.git.overwrite(MARKER, str(commit).encode("ascii"))

    def is_marked(self) -> bool:
        """Whether there is a marker. Raises `OSError`."""
        return self.git.exists(MARKER)

    def marked(self) -> pygit2.Commit | None:
        """The commit in the marker. None for an empty marker, or a part of one. Raises `OSError`."""
        content = self.git.read(MARKER, 40).decode("ascii", "replace")
        if len(content) != 40 or not content.isalnum():
            return None
        try:
            found = self.repository.get(content)
        except ValueError:
            return None
        return found if isinstance(found, pygit2.Commit) else None

    def unmark(self) -> bool:
        """Remove the marker, or empty it, which means the same. Whether that was possible."""
        with suppress(OSError):
            self.git.unlink(MARKER, missing_ok=True)
            return True
        with suppress(OSError):
            self.git.overwrite(MARKER, b"")
            return True
        return False

    def unlock(self) -> None:
        """Remove the lock files of a killed process that was moving a branch or writing the index. Raises `OSError`."""
        branch = self._branch()
        for name in ["index", "HEAD", *([branch] if branch else [])]:
            self.git.unlink(f"{name}.lock", missing_ok=True)


def _digest(header: bytes, chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha1(header, usedforsecurity=False)
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _compressed(header: bytes, chunks: Iterable[bytes], oid: str) -> Iterator[bytes]:
    """The compressed bytes of an object. Raises `OSError` where its content is no longer that of the id `oid`."""
    digest = hashlib.sha1(header, usedforsecurity=False)
    compressor = zlib.compressobj(1)
    yield compressor.compress(header)
    for chunk in chunks:
        digest.update(chunk)
        yield compressor.compress(chunk)
    if digest.hexdigest() != oid:
        raise OSError("a file was changed while it was read")
    yield compressor.flush()
