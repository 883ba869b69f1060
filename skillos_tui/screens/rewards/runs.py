"""The dialog that chooses the runs whose curves are drawn over those of the open run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from engine.runs.listing import RunListing
from engine.runs.supervisor import RunSummary
from skillos_tui.client.messages import Answered, Reply
from skillos_tui.render.text import Line, clip, line, safe
from skillos_tui.screens.base import Listener
from skillos_tui.screens.dialog import DialogScreen
from skillos_tui.widgets.listing import Item, ListPane

if TYPE_CHECKING:
    from skillos_tui.workbench import Workbench

QUESTION = "runs to overlay"


class RunList(ListPane):
    """Runs with steps; the chosen ones are ticked."""

    def __init__(self, chosen: Sequence[Path]) -> None:
        super().__init__(id="runs")
        self.runs: Sequence[RunSummary] | None = None
        self.drawn = list(chosen)
        self.chosen = list(chosen)

    def items(self, width: int) -> Sequence[Item]:
        if self.runs is None:
            return [Item(line("muted:Looking for runs …"))]
        found = {Path(each.path) for each in self.runs}
        rows = [Item(partial(_row, each, Path(each.path) in self.chosen), each.path) for each in self.runs]
        gone = [each for each in self.drawn if each not in found]
        rows += [Item(partial(_gone, each, each in self.chosen), str(each)) for each in gone]
        return rows or [Item(line("muted:No other run in these folders has finished a step."), whole=True)]

    def toggle(self) -> None:
        """Choose the run under the cursor, or not."""
        if isinstance(self.value, str):
            path = Path(self.value)
            self.chosen = (
                [each for each in self.chosen if each != path] if path in self.chosen else [*self.chosen, path]
            )
            self.renew()


def _row(summary: RunSummary, chosen: bool) -> Line:
    """A run: its name, how far it is, and its newest held-out value."""
    path, status = Path(summary.path), summary.status
    told = f"step {status.step} of {status.steps} · {status.state}" if status else ""
    measured = [event.r_task for event in status.held_out if event.r_task is not None] if status else []
    held_out = f" · held-out {measured[-1]:.3f}" if measured else ""
    return line(f"accent:{'✓ ' if chosen else '  '}", f":{clip(path.name, 60)}", f"muted:  {told}{held_out}")


def _gone(path: Path, chosen: bool) -> Line:
    """A run that is drawn and was not found."""
    return line(f"accent:{'✓ ' if chosen else '  '}", f":{clip(path.name, 60)}", "warn:  not in these folders")


class RunsDialog(DialogScreen[list[Path]], Listener):
    """Returns the runs that are to be drawn too; None where it was cancelled."""

    CSS = """
    RunsDialog #dialog { width: 90; }
    RunsDialog #runs { height: 12; border: none; padding: 0; }
    .-low RunsDialog #runs { height: 4; }
    """
    BINDINGS: ClassVar = [
        Binding("space", "choose", "choose", priority=True),
        Binding("enter", "draw", "draw", priority=True),
        Binding("escape", "cancel", "cancel", priority=True),
    ]

    def __init__(self, path: Path, chosen: Sequence[Path]) -> None:
        super().__init__()
        self.path = path
        self.chosen = chosen

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static("Draw the curves of other runs too", classes="question")
            yield RunList(self.chosen)
            yield Static(id="trouble", classes="more", markup=False)
            yield Static("space choose   enter draw   esc cancel", classes="keys", markup=False)

    def on_mount(self) -> None:
        self.set_focus(self.query_one(RunList))
        client = cast("Workbench", self.app).client
        client.ask(QUESTION, partial(_runs, {self.path.parent: None, client.folder: None}, self.path))

    def take(self, reply: Reply) -> None:
        if isinstance(reply, Answered) and reply.question == QUESTION:
            pane = self.query_one(RunList)
            pane.runs = reply.value if isinstance(reply.value, list) else []
            pane.renew()
            self.query_one("#trouble", Static).update(safe(reply.trouble))

    def action_choose(self) -> None:
        self.query_one(RunList).toggle()

    def action_draw(self) -> None:
        self.dismiss(self.query_one(RunList).chosen)

    def action_cancel(self) -> None:
        self.dismiss(None)


def _runs(folders: dict[Path, None], own: Path) -> list[RunSummary]:
    """The runs of these folders with a finished step, but the open one. Raises `RunError`."""
    found = [summary for folder in folders for summary in RunListing(folder).look()]
    return [each for each in found if each.status and each.status.ended and Path(each.path) != own]
