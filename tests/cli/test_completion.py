"""Shell completion: real shells load the script and offer the commands, their options and their choices."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.core.shell_completion import SHELLS
from tests.cli.shell import shell

ROOT = Path(__file__).parents[2]


def offered(script: str, program: str, *words: str) -> list[str]:
    """What bash offers for the last of `words` after `program`."""
    line = [program, *words]
    quoted = " ".join(f"'{word}'" for word in line)
    ask = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _shtab_{program.replace('-', '_')}"
    ask += "; printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(
        ["bash", "--norc", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout.split()


def test_bash_offers_commands_options_and_choices() -> None:
    script = shell("completion", "bash").out
    assert {"train", "curate", "config"} <= set(offered(script, "skillos-engine", ""))
    assert offered(script, "skillos-engine", "cur") == ["curate"]
    assert offered(script, "skillos-engine", "train", "--st") == ["--steps"]
    assert offered(script, "skillos-engine", "curate", "--review", "a") == ["approve_after", "ask", "auto"]
    assert "pyproject.toml" in offered(script, "skillos-engine", "train", "--config", "pyproj")


@pytest.mark.parametrize("name", SHELLS)
def test_each_shell_can_read_its_script(name: str) -> None:
    done = shell("completion", name)
    assert done.code == 0 and "skillos-engine" in done.out
    if program := shutil.which(name):
        subprocess.run([program, "-n"], input=done.out, text=True, check=True)


def test_the_workbench_has_completion_too_and_needs_no_terminal_for_it() -> None:
    command = [sys.executable, "-m", "skillos_tui", "--completion", "bash"]
    script = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert offered(script, "skillos-tui", "--th") == ["--theme"]


def test_another_shell_is_wrong_usage() -> None:
    done = shell("completion", "cmd.exe")
    assert done.code == 2 and "bash" in done.err
