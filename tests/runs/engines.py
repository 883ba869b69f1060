"""Starting and killing stand-in engines, for the tests of this package."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from engine.runs.store import Run

STAND_IN = [sys.executable, "-m", "tests.runs.stand_in"]
ROOT = Path(__file__).parents[2]


def worker(behaviour: str) -> list[str]:
    """The stand-in as a worker command; the supervisor adds the run's directory at the end."""
    code = f"import sys; from tests.runs.stand_in import main; sys.exit(main(sys.argv[1], {behaviour!r}))"
    return [sys.executable, "-c", code]


def wait_until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    """Poll until `condition` holds; an `AssertionError` when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def spawn(run: Run, behaviour: str) -> subprocess.Popen[bytes]:
    """A stand-in engine as a child process, once it holds the run's lock."""
    child = subprocess.Popen([*STAND_IN, str(run.path), behaviour], cwd=ROOT, stdout=subprocess.DEVNULL)
    wait_until(run.engine_alive)
    return child


def kill(child: subprocess.Popen[bytes]) -> None:
    """kill -9, and wait until the process is gone."""
    child.kill()
    child.wait(10)
