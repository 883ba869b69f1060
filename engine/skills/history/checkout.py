"""Move a branch and its folder together from one commit to the next, while the lock of the writers is held.

    with Checkout.open(place, repository) as checkout:
        checkout.recover()                  # finishes what a crash interrupted
        checkout.advance(new)               # changes the branch and every file that differs, or raises and changes nothing
        checkout.warnings                   # what is left to do although the commit was made

The order of the steps survives a crash: write a marker that names the commit, stage the new files under temporary names,
move the branch, rename the staged files, remove the marker. `recover` reads the marker: if the branch has moved, it
finishes the files; if not, it removes the staged files.

An error before the branch moves leaves everything as it was. After an error while the files are renamed, files and branch
are put back, which is verified; if it fails, the commit stands, and what is missing becomes a warning and the work of the
next `recover`. An error in git's index, in its log or in the removal of the marker is a warning.

This is written by hand because libgit2's checkout writes the files in place, one after the other: a crash between two of
them leaves a mix of two commits, and nothing records it. Of 100 processes killed while they changed 200 files, 50 left a mix
with libgit2's checkout, and none with this and `recover`. libgit2 also follows links that another process swaps in, and its
filters and line-end settings change bytes; here a file has exactly the bytes of its blob.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self

import pygit2
from pygit2.enums import FileMode

from engine.core.beneath import Beneath, LinkInTheWay
from engine.skills.history.head import FOLDER, OWN
from engine.skills.history.place import Place
from engine.skills.history.store import MARKER, Store
from engine.skills.history.trees import TEMPORARY, FileDelta, TreeEntry, blob, deltas, files, head_of
from engine.skills.repo.layout import decoded_name


class Checkout:
    """The folder and the git directory of a history, open to be written. Close it, or use it as a context manager."""

    def __init__(self, repository: pygit2.Repository, folder: Beneath, store: Store) -> None:
        self.repository = repository
        self.folder = folder
        self.store = store
        self.warnings: list[str] = []

    @classmethod
    def open(cls, place: Place, repository: pygit2.Repository, git: Beneath) -> Self:
        """Open the folder of `place`. `git` is its open git directory. Raises `OSError`."""
        return cls(repository, Beneath(place.root), Store(repository, git))

    def close(self) -> None:
        """Close the folder."""
        with suppress(OSError):
            self.folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # The folder

    def walk(self, under: str = "") -> Iterator[str]:
        """The paths of the files of the folder that git can hold, sorted. `under` selects one folder or file.

        Left out: `.git` and `.skillos`, nested repositories, our temporary files, and names that are not UTF-8, which
        libgit2 does not accept. Links are not followed. Raises `OSError`.
        """
        if under:
            if not self.folder.exists(under):
                return
            if not stat.S_ISDIR(self.folder.lstat(under).st_mode):
                yield under
                return
        prefix = f"{under}/" if under else ""
        below: list[str] = []
        for entry in self.folder.entries(under):
            path = prefix + entry.name
            if entry.name in (OWN, FOLDER) or entry.name.startswith(TEMPORARY):
                continue
            if not entry.is_folder:
                if decoded_name(path) == path:
                    yield path
            elif not self.folder.exists(f"{path}/{OWN}"):
                below.append(path)
        for path in below:
            yield from self.walk(path)

    def stored(self, path: str) -> TreeEntry | None:
        """Store a file of the folder as a blob. Returns its entry, None for what git cannot hold. Raises `OSError`."""
        mode = self.folder.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            return self.store.blob(os.fsencode(self.folder.readlink(path))), int(FileMode.LINK)
        if not stat.S_ISREG(mode):
            return None
        with self.folder.open(path) as file:
            oid = self.store.blob_of(file)
        return oid, int(FileMode.BLOB_EXECUTABLE if mode & stat.S_IXUSR else FileMode.BLOB)

    def holds(self, path: str, oid: str | None) -> bool:
        """Whether `path` holds exactly this blob (None: no file). Raises `OSError` and `pygit2.GitError`."""
        try:
            mode = self.folder.lstat(path).st_mode
        except (FileNotFoundError, LinkInTheWay):
            return oid is None
        if oid is None or not (stat.S_ISLNK(mode) or stat.S_ISREG(mode)):
            return False
        wanted = blob(self.repository, oid)
        if stat.S_ISLNK(mode):
            return os.fsencode(self.folder.readlink(path)) == wanted
        return self.folder.read(path, len(wanted)) == wanted

    # Moves

    def adopt(self, new: pygit2.Commit) -> None:
        """Move the branch to `new`, a child of the head commit whose files equal those of the folder.

        Raises `OSError` and `pygit2.GitError`, and then the branch is where it was, or `Uncertain`.
        """
        old = _parent(new)
        self.store.mark(new.id)
        try:
            self.store.point_to(new.id, old.id if old else None)
        except (OSError, pygit2.GitError):
            self.store.unmark()
            raise
        self._close_commit(new, deltas(old, new))

    def advance(self, new: pygit2.Commit) -> None:
        """Move the branch and the folder from the head commit to its child `new`.

        Raises `OSError` and `pygit2.GitError`, and then nothing was changed, or `Uncertain`. Without an error the commit is
        made, and `warnings` says what is left to do.
        """
        old = new.parents[0]
        changed = deltas(old, new)
        self.store.mark(new.id)
        try:
            self._stage(changed)
            self.store.point_to(new.id, old.id)
        except (OSError, pygit2.GitError):
            if self._discard(changed):
                self.store.unmark()
            raise
        try:
            self._place(changed)
        except (OSError, pygit2.GitError) as error:
            if self._put_back(new, changed):
                self.store.unmark()
                raise
            self._finish(new, changed, error)
        else:
            self._close_commit(new, changed)

    def _stage(self, changed: list[FileDelta]) -> None:
        """Write every new file under its temporary name, synced to the disk."""
        for delta in changed:
            if delta.new is not None:
                self._write(_temporary(delta.path), delta.new, delta.new_mode)

    def _write(self, path: str, oid: str, mode: int) -> None:
        """Write a file, or a link, from its blob and git's `mode`; one that is there is replaced."""
        with suppress(FileNotFoundError):
            self.folder.unlink(path)
        data = blob(self.repository, oid)
        if mode == FileMode.LINK:
            self.folder.mkdir(path.rpartition("/")[0])
            self.folder.symlink(os.fsdecode(data), path)
        else:
            self.folder.write(path, data, executable=mode == FileMode.BLOB_EXECUTABLE)

    def _place(self, changed: list[FileDelta]) -> None:
        """Rename the staged files to their names. Remove deleted files, and the folders that become empty."""
        for delta in changed:
            if not self.holds(delta.path, delta.old):
                raise OSError(f"another process changed {delta.path} meanwhile")
            if delta.new is not None:
                self.folder.rename(_temporary(delta.path), delta.path)
            else:
                self.folder.unlink(delta.path, missing_ok=True)
                self._prune(delta.path)

    def _put(self, path: str, oid: str | None, mode: int) -> None:
        """Make `path` hold a blob (None: no file) by one atomic replacement."""
        if oid is None:
            self.folder.unlink(path, missing_ok=True)
        else:
            self._write(_temporary(path), oid, mode)
            self.folder.rename(_temporary(path), path)

    def _prune(self, path: str) -> None:
        """Remove the folders above `path` while they are empty."""
        with suppress(OSError):  # not empty
            while path := path.rpartition("/")[0]:
                self.folder.rmdir(path)

    def _discard(self, changed: Iterable[FileDelta]) -> bool:
        """Remove the staged files, and the folders that were made for them. Whether no staged file is left."""
        clean = True
        for delta in changed:
            try:
                self.folder.unlink(_temporary(delta.path), missing_ok=True)
            except LinkInTheWay:
                continue  # somebody put a link in the place of its folder
            except OSError:
                clean = False
            self._prune(delta.path)
        return clean

    def _put_back(self, new: pygit2.Commit, changed: list[FileDelta]) -> bool:
        """After a failed `_place`, put back the files and then the branch. False if that could not be done and verified.

        A file that another process changed is left as it is. Raises `Uncertain`.
        """
        try:
            for delta in changed:
                if self.holds(delta.path, delta.new):
                    self._put(delta.path, delta.old, delta.old_mode)
            if any(delta.old != delta.new and self.holds(delta.path, delta.new) for delta in changed):
                return False
            self.store.point_to(new.parents[0].id, new.id)
        except (OSError, pygit2.GitError):
            return False
        self._discard(changed)
        return True

    def _finish(self, new: pygit2.Commit, changed: list[FileDelta], error: Exception) -> None:
        """The commit stands, but `_place` failed and its files could not be put back: place what can be placed."""
        left = []
        for delta in changed:
            try:
                self._complete(delta)
            except (OSError, pygit2.GitError):
                left.append(delta.path)
        if left:  # the marker stays: `recover` places them
            self.warnings.append(
                f"the commit {new.id} was made, but {', '.join(left[:3])} could not be written ({error}); "
                "correct that: the next edit of the folder writes it"
            )
        else:
            self._close_commit(new, changed)

    def _complete(self, delta: FileDelta) -> None:
        """Give a file its new content, unless somebody changed it since. Raises `OSError` and `pygit2.GitError`."""
        with suppress(LinkInTheWay):  # somebody put a link in the place of its folder
            if self.holds(delta.path, delta.old):
                self._put(delta.path, delta.new, delta.new_mode)
        self._discard([delta])

    def _close_commit(self, new: pygit2.Commit, changed: Iterable[FileDelta]) -> None:
        """Bring git's index and log up to the commit, and remove the marker. What fails becomes a warning."""
        self._refresh_index(new, changed)
        old = _parent(new)
        try:
            self.store.log_move(new, old.id if old else None)
        except OSError as error:
            self.warnings.append(f"the commit {new.id} was made, but `git reflog` lacks it ({error})")
        self._unmark()

    def _refresh_index(self, new: pygit2.Commit, changed: Iterable[FileDelta]) -> None:
        try:
            self.store.refresh_index(changed)
        except (
            OSError,
            pygit2.GitError,
            UnicodeError,
        ) as error:  # UnicodeError: libgit2 takes no name that is not UTF-8
            self.warnings.append(
                f"the commit {new.id} was made, but git's index was not updated ({error}); `git reset` updates it"
            )

    def _unmark(self) -> None:
        if not self.store.unmark():
            self.warnings.append(
                f"{self.store.git.root / MARKER} could not be removed; the commit is complete, and you can remove it"
            )

    # Recovery

    def recover(self) -> None:
        """Finish an `advance` that a crash interrupted. Files that were changed since are left as they are.

        Raises `OSError` and `pygit2.GitError` where a file cannot be written.
        """
        if not self.store.is_marked():
            return
        commit = self.store.marked()
        if commit is not None:
            self.store.unlock()
            changed = deltas(_parent(commit), commit)
            wanted = self._unfinished(commit, changed)
            for delta in changed:
                if delta in wanted:
                    self._complete(delta)
                else:
                    self._discard([delta])
            self._refresh_index(commit, wanted)
        self._unmark()

    def _unfinished(self, commit: pygit2.Commit, changed: Iterable[FileDelta]) -> set[FileDelta]:
        """The changes of `commit` that the branch contains and no later commit overwrote: the files must get them."""
        head = head_of(self.repository)
        if head is None or (head != commit and not self.repository.descendant_of(head.id, commit.id)):
            return set()
        present = files(head.tree)
        return {delta for delta in changed if present.get(delta.path, (None, 0))[0] == delta.new}


def _temporary(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{TEMPORARY}{name}.tmp"


def _parent(commit: pygit2.Commit) -> pygit2.Commit | None:
    return commit.parents[0] if commit.parents else None
