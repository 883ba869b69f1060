"""The first thing a person sees: what can be started, and the runs there are, newest first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from skillos_tui.messages import RunRow
from skillos_tui.text import Line, fit, line, safe
from skillos_tui.widgets.bars import STATES
from skillos_tui.widgets.listing import Item, ListPane

TRAIN, CURATE = "train", "curate"

ACTIONS = (
    (TRAIN, "t", "Train the pocket model", "real GRPO steps on this machine's processor, no network needed"),
    (CURATE, "c", "Live curation", "tasks stream over one repository; you decide on each edit"),
)


class RunList(ListPane):
    """Actions first, then the runs. The cursor starts on the newest run; where there is none, on training."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, classes="plain")
        self.runs: tuple[RunRow, ...] | None = None
        self.folder = Path()
        self.value = TRAIN

    def show(self, runs: tuple[RunRow, ...], folder: Path) -> None:
        """Show these runs; until the cursor has been moved, it is on the newest."""
        self.runs, self.folder = runs, folder
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
        if not self.runs:
            return [
                Item(line(f"muted:  No runs yet in {self.folder}.")),
                Item(line("muted:  Press ", "key:enter", "muted: to train the pocket model.")),
            ]
        names = max(12, min(44, max(len(row.id) for row in self.runs)))
        widths = {"state": 14, "run": names + 2, "progress": 16, "success": 10, "review": 9}
        head = "".join(fit(name, width) for name, width in widths.items())
        return [Item(line(f"muted:     {head}begun")), *(Item(_row(row, names), row.path) for row in self.runs)]


def _row(row: RunRow, names: int) -> Line:
    if row.trouble:
        return line("bad:     ✗ unreadable  ", f":{fit(safe(row.id), names + 2)}", f"muted:{row.trouble}")
    style, _, word = STATES[row.state].partition(":")  # type: ignore[index]
    unit = "task" if row.kind == "curate" else "step"
    progress = f"{unit} {row.step}" + (f" of {row.steps}" if row.steps else "")
    success = "n/m" if row.success is None else f"{row.success:.3f}"
    return line(
        f"{style}:     {fit(word, 14)}",
        f":{fit(safe(row.id), names + 2)}",
        f"muted:{fit(progress, 16)}{fit(success, 10)}",
        f"{'warn' if row.pending else 'muted'}:{fit(str(row.pending or '-'), 9)}",
        f"muted:{ago(row.started)}",
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
