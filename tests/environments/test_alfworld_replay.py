"""The recordings of the real engine are the specification: every text, list, reward and end, step by step."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.outcomes import SUCCEEDED
from engine.environments.alfworld.play.environment import AlfworldEnvironment
from engine.environments.alfworld.play.game import Game
from engine.environments.base import Observation, Result
from tests.environments.alfworld_games import needs_data, official, recordings, won_after_each

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
    assert (start.text, list(start.actions)) == (trace["observation"], trace["admissible"])
    for number, step in enumerate(trace["steps"]):
        expected = Observation(step["observation"], tuple(step["admissible"]))
        where = f"{game.id}, step {number}: {step['action']!r}"
        assert environment.step(step["action"]) == expected, where
        assert step["won"] == step["done"] == bool(step["reward"]) == (environment.result() == Result(SUCCEEDED)), where


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
        assert won_after_each(game, game.walkthrough) == [False] * len(game.walkthrough) + [True], game.id
        won[game.family] += 1
    assert won == FAMILIES


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "valid_train"])
def test_every_other_walkthrough_wins(split: str) -> None:
    for game in official(split).values():
        assert won_after_each(game, game.walkthrough)[-1], game.id
