"""Starting and killing stand-in engines, for the tests of this package."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from engine.runs.directory import Run
from engine.runs.process import LOCK_FILE, recorded
from engine.runs.status import loading

STAND_IN = [sys.executable, "-m", "tests.runs.stand_in"]
ROOT = Path(__file__).parents[2]
WORKER = """
import asyncio, sys, time; from engine import worker; from engine.core.events import RunStarted
async def wait(run, writer, control, prepared=None):
    writer.emit(RunStarted("train", "pocket", 3, 1)); writer.flush()
    JOB
worker._run, worker.GONE_SECONDS = wait, 1; worker.main()
"""
"""The true worker with another job, for `true_worker`."""
WAITS = "await control.interruptible(asyncio.sleep(60))"
COMPUTES = "await asyncio.to_thread(time.sleep, 60)"
READS = "\n    while True: run.config; await asyncio.sleep(0.01)"
SECONDS = 120.0
"""A wait that takes longer is in vain, however slow the machine is."""


def worker(behaviour: str) -> list[str]:
    """The stand-in as a worker command; the supervisor adds the run's directory at the end."""
    code = f"import sys; from tests.runs.stand_in import main; sys.exit(main(sys.argv[1], {behaviour!r}))"
    return [sys.executable, "-c", code]


def true_worker(job: str = WAITS) -> list[str]:
    """The engine's worker, which does the code `job` instead of a run's job; the run's directory is added at the end."""
    return [sys.executable, "-c", WORKER.replace("JOB", job)]


def following(path: Path, behaviour: str = "idle") -> subprocess.Popen[str]:
    """`skillos-engine train` in a process of its own, which follows the stand-in, as an interactive shell starts it.

    A shell without job control lets what it starts in the background ignore Ctrl+C, and so may be how these tests run.
    """
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"from engine.cli import main; sys.exit(main(sys.argv[1:], worker={worker(behaviour)!r}))"
    )
    command = [sys.executable, "-c", code, "train", "--profile", "pocket", "--run", path]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(condition: Callable[[], object]) -> None:
    """Poll until `condition` holds; an `AssertionError` when it does not for so long that it never will."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def spawn(run: Run, behaviour: str) -> subprocess.Popen[bytes]:
    """A stand-in engine as a child process, once it holds the run's lock and has recorded itself there."""
    child = subprocess.Popen([*STAND_IN, str(run.path), behaviour], cwd=ROOT, stdout=subprocess.DEVNULL)
    wait_until(lambda: (engine := recorded(run.path / LOCK_FILE)) is not None and engine.pid == child.pid)
    return child


def kill(child: subprocess.Popen[bytes]) -> None:
    """kill -9, and wait until the process is gone."""
    child.kill()
    child.wait(SECONDS)


def kill_engine(run: Run) -> None:
    """kill -9 for the engine of a run, if it has one that lives or is about to begin; and wait until it is gone."""
    for process in (run.engine(), loading(run)):
        if process is not None:
            os.kill(process.pid, signal.SIGKILL)
            wait_until(lambda process=process: not process.alive())
