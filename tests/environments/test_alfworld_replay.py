"""The recordings of the real engine are the specification: every text, list, reward and end, step by step."""

from __future__ import annotations

from typing import Any

import pytest

from engine.environments.alfworld import AlfworldEnvironment, Game
from engine.environments.base import Observation
from tests.environments.alfworld_games import needs_data, official, recordings

pytestmark = needs_data

FAMILIES = {
    "pick_and_place_simple": 35,
    "look_at_obj_in_light": 13,
    "pick_clean_then_place_in_recep": 27,
    "pick_heat_then_place_in_recep": 16,
    "pick_cool_then_place_in_recep": 25,
    "pick_two_obj_and_place": 24,
}


def replay(game: Game, trace: dict[str, Any]) -> None:
    environment = AlfworldEnvironment(game)
    start = environment.reset()
    assert (start.text, list(start.admissible)) == (trace["observation"], trace["admissible"])
    for number, step in enumerate(trace["steps"]):
        expected = Observation(
            step["observation"], tuple(step["admissible"]), float(step["reward"]), step["done"], step["won"]
        )
        assert environment.step(step["action"]) == expected, f"{game.id}, step {number}: {step['action']!r}"


@pytest.mark.parametrize("kind", ["walkthrough", "explore"])
def test_the_recordings_of_valid_seen_play_alike(kind: str) -> None:
    traces, games = recordings("valid_seen", kind), official("valid_seen")
    assert len(traces) >= 60
    for trace in traces:
        replay(games[trace["id"]], trace)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["walkthrough", "explore"])
def test_the_recordings_of_train_play_alike(kind: str) -> None:
    games = official("train")
    for trace in recordings("train", kind):
        replay(games[trace["id"]], trace)


def test_every_walkthrough_of_valid_seen_wins_at_its_last_step() -> None:
    won: dict[str, int] = dict.fromkeys(FAMILIES, 0)
    for game in official("valid_seen").values():
        environment = AlfworldEnvironment(game)
        environment.reset()
        *before, last = [environment.step(action) for action in game.walkthrough]
        assert not any(observation.done or observation.won or observation.reward for observation in before), game.id
        assert last.done and last.won and last.reward == 1.0, game.id
        won[game.family] += 1
    assert won == FAMILIES


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "valid_train"])
def test_every_other_walkthrough_wins(split: str) -> None:
    for game in official(split).values():
        environment = AlfworldEnvironment(game)
        assert [environment.step(action) for action in game.walkthrough][-1].won, game.id
