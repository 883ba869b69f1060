"""A text for the person's clipboard: by OSC 52, and through tmux where the program runs in it, which drops OSC 52.

part = bounded(text)
loaded = load_into_tmux(part)          # in a thread: waits for a process
"""

from __future__ import annotations

import os
import subprocess

MAX_BYTES = 100_000
"""The most that is copied; many terminals drop longer texts."""
TMUX_SECONDS = 2.0


def bounded(text: str) -> str:
    """The first whole lines of `text` that are at most `MAX_BYTES`, and of a longer line its beginning."""
    data = text.encode(errors="replace")
    if len(data) <= MAX_BYTES:
        return text
    part = data[:MAX_BYTES].decode(errors="ignore")
    return part[: part.rfind("\n")] if "\n" in part else part


def in_tmux() -> bool:
    """Whether the terminal is one of tmux."""
    return bool(os.environ.get("TMUX"))


def load_into_tmux(text: str) -> bool:
    """Give the text to tmux, which passes it on to the terminal around it; false where tmux refuses it or is too slow."""
    try:
        done = subprocess.run(
            ("tmux", "load-buffer", "-w", "-"),
            input=text.encode(errors="replace"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TMUX_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
