"""The rules of synthetic games: our domain and grammar, or those of other games on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.files.loading import DOMAIN, GRAMMAR, load_games
from engine.environments.alfworld.files.records import read_text
from engine.environments.alfworld.generation.tables import text
from engine.environments.alfworld.play.program import PLACE_OF_TASK

WHY = "synthetic games were to be played by its rules"


@dataclass(frozen=True, slots=True)
class RuleTexts:
    """A PDDL domain, and a grammar with `PLACE_OF_TASK` instead of the task's sentence."""

    domain: str
    grammar: str


def our_rules() -> RuleTexts:
    """The rules of this package."""
    return RuleTexts(text(DOMAIN), text(GRAMMAR))


def rules_at(path: Path | str) -> RuleTexts:
    """The rules of the games under `path`, official or packed. Raises `GamesError` where none can be read."""
    path = Path(path)
    if (path / DOMAIN).is_file() and (path / GRAMMAR).is_file():
        rules = RuleTexts(read_text(path / DOMAIN, WHY), read_text(path / GRAMMAR, WHY))
    else:
        content = load_games(path)[0].content()
        rules = RuleTexts(content.domain, content.grammar)
    if PLACE_OF_TASK not in rules.grammar:
        raise GamesError(f"{path}: the grammar has no rule `task` whose sentence could be another task's")
    return rules
