"""The list on Home: what can be started with one key, and the runs, newest first."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len

from engine.core.registry import UnknownPart
from engine.core.text import counted
from engine.jobs.registry import JOBS
from skillos_tui.client.messages import StartRun
from skillos_tui.render.text import Line, clip, fit, line, safe, short, short_name, tail, width_of
from skillos_tui.widgets.listing import Item, ListPane
from skillos_tui.widgets.state import STATES

if TYPE_CHECKING:
    from engine.runs.status import Status
    from engine.runs.supervisor import RunSummary


NEW, FOLDER = "new run", "skill folder"
"""The names of the lines that open a dialog; no entry point has a space in its name."""


class Start(NamedTuple):
    """A line of the list that starts a run; without a `request` it opens the dialog in which one is made."""

    key: str
    label: str
    help: str
    request: StartRun | None = None


def starts_of(names: Iterable[str]) -> dict[str, Start]:
    """The lines of the kinds of run of these names that have a shortcut."""
    starts = {}
    for name in names:
        try:
            shortcut = JOBS.load(name).shortcut
        except UnknownPart:
            continue  # the dialog lists it, and says why it cannot be used
        if shortcut is not None:
            request = StartRun(name, shortcut.profile)
            starts[name] = Start(shortcut.key, shortcut.label, shortcut.help, request)
    return starts


STARTS = {
    **starts_of(JOBS.shipped),
    NEW: Start(
        "n", "Another run …", "Any kind, profile and settings, from a form that explains each; real models too."
    ),
    FOLDER: Start(
        "o", "A folder of skills …", "Read, search and restore the skills of any folder; no run and no model."
    ),
}
"""The lines that are there at the first paint; those of packages follow, since looking them up takes 12 ms."""
SHORT = {NEW: "new", FOLDER: "folder"}
"""The names of the actions of these lines; those of the others are the kinds of run."""
FIRST = next(iter(STARTS))
"""What Enter starts where there is no run."""
LABEL = 26
LOOKED_AT = 50
"""The newest runs that are looked at for what waits."""
MOST_WAITING = 4
TALL = 18
"""In a list of fewer rows, what a line starts has one row, cut to the width."""
ASKING = ("paused", "failed", "interrupted")
"""The states in which a run goes on only when a person acts."""
WIDE = {"state": 15, "kind": 9, "progress": 13, "success": 10, "review": 9, "begun": 13}
"""The widths of the columns of the list, in cells, the gap after each included; the run's name has what is left."""
NARROW = {"state": 14, "kind": 7, "progress": 9, "success": 8, "review": 7, "begun": 11}
TINY = {"state": 14, "progress": 9}
INDENT = 5
PROBLEM = 7
"""Cells before what is wrong with a run, under its row."""
DAMAGED = 2
"""The most damaged rows of a run that are named in the list."""
NAME = 24
"""Cells for the run's name; with fewer the columns are narrow, and the name is shown without the parts in other columns."""
TIME = 6
"""Cells of the time at the beginning of a name."""
SHORT_NAME = 8
"""With fewer cells than these for the name, most columns are left out."""
SAME_SECONDS = 20.0
"""After this time the same runs are painted again."""


LEGEND = (
    ("progress", "the step, and how many are planned"),
    ("success", "r_task of the newest step that measured it; n/m: none did"),
    ("review", "the edits that wait for your decision"),
)


class RunList(ListPane):
    """What can be started, then the runs. The cursor starts on the newest run; where there is none, on `FIRST`."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, classes="plain")
        self.runs: tuple[RunSummary, ...] | None = None
        self.folder = Path()
        self._shown = 0.0
        self.trouble = ""
        self.value = FIRST
        self.starts = STARTS

    def show(self, runs: tuple[RunSummary, ...], folder: Path, trouble: str = "") -> None:
        """Show these runs, or why they cannot be listed. Until a person moves the cursor, it is on the newest.

        The same runs are painted again only after a while, to update how long ago they started.
        """
        same = runs is self.runs and trouble == self.trouble
        if same and time.monotonic() - self._shown < SAME_SECONDS:
            return
        self.runs, self.folder, self.trouble, self._shown = runs, folder, trouble, time.monotonic()
        if not self.moved:
            self.value = runs[0].path if runs and runs[0].status else FIRST
        self.renew()

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "Runs", LEGEND

    def items(self, width: int) -> Sequence[Item]:
        items = [
            Item(
                line(
                    "strong:SkillOS   ",
                    f"key:{self.workbench.key_of('app.glossary')}",
                    "muted: explains the words, ",
                    f"key:{self.workbench.key_of('app.keys')}",
                    "muted: the keys",
                )
            ),
            Item(line("muted:Watch a curator of skills learn, and decide what it may keep.")),
        ]
        items.append(Item(line()))
        if waiting := self._waiting():
            items += [*waiting, Item(line())]
        keys = {name: self._key_of(name, start) for name, start in self.starts.items()}
        cells = max(map(cell_len, keys.values()), default=1)
        for name, start in self.starts.items():
            key = f"key:  {fit(keys[name], cells)}  "
            row = line(key, f":{fit(start.label, LABEL)}", f"muted:{start.help}")
            if width_of(row) <= width or self.content_size.height < TALL:
                items.append(Item(row, name))
            else:
                items.append(Item(line(key, f":{start.label}"), name))
                items.append(Item(line(f"muted:{'':{cells + 4}}{start.help}", indent=cells + 4), whole=True))
        items += [Item(line()), *self._runs(width)]
        return items

    def _key_of(self, name: str, start: Start) -> str:
        """The key of a line: as the person has it where it is shipped, else as the package has it."""
        return self.workbench.key_of(f"home.{SHORT.get(name, name)}") if name in STARTS else start.key

    def _waiting(self) -> list[Item]:
        """What waits for the person in the newest runs; Enter leads to it."""
        found: list[Item] = []
        for run in (self.runs or ())[:LOOKED_AT]:
            status = run.status
            if status is None:
                continue
            name = safe(short_name(Path(run.path).name))
            if status.pending_reviews:
                what = f"{counted(status.pending_reviews, 'edit')} to review"
                found.append(Item(line(f"warn:  ! {what}", f"muted:  in {name}"), ("review", run.path)))
            if status.state in ASKING:
                word = STATES[status.state].partition(":")[2]
                why = f": {status.reason.strip()}" if status.reason.strip() else ""
                found.append(Item(line(f"warn:  {word}{clip(why, 120)}", f"muted:  {name}"), ("live", run.path)))
        more = len(found) - MOST_WAITING
        rest = (
            [Item(line(f"muted:    and {more} more: {self.workbench.key_of('app.runs')} lists all runs"))]
            if more > 0
            else []
        )
        return [*found[:MOST_WAITING], *rest]

    def _runs(self, width: int) -> list[Item]:
        if self.runs is None:
            return [Item(line("muted:  Looking for runs …"))]
        if self.trouble:
            return [Item(line(f"bad:  ✗ {self.trouble}"))]
        if not self.runs:
            return [
                Item(line(f"muted:  No runs yet in {self.folder}.", indent=2), whole=True),
                Item(
                    line(
                        "muted:  Press ",
                        f"key:{self.workbench.key_of('home.choose')}",
                        "muted: to train the pocket model.",
                    )
                ),
            ]
        columns = columns_for(width)
        head = "".join(fit(name, size) for name, size in columns.items())
        rows = [Item(line(f"muted:{'':{INDENT}}{head}run"))]
        for run in self.runs:
            rows.append(Item(partial(run_row, run, width), run.path))
            rows += [Item(line(f"muted:{'':{PROBLEM}}{each}", indent=PROBLEM), whole=True) for each in problems(run)]
        return rows


def columns_for(width: int) -> dict[str, int]:
    """The columns of a list of this width."""
    sizes = ((WIDE, NAME), (NARROW, SHORT_NAME))
    return next((columns for columns, name in sizes if width >= INDENT + sum(columns.values()) + name), TINY)


def run_row(run: RunSummary, width: int) -> Line:
    """One run in a row of `width` cells."""
    columns = columns_for(width)

    def cell(name: str, style: str, text: str) -> str:
        """A column's span; empty where the list is too narrow for the column."""
        return f"{style}:{fit(text, columns[name] - 1)} " if name in columns else ""

    indent = f":{'':{INDENT}}"
    status = run.status
    if status is None:
        return line(indent, cell("state", "bad", "✗ unreadable"), f":{clip(Path(run.path).name, width)}")
    style, _, word = STATES[status.state].partition(":")
    success = [step.rewards.r_task for step in status.ended if step.rewards.r_task is not None]
    pending = status.pending_reviews
    return line(
        indent,
        cell("state", style, word),
        cell("kind", "", status.kind),
        cell("progress", "muted", progress(status, columns["progress"] - 1)),
        cell("success", "muted", f"{success[-1]:.3f}" if success else "n/m"),
        cell("review", "warn" if pending else "muted", short(pending) if pending else "-"),
        cell("begun", "muted", ago(run.created)),
        f":{run_name(status, max(4, width - INDENT - sum(columns.values())))}",
    )


def problems(run: RunSummary) -> list[str]:
    """What is wrong with a run, and what can be done: a sentence for each row that cannot be read."""
    if run.status is None:
        return [safe(run.problem.removeprefix(f"{run.path} "))]
    damaged = [safe(each) for each in run.status.damaged]
    more = [f"and {counted(len(damaged) - DAMAGED, 'more row')}"] if len(damaged) > DAMAGED else []
    repair = [f"repair it: skillos-engine repair {shlex.quote(safe(run.path))}"] if damaged else []
    return [*damaged[:DAMAGED], *more, *repair]


def progress(status: Status, width: int) -> str:
    """The step and how many are planned: "12/40"; in thousands where that is too long."""
    exact = f"{status.step}/{status.steps}" if status.steps else f"{status.step}"
    return exact if len(exact) <= width else f"{short(status.step)}/{short(status.steps)}"


def run_name(status: Status, width: int) -> str:
    """The run's name in `width` cells. If it is too long, the parts that are in other columns (the date, the kind) are left
    out, then its middle: names differ by the time, or at their end."""
    name = safe(Path(status.path).name)
    time_first = short_name(name) != name
    for shorter in (name, short_name(name), short_name(name).replace(f"-{status.kind}-", "-", 1)):
        if cell_len(shorter) <= width:
            return shorter
    head = min(TIME, width - 2 if time_first else (width - 1) // 2)
    return fit(shorter, head + 1)[:-1].rstrip() + tail(shorter, width - head)


def ago(started: float) -> str:
    """How long ago something started: "12 min ago"."""
    seconds = max(0, time.time() - started)
    if seconds < 60:
        return "just now"
    if seconds < 5400:
        return f"{round(seconds / 60)} min ago"
    if seconds < 129_600:
        return f"{round(seconds / 3600)} h ago"
    return time.strftime("%Y-%m-%d", time.localtime(started))
