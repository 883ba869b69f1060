"""What the past of a repository tells: which commits changed a skill, and which commit each line of it came with.

    for commit in touching(repository.walk(head), "mugs"): ...
    for origin in origins(repository, head, "mugs/SKILL.md"):
        origin.commit, origin.path, origin.line

Both follow a skill through renames. A commit that undoes or restores brings old lines back; they are followed on into
the past that it names, since whoever undid them did not write them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import pygit2
from pygit2.enums import DeltaStatus

from engine.skills.history.checkout import deltas
from engine.skills.history.commits import commit_of
from engine.skills.repo.layout import SKILL_FILES, is_skill

MAX_STEPS = 1_000


def touching(commits: Iterable[pygit2.Commit], skill: str) -> Iterator[pygit2.Commit]:
    """Those of `commits` (newest first) that changed a skill, which goes by its former name before it was renamed."""
    for commit in commits:
        parent = commit.parents[0] if commit.parents else None
        now, before = _places(commit, skill), _places(parent, skill)
        if now == before:
            continue
        yield commit
        if parent is not None and not any(before):
            skill = _former_name(parent, commit, skill)


def _places(commit: pygit2.Commit | None, skill: str) -> list[pygit2.Oid | None]:
    """What a commit holds at the places where a skill can be."""
    return [_entry(commit, place) for place in (skill, f"{skill}.md")]


def _entry(commit: pygit2.Commit | None, path: str) -> pygit2.Oid | None:
    return commit.tree[path].id if commit is not None and path in commit.tree else None


def _former_name(parent: pygit2.Commit, commit: pygit2.Commit, skill: str) -> str:
    """What a skill that `commit` brought was called before, if it was renamed, else the same name."""
    files = {f"{skill}.md", *(f"{skill}/{name}" for name in SKILL_FILES)}
    difference = parent.tree.diff_to_tree(commit.tree)
    difference.find_similar()
    for delta in difference.deltas:
        if delta.status == DeltaStatus.RENAMED and delta.new_file.path in files:
            return delta.old_file.path.partition("/")[0].removesuffix(".md")
    return skill


class Size(NamedTuple):
    """How many skills a commit holds, and the bytes of their own files."""

    skills: int
    bytes: int


def sizes(repository: pygit2.Repository, commits: Iterable[pygit2.Commit]) -> Iterator[tuple[pygit2.Commit, Size]]:
    """The size of the repository at each of `commits`, parents before their children."""
    known: dict[pygit2.Oid, Size] = {}
    for commit in commits:
        parent = next((parent for parent in commit.parents if parent.id in known), None)
        skills, count = known[parent.id] if parent else Size(0, 0)
        for delta in deltas(parent, commit):
            if is_skill(delta.path):
                skills += (delta.new is not None) - (delta.old is not None)
                count += _bytes(repository, delta.new) - _bytes(repository, delta.old)
        known[commit.id] = Size(skills, count)
        yield commit, known[commit.id]


def _bytes(repository: pygit2.Repository, oid: str | None) -> int:
    return int(repository.odb.read_header(oid)[1]) if oid else 0


class Origin(NamedTuple):
    """Where a line came from: the id of a commit, and its place (1 is the first line) in a file there."""

    commit: str
    path: str
    line: int


def origins(repository: pygit2.Repository, commit: pygit2.Commit, path: str) -> list[Origin]:
    """The origin of each line that the file `path` has at `commit`. Raises `KeyError` where there is none."""

    @cache
    def of_file(commit_id: str, path: str) -> list[Origin]:
        found: list[Origin] = []
        for hunk in repository.blame(path, newest_commit=commit_id):
            for number in range(hunk.lines_in_hunk):
                line = hunk.orig_start_line_number + number
                found.append(Origin(str(hunk.orig_commit_id), hunk.orig_path or path, line))
        return found

    def settle(origin: Origin) -> Origin:
        for _ in range(MAX_STEPS):
            past = _brought_back(repository, origin)
            if past is None:
                break
            origin = of_file(str(past.id), origin.path)[origin.line - 1]
        return origin

    return [settle(origin) for origin in of_file(str(commit.id), path)]


def _brought_back(repository: pygit2.Repository, origin: Origin) -> pygit2.Commit | None:
    """The commit whose file the commit of `origin` brought back as it was, None where it did no such thing."""
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
    """The origins of the lines of `after`, given those of `before`; None for a line that is not in `before`."""
    old, new = git_lines(before), git_lines(after)
    carried: list[Origin | None] = [None] * len(new)
    for match in difflib.SequenceMatcher(None, old, new).get_matching_blocks():
        carried[match.b : match.b + match.size] = origins[match.a : match.a + match.size]
    return carried


def git_lines(text: str) -> list[str]:
    """The lines of a text as git counts them, without their ends."""
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]
