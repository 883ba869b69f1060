"""Folders of skills for tests: write files, read all of them, run git."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from engine.skills import Skill

GIT = shutil.which("git")
MUGS = Skill.make("mugs", "Use when a mug is wanted.", "Mugs are in the safe.\n").text
NEW_MUGS = MUGS.replace("safe", "box")


def put(root: Path, path: str, content: str | bytes) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def files(root: Path) -> dict[str, bytes]:
    """Every file under `root` but git's own, by path."""
    found = (file for file in sorted(root.rglob("*")) if file.is_file() and ".git" not in file.relative_to(root).parts)
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in found}


def git(root: Path, *arguments: str) -> str:
    if GIT is None:
        pytest.skip("git is not installed")
    command = [GIT, "-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
