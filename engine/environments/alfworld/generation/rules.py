"""The rules that synthetic games are played by: our own domain and grammar, or those of games that a user has."""

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
    """A domain in PDDL, and a grammar in which `PLACE_OF_TASK` stands for the task's sentence."""

    domain: str
    grammar: str


def our_rules() -> RuleTexts:
    """Those that come with this package."""
    return RuleTexts(text(DOMAIN), text(GRAMMAR))


def rules_at(path: Path | str) -> RuleTexts:
    """Those of the games under `path`, official or packed. Raises `GamesError` where there are none to be read."""
    path = Path(path).expanduser()
    if (path / DOMAIN).is_file() and (path / GRAMMAR).is_file():
        rules = RuleTexts(read_text(path / DOMAIN, WHY), read_text(path / GRAMMAR, WHY))
    else:
        content = load_games(path)[0].content()
        rules = RuleTexts(content.domain, content.grammar)
    if PLACE_OF_TASK not in rules.grammar:
        raise GamesError(f"{path}: the grammar has no rule `task` whose sentence could be another task's")
    return rules
