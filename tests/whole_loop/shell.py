"""The real command line in processes of its own, on runs as small as a run can be.

done = skillos("train", *TINY, "--steps", 2, "--run", path)
assert done.returncode == 0, done.stderr
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from engine.config import load_profile
from engine.environments.registry import open_source
from engine.evaluation.verify import Means, verify
from engine.evaluation.verify.tokens import load
from engine.runs.directory import Run
from engine.runs.status import loading

ROOT = Path(__file__).parents[2]
TINY = [
    *("--profile", "pocket", "--set", "training.groups=1", "training.rollouts=2"),
    *("training.evaluate_every=2", "training.evaluate_groups=2"),
]
ROWS = 10
SMALLEST = [
    *("--profile", "pocket", "--set", "training.groups=1", "training.rollouts=2", "training.tasks=2"),
    "training.evaluate_groups=2",
]
"""As little as a step can be; `training.evaluate_every` is for each test to say."""
SECONDS = 600
"""A command or a wait that takes longer is in vain, however slow the machine is."""


def command(*arguments, first=""):
    """What starts `skillos-engine` with `arguments`; the new process does `first` before."""
    code = f"{first}\nfrom engine.cli import main\nraise SystemExit(main())"
    return [sys.executable, "-c", code, *map(str, arguments)]


def skillos(*arguments, first=""):
    """`skillos-engine` with `arguments`, run to its end."""
    return subprocess.run(
        command(*arguments, first=first), cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def told(*arguments):
    """What a command that succeeds prints."""
    done = skillos(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def status(path):
    return json.loads(told("status", path, "--json"))


def wait_until(condition):
    """Poll until `condition` gives something true, and return it."""
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def has_turn(run, step, after=0, *, held_out=False):
    """Whether an executor turn of `step`, or of the measurement after it, is in the log after event `after`."""
    turns = (stored.event.at for stored in run.events(after=after, kinds=["turn_taken"]))
    return any((at.step, at.held_out) == (step, held_out) for at in turns)


def copy_of(run, folder, *without):
    """A copy of the run's directory under `folder`, whose database may be spoiled; files `without` are left out."""
    return Path(shutil.copytree(run.path, folder / "copy", ignore=shutil.ignore_patterns(*without)))


def verified(run):
    """The whole verification of a run of the pocket model, by its own tokenizer and world."""
    world = open_source(run.config.environment)
    return verify(run.stream(), run.config, run.kind, means=lambda config: Means(pocket_tokens(), world, world))


@cache
def pocket_tokens():
    return load(load_profile("pocket"))


@contextmanager
def frozen(run):
    """The engine does nothing meanwhile: what is done to it then meets it where it was, and not one step later."""
    engine = run.engine()
    assert engine is not None
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if engine.alive():
            os.kill(engine.pid, signal.SIGCONT)


def kill_engine(run):
    """kill -9, and wait until the process is gone."""
    engine = run.engine() or loading(run)
    assert engine is not None
    os.kill(engine.pid, signal.SIGKILL)
    wait_until(lambda: not engine.alive())


def clear_away(folder):
    """End the engines that a test left at work on the runs in `folder`."""
    for database in folder.glob("*/run.db"):
        with Run.open(database.parent) as run:
            if run.engine_alive() or loading(run):
                kill_engine(run)
