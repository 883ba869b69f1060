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

import re
from collections.abc import Iterable

from engine.core.options import Implied, Option
from engine.environments.alfworld.settings import AlfworldSettings, check, check_held_out
from engine.environments.base import EnvironmentKind, TaskSource


def open_source(settings: AlfworldSettings) -> TaskSource:
    """The games under `settings.path`, of one split or of all. Raises `GamesError`."""
    from engine.environments.alfworld.source import AlfworldTasks

    return AlfworldTasks.at(settings.path, split=settings.split, max_turns=settings.max_turns)


def held_out(settings: AlfworldSettings, source: TaskSource) -> TaskSource:
    """The games of `settings.evaluate_split`. Raises `ConfigError` as `check_held_out` does, and `GamesError`."""
    from engine.environments.alfworld.source import AlfworldTasks

    check_held_out(settings)
    tasks = AlfworldTasks.at(settings.path, split=settings.evaluate_split, max_turns=settings.max_turns)
    return tasks.beside(source) if isinstance(source, AlfworldTasks) else tasks


def instances(text: str) -> Iterable[str]:
    """The objects and receptacles that a text names by their numbers: "mug 3", "countertop 1"."""
    found = re.findall(r"\b([a-z]+)[ _-]?(\d+)\b", text, re.IGNORECASE)
    return (f"{thing.lower()} {number}" for thing, number in found)


KIND = EnvironmentKind(
    name="alfworld",
    settings=AlfworldSettings,
    open=open_source,
    held_out=held_out,
    check=check,
    check_held_out=check_held_out,
    lists_actions=True,
    unlisted=("help",),
    instances=instances,
    command="engine.cli.games:add_commands",
    options=(
        Option(
            "--games",
            "environment.path",
            "play the ALFWorld games of this directory",
            path=True,
            implies=(
                Implied("environment.kind=alfworld"),
                Implied(
                    "executor.decoding=loglikelihood",
                    profile="pocket",
                    why="the pocket model cannot write these games' actions, so it takes the likeliest",
                ),
            ),
        ),
    ),
)
