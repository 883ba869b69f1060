"""The table of all runs, newest first, with those that are marked, as far as a filter lets them through."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.core.text import counted
from skillos_tui.render.text import Line, clip, fit, line
from skillos_tui.screens.home.runs import INDENT, PROBLEM, columns_for, problems, run_row
from skillos_tui.widgets.listing import Item, ListPane

if TYPE_CHECKING:
    from engine.runs.supervisor import RunSummary

MARK = "◆"
OPEN = "▸"


class RunTable(ListPane):
    """All runs. `marked` are the paths of those that are compared or moved together; `open` is the one that is open."""

    def __init__(self, *, id: str) -> None:
        super().__init__("Runs", id=id)
        self.runs: tuple[RunSummary, ...] | None = None
        self.folder = Path()
        self.trouble = ""
        self.sought = ""
        self.marked: tuple[str, ...] = ()
        self.open = ""

    @property
    def listed(self) -> list[RunSummary]:
        """The runs that the filter lets through."""
        words = self.sought.lower().split()
        return [run for run in self.runs or () if all(word in _text(run) for word in words)]

    @property
    def current(self) -> RunSummary | None:
        """The run under the cursor."""
        return next((run for run in self.runs or () if run.path == self.value), None)

    def show(self, runs: tuple[RunSummary, ...], folder: Path, trouble: str) -> None:
        """Show these runs, or why they cannot be listed; the same ones are not painted again."""
        if (runs is self.runs and trouble == self.trouble) and self.rows:
            return
        self.runs, self.folder, self.trouble = runs, folder, trouble
        there = {run.path for run in runs}
        self.marked = tuple(path for path in self.marked if path in there)
        self.refresh_rows()

    def refresh_rows(self) -> None:
        """Show what the fields hold now."""
        total, listed = len(self.runs or ()), len(self.listed)
        count = f"{listed:,} of {counted(total, 'run')}" if self.sought else counted(total, "run")
        self.retitle("Runs", count + (f", {len(self.marked)} marked" if self.marked else ""))
        self.renew()

    def items(self, width: int) -> Sequence[Item]:
        if self.trouble:
            return [Item(line(f"bad:✗ {self.trouble}"), whole=True)]
        if self.runs is None:
            return [Item(line("muted:Looking for runs …"))]
        if not self.runs:
            return [
                Item(
                    line(
                        f"muted:No run is in {self.folder} yet. ",
                        f"key:{self.workbench.key_of('runs.new')}",
                        "muted: starts one.",
                    ),
                    whole=True,
                )
            ]
        if not self.listed:
            return [
                Item(line(f"muted:No run matches the filter; {self.workbench.key_of('runs.close')} shows all runs."))
            ]
        head = "".join(fit(name, size) for name, size in columns_for(width).items())
        items = [Item(line(f"muted:{'':{INDENT}}{head}run"))]
        for run in self.listed:
            sign = MARK if run.path in self.marked else OPEN if run.path == self.open else " "
            items.append(Item(partial(_row, run, width, sign), run.path))
            items += [Item(line(f"muted:{'':{PROBLEM}}{each}", indent=PROBLEM), whole=True) for each in problems(run)]
        return items

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "The list of runs", (
            (MARK, "marked: to be compared, or moved to the trash, together"),
            (OPEN, "the run that is open"),
            ("success", "r_task of the newest step; n/m is not measured"),
            ("review", "edits that wait for a decision"),
        )


def _row(run: RunSummary, width: int, sign: str) -> Line:
    """A run's row, with a sign before it."""
    first, *others = run_row(run, width).spans
    return Line(((f" {sign}{first[0][2:]}", "accent"), *others))


def _text(run: RunSummary) -> str:
    """What a filter is compared with: the name, the kind and the state."""
    status = run.status
    more = f"{status.kind} {status.state}" if status is not None else "unreadable"
    return clip(f"{Path(run.path).name} {more}", 400).lower()
