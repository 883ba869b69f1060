"""How fast and how quiet the workbench is: from a key to the *expected text* on a terminal's screen.

    python -m tests.benchmarks.workbench [--events 100000] [--samples 20] [--json FILE] [--only NAME]

Each program runs behind a pseudo-terminal that draws what it sends (`tests.workbench.ptys`), answers its questions, and
on the slow line takes 16 kB a second. A key's time ends when the text that it asks for stands on that screen: the first
byte that comes back is backlog. A bare Textual app is measured in the same run, since all of it depends on the machine.
Prints one line a measure with the target of the specification; nothing here is a test.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from engine.core.events import AnyEvent, StateChanged
from engine.runs.directory import Run
from tests.workbench.ptys import Terminal, keep
from tests.workbench.recording import record_training, skill_text, step_events

BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    pressed = 0
    def compose(self):
        yield Static("a bare Textual application with one line of text")
    def on_key(self, event):
        self.pressed += 1
        self.query_one(Static).update(f"pressed {self.pressed} times")
Bare().run()
"""
RATE = 200
"""Events a second that the live measures are made with."""
LINE = 16_000
"""Bytes a second of the slow line."""
PATIENCE = 15.0
"""Seconds after which a key's text is not waited for any more; the figure is this then."""
GAP = 0.15
"""Seconds between a key's text and the next key."""
COMMAND = (sys.executable, "-m", "skillos_tui.command" if find_spec("skillos_tui.command") else "skillos_tui.app")
"""The program, also of commits before it had a module of its own."""
HELP = "On the live screen"


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000, help="events in the log that is opened")
    parser.add_argument("--samples", type=int, default=20, help="how often each key is pressed")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long idle and live are weighed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file too")
    parser.add_argument("--only", choices=list(PARTS), action="append", help="measure this part alone; may be repeated")
    parser.add_argument("--feed", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.feed:
        feed(options.feed)
        return
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.events, options.samples, options.seconds)
        bench.warm_up()
        for name in options.only or PARTS:
            PARTS[name](bench)
    if options.json:
        options.json.write_text(json.dumps(bench.figures, indent=1) + "\n")


class Bench:
    """The programs under measure, and the figures found."""

    def __init__(self, folder: Path, events: int, samples: int, seconds: float) -> None:
        self.folder, self.events, self.samples, self.seconds = folder, events, samples, seconds
        self.figures: dict[str, Any] = {}
        cache = {"PYTHONPYCACHEPREFIX": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": ""}
        self.environment = {**keep(folder / "home"), **cache}

    def warm_up(self) -> None:
        """Start both programs once, so that all of their byte code is compiled."""
        first(self.bare, "one line of text")
        first(lambda: self.app(str(self.run())), "r_task")

    def app(self, *arguments: str, rate: float | None = None) -> Terminal:
        """The workbench; its byte code is compiled, as in an installed program."""
        return Terminal("--theme", "dark", *arguments, command=COMMAND, environment=self.environment, rate=rate)

    def bare(self, rate: float | None = None) -> Terminal:
        return Terminal(command=(sys.executable, "-c", BARE), environment=self.environment, rate=rate)

    def run(self) -> Path:
        """A finished run with about `events` events, made once."""
        path = self.folder / "run"
        return path if path.exists() else fill(path, self.events)

    def note(self, what: str, found: str, target: str = "", **figures: Any) -> None:
        """One line of the report; the figures go to the file."""
        self.figures[what] = figures
        print(f"{what:<44} {found:<46} {f'target {target}' if target else ''}".rstrip(), flush=True)


# The parts


def starting(bench: Bench) -> None:
    """First paint, memory, and what an idle workbench costs."""
    run = bench.run()
    pairs = [
        (first(bench.bare, "one line of text"), first(lambda: bench.app(str(run)), "Executor"))
        for _ in range(bench.samples)  # by turns, since other programs may work on this machine too
    ]
    bare, opened = (spread(times) for times in zip(*pairs, strict=True))
    times = opened["p50"] / bare["p50"]
    bench.note("first paint, bare app", f"{bare['p50']:.0f} ms", "", **bare)
    target = "1.3 times bare"
    bench.note(
        f"first paint, run of {bench.events:,} events", f"{opened['p50']:.0f} ms, {times:.2f} times", target, **opened
    )
    with bench.app(str(run)) as terminal:
        terminal.until("r_task")
        terminal.quiet(2.0)
        memory = psutil.Process(terminal.pid).memory_info().rss / 1e6
        bench.note("memory", f"{memory:.0f} MB", "75 MB", mb=memory)
        weigh(bench, terminal, "idle", "50 B/s, 0.5 % CPU")


def home(bench: Bench) -> None:
    """Home with 400 runs."""
    runs = bench.folder / "runs"
    for number in range(400):
        record_training(runs / f"2026-01-01-{number:04}", steps=1).close()
    with bench.app("--runs", str(runs)) as terminal:
        terminal.until("2026-01-01-0399")
        terminal.quiet(2.0)
        weigh(bench, terminal, "idle, Home with 400 runs", "50 B/s, 0.5 % CPU")


def keys_idle(bench: Bench) -> None:
    """Keys while nothing else happens, beside the bare app; what dialogs send."""
    keys(bench, "idle", "3 times bare's p50")


def keys_live(bench: Bench) -> None:
    """Keys, and the load, while an engine writes."""
    with at_work(bench):
        with bench.app(str(bench.run())) as terminal:
            terminal.until("r_task")
            terminal.quiet(0.05, 3.0)
            weigh(bench, terminal, f"live, {RATE} events/s", "40 kB/s, 8 % CPU")
        keys(bench, "live", "p95 60 ms")


def keys_slow(bench: Bench) -> None:
    """The same on a line of 16 kB/s."""
    with at_work(bench):
        keys(bench, "live, 16 kB/s", "worst 400 ms", rate=LINE)


def skills(bench: Bench) -> None:
    """A repository of 10,000 skills."""
    path = bench.folder / "many"
    with record_training(path, steps=1) as run:
        for number in range(10_000):
            skill = run.repo_path / f"skill-{number:05}"
            skill.mkdir(parents=True)
            (skill / "SKILL.md").write_text(skill_text(f"thing-{number}", "safe").replace("find-thing", "skill"))
    with bench.app(str(path)) as terminal:
        began = time.perf_counter()
        terminal.until("Executor")
        painted = time.perf_counter()
        terminal.until(lambda: re.search(r"10,?000 skills", terminal.text))
        shown = (time.perf_counter() - painted) * 1000
        whole = (time.perf_counter() - began) * 1000
        found = f"{shown:.0f} ms after the first paint, {whole:.0f} ms in all"
        bench.note("10,000 skills visible", found, "1 s", ms=shown, whole_ms=whole)
        terminal.quiet(1.0)
        focus_skills(terminal)
        moved = spread([press(terminal, b"j", moved_in("Skills", terminal)) for _ in range(bench.samples)])
        bench.note("j among 10,000 skills", told(moved), "10 ms", **moved)


PARTS: dict[str, Callable[[Bench], None]] = {
    "start": starting,
    "home": home,
    "idle": keys_idle,
    "live": keys_live,
    "slow": keys_slow,
    "skills": skills,
}


def keys(bench: Bench, when: str, target: str, rate: float | None = None) -> None:
    """Each key's time to its text, the bare app's beside it."""
    with bench.bare(rate) as terminal:
        terminal.until("one line of text")
        terminal.quiet(0.3)
        found = spread(
            [press(terminal, b"x", shows(f"pressed {n} times", terminal)) for n in range(1, bench.samples + 1)]
        )
        bench.note(f"{when}: bare app's key", told(found), "", **found)
    times: dict[str, list[float]] = {
        name: [] for name in ("? help", "q close help", "tab", "j", "r review", "esc back")
    }
    sizes: dict[str, list[int]] = {"? help": [], "q close help": [], "r review": []}
    with bench.app(str(bench.run()), rate=rate) as terminal:
        terminal.until("r_task", 60)
        terminal.quiet(0.3, 3.0)
        focus_skills(terminal)
        for _ in range(bench.samples):
            for name, key, watch, argument in (
                ("? help", b"?", shows, HELP),
                ("q close help", b"q", hides, HELP),
                ("j", b"j", moved_in, "Skills"),
                ("", b"k", moved_in, "Skills"),
                ("tab", b"\t", focus_leaves, "Skills"),
                ("", b"\x1b[Z", focus_comes, "Skills"),
                ("r review", b"r", shows, "╭─ Review"),
                ("esc back", b"\x1b", shows, "Executor"),
            ):
                before = len(terminal.output)
                took = press(terminal, key, watch(argument, terminal))
                settle(terminal)
                if name:
                    times[name].append(took)
                if name in sizes:
                    sizes[name].append(len(terminal.output) - before)
    for name, measured in times.items():
        found = spread(measured)
        bench.note(f"{when}: {name}", told(found), target, **found)
    if when == "idle":
        for name, size in sizes.items():
            bench.note(f"bytes of {name}", f"{max(size)} B", "12 kB" if "help" in name else "", most=max(size))


# Watching a screen


def row(terminal: Terminal, y: int) -> str:
    line = terminal.screen.buffer[y]
    return "".join(line[x].data for x in range(terminal.screen.columns))


def shows(text: str, terminal: Terminal) -> Callable[[], bool]:
    """Whether the screen shows the text; only rows that changed are looked at."""
    terminal.screen.dirty.update(range(terminal.screen.lines))

    def look() -> bool:
        dirty = set(terminal.screen.dirty)
        terminal.screen.dirty.clear()
        return any(text in row(terminal, y) for y in dirty if y < terminal.screen.lines)

    return look


def hides(text: str, terminal: Terminal) -> Callable[[], bool]:
    """Whether the screen shows the text no more."""
    return lambda: not any(text in row(terminal, y) for y in range(terminal.screen.lines))


def corner(title: str, terminal: Terminal) -> tuple[int, int]:
    """Where a pane's frame begins: row and column."""
    for y in range(terminal.screen.lines):
        x = row(terminal, y).find(f"╭─ {title}")
        if x >= 0:
            return y, x
    return -1, -1


def height(y: int, x: int, terminal: Terminal) -> int:
    """How many rows below its frame's beginning a pane ends."""
    rows = range(y + 1, terminal.screen.lines)
    return next((at - y for at in rows if terminal.screen.buffer[at][x].data == "╰"), 2)


def color_at(terminal: Terminal, y: int, x: int) -> str:
    return str(terminal.screen.buffer[y][x].fg)


def focused(title: str, terminal: Terminal) -> bool:
    """Whether the pane's frame has another colour than that of the pane for memory, which never has the focus here."""
    y, x = corner(title, terminal)
    other_y, other_x = corner("Memory", terminal)
    return y >= 0 and other_y >= 0 and color_at(terminal, y, x) != color_at(terminal, other_y, other_x)


def focus_leaves(title: str, terminal: Terminal) -> Callable[[], bool]:
    return lambda: corner(title, terminal)[0] >= 0 and not focused(title, terminal)


def focus_comes(title: str, terminal: Terminal) -> Callable[[], bool]:
    return lambda: focused(title, terminal)


def focus_skills(terminal: Terminal) -> None:
    """Press tab until the tree of skills has the focus."""
    for _ in range(8):
        if focused("Skills", terminal):
            return
        terminal.press(b"\t")
        terminal.quiet(0.3, 2.0)
    raise SystemExit(f"the tree of skills does not take the focus:\n{terminal.text}")


def moved_in(title: str, terminal: Terminal) -> Callable[[], bool]:
    """Whether the row that stands out in a pane is another one than now."""

    def place() -> tuple[int, str]:
        y, x = corner(title, terminal)
        rows = [terminal.screen.buffer[y + n][x + 3].bg for n in range(1, height(y, x, terminal))]
        usual = max(set(rows), key=rows.count)
        found = next((n for n, color in enumerate(rows) if color != usual), -1)
        return found, row(terminal, y + 1 + max(found, 0))[x : x + 40]

    before = place()
    return lambda: place() != before


def press(terminal: Terminal, key: bytes, condition: Callable[[], bool]) -> float:
    """Milliseconds from a key to its text, `PATIENCE` at most."""
    began = time.perf_counter()
    terminal.press(key)
    while not condition() and time.perf_counter() - began < PATIENCE:
        terminal.read(0.02)
    return (time.perf_counter() - began) * 1000


def settle(terminal: Terminal) -> None:
    """Read on for a moment, so that the next key meets the screen as a person would."""
    until = time.monotonic() + GAP
    while time.monotonic() < until:
        terminal.read(until - time.monotonic())


def first(start: Callable[[], Terminal], text: str) -> float:
    """Milliseconds from the start of a program to its text."""
    began = time.perf_counter()
    with start() as terminal:
        terminal.until(lambda: text.encode() in terminal.output)
        return (time.perf_counter() - began) * 1000


def weigh(bench: Bench, terminal: Terminal, what: str, target: str) -> None:
    """Bytes and CPU a second, of the program and its threads, while nobody types."""
    process = psutil.Process(terminal.pid)
    spent, sent, began = sum(process.cpu_times()[:2]), len(terminal.output), time.monotonic()
    while (left := began + bench.seconds - time.monotonic()) > 0:
        terminal.read(left)
    took = time.monotonic() - began
    cpu = 100 * (sum(process.cpu_times()[:2]) - spent) / took
    rate = (len(terminal.output) - sent) / took
    bench.note(what, f"{rate:,.0f} B/s, {cpu:.1f} % CPU", target, bytes_per_s=rate, cpu_pct=cpu)


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median, the 95th percentile and the worst, in milliseconds."""
    ordered = sorted(values)
    at = [ordered[min(len(ordered) - 1, round(q * (len(ordered) - 1)))] for q in (0.5, 0.95, 1.0)]
    return {"n": len(ordered), "p50": round(at[0], 1), "p95": round(at[1], 1), "worst": round(at[2], 1)}


def told(found: dict[str, float]) -> str:
    return f"p50 {found['p50']:.0f}, p95 {found['p95']:.0f}, worst {found['worst']:.0f} ms"


# Runs


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
def at_work(bench: Bench) -> Iterator[None]:
    """While the body runs, a process writes events to the run as an engine would."""
    command = [sys.executable, "-m", "tests.benchmarks.workbench", "--feed", str(bench.run())]
    feeder = subprocess.Popen(command)
    try:
        yield
    finally:
        feeder.terminate()
        feeder.wait(10)


def feed(path: Path) -> None:
    """Write events to a run, `RATE` a second in batches of 0.1 s, until killed."""
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


if __name__ == "__main__":
    main()
