"""The worlds that a configuration names: held-out groups are never of the games that are trained on."""

import pytest

from engine.config import ConfigError
from engine.environments.alfworld import AlfworldSettings, GamesError
from engine.environments.household.settings import HouseholdSettings
from engine.environments.opening import open_held_out, open_source
from tests.environments.alfworld_games import write_official

APART = {"split": "train", "evaluate_split": "valid_seen"}


@pytest.fixture
def games(tmp_path):
    """Where two splits of one game each lie."""
    for split in APART.values():
        write_official(tmp_path, f"{split}/light_all-Lamp-1/trial")
    return str(tmp_path)


def test_a_generated_world_serves_both_since_its_held_out_seeds_are_others():
    world = open_source(HouseholdSettings())
    assert open_held_out(HouseholdSettings(), world) is world


def test_the_held_out_games_are_of_the_split_named_for_them(games):
    settings = AlfworldSettings(path=games, max_turns=12, **APART)
    training = open_source(settings)
    held_out = open_held_out(settings, training)
    for world, split in ((training, "train"), (held_out, "valid_seen")):
        (task,) = world.stream(1, 1)
        assert task.id.startswith(f"{split}/") and world.max_turns(task) == 12


@pytest.mark.parametrize(
    "splits",
    [
        {"split": "", "evaluate_split": ""},
        {"split": "train", "evaluate_split": ""},
        {"split": "train", "evaluate_split": "train"},
        {"split": "", "evaluate_split": "valid_seen"},
    ],
)
def test_games_that_are_trained_on_are_not_held_out(splits, games):
    settings = AlfworldSettings(path=games, **splits)
    with pytest.raises(ConfigError, match=r"environment\.evaluate_split=valid_seen.*training\.evaluate_every=0"):
        open_held_out(settings, open_source(settings))


def test_a_held_out_split_that_is_not_there_is_told_with_those_that_are(games):
    settings = AlfworldSettings(path=games, split="train", evaluate_split="test")
    with pytest.raises(GamesError, match="no split test; expected one of: train, valid_seen"):
        open_held_out(settings, open_source(settings))
