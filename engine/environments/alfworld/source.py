"""The tasks of ALFWorld's official text games: each game is one task, its task type the family.

    source = AlfworldTasks.at("~/alfworld", split="train")
    tasks = source.tasks("look_at_obj_in_light", seed=7, count=10)
    environment = source.start(tasks[0])

Draws depend on the seed and the games' ids alone (SHA-256), so the same games give the same tasks on any machine. A game's
file is read only when the game is drawn.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from engine.core.seeds import stream
from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.files.grammars import UsedGrammar, described, grammars
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
        self._broken = games.broken if isinstance(games, Games) else ()
        self._trained: AlfworldTasks | None = None

    @classmethod
    def at(cls, path: Path | str, split: str = "", max_turns: int = MAX_TURNS) -> AlfworldTasks:
        """The games under `path`, of one split or (`""`) of all. Raises `GamesError`."""
        return cls(load_games(path, split or None), max_turns)

    def beside(self, trained: AlfworldTasks) -> AlfworldTasks:
        """These tasks, held out from training on `trained`: a difference in the grammar is then a warning."""
        self._trained = trained
        return self

    @cached_property
    def warnings(self) -> Sequence[str]:
        """Sentences about broken games, and about games of several grammars, which are read for it."""
        return (*_broken(self._broken, len(self._games)), *self._grammar_warnings())

    @cached_property
    def grammars(self) -> list[UsedGrammar]:
        """The grammars of the games, with how many games have each."""
        return grammars(self._games.values())

    def _grammar_warnings(self) -> Iterator[str]:
        if len(self.grammars) > 1:
            yield (
                f"the games have {len(self.grammars)} grammars, and what one takes another does not: "
                f"{described(self.grammars)}; name a split or folder of one release to play one"
            )
        if self._trained is not None and _commands(self) != _commands(self._trained):
            both = grammars([*self._games.values(), *self._trained._games.values()])
            yield f"the held-out games have another grammar than those that are trained on: {described(both)} in all"

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
    """The game as a task; its file is read here. The difficulty of a game without a walkthrough is the expert's plan's.

    A game that cannot be read is a task too, without a prompt: starting it raises the error.
    """
    try:
        content = game.content()
    except GamesError:
        return Task(id=game.id, family=game.family, prompt="")
    difficulty = len(content.walkthrough) or _planned(game)
    return Task(id=game.id, family=game.family, prompt=content.task, difficulty=difficulty)


def _planned(game: Game) -> int | None:
    """The length of the expert's plan for a game without a walkthrough; None where there is none."""
    from engine.environments.alfworld.expert.planning import winning_commands

    try:
        return len(winning_commands(game)) or None
    except GamesError:
        return None


def _commands(source: AlfworldTasks) -> set[tuple[str, ...]]:
    return {grammar.commands for grammar in source.grammars}


def _broken(broken: Sequence[GamesError], good: int) -> tuple[str, ...]:
    """How many broken games were left out, and the error of the first; empty where none was."""
    if not broken:
        return ()
    what = f"broken games left out: {len(broken)} of {len(broken) + good}"
    return (f"{what}; the first: {broken[0]} (`skillos-engine games --check` lists all)",)


def _laps(games: list[Game], count: int, draw: random.Random) -> list[Game]:
    """`count` games, lap by lap over all of them, each lap in a new order."""
    drawn: list[Game] = []
    while len(drawn) < count:
        drawn += draw.sample(games, len(games))
    return drawn[:count]
