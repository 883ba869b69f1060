"""The same commands in the real engine and in ours: the same text, commands, reward and end at every step.

The recordings in `test_alfworld_replay` are what the real engine once answered; here it answers now, to commands that
nobody chose with our engine in mind, and in games that are new to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from engine.environments.alfworld.generation.families import FAMILIES, SIZES
from engine.environments.alfworld.generation.files import write
from engine.environments.alfworld.generation.games import generate
from engine.environments.alfworld.play.environment import AlfworldEnvironment
from engine.environments.alfworld.play.game import Game
from engine.environments.base import Observation
from tests.environments.alfworld_games import DATA, needs_data, official
from tests.environments.textworld_engine import Answered, Session, listed, needs_textworld, play_in_textworld

pytestmark = needs_textworld

NONSENSE = [
    "",
    " ",
    "\n",
    "xyzzy",
    "help me",
    "LOOK",
    "look\n",
    " inventory\t",
    "go to",
    "go to nowhere 1",
    "go  to shelf 1",
    "open",
    "take everything",
    "examine {o.name}",
    "#task#",
    "\x00\u2028é雪🧦",
    "(go to desk 1)",
    "w" * 100_000,
]
TURNS = 10


def wander(game: Game, seed: str, turns: int) -> list[str]:
    """Commands of somebody lost: what is admissible, what is so only elsewhere or nearly, and what is nonsense."""
    random, environment = Random(seed), AlfworldEnvironment(game)
    observation, seen, actions = environment.reset(), set[str](), list[str]()
    for _ in range(turns):
        seen.update(observation.actions)
        action, kind = random.choice(observation.actions), random.random()
        if kind < 0.15:
            action = random.choice(NONSENSE)
        elif kind < 0.25:
            action = random.choice(sorted(seen))
        elif kind < 0.35:
            action = random.choice(
                [action.upper(), f"  {action} ", action[:-1], action.replace(" ", "  "), f"{action}1"]
            )
        actions.append(action)
        observation = environment.step(action)
    return actions


def assert_alike(games: Sequence[Game], folder: Path, turns: int = TURNS) -> None:
    """In both engines, each game's walkthrough, which wins, once more from where that ends, and a walk at random."""
    sessions = [
        Session(str(file), [[*game.walkthrough, "look", *game.walkthrough], wander(game, game.id, turns)])
        for game, file in zip(games, write(games, folder), strict=True)
    ]
    for game, session, played in zip(games, sessions, play_in_textworld(sessions), strict=True):
        environment = AlfworldEnvironment(game)
        for actions, (start, *answers) in zip(session.episodes, played.episodes, strict=True):
            assert answered(environment, environment.reset()) == shown(start), game.id
            for number, (action, answer) in enumerate(zip(actions, answers, strict=True)):
                where = f"{game.id}, step {number}: {action[:100]!r}"
                assert answered(environment, environment.step(action)) == shown(answer), where
                assert answer.done == answer.won == bool(answer.reward), where
        assert played.episodes[0][len(game.walkthrough)].won, game.id


def answered(environment: AlfworldEnvironment, observation: Observation) -> tuple[str, tuple[str, ...] | None, bool]:
    """What our engine answers: text, legal actions, and whether the game is won."""
    return observation.text, observation.actions, environment.result() is not None


def shown(answer: Answered) -> tuple[str, tuple[str, ...] | None, bool]:
    """The same of TextWorld's."""
    return answer.text, answer.admissible, answer.won


def of_family(family: str, count: int) -> list[Game]:
    """`count` games of valid_seen, spread over all of the family."""
    games = [game for game in official("valid_seen").values() if game.family == family]
    return games[:: len(games) // count][:count]


@needs_data
@pytest.mark.parametrize("family", FAMILIES)
def test_official_games_play_alike_in_both_engines(family: str, tmp_path: Path) -> None:
    assert_alike(of_family(family, 2), tmp_path)


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_many_official_games_play_alike_in_both_engines(family: str, tmp_path: Path) -> None:
    assert_alike(of_family(family, 10), tmp_path, turns=60)


def test_generated_games_are_found_and_play_alike_in_both_engines(tmp_path: Path) -> None:
    games = list(generate(len(FAMILIES), seed=1, size="small"))
    assert {game.family for game in games} == set(FAMILIES)
    assert_alike(games, tmp_path)
    assert {file.parent.name for file in listed(tmp_path)} == {game.id.split("/")[-1] for game in games}


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_many_generated_games_play_alike_in_both_engines(size: str, tmp_path: Path) -> None:
    assert_alike(list(generate(18, seed=2, size=size)), tmp_path, turns=60)


@needs_data
@pytest.mark.slow
def test_games_generated_for_the_official_rules_play_alike_in_both_engines(tmp_path: Path) -> None:
    assert_alike(list(generate(12, seed=3, rules=DATA)), tmp_path, turns=60)
