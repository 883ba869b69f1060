"""The tasks of ALFWorld's official text games: each game is one task, its task type the family.

    source = AlfworldTasks.at("~/alfworld", split="train")
    tasks = source.tasks("look_at_obj_in_light", seed=7, count=10)
    environment = source.start(tasks[0])

Draws depend on the seed and the games' ids alone (SHA-256), so the same games give the same tasks on any machine. A game's
file is read only when the game is drawn.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from engine.core.seeds import stream
from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.files.loading import load_games
from engine.environments.alfworld.play.environment import AlfworldEnvironment
from engine.environments.alfworld.play.game import Game, Games
from engine.environments.base import Task

MAX_TURNS = 30


class AlfworldTasks:
    """Implements `engine.environments.base.TaskSource` over `games`, of which there must be at least one."""

    name = "alfworld"

    def __init__(self, games: Sequence[Game], max_turns: int = MAX_TURNS) -> None:
        if not games:
            raise GamesError("there are no games to play")
        self._games = {game.id: game for game in sorted(games, key=lambda game: game.id)}
        self._families: dict[str, list[Game]] = {}
        for game in self._games.values():
            self._families.setdefault(game.family, []).append(game)
        self._max_turns = max_turns
        self.warnings: Sequence[str] = _warnings(games) if isinstance(games, Games) else ()

    @classmethod
    def at(cls, path: Path | str, split: str = "", max_turns: int = MAX_TURNS) -> AlfworldTasks:
        """The games under `path`, of one split or (`""`) of all. Raises `GamesError`."""
        return cls(load_games(path, split or None), max_turns)

    def families(self, seed: int) -> dict[str, int]:
        """Every task type with the number of its games, whatever `seed` is."""
        return {family: len(games) for family, games in self._families.items()}

    def tasks(self, family: str, seed: int, count: int) -> list[Task]:
        """`count` games of a task type, each once before any repeats. Raises `GamesError` for an unknown one."""
        if family not in self._families:
            raise GamesError(f"no game here is of the family {family}; expected one of: {', '.join(self._families)}")
        return [_task(game) for game in _laps(self._families[family], count, stream("group", family, seed))]

    def stream(self, seed: int, count: int) -> list[Task]:
        """`count` games of any family, each once before any repeats; those of one family follow one another."""
        drawn = _laps(list(self._games.values()), count, stream("stream", seed, count))
        families = list(dict.fromkeys(game.family for game in drawn))
        return [_task(game) for game in sorted(drawn, key=lambda game: families.index(game.family))]

    def start(self, task: Task) -> AlfworldEnvironment:
        """A fresh episode of `task`. Raises `GamesError` for a task that is not among the games, or a broken game."""
        if task.id not in self._games:
            raise GamesError(f"{task.id} is not among the {len(self._games)} games that were found")
        return AlfworldEnvironment(self._games[task.id])

    def max_turns(self, task: Task) -> int:
        """The same cap for every game."""
        return self._max_turns


def _task(game: Game) -> Task:
    """The game as a task; its file is read here. The difficulty of a game without a walkthrough is unknown.

    A game that cannot be read is a task too, without a prompt: starting it raises the error.
    """
    try:
        content = game.content()
    except GamesError:
        return Task(id=game.id, family=game.family, prompt="")
    return Task(id=game.id, family=game.family, prompt=content.task, difficulty=len(content.walkthrough) or None)


def _warnings(games: Games) -> tuple[str, ...]:
    """How many broken games were left out, and the error of the first; empty where none was."""
    if not games.broken:
        return ()
    what = f"broken games left out: {len(games.broken)} of {len(games.broken) + len(games)}"
    return (f"{what}; the first: {games.broken[0]} (`skillos-engine games --check` lists all)",)


def _laps(games: list[Game], count: int, draw: random.Random) -> list[Game]:
    """`count` games, lap by lap over all of them, each lap in a new order."""
    drawn: list[Game] = []
    while len(drawn) < count:
        drawn += draw.sample(games, len(games))
    return drawn[:count]
