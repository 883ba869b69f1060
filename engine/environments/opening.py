"""The worlds that a configuration can name, and where a training's held-out groups come from.

world = open_source(config.environment)
held_out = open_held_out(config.environment, world)
"""

from __future__ import annotations

import msgspec

from engine import config
from engine.environments.base import TaskSource
from engine.environments.household.source import HouseholdTasks
from engine.system.preflight import check_held_out


def open_source(settings: config.Environment) -> TaskSource:
    """The world of `settings`. Raises `GamesError` when its files cannot be read."""
    if settings.name == "household":
        return HouseholdTasks()
    from engine.environments.alfworld import AlfworldTasks

    return AlfworldTasks.at(settings.path, split=settings.split, max_turns=settings.max_turns)


def open_held_out(settings: config.Environment, training: TaskSource) -> TaskSource:
    """The world of the held-out groups beside the `training` world of the same settings.

    A generated world serves both, from different seeds; of a finite one another split is opened. Raises `ConfigError` as
    `check_held_out` does, and `GamesError` when the split cannot be read.
    """
    check_held_out(settings)
    if settings.name == "household":
        return training
    return open_source(msgspec.structs.replace(settings, split=settings.evaluate_split))
