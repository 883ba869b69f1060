"""The first thing a person sees: what can be started, and the runs there are, newest first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from skillos_tui.messages import RunRow
from skillos_tui.text import Line, fit, line
from skillos_tui.widgets.bars import STATES
from skillos_tui.widgets.listing import Item, ListPane

TRAIN, CURATE = "train", "curate"

ACTIONS = (
    (TRAIN, "t", "Train the pocket model", "real GRPO steps on this CPU; no network"),
    (CURATE, "c", "Live curation", "tasks stream by; you decide on each edit"),
)
COLUMNS = {"state": 15, "kind": 9, "progress": 11, "success": 10, "review": 9, "begun": 13}
"""The widths of the columns of the list, in cells; the run's name has what is left."""


class RunList(ListPane):
    """Actions first, then the runs. The cursor starts on the newest run; where there is none, on training."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, classes="plain")
        self.runs: tuple[RunRow, ...] | None = None
        self.folder = Path()
        self.trouble = ""
        self.value = TRAIN

    def show(self, runs: tuple[RunRow, ...], folder: Path, trouble: str = "") -> None:
        """Show these runs, or why they cannot be listed; until the cursor has been moved, it is on the newest."""
        self.runs, self.folder, self.trouble = runs, folder, trouble
        if not self.moved:
            self.value = runs[0].path if runs and not runs[0].trouble else TRAIN
        self.renew()

    def items(self, width: int) -> Sequence[Item]:
        items = [
            Item(line("strong:SkillOS")),
            Item(line("muted:Watch a curator of skills learn, and decide what it may keep.")),
        ]
        items.append(Item(line()))
        for value, key, label, help in ACTIONS:
            items.append(Item(line(f"key:  {key}  ", f":{fit(label, 26)}", f"muted:{help}"), value))
        items += [Item(line()), *self._runs(width)]
        return items

    def _runs(self, width: int) -> list[Item]:
        if self.runs is None:
            return [Item(line("muted:  Looking for runs …"))]
        if self.trouble:
            return [Item(line(f"bad:  ✗ {self.trouble}"))]
        if not self.runs:
            return [
                Item(line(f"muted:  No runs yet in {self.folder}.")),
                Item(line("muted:  Press ", "key:enter", "muted: to train the pocket model.")),
            ]
        head = "".join(fit(name, width) for name, width in COLUMNS.items())
        return [Item(line(f"muted:     {head}run")), *(Item(_row(row), row.path) for row in self.runs)]


def _row(row: RunRow) -> Line:
    if row.trouble:
        return line(f"bad:     {fit('✗ unreadable', COLUMNS['state'])}", f":{row.id}  ", f"muted:{row.trouble}")
    style, _, word = STATES[row.state].partition(":") if row.state else ("", "", "")
    progress = f"{row.step}/{row.steps}" if row.steps else f"{row.step}"
    success = "n/m" if row.success is None else f"{row.success:.3f}"
    waiting = fit(str(row.pending or "-"), COLUMNS["review"])
    return line(
        f"{style}:     {fit(word, COLUMNS['state'])}",
        f":{fit(row.kind, COLUMNS['kind'])}",
        f"muted:{fit(progress, COLUMNS['progress'])}{fit(success, COLUMNS['success'])}",
        f"{'warn' if row.pending else 'muted'}:{waiting}",
        f"muted:{fit(ago(row.started), COLUMNS['begun'])}",
        f":{row.id}",
    )


def ago(started: float) -> str:
    """When something began, as a person would say it."""
    seconds = max(0, time.time() - started)
    if seconds < 60:
        return "just now"
    if seconds < 5400:
        return f"{round(seconds / 60)} min ago"
    if seconds < 129_600:
        return f"{round(seconds / 3600)} h ago"
    return time.strftime("%Y-%m-%d", time.localtime(started))
