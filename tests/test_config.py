"""The configuration: a profile and its settings, resolved once; what cannot be used is named, with what could be."""

from pathlib import Path

import msgspec
import pytest

from engine.agents.settings import ExecutorSettings
from engine.config import OPEN, SECTIONS, ConfigError, load_config, load_file, load_profile, parse, profiles, to_toml
from engine.config.migration import migrate
from engine.core.parts import kind_of
from engine.environments.alfworld.settings import AlfworldSettings
from engine.environments.household.settings import HouseholdSettings
from engine.rollouts.groups.families_settings import FamiliesSettings

BEFORE = Path(__file__).parent / "configs_before_kinds"
"""What the version before open sections wrote into run directories."""


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


# What is no setting


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.stepz=3", r"no setting training\.stepz \(did you mean training\.steps\?\)"),
        ("training.Steps=3", r"did you mean training\.steps\?"),
        ("curator.top-p=0.9", r"did you mean curator\.top_p\?"),
        ("training.temperature=1", r"did you mean executor\.temperature or curator\.temperature\?"),
        ("training.zzz=1", r"no setting training\.zzz; training has: steps, groups, .*evaluate_groups"),
        ("training.steps.x=3", r"did you mean training\.steps\?"),
        (
            "trainin.steps=3",
            r"no section 'trainin' \(did you mean training\?\); the sections are: environment, .*curate",
        ),
        ("nowhere.steps=3", r"no section 'nowhere'; the sections are: environment, .*curate"),
        ("profile.steps=3", "profile is no section"),
        pytest.param(f"training.steps={'[' * 2000}", "training.steps: the value nests too deep", id="too-deep"),
        ("steps=3", r"section\.key=value.*did you mean training\.steps\?"),
        (
            "deadline=3",
            r"did you mean executor\.deadline_seconds or curator\.deadline_seconds or judge\.deadline_seconds\?",
        ),
        ("training.steps", r"section\.key=value"),
        ("environment.name=alfworld", r"no setting environment\.name; it is called environment\.kind"),
        ("training.families=uniform", r"no setting training\.families; it is called grouping\.weighting"),
        ("training.order=drawn", r"no setting training\.order; it is called grouping\.order"),
        ("rewards.judge=rubric", r"no setting rewards\.judge; it is called judge\.kind"),
        ("environment.split=train", r"no setting environment\.split unless environment\.kind=alfworld"),
        ("judge.temperature=1", r"no setting judge\.temperature unless judge\.kind=llm"),
        ("rewards.temperature=1", r"did you mean executor\.temperature or curator\.temperature\?"),
        ("", r"section\.key=value"),
    ],
)
def test_a_name_that_is_no_setting_is_refused_with_the_nearest_that_is(setting, message):
    with pytest.raises(ConfigError, match=message):
        load_profile("pocket", [setting])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profile = 'x'\n[traning]\nsteps = 3", r"no section 'traning' \(did you mean training\?\)"),
        ("profile = 'x'\n[training]\nstep = 3", r"no setting training\.step \(did you mean training\.steps\?\)"),
        ("profile = 'x'\nsteps = 3", "no section 'steps'"),
        ("profile = 'x'\ntraining = 3", "training is a section"),
        ("[training]\nsteps = 3", "profile is missing"),
        ("profile = 3", "profile is missing"),
        ("profile = ", "is not TOML"),
        (f"profile = 'x'\ntraining = {'[' * 5000}", "nest too deep"),
    ],
)
def test_a_file_is_read_as_strictly_as_a_setting(tmp_path, text, message):
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as raised:
        load_file(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("name", ["pockt", "Pocket", "pocket.toml"])
def test_a_profile_that_is_not_there_is_refused_with_the_nearest_and_all(name):
    with pytest.raises(ConfigError, match=r"\(did you mean pocket\?\); the profiles are: .*pocket"):
        load_profile(name)


def test_a_profile_like_none_is_refused_with_those_that_are():
    with pytest.raises(ConfigError, match=r"no profile 'huge'; the profiles are: .*pocket"):
        load_profile("huge")


# What a setting does not take


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.steps=many", "training.steps = 'many' cannot be used; expected a whole number, at least 1"),
        ("training.steps=0", "training.steps = 0 cannot be used; expected a whole number, at least 1"),
        ("training.steps=2.5", "training.steps = 2.5 cannot be used; expected a whole number"),
        ("training.steps=true", "training.steps = true cannot be used; expected a whole number"),
        ("training.steps=[1]", "training.steps = .1. cannot be used; expected a whole number"),
        ("training.steps=2000000", "at least 1 and at most 1000000"),
        ("training.tasks=1", "training.tasks = 1 cannot be used; expected a whole number, at least 2"),
        ("training.rollouts=1", "expected a whole number, at least 2"),
        ("training.seed=-1", "training.seed = -1 cannot be used; expected a whole number, at least 0 and below"),
        (
            "executor.deadline_seconds=0",
            "executor.deadline_seconds = 0 cannot be used; expected a finite number, over 0",
        ),
        ("curator.temperature=-1", "curator.temperature = -1 cannot be used; expected a finite number, at least 0"),
        ("curator.top_p=0", "expected a finite number, over 0 and at most 1"),
        ("rewards.empty_call_validity=2", "at least 0 and at most 1"),
        ("executor.reliability_weight=1.1", "at least 0 and at most 1"),
        ("training.learning_rate=inf", "training.learning_rate = inf cannot be used; expected a finite number"),
        ("training.kl=nan", "training.kl = nan cannot be used; expected a finite number"),
        (f"training.learning_rate={'1' * 400}", "expected a finite number"),
        (
            "review.policy=aut",
            r"review\.policy = 'aut' cannot be used; expected one of: approve_after, ask, auto, .*\(did you mean auto\?\)",
        ),
        ("model.dtype=float16", r"expected one of: bfloat16, float32 \(did you mean bfloat16\?\)"),
        ("training.kl_estimator=k1", "expected one of: k2, k3, k3_corrected"),
        ("audit.danger=3", "expected one of: block, pass, warn"),
        ("model.weights=3", "model.weights = 3 cannot be used; expected a text on one line"),
        ("model.weights=a\x7fb", "expected a text on one line"),
        ("model.weights=a\udcffb", "expected a text on one line"),
    ],
)
def test_a_value_that_is_not_taken_is_refused_with_what_is(setting, message):
    with pytest.raises(ConfigError, match=message) as raised:
        load_profile("pocket", [setting])
    assert len(str(raised.value)) < 300 and str(raised.value).isprintable()


def every_type():
    """Every type of settings that a section can have, as (section, kind or "", type)."""
    for section, base in SECTIONS.items():
        if section in OPEN:
            yield from ((section, kind, OPEN[section].part(kind).settings) for kind in OPEN[section].parts.names())
        else:
            yield section, "", base


@pytest.mark.parametrize(("section", "kind", "settings"), every_type())
def test_every_field_has_words_for_what_it_takes(section, kind, settings):
    """A type that `engine.core.refusals` cannot describe would be a traceback."""
    for field in msgspec.structs.fields(settings):
        chosen = [f"{section}.kind={kind}"] if kind else []
        with pytest.raises(ConfigError, match=rf"{section}\.{field.name} = {{}} cannot be used; expected "):
            load_profile("pocket", [*chosen, f"{section}.{field.name}={{}}"])


# A file over a profile, and a user's own profiles


@pytest.fixture
def mine(tmp_path):
    """A folder of a user's profiles, and a function that writes one."""

    def write(name, text):
        (tmp_path / f"{name}.toml").write_text(text)
        return tmp_path

    return write


def test_a_file_counts_over_its_profile_and_settings_over_both(mine):
    folder = mine("short", 'profile = "pocket"\n[training]\nsteps = 7\nseed = 5\n')
    config = load_config(folder / "short.toml", ["training.seed=6"])
    assert config == load_profile("pocket", ["training.steps=7", "training.seed=6"])


def test_the_profile_that_is_asked_for_counts_over_the_one_that_the_file_names(mine):
    folder = mine("short", 'profile = "nowhere"\n[training]\nsteps = 7\n')
    assert load_config(folder / "short.toml", profile="pocket") == load_profile("pocket", ["training.steps=7"])
    with pytest.raises(ConfigError, match="no profile 'nowhere'"):
        load_config(folder / "short.toml")


def test_a_file_without_a_profile_says_how_to_name_one(mine):
    folder = mine("short", "[training]\nsteps = 7\n")
    with pytest.raises(
        ConfigError, match=r'short\.toml names no profile: write profile = "pocket".* or give --profile'
    ):
        load_config(folder / "short.toml")


def test_a_users_own_profile_is_found_by_its_file_name_and_may_be_layered_on_a_shipped_one(mine):
    folder = mine("long", 'profile = "pocket"\n[training]\nsteps = 400\n')
    mine("bare", "[training]\nsteps = 9\n")
    assert profiles(folder) == [*profiles(), "bare", "long"] and profiles()[0] == "pocket"
    own, shipped = load_profile("long", folder=folder), load_profile("pocket", ["training.steps=400"])
    assert own == msgspec.structs.replace(shipped, profile="long")
    assert load_profile("bare", folder=folder).executor == ExecutorSettings()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pocket", "", r"pocket\.toml has the name of a shipped profile; rename it"),
        ("long", 'profile = "nowhere"', r"long\.toml: profile = 'nowhere' is no shipped profile \(pocket, "),
        ("long", "[training]\nstepz = 1", r"long\.toml: there is no setting training\.stepz"),
        ("long", "[training]\nsteps = 0", r"long\.toml: training\.steps = 0 cannot be used"),
        ("long", "steps =", r"long\.toml is not TOML"),
    ],
)
def test_a_mistake_in_a_users_own_profile_is_refused_with_its_file(mine, name, text, message):
    with pytest.raises(ConfigError, match=message):
        load_profile(name, folder=mine(name, text))


def test_what_an_option_implies_counts_over_the_profile_and_under_the_file(mine):
    folder = mine("short", 'profile = "pocket"\n[executor]\nhistory = 2\n')
    implied = {"pocket": ["executor.history=1", "executor.skills=1"]}.get
    executor = load_config(folder / "short.toml", implied=implied).executor
    assert (executor.history, executor.skills) == (2, 1)


# Sections of a kind


@pytest.mark.parametrize("section", OPEN)
def test_a_section_without_a_kind_is_of_the_default_kind(section):
    config = parse("profile = 'x'")
    assert kind_of(getattr(config, section)) == OPEN[section].default


def test_a_kinds_own_settings_are_read_and_kept():
    config = load_profile("pocket", ["environment.path=/games", "environment.kind=alfworld"])
    assert config.environment == AlfworldSettings(path="/games")
    assert parse(to_toml(config)) == config


def test_another_kind_starts_from_its_own_settings():
    """What the profile says of the kind before does not apply to it."""
    text = "profile = 'x'\n[environment]\nkind = 'alfworld'\nsplit = 'train'\n"
    assert parse(text, ["environment.kind=household"]).environment == HouseholdSettings()
    assert parse(text, ["environment.kind=alfworld"]).environment == AlfworldSettings(split="train")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("environment.kind=alfwrold", r"environment\.kind = 'alfwrold' cannot be used; .* \(did you mean alfworld\?\)"),
        ("model.kind=3", r"model\.kind = 3 cannot be used; expected a name"),
        ("judge.kind=oracle", r"there is no judge called 'oracle'; there are: rubric.*skillos\.judges"),
        ('review.gates=["adit"]', r"review\.gates: there is no gate called 'adit' \(did you mean audit\?\)"),
        ("review.gates=[1]", r"review\.gates = \[1\] cannot be used; expected a list, each a text on one line"),
        ("review.gates=audit", r"review\.gates = 'audit' cannot be used; expected a list, each a text on one line"),
    ],
)
def test_a_part_that_there_is_not_is_refused_with_the_nearest(setting, message):
    with pytest.raises(ConfigError, match=message):
        load_profile("pocket", [setting])


# Runs made before sections had kinds


def test_a_run_made_before_sections_had_kinds_opens_with_the_same_settings():
    config = load_file(BEFORE / "household.toml")
    todays = ("training.micro_batch_tokens=20480", "training.threads=0")  # what it has no value for is the default
    calls = ("executor.keep_calls=first", "curator.keep_calls=first")
    given = ["rewards.lambda_f=0.5", "grouping.weighting=uniform", "grouping.order=easy_to_hard", *todays, *calls]
    now = load_profile("pocket", given)
    assert config == now
    assert config.grouping == FamiliesSettings("uniform", "easy_to_hard")


def test_a_run_of_games_made_before_keeps_their_place_and_splits():
    config = load_file(BEFORE / "alfworld.toml")
    assert config.environment == AlfworldSettings("/games", "train", "valid_seen", 12)
    assert config.executor.decoding == "loglikelihood"


def test_a_value_that_was_renamed_has_todays_name():
    migrated = migrate({"profile": "x", "executor": {"decoding": "choose"}})
    assert migrated == {"profile": "x", "executor": {"decoding": "loglikelihood"}}


def test_what_has_todays_names_is_not_changed_by_the_migration():
    data = {"profile": "x", "environment": {"kind": "household", "path": "/games"}, "training": 3}
    assert migrate(data) == data


def test_only_a_runs_own_configuration_may_use_old_names(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('profile = "pocket"\n[environment]\nname = "household"\n')
    with pytest.raises(ConfigError, match=r"mine\.toml: there is no setting environment\.name; it is called"):
        load_config(path)
    assert load_file(path).environment == HouseholdSettings()


def test_a_kept_configuration_that_is_no_text_is_refused_with_its_path(tmp_path):
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
