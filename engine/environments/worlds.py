"""The worlds that a configuration can name.

world = open_world(config.environment)
"""

from __future__ import annotations

from engine import config
from engine.environments.contract import World
from engine.environments.household.world import HouseholdWorld


def open_world(settings: config.Environment) -> World:
    """The world of `settings`. Raises `GamesError` when its files cannot be read."""
    if settings.name == "household":
        return HouseholdWorld()
    from engine.environments.alfworld import AlfworldWorld

    return AlfworldWorld.at(settings.path, split=settings.split, max_turns=settings.max_turns)
