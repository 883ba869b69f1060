"""The programs under measure, the figures found, and the report of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.workbench.runs import fill
from tests.workbench.ptys import WORKBENCH, Terminal, keep

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


class Bench:
    """The programs under measure, and the figures found."""

    def __init__(self, folder: Path, events: int, samples: int, seconds: float) -> None:
        self.folder, self.events, self.samples, self.seconds = folder, events, samples, seconds
        self.figures: dict[str, Any] = {}
        self.cache = {"PYTHONPYCACHEPREFIX": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": ""}
        self.started = 0

    @property
    def environment(self) -> dict[str, str]:
        """One of its own for each program, so that none begins where another one was left."""
        self.started += 1
        return {**keep(self.folder / f"home-{self.started}"), **self.cache}

    def warm_up(self) -> None:
        """Start both programs once, so that all of their byte code is compiled."""
        first(self.bare, "one line of text")
        first(lambda: self.app(str(self.run())), "r_task")

    def app(self, *arguments: str, rate: float | None = None) -> Terminal:
        """The workbench of somebody who starts it for the first time; its byte code is compiled."""
        return Terminal(
            "--theme", "dark", *arguments, command=WORKBENCH, environment=self.environment, rate=rate, repeats=True
        )

    def bare(self, rate: float | None = None) -> Terminal:
        return Terminal(command=(sys.executable, "-c", BARE), environment=self.environment, rate=rate)

    def run(self) -> Path:
        """A finished run with about `events` events, made once."""
        path = self.folder / "run"
        return path if path.exists() else fill(path, self.events)

    def note(self, what: str, found: str, target: str = "", kept: bool | None = None, **figures: Any) -> None:
        """One line of the report, with the target and whether it was kept; the figures go to the file."""
        self.figures[what] = {**figures, "target": target, "kept": kept}
        verdict = "" if kept is None else "pass" if kept else "MISS"
        print(f"{what:<46} {found:<42} {target:<24} {verdict}".rstrip(), flush=True)

    def times(self, what: str, values: Sequence[float], target: str = "", at: str = "", limit: float = 0.0) -> None:
        """A row of milliseconds; the figure `at` ("p50", "p95", "worst") must not be above the limit."""
        found = spread(values)
        kept = found[at] <= limit if at else None
        self.note(what, told(found), target, kept, all=found)


def first(start: Callable[[], Terminal], text: str) -> float:
    """Milliseconds from the start of a program to its text."""
    began = time.perf_counter()
    with start() as terminal:
        terminal.until(lambda: text.encode() in terminal.output)
        return (time.perf_counter() - began) * 1000


def weigh(bench: Bench, terminal: Terminal, what: str, most: tuple[float, float] = (50, 0.5)) -> None:
    """Bytes a second and CPU percent, of the program and its threads, while nobody types; `most` is the target."""
    process = psutil.Process(terminal.pid)
    spent, sent, began = sum(process.cpu_times()[:2]), len(terminal.output), time.monotonic()
    while (left := began + bench.seconds - time.monotonic()) > 0:
        terminal.read(left)
    took = time.monotonic() - began
    cpu = 100 * (sum(process.cpu_times()[:2]) - spent) / took
    rate = (len(terminal.output) - sent) / took
    target = f"{most[0]:,.0f} B/s, {most[1]:g} % CPU"
    kept = rate <= most[0] and cpu <= most[1]
    bench.note(what, f"{rate:,.0f} B/s, {cpu:.2f} % CPU", target, kept, bytes_per_s=rate, cpu_pct=cpu)


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median, the 95th percentile and the worst, in milliseconds."""
    ordered = sorted(values)
    at = [ordered[min(len(ordered) - 1, round(q * (len(ordered) - 1)))] for q in (0.5, 0.95, 1.0)]
    return {"n": len(ordered), "p50": round(at[0], 1), "p95": round(at[1], 1), "worst": round(at[2], 1)}


def told(found: dict[str, float]) -> str:
    return f"p50 {found['p50']:.0f}, p95 {found['p95']:.0f}, worst {found['worst']:.0f} ms"
