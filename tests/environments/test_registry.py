"""The environments that a configuration names: opened through the registry, and never held out of what is trained on."""

import subprocess
import sys

import pytest

from engine.config import load_profile
from engine.core.errors import ConfigError
from engine.core.registry import UnknownPart
from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.settings import AlfworldSettings
from engine.environments.household.settings import HouseholdSettings
from engine.environments.registry import ENVIRONMENTS, environment_kind, open_held_out, open_source, short_options
from engine.models.base import Models
from engine.rollouts.context import RolloutContext
from engine.system.preflight import check
from tests.agents.scripted import Scripted
from tests.environments.alfworld_games import write_official
from tests.environments.free_text import KIND, Sums, SumSettings

APART = {"split": "train", "evaluate_split": "valid_seen"}


@pytest.fixture
def games(tmp_path):
    """Where two splits of one game each lie."""
    for split in APART.values():
        write_official(tmp_path, f"{split}/light_all-Lamp-1/trial")
    return str(tmp_path)


def test_a_generated_source_serves_both_since_its_held_out_seeds_are_others():
    source = open_source(HouseholdSettings())
    assert open_held_out(HouseholdSettings(), source) is source


def test_the_held_out_games_are_of_the_split_named_for_them(games):
    settings = AlfworldSettings(path=games, max_turns=12, **APART)
    training = open_source(settings)
    held_out = open_held_out(settings, training)
    for source, split in ((training, "train"), (held_out, "valid_seen")):
        (task,) = source.stream(1, 1)
        assert task.id.startswith(f"{split}/") and source.max_turns(task) == 12


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


def test_a_held_out_split_that_does_not_exist_is_refused_with_those_that_do(games):
    settings = AlfworldSettings(path=games, split="train", evaluate_split="test")
    with pytest.raises(GamesError, match="no split test; expected one of: train, valid_seen"):
        open_held_out(settings, open_source(settings))


@pytest.mark.parametrize(
    ("path", "message"), [("", r"by --games PATH \(environment\.path\)"), ("/no/such", "no games at /no/such")]
)
def test_games_that_are_not_there_are_refused_before_a_run(path, message):
    settings = AlfworldSettings(path=path)
    with pytest.raises(ConfigError, match=message):
        environment_kind(settings).check(settings)


def test_every_environment_that_ships_has_prompts_a_parser_and_settings_with_its_name():
    for name in ("household", "alfworld"):
        kind = ENVIRONMENTS.load(name)
        assert environment_kind(kind.settings()) is kind
        assert (kind.name, kind.prompts) == (name, "standard")
        assert kind.parse_action("<action>go box</action>").action == "go box"


def test_a_kind_loads_nothing_that_plays():
    program = """
import sys
from engine.environments.registry import ENVIRONMENTS
kinds = [ENVIRONMENTS.load(name) for name in ("household", "alfworld")]
print([name for name in sys.modules if name.endswith((".source", ".environment", ".loading", ".pddl", "torch", "jinja2"))])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An installed package that adds the environment of sums by one line."""
    folder = tmp_path / "sums-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: sums\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[skillos.environments]\nsums = tests.environments.free_text:KIND\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_an_installed_package_adds_an_environment_by_one_line(installed):
    assert environment_kind(SumSettings()) is KIND
    source = open_source(SumSettings())
    assert isinstance(source, Sums) and open_held_out(SumSettings(), source) is source


def test_loglikelihood_decoding_of_free_text_is_refused_before_a_run(installed):
    settings = ["environment.kind=sums", "executor.decoding=loglikelihood"]
    with pytest.raises(
        ConfigError, match=r"lists its actions, and environment\.kind=sums takes any text: use executor"
    ):
        check(load_profile("pocket", settings), "train")
    check(load_profile("pocket", settings[:1]), "train")


def test_a_run_without_prompts_of_its_own_has_those_of_its_environment(installed):
    config = load_profile("pocket", ["environment.kind=sums", "executor.prompts="])
    check(config, "train")
    models = Models(Scripted(), Scripted(), None, Scripted())
    assert RolloutContext.open(config, Sums(), models).executor_prompts.reference == "tests.environments:toy_prompts"


def test_the_command_line_has_the_short_options_of_every_environment_that_can_be_imported(installed, tmp_path):
    entries = tmp_path / "sums-1.0.dist-info" / "entry_points.txt"
    entries.write_text(entries.read_text() + "broken = no.such.module:KIND\n")
    assert [option.flag for option in short_options()] == ["--games", "--sums"]


def test_an_environment_that_nobody_installed_is_refused_with_those_that_are():
    with pytest.raises(UnknownPart, match="no environment called 'sums'; there are: household, alfworld"):
        open_source(SumSettings())
