"""Commits as plain data, with the trailers of their messages (Run, Step, Task, Edit, Reviewer, …).

text = message_with("Correct mugs", {"Run": "r1", "Step": "3", "Reviewer": "ada"})
commit_of(repository[oid]).trailers["Step"]         # "3"
at_step(commits, step=2, run="r1")                  # the last commit before step 3 of the run
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec
import pygit2

MAX_TRAILER = 1_000

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_TRAILER = re.compile(rf"({_KEY.pattern}): (.*)")


class Commit(msgspec.Struct, frozen=True):
    """One commit. `time` is in seconds since 1970; `message` is without its trailers.

    `parent` is the id of the (first) commit before it, "" for none.
    """

    id: str
    time: int
    author: str
    message: str
    trailers: dict[str, str]
    parent: str = ""

    @property
    def subject(self) -> str:
        """The message's first line."""
        return self.message.partition("\n")[0]

    @property
    def step(self) -> int | None:
        """The step of the run that caused the commit, None without such a trailer."""
        step = self.trailers.get("Step", "")
        return int(step) if step.isascii() and step.isdecimal() and len(step) < 16 else None


class FileChange(msgspec.Struct, frozen=True):
    """One file in a commit: its text before and after, None where it was absent."""

    path: str
    before: str | None
    after: str | None


class BlamedLine(msgspec.Struct, frozen=True):
    """A line of a skill's file on disk, and the commit that first had it. None: a manual change, not yet committed.

    `path` and `line` are its position in that commit. The trailers of the commit name the run, step, task and edit, and so
    the trajectory, that caused it. A line that was undone and restored keeps its first commit.
    """

    number: int
    text: str
    commit: Commit | None
    path: str
    line: int


def commit_of(commit: pygit2.Commit) -> Commit:
    """A commit as plain data. The last paragraph is the trailers if each of its lines is a trailer."""
    body, _, last = commit.message.rstrip("\n").rpartition("\n\n")
    matches = [_TRAILER.fullmatch(line) for line in last.split("\n")]
    parent = str(commit.parent_ids[0]) if commit.parent_ids else ""
    if not body or not all(matches):
        return Commit(str(commit.id), commit.commit_time, commit.author.name, commit.message.strip(), {}, parent)
    trailers = {match[1]: match[2] for match in matches if match}
    return Commit(str(commit.id), commit.commit_time, commit.author.name, body.strip(), trailers, parent)


def message_with(message: str, trailers: Mapping[str, str]) -> str:
    """A commit message with its trailers. Raises `ValueError` for a key that git would not parse."""
    for key in trailers:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} cannot be a trailer; use letters, digits and hyphens")
    subject, _, rest = message.replace("\0", " ").strip().encode("utf-8", "replace").decode("utf-8").partition("\n")
    lines = [f"{key}: {one_line(value)}" for key, value in trailers.items() if value.strip()]
    parts = [one_line(subject) or "Edit", rest.strip(), "\n".join(lines)]
    return "\n\n".join(part for part in parts if part) + "\n"


def one_line(text: str) -> str:
    """`text` as the value of a trailer: one line, at most `MAX_TRAILER` characters, valid UTF-8."""
    clean = " ".join(text.replace("\0", " ").split())[:MAX_TRAILER]
    return clean.encode("utf-8", "replace").decode("utf-8")


def at_step(commits: Sequence[Commit], step: int | None = None, run: str = "") -> Commit:
    """The commit of `commits` (newest first) at which the folder was when a step of a run ended.

    It is the parent of the run's first commit of a later step; without `step`, the run's newest. `run` defaults to the
    newest run in the trailers. Raises `LookupError` with the known runs.
    """
    runs = list(dict.fromkeys(commit.trailers["Run"] for commit in commits if "Run" in commit.trailers))
    wanted = run or next(iter(runs), "")
    of_run = [number for number, commit in enumerate(commits) if commit.trailers.get("Run", "") == wanted]
    of_run = [number for number in of_run if commits[number].step is not None]
    if not of_run:
        known = f"the runs are {', '.join(runs[:5])}" if runs else "no commit names a run"
        raise LookupError(f"there is no commit of {f'the run {run!r}' if run else 'a run'}; {known}")
    later = [number for number in of_run if step is not None and (commits[number].step or 0) > step]
    if not later:
        return commits[of_run[0]]
    first = commits[later[-1]]
    before = next((commit for commit in commits if commit.id == first.parent), None)
    if before is None:
        raise LookupError(f"nothing was there before step {first.step}, the first of {wanted!r}")
    return before
