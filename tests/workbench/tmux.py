"""A terminal in tmux for tests: its own server, one window, the text that it shows. The fixture `tmux` is in conftest."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path


class Tmux:
    """A tmux server of its own with one window of 120 by 40, in which a shell runs."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "tmux"
        self("new-session", "-d", "-x", "120", "-y", "40", "-s", "test", "bash --norc --noprofile")
        self("set-option", "-g", "escape-time", "10")

    def __call__(self, *command: str) -> str:
        call = ["tmux", "-f", "/dev/null", "-S", str(self._socket), *command]
        return subprocess.run(call, check=True, capture_output=True, text=True).stdout

    def keys(self, *keys: str) -> None:
        self("send-keys", "-t", "test", *keys)

    @property
    def text(self) -> str:
        return self("capture-pane", "-p", "-t", "test")

    def until(self, wanted: str | Callable[[], object], seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not (wanted in self.text if isinstance(wanted, str) else wanted()):
            assert time.monotonic() < deadline, f"waited for {wanted!r}; the screen:\n{self.text}"
            time.sleep(0.05)

    def settled(self) -> str:
        """The screen, once it has not changed for half a second."""
        before, text = "", self.text
        while text != before:
            time.sleep(0.5)
            before, text = text, self.text
        return text
