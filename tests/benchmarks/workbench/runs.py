"""The runs that are measured: a finished one with many events, and an engine that writes to it.

python -m tests.benchmarks.workbench.runs RUN        # write events to the run until killed
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.core.events import AnyEvent, StateChanged
from engine.runs.directory import Run
from tests.workbench.recording import record_training, step_events

RATE = 200
"""Events a second that the live measures are made with."""


def fill(path: Path, count: int) -> Path:
    """A finished run with about `count` events."""
    run = record_training(path, steps=3, planned=100, state="running")
    step = 4
    while run.last_id() < count:
        batch: list[AnyEvent] = []
        while len(batch) < 20_000 and run.last_id() + len(batch) < count:
            batch += [event for event in step_events(step) if type(event).__name__ != "EditProposed"]
            step += 1
        run.append(*batch)
    run.append(StateChanged("finished"))
    run.close()
    return path


@contextmanager
def at_work(path: Path) -> Iterator[None]:
    """While the body runs, a process writes events to the run as an engine would."""
    command = [sys.executable, "-m", "tests.benchmarks.workbench.runs", str(path)]
    feeder = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert feeder.stdout is not None and feeder.stdout.readline(), "the process that writes events has ended"
        yield
    finally:
        feeder.terminate()
        feeder.wait(10)


def feed(path: Path) -> None:
    """Write events to a run, `RATE` a second in batches of 0.1 s, until killed."""
    run = Run.open(path)
    with run.lock():
        run.append(StateChanged("running"))
        print("writing", flush=True)
        step = run.state().step
        while True:
            step += 1
            events = [event for event in step_events(step) if type(event).__name__ != "EditProposed"]
            while events:
                batch, events = events[: RATE // 10], events[RATE // 10 :]
                run.append(*batch)
                run.beat()
                time.sleep(0.1)


if __name__ == "__main__":
    feed(Path(sys.argv[1]))
