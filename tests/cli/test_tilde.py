"""`~` means home in every argument and every setting that is a path, also where the shell did not expand it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.cli.program import parser
from engine.config import OPEN, SECTIONS
from engine.core.docstrings import field_docs
from engine.core.paths import run_argument
from engine.jobs.registry import JOBS
from engine.review.gates.registry import GATES
from skillos_tui.client.messages import StartRun
from skillos_tui.client.start import StartError, check_request
from skillos_tui.command import _parser as workbench_parser
from skillos_tui.command import find_run
from tests.cli.shell import shell
from tests.environments.alfworld_games import write_packed

PATHLIKE = re.compile(r"\b(path|dir|directory|folder|file|zip|checkout|games|repo|repository|run)\b", re.IGNORECASE)
NO_PATHS = {
    "profile",
    "model",  # a name or a path, which `models` expands itself
    "of_run",
    "ref",
    "commit",
    "names",
    "accept",
    "replace",
    "name",
    "game",
    "query",
    "set",
    "split",
    "reason",
    "edit",
    "key",
}
"""Arguments whose help speaks of a run or a file, and that name something else."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that is not the working directory, and where user data is kept."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.chdir(elsewhere)
    return home


def arguments(command: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from arguments(child)
        elif action.nargs != 0:
            yield command.prog, action


@pytest.mark.parametrize("program", [parser, workbench_parser], ids=["engine", "workbench"])
def test_every_argument_that_names_a_path_has_the_type_of_paths(program) -> None:
    untyped = [
        f"{command} {action.dest}"
        for command, action in arguments(program())
        if action.type not in (Path, run_argument)
        and not action.choices
        and action.type in (None, str)
        and action.dest not in NO_PATHS
        and PATHLIKE.search(f"{action.dest} {action.metavar} {action.help}")
    ]
    assert untyped == []


def test_every_setting_that_names_a_path_has_the_type_of_paths() -> None:
    kinds = [section.part(name).settings for section in OPEN.values() for name in section.parts.names()]
    fixed = [settings for name, settings in SECTIONS.items() if name not in OPEN]
    more = [part.settings for part in (*JOBS.load_all()[0], *GATES.load_all()[0])]
    named = re.compile(r"\b(path|directory|folder|file)\b|checkpoint, or", re.IGNORECASE)
    untyped = [
        f"{settings.__name__}.{field.name}"
        for settings in {*kinds, *fixed, *more}
        for field in msgspec.structs.fields(settings)
        if named.search(field_docs(settings).get(field.name, "")) and field.name != "prompts" and field.type is str
    ]
    assert untyped == []


def test_a_run_its_repository_and_its_games_are_below_home(home: Path) -> None:
    write_packed(home / "games")
    done = shell(
        *("curate", "--profile", "pocket", "--repo=~/s", "--run=~/r", "--games=~/games", "--tasks", "1"),
        *("--review", "auto", "--set", "executor.deadline_seconds=20", "--detach"),
    )
    assert done.code == 0, done.err
    shell("stop", "~/r")
    assert (home / "r/run.db").is_file() and (home / "s").is_dir()
    assert f'path = "{home}/games"' in (home / "r/config.toml").read_text()
    assert shell("status", "~/r").out.startswith("r: curate pocket")
    assert f"no skill in {home}/s:" in shell("skills", "~/r", "list").err
    assert list(Path.cwd().iterdir()) == []
    assert find_run(run_argument("~/r"), None) == home / "r"


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("environment.path=~/games", "path"),
        ('environment.path="~/games"', "path"),
        ("model.weights=~/games", "weights"),
        ("curate.adapter=~/games", "adapter"),
    ],
)
def test_a_path_in_a_setting_is_below_home(home: Path, setting: str, key: str) -> None:
    done = shell("config", "--profile", "pocket", "--toml", "--set", "environment.kind=alfworld", setting)
    assert f'{key} = "{home}/games"' in done.out


def test_a_path_in_a_file_and_in_a_profile_is_below_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    text = 'profile = "pocket"\n[environment]\nkind = "alfworld"\npath = "~/games"\n'
    (home / "f.toml").write_text(text)
    assert f'path = "{home}/games"' in shell("config", "--config=~/f.toml", "--toml").out
    own = home / "config/skillos-tui/profiles"
    own.mkdir(parents=True)
    (own / "mine.toml").write_text(text)
    assert f'path = "{home}/games"' in shell("config", "--profile", "mine", "--toml").out


def test_skills_go_in_and_out_below_home(home: Path) -> None:
    skill = home / "a/hello/SKILL.md"
    skill.parent.mkdir(parents=True)
    skill.write_text("---\nname: hello\ndescription: Use to greet.\n---\nSay hello.\n")
    assert shell("skills", "~/a", "export", "~/out.zip").code == 0
    assert (home / "out.zip").is_file()
    assert shell("skills", "~/b", "import", "~/out.zip").code == 0
    assert "hello" in shell("skills", "~/b").out
    assert list(Path.cwd().iterdir()) == []


def test_games_are_read_and_made_below_home(home: Path) -> None:
    assert shell("games", "generate", "--out=~/made", "--count", 1, "--seed", 1, "--size", "small").code == 0
    assert shell("games", "--path=~/made").out.startswith(f"{home}/made: 1 games")


def test_a_home_that_nobody_has_is_a_sentence_and_makes_nothing(home: Path) -> None:
    for given in (
        ["--run=~nobody-at-all/r"],
        ["--set", "environment.kind=alfworld", "environment.path=~nobody-at-all/g"],
    ):
        done = shell("curate", "--profile", "pocket", "--repo=~/s", *given)
        assert done.code in (1, 2) and "~nobody-at-all has no home folder" in done.err
    assert list(home.iterdir()) == [] and list(Path.cwd().iterdir()) == []


def test_the_workbenchs_dialog_expands_its_fields(home: Path) -> None:
    settings = ("environment.kind=alfworld", "environment.path=~/games")
    write_packed(home / "games")
    config, repo = check_request(StartRun("curate", "pocket", settings, repo=Path("~/s")), Path("/none"))
    assert repo == home / "s" and config.environment.path == str(home / "games")
    with pytest.raises(StartError, match="~nobody-at-all has no home folder"):
        check_request(StartRun("curate", "pocket", repo=Path("~nobody-at-all/s")), Path("/none"))
