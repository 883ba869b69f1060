"""No test reads or writes what the user's own workbench keeps: programs started by a test get a state folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workbench.tmux import Tmux


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's state folder, for this test and the programs that it starts."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))
    return tmp_path / "state-home"


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    """A terminal in tmux, gone after the test."""
    tmux = Tmux(tmp_path)
    try:
        yield tmux
    finally:
        tmux("kill-server")
