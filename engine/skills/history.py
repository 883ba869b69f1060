"""The history of a repository of skills: one git commit an approved edit, and the way back.

    history = History.open(path)                     # git itself need be neither installed nor configured
    commit = history.commit(edit, message="...", trailers={"Run": "r1", "Reviewer": "ada"})
    history.log(10), history.diff(commit), history.revert(commit, trailers={"Reviewer": "ada"})

This is the only door to the disk. The folder has a `.git` of its own, also inside a larger repository, whose index and
branches stay untouched. What lies in the folder when it is first opened is committed as it is, and so is what was
changed by hand in a skill before the next edit of it, so no text is ever lost. Writers take turns by a lock. A file
that is not what an edit was made from is never overwritten but raises `Conflict`. A crash leaves one commit or the
other.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec
import pygit2
from pygit2.enums import ConfigLevel, FileMode, RepositoryOpenFlag, SortMode

from engine.skills import worktree
from engine.skills.files import read_bytes, skill_files, skill_path
from engine.skills.lock import Locked, folder_lock
from engine.skills.operations import Edit

WAIT_SECONDS = 10.0
MAX_TRAILER = 1_000

_ASIDE = f"{worktree.TEMPORARY}new"
_AUTHOR = ("SkillOS", "skillos@localhost")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_TRAILER = re.compile(rf"({_KEY.pattern}): (.*)")
_COMMIT_ID = re.compile(r"[0-9a-f]{7,40}")
_ADVICE = {
    errno.EACCES: "give yourself permission to write there, or name another folder",
    errno.EPERM: "give yourself permission to write there, or name another folder",
    errno.EROFS: "the file system is read-only; name another folder",
    errno.ENOSPC: "free some space and try again",
    errno.EDQUOT: "free some space and try again",
    errno.EFBIG: "free some space or raise the limit on file sizes, and try again",
}


class HistoryError(Exception):
    """Something that the history could not do; the message says what, where and what to do. Nothing was changed."""


class Conflict(HistoryError):
    """The file `path` is no longer what the edit was made from; `present` is its text now, None where there is none."""

    def __init__(self, path: str, present: str | None, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.present = present


class Commit(msgspec.Struct, frozen=True):
    """One commit. `time` is in seconds since 1970; `message` is without its trailers."""

    id: str
    time: int
    author: str
    message: str
    trailers: dict[str, str]

    @property
    def subject(self) -> str:
        """The message's first line."""
        return self.message.partition("\n")[0]


class FileChange(msgspec.Struct, frozen=True):
    """One file in a commit: its text before and after, None where there was none."""

    path: str
    before: str | None
    after: str | None


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
        with _explained(root, "open the history"):
            _stand_alone()
            root.mkdir(parents=True, exist_ok=True)
            if not (root / ".git").exists() or (root / _ASIDE).exists():
                with _lock(root, wait):
                    _make(root)
            history = cls(root, _opened(root), wait)
            if history._repository.head_is_unborn or worktree.interrupted(history._repository):
                with history._writing("finish the history"):
                    pass
        return history

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
        text = _message(message, given)
        with self._writing(f"commit the edit of {edit.skill!r}"):
            path = skill_path(self.path, edit.skill)
            self._check(edit, path)
            self._record(f"Record what was changed by hand in {edit.skill}", _folder(path))
            return self._advance(self._changes(edit, path), text)

    def record(self, message: str = "Record what was changed by hand") -> str | None:
        """Commit the folder as it lies; the commit's id, or None where nothing differs. Raises `HistoryError`."""
        with self._writing("record the folder"):
            return self._record(message, "")

    def log(self, limit: int = 100) -> list[Commit]:
        """The newest `limit` commits, newest first. Raises `HistoryError`."""
        with _explained(self.path, "read the history"):
            return [_commit(commit) for _, commit in zip(range(limit), self._walk(), strict=False)]

    def find(self, key: str, value: str) -> Commit | None:
        """The newest commit whose trailer `key` is `value`, or None: so a restart learns whether an edit is in."""
        wanted = _one_line(value)
        with _explained(self.path, "read the history"):
            return next((found for found in map(_commit, self._walk()) if found.trailers.get(key) == wanted), None)

    def show(self, commit_id: str) -> list[FileChange]:
        """What a commit changed, file by file. Raises `HistoryError` where there is no such commit."""
        with _explained(self.path, f"show {commit_id[:40]}"):
            commit = self._lookup(commit_id)
            found = worktree.deltas(self._repository, commit.parents[0] if commit.parents else None, commit)
            return [FileChange(delta.path, self._text(delta.old), self._text(delta.new)) for delta in found]

    def diff(self, commit_id: str) -> str:
        """What a commit changed, as a unified diff. Raises `HistoryError` where there is no such commit."""
        with _explained(self.path, f"show {commit_id[:40]}"):
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
            for delta in worktree.deltas(self._repository, commit.parents[0], commit):
                self._check_unchanged(delta)
                changes[delta.path] = (delta.old, delta.old_mode) if delta.old else None
            for folder in {_folder(path) for path in changes}:
                self._record("Record what was changed by hand", folder)
            subject = message or f"Undo: {_commit(commit).subject}"
            return self._advance(changes, _message(subject, {**trailers, "Reverts": str(commit.id)}))

    def _check(self, edit: Edit, path: str) -> None:
        """Raise `Conflict` unless the disk is where the edit started from."""
        present = self._present(path)
        if present != edit.before:
            happened = "was deleted" if present is None else "exists already" if edit.before is None else "was changed"
            message = f"{path} {happened} since the edit was proposed; look at the new diff and decide again"
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

    def _changes(self, edit: Edit, path: str) -> dict[str, tuple[str, int] | None]:
        """The files that an edit changes, as the new tree has them; a skill's other files move and go with it."""
        head = worktree.head_of(self._repository)
        files = {} if head is None else worktree.files(head.tree, _folder(path))
        if edit.after is None:
            return dict.fromkeys(files)
        mode = files.get(path, ("", int(FileMode.BLOB)))[1]
        written = (str(self._repository.create_blob(edit.after.encode("utf-8"))), mode)
        if not edit.new_name:
            return {path: written}
        moved = {_renamed(name, edit): entry for name, entry in files.items()}
        return {**dict.fromkeys(files), **moved, _renamed(path, edit): written}

    def _record(self, message: str, under: str) -> str | None:
        """Commit what the folder (or its part `under`) holds that the present commit does not."""
        head = worktree.head_of(self._repository)
        known = {} if head is None else worktree.files(head.tree, under)
        changes: dict[str, tuple[str, int] | None] = dict.fromkeys(known)
        skills = set(skill_files(self.path).values())
        for path in worktree.walk(self._repository, under):
            if path in known or path in skills or not self._repository.path_is_ignored(path):
                changes[path] = self._stored(path, known.get(path))
        changed = {path: entry for path, entry in changes.items() if entry != known.get(path)}
        if not changed and head is not None:
            return None
        tree = worktree.tree_with(self._repository, head, changed)
        commit = self._create(tree, _message(message, {}), head)
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
        commit = self._create(worktree.tree_with(self._repository, head, changes), message, head)
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
        found = self._repository.get(commit_id) if _COMMIT_ID.fullmatch(commit_id) else None
        if not isinstance(found, pygit2.Commit):
            raise HistoryError(f"{self.path} has no commit {commit_id[:40]!r}; `log` lists those that there are")
        return found

    def _text(self, oid: str | None) -> str | None:
        return None if oid is None else worktree.blob(self._repository, oid).decode("utf-8", "replace")

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        """Hold the lock, with whatever a crash cut short finished first, and errors explained."""
        with _explained(self.path, what), _lock(self.path, self._wait):
            worktree.recover(self._repository)
            if (Path(self._repository.path) / "index.lock").exists():
                raise HistoryError(
                    f"cannot {what}: git is at work in {self.path} (.git/index.lock); let it finish, or remove that "
                    "file if no git is running"
                )
            if self._repository.head_is_unborn:
                self._record("Begin the history with what is here", "")
            yield


def _stand_alone() -> None:
    """Let libgit2 read no configuration but the repository's own: a user's may be absent, broken or unreadable.

    Whose the repository is does not matter to it then either; nothing that a configuration names is ever run.
    """
    for level in (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
        pygit2.settings.search_path[level] = ""
    pygit2.settings.owner_validation = False


def _make(root: Path) -> None:
    """A `.git` of the folder's own, made aside and renamed into place, unless another process made it meanwhile."""
    aside = root / _ASIDE
    if aside.exists():
        shutil.rmtree(aside)
    if not (root / ".git").exists():
        pygit2.init_repository(str(aside), initial_head="main")
        (aside / ".git").rename(root / ".git")
        aside.rmdir()


def _opened(root: Path) -> pygit2.Repository:
    """The repository of just this folder. Raises `HistoryError` where its configuration names another folder."""
    repository = pygit2.Repository(str(root), RepositoryOpenFlag.NO_SEARCH)
    if repository.workdir is None or Path(repository.workdir).resolve() != root.resolve():
        raise HistoryError(f"the .git of {root} works on another folder; name that one, or a folder without it")
    return repository


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


@contextmanager
def _explained(root: Path, what: str) -> Iterator[None]:
    """Turn what the system and libgit2 raise into a `HistoryError`."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "mend that and try again")
        where = error.filename or root
        raise HistoryError(f"cannot {what}: {error.strerror or error} ({where}); {advice}") from error
    except (pygit2.GitError, ValueError, KeyError) as error:
        code = next((code for code in _ADVICE if os.strerror(code) in str(error)), 0)
        advice = _ADVICE.get(code, "mend that and try again")
        raise HistoryError(f"cannot {what} in {root}: {error}; {advice}") from error


def _one_line(text: str) -> str:
    """Text that fits a trailer: one line, bounded, and valid UTF-8."""
    clean = " ".join(text.replace("\0", " ").split())[:MAX_TRAILER]
    return clean.encode("utf-8", "replace").decode("utf-8")


def _message(message: str, trailers: Mapping[str, str]) -> str:
    """A commit message with its trailers. Raises `ValueError` for a key that git would not read."""
    for key in trailers:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} cannot be a trailer; use letters, digits and hyphens")
    subject, _, rest = message.replace("\0", " ").strip().encode("utf-8", "replace").decode("utf-8").partition("\n")
    lines = [f"{key}: {_one_line(value)}" for key, value in trailers.items() if value.strip()]
    parts = [_one_line(subject) or "Edit", rest.strip(), "\n".join(lines)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _commit(commit: pygit2.Commit) -> Commit:
    """A commit as plain data; its trailers are the last paragraph, if each of its lines is one."""
    body, _, last = commit.message.rstrip("\n").rpartition("\n\n")
    matches = [_TRAILER.fullmatch(line) for line in last.split("\n")]
    if not body or not all(matches):
        return Commit(str(commit.id), commit.commit_time, commit.author.name, commit.message.strip(), {})
    trailers = {match[1]: match[2] for match in matches if match}
    return Commit(str(commit.id), commit.commit_time, commit.author.name, body.strip(), trailers)
