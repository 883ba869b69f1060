"""The worlds that a configuration can name, and where a training's held-out groups come from.

world = open_source(config.environment)
held_out = open_held_out(config.environment, world)
"""

from __future__ import annotations

import msgspec

from engine.core.errors import ConfigError
from engine.core.parts import kind_of
from engine.environments.base import TaskSource
from engine.environments.household.settings import HouseholdSettings
from engine.environments.household.source import HouseholdTasks
from engine.environments.registry import ENVIRONMENTS
from engine.environments.settings import EnvironmentSettings


def open_source(settings: EnvironmentSettings) -> TaskSource:
    """The world of `settings`. Raises `GamesError` when its files cannot be read."""
    if isinstance(settings, HouseholdSettings):
        return HouseholdTasks()
    from engine.environments.alfworld import AlfworldSettings, AlfworldTasks

    if not isinstance(settings, AlfworldSettings):
        raise ConfigError(f"no world of the kind {kind_of(settings)} can be opened")
    return AlfworldTasks.at(settings.path, split=settings.split, max_turns=settings.max_turns)


def open_held_out(settings: EnvironmentSettings, training: TaskSource) -> TaskSource:
    """The world of the held-out groups beside the `training` world of the same settings.

    A generated world serves both, from different seeds; of a finite one another split is opened. Raises `ConfigError` where
    the kind's `check_held_out` does, and `GamesError` when the split cannot be read.
    """
    ENVIRONMENTS.load(kind_of(settings)).check_held_out(settings)
    if isinstance(settings, HouseholdSettings):
        return training
    from engine.environments.alfworld import AlfworldSettings

    if not isinstance(settings, AlfworldSettings):
        raise ConfigError(f"no world of the kind {kind_of(settings)} can be opened")
    return open_source(msgspec.structs.replace(settings, split=settings.evaluate_split))
