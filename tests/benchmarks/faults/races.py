"""Two processes that decide on one edit at the same moment: one decision is taken, and each is told which."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from pathlib import Path

from engine.core.events import EditDecided
from engine.review.journal import reconcile
from engine.runs.directory import Run
from tests.benchmarks.faults.commands import Commands, Ended
from tests.benchmarks.faults.errors import warmed
from tests.benchmarks.faults.row import Row, row
from tests.benchmarks.faults.scenes import Scene, files_of, scenes

APART = 0.05
"""The second decider starts within so many seconds of the first."""
PAIRS = (("approve", "approve"), ("approve", "veto"), ("approve", "amend"), ("undo", "undo"))


def measure(count: int, seed: int) -> list[Row]:
    """`count` races of each pair of decisions, with a delay between the two that is drawn by `seed`."""
    draws = random.Random(seed)
    rows = []
    with tempfile.TemporaryDirectory() as name, Commands() as commands:
        known = {scene.name: scene for scene in warmed(scenes(Path(name) / "scenes"), commands, Path(name))}
        for first, second in PAIRS:
            trials = []
            for number in range(count):
                copy = known[first].copy(Path(name) / f"{first}-{second}-{number}")
                apart = draws.uniform(0, APART)
                trials.append(
                    (f"{apart * 1e3:.1f} ms apart", _raced(known[first], known[second], commands, copy, apart))
                )
            rows.append(row(f"{first} beside {second}", trials))
    return rows


def _raced(first: Scene, second: Scene, commands: Commands, copy: Path, apart: float) -> str:
    """What was wrong after both have decided at once."""
    pids = [commands.start(scene.arguments, copy) for scene in (first, second)]
    os.kill(pids[0], signal.SIGCONT)
    time.sleep(apart)
    os.kill(pids[1], signal.SIGCONT)
    ended = [commands.wait(pid, copy) for pid in pids]
    said = ended[1].said
    if "Traceback" in said:
        return f"a traceback: {said.strip().splitlines()[-1]}"
    winners = [scene for scene, end in zip((first, second), ended, strict=True) if end.code == 0]
    if len(winners) != 1:
        return f"{len(winners)} decisions were reported as taken: {said!r}"
    return _wrong(winners[0], copy, ended)


def _wrong(winner: Scene, copy: Path, ended: list[Ended]) -> str:
    """How the log or the folder differs from the one decision that was reported as taken."""
    with Run.open(copy / "run") as run:
        if logged := reconcile(run):
            return f"the log lacked {logged}"
        events = [stored.event for stored in run.events(kinds=["edit_decided"])]
        decided = [event for event in events if isinstance(event, EditDecided) and event.edit == winner.edit]
        state = run.edit(winner.edit).state
    if state != winner.states[1] or files_of(copy / winner.root) != winner.after:
        return f"{winner.name} was reported as taken, and the edit is {state}"
    earlier = 1 if winner.name == "undo" else 0
    return "" if len(decided) == earlier + 1 else f"{len(decided)} decisions are in the log: {ended[0].said!r}"
