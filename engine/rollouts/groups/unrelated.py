"""Groups of tasks that have nothing in common but by chance: the ablation of grouping (`method.md` §4).

    groups = Unrelated(UnrelatedSettings()).groups(source, config.training, step=3)

Each task has a seed of its own, by which the source draws a family, in proportion to its tasks, and a task of that family.
"""

from __future__ import annotations

import msgspec

from engine.core.seeds import seed_of
from engine.environments.base import Task, TaskSource
from engine.environments.draws import drawn_families, drawn_tasks
from engine.rollouts.groups.base import Group
from engine.rollouts.groups.families import draw_family
from engine.rollouts.groups.unrelated_settings import UnrelatedSettings
from engine.training.settings import TrainingSettings

TRIES = 20
"""How often a task that the group has already is drawn again; a source with fewer tasks repeats some."""


class Unrelated(msgspec.Struct, frozen=True):
    """The grouping of unrelated tasks."""

    settings: UnrelatedSettings

    def groups(self, source: TaskSource, settings: TrainingSettings, step: int) -> list[Group]:
        """The groups of `step` (counted from 1)."""
        return [
            self._group(source, settings.tasks, seed_of("unrelated", settings.seed, step, number), number)
            for number in range(settings.groups)
        ]

    def _group(self, source: TaskSource, count: int, seed: int, number: int) -> Group:
        tasks: list[Task] = []
        for place in range(count):
            tasks.append(_another(source, seed, place, {task.id for task in tasks}))
        return Group(id=f"{source.name}-{seed:012x}", number=number, seed=seed, family="unrelated", tasks=tasks)


def _another(source: TaskSource, seed: int, place: int, taken: set[str]) -> Task:
    """The task of a place in the group of `seed`, one that is not `taken` as far as the source has one."""
    for attempt in range(TRIES):
        own = seed_of("unrelated task", seed, place, attempt)
        families = drawn_families(source, own)
        family = draw_family(families, "natural", own)
        (task,) = drawn_tasks(source, family, own, 1, families[family])
        if task.id not in taken:
            break
    return task
