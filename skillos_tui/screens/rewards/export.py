"""The dialog that writes a chart to a file; it stays open until the file is written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from skillos_tui.client.drawing import free_name, working_folder, write_chart
from skillos_tui.client.messages import Answered, Reply
from skillos_tui.render.picture import ENDINGS
from skillos_tui.render.plot import Series
from skillos_tui.render.text import safe
from skillos_tui.screens.base import Listener
from skillos_tui.screens.dialog import DialogScreen
from skillos_tui.widgets.field import LineField

if TYPE_CHECKING:
    from skillos_tui.workbench import Workbench

QUESTION = "export a chart"


class ExportDialog(DialogScreen[None], Listener):
    """Asks for the file's name; its ending is its kind."""

    CSS = "ExportDialog #dialog { width: 90; }"
    BINDINGS: ClassVar = [
        Binding("up", "kind(-1)", "kind", priority=True),
        Binding("down", "kind(1)", "kind", priority=True),
        Binding("enter", "write", "write", priority=True),
        Binding("escape", "cancel", "cancel", priority=True),
    ]

    def __init__(self, stem: str, title: str, series: Sequence[Series], steps: range) -> None:
        super().__init__()
        self.stem, self.title_text, self.series, self.steps = stem, title, series, steps

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static("Write the chart to a file", classes="question")
            yield Static("The ending is the kind: .png, .svg, or .csv with the values.", classes="more", markup=False)
            yield LineField(str(free_name(working_folder(), self.stem, ENDINGS[0])), id="file", select_on_focus=False)
            yield Static(id="trouble", classes="more", markup=False)
            yield Static("↑ ↓ kind   enter write   esc cancel", classes="keys", markup=False)

    def on_mount(self) -> None:
        self.set_focus(self.query_one(LineField))

    def action_kind(self, by: int) -> None:
        """The same name with the next ending; with a number where that file exists."""
        field = self.query_one(LineField)
        path = Path(os.path.expanduser(field.value))  # noqa: PTH111 - a Path raises where there is no such home
        at = ENDINGS.index(path.suffix) if path.suffix in ENDINGS else -1
        ending = ENDINGS[(at + by) % len(ENDINGS)]
        if path.name:
            wanted = path.with_suffix(ending)
            field.value = str(free_name(path.parent, path.stem, ending) if os.path.lexists(wanted) else wanted)
            field.cursor_position = len(field.value)

    def action_write(self) -> None:
        self.query_one(LineField).call_later(self._write)

    def _write(self) -> None:
        """Runs in the field's message queue, after the characters that were typed before the key."""
        name = self.query_one(LineField).value
        write = partial(write_chart, name, self.title_text, self.series, self.steps)
        cast("Workbench", self.app).client.do(QUESTION, write)

    def take(self, reply: Reply) -> None:
        if not isinstance(reply, Answered) or reply.question != QUESTION:
            return
        if reply.trouble:
            self.query_one("#trouble", Static).update(safe(reply.trouble))
        else:
            self.app.notify(safe(f"Saved {reply.value}"), markup=False, timeout=10)
            self.dismiss(None)

    def action_cancel(self) -> None:
        self.dismiss(None)
