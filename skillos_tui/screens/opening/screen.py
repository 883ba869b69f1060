"""Asks for a folder of skills to open."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from engine.core.paths import BadPath, user_path
from skillos_tui.render.text import safe
from skillos_tui.screens.dialog import DialogScreen
from skillos_tui.widgets.field import LineField


class OpenScreen(DialogScreen[Path]):
    """Returns the folder; None for escape."""

    BINDINGS: ClassVar = [Binding("escape", "cancel", "cancel", priority=True)]

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static("Which folder of skills?", classes="question")
            yield Static(
                "A folder whose subfolders have a SKILL.md each, or Markdown files with frontmatter.", classes="more"
            )
            yield LineField(placeholder="~/skills", id="folder")
            yield Static("", id="error", markup=False)
            yield Static("enter open   esc cancel", classes="keys", markup=False)

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#folder"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            folder = user_path(event.value.strip() or ".").absolute()
            why = "" if folder.is_dir() else f"{folder} is no folder."
        except (BadPath, OSError, ValueError) as error:
            why = str(error)
        if why:
            self.query_one("#error", Static).update(safe(why))
        else:
            self.dismiss(folder)

    def action_cancel(self) -> None:
        self.dismiss(None)
