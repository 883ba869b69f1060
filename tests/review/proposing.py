"""Edits put to review as an engine does it, and what became of them, for the tests of this package."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from engine.core.edit import Edit, Provenance, Standing
from engine.core.events import PositionId, ProposalsWithheld
from engine.core.outcomes import SUCCEEDED, Outcome
from engine.review.queue import ReviewQueue
from engine.runs.directory import Run
from engine.skills import Delete, Insert, Operation, Refused, Skill, SkillRepo

AT = PositionId(step=2)


def text(name: str, body: str = "Mugs are in the safe.\n") -> str:
    return Skill.make(name, f"Use when {name} is wanted.", body).text


def edit_of(run: Run, operation: Operation) -> Edit:
    """The edit that an operation makes of the run's repository, or would make if it were allowed."""
    try:
        return operation.apply(SkillRepo.open(run.repo_path).fork())
    except Refused:
        assert isinstance(operation, Insert | Delete)
        after = operation.content if isinstance(operation, Insert) else None
        return Edit(operation.kind, operation.skill_name, None, after)


def propose(
    run: Run,
    operation: Operation,
    *,
    at: PositionId | None = AT,
    outcome: Outcome = SUCCEEDED,
    reason: str = "seen to work",
    max_pending: int | None = None,
) -> str | None:
    """The id of the edit in the queue, or None where it is refused."""
    provenance = Provenance(at, "task-1", outcome, "curator", reason)
    edit = msgspec.structs.replace(edit_of(run, operation), provenance=provenance)
    with run.writer() as writer:
        queued = asyncio.run(ReviewQueue(run, writer, max_pending=max_pending).propose(edit))
    assert (queued.state == "pending") == bool(queued.id)
    return queued.id or None


def proposed(run: Run, operation: Operation, *, max_pending: int | None = None) -> str:
    edit_id = propose(run, operation, max_pending=max_pending)
    assert edit_id is not None
    return edit_id


def rated(
    run: Run,
    operation: Operation,
    *advantages: float,
    step: int = 2,
    group: int = 0,
    outcome: Outcome = SUCCEEDED,
) -> Edit:
    """An edit that rollouts of a step leave behind, with the advantages of these rollouts."""
    standing = Standing(1.0 + advantages[0], advantages, 8)
    provenance = Provenance(PositionId(step, group), "task-1", outcome, "curator", "seen to work", standing=standing)
    return msgspec.structs.replace(edit_of(run, operation), provenance=provenance)


def choose(run: Run, step: int, *candidates: Edit, most: int = 3, max_pending: int | None = None) -> list[Edit]:
    """What of a step's edits waits in the queue."""
    with run.writer() as writer:
        return asyncio.run(ReviewQueue(run, writer, max_pending=max_pending).choose(step, candidates, most))


def skills(run: Run) -> dict[str, str]:
    return SkillRepo.open(run.repo_path).texts()


def git(run: Run, *arguments: str) -> str:
    command = ["git", "-c", "safe.directory=*", "-C", str(run.repo_path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def commits(run: Run) -> int:
    return int(git(run, "rev-list", "--count", "--all"))


def withheld(run: Run) -> list[str]:
    events = [stored.event for stored in run.events(kinds=["proposals_withheld"])]
    return [event.reason for event in events if isinstance(event, ProposalsWithheld)]


@contextmanager
def full_log(run: Run, kind: str = "edit_decided") -> Iterator[None]:
    """The database takes no event of a kind."""
    with run.db.transaction() as connection:
        connection.execute(
            f"CREATE TRIGGER full BEFORE INSERT ON events WHEN NEW.kind = '{kind}' "
            "BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    yield
    with run.db.transaction() as connection:
        connection.execute("DROP TRIGGER full")
