"""A command of the engine as a process of its own: what it imports stays out of the workbench.

done = command("plan", "--profile", "pocket")
done.status, done.lines
"""

from __future__ import annotations

import subprocess
import sys

import msgspec

from engine.runs.errors import RunError

SECONDS = 120.0


class Done(msgspec.Struct, frozen=True):
    """The exit status of a command, and the lines that it printed, those of its errors last."""

    status: int
    lines: tuple[str, ...]


def command(*arguments: str, seconds: float = SECONDS) -> Done:
    """Run `skillos-engine ARGUMENTS`. Raises `RunError` where it does not end within so many seconds."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "engine.cli", *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise RunError(
            f"`skillos-engine {arguments[0]}` did not end within {seconds:g} s; try it in a shell"
        ) from error
    return Done(done.returncode, tuple((done.stdout + done.stderr).splitlines()))
