"""Finds commands that win a game from where an environment stands, by a walkthrough: the game's own, or one that is found.

    planner = Planner(game)
    commands = planner.plan(environment)

The planner knows no rules: it tries commands on copies of the environment and looks at the states they lead to. What a
step of the walkthrough is for is learnt from playing it once: what it makes true and false. A plan is

1. the latest suffix of the walkthrough that wins as it stands; else
2. the walkthrough from its first step on, where a step whose ends are reached is passed over, and one that cannot be
   done is replaced by the result of a breadth-first search for its ends; then, as long as the game is not won, the same
   for each fact that the walkthrough leaves alone, and over again; at last without the commands that it wins without
   ("action elimination": Nakhost and Müller, 2010).

A game without a walkthrough that wins gets one: each way to win that its goal allows (`goals`) is tried as the facts to
reach, one after another; where none leads to the end, a breadth-first search over all commands.

A search tries only commands about what the step concerns (where its things are now, what is held instead), and then
those about any one more thing, such as a place to put down what is held.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from engine.core.errors import SkillosError
from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.expert.goals import ways_to_win
from engine.environments.alfworld.play.environment import AlfworldEnvironment
from engine.environments.alfworld.play.game import Game

State: TypeAlias = frozenset[tuple[str, ...]]

MAX_STEPS = 5_000
FEW_STEPS = 600
MAX_SEEKING = 20_000
NAME = re.compile(r"(?<!\S)\S+ \d+(?!\S)")


@dataclass(frozen=True, slots=True)
class Stage:
    """An end on the way: `gains` hold and `losses` do not, as after `command` in the walkthrough's state `before`.

    Without a command, it is a fact that the walkthrough leaves alone and that winning may depend on, or one that the goal
    asks for. `tools` are things that it may need.
    """

    command: str
    before: State
    gains: State
    losses: State = frozenset()
    tools: frozenset[str] = frozenset()

    def reached(self, state: State) -> bool:
        return self.gains <= state and self.losses.isdisjoint(state)

    def concerned(self, state: State) -> set[str]:
        """The names in the command and the gains, and those that a fact links to them now and did not then."""
        names = {*NAME.findall(self.command), *_names(self.gains), *self.tools}
        return names.union(*(row for _, *row in state - self.before if not names.isdisjoint(row)))


@dataclass(frozen=True, slots=True)
class Branch:
    """An environment after the commands of `path`."""

    environment: AlfworldEnvironment
    path: tuple[str, ...] = ()


class NoWay(SkillosError):
    """No plan was found, or none within `MAX_STEPS`."""


class Planner:
    """Plans for states of one game. Raises `GamesError` for a game that cannot be played or that no plan wins."""

    def __init__(self, game: Game) -> None:
        self._walkthrough = winning_commands(game)
        self._stages = _stages(game, self._walkthrough)
        self.steps = 0
        self._limit: int | None = None

    @classmethod
    def _of(cls, stages: Sequence[Stage], limit: int) -> Planner:
        """A planner for stages that no walkthrough gave."""
        planner = cls.__new__(cls)
        planner._stages, planner._walkthrough, planner.steps, planner._limit = list(stages), (), 0, limit
        return planner

    def plan(self, environment: AlfworldEnvironment) -> tuple[str, ...] | None:
        """Commands that win from where `environment` stands, none if it is won; None where no way was found.

        At most `MAX_STEPS` steps are simulated, `steps` in fact. The environment itself stays as it is.
        """
        self.steps = 0
        root = Branch(environment)
        if root.environment.won:
            return ()
        try:
            return self._suffix(root) or self._trimmed(root, self._repaired(root))
        except NoWay:
            return None

    def _do(self, branch: Branch, command: str) -> Branch:
        if self.steps >= (MAX_STEPS if self._limit is None else self._limit):
            raise NoWay
        self.steps += 1
        environment = branch.environment.copy()
        environment.step(command)
        return Branch(environment, (*branch.path, command))

    def _suffix(self, root: Branch) -> tuple[str, ...] | None:
        for first in reversed(range(len(self._walkthrough))):
            branch = root
            for command in self._walkthrough[first:]:
                if command not in branch.environment.actions:
                    break
                branch = self._do(branch, command)
                if branch.environment.won:
                    return branch.path
        return None

    def _repaired(self, branch: Branch) -> tuple[str, ...]:
        """Rounds over the stages until the game is won; a round that ends where an earlier one did leads nowhere."""
        ends: set[State] = set()
        while not branch.environment.won:
            for stage in self._stages:
                branch = self._reached(branch, stage)
            end = branch.environment.state()
            if end in ends:
                raise NoWay
            ends.add(end)
        return branch.path

    def _reached(self, branch: Branch, stage: Stage) -> Branch:
        if branch.environment.won or stage.reached(branch.environment.state()):
            return branch
        if stage.command in branch.environment.actions:
            return self._do(branch, stage.command)
        return self._search(branch, stage)

    def _search(self, root: Branch, stage: Stage) -> Branch:
        """The first branch found, breadth first, that reaches the stage or wins.

        Only when commands about what is concerned lead nowhere are those tried that are also about one thing more, each
        such thing beginning from the root; `seen` has the states by that thing.
        """
        start = root.environment.state()
        concerned = stage.concerned(start)
        seen = {(start, "")}
        frontier = deque([(root, "")])
        more = _unconcerned(root, concerned)
        while frontier:
            branch, thing = frontier.popleft()
            for command in _about(branch, concerned | {thing}):
                after = self._do(branch, command)
                state = after.environment.state()
                if after.environment.won or stage.reached(state):
                    return after
                if seen.isdisjoint([(state, ""), (state, thing)]):
                    seen.add((state, thing))
                    frontier.append((after, thing))
            if not frontier:
                frontier.extend((root, thing) for thing in more)
                more = []
        raise NoWay

    def _trimmed(self, root: Branch, path: Sequence[str]) -> tuple[str, ...]:
        """The path without each command (and those that it alone makes admissible) that it wins without."""
        kept, rest = root, path
        while rest:
            shorter = self._follow(kept, rest[1:])
            if shorter.environment.won:
                rest = shorter.path[len(kept.path) :]
            else:
                kept, rest = self._do(kept, rest[0]), rest[1:]
        return kept.path

    def _follow(self, branch: Branch, commands: Iterable[str]) -> Branch:
        """Does those of the commands that are admissible in their turn, until the game is won."""
        for command in commands:
            if branch.environment.won:
                break
            if command in branch.environment.actions:
                branch = self._do(branch, command)
        return branch


def winning_commands(game: Game) -> tuple[str, ...]:
    """The commands of the game's walkthrough, or where they do not win those of a plan; it is found once for a game.

    Raises `GamesError` where none is found within `MAX_SEEKING` steps.
    """
    if game.way is None:
        environment = AlfworldEnvironment(game)
        for command in game.walkthrough:
            environment.step(command)
        game.way = game.walkthrough if environment.won else _sought(game)
    if game.way == () and not AlfworldEnvironment(game).won:
        raise GamesError(
            f"{game.where}: the walkthrough's {len(game.walkthrough)} commands do not win, and the expert found no plan "
            f"within {MAX_SEEKING:,} simulated steps"
        )
    return game.way


def _sought(game: Game) -> tuple[str, ...]:
    """Commands that win, found from the goal; () where none are found."""
    environment = AlfworldEnvironment(game)
    ways = [
        [Stage("", frozenset(), frozenset([wanted.fact]), tools=wanted.tools) for wanted in way]
        for way in ways_to_win(game, environment)
    ]
    left = MAX_SEEKING
    for limit in (FEW_STEPS, MAX_STEPS):
        for stages in ways:
            planner = Planner._of(stages, min(limit, left))
            plan = planner.plan(environment)
            left -= planner.steps
            if plan is not None:
                return plan
    return _flooded(Branch(environment), left)


def _flooded(root: Branch, limit: int) -> tuple[str, ...]:
    """The commands of a breadth-first search over all of them; () where it does not win within `limit` steps."""
    frontier, seen = deque([root]), {root.environment.state()}
    while frontier:
        branch = frontier.popleft()
        for command in branch.environment.actions:
            if (limit := limit - 1) < 0:
                return ()
            environment = branch.environment.copy()
            environment.step(command)
            if environment.won:
                return (*branch.path, command)
            if (state := environment.state()) not in seen:
                seen.add(state)
                frontier.append(Branch(environment, (*branch.path, command)))
    return ()


def _stages(game: Game, commands: Sequence[str]) -> list[Stage]:
    """The walkthrough's steps, and behind them the facts that it leaves alone, first those about what it uses."""
    environment = AlfworldEnvironment(game)
    before = kept = environment.state()
    stages: list[Stage] = []
    for command in commands:
        environment.step(command)
        after = environment.state()
        stages.append(Stage(command, before, gains=after - before, losses=before - after))
        before, kept = after, kept & after
    changed = _names(fact for stage in stages for fact in stage.gains)
    untouched = sorted(kept, key=lambda fact: (changed.isdisjoint(fact[1:]), fact))
    return stages + [Stage("", before, gains=frozenset([fact])) for fact in untouched]


def _names(facts: Iterable[tuple[str, ...]]) -> set[str]:
    return {name for _, *row in facts for name in row}


def _about(branch: Branch, things: set[str]) -> Iterator[str]:
    """The admissible commands that name something, and nothing but `things`."""
    for command in branch.environment.actions:
        names = NAME.findall(command)
        if names and things.issuperset(names):
            yield command


def _unconcerned(branch: Branch, concerned: set[str]) -> list[str]:
    """What else the admissible commands name."""
    names = [name for command in branch.environment.actions for name in NAME.findall(command)]
    return list(dict.fromkeys(name for name in names if name not in concerned))
