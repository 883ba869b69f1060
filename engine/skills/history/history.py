"""The history of a repository of skills: one git commit for each approved edit. Every commit can be undone.

    history = History.open(path)                     # git need not be installed or configured
    commit = history.commit(edit, message="...", trailers={"Run": "r1", "Reviewer": "ada"})
    history.log(10), history.diff(commit), history.revert(commit, trailers={"Reviewer": "ada"})
    history.restore(history.at(step=3).id, trailers={"Reviewer": "ada"})             # the whole folder, as a new commit
    history.blame("mugs")[4].commit.trailers["Edit"]                                 # the edit that wrote the fifth line

Skills are written to the disk here only. The folder has its own `.git`, also inside a larger repository, whose index and
branches are not touched. No text is lost: `open` commits the files that it finds, and manual changes of a skill are
committed before the next edit of it. A lock serializes the writers. If a file differs from the text that an edit was made
from, `Conflict` is raised and the file is kept. After a crash the folder is at one commit or at the other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pygit2
from pygit2.enums import FileMode

from engine.core.edit import Edit
from engine.core.files import Locked, folder_lock
from engine.skills.history import checkout
from engine.skills.history.commits import BlamedLine, Commit, FileChange, commit_of, message_with
from engine.skills.history.errors import Conflict, HistoryError, translate_errors
from engine.skills.history.reader import HistoryReader
from engine.skills.history.repository import (
    DRAFT,
    ignore_user_git_config,
    make_repository,
    own_repository,
    refuse_unfinished,
)
from engine.skills.history.trees import FileDelta, TreeEntry, deltas, files, head_of, tree_with
from engine.skills.repo.layout import is_skill, skill_path
from engine.skills.repo.rule import own_files

__all__ = ["BlamedLine", "Commit", "Conflict", "FileChange", "History", "HistoryError"]

WAIT_SECONDS = 10.0

_AUTHOR = ("SkillOS", "skillos@localhost")
_RECORD = "Record what was changed by hand"


class History(HistoryReader):
    """The history of one folder, to read and to write. Open it where it is used: an instance belongs to one thread."""

    def __init__(self, path: Path, repository: pygit2.Repository, wait: float) -> None:
        super().__init__(path, repository)
        self._wait = wait

    @classmethod
    def open(cls, path: str | Path, *, wait: float = WAIT_SECONDS) -> Self:
        """The history of the folder `path`. Creates the folder, its `.git` and its first commit if they are absent.

        `wait` is how long, in seconds, each later call waits at most for another writer. Raises `HistoryError`.
        """
        root = Path(path)
        with translate_errors(root, "open the history"):
            ignore_user_git_config()
            root.mkdir(parents=True, exist_ok=True)
            if not (root / ".git").exists() or (root / DRAFT).exists():
                with _lock(root, wait):
                    make_repository(root)
            history = cls(root, own_repository(root), wait)
            if history._repository.head_is_unborn or checkout.interrupted(history._repository):
                with history._writing("finish the history"):
                    pass
        return history

    @classmethod
    def existing(cls, path: str | Path, *, wait: float = WAIT_SECONDS) -> Self | None:
        """The history of the folder `path`, None where it has no commit yet. Raises `HistoryError`.

        Creates and changes nothing: an edit that a crash interrupted is finished by the next write or by `open`.
        """
        root = Path(path)
        if not (root / ".git").exists():
            return None
        with translate_errors(root, "open the history"):
            ignore_user_git_config()
            repository = own_repository(root)
            return None if repository.head_is_unborn else cls(root, repository, wait)

    def commit(self, edit: Edit, *, message: str, trailers: Mapping[str, str]) -> str:
        """Write an approved edit to the disk as one commit. Returns the commit's id.

        `trailers` (run, step, task, proposer, reason, reviewer) are appended to the message, with Operation and Skill.
        Raises `Conflict` where the file is not `edit.before` or the new name is taken, and `HistoryError`.
        """
        given = {**trailers, "Operation": edit.operation, "Skill": edit.new_name or edit.skill}
        text = message_with(message, given)
        with self._writing(f"commit the edit of {edit.skill!r}"):
            path = skill_path(self.path, edit.skill)
            self._check(edit, path)
            moves = edit.after is None or bool(edit.new_name)
            self._record(f"{_RECORD} in {edit.skill}", _folder(path), ignored=moves)
            return self._advance(self._changes(edit, path), text)

    def put(
        self,
        skills: Mapping[str, Mapping[str, tuple[bytes, bool]]],
        *,
        message: str,
        trailers: Mapping[str, str],
        replace: Set[str] = frozenset(),
    ) -> str:
        """Write whole skills, with all their files, as one commit. Returns the commit's id.

        `skills` maps a name to the files of the skill: by path, the bytes and whether the file is executable. The skills in
        `replace` are replaced, after their files are committed. Raises `Conflict` where another name is taken, and
        `HistoryError`.
        """
        text = message_with(message, trailers)
        with self._writing("write the skills"):
            for name in skills:
                path = skill_path(self.path, name)
                if name not in replace and (self._present(path) is not None or (self.path / name).exists()):
                    raise Conflict(path, self._present(path), f"{name} exists already; choose another name")
            if replace:
                self._record(_RECORD, "")
            known = self._committed("")
            removed = [path for path in known if path.partition("/")[0].removesuffix(".md") in replace]
            changes: dict[str, TreeEntry | None] = dict.fromkeys(removed)
            for contents in skills.values():
                for path, (data, executable) in contents.items():
                    mode = FileMode.BLOB_EXECUTABLE if executable else FileMode.BLOB
                    changes[path] = (str(self._repository.create_blob(data)), int(mode))
            return self._advance({path: entry for path, entry in changes.items() if entry != known.get(path)}, text)

    def record(self, message: str = _RECORD) -> str | None:
        """Commit the folder as it is. Returns the commit's id, None where nothing differs. Raises `HistoryError`."""
        with self._writing("record the folder"):
            return self._record(message, "")

    def revert(self, commit_id: str, *, trailers: Mapping[str, str], message: str = "") -> str:
        """Undo one commit by a new commit. Returns the id of the new commit.

        Raises `Conflict` where a file was changed since, and `HistoryError` for the first commit, a merge or an unknown id.
        """
        with self._writing(f"undo {commit_id[:40]}"):
            commit = self._lookup(commit_id)
            if len(commit.parents) != 1:
                kind = "a merge" if commit.parents else "the first commit"
                raise HistoryError(f"{commit_id[:40]} is {kind} and cannot be undone; undo single edits instead")
            changes: dict[str, TreeEntry | None] = {}
            for delta in deltas(commit.parents[0], commit):
                self._check_unchanged(delta)
                changes[delta.path] = (delta.old, delta.old_mode) if delta.old else None
            for folder in {_folder(path) for path in changes}:
                self._record(_RECORD, folder)
            subject = message or f"Undo: {commit_of(commit).subject}"
            return self._advance(changes, message_with(subject, {**trailers, "Reverts": str(commit.id)}))

    def restore(self, commit_id: str, *, trailers: Mapping[str, str], message: str = "") -> str | None:
        """Restore the whole folder as it was at a commit, by a new commit, which can be undone like any other.

        Manual changes are committed first. Returns the id of the new commit, None where nothing differs. Raises `Conflict`
        where an uncommitted file is in the way, and `HistoryError`.
        """
        with self._writing(f"restore {commit_id[:40]}"):
            commit = self._lookup(commit_id)
            self._record(_RECORD, "")
            changes: dict[str, TreeEntry | None] = {}
            for delta in deltas(head_of(self._repository), commit):
                if not checkout.holds(self._repository, self.path / delta.path, delta.old):
                    present = self._present(delta.path)
                    raise Conflict(
                        delta.path, present, f"{delta.path} is not what any commit holds; move it away first"
                    )
                changes[delta.path] = (delta.new, delta.new_mode) if delta.new else None
            if not changes:
                return None
            subject = message or f"Restore: {commit_of(commit).subject}"
            return self._advance(changes, message_with(subject, {**trailers, "Restores": str(commit.id)}))

    def _check(self, edit: Edit, path: str) -> None:
        """Raise `Conflict` unless the files on disk are those that the edit was made from."""
        link = next((place for place in (_folder(path), path) if (self.path / place).is_symlink()), "")
        if link and edit.after is not None:
            raise HistoryError(f"{link} is a link, and edits do not follow links; replace it by its target")
        present = self._present(path) if edit.after is not None else self._deletable(path)
        if present != edit.before:
            happened = "was deleted" if present is None else "exists already" if edit.before is None else "was changed"
            message = (
                f"{path} {happened} since the edit was proposed; ask again to see the new diff, and decide on that"
            )
            raise Conflict(path, present, message)
        if edit.new_name:
            target = skill_path(self.path, edit.new_name)
            if (self.path / edit.new_name).exists() or self._present(target) is not None:
                message = f"{edit.new_name} exists already, so {edit.skill} cannot move there; choose another name"
                raise Conflict(target, self._present(target), message)

    def _check_unchanged(self, delta: FileDelta) -> None:
        """Raise `Conflict` unless the file on disk is that of the newer tree."""
        if not checkout.holds(self._repository, self.path / delta.path, delta.new):
            present = self._present(delta.path)
            raise Conflict(delta.path, present, f"{delta.path} was changed since; undo the later edit first")

    def _deletable(self, path: str) -> str | None:
        """As `_present`, but "" for a file that a repository reads as "": a too large one, or a link out of the folder."""
        try:
            return self._present(path)
        except PermissionError:
            raise
        except OSError:
            return ""

    def _changes(self, edit: Edit, path: str) -> dict[str, TreeEntry | None]:
        """The changed files of the new tree. A skill's other files are moved and deleted with it."""
        present = own_files(self._committed(_folder(path)), path)
        if edit.after is None:
            if not present.keys() & {path, _folder(path)}:
                raise HistoryError(
                    f"{path} is nothing that git can hold, so it could not be restored; remove it by hand"
                )
            return dict.fromkeys(present)
        mode = present.get(path, ("", int(FileMode.BLOB)))[1]
        written = (str(self._repository.create_blob(edit.after.encode("utf-8"))), mode)
        if not edit.new_name:
            return {path: written}
        moved = {_renamed(name, edit): entry for name, entry in present.items()}
        return {**dict.fromkeys(present), **moved, _renamed(path, edit): written}

    def _record(self, message: str, under: str, *, ignored: bool = False) -> str | None:
        """Commit the files of the folder (or of its part `under`) that differ from the head commit.

        Files that git ignores are included only with `ignored`: before a skill is moved or deleted with all its files.
        """
        head = head_of(self._repository)
        known = self._committed(under)
        changes: dict[str, TreeEntry | None] = dict.fromkeys(known)
        for path in checkout.walk(self._repository, under):
            if ignored or path in known or is_skill(path) or not self._repository.path_is_ignored(path):
                changes[path] = self._stored(path, known.get(path))
        changed = {path: entry for path, entry in changes.items() if entry != known.get(path)}
        if not changed and head is not None:
            return None
        tree = tree_with(self._repository, head.tree if head else None, changed)
        commit = self._create(tree, message_with(message, {}), head)
        checkout.adopt(self._repository, commit)
        return str(commit.id)

    def _committed(self, under: str) -> dict[str, TreeEntry]:
        """The files of the head commit, {} before the first commit."""
        head = head_of(self._repository)
        return {} if head is None else files(head.tree, under)

    def _stored(self, path: str, known: TreeEntry | None) -> TreeEntry | None:
        """The entry of a file on disk; `known` for a file that may not be read."""
        try:
            return checkout.store_file(self._repository, path)
        except PermissionError:
            return known

    def _advance(self, changes: dict[str, TreeEntry | None], message: str) -> str:
        head = head_of(self._repository)
        tree = tree_with(self._repository, head.tree if head else None, changes)
        commit = self._create(tree, message, head)
        checkout.advance(self._repository, commit)
        return str(commit.id)

    def _create(self, tree: pygit2.Oid, message: str, parent: pygit2.Commit | None) -> pygit2.Commit:
        """Store a commit that is on no branch yet."""
        signature = pygit2.Signature(*_AUTHOR, int(time.time()), 0)
        parents = [] if parent is None else [parent.id]
        oid = self._repository.create_commit(None, signature, signature, message, tree, parents)
        found = self._repository[oid]
        assert isinstance(found, pygit2.Commit)
        return found

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        """Hold the lock, after an interrupted write is finished. Errors are translated."""
        with translate_errors(self.path, what), _lock(self.path, self._wait):
            checkout.recover(self._repository)
            refuse_unfinished(self._repository, what)
            if self._repository.head_is_unborn:
                self._record("Begin the history with what is here", "")
            yield


def _folder(path: str) -> str:
    """The folder of a skill's file, or the file itself where it is flat."""
    return path.rpartition("/")[0] or path


def _renamed(path: str, edit: Edit) -> str:
    """The path of a skill's file after the renaming `edit`."""
    return edit.new_name + path.removeprefix(edit.skill)


@contextmanager
def _lock(root: Path, wait: float) -> Iterator[None]:
    try:
        with folder_lock(root, wait):
            yield
    except Locked as error:
        raise HistoryError(f"{error}; wait for it or stop it, then try again") from error
