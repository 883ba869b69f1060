"""The world of ALFWorld's official text games: each game is one task, its task type the family.

    world = AlfworldWorld.at("~/alfworld", split="train")
    tasks = world.group(seed=7, count=10)
    environment = world.start(tasks[0])

Draws depend on the seed and the games' ids alone (SHA-256), so the same games give the same tasks on any machine.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from engine.environments.alfworld.environment import AlfworldEnvironment
from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.game import Game
from engine.environments.alfworld.loading import load_games
from engine.environments.contract import Task
from engine.seeds import stream

MAX_TURNS = 30


class AlfworldWorld:
    """Implements `engine.environments.contract.World` over `games`, of which there must be at least one."""

    name = "alfworld"

    def __init__(self, games: Sequence[Game], max_turns: int = MAX_TURNS) -> None:
        if not games:
            raise GamesError("a world needs at least one game")
        self._games = {game.id: game for game in sorted(games, key=lambda game: game.id)}
        self._max_turns = max_turns

    @classmethod
    def at(cls, path: Path | str, split: str = "", max_turns: int = MAX_TURNS) -> AlfworldWorld:
        """The world of the games under `path`, of one split or (`""`) of all. Raises `GamesError`."""
        return cls(load_games(path, split or None), max_turns)

    def group(self, seed: int, count: int) -> list[Task]:
        """`count` games of one family, each once before any repeats; a family is as likely as it has games."""
        draw = stream("group", seed, count)
        family = draw.choice(list(self._games.values())).family
        return self._tasks(_laps([game for game in self._games.values() if game.family == family], count, draw))

    def stream(self, seed: int, count: int) -> list[Task]:
        """`count` games of any family, each once before any repeats; those of one family follow one another."""
        drawn = _laps(list(self._games.values()), count, stream("stream", seed, count))
        families = list(dict.fromkeys(game.family for game in drawn))
        return self._tasks(sorted(drawn, key=lambda game: families.index(game.family)))

    def start(self, task: Task) -> AlfworldEnvironment:
        """A fresh episode of `task`. Raises `GamesError` for a task that is not among the games, or a broken game."""
        if task.id not in self._games:
            raise GamesError(f"{task.id} is not among the {len(self._games)} games of this world")
        return AlfworldEnvironment(self._games[task.id])

    def max_turns(self, task: Task) -> int:
        """The same cap for every game."""
        return self._max_turns

    def _tasks(self, games: Sequence[Game]) -> list[Task]:
        return [Task(id=game.id, family=game.family, prompt=game.task) for game in games]


def _laps(games: list[Game], count: int, draw: random.Random) -> list[Game]:
    """`count` games, lap by lap over all of them, each lap in a new order."""
    drawn: list[Game] = []
    while len(drawn) < count:
        drawn += draw.sample(games, len(games))
    return drawn[:count]
