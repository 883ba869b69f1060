"""Statistics of a repository and its growth: counts, sizes, findings, and the edits by their trailers.

    numbers = stats(SkillRepo.open(root), History.existing(root))
    numbers.skills, numbers.findings["unknown-field"], numbers.operations, numbers.steps[-1].skills

Edits are counted as commits. An undone edit counts twice: as its operation and as `undo`.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from engine.skills.history.commits import Commit
from engine.skills.history.reader import HistoryReader
from engine.skills.repo.repository import SkillRepo


class Distribution(msgspec.Struct, frozen=True):
    """The distribution of a number over the skills; zeros without skills."""

    total: int
    median: float
    largest: int


class StepStats(msgspec.Struct, frozen=True):
    """What a step of a run did to the repository: commits by operation, and the skills after the last commit.

    `bytes` counts the SKILL.md files only.
    """

    run: str
    step: int
    operations: dict[str, int]
    skills: int
    bytes: int


class RepoStats(msgspec.Struct, frozen=True):
    """A repository in numbers. `findings` counts skills by rule; `files` counts the files beside the SKILL.md files.
    `left_out` counts what could be taken for a skill and is none.

    `bytes` and `words` are of the SKILL.md files. `operations` (insert, update, delete, import, undo, restore, or other for
    a commit without trailers), `proposers`, `reviewers` and `outcomes` count commits. `steps` is ordered by time.
    """

    skills: int
    valid: int
    files: int
    left_out: int
    bytes: Distribution
    words: Distribution
    findings: dict[str, int]
    commits: int
    operations: dict[str, int]
    proposers: dict[str, int]
    reviewers: dict[str, int]
    outcomes: dict[str, int]
    steps: tuple[StepStats, ...]


def stats(repo: SkillRepo, history: HistoryReader | None = None) -> RepoStats:
    """The statistics of a repository and of its history, if given. Raises `HistoryError`."""
    skills = [repo[name] for name in repo]
    growth = history.growth() if history else []
    commits = [commit for commit, _, _ in growth]
    findings = Counter(code for skill in skills for code in {finding.rule for finding in skill.findings})
    return RepoStats(
        skills=len(skills),
        valid=sum(skill.valid for skill in skills),
        files=sum(len(repo.files(name)) for name in repo),
        left_out=len(repo.left_out),
        bytes=_distribution([len(skill.text.encode("utf-8", "replace")) for skill in skills]),
        words=_distribution([len(skill.text.split()) for skill in skills]),
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
    """The kind of change of a commit, from its trailers."""
    if "Reverts" in commit.trailers:
        return "undo"
    return "restore" if "Restores" in commit.trailers else commit.trailers.get("Operation", "other")


def _kind(outcome: str) -> str:
    """An outcome without the reason in brackets of an unmeasured one."""
    return outcome.partition(" ")[0]


def _by_trailer(commits: Iterable[Commit], key: str) -> dict[str, int]:
    return _counts(Counter(commit.trailers[key] for commit in commits if key in commit.trailers))


def _counts(counter: Counter[str]) -> dict[str, int]:
    """The most frequent first, ties by name."""
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def _distribution(values: Sequence[int]) -> Distribution:
    return Distribution(sum(values), statistics.median(values) if values else 0.0, max(values, default=0))


def _steps(growth: Sequence[tuple[Commit, int, int]]) -> Iterable[StepStats]:
    """The steps in the trailers, in the order of their last commits."""
    last: dict[tuple[str, int], tuple[Counter[str], int, int]] = {}
    for commit, skills, size in growth:
        if commit.step is not None:
            key = commit.trailers.get("Run", ""), commit.step
            counted = last.pop(key, (Counter[str](), 0, 0))[0]
            counted[operation(commit)] += 1
            last[key] = counted, skills, size
    for (run, step), (counted, skills, size) in last.items():
        yield StepStats(run, step, _counts(counted), skills, size)
