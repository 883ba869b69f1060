"""An edit's text in a field of several lines: the way to amend where there is no editor, or a person prefers this.

What is typed is saved as a draft at each key, so a cut terminal loses nothing. Leaving the dialog approves nothing: Review
shows the text as a diff.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static, TextArea

from engine.core.edit import Edit
from skillos_tui.render.text import safe
from skillos_tui.screens.base import Listener
from skillos_tui.screens.dialog import DIALOG_STYLE, DialogScreen
from skillos_tui.widgets.field import ExactField

if TYPE_CHECKING:
    from skillos_tui.model.session import Session


class AmendScreen(DialogScreen[str], Listener):
    """Returns the text as it is when the dialog is left."""

    CSS_PATH: ClassVar = [DIALOG_STYLE, "screen.tcss"]
    BINDINGS: ClassVar = [Binding("ctrl+s,escape", "leave", "done", priority=True)]

    def __init__(self, run: Path, edit: Edit, text: str, key: str) -> None:
        """`text` is what the field begins with, and `key` what the draft is kept under."""
        super().__init__()
        self.run, self.edit, self.text, self.key = run, edit, text, key
        self.field = ExactField(text, id="text")
        self._kept = ""
        """The draft before anything was typed."""
        self._left = False

    @property
    def _session(self) -> Session:
        return self.workbench.session

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(f"Amend the edit of {safe(self.edit.skill)}", classes="question", markup=False)
            yield self.field
            if hidden := self.field.stand_ins.legend:
                yield Static(f"not shown as they are: {hidden}", classes="more", markup=False)
            approve = self.workbench.key_of("review.approve")
            hint = f"ctrl+s or esc shows it as a diff; {approve} on Review approves it, and nothing before that"
            yield Static(hint, classes="keys", markup=False)

    def on_mount(self) -> None:
        self.set_focus(self.field)
        self._kept = self._session.draft(self.run, self.key)

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        if not self._left:
            text = self.field.written
            self._session.keep_draft(self.run, self.key, self._kept if text == self.text else text)

    def action_leave(self) -> None:
        self.field.call_later(self._leave)

    def _leave(self) -> None:
        """Close the dialog, once. Runs in the field's message queue, after what was typed before the key."""
        if not self._left:
            self._left = True
            self.dismiss(self.field.written)
