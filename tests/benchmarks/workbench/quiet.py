"""First paint and memory; what a screen costs on which nobody types."""

from __future__ import annotations

import psutil

from tests.benchmarks.workbench.bench import Bench, first, spread, weigh
from tests.benchmarks.workbench.runs import RATE, at_work
from tests.benchmarks.workbench.watching import SCREENS, press, shows
from tests.workbench.recording import record_training


def starting(bench: Bench) -> None:
    """First paint beside the bare app's, and memory."""
    run = bench.run()
    pairs = [
        (first(bench.bare, "one line of text"), first(lambda: bench.app(str(run)), "Executor"))
        for _ in range(bench.samples)  # by turns, since other programs may work on this machine too
    ]
    bare, opened = (spread(times) for times in zip(*pairs, strict=True))
    times = opened["p50"] / bare["p50"]
    bench.note("first paint, bare app", f"{bare['p50']:.0f} ms", all=bare)
    found = f"{opened['p50']:.0f} ms, {times:.2f} times"
    bench.note(f"first paint, {bench.events:,} events", found, "1.3 times bare", times <= 1.3, times=times, all=opened)
    with bench.app(str(run)) as terminal:
        terminal.until("r_task")
        terminal.quiet(2.0)
        memory = psutil.Process(terminal.pid).memory_info().rss / 1e6
        bench.note("memory on Live", f"{memory:.0f} MB", "75 MB", memory <= 75, mb=memory)


def every_screen(bench: Bench) -> None:
    """Each numbered screen of a finished run."""
    with bench.app(str(bench.run())) as terminal:
        terminal.until("r_task")
        for key, (name, text) in SCREENS.items():
            press(terminal, key, shows(text, terminal))
            terminal.quiet(3.0)
            weigh(bench, terminal, f"idle, {key.decode()} {name}")
        press(terminal, b"1", shows(SCREENS[b"1"][1], terminal))


def home(bench: Bench) -> None:
    """Home, and the screen Runs, with 400 runs."""
    runs = bench.folder / "runs"
    for number in range(400):
        record_training(runs / f"2026-01-01-{number:04}", steps=1).close()
    with bench.app("--runs", str(runs)) as terminal:
        terminal.until("2026-01-01-0399")
        terminal.quiet(3.0)
        weigh(bench, terminal, "idle, Home with 400 runs")
        press(terminal, b"7", shows("400 runs", terminal))
        terminal.quiet(3.0)
        weigh(bench, terminal, "idle, 7 runs with 400 runs")


def at_work_load(bench: Bench) -> None:
    """Live, while an engine writes."""
    with at_work(bench.run()), bench.app(str(bench.run())) as terminal:
        terminal.until("r_task")
        terminal.quiet(0.05, 3.0)
        weigh(bench, terminal, f"live, {RATE} events/s", (40_000, 8))
