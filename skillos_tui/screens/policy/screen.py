"""Chooses the review policy of a run: who decides on edits that nobody has decided."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from engine.review.policies import POLICIES, meaning
from skillos_tui.screens.dialog import DIALOG_STYLE, DialogScreen
from skillos_tui.screens.reading import ReadFirst


class PolicyScreen(ReadFirst, DialogScreen[str | None]):
    """Returns the name of another policy than the present one, or None."""

    CSS_PATH: ClassVar = [DIALOG_STYLE, "screen.tcss"]
    BINDINGS: ClassVar = [
        *(Binding(str(number), f"choose({number})", "choose") for number in range(1, len(POLICIES) + 1)),
        Binding("escape", "cancel", "cancel"),
    ]

    def __init__(self, present: str, seconds: float | None) -> None:
        """`seconds` is the time of the policies that have one, None where it is not known."""
        super().__init__()
        self.present, self.seconds = present, seconds

    def compose(self) -> ComposeResult:
        lines = [
            f"{'▶' if name == self.present else ' '} {number} {name:14} {meaning(name, self.seconds)}"
            for number, name in enumerate(POLICIES, 1)
        ]
        with Vertical(id="dialog"):
            yield Static("Who decides on edits?", classes="question", markup=False)
            yield Static("\n".join(lines), classes="more", markup=False)
            yield Static(
                f"1-{len(POLICIES)} choose   esc cancel   a policy's decision can be undone",
                classes="keys",
                markup=False,
            )

    def action_choose(self, number: int) -> None:
        name = POLICIES[number - 1]
        self.dismiss(name if name != self.present else None)

    def action_cancel(self) -> None:
        self.dismiss(None)
