"""Plays one ALFWorld text game.

    environment = AlfworldEnvironment(game)
    observation = environment.reset()
    observation = environment.step("go to desk 1")

Environments share nothing that changes: any number may run at once, in threads or not. `copy()` branches an episode.
"""

from __future__ import annotations

import copy

from engine.core.outcomes import SUCCEEDED
from engine.environments.alfworld.play.game import Game
from engine.environments.alfworld.play.program import Moves
from engine.environments.base import Observation, Result

NOTHING = "Nothing happens."
WON = Result(SUCCEEDED)


class AlfworldEnvironment:
    """Implements `engine.environments.base.Environment`. Raises `GamesError` for a game that cannot be played.

    The episode ends in success as soon as the goal holds; there is no other end but the step cap. A command is legal exactly
    as listed, with or without blanks around it; the answer to any other action is that nothing happens.
    """

    def __init__(self, game: Game) -> None:
        self.game = game
        self._program = game.program()
        self._begin()

    def reset(self) -> Observation:
        """Begin again; the text is the game's introduction with the task."""
        self._begin()
        return Observation(self._program.opening, self._actions)

    def step(self, action: str) -> Observation:
        """Do `action` where it is legal; of two actions with the same command, the one that the domain lists first."""
        command = action.strip() if isinstance(action, str) else ""
        text = NOTHING
        for number, moves in enumerate(self._moves):
            if command in moves:
                with self.game.translated_errors():
                    text, changed = self._program.do(number, self._facts, moves[command])
                    self._follow(changed)
                break
        return Observation(text, self._actions)

    @property
    def actions(self) -> tuple[str, ...]:
        """The legal commands, sorted."""
        return self._actions

    @property
    def won(self) -> bool:
        """Whether the goal holds now."""
        return self._won

    def result(self) -> Result | None:
        """Success while the goal holds, otherwise nothing."""
        return WON if self._won else None

    def copy(self) -> AlfworldEnvironment:
        """An independent environment in the same state."""
        other = copy.copy(self)
        other._facts = self._facts.copy()
        other._moves = list(self._moves)
        return other

    def facts(self, predicate: str) -> frozenset[tuple[str, ...]]:
        """The facts of a predicate that are true now, as names of the problem. Raises `KeyError` for an unknown one."""
        names = self._facts.objects.names
        rows = self._facts.rows[self._facts.frame.predicates[predicate.lower()]]
        return frozenset(tuple(names[number] for number in row) for row in rows)

    def true_facts(self) -> frozenset[tuple[str, ...]]:
        """All facts that are true now: predicate, then names of the problem."""
        return frozenset((name, *row) for name in self._facts.frame.predicates for row in self.facts(name))

    def shown_name(self, name: str) -> str:
        """How an object of the problem is displayed."""
        return str(self._facts.entities["name"][self._facts.objects.number(name)]).strip()

    def state(self) -> frozenset[tuple[str, ...]]:
        """The facts that decide which actions are legal, now or later, and which win: predicate, then names as displayed.

        Two environments of one game in the same state continue alike, except for the answers to looking around.
        """
        facts, program = self._facts, self._program
        names, predicates = facts.entities["name"], facts.frame.predicates
        deciding = program.goal_reads.union(*(command.action.decided_by for command in program.rules.commands))
        return frozenset(
            (predicate, *[names[object_number].strip() for object_number in row])
            for predicate, number in predicates.items()
            if number in deciding
            for row in facts.rows[number]
        )

    def _begin(self) -> None:
        self._facts = self._program.start.copy()
        self._moves: list[Moves] = [*self._program.first_moves]
        self._won = self._program.won_at_start
        self._list()

    def _follow(self, changed: set[int]) -> None:
        """Update the legal commands and the goal by the predicates that changed, and only those."""
        if not changed:
            return
        touched = False
        for number, command in enumerate(self._program.rules.commands):
            if not command.reads.isdisjoint(changed):
                moves = self._program.moves(number, self._facts)
                touched = touched or moves != self._moves[number]
                self._moves[number] = moves
        if touched:
            self._list()
        if not self._program.goal_reads.isdisjoint(changed):
            self._won = self._program.won(self._facts)

    def _list(self) -> None:
        self._actions = tuple(sorted(set().union(*self._moves)))
