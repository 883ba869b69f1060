"""A long run's rollouts: key 4 to the newest step, a search once all is indexed, a transcript of many lines."""

from __future__ import annotations

import random
import time
from pathlib import Path

import msgspec

from engine.core.events import AnyEvent, EpisodeStarted, PositionId, StateChanged, StepEnded, StepStarted, TurnTaken
from engine.core.outcomes import SUCCEEDED
from engine.runs.directory import Run
from engine.runs.rollouts.spans import spans
from engine.runs.search.index import SearchIndex
from tests.benchmarks.workbench.bench import Bench
from tests.benchmarks.workbench.watching import press, shows
from tests.workbench.recording import create, episode, step_events

WORDS = "mug apple towel lamp kettle safe drawer shelf cupboard box table hall shut open warm cold clean".split()
RARE = "armadillo"
STEPS = 1_000


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
    bench.times("where the steps are", times)
    with bench.app(str(path)) as terminal:
        terminal.until("r_task", 60)
        terminal.quiet(1.0)
        opened = []
        for _ in range(bench.samples):
            opened.append(press(terminal, b"4", shows(f"step {newest}  r ", terminal)))
            terminal.quiet(1.0)
            press(terminal, b"b", shows("Executor", terminal))
            terminal.quiet(0.5)
        bench.times("rollouts of the newest step visible", opened, "300 ms", "p50", 300)


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
        bench.note("making the index", f"{seconds:.1f} s, {rate:,.0f} events/s, {size:.0f} MB", seconds=seconds)
        for text in (RARE, "mug kettle", '"safe drawer"', "ket", "m", f"{RARE} nowhere", "table"):
            times = []
            for _ in range(bench.samples):
                began = time.perf_counter()
                found = index.find(run, text, 500)
                times.append((time.perf_counter() - began) * 1000)
            more = "+" if found.more else ""
            bench.times(f"search {text!r}, {found.total:,}{more} places", times, "300 ms", "p50", 300)


def transcript(bench: Bench, lines: int = 100_000) -> None:
    """A position with an observation of many lines: enter on it to the text on the screen."""
    path = bench.folder / "transcript"
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
        bench.times(f"transcript of {lines:,} lines opens", times, "300 ms", "worst", 300)
