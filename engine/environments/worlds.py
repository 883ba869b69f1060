"""The worlds that a configuration can name, and where a training's held-out groups come from.

world = open_world(config.environment)
held_out = open_held_out(config.environment, world)
"""

from __future__ import annotations

import msgspec

from engine import config
from engine.environments.contract import World
from engine.environments.household.world import HouseholdWorld


def open_world(settings: config.Environment) -> World:
    """The world of `settings`. Raises `GamesError` when its files cannot be read."""
    if settings.name == "household":
        return HouseholdWorld()
    from engine.environments.alfworld import AlfworldWorld

    return AlfworldWorld.at(settings.path, split=settings.split, max_turns=settings.max_turns)


def open_held_out(settings: config.Environment, training: World) -> World:
    """The world of the held-out groups beside the `training` world of the same settings.

    A generated world serves both, from different seeds; of a finite one another split is opened. Raises `ConfigError` as
    `check_held_out` does, and `GamesError` when the split cannot be read.
    """
    check_held_out(settings)
    if settings.name == "household":
        return training
    return open_world(msgspec.structs.replace(settings, split=settings.evaluate_split))


def check_held_out(settings: config.Environment) -> None:
    """Raises `ConfigError` where held-out groups would be drawn from the games that are trained on."""
    if settings.name == "household":
        return
    if not settings.split or not settings.evaluate_split or settings.split == settings.evaluate_split:
        raise config.ConfigError(
            "held-out groups must not be of the games that are trained on: name two splits, such as "
            "environment.split=train and environment.evaluate_split=valid_seen "
            f"(they are {settings.split!r} and {settings.evaluate_split!r}), or measure nothing held out by "
            "training.evaluate_every=0"
        )
