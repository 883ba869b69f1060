"""`skillos-engine config`: every setting with its type, default and meaning, and the configuration that a run would have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.config import default_config, load_profile, parse
from engine.config.help import described
from tests.cli.shell import shell

SETTINGS = [setting for section in described(default_config()) for setting in section.settings]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_setting_has_a_docstring_and_is_listed_with_it(setting) -> None:
    assert setting.doc.endswith("."), f"write a docstring under the field {setting.key}"
    listed = shell("config", setting.key).out
    assert listed.split("\n\n")[-1].startswith(f"{setting.key} = ")
    for text in (setting.allowed, setting.doc):
        assert text in " ".join(listed.split())


def test_every_section_and_kind_is_listed_with_what_it_is_for() -> None:
    listed = shell("config").out
    for section in described(default_config()):
        assert section.doc and section.doc in " ".join(listed.split())
    assert '[environment] kind = "household"' in listed
    assert '[environment] kind = "alfworld"  (not chosen: environment.kind is another)' in listed


@pytest.mark.parametrize("key", ["environment", "environment.kind"])
def test_a_section_of_a_kind_is_listed_with_every_kind(key: str) -> None:
    listed = shell("config", key).out
    assert 'kind = "household"' in listed and 'kind = "alfworld"' in listed and "[training]" not in listed


def test_without_a_profile_the_defaults_are_listed_and_with_one_its_values_beside_them() -> None:
    assert "training.steps = 60\n" in shell("config", "training").out
    assert "training.steps = 40  (default 60)\n" in shell("config", "training", "--profile", "pocket").out
    changed = shell("config", "training.steps", "--profile", "pocket", "--set", "training.steps=3").out
    assert "training.steps = 3  (default 60)\n" in changed


def test_as_json_a_setting_has_its_type_default_value_and_documentation() -> None:
    ((section,),) = (json.loads(shell("config", "curate.tasks", "--profile", "pocket", "--json").out),)
    assert section["name"] == "curate" and section["chosen"] is True
    assert section["settings"] == [
        {
            "key": "curate.tasks",
            "allowed": "a whole number, at least 1 and at most 1000000",
            "default": 60,
            "value": 60,
            "doc": "How many tasks the run plays.",
        }
    ]


def test_as_toml_it_is_the_configuration_that_a_run_would_keep(tmp_path: Path) -> None:
    printed = shell("config", "--profile", "pocket", "--set", "training.seed=2", "environment.kind=alfworld", "--toml")
    assert parse(printed.out) == load_profile("pocket", ["training.seed=2", "environment.kind=alfworld"])
    (tmp_path / "mine.toml").write_text(printed.out)
    assert shell("config", "--config", tmp_path / "mine.toml", "--toml").out == printed.out


def test_a_key_that_there_is_not_is_refused_with_the_nearest() -> None:
    done = shell("config", "training.stepz")
    assert done.code == 1 and "(did you mean training.steps?)" in done.err


def test_a_file_is_layered_on_the_profile_it_names_and_set_on_both(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('profile = "pocket"\n[training]\nsteps = 7\nseed = 5\n')
    printed = shell("config", "--config", path, "--set", "training.seed=6", "--toml").out
    assert parse(printed) == load_profile("pocket", ["training.steps=7", "training.seed=6"])


def test_a_mistake_in_a_file_is_refused_with_the_file_and_the_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('profile = "pocket"\n[training]\nstepz = 7\n')
    done = shell("config", "--config", path)
    assert done.code == 1
    assert f"{path}: there is no setting training.stepz (did you mean training.steps?)" in done.err


def test_an_option_for_a_setting_counts_over_the_file_and_what_it_implies_under_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('profile = "pocket"\n[executor]\ndecoding = "generate"\n[curate]\ntasks = 9\n')
    done = shell("curate", "--config", path, "--repo", tmp_path / "R", "--tasks", 0, "--games", tmp_path)
    assert done.code == 1 and "curate.tasks = 0 cannot be used" in done.err
    assert "executor.decoding=loglikelihood" not in done.out


def test_the_settings_of_a_model_of_a_roles_own_are_described_once_and_listed_where_they_are_asked_for() -> None:
    listed = shell("config").out
    assert "model.weights = " in listed
    assert "judge_model.weights = " not in listed and "executor_model.weights = " not in listed
    assert '[judge_model] kind = "same"' in listed and "skillos-engine config model" in listed
    assert "judge_model.weights = " in shell("config", "judge_model.weights").out
    chosen = shell("config", "judge_model", "--profile", "pocket", "--set", "judge_model.kind=local").out
    assert 'judge_model.weights = "pocket"' in chosen


def test_a_section_is_set_as_a_whole_or_by_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('profile = "pocket"\njudge_model = { kind = "local", context = 999 }\n')
    of_file = shell("config", "--config", path, "--toml").out
    whole = shell("config", "--profile", "pocket", "--set", 'judge_model={kind="local", context=999}', "--toml").out
    by_key = ("--set", "judge_model.kind=local", "judge_model.context=999")
    assert of_file == whole == shell("config", "--profile", "pocket", *by_key, "--toml").out
    config = parse(whole)
    assert config.model_of("judge") == config.judge_model != config.model_of("executor") == config.model
    assert (config.model_section("judge"), config.model_section("executor")) == ("judge_model", "model")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('judge_model={kind="local"', "is not of the form section.key=value"),
        ("judge_model=local", "is not of the form section.key=value"),
        ('judge_modle={kind="local"}', "there is no section 'judge_modle' (did you mean judge_model?)"),
        ("judge_model={wieghts=1}", "there is no setting judge_model.wieghts"),
        ("judge_model.weights=x", "there is no setting judge_model.weights unless judge_model.kind=local"),
        ("model.kind=same", "there is no model backend called 'same'"),
        ('model={kind="same"}', "there is no model backend called 'same'"),
    ],
)
def test_a_section_that_cannot_be_set_is_refused(setting: str, message: str) -> None:
    done = shell("config", "--profile", "pocket", "--set", setting)
    assert done.code == 1 and message in done.err
