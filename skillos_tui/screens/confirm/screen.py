"""Asks before something that a person may not want: y or n."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from skillos_tui.screens.dialog import DialogScreen


class ConfirmScreen(DialogScreen[bool]):
    """Returns true for y, false for n or escape. Enter does nothing, so that a habit does not confirm."""

    BINDINGS: ClassVar = [Binding("y", "answer(True)", "yes"), Binding("n,escape", "answer(False)", "no")]

    def __init__(self, question: str, more: str, verb: str) -> None:
        super().__init__()
        self.question, self.more, self.verb = question, more, verb

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(self.question, classes="question", markup=False)
            yield Static(self.more, classes="more", markup=False)
            yield Static(f"y {self.verb}   n cancel", classes="keys", markup=False)

    def action_answer(self, sure: bool) -> None:
        self.dismiss(sure)
