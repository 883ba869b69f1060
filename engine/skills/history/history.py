"""The history of a repository of skills: one git commit an approved edit, and the way back.

    history = History.open(path)                     # git itself need be neither installed nor configured
    commit = history.commit(edit, message="...", trailers={"Run": "r1", "Reviewer": "ada"})
    history.log(10), history.diff(commit), history.revert(commit, trailers={"Reviewer": "ada"})
    history.restore(history.at(step=3).id, trailers={"Reviewer": "ada"})             # the whole folder, as a new commit
    history.blame("mugs")[4].commit.trailers["Edit"]                                 # what caused the fifth line

This is the only door to the disk. The folder has a `.git` of its own, also inside a larger repository, whose index and
branches stay untouched. What lies in the folder when it is first opened is committed as it is, and so is what was
changed by hand in a skill before the next edit of it, so no text is ever lost. Writers take turns by a lock. A file
that is not what an edit was made from is never overwritten but raises `Conflict`. A crash leaves one commit or the
other.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Self

import pygit2
from pygit2.enums import FileMode, SortMode

from engine.core.files import Locked, folder_lock
from engine.skills.history import checkout as worktree
from engine.skills.history import repository as places
from engine.skills.history.blame import Origin, carry, git_lines, origins, sizes, touching
from engine.skills.history.commits import BlamedLine, Commit, FileChange, at_step, commit_of, message_with, one_line
from engine.skills.history.repository import HistoryError, translate_errors
from engine.skills.operations.operation import Edit
from engine.skills.repo.layout import is_skill, read_bytes, skill_file, skill_path

__all__ = ["BlamedLine", "Commit", "Conflict", "FileChange", "History", "HistoryError"]

WAIT_SECONDS = 10.0

_AUTHOR = ("SkillOS", "skillos@localhost")
_COMMIT_ID = re.compile(r"[0-9a-f]{7,40}")


class Conflict(HistoryError):
    """The file `path` is no longer what the edit was made from; `present` is its text now, None where there is none."""

    def __init__(self, path: str, present: str | None, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.present = present


class History:
    """The history of one folder. Open it where it is used: an instance belongs to one thread."""

    def __init__(self, path: Path, repository: pygit2.Repository, wait: float) -> None:
        self.path = path
        self._repository = repository
        self._wait = wait

    @classmethod
    def open(cls, path: str | Path, *, wait: float = WAIT_SECONDS) -> Self:
        """The history of the folder `path`; folder, `.git` and first commit are made where they lack.

        `wait` bounds, in seconds, how long any later call waits for another writer. Raises `HistoryError`.
        """
        root = Path(path)
        with translate_errors(root, "open the history"):
            places.ignore_user_git_config()
            root.mkdir(parents=True, exist_ok=True)
            if not (root / ".git").exists() or (root / places.ASIDE).exists():
                with _lock(root, wait):
                    places.make_repository(root)
            history = cls(root, places.own_repository(root), wait)
            if history._repository.head_is_unborn or worktree.interrupted(history._repository):
                with history._writing("finish the history"):
                    pass
        return history

    @classmethod
    def existing(cls, path: str | Path, *, wait: float = WAIT_SECONDS) -> Self | None:
        """The history of the folder `path`, to look at; None where it has no commit yet. Raises `HistoryError`.

        Nothing is made or changed: an edit that a crash cut short is finished by the next edit or by `open`.
        """
        root = Path(path)
        if not (root / ".git").exists():
            return None
        with translate_errors(root, "open the history"):
            places.ignore_user_git_config()
            repository = places.own_repository(root)
            return None if repository.head_is_unborn else cls(root, repository, wait)

    @property
    def head(self) -> str:
        """The id of the newest commit."""
        return str(self._repository.head.target)

    def commit(self, edit: Edit, *, message: str, trailers: Mapping[str, str]) -> str:
        """Write an approved edit to the disk as one commit, and return its id.

        `trailers` (run, step, task, proposer, reason, reviewer) are kept at the end of the message, beside Operation
        and Skill. Raises `Conflict` where the file is not `edit.before` or the new place is taken, and `HistoryError`.
        """
        given = {**trailers, "Operation": edit.operation.kind, "Skill": edit.new_name or edit.skill}
        text = message_with(message, given)
        with self._writing(f"commit the edit of {edit.skill!r}"):
            path = skill_path(self.path, edit.skill)
            self._check(edit, path)
            leaves = edit.after is None or bool(edit.new_name)
            self._record(f"Record what was changed by hand in {edit.skill}", _folder(path), ignored=leaves)
            return self._advance(self._changes(edit, path), text)

    def put(
        self,
        skills: Mapping[str, Mapping[str, tuple[bytes, bool]]],
        *,
        message: str,
        trailers: Mapping[str, str],
        replace: Set[str] = frozenset(),
    ) -> str:
        """Write whole skills, with all their files, as one commit, and return its id.

        `skills` holds by name the files of each, by path, as bytes and whether they can be run. Those in `replace` take
        the place of what is there, which is recorded first. Raises `Conflict` where another name is taken, and
        `HistoryError`.
        """
        text = message_with(message, trailers)
        with self._writing("write the skills"):
            for name in skills:
                path = skill_path(self.path, name)
                if name not in replace and (self._present(path) is not None or (self.path / name).exists()):
                    raise Conflict(path, self._present(path), f"{name} exists already; choose another name")
            if replace:
                self._record("Record what was changed by hand", "")
            head = worktree.head_of(self._repository)
            known = {} if head is None else worktree.files(head.tree)
            gone = [path for path in known if path.partition("/")[0].removesuffix(".md") in replace]
            changes: dict[str, tuple[str, int] | None] = dict.fromkeys(gone)
            for files in skills.values():
                for path, (data, executable) in files.items():
                    mode = FileMode.BLOB_EXECUTABLE if executable else FileMode.BLOB
                    changes[path] = (str(self._repository.create_blob(data)), int(mode))
            return self._advance({path: entry for path, entry in changes.items() if entry != known.get(path)}, text)

    def record(self, message: str = "Record what was changed by hand") -> str | None:
        """Commit the folder as it lies; the commit's id, or None where nothing differs. Raises `HistoryError`."""
        with self._writing("record the folder"):
            return self._record(message, "")

    def log(self, limit: int = 100, *, skill: str = "") -> list[Commit]:
        """The newest `limit` commits, newest first; with `skill`, those of that skill, under its former names too.

        Raises `HistoryError`.
        """
        with translate_errors(self.path, "read the history"):
            commits = touching(self._walk(), skill) if skill else self._walk()
            return [commit_of(commit) for commit in islice(commits, limit)]

    def growth(self) -> list[tuple[Commit, int, int]]:
        """Every commit, the oldest first, with the number of skills that it left and the bytes of their own files.

        Raises `HistoryError`.
        """
        with translate_errors(self.path, "read the history"):
            commits = reversed(list(self._walk()))
            return [(commit_of(commit), *size) for commit, size in sizes(self._repository, commits)]

    def at(self, commit_id: str = "", *, step: int | None = None, run: str = "") -> Commit:
        """The commit that `commit_id` names, or that the folder stood at when a step of a run was over.

        `run` is by default the newest that edited the folder; without `step`, what that run left is meant; without
        anything, the newest commit. Raises `HistoryError` where there is no such commit.
        """
        with translate_errors(self.path, "read the history"):
            if commit_id or (step is None and not run):
                return commit_of(self._lookup(commit_id or self.head))
            try:
                return at_step([commit_of(commit) for commit in self._walk()], step, run)
            except LookupError as error:
                raise HistoryError(f"{self.path}: {error.args[0]}") from error

    def blame(self, skill: str) -> list[BlamedLine]:
        """Each line of a skill's file as it lies now, with the commit that it came with. Raises `HistoryError`."""
        with translate_errors(self.path, f"blame the lines of {skill[:80]!r}"):
            path = skill_file(self.path, skill)
            present = self._present(path) if path else None
            if path is None or present is None:
                raise HistoryError(f"{self.path} has no skill {skill[:80]!r}; `log` tells what became of it")
            found = self._origins(path, present)
            commits = {origin.commit: commit_of(self._lookup(origin.commit)) for origin in found if origin}
            return [
                BlamedLine(number, text, commits[origin.commit], origin.path, origin.line)
                if origin
                else BlamedLine(number, text, None, path, number)
                for number, (text, origin) in enumerate(zip(git_lines(present), found, strict=True), start=1)
            ]

    def _origins(self, path: str, present: str) -> list[Origin | None]:
        """The origin of each line of `present`, the text that the file `path` has now; None where it is not committed."""
        head = worktree.head_of(self._repository)
        if head is None or path not in head.tree:
            return [None] * len(git_lines(present))
        committed = self._text(str(head.tree[path].id)) or ""
        return carry(origins(self._repository, head, path), committed, present)

    def find(self, key: str, value: str) -> Commit | None:
        """The newest commit whose trailer `key` is `value`, or None: so a restart learns whether an edit is in."""
        wanted = one_line(value)
        with translate_errors(self.path, "read the history"):
            return next((found for found in map(commit_of, self._walk()) if found.trailers.get(key) == wanted), None)

    def show(self, commit_id: str) -> list[FileChange]:
        """What a commit changed, file by file. Raises `HistoryError` where there is no such commit."""
        with translate_errors(self.path, f"show {commit_id[:40]}"):
            commit = self._lookup(commit_id)
            found = worktree.deltas(commit.parents[0] if commit.parents else None, commit)
            return [FileChange(delta.path, self._text(delta.old), self._text(delta.new)) for delta in found]

    def diff(self, commit_id: str) -> str:
        """What a commit changed, as a unified diff. Raises `HistoryError` where there is no such commit."""
        with translate_errors(self.path, f"show {commit_id[:40]}"):
            commit = self._lookup(commit_id)
            tree = commit.tree
            found = commit.parents[0].tree.diff_to_tree(tree) if commit.parents else tree.diff_to_tree(swap=True)
            found.find_similar()
            return b"".join(patch.data for patch in found if patch is not None).decode("utf-8", "replace")

    def revert(self, commit_id: str, *, trailers: Mapping[str, str], message: str = "") -> str:
        """Undo one commit by a new one, and return the new one's id.

        Raises `Conflict` where a file was changed since, and `HistoryError` for the first commit, a merge or none.
        """
        with self._writing(f"undo {commit_id[:40]}"):
            commit = self._lookup(commit_id)
            if len(commit.parents) != 1:
                kind = "a merge" if commit.parents else "the first commit"
                raise HistoryError(f"{commit_id[:40]} is {kind} and cannot be undone; undo single edits instead")
            changes: dict[str, tuple[str, int] | None] = {}
            for delta in worktree.deltas(commit.parents[0], commit):
                self._check_unchanged(delta)
                changes[delta.path] = (delta.old, delta.old_mode) if delta.old else None
            for folder in {_folder(path) for path in changes}:
                self._record("Record what was changed by hand", folder)
            subject = message or f"Undo: {commit_of(commit).subject}"
            return self._advance(changes, message_with(subject, {**trailers, "Reverts": str(commit.id)}))

    def restore(self, commit_id: str, *, trailers: Mapping[str, str], message: str = "") -> str | None:
        """Bring the whole folder back to what it was at a commit, by a new commit that can be undone as any other.

        What was changed by hand is recorded first. Answers the new commit's id, None where nothing differs. Raises
        `Conflict` where a file is in the way that no commit holds, and `HistoryError`.
        """
        with self._writing(f"restore {commit_id[:40]}"):
            commit = self._lookup(commit_id)
            self._record("Record what was changed by hand", "")
            changes: dict[str, tuple[str, int] | None] = {}
            for delta in worktree.deltas(worktree.head_of(self._repository), commit):
                if not worktree.holds(self._repository, self.path / delta.path, delta.old):
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
        """Raise `Conflict` unless the disk is where the edit started from."""
        link = next((place for place in (_folder(path), path) if (self.path / place).is_symlink()), "")
        if link and edit.after is not None:
            raise HistoryError(f"{link} is a link, and edits do not follow links; replace it by what it leads to")
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

    def _check_unchanged(self, delta: worktree.FileDelta) -> None:
        if not worktree.holds(self._repository, self.path / delta.path, delta.new):
            present = self._present(delta.path)
            raise Conflict(delta.path, present, f"{delta.path} was changed since; undo the later edit first")

    def _present(self, path: str) -> str | None:
        """The text of a file as it is on disk, None where there is none."""
        try:
            return read_bytes(self.path, path).decode("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _deletable(self, path: str) -> str | None:
        """As `_present`, but "" for what is too large or a link that leads astray, as reading a repository has it."""
        try:
            return self._present(path)
        except PermissionError:
            raise
        except OSError:
            return ""

    def _changes(self, edit: Edit, path: str) -> dict[str, tuple[str, int] | None]:
        """The files that an edit changes, as the new tree has them; a skill's other files move and go with it."""
        head = worktree.head_of(self._repository)
        files = {} if head is None else worktree.files(head.tree, _folder(path))
        if edit.after is None:
            if not files.keys() & {path, _folder(path)}:
                raise HistoryError(f"{path} is nothing that git can keep, so it could not come back; remove it by hand")
            return dict.fromkeys(files)
        mode = files.get(path, ("", int(FileMode.BLOB)))[1]
        written = (str(self._repository.create_blob(edit.after.encode("utf-8"))), mode)
        if not edit.new_name:
            return {path: written}
        moved = {_renamed(name, edit): entry for name, entry in files.items()}
        return {**dict.fromkeys(files), **moved, _renamed(path, edit): written}

    def _record(self, message: str, under: str, *, ignored: bool = False) -> str | None:
        """Commit what the folder (or its part `under`) holds that the present commit does not.

        What git is told to ignore is taken only if `ignored`: before a skill moves or goes with all its files.
        """
        head = worktree.head_of(self._repository)
        known = {} if head is None else worktree.files(head.tree, under)
        changes: dict[str, tuple[str, int] | None] = dict.fromkeys(known)
        for path in worktree.walk(self._repository, under):
            if ignored or path in known or is_skill(path) or not self._repository.path_is_ignored(path):
                changes[path] = self._stored(path, known.get(path))
        changed = {path: entry for path, entry in changes.items() if entry != known.get(path)}
        if not changed and head is not None:
            return None
        tree = worktree.tree_with(self._repository, head.tree if head else None, changed)
        commit = self._create(tree, message_with(message, {}), head)
        worktree.adopt(self._repository, commit)
        return str(commit.id)

    def _stored(self, path: str, known: tuple[str, int] | None) -> tuple[str, int] | None:
        """A file's entry; a file that nobody may read stays as it is known."""
        try:
            return worktree.store_file(self._repository, path)
        except PermissionError:
            return known

    def _advance(self, changes: dict[str, tuple[str, int] | None], message: str) -> str:
        head = worktree.head_of(self._repository)
        tree = worktree.tree_with(self._repository, head.tree if head else None, changes)
        commit = self._create(tree, message, head)
        worktree.advance(self._repository, commit)
        return str(commit.id)

    def _create(self, tree: pygit2.Oid, message: str, parent: pygit2.Commit | None) -> pygit2.Commit:
        """Store a commit that no branch holds yet."""
        signature = pygit2.Signature(*_AUTHOR, int(time.time()), 0)
        parents = [] if parent is None else [parent.id]
        oid = self._repository.create_commit(None, signature, signature, message, tree, parents)
        found = self._repository[oid]
        assert isinstance(found, pygit2.Commit)
        return found

    def _walk(self) -> Iterator[pygit2.Commit]:
        return iter(self._repository.walk(self._repository.head.target, SortMode.TOPOLOGICAL | SortMode.TIME))

    def _lookup(self, commit_id: str) -> pygit2.Commit:
        try:
            found = self._repository.get(commit_id) if _COMMIT_ID.fullmatch(commit_id) else None
        except ValueError:  # several objects begin so
            found = None
        if not isinstance(found, pygit2.Commit):
            raise HistoryError(f"{self.path} has no commit {commit_id[:40]!r}; `log` lists those that there are")
        return found

    def _text(self, oid: str | None) -> str | None:
        return None if oid is None else worktree.blob(self._repository, oid).decode("utf-8", "replace")

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        """Hold the lock, with whatever a crash cut short finished first, and errors translate_errors."""
        with translate_errors(self.path, what), _lock(self.path, self._wait):
            worktree.recover(self._repository)
            places.refuse_unfinished(self._repository, what)
            if self._repository.head_is_unborn:
                self._record("Begin the history with what is here", "")
            yield


def _folder(path: str) -> str:
    """The folder of a skill's file, or the file itself where it is flat."""
    return path.rpartition("/")[0] or path


def _renamed(path: str, edit: Edit) -> str:
    """Where a skill's file lies after the renaming `edit`."""
    return edit.new_name + path.removeprefix(edit.skill)


@contextmanager
def _lock(root: Path, wait: float) -> Iterator[None]:
    try:
        with folder_lock(root, wait):
            yield
    except Locked as error:
        raise HistoryError(f"{error}; wait for it or stop it, then try again") from error
