"""The dialog that asks how many steps a run has, to go on with it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from skillos_tui.screens.dialog import DialogScreen
from skillos_tui.widgets.field import NumberField


class ExtendScreen(DialogScreen[int]):
    """Returns the number of steps; None for escape."""

    BINDINGS: ClassVar = [Binding("escape", "cancel", "cancel", priority=True)]

    def __init__(self, name: str, done: int, planned: int) -> None:
        super().__init__()
        self.question = f"How many steps has {name}?"
        self.more = f"It has made {done} of {planned}. A train run with a constant schedule can go on."
        self.done = done
        self.proposed = planned if planned > done else max(1, 2 * done)

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(self.question, classes="question", markup=False)
            yield Static(self.more, classes="more", markup=False)
            yield NumberField(str(self.proposed), max_length=7, id="steps")
            yield Static("", id="error", markup=False)
            yield Static("enter go on   esc cancel", classes="keys", markup=False)

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#steps"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if not event.value or int(event.value) <= self.done:
            self.query_one("#error", Static).update(f"Give more than the {self.done} steps that are made.")
        else:
            self.dismiss(int(event.value))

    def action_cancel(self) -> None:
        self.dismiss(None)
