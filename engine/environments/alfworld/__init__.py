"""ALFWorld's official text games, played from their own files: domain, grammar and problem.

    from engine.environments.alfworld.files.loading import load_games
    from engine.environments.alfworld.play.environment import AlfworldEnvironment

    game = load_games("~/alfworld", split="valid_seen")[0]
    environment = AlfworldEnvironment(game)
    observation = environment.reset()
    for action in game.walkthrough:
        observation = environment.step(action)

From file to play: `files` finds and reads games, `pddl` parses and compiles domains and problems, `play` has the grammar,
the compiled program and the environment, and `source` draws tasks. `expert` wins from nearly any state; `generation` makes
games of our own.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine import config
from engine.environments.base import EnvironmentKind, TaskSource


def open_source(settings: config.Environment) -> TaskSource:
    """The games under `settings.path`, of one split or of all. Raises `GamesError`."""
    from engine.environments.alfworld.source import AlfworldTasks

    return AlfworldTasks.at(settings.path, split=settings.split, max_turns=settings.max_turns)


def held_out(settings: config.Environment, source: TaskSource) -> TaskSource:
    """The games of `settings.evaluate_split`. Raises `ConfigError` as `check_held_out` does, and `GamesError`."""
    check_held_out(settings)
    return open_source(msgspec.structs.replace(settings, split=settings.evaluate_split))


def check(settings: config.Environment) -> None:
    """Raises `ConfigError` where there are no games."""
    if not settings.path:
        raise config.ConfigError("ALFWorld needs its games: give --games PATH (environment.path)")
    if not Path(settings.path).expanduser().exists():
        raise config.ConfigError(f"there are no games at {settings.path}: no such directory; nothing was created")


def check_held_out(settings: config.Environment) -> None:
    """Raises `ConfigError` where held-out groups would be drawn from the games that are trained on."""
    if not settings.split or not settings.evaluate_split or settings.split == settings.evaluate_split:
        raise config.ConfigError(
            "held-out groups must not be of the games that are trained on: name two splits, such as "
            "environment.split=train and environment.evaluate_split=valid_seen "
            f"(they are {settings.split!r} and {settings.evaluate_split!r}), or measure nothing held out by "
            "training.evaluate_every=0"
        )


KIND = EnvironmentKind(
    name="alfworld",
    open=open_source,
    held_out=held_out,
    check=check,
    check_held_out=check_held_out,
    unlisted=("help",),
)
