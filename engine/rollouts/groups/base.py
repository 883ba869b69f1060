"""What a grouping is: how the groups of a training step are made of a source's tasks.

    grouping = open_grouping(config.grouping)
    groups = grouping.groups(source, config.training, step=3)

The N rollouts of a group play the same tasks in the same order with the same seeds. A grouping draws by (training seed,
step, number) alone, and a group's seed is in its events and in the seeds of its prompts: the same configuration draws the
same groups on any machine (`method.md`, lesson 3).
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from engine.core.parts import kind_of
from engine.environments.base import Task, TaskSource
from engine.rollouts.groups.registry import GROUPINGS
from engine.rollouts.groups.settings import GroupingSettings
from engine.training.settings import TrainingSettings


class Group(msgspec.Struct, frozen=True):
    """Related tasks. `number` counts the step's groups from 0; `family` is a label for people: what the tasks share."""

    id: str
    number: int
    seed: int
    family: str
    tasks: list[Task]


class Grouping(Protocol):
    """A way to make groups. It has its own settings from `GroupingKind.open`."""

    def groups(self, source: TaskSource, settings: TrainingSettings, step: int) -> list[Group]:
        """The `settings.groups` groups of `step` (counted from 1), each of `settings.tasks` tasks.

        Raises `TaskSourceError` where the source's files cannot be read.
        """
        ...


def open_grouping(settings: GroupingSettings) -> Grouping:
    """The grouping that `settings` are of."""
    grouping: Grouping = GROUPINGS.load(kind_of(settings)).open(settings)
    return grouping
