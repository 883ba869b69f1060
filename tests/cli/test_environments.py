"""An environment's own commands: ALFWorld's `games`, and those of an installed package."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import msgspec
import pytest

from engine.cli import main
from engine.cli.common import Commands, add_command
from tests.environments.free_text import KIND
from tests.extending.installed import install


def _add(options: argparse.Namespace) -> int:
    print(options.one + options.other)
    return 0


def add_commands(commands: Commands) -> None:
    """The commands of the sums."""
    add = add_command(commands, "add", "add two numbers", _add)
    add.add_argument("one", type=int)
    add.add_argument("other", type=int)


def add_a_command_that_is_there(commands: Commands) -> None:
    add_command(commands, "status", "another status", _add)


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Callable[[str], None]:
    """Installs the environment of sums with a function that adds commands."""

    def make(command: str) -> None:
        monkeypatch.setattr("tests.environments.free_text.KIND", msgspec.structs.replace(KIND, command=command))
        install(tmp_path, monkeypatch, "skillos.environments", sums="tests.environments.free_text:KIND")

    return make


def test_an_environment_of_a_package_adds_commands_by_its_kind(installed, capsys) -> None:
    installed("tests.cli.test_environments:add_commands")
    assert main(["add", "40", "2"]) == 0
    assert capsys.readouterr().out == "42\n"
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "add two numbers" in shown and "list ALFWorld games" in shown


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("no.such.module:add_commands", "No module named 'no'"),
        ("add_commands", "is not of the form module:attribute"),
        ("tests.cli.test_environments:nothing", "has no attribute 'nothing'"),
        ("tests.cli.test_environments:add_a_command_that_is_there", "conflicting subparser: status"),
    ],
)
def test_commands_that_cannot_be_added_keep_no_other_command_from_working(installed, capsys, command, why) -> None:
    installed(command)
    assert main(["runs"]) == 0
    capsys.readouterr()
    assert main(["sums"]) == 1
    shown = capsys.readouterr().err
    assert f"the commands of the environment sums ({command}) cannot be added: " in shown and why in shown
