"""Generate synthetic games, each from its number, and play each to its end before it is returned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from engine.core.seeds import stream
from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.generation.families import FAMILIES, FAMILY, SIZES, SPLIT, Goal
from engine.environments.alfworld.generation.house import draw_house
from engine.environments.alfworld.generation.problem import problem
from engine.environments.alfworld.generation.rules import RuleTexts, our_rules, rules_at
from engine.environments.alfworld.generation.tables import tables
from engine.environments.alfworld.generation.walkthrough import shortest
from engine.environments.alfworld.play.environment import AlfworldEnvironment
from engine.environments.alfworld.play.game import Content, Game
from engine.environments.alfworld.play.program import Library


def generate(
    count: int,
    seed: int,
    families: Sequence[str] = FAMILIES,
    size: str = "medium",
    rules: Path | str | None = None,
) -> Iterator[Game]:
    """`count` games with verified walkthroughs, the families in turn.

    A game depends only on its number, `seed`, `families`, `size` and the rules: ten games are the first ten of a hundred,
    on any machine. `rules` is a path of games whose domain and grammar are used; the sentences of the tasks are ours.
    Raises `GamesError` at once for invalid arguments, and during iteration if a walkthrough does not win.
    """
    _check(count, seed, families, size)
    texts = our_rules() if rules is None else rules_at(rules)
    library = Library()
    turns = [family for family in FAMILIES if family in families]
    return (_verified(_game(seed, index, turns[index % len(turns)], size, texts, library)) for index in range(count))


def _check(count: int, seed: int, families: Sequence[str], size: str) -> None:
    unknown = [family for family in families if family not in FAMILIES]
    if count < 1:
        raise GamesError(f"{count} games cannot be made; expected 1 or more")
    if seed < 0:
        raise GamesError(f"the seed {seed} is negative; expected 0 or more")
    if unknown or not families:
        raise GamesError(f"no family {', '.join(unknown) or 'named'}; expected some of: {', '.join(FAMILIES)}")
    if size not in SIZES:
        raise GamesError(f"no size {size}; expected one of: {', '.join(SIZES)}")


def _game(seed: int, index: int, family: str, size: str, rules: RuleTexts, library: Library) -> Game:
    draw = stream("alfworld", seed, index, family, size)
    house, goal = draw_house(draw, tables(), FAMILY[family], size)
    sentence = draw.choice(tables().sentences[family])
    trial = f"trial_synthetic_{size}_s{seed}_{index:05}"
    content = Content(
        rules.domain,
        rules.grammar,
        problem(f"plan_{trial}", house, goal, tables()),
        sentence.format(thing=goal.thing.lower(), place=goal.place.lower()),
        shortest(house, goal, tables()),
    )
    id = f"{SPLIT}/{_task_name(goal)}/{trial}"
    return Game(id, id, _reader(content), library)


def _task_name(goal: Goal) -> str:
    """The name in the form of the benchmark: family, thing, no movable receptacle, place, scene."""
    return f"{goal.family.name}-{goal.thing}-None-{goal.place}-synthetic"


def _reader(content: Content) -> Callable[[], Content]:
    return lambda: content


def _verified(game: Game) -> Game:
    """Play the walkthrough of `game` and return it. The last command, and no earlier one, must win."""
    environment = AlfworldEnvironment(game)
    won = [environment.won]
    for action in game.walkthrough:
        environment.step(action)
        won.append(environment.won)
    if won != [False] * len(game.walkthrough) + [True]:
        raise GamesError(f"{game.id}: the walkthrough {', '.join(game.walkthrough)} does not win with its last command")
    return game
