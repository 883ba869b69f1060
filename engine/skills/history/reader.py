"""Read the git history of a repository of skills: its commits, what they changed, and the origin of each line.

`HistoryReader` is the reading half of `engine.skills.history.history.History`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec
import pygit2

from engine.core.beneath import Beneath
from engine.skills.format.skill import MAX_BYTES
from engine.skills.history.blame import (
    Origin,
    Touched,
    carry,
    git_lines,
    last_place,
    origins,
    place_of_skill,
    sizes,
    touching,
)
from engine.skills.history.commits import BlamedLine, Commit, FileChange, at_step, commit_of, one_line
from engine.skills.history.errors import HistoryError, translate_errors
from engine.skills.history.trees import blob, commits_from, deltas, head_of
from engine.skills.repo.layout import read_bytes, skill_file
from engine.skills.repo.rule import SKILL_FILES

_COMMIT_ID = re.compile(r"[0-9a-f]{7,40}")


class Version(msgspec.Struct, frozen=True):
    """A skill's file as a commit left it, and `before` as the commit found it; None where there was none."""

    commit: Commit
    text: str | None
    before: str | None


class Uncommitted(msgspec.Struct, frozen=True):
    """A skill's file on disk where it differs from the newest commit, and `before` as that commit has it."""

    text: str
    before: str | None


class HistoryReader:
    """The commits of one folder that has at least one. An instance belongs to one thread."""

    def __init__(self, path: Path, repository: pygit2.Repository) -> None:
        self.path = path
        self._repository = repository

    @property
    def head(self) -> str:
        """The id of the newest commit."""
        return str(self._repository.head.target)

    def log(self, limit: int = 100, *, skill: str = "") -> list[Commit]:
        """The newest `limit` commits, newest first. With `skill`, only those of that skill, its former names included.

        Raises `HistoryError`.
        """
        with translate_errors(self.path, "read the history"):
            commits = (touched.commit for touched in self._touching(skill)) if skill else self._walk()
            return [commit_of(commit) for commit in islice(commits, limit)]

    def versions(self, skill: str, limit: int = 1_000) -> list[Version]:
        """The newest `limit` versions of a skill's file, newest first: one for each commit that changed the skill, its
        former names included. Raises `HistoryError`."""
        with translate_errors(self.path, "read the history"):
            return [self._version(touched) for touched in islice(self._touching(skill), limit)]

    def _version(self, touched: Touched) -> Version:
        commit, place, before = touched
        found = _skill_blob(commit.parents[0], before) if commit.parents else None
        return Version(commit_of(commit), self._text(_skill_blob(commit, place)), self._text(found))

    def uncommitted(self, skill: str) -> Uncommitted | None:
        """What was changed by hand since the newest commit; None where nothing was, for a skill behind a link, and for a
        file that cannot be read. Raises `HistoryError`."""
        with translate_errors(self.path, "read the history"):
            path, head = skill_file(self.path, skill), head_of(self._repository)
            if path is None or head is None:
                return None
            try:
                with Beneath(self.path) as folder:
                    data = folder.read(path, MAX_BYTES)
            except OSError:
                return None
            known = head.tree[path].id if path in head.tree else None
            if len(data) > MAX_BYTES or pygit2.hash(data) == known:
                return None
            return Uncommitted(data.decode("utf-8", "replace"), self._text(str(known) if known else None))

    def _touching(self, skill: str) -> Iterator[Touched]:
        """The commits that changed a skill, newest first."""
        file = skill_file(self.path, skill)
        return touching(self._walk(), place_of_skill(file) if file else last_place(self._walk(), skill))

    def growth(self) -> list[tuple[Commit, int, int]]:
        """Every commit, oldest first, with the number of skills after it and the bytes of their SKILL.md files.

        Raises `HistoryError`.
        """
        with translate_errors(self.path, "read the history"):
            commits = reversed(list(self._walk()))
            return [(commit_of(commit), *size) for commit, size in sizes(self._repository, commits)]

    def at(self, commit_id: str = "", *, step: int | None = None, run: str = "") -> Commit:
        """The commit with the id `commit_id`, or the last commit of a step of a run (`commits.at_step`).

        `run` defaults to the newest run that edited the folder; without `step`, the last commit of the run is meant; without
        any argument, the newest commit. Raises `HistoryError` where there is no such commit.
        """
        with translate_errors(self.path, "read the history"):
            if commit_id or (step is None and not run):
                return commit_of(self._lookup(commit_id or self.head))
            try:
                return at_step([commit_of(commit) for commit in self._walk()], step, run)
            except LookupError as error:
                raise HistoryError(f"{self.path}: {error.args[0]}") from error

    def find(self, key: str, value: str) -> Commit | None:
        """The newest commit whose trailer `key` is `value`, or None. A restart uses it to see if an edit is committed."""
        wanted = one_line(value)
        with translate_errors(self.path, "read the history"):
            return next((found for found in map(commit_of, self._walk()) if found.trailers.get(key) == wanted), None)

    def since(self, known: str) -> Iterator[Commit]:
        """The commits that the newest one contains and the commit `known` does not, each after its parents.

        All of them where `known` is no commit (any more). Raises `HistoryError`.
        """
        with translate_errors(self.path, "read the history"):
            order = pygit2.enums.SortMode.TOPOLOGICAL | pygit2.enums.SortMode.REVERSE
            walk = self._repository.walk(self._repository.head.target, order)
            if _COMMIT_ID.fullmatch(known) and isinstance(self._repository.get(known), pygit2.Commit):
                walk.hide(known)
            yield from map(commit_of, walk)

    def show(self, commit_id: str, *, since: str = "") -> list[FileChange]:
        """What a commit changed, file by file; with `since`, what differs between that commit and this one. Raises
        `HistoryError` where there is no such commit."""
        with translate_errors(self.path, f"show {commit_id[:40]}"):
            commit = self._lookup(commit_id)
            parent = commit.parents[0] if commit.parents else None
            found = deltas(self._lookup(since) if since else parent, commit)
            return [FileChange(delta.path, self._text(delta.old), self._text(delta.new)) for delta in found]

    def diff(self, commit_id: str) -> str:
        """What a commit changed, as a unified diff. Raises `HistoryError` where there is no such commit."""
        with translate_errors(self.path, f"show {commit_id[:40]}"):
            commit = self._lookup(commit_id)
            tree = commit.tree
            found = commit.parents[0].tree.diff_to_tree(tree) if commit.parents else tree.diff_to_tree(swap=True)
            found.find_similar()
            return b"".join(patch.data for patch in found if patch is not None).decode("utf-8", "replace")

    def blame(self, skill: str) -> list[BlamedLine]:
        """Each line of a skill's file on disk, with the commit that first had it. Raises `HistoryError`."""
        with translate_errors(self.path, f"blame the lines of {skill[:80]!r}"):
            path = skill_file(self.path, skill)
            present = self._present(path) if path else None
            if path is None or present is None:
                raise HistoryError(f"{self.path} has no skill {skill[:80]!r}; `log` lists what happened to it")
            found = self._origins(path, present)
            commits = {origin.commit: commit_of(self._lookup(origin.commit)) for origin in found if origin}
            return [
                BlamedLine(number, text, commits[origin.commit], origin.path, origin.line)
                if origin
                else BlamedLine(number, text, None, path, number)
                for number, (text, origin) in enumerate(zip(git_lines(present), found, strict=True), start=1)
            ]

    def _origins(self, path: str, present: str) -> list[Origin | None]:
        """The origin of each line of `present`, the text on disk of the file `path`; None for uncommitted lines."""
        head = head_of(self._repository)
        if head is None or path not in head.tree:
            return [None] * len(git_lines(present))
        committed = self._text(str(head.tree[path].id)) or ""
        return carry(origins(self._repository, head, path), committed, present)

    def _present(self, path: str) -> str | None:
        """The text of a file on disk, None where there is none."""
        try:
            return read_bytes(self.path, path).decode("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _text(self, oid: str | None) -> str | None:
        return None if oid is None else blob(self._repository, oid).decode("utf-8", "replace")

    def _walk(self) -> Iterator[pygit2.Commit]:
        return commits_from(self._repository)

    def _lookup(self, commit_id: str) -> pygit2.Commit:
        try:
            found = self._repository.get(commit_id) if _COMMIT_ID.fullmatch(commit_id) else None
        except ValueError:  # the prefix is ambiguous
            found = None
        if not isinstance(found, pygit2.Commit):
            raise HistoryError(f"{self.path} has no commit {commit_id[:40]!r}; `log` lists the commits")
        return found


def _skill_blob(commit: pygit2.Commit, place: str) -> str | None:
    """The object of the file of the skill at `place`, a folder or a flat file, at a commit; None where it has none."""
    folder = place.removesuffix(".md")
    for path in (*(f"{folder}/{name}" for name in SKILL_FILES), f"{folder}.md"):
        if path in commit.tree and isinstance(commit.tree[path], pygit2.Blob):
            return str(commit.tree[path].id)
    return None
