"""A batch strategy over the trajectories of a run, for jobs: its edits go to the run's review queue.

    strategy = context.open_batch_strategy(writer.emit)          # a RolloutContext; `[batch]` selects the strategy
    edits = await revise(strategy, run, writer, proposer="distil", measure=RepositoryScore(context))

The edits are the strategy's; the queue checks each against the run's repository, and logs those that it refuses.
"""

from __future__ import annotations

import asyncio

import msgspec

from engine.agents.executor import Trajectory
from engine.agents.prompting import Turn
from engine.core.edit import Edit
from engine.core.events import EpisodeEnded, EpisodeStarted, PositionId, RunStarted, StepStarted, TurnTaken
from engine.core.text import counted
from engine.curation.base import BatchStrategy
from engine.environments.base import Task
from engine.review.gates.base import Measure
from engine.review.queue import ReviewQueue
from engine.runs.directory import Run
from engine.runs.writer import EventWriter
from engine.skills import SkillRepo


def trajectories(run: Run) -> dict[PositionId, Trajectory]:
    """The episodes of a run's log that ended, in their order, each as it was last played.

    Held-out episodes and those that a resume undid are excluded. A task has the fields that the log holds: its id, family,
    prompt and difficulty.
    """
    found: dict[PositionId, Trajectory] = {}
    started: dict[PositionId, EpisodeStarted] = {}
    turns: dict[PositionId, list[Turn]] = {}
    for stored in run.stream(kinds=["run_started", "step_started", "episode_started", "turn_taken", "episode_ended"]):
        match stored.event:
            case RunStarted(resumed_from=last):
                found = {at: trajectory for at, trajectory in found.items() if at.step <= last}
            case StepStarted(step=step):
                found = {at: trajectory for at, trajectory in found.items() if at.step != step}
            case EpisodeStarted(at=at) as event:
                started[at], turns[at] = event, []
            case TurnTaken(at=at) as event if at in turns:
                turns[at].append(Turn(event.thought, event.action, event.observation, event.invalid_action))
            case EpisodeEnded(at=at) as event if at in started and not at.held_out:
                found[at] = _trajectory(started[at], turns[at], event)
    return found


def _trajectory(started: EpisodeStarted, turns: list[Turn], ended: EpisodeEnded) -> Trajectory:
    task = Task(started.task, started.family, started.prompt, difficulty=started.difficulty)
    return Trajectory(task, started.observation, turns, ended.outcome, ended.shown or [], ended.shortened, ended.score)


async def revise(
    strategy: BatchStrategy, run: Run, writer: EventWriter, *, proposer: str, measure: Measure
) -> list[str]:
    """Run `strategy` over the run's trajectories and put its edits to review; the ids of those that the queue took.

    `proposer` is the name that reviewers see. An edit whose strategy names no cause has no position, and all trajectories
    as its evidence. Raises what the strategy raises, and `ReviewError` where the repository cannot be read.
    """
    await asyncio.to_thread(writer.flush)
    played = await asyncio.to_thread(trajectories, run)
    repo = await asyncio.to_thread(SkillRepo.open, run.repo_path)
    edits = await strategy.revise(list(played.values()), repo.fork(), measure)
    queue = await asyncio.to_thread(lambda: ReviewQueue(run, writer, measure=measure))
    queued = [await queue.propose(_caused(edit, proposer, tuple(played))) for edit in edits]
    return [edit.id for edit in queued if edit.state == "pending"]


def _caused(edit: Edit, proposer: str, played: tuple[PositionId, ...]) -> Edit:
    """The edit with what its provenance lacks."""
    cause = edit.provenance
    filled = msgspec.structs.replace(
        cause,
        proposer=cause.proposer or proposer,
        reason=cause.reason or f"after {counted(len(played), 'task')}",
        evidence=cause.evidence or (() if cause.position else played),
    )
    return msgspec.structs.replace(edit, provenance=filled)
