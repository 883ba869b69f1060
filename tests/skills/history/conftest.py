"""The folder that most tests of the history begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.skills import Skill
from tests.skills.folders import MUGS, put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one skill that has a script, one flat skill, and something else; no git yet."""
    folder = tmp_path / "skills"
    put(folder, "mugs/SKILL.md", MUGS)
    put(folder, "mugs/scripts/look.sh", "ls\r\n")
    (folder / "mugs/scripts/look.sh").chmod(0o755)
    put(folder, "cups.md", Skill.make("cups", "Use for cups.", "Cups.\r\n").text)
    put(folder, "notes.bin", b"\x00\xff")
    return folder
