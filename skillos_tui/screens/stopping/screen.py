"""Asks how a run is to be stopped: now, or when the present step has ended."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from skillos_tui.screens.dialog import DialogScreen

How = Literal["now", "after"]


class StopScreen(DialogScreen[How | None]):
    """Returns how, or None for n or escape. Enter does nothing, so that a habit does not confirm."""

    BINDINGS: ClassVar = [
        Binding("y", "answer('now')", "now"),
        Binding("a", "answer('after')", "after the step"),
        Binding("n,escape", "answer('')", "no"),
    ]

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def compose(self) -> ComposeResult:
        key = self.workbench.key_of("live.pause")
        more = (
            f"Now: the engine abandons the present {self.unit} and ends; every finished {self.unit} is saved. "
            f"After: it ends when the present {self.unit} is saved; {key} on Live takes that back, or resumes the run."
        )
        with Vertical(id="dialog"):
            yield Static("Stop this run?", classes="question", markup=False)
            yield Static(more, classes="more", markup=False)
            yield Static(f"y stop now   a after this {self.unit}   n cancel", classes="keys", markup=False)

    def action_answer(self, how: How | Literal[""]) -> None:
        self.dismiss(how or None)
