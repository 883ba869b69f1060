"""A batch strategy over the trajectories of a run, for jobs: its edits go to the run's review queue.

    edits = await revise(strategy, run, writer, proposer="distill", measure=measure)

The edits are the strategy's; the queue checks each against the run's repository, and logs those that it refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from engine.agents.executor import Trajectory
from engine.agents.prompting import Turn
from engine.core.events import EpisodeEnded, EpisodeStarted, PositionId, RunStarted, StepStarted, TurnTaken
from engine.core.outcomes import Outcome, unmeasured
from engine.core.text import counted
from engine.curation.base import BatchStrategy, Measure
from engine.environments.base import Task
from engine.review import decisions as reviews
from engine.runs.directory import Run
from engine.runs.writer import EventWriter
from engine.skills import SkillRepo
from engine.skills.audit import DuplicateIndex


def trajectories(run: Run) -> dict[PositionId, Trajectory]:
    """The episodes of a run's log that ended, in their order, each as it was last played.

    Held-out episodes and those that a resume undid are excluded. A task has the fields that the log holds: its id, family,
    prompt and difficulty.
    """
    found: dict[PositionId, Trajectory] = {}
    started: dict[PositionId, EpisodeStarted] = {}
    turns: dict[PositionId, list[Turn]] = {}
    for stored in run.events(kinds=["run_started", "step_started", "episode_started", "turn_taken", "episode_ended"]):
        match stored.event:
            case RunStarted(resumed_from=last):
                found = {at: trajectory for at, trajectory in found.items() if at.step <= last}
            case StepStarted(step=step):
                found = {at: trajectory for at, trajectory in found.items() if at.step != step}
            case EpisodeStarted(at=at) as event:
                started[at], turns[at] = event, []
            case TurnTaken(at=at) as event:
                turns[at].append(Turn(event.thought, event.action, event.observation, event.invalid_action))
            case EpisodeEnded(at=at) as event if not at.held_out:
                found[at] = _trajectory(started[at], turns[at], event)
    return found


def _trajectory(started: EpisodeStarted, turns: list[Turn], ended: EpisodeEnded) -> Trajectory:
    task = Task(started.task, started.family, started.prompt, difficulty=started.difficulty)
    return Trajectory(task, started.observation, turns, ended.outcome, ended.shown or [], ended.shortened, ended.score)


async def revise(
    strategy: BatchStrategy, run: Run, writer: EventWriter, *, proposer: str, measure: Measure
) -> list[str]:
    """Run `strategy` over the run's trajectories and put its edits to review; the ids of those that the queue took.

    `proposer` is the name that reviewers see. The edits have the position of the newest trajectory. Raises what the strategy
    raises, and `ReviewError` where the repository cannot be read.
    """
    writer.flush()
    played = await asyncio.to_thread(trajectories, run)
    repo = await asyncio.to_thread(SkillRepo.open, run.repo_path)
    edits = await strategy.revise(list(played.values()), repo.fork(), measure)
    at, task, outcome = _newest(played)
    others = DuplicateIndex()
    taken: list[str] = []
    for edit in edits:
        proposed = await asyncio.to_thread(
            reviews.propose,
            run,
            writer,
            edit.operation,
            at=at,
            task=task,
            outcome=outcome,
            reason=f"after {counted(len(played), 'task')}",
            proposer=proposer,
            others=others,
        )
        taken += [proposed] if proposed is not None else []
    return taken


def _newest(played: Mapping[PositionId, Trajectory]) -> tuple[PositionId, str, Outcome]:
    """Where the edits of many trajectories are logged: at the newest, or at no step where there is none."""
    if not played:
        return PositionId(0), "", unmeasured("no task was played")
    at, trajectory = list(played.items())[-1]
    return at, trajectory.task.id, trajectory.outcome
