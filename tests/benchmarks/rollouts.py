"""How fast the rollouts of a long run are shown and searched.

    python -m tests.benchmarks.rollouts [--events 1000000] [--lines 100000] [--only rollouts|search|transcript]

Parts of `tests.benchmarks.workbench` (`PARTS` here has the same form), on a run of many steps: key 4 to the newest step on
the screen, a place by its keys, a search once all is indexed, and a transcript of many lines. Each time ends when the
expected text stands on the terminal's screen. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine.core.events import AnyEvent, EpisodeStarted, PositionId, StateChanged, StepEnded, StepStarted, TurnTaken
from engine.core.outcomes import SUCCEEDED
from engine.runs.directory import Run
from engine.runs.rollouts.spans import spans
from engine.runs.search.index import SearchIndex
from tests.benchmarks.workbench import Bench, press, shows, spread, told
from tests.workbench.recording import create, episode, step_events

WORDS = "mug apple towel lamp kettle safe drawer shelf cupboard box table hall shut open warm cold clean".split()
RARE = "armadillo"
STEPS = 1_000


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="events in the log")
    parser.add_argument("--lines", type=int, default=100_000, help="lines of the transcript")
    parser.add_argument("--samples", type=int, default=5, help="how often each is measured")
    parser.add_argument("--only", choices=list(PARTS), action="append", help="measure this part alone; may be repeated")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.events, options.samples, 3.0)
        for name in options.only or PARTS:
            PARTS[name](bench) if name != "transcript" else transcript(bench, options.lines)


def long_run(bench: Bench) -> Path:
    """A run of `bench.events` events in a thousand steps, made once; one observation has a rare word."""
    path = bench.folder / "long"
    if path.exists():
        return path
    dice = random.Random(1)
    steps = min(STEPS, max(1, bench.events // 200))
    turns = max(1, bench.events // steps // 24 - 4)
    with create(path) as run:
        for step in range(1, steps + 1):
            run.append(*(each for event in step_events(step) for each in _longer(event, turns, dice, step)))
        run.append(StateChanged("finished"))
        print(f"a run of {run.last_id():,} events in {steps:,} steps", flush=True)
    return path


def _longer(event: AnyEvent, turns: int, dice: random.Random, step: int) -> list[AnyEvent]:
    """The event, a first turn with the further turns of its episode; proposals are left out."""
    if type(event).__name__ == "EditProposed":
        return []
    if not isinstance(event, TurnTaken) or event.turn != 2:
        return [event]
    rare = step == STEPS // 2 and event.at == PositionId(step, 1, 2, 3)
    more: list[AnyEvent] = []
    for turn in range(2, turns + 1):
        text = " ".join(dice.choices(WORDS, k=14)) + (f" {RARE}" if rare and turn == 2 else "")
        more.append(msgspec.structs.replace(event, turn=turn, observation=text, action=f"go {dice.choice(WORDS)}"))
    return more


def rollouts(bench: Bench) -> None:
    """The screen on a long run: key 4 to the newest step, and reading what it needs without a terminal."""
    path = long_run(bench)
    with Run.open(path) as run:
        times = []
        for _ in range(bench.samples):
            began = time.perf_counter()
            found = spans(run)
            times.append((time.perf_counter() - began) * 1000)
        newest = found.all[-1].step
    bench.note("where the steps are", told(spread(times)), "", **spread(times))
    with bench.app(str(path)) as terminal:
        terminal.until("r_task", 60)
        terminal.quiet(1.0)
        opened = []
        for _ in range(bench.samples):
            opened.append(press(terminal, b"4", shows(f"step {newest}  r ", terminal)))
            terminal.quiet(1.0)
            press(terminal, b"b", shows("Executor", terminal))
            terminal.quiet(0.5)
        bench.note("rollouts of the newest step visible", told(spread(opened)), "300 ms", **spread(opened))


def search(bench: Bench) -> None:
    """Making the index, and searching it by the screen's own function."""
    path = long_run(bench)
    with Run.open(path) as run, SearchIndex.open(run, bench.folder / "index") as index:
        began = time.perf_counter()
        while index.add(run):
            pass
        seconds = time.perf_counter() - began
        size = sum(file.stat().st_size for file in (bench.folder / "index").iterdir()) / 1e6
        rate = run.last_id() / seconds
        bench.note("making the index", f"{seconds:.1f} s, {rate:,.0f} events/s, {size:.0f} MB", "", seconds=seconds)
        for text in (RARE, "mug kettle", '"safe drawer"', "ket", "m", f"{RARE} nowhere", "table"):
            times = []
            for _ in range(bench.samples):
                began = time.perf_counter()
                found = index.find(run, text, 500)
                times.append((time.perf_counter() - began) * 1000)
            more = "+" if found.more else ""
            bench.note(f"search {text!r}, {found.total:,}{more} places", told(spread(times)), "300 ms", **spread(times))


def transcript(bench: Bench, lines: int = 100_000) -> None:
    """A position with an observation of many lines: enter on it to the text on the screen."""
    path = bench.folder / "wide"
    with create(path) as run:
        started, turn, *rest = episode(PositionId(1), SUCCEEDED)
        assert isinstance(started, EpisodeStarted) and isinstance(turn, TurnTaken)
        text = "\n".join(f"{number} {' '.join(WORDS[:9])}" for number in range(lines))
        run.append(StepStarted(1, []), started, msgspec.structs.replace(turn, observation=text), *rest)
        parts = step_events(1)[-3]
        assert isinstance(parts, StepEnded)
        run.append(parts, StateChanged("finished"))
    with bench.app(str(path)) as terminal:
        terminal.until("Executor", 60)
        terminal.quiet(1.0)
        times = []
        for _ in range(bench.samples):
            press(terminal, b"4", shows("position 1", terminal))
            terminal.quiet(0.5)
            times.append(press(terminal, b"j", shows("Transcript", terminal)))
            terminal.quiet(0.5)
            press(terminal, b"1", shows("Executor", terminal))
            terminal.quiet(0.5)
        bench.note(f"transcript of {lines:,} lines opens", told(spread(times)), "300 ms", **spread(times))


PARTS: dict[str, Callable[[Bench], None]] = {"rollouts": rollouts, "search": search, "transcript": transcript}

if __name__ == "__main__":
    main()
