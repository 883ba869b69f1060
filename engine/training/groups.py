"""Task groups: |G| related tasks that the N rollouts of one GRPO group walk in the same order with the same seeds.

    groups = draw_groups(world, config.training, step=3)

A group is drawn from (training seed, step, number) by SHA-256, and its seed travels with it into every event and prompt
seed, so the same configuration draws the same groups on any machine (`method.md`, lesson 3).
"""

from __future__ import annotations

import msgspec

from engine import config
from engine.environments.contract import Task, World
from engine.seeds import seed_of


class Group(msgspec.Struct, frozen=True):
    """Related tasks; `number` counts the step's groups from 0."""

    id: str
    number: int
    seed: int
    family: str
    tasks: list[Task]


def draw_groups(world: World, settings: config.Training, step: int) -> list[Group]:
    """The groups of `step` (counted from 1)."""
    return [
        draw_group(world, settings.tasks, seed_of("group", settings.seed, step, number), number)
        for number in range(settings.groups)
    ]


def draw_group(world: World, tasks: int, seed: int, number: int = 0) -> Group:
    """The group of `seed`, with `tasks` tasks."""
    drawn = world.group(seed, tasks)
    return Group(id=f"{world.name}-{seed:012x}", number=number, seed=seed, family=drawn[0].family, tasks=drawn)
