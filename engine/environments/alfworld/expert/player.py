"""A scripted player that wins from nearly any state of a game whose walkthrough it knows: oracle and demonstrator.

    expert = Expert(environment)
    while (command := expert.act()) is not None:
        observation = environment.step(command)

    for turn in demonstration(game):
        print(turn.observation.text, turn.command)

`planning` describes how it finds its way.
"""

from __future__ import annotations

import msgspec

from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.expert.planning import MAX_STEPS, Planner, State
from engine.environments.alfworld.play.environment import AlfworldEnvironment
from engine.environments.alfworld.play.game import Game
from engine.environments.base import Observation


class Turn(msgspec.Struct, frozen=True):
    """An observation, and the command that answers it."""

    observation: Observation
    command: str


class Expert:
    """Plays in `environment`, whoever else acts there: it plans again where the state is not in its plan.

    Raises `GamesError` for a walkthrough that does not win.
    """

    def __init__(self, environment: AlfworldEnvironment) -> None:
        self._environment = environment
        self._planner = Planner(environment.game)
        self._plan: dict[State, str] = {}

    def act(self) -> str | None:
        """The next command, which the caller executes; None where the game is won, or where no way to win was found.

        Planning simulates at most `MAX_STEPS` steps, on copies.
        """
        if self._environment.won:
            return None
        state = self._environment.state()
        if state not in self._plan:
            branch = self._environment.copy()
            self._plan = {}
            for command in self._planner.plan(branch) or ():
                self._plan[branch.state()] = command
                branch.step(command)
        return self._plan.get(state)


def demonstration(start: Game | AlfworldEnvironment, observation: Observation | None = None) -> list[Turn]:
    """The turns that win a game from its start, or from the state of an environment, which is not changed.

    `observation` is the last one there (if not given, the answer to an action that does nothing). A won game has no turns.
    Raises `GamesError` where the expert cannot win, or the walkthrough does not.
    """
    if isinstance(start, AlfworldEnvironment):
        environment = start.copy()
        observation = observation or environment.step("")
    else:
        environment = AlfworldEnvironment(start)
        observation = environment.reset()
    expert = Expert(environment)
    turns: list[Turn] = []
    while (command := expert.act()) is not None:
        turns.append(Turn(observation, command))
        observation = environment.step(command)
    if not environment.won:
        raise GamesError(
            f"{environment.game.where}: the expert found no way to win within {MAX_STEPS:,} simulated steps; "
            "perhaps there is none from here (what is held may fit nowhere)"
        )
    return turns
