"""Decisions that are interrupted: by SIGKILL beside their commit, or by the loss of what the log got."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from engine.core.events import Notice
from engine.runs.directory import Run
from tests.runs.engines import ROOT

DYING = """
import os, signal, sys
from engine.review import decisions
from engine.review import decisions as reviews
from engine.runs.directory import Run
from engine.skills.history.history import History

def dying(real):
    def call(*arguments, **named):
        if moment == "after":
            real(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    return call

path, action, edit, moment, *more = sys.argv[1:]
History.commit, History.revert = dying(History.commit), dying(History.revert)
getattr(reviews, action)(Run.open(path), edit, "ann", *more)
"""


def die(run: Run, action: str, edit_id: str, moment: str, *more: str) -> None:
    """Take a decision in a process that is killed by SIGKILL just before or just after its commit."""
    command = [sys.executable, "-c", DYING, str(run.path), action, edit_id, moment, *more]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL


@contextmanager
def lost_events(run: Run) -> Iterator[None]:
    """What the block writes to the database is lost, as with a lost WAL."""
    run.close()
    saved = run.path.with_name("saved.db")
    with run.db.borrow() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    run.close()
    shutil.copy(run.path / "run.db", saved)
    yield
    run.close()
    for name in ("run.db-wal", "run.db-shm"):
        (run.path / name).unlink(missing_ok=True)
    shutil.copy(saved, run.path / "run.db")


def notices(run: Run) -> list[str]:
    events = [stored.event for stored in run.events(kinds=["notice"])]
    return [event.message for event in events if isinstance(event, Notice)]


def states(run: Run) -> list[str]:
    return [edit.state for edit in run.edits()]
