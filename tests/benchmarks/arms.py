"""Executor arms of the household world: the same held-out tasks with different skills in the prompt.

    results = await play_arms(context, groups=96)
    results["oracle"].success

`none` shows no skills; `oracle` a right one-fact skill about everything in the house, found by the search that runs use;
`irrelevant` three right skills of another house about other things. All arms play the same tasks with the same seeds.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

import msgspec

from engine.agents.executor import Trajectory, play
from engine.agents.prompting import SkillShown
from engine.core.outcomes import SUCCEEDED
from engine.core.seeds import seed_of, stream
from engine.environments.base import Task
from engine.environments.household import KIND
from engine.environments.household.house import draw_house
from engine.environments.household.source import errand_of, house_of
from engine.evaluation.held_out import held_out_groups
from engine.recipes.pocket.files import File, about, facts_of
from engine.recipes.pocket.play import OPENING
from engine.rollouts.context import RolloutContext
from engine.skills import Skill, SkillIndex


class Arm(msgspec.Struct, frozen=True):
    """One arm's result over its measured tasks; `invalid_action_rate` is per turn."""

    tasks: int
    measured: int
    success: float
    standard_error: float
    invalid_action_rate: float
    episodes_per_second: float


async def play_arms(context: RolloutContext, groups: int) -> dict[str, Arm]:
    """Play every arm over the tasks of `groups` held-out houses, one arm after the other."""
    drawn = held_out_groups(context.source, context.config.training.tasks, groups)
    tasks = [task for group in drawn for task in group.tasks]
    choosers = {"none": lambda task: [], "oracle": oracle, "irrelevant": irrelevant}
    return {name: await _play(context, tasks, chooser) for name, chooser in choosers.items()}


def oracle(task: Task) -> list[SkillShown]:
    """What search finds for `task` among right skills about everything in its house."""
    rng = stream("oracle", task.id)
    files = {file.name: file for file in (about(*fact, rng) for fact in facts_of(house_of(task)).items())}
    index = SkillIndex.of({name: Skill.parse(file.text, name=name) for name, file in files.items()})
    return [_shown(files[name]) for name, _ in index.search(task.prompt, 3)]


def irrelevant(task: Task) -> list[SkillShown]:
    """Three right skills of another house, about nothing that `task` needs."""
    rng = stream("irrelevant", task.id)
    errand = errand_of(task)
    facts = facts_of(draw_house(task.seed + 1_000_003))
    others = [subject for subject in facts if subject not in (errand.thing, errand.treatment, OPENING)]
    return [_shown(about(subject, facts[subject], rng)) for subject in rng.sample(others, 3)]


async def _play(context: RolloutContext, tasks: list[Task], chooser: Callable[[Task], list[SkillShown]]) -> Arm:
    began = time.monotonic()
    playing = [
        play(
            context.source,
            task,
            chooser(task),
            kind=KIND,
            model=context.models.executor,
            prompts=context.executor_prompts,
            settings=context.config.executor,
            seed=seed_of("arm", task.id),
        )
        for task in tasks
    ]
    return _result(await asyncio.gather(*playing), time.monotonic() - began)


def _result(trajectories: list[Trajectory], seconds: float) -> Arm:
    measured = [trajectory for trajectory in trajectories if trajectory.outcome.measured]
    success = sum(trajectory.outcome == SUCCEEDED for trajectory in measured) / len(measured)
    return Arm(
        tasks=len(trajectories),
        measured=len(measured),
        success=success,
        standard_error=math.sqrt(success * (1 - success) / len(measured)),
        invalid_action_rate=sum(t.invalid_actions for t in trajectories) / sum(len(t.turns) for t in trajectories),
        episodes_per_second=len(trajectories) / seconds,
    )


def _shown(file: File) -> SkillShown:
    return SkillShown(file.name, file.description, file.body)
