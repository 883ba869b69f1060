"""The configuration: a profile and its settings, resolved once; what cannot be used is named by its key."""

import pytest

from engine.config import ConfigError, load_file, load_profile, parse, profiles, to_toml


@pytest.mark.parametrize("name", profiles())
def test_a_shipped_profile_is_read_back_from_what_a_run_keeps(name):
    config = load_profile(name)
    assert parse(to_toml(config)) == config


def test_settings_override_the_profile_whatever_their_type():
    config = load_profile(
        "pocket", ["training.steps=3", "rewards.lambda_f=0.5", "review.policy=auto", 'model.device="cpu"']
    )
    assert (config.training.steps, config.rewards.lambda_f) == (3, 0.5)
    assert (config.review.policy, config.model.device) == ("auto", "cpu")


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("steps=3", "section.key=value"),
        ("training.stepz=3", "stepz"),
        ("nowhere.steps=3", "nowhere"),
        ("profile.steps=3", "profile is no section"),
        ("training.steps=many", r"\$\.training\.steps"),
        ("training.steps=0", r">= 1.*\$\.training\.steps"),
        ("training.tasks=1", r">= 2.*\$\.training\.tasks"),
        ("training.rollouts=1", r">= 2.*\$\.training\.rollouts"),
        ("executor.deadline_seconds=0", r"\$\.executor\.deadline_seconds"),
        ("curator.temperature=-1", r"\$\.curator\.temperature"),
        ("rewards.empty_call_validity=2", r"\$\.rewards\.empty_call_validity"),
        ("executor.reliability_weight=1.1", r"\$\.executor\.reliability_weight"),
        pytest.param(f"training.steps={'[' * 2000}", "training.steps: the value nests too deep", id="too-deep"),
        ("training.micro_batch=7", "7; it must divide the 160 samples"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(setting, told):
    with pytest.raises(ConfigError, match=told):
        load_profile("pocket", [setting])


def test_a_kept_configuration_that_is_no_text_is_told_with_its_path(tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes(b"profile = \xff")
    with pytest.raises(ConfigError, match=r"config\.toml is not UTF-8"):
        load_file(path)
    path.write_text(f"profile = {'[' * 2000}")
    with pytest.raises(ConfigError, match=r"config\.toml cannot be read: .* too deep"):
        load_file(path)
    path.unlink()
    with pytest.raises(ConfigError, match=r"cannot read .*config\.toml"):
        load_file(path)


def test_a_profile_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(ConfigError, match=r"'huge'; the profiles are: .*pocket"):
        load_profile("huge")
