"""Asks for a filter of the review queue: words, of which every one has to fit."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from skillos_tui.model.review_filter import OPERATIONS, STATES
from skillos_tui.screens.dialog import DialogScreen
from skillos_tui.widgets.field import LineField

MAX_FILTER = 100
HINT = (
    f"Words of a skill's name, its text or the reason; and {', '.join(OPERATIONS)}, {', '.join(STATES)}. "
    "All of them have to fit. Empty shows what waits and what was decided."
)


class FilterScreen(DialogScreen[str | None]):
    """Returns the filter's text, or None when it was cancelled."""

    BINDINGS: ClassVar = [
        Binding("enter", "send", "filter", priority=True),
        Binding("escape", "cancel", "cancel", priority=True),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static("Filter the queue", classes="question", markup=False)
            yield Static(HINT, classes="more", markup=False)
            yield LineField(self.text, placeholder="superseded kettle", max_length=MAX_FILTER, id="filter")
            yield Static("enter filter   esc cancel", classes="keys", markup=False)

    def on_mount(self) -> None:
        self.set_focus(self.query_one(Input))

    def action_send(self) -> None:
        self.query_one(Input).call_later(self._send)

    def _send(self) -> None:
        """Runs in the field's message queue, after the characters that were typed before the key."""
        self.dismiss(" ".join(self.query_one(Input).value.split()))

    def action_cancel(self) -> None:
        self.dismiss(None)
