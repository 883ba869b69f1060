"""A command is imported when it is asked for, and the help, completion and errors know every command."""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib import import_module

import pytest

from engine.cli.program import COMMANDS, parser
from tests.cli.shell import shell


@pytest.mark.parametrize("module", COMMANDS)
def test_each_module_adds_the_commands_that_the_table_names(module: str) -> None:
    commands = argparse.ArgumentParser().add_subparsers()
    import_module(f"engine.cli.{module}").add_commands(commands)
    assert tuple(commands.choices) == COMMANDS[module]


def test_every_command_is_in_the_help_the_completion_and_the_error_of_an_unknown_one() -> None:
    names = [*(name for names in COMMANDS.values() for name in names), "games"]
    shown, completion, unknown = shell("--help"), shell("completion", "bash"), shell("statsu", "run")
    assert (shown.code, completion.code, unknown.code) == (0, 0, 2)
    for name in names:
        assert f"\n    {name}" in shown.out and name in completion.out and f"'{name}'" in unknown.err


def test_usage_and_help_of_one_command_are_as_in_the_whole_program() -> None:
    for name in ("status", "train", "skills"):
        subparsers = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
        assert shell(name, "--help").out == subparsers.choices[name].format_help()
    missing = shell("status")
    assert missing.code == 2 and "usage: skillos-engine status" in missing.err and "RUN" in missing.err


def test_a_command_imports_no_other_one() -> None:
    code = "import sys; from engine.cli import main; main(['status', 'nowhere']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(eval(done.stdout))
    others = {f"engine.cli.{module}" for module in COMMANDS if module != "status"}
    assert loaded & {*others, "yaml", "frontmatter", "asyncio", "engine.skills", "torch"} == set()
