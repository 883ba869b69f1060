"""The reason of a veto, in a line; the curator reads it later.

The dialog concerns the edit as it was when it opened. If the edit changes, the dialog shows how, keeps the text and does not
send it. The text is saved as a draft at each key, until it has been sent.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from engine.core.edit import PAST, Edit
from skillos_tui.model.view import Part
from skillos_tui.render.text import safe
from skillos_tui.screens.base import Listener
from skillos_tui.screens.dialog import DialogScreen
from skillos_tui.widgets.field import LineField

if TYPE_CHECKING:
    from skillos_tui.workbench import Workbench

MAX_REASON = 500
HINT = "Why? The curator reads it before it writes the next edits."


class ReasonScreen(DialogScreen[str | None], Listener):
    """Returns the reason, which may be empty, or None when it was cancelled."""

    BINDINGS: ClassVar = [
        Binding("enter", "send", "veto", priority=True),
        Binding("escape", "cancel", "cancel", priority=True),
    ]

    def __init__(self, run: Path, edit: Edit, draft: str) -> None:
        super().__init__()
        self.run, self.draft = run, draft
        self.edit, self.skill, self.bound = edit.id, edit.skill, edit
        self.changed = ""
        """How the edit has changed since, as a sentence; "" if it has not."""
        self._left = False

    @property
    def workbench(self) -> Workbench:
        """The app, by its own type."""
        return cast("Workbench", self.app)

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(f"Veto the edit of {safe(self.skill)}", classes="question", markup=False)
            yield Static(HINT, id="hint", classes="more", markup=False)
            yield LineField(self.draft, placeholder="reason", max_length=MAX_REASON, id="reason", select_on_focus=False)
            yield Static("enter veto   esc cancel", id="hint-keys", classes="keys", markup=False)

    def on_mount(self) -> None:
        reason = self.query_one(Input)
        self.set_focus(reason)  # at once: the next key belongs into it
        reason.cursor_position = len(self.draft)
        self.renew({"review"})

    def renew(self, parts: set[Part]) -> None:
        """Show how the edit has changed; from then on nothing is sent."""
        self.changed = self.changed or self._change()
        if self.changed and self.is_mounted:
            self.query_one("#hint", Static).update(f"{self.changed}\nNothing was sent; your text is kept.")
            self.query_one("#hint-keys", Static).update("esc close   shift+home, ctrl+c copy")

    def _change(self) -> str:
        app = self.workbench
        edit = app.view.edits.get(self.edit)
        if app.path != self.run:
            return "Another run was opened."
        if app.lost:
            return "The run cannot be read any more."
        if edit is None:
            return "Newer edits superseded this one."
        if edit == self.bound:
            return ""
        if edit.decision is None:
            return "This edit was queued again with another diff."
        return f"Meanwhile this edit was {PAST[edit.decision.action]} by {safe(edit.decision.by)}."

    def on_input_changed(self, event: Input.Changed) -> None:
        if not self._left:
            self.workbench.session.keep_draft(self.run, self.edit, event.value)

    def action_send(self) -> None:
        self.query_one(Input).call_later(self._leave, send=True)

    def action_cancel(self) -> None:
        self.query_one(Input).call_later(self._leave, send=False)

    def _leave(self, *, send: bool) -> None:
        """Close the dialog, once. Runs in the field's message queue, after the characters that were typed before the key."""
        if self._left or (send and self.changed):
            return
        self._left = True
        text = self.query_one(Input).value
        self.workbench.session.keep_draft(self.run, self.edit, text)
        self.dismiss(text.strip() if send else None)
