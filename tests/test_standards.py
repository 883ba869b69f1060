"""The house rules that a program can check: style, types, and which room may import which."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "engine", "skillos_tui", "tests"],
        ["ruff", "format", "--check", "engine", "skillos_tui", "tests"],
        ["mypy"],
        ["importlinter.cli"],
    ],
    ids=["style", "format", "types", "floors"],
)
def test_the_house_rules_hold(command):
    program = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    if command[0] != "importlinter.cli":
        program = [sys.executable, "-m", *command]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_of_code_has_over_five_hundred_lines():
    files = [path for package in ("engine", "skillos_tui") for path in (ROOT / package).rglob("*.py")]
    assert [str(path) for path in files if len(path.read_text("utf-8").splitlines()) > 500] == []
