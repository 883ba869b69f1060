"""The same commands in the real engine and in ours: the same text, commands, reward and end at every step.

The recordings in `test_alfworld_replay` are what the real engine once answered; here it answers now, to commands that
nobody chose with our engine in mind, and in games that it has never seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from engine.environments.alfworld import AlfworldEnvironment, Game
from tests.environments.alfworld_games import needs_data, official
from tests.environments.textworld_engine import Session, needs_textworld, official_file, play_in_textworld

pytestmark = needs_textworld

FAMILIES = [
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
]
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
        seen.update(observation.admissible)
        here, kind = random.choice(observation.admissible), random.random()
        if kind < 0.15:
            here = random.choice(NONSENSE)
        elif kind < 0.25:
            here = random.choice(sorted(seen))
        elif kind < 0.35:
            here = random.choice([here.upper(), f"  {here} ", here[:-1], here.replace(" ", "  "), f"{here}1"])
        actions.append(here)
        observation = environment.step(here)
    return actions


def assert_alike(games: Sequence[Game], files: Sequence[Path], turns: int = TURNS) -> None:
    """Plays the walkthrough, two steps beyond it, and a walk at random in both engines; the walkthrough wins in both."""
    sessions = [
        Session(str(file), [[*game.walkthrough, "look", game.walkthrough[0]], wander(game, game.id, turns)])
        for game, file in zip(games, files, strict=True)
    ]
    for game, session, played in zip(games, sessions, play_in_textworld(sessions), strict=True):
        environment = AlfworldEnvironment(game)
        for actions, (start, *answers) in zip(session.episodes, played.episodes, strict=True):
            assert environment.reset() == start, game.id
            for number, (action, answer) in enumerate(zip(actions, answers, strict=True)):
                assert environment.step(action) == answer, f"{game.id}, step {number}: {action[:100]!r}"
        assert played.episodes[0][len(game.walkthrough)].won, game.id


def of_family(family: str, count: int) -> list[Game]:
    """`count` games of valid_seen, spread over all of the family."""
    games = [game for game in official("valid_seen").values() if game.family == family]
    return games[:: len(games) // count][:count]


@needs_data
@pytest.mark.parametrize("family", FAMILIES)
def test_official_games_play_alike_in_both_engines(family: str, tmp_path: Path) -> None:
    games = of_family(family, 2)
    assert_alike(games, [official_file(game, tmp_path) for game in games])


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_many_official_games_play_alike_in_both_engines(family: str, tmp_path: Path) -> None:
    games = of_family(family, 10)
    assert_alike(games, [official_file(game, tmp_path) for game in games], turns=60)
