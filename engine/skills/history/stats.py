"""What a repository holds and how it grew: counts, sizes, findings, and its edits by what their trailers say.

    told = stats(SkillRepo.open(root), History.existing(root))
    told.skills, told.findings["unknown-field"], told.operations, told.steps[-1].skills

Counts of edits are of commits; what was undone stays counted as what it was, and once more as `undo`.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from engine.skills.history.commits import Commit
from engine.skills.history.history import History
from engine.skills.repo.repository import SkillRepo


class Spread(msgspec.Struct, frozen=True):
    """How a number is spread over the skills; zeros for none."""

    total: int
    median: float
    largest: int


class StepStats(msgspec.Struct, frozen=True):
    """What a step of a run did to the repository: commits by operation, and what it held after the last of them.

    `bytes` are those of the skills' own files.
    """

    run: str
    step: int
    operations: dict[str, int]
    skills: int
    bytes: int


class RepoStats(msgspec.Struct, frozen=True):
    """A repository in numbers. `findings` counts, by code, the skills that have one; `files` those beside the skills' own.

    `bytes` and `words` are of the skills' own files. `operations` (insert, update, delete, import, undo, restore, and
    other for what no trailer tells), `proposers`, `reviewers` and `outcomes` count commits; `steps` is in order of time.
    """

    skills: int
    valid: int
    files: int
    bytes: Spread
    words: Spread
    findings: dict[str, int]
    commits: int
    operations: dict[str, int]
    proposers: dict[str, int]
    reviewers: dict[str, int]
    outcomes: dict[str, int]
    steps: tuple[StepStats, ...]


def stats(repo: SkillRepo, history: History | None = None) -> RepoStats:
    """The numbers of a repository and, where it has one, of its history. Raises `HistoryError`."""
    skills = [repo[name] for name in repo]
    growth = history.growth() if history else []
    commits = [commit for commit, _, _ in growth]
    findings = Counter(code for skill in skills for code in {finding.rule for finding in skill.findings})
    return RepoStats(
        skills=len(skills),
        valid=sum(skill.valid for skill in skills),
        files=sum(len(repo.files(name)) for name in repo),
        bytes=_spread([len(skill.text.encode("utf-8", "replace")) for skill in skills]),
        words=_spread([len(skill.text.split()) for skill in skills]),
        findings=_counts(findings),
        commits=len(commits),
        operations=_counts(Counter(operation(commit) for commit in commits)),
        proposers=_by_trailer(commits, "Proposer"),
        reviewers=_by_trailer(commits, "Reviewer"),
        outcomes=_counts(
            Counter(_kind(commit.trailers["Outcome"]) for commit in commits if "Outcome" in commit.trailers)
        ),
        steps=tuple(_steps(growth)),
    )


def operation(commit: Commit) -> str:
    """What kind of change a commit is, by its trailers."""
    if "Reverts" in commit.trailers:
        return "undo"
    return "restore" if "Restores" in commit.trailers else commit.trailers.get("Operation", "other")


def _kind(outcome: str) -> str:
    """An outcome without the reason in brackets that an unmeasured one gives."""
    return outcome.partition(" ")[0]


def _by_trailer(commits: Iterable[Commit], key: str) -> dict[str, int]:
    return _counts(Counter(commit.trailers[key] for commit in commits if key in commit.trailers))


def _counts(counter: Counter[str]) -> dict[str, int]:
    """The most frequent first, equals by name."""
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def _spread(values: Sequence[int]) -> Spread:
    return Spread(sum(values), statistics.median(values) if values else 0.0, max(values, default=0))


def _steps(growth: Sequence[tuple[Commit, int, int]]) -> Iterable[StepStats]:
    """The steps that trailers name, in the order in which they last changed the repository."""
    last: dict[tuple[str, int], tuple[Counter[str], int, int]] = {}
    for commit, skills, size in growth:
        if commit.step is not None:
            place = commit.trailers.get("Run", ""), commit.step
            counted = last.pop(place, (Counter[str](), 0, 0))[0]
            counted[operation(commit)] += 1
            last[place] = counted, skills, size
    for (run, step), (counted, skills, size) in last.items():
        yield StepStats(run, step, _counts(counted), skills, size)
