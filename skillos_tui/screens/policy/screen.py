"""Chooses the review policy of a run: who decides on edits that nobody has decided."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from engine.review.effects import gates_of
from engine.review.gates.registry import none_measures
from engine.review.policies import POLICIES, meaning
from skillos_tui.model.in_force import InForce
from skillos_tui.model.view import Part
from skillos_tui.screens.dialog import DIALOG_STYLE, DialogScreen
from skillos_tui.screens.reading import ReadFirst

NO_GATE = "refused here: none of the run's gates measures anything"


class PolicyScreen(ReadFirst, DialogScreen[str | None]):
    """Returns the name of another policy than the present one, or None."""

    CSS_PATH: ClassVar = [DIALOG_STYLE, "screen.tcss"]
    BINDINGS: ClassVar = [
        *(Binding(str(number), f"choose({number})", "choose") for number in range(1, len(POLICIES) + 1)),
        Binding("escape", "cancel", "cancel"),
    ]

    def __init__(self, settings: InForce) -> None:
        """`settings` are those of the run that are in force."""
        super().__init__()
        self.settings = settings

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static("Who decides on edits?", classes="question", markup=False)
            yield Static(self._policies(), id="policies", classes="more", markup=False)
            yield Static(
                f"1-{len(POLICIES)} choose   esc cancel   a policy's decision can be undone",
                classes="keys",
                markup=False,
            )

    def _policies(self) -> str:
        gates = gates_of(self.settings.settings)
        useless = gates is not None and none_measures(gates)
        return "\n".join(
            f"{'▶' if name == self.settings.policy else ' '} {number} {name:14} "
            + (NO_GATE if name == "gate" and useless else meaning(name, self.settings.policy_seconds))
            for number, name in enumerate(POLICIES, 1)
        )

    def renew(self, parts: set[Part]) -> None:
        """Show the settings that somebody else has changed; a key that was pressed before they are painted is dropped."""
        settings = self.workbench.view.settings
        if settings != self.settings and self.is_mounted:
            self.settings = settings
            self.query_one("#policies", Static).update(self._policies())
            self.wait_for_paint()

    def action_choose(self, number: int) -> None:
        name = POLICIES[number - 1]
        self.dismiss(name if name != self.settings.policy else None)

    def action_cancel(self) -> None:
        self.dismiss(None)
