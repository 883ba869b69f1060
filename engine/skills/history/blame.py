"""Blame: the commits that changed a skill, and the commit that first had each of its lines.

    for commit, place, before in touching(repository.walk(head), "pack/mugs"): ...
    for origin in origins(repository, head, "mugs/SKILL.md"):
        origin.commit, origin.path, origin.line

Both follow a skill through renames. A commit that undoes or restores adds old lines again. Their origin is the older commit
that it names, because the author of the undo did not write them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import pygit2
from pygit2.enums import DeltaStatus

from engine.skills.format.frontmatter import begins_with_frontmatter
from engine.skills.history.commits import commit_of
from engine.skills.history.trees import blob, deltas
from engine.skills.repo.rule import SKILL_FILES, is_skill, is_skill_file

MAX_STEPS = 1_000
"""How many restorations of one line are followed."""


class Touched(NamedTuple):
    """A commit that changed a skill, and the skill's place (its folder, or its flat file) in it and in its first parent."""

    commit: pygit2.Commit
    place: str
    before: str


def touching(commits: Iterable[pygit2.Commit], place: str) -> Iterator[Touched]:
    """The ones of `commits` (newest first) that changed the skill at `place`. Older commits are matched by its former
    place."""
    for commit in commits:
        parent = commit.parents[0] if commit.parents else None
        now, before = _entries(commit, place), _entries(parent, place)
        if now == before:
            continue
        former = _former_place(parent, commit, place) if parent is not None and not any(before) else place
        yield Touched(commit, place, former)
        place = former


def last_place(commits: Iterable[pygit2.Commit], skill: str) -> str:
    """The folder, or the flat file, that the skill `skill` had last in `commits` (newest first); `skill` for none."""
    for commit in commits:
        for delta in deltas(commit.parents[0] if commit.parents else None, commit):
            folder = place_of_skill(delta.path)
            if is_skill(delta.path) and folder.rpartition("/")[2].removesuffix(".md") == skill:
                return folder
    return skill


def place_of_skill(path: str) -> str:
    """The folder of the skill file `path`, or the file itself where it is flat."""
    return path.rpartition("/")[0] or path


def _entries(commit: pygit2.Commit | None, place: str) -> list[pygit2.Oid | None]:
    """The objects of a commit at the two paths that a skill can have: its folder and its flat file."""
    folder = place.removesuffix(".md")
    return [_entry(commit, path) for path in (folder, f"{folder}.md")]


def _entry(commit: pygit2.Commit | None, path: str) -> pygit2.Oid | None:
    return commit.tree[path].id if commit is not None and path in commit.tree else None


def _former_place(parent: pygit2.Commit, commit: pygit2.Commit, place: str) -> str:
    """The place before `commit` of a skill that `commit` renamed or added; the same place if it was added."""
    folder = place.removesuffix(".md")
    files = {f"{folder}.md", *(f"{folder}/{name}" for name in SKILL_FILES)}
    difference = parent.tree.diff_to_tree(commit.tree)
    difference.find_similar()
    for delta in difference.deltas:
        if delta.status == DeltaStatus.RENAMED and delta.new_file.path in files:
            return place_of_skill(delta.old_file.path)
    return place


class Size(NamedTuple):
    """The number of skills in a commit, and the bytes of their SKILL.md files."""

    skills: int
    bytes: int


def sizes(repository: pygit2.Repository, commits: Iterable[pygit2.Commit]) -> Iterator[tuple[pygit2.Commit, Size]]:
    """The size of the repository at each of `commits`, which are ordered parents first."""
    known: dict[pygit2.Oid, Size] = {}
    for commit in commits:
        parent = next((parent for parent in commit.parents if parent.id in known), None)
        skills, count = known[parent.id] if parent else Size(0, 0)
        for delta in deltas(parent, commit):
            if is_skill(delta.path):
                old, new = (oid if _has_skill(repository, delta.path, oid) else None for oid in (delta.old, delta.new))
                skills += (new is not None) - (old is not None)
                count += _bytes(repository, new) - _bytes(repository, old)
        known[commit.id] = Size(skills, count)
        yield commit, known[commit.id]


def _has_skill(repository: pygit2.Repository, path: str, oid: str | None) -> bool:
    """Whether a file that can be a skill's file by its path is one: a flat file needs frontmatter."""
    if oid is None or "/" in path or is_skill_file(path):
        return oid is not None
    return begins_with_frontmatter(blob(repository, oid)[:4096].decode("utf-8", "replace"))


def _bytes(repository: pygit2.Repository, oid: str | None) -> int:
    return int(repository.odb.read_header(oid)[1]) if oid else 0


class Origin(NamedTuple):
    """The origin of a line: the id of a commit, a file in it, and the number of the line there, from 1."""

    commit: str
    path: str
    line: int


def origins(repository: pygit2.Repository, commit: pygit2.Commit, path: str) -> list[Origin]:
    """The origin of each line of the file `path` at `commit`. Raises `KeyError` where there is no such file."""

    @cache
    def of_file(commit_id: str, path: str) -> list[Origin]:
        found: list[Origin] = []
        for hunk in repository.blame(path, newest_commit=commit_id):
            for number in range(hunk.lines_in_hunk):
                line = hunk.orig_start_line_number + number
                found.append(Origin(str(hunk.orig_commit_id), hunk.orig_path or path, line))
        return found

    def first(origin: Origin) -> Origin:
        for _ in range(MAX_STEPS):
            past = _restored_from(repository, origin)
            if past is None:
                break
            origin = of_file(str(past.id), origin.path)[origin.line - 1]
        return origin

    return [first(origin) for origin in of_file(str(commit.id), path)]


def _restored_from(repository: pygit2.Repository, origin: Origin) -> pygit2.Commit | None:
    """The commit from which the commit of `origin` restored the file, None where it did not restore it."""
    commit = repository[origin.commit]
    assert isinstance(commit, pygit2.Commit)
    trailers = commit_of(commit).trailers
    past = _commit(repository, trailers.get("Restores", ""))
    undone = _commit(repository, trailers.get("Reverts", ""))
    if past is None and undone is not None and undone.parents:
        past = undone.parents[0]
    if past is None or _entry(past, origin.path) != _entry(commit, origin.path):
        return None
    return past


def _commit(repository: pygit2.Repository, commit_id: str) -> pygit2.Commit | None:
    found = repository.get(commit_id) if len(commit_id) == 40 and commit_id.isalnum() else None
    return found if isinstance(found, pygit2.Commit) else None


def carry(origins: list[Origin], before: str, after: str) -> list[Origin | None]:
    """The origins of the lines of `after`, given those of `before`. None for a line that is not in `before`."""
    old, new = git_lines(before), git_lines(after)
    carried: list[Origin | None] = [None] * len(new)
    for match in difflib.SequenceMatcher(None, old, new).get_matching_blocks():
        carried[match.b : match.b + match.size] = origins[match.a : match.a + match.size]
    return carried


def git_lines(text: str) -> list[str]:
    """The lines of a text as git counts them, without line ends."""
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]
