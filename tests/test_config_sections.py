"""The sections of the configuration that chosen gates and kinds of run bring along."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import msgspec
import pytest

from engine.config import ConfigError, load_config, load_file, load_profile, parse, to_toml
from engine.core.fields import Positive
from engine.core.options import Option
from engine.core.parts import Settings
from engine.jobs.base import JobKind
from engine.jobs.registry import JOBS
from engine.review.gates.base import GateContext
from engine.review.gates.registry import GATES, GateKind
from engine.runs.directory import Run
from engine.system.preflight import absolute, check
from tests.cli.shell import shell
from tests.extending.installed import install


class ShortSettings(Settings, frozen=True):
    """How long a skill may be."""

    limit: Positive = 100
    """The most characters."""

    words: str = ""
    """A file of words."""

    def absolute(self) -> ShortSettings:
        return msgspec.structs.replace(self, words=f"/absolute/{self.words}")


class CountSettings(Settings, frozen=True):
    """What is counted."""

    games: Positive = 3
    """How many games."""

    style: str = "plain"
    """How they are counted."""


def refuse_long(settings: ShortSettings) -> None:
    if settings.limit > 1000:
        raise ConfigError(f"short.limit={settings.limit} is too long")


def gate(name: str, settings: type[Settings] = ShortSettings) -> GateKind:
    return GateKind(name=name, settings=settings, check=refuse_long, open=lambda context: context)


COUNT = JobKind(
    name="count",
    settings=CountSettings,
    unit="game",
    total=lambda config: config.settings_of(COUNT).games,
    trains=False,
    forks=True,
    work="nowhere:Count",
    options=(Option("--games-to-count", "count.games", "how many games"),),
)
KINDS = {"SHORT": gate("short"), "TRAINING": gate("training"), "PLAIN": gate("plain", Settings), "COUNT": COUNT}
CHOSEN = 'review.gates=["format","short"]'


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("counted")
    vars(module).update(KINDS)
    monkeypatch.setitem(sys.modules, "counted", module)
    names = ("short", "training", "plain")
    install(tmp_path / "gates", monkeypatch, "skillos.gates", **{name: f"counted:{name.upper()}" for name in names})
    install(tmp_path / "jobs", monkeypatch, "skillos.jobs", count="counted:COUNT")


# A gate's section


def test_a_chosen_gate_has_a_section_which_a_run_keeps() -> None:
    config = load_profile("pocket", [CHOSEN, "short.limit=40"])
    assert config.settings_of(GATES.load("short")) == ShortSettings(limit=40)
    assert "[short]\nlimit = 40\n" in to_toml(config)
    assert parse(to_toml(config)) == config


def test_a_gate_that_is_set_nowhere_is_kept_with_its_defaults() -> None:
    assert "[short]\nlimit = 100\n" in to_toml(load_profile("pocket", [CHOSEN]))


def test_a_gate_without_settings_has_no_section() -> None:
    config = load_profile("pocket", ['review.gates=["plain"]'])
    assert config.more == {} and config.settings_of(GATES.load("plain")) == Settings()


def test_the_shipped_gates_have_the_sections_that_they_had() -> None:
    config = load_profile("pocket", ["audit.similarity=0.5"])
    assert config.more == {} and config.settings_of(GATES.load("audit")) == config.audit


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["short.limit=40"], "there is no section short unless review.gates names the gate short"),
        ([CHOSEN, "short.limit=0"], r"short\.limit = 0 cannot be used; expected a whole number, at least 1"),
        ([CHOSEN, "short.limt=3"], r"there is no setting short\.limt \(did you mean short\.limit\?\)"),
        (["shrot.limit=3"], "there is no section 'shrot'"),
        (['review.gates=["training"]'], "the gate 'training' cannot have settings, for training is a name of the conf"),
    ],
)
def test_a_section_that_cannot_be_used_is_refused(settings: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_profile("pocket", settings)


def test_the_preflight_asks_the_gate_and_makes_its_paths_absolute() -> None:
    with pytest.raises(ConfigError, match=r"short\.limit=1001 is too long"):
        check(load_profile("pocket", [CHOSEN, "short.limit=1001"]), "train")
    config = absolute(load_profile("pocket", [CHOSEN, "short.words=list"]))
    assert config.settings_of(GATES.load("short")).words == "/absolute/list"


def test_a_runs_gate_is_opened_with_the_section(tmp_path: Path) -> None:
    from engine.review.checking import Gates

    text = to_toml(load_profile("pocket", [CHOSEN, "short.limit=7"]))
    with Run.create(tmp_path / "run", kind="train", config_text=text) as run:
        opened = dict(Gates(run)._gates)
    context = opened["short"]
    assert isinstance(context, GateContext) and context.settings == ShortSettings(limit=7)


# The section of a kind of run


def test_a_kind_of_run_has_a_section_with_what_is_set_over_its_defaults(tmp_path: Path) -> None:
    config = load_profile("pocket", ["count.games=9"])
    assert config.settings_of(JOBS.load("count")) == CountSettings(games=9)
    (tmp_path / "config.toml").write_text(to_toml(config))
    assert load_file(tmp_path / "config.toml") == config
    assert JOBS.load("count").total(config) == 9


def test_a_run_of_the_kind_keeps_its_section_also_where_nothing_sets_it(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('profile = "pocket"\n[count]\nstyle = "fancy"\n')
    assert load_profile("pocket", job="count").more == {"count": CountSettings()}
    assert load_config(tmp_path / "mine.toml", job="count").more == {"count": CountSettings(style="fancy")}
    assert load_profile("pocket").more == {} == load_profile("pocket", job="curate").more


def test_its_options_set_its_section() -> None:
    refused = shell("count", "--profile", "pocket", "--games-to-count", "0")
    assert (refused.code, refused.out) == (1, "")
    assert "count.games = 0 cannot be used; expected a whole number, at least 1" in refused.err


def test_a_shipped_kind_of_run_shares_the_section_of_its_name() -> None:
    assert load_profile("pocket", ["curate.tasks=9"]).settings_of(JOBS.load("curate")).tasks == 9


# The help


def test_the_help_lists_both_with_their_values() -> None:
    listed = shell("config", "short", "--profile", "pocket").out
    assert "[short]  (not chosen: review.gates does not name it)\nHow long a skill may be." in listed
    chosen = json.loads(
        shell("config", "short.limit", "--profile", "pocket", "--json", "--set", CHOSEN, "short.limit=9").out
    )
    assert chosen[0]["chosen"] and [chosen[0]["settings"][0][key] for key in ("value", "default", "doc")] == [
        9,
        100,
        "The most characters.",
    ]
    assert "count.games = 3\n    a whole number, at least 1\n    How many games." in shell("config", "count").out
