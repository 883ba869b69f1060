"""The draws of a task source, checked: a source that draws none, too few, or one task twice is named.

    size = drawn_families(source, seed)["house-7"]
    tasks = drawn_tasks(source, "house-7", seed, count=10, size=size)

Both raise as `engine.environments.faults` says.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.environments.base import Task, TaskSource
from engine.environments.faults import called, fault


def drawn_families(source: TaskSource, seed: int) -> Mapping[str, int]:
    """The families that `seed` may draw from, with the number of their tasks."""
    families = called(source.name, "families", source.families, seed)
    if not families:
        raise fault(source.name, "families", f"there is none for the seed {seed}, and at least one is needed")
    return families


def drawn_tasks(source: TaskSource, family: str, seed: int, count: int, size: int) -> list[Task]:
    """`count` tasks of `family`, which has `size`."""
    tasks = called(source.name, "tasks", source.tasks, family, seed, count)
    if len(tasks) != count:
        raise fault(
            source.name, "tasks", f"it drew {len(tasks)} tasks of the family {family}, and {count} were asked for"
        )
    different = len({task.id for task in tasks})
    if different < min(count, size):
        what = f"the {count} tasks of the family {family} have {different} different ids, though the family has {size} tasks"
        raise fault(source.name, "tasks", what)
    return tasks
