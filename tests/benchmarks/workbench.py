"""How fast and how quiet the workbench is, seen from outside through a pseudo-terminal.

    python -m tests.benchmarks.workbench [--events 100000] [--ptybench ../shared/tools/ptybench.py]

Prints one line a measure, with the target of the specification beside it. A bare Textual app is measured in the same
run, since first paint depends on the machine. Needs `pyte`, which the test extra brings.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from engine.runs.events import AnyEvent, StateChanged
from engine.runs.store import Run
from tests.workbench.recording import record_training, step_events

BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("a bare Textual application with one line of text")
Bare().run()
"""
RATE = 200
"""Events a second that the live measures are made with."""


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000, help="events in the log that is opened")
    parser.add_argument("--ptybench", type=Path, default=Path(__file__).parents[3] / "shared/tools/ptybench.py")
    parser.add_argument("--feed", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.feed:
        feed(options.feed)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(options.ptybench, fill(Path(folder) / "run", options.events))


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


def feed(path: Path) -> None:
    """Write events to a run as an engine would, `RATE` a second in batches of 0.1 s, until killed."""
    run = Run.open(path)
    with run.lock():
        run.append(StateChanged("running"))
        step = run.state().step
        while True:
            step += 1
            events = [event for event in step_events(step) if type(event).__name__ != "EditProposed"]
            while events:
                batch, events = events[: RATE // 10], events[RATE // 10 :]
                run.append(*batch)
                run.beat()
                time.sleep(0.1)


def measure(ptybench: Path, run: Path) -> None:
    """All measures on one run."""
    app = [sys.executable, "-m", "skillos_tui.app", str(run), "--theme", "dark"]
    bare = report(ptybench, [sys.executable, "-c", BARE], "--starts", "5", "--idle", "1")
    opened = report(ptybench, app, "--starts", "5", "--idle", "10", "--warm", "3")
    filled = report(ptybench, app, "--starts", "3", "--idle", "0", "--ready", "r_task")
    first, least, full = (item["starts"]["first_paint_ms"]["median"] for item in (opened, bare, filled))
    show("first paint of a bare app", f"{least:.0f} ms")
    show("first paint", f"{first:.0f} ms, {first / least:.2f} times bare", "600 ms, 1.3 times")
    show("rewards on the screen", f"{full:.0f} ms")
    show("memory", f"{opened['after_start']['rss_mb']} MB", "75 MB")
    show("idle", f"{opened['idle']['bytes_per_s']} B/s, {opened['idle']['cpu_pct']} % CPU", "50 B/s, 0.5 %")
    live(ptybench, app, run)


def live(ptybench: Path, app: list[str], run: Path) -> None:
    """The measures with an engine at work."""
    feeder = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.workbench", "--feed", str(run)])
    try:
        keys = ("--keys", "tab*30", "--key-gap", "0.15")
        fast = report(ptybench, app, "--idle", "10", "--warm", "3", *keys)
        slow = report(ptybench, app, "--idle", "10", "--warm", "3", *keys, "--throttle", "16")
    finally:
        feeder.terminate()
        feeder.wait(10)
    rate = fast["idle"]["bytes_per_s"] / 1000
    show(f"live, {RATE} events/s", f"{rate:.1f} kB/s, {fast['idle']['cpu_pct']} % CPU", "40 kB/s, 8 %")
    show("key to its first byte", latency(fast), "p50 15, p95 40 ms")
    show("key on a link of 16 kB/s", latency(slow), "p50 100, worst 400 ms")


def latency(item: dict[str, Any]) -> str:
    """Key latencies in words."""
    first = item["key"]["first_ms"]
    return f"p50 {first['p50']}, p95 {first['p95']}, worst {first['max']} ms"


def report(ptybench: Path, command: list[str], *options: str) -> dict[str, Any]:
    """What ptybench says about a command, with byte code compiled before, as in an installed program."""
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": cache}
        warm_up = [sys.executable, "-c", "import skillos_tui.app, skillos_tui.screens.live"]
        subprocess.run(warm_up, env=env, check=True)
        call = [sys.executable, str(ptybench), *options, "--", *command]
        done = subprocess.run(call, env=env, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def show(what: str, found: str, target: str = "") -> None:
    """One line of the report."""
    print(f"{what:<36} {found:<44} {f'target {target}' if target else ''}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
