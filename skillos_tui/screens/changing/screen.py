"""Changes a run that has begun: its review policy, its number of steps, and which checkpoint is kept for good."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from skillos_tui.model.view import RunView
from skillos_tui.screens.dialog import DialogScreen
from skillos_tui.widgets.field import NumberField


class Wanted(NamedTuple):
    """What a person wants changed; `value` is "" for a checkpoint, and for the policy, which another dialog asks for."""

    what: Literal["review.policy", "training.steps", "checkpoint"]
    value: str = ""


class ChangeScreen(DialogScreen[Wanted | None]):
    """Returns what is wanted, or None when it was cancelled. Only a train run has a number of steps and checkpoints."""

    BINDINGS: ClassVar = [
        Binding("enter", "steps", "steps", priority=True),
        Binding("p", "policy", "policy", priority=True),
        Binding("k", "checkpoint", "checkpoint", priority=True),
        Binding("escape", "cancel", "cancel", priority=True),
    ]

    def __init__(self, view: RunView) -> None:
        super().__init__()
        self.trains, self.planned, self.step = view.trains, view.planned, view.step
        self.policy = view.settings.policy or "ask"

    def compose(self) -> ComposeResult:
        lines = [f"Review policy {self.policy}."]
        keys = ["p choose a policy"]
        if self.trains:
            lines.append(f"Step {self.step} of {self.planned}. With fewer, the run ends after the step that has begun.")
            keys = ["enter set the steps", *keys, "k keep the newest checkpoint"]
        with Vertical(id="dialog"):
            yield Static("Change this run", classes="question", markup=False)
            yield Static("\n".join(lines), classes="more", markup=False)
            if self.trains:
                yield NumberField(str(self.planned), max_length=7, id="steps")
            yield Static("   ".join([*keys, "esc cancel"]), classes="keys", markup=False)

    def on_mount(self) -> None:
        if self.trains:
            self.set_focus(self.query_one(Input))

    def action_steps(self) -> None:
        if self.trains:
            self.query_one(Input).call_later(self._send_steps)

    def _send_steps(self) -> None:
        """Runs in the field's message queue, after the digits that were typed before the key."""
        if value := self.query_one(Input).value:
            self.dismiss(Wanted("training.steps", value))

    def action_policy(self) -> None:
        self.dismiss(Wanted("review.policy"))

    def action_checkpoint(self) -> None:
        if self.trains:
            self.dismiss(Wanted("checkpoint"))

    def action_cancel(self) -> None:
        self.dismiss(None)
