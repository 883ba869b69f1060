"""Task groups: |G| related tasks that the N rollouts of one GRPO group walk in the same order with the same seeds.

    groups = draw_groups(world, config.training, families_settings(config.grouping), step=3)

A group is drawn from (training seed, step, number) by SHA-256, and its seed travels with it into every event and prompt
seed, so the same configuration draws the same groups on any machine (`method.md`, lesson 3). Related means of one family;
a world says which families there are and deals a family's tasks, and what makes a group of them is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from engine.core.seeds import seed_of, stream
from engine.environments.base import Task, TaskSource
from engine.rollouts.groups.families_kind import FamiliesSettings
from engine.training.settings import TrainingSettings


class Group(msgspec.Struct, frozen=True):
    """Related tasks; `number` counts the step's groups from 0."""

    id: str
    number: int
    seed: int
    family: str
    tasks: list[Task]


def draw_groups(world: TaskSource, settings: TrainingSettings, grouping: FamiliesSettings, step: int) -> list[Group]:
    """The groups of `step` (counted from 1)."""
    return [
        draw_group(world, settings, grouping, seed_of("group", settings.seed, step, number), number)
        for number in range(settings.groups)
    ]


def draw_group(
    world: TaskSource, settings: TrainingSettings, grouping: FamiliesSettings, seed: int, number: int = 0
) -> Group:
    """The group of `seed`: tasks of one family, as many as `settings` says, drawn and ordered as `grouping` says."""
    family = draw_family(world.families(seed), grouping.weighting, seed)
    tasks = world.tasks(family, seed, settings.tasks)
    if grouping.order == "easy_to_hard":
        tasks = easy_to_hard(tasks)
    return Group(id=f"{world.name}-{seed:012x}", number=number, seed=seed, family=family, tasks=tasks)


def draw_family(families: Mapping[str, int], weighting: Literal["natural", "uniform"], seed: int) -> str:
    """One of `families` (name → number of tasks), each as likely as it has tasks, or all equally likely."""
    names = sorted(families)
    weights = [families[name] if weighting == "natural" else 1 for name in names]
    return stream("family", seed).choices(names, weights)[0]


def easy_to_hard(tasks: list[Task]) -> list[Task]:
    """The tasks by difficulty; equal ones stay in their order, and those of unknown difficulty come last."""
    return sorted(tasks, key=lambda task: (task.difficulty is None, task.difficulty or 0))
