"""The grammars of games. Releases of ALFWorld differ in them: one takes `put X in/on Y`, another `move X to Y`.

    for grammar in grammars(games):
        grammar.games, grammar.says              # 140, ("move X to Y",): what sets it apart from the others here

Games of two releases under one path are no fault, but a player who knows one command does not know the other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import count

import msgspec

from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.play.game import Game

MAX_SAID = 4
_TEMPLATE = re.compile(r'template\s*+::\s*+"([^"]*+)"')
_PLACE = re.compile(r"\[?\{[^{}]*\}\]?")
_NAMES = "XYZ"


class UsedGrammar(msgspec.Struct, frozen=True):
    """A grammar by its `commands`, and how many games have it. `says` are some of the commands: those that another grammar
    beside it does not have, or else those with two things in them."""

    says: tuple[str, ...]
    games: int
    commands: tuple[str, ...]


def grammars(games: Iterable[Game]) -> list[UsedGrammar]:
    """The grammars of games, the one of the most games first. A game that cannot be read is left out."""
    counts = Counter(filter(None, map(_commands_of_game, games)))
    found = []
    for commands, number in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        others = [set(each) for each in counts if each != commands]
        own = [each for each in commands if any(each not in other for other in others)]
        two = [each for each in commands if _NAMES[1] in each]
        found.append(UsedGrammar(tuple((own or two or list(commands))[:MAX_SAID]), number, commands))
    return found


def described(used: Iterable[UsedGrammar]) -> str:
    """Grammars in a sentence: "'move X to Y' (120 games), 'put X in/on Y' (20 games)"."""
    return ", ".join(f"{' and '.join(map(repr, each.says))} ({each.games:,} games)" for each in used)


def _commands_of_game(game: Game) -> tuple[str, ...]:
    try:
        return commands_of(game.grammar())
    except GamesError:
        return ()


@lru_cache(maxsize=64)
def commands_of(grammar: str) -> tuple[str, ...]:
    """The commands that a grammar's actions are typed as, with X, Y and Z for the things in them, by the alphabet."""
    return tuple(sorted({_named(found[1]) for found in _TEMPLATE.finditer(grammar)}))


def _named(template: str) -> str:
    numbers = count()
    return " ".join(_PLACE.sub(lambda _: _NAMES[min(next(numbers), len(_NAMES) - 1)], template).split())
