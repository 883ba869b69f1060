"""The reason of a veto, in a line; the curator is shown it later."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from skillos_tui.text import safe

MAX_REASON = 500


class ReasonScreen(ModalScreen[str | None]):
    """Answers the reason, which may be empty, or None when the veto was cancelled."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar = [Binding("escape", "cancel", "cancel")]

    def __init__(self, skill: str) -> None:
        super().__init__()
        self.skill = skill

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(f"Veto the edit of {safe(self.skill)}", classes="question", markup=False)
            yield Static("Why? The curator reads it before it writes the next edits.", classes="more", markup=False)
            yield Input(placeholder="reason", max_length=MAX_REASON, id="reason")
            yield Static("enter veto   esc cancel", classes="keys", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())

    def action_cancel(self) -> None:
        self.dismiss(None)
