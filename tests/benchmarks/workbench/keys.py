"""Keys, from the press to the expected text: while nothing happens, while an engine writes, and on a slow line."""

from __future__ import annotations

from tests.benchmarks.workbench.bench import Bench, spread
from tests.benchmarks.workbench.runs import at_work
from tests.benchmarks.workbench.watching import (
    SCREENS,
    Watch,
    focus_comes,
    focus_leaves,
    focus_skills,
    hides,
    moved_in,
    press,
    settle,
    shows,
)

LINE = 16_000
"""Bytes a second of the slow line."""
HELP = "On the live screen"
PRESSES: tuple[tuple[str, bytes, Watch, str], ...] = (
    ("? help", b"?", shows, HELP),
    ("q close help", b"q", hides, HELP),
    ("j", b"j", moved_in, "Skills"),
    ("", b"k", moved_in, "Skills"),
    ("tab", b"\t", focus_leaves, "Skills"),
    ("", b"\x1b[Z", focus_comes, "Skills"),
    ("enter folds", b"\r", shows, "▸ repository"),
    ("", b"\r", shows, "▾ repository"),
    *((f"{key.decode()} {name}", key, shows, text) for key, (name, text) in SCREENS.items() if key != b"1"),
    ("1 live", b"1", shows, SCREENS[b"1"][1]),
)
"""The name of the row ("" for none), the key, what is waited for, and its argument."""


def idle(bench: Bench) -> None:
    """Beside the bare app's key."""
    _keys(bench, "idle", "p50 3 times bare's", "p50")


def live(bench: Bench) -> None:
    """While an engine writes 200 events a second."""
    with at_work(bench.run()):
        _keys(bench, "live", "p95 60 ms", "p95", 60)


def slow_line(bench: Bench) -> None:
    """The same on a line of 16 kB a second."""
    with at_work(bench.run()):
        _keys(bench, "live, 16 kB/s", "worst 400 ms", "worst", 400, rate=LINE)


def _keys(bench: Bench, when: str, target: str, at: str, limit: float = 0.0, rate: float | None = None) -> None:
    """Each key's time to its text; without a limit, three times the bare app's median is one."""
    with bench.bare(rate) as terminal:
        terminal.until("one line of text")
        terminal.quiet(0.3)
        bare = [press(terminal, b"x", shows(f"pressed {n} times", terminal)) for n in range(1, bench.samples + 1)]
        bench.times(f"{when}: bare app's key", bare)
    limit = limit or 3 * spread(bare)["p50"]
    times: dict[str, list[float]] = {name: [] for name, *_ in PRESSES if name}
    sizes: dict[str, list[int]] = {name: [] for name in times}
    with bench.app(str(bench.run()), rate=rate) as terminal:
        terminal.until("r_task", 60)
        terminal.quiet(0.3, 3.0)
        for _ in range(bench.samples):
            focus_skills(terminal)
            for name, key, watch, argument in PRESSES:
                before = len(terminal.output)
                took = press(terminal, key, watch(argument, terminal))
                settle(terminal)
                if name:
                    times[name].append(took)
                    sizes[name].append(len(terminal.output) - before)
    for name, measured in times.items():
        bench.times(f"{when}: {name}", measured, target, at, limit)
    if when == "idle":
        size = max(sizes["? help"])
        bench.note("bytes of ? help", f"{size:,} B", "12 kB", size <= 12_000, most=size)
        most = {name[0]: max(found) for name, found in sizes.items() if name[0].isdigit()}
        found = ", ".join(f"{digit} {count / 1e3:.0f}" for digit, count in sorted(most.items()))
        bench.note("kB of each screen", found, most=most)
