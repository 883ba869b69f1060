"""A stand-in for the engine's worker: a real process that takes the lock, beats, emits events and obeys commands.

    python -m tests.runs.stand_in RUN|--prepare [steps|one|idle|fail|wait|die|slow|blocked]

`steps` (the default) ends a step every 50 ms, as many as the run's configuration says, from where the log left off, and
measures where that is due; `one` ends one step and waits for commands; `idle` waits for commands at once; `fail` ends
the run as failed; `wait` takes the lock and does nothing; `die` prints a complaint and exits before it takes the lock;
`blocked` reports a failing check before its run exists, and is `idle` then;
`slow` does not take the lock before there is a file `go` in the run's directory, and then does what that file says.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from engine.core.events import HeldOutMeasured, RunStarted, State, StateChanged
from engine.core.records import Check
from engine.runs.channel import FLAG, Channel, Loading, Made, Ready
from engine.runs.commands import Pause, Resume, Stop
from engine.runs.directory import Run
from engine.runs.measurements import missing
from engine.runs.process import release_start
from engine.runs.writer import EventWriter
from tests.runs.samples import step_ended, step_started, turn


def main(path: str, behaviour: str = "steps") -> int:
    if path == FLAG:
        channel = Channel()
        channel.request()
        if behaviour == "die":
            print("the model's weights are missing", file=sys.stderr, flush=True)
            return 3
        channel.tell(Loading("a stand-in"))
        if behaviour == "blocked":
            channel.tell(Made(Check("disk", "fail", "the disk is full: free some space")))
            behaviour = "idle"
        channel.tell(Made(Check("clock", "pass", "a stand-in loads no model")))
        channel.tell(Ready())
        if (begin := channel.begin()) is None:
            return 0
        path = begin.run
    if behaviour == "slow":
        print("loading", flush=True)
        while not (behaviour := go_file(path).read_text() if go_file(path).exists() else ""):
            time.sleep(0.01)
    if behaviour == "die":
        print("the model's weights are missing", flush=True)
        return 3
    run = Run.open(path)
    with run.lock(), run.writer() as writer:
        release_start(run.path)
        run.beat()
        if behaviour == "wait":
            time.sleep(60)
        done = len(run.steps())
        config = run.config
        steps = config.training.steps if run.kind == "train" else config.curate.tasks
        writer.emit(RunStarted(run.kind, config.profile, steps, os.getpid(), resumed_from=done))
        print(f"stand-in at work from step {done}", flush=True)
        if behaviour == "fail":
            writer.emit(StateChanged("failed", "the model server is gone"))
            return 1
        for step in range(done + 1, steps + 1):
            writer.emit(step_started(step))
            writer.emit(turn(step))
            if not go_on(run, writer, forever=behaviour == "idle" or (behaviour == "one" and step > done + 1)):
                writer.emit(StateChanged("stopped", "asked to stop"))
                return 0
            writer.emit(step_ended(step))
            writer.flush()
            for due in missing(run, step):
                writer.emit(HeldOutMeasured(due, config.training.evaluate_groups, 0.25, 0.05, 0, 0.1))
        writer.emit(StateChanged("finished"))
    return 0


def go_file(path: str | Path) -> Path:
    """What a slow stand-in for the run at `path` waits for."""
    return Path(path) / "go"


def go_on(run: Run, writer: EventWriter, *, forever: bool) -> bool:
    """Obey commands for 50 ms, or as long as paused; whether to go on."""
    paused, end = False, time.monotonic() + 0.05
    while forever or paused or time.monotonic() < end:
        for sent in run.take_commands():
            state: State = "paused" if isinstance(sent.command, Pause) else "running"
            if isinstance(sent.command, Stop):
                return False
            if isinstance(sent.command, Pause | Resume):
                paused = state == "paused"
                writer.emit(StateChanged(state, f"asked by {sent.by}"))
        run.beat()
        time.sleep(0.01)
    return True


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
