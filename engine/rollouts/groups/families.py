"""Groups of one family of tasks, as the method has them (`method.md` §2).

    groups = Families(FamiliesSettings(order="easy_to_hard")).groups(source, config.training, step=3)

The source lists the families and draws a family's tasks; this grouping draws the family of a group and orders its tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from engine.core.seeds import seed_of, stream
from engine.environments.base import Task, TaskSource
from engine.environments.draws import drawn_families, drawn_tasks
from engine.rollouts.groups.base import Group
from engine.rollouts.groups.families_settings import FamiliesSettings
from engine.training.settings import TrainingSettings


class Families(msgspec.Struct, frozen=True):
    """The grouping by families."""

    settings: FamiliesSettings

    def groups(self, source: TaskSource, settings: TrainingSettings, step: int) -> list[Group]:
        """The groups of `step` (counted from 1)."""
        return [
            self.group(source, settings.tasks, seed_of("group", settings.seed, step, number), number)
            for number in range(settings.groups)
        ]

    def group(self, source: TaskSource, count: int, seed: int, number: int = 0) -> Group:
        """The group of `seed`: `count` tasks of one family."""
        families = drawn_families(source, seed)
        family = draw_family(families, self.settings.weighting, seed)
        tasks = drawn_tasks(source, family, seed, count, families[family])
        if self.settings.order == "easy_to_hard":
            tasks = easy_to_hard(tasks)
        return Group(id=f"{source.name}-{seed:012x}", number=number, seed=seed, family=family, tasks=tasks)


def draw_family(families: Mapping[str, int], weighting: Literal["natural", "uniform"], seed: int) -> str:
    """One of `families` (name → number of tasks), each as likely as it has tasks, or all equally likely."""
    names = sorted(families)
    weights = [families[name] if weighting == "natural" else 1 for name in names]
    return stream("family", seed).choices(names, weights)[0]


def easy_to_hard(tasks: list[Task]) -> list[Task]:
    """The tasks by difficulty; equal ones stay in their order, and those of unknown difficulty come last."""
    return sorted(tasks, key=lambda task: (task.difficulty is None, task.difficulty or 0))
