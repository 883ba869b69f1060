"""The reason of a veto, in a line; the curator reads it later.

Reasons are offered by number: what the gates found, what earlier vetoes said, and a few that often fit. A number typed into
the empty field takes one of them; it can be changed before it is sent.

The dialog concerns the edits as they were when it opened. If the only one changes, the dialog shows how, keeps the text and
does not send it. The text is saved as a draft at each key, until it has been sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from engine.core.edit import PAST, Edit
from engine.core.text import counted
from skillos_tui.model.view import Part
from skillos_tui.render.text import clip, safe
from skillos_tui.screens.base import Listener
from skillos_tui.screens.dialog import DIALOG_STYLE, DialogScreen
from skillos_tui.widgets.field import LineField

if TYPE_CHECKING:
    from skillos_tui.workbench import Workbench

MAX_REASON = 500
HINT = "Why? The curator reads it before it writes the next edits."
COMMON = (
    "too specific: it holds for one task only",
    "the trajectory does not show it",
    "it repeats what another skill says",
)
"""Reasons that often fit."""
MAX_OFFERED = 6
SHOWN = 56
"""Characters of an offered reason that the dialog shows."""


def offered(edits: Sequence[Edit], vetoes: Sequence[Edit] = ()) -> list[str]:
    """Reasons for a veto: of what the gates found in the edits, of earlier vetoes, the newest first, and common ones."""
    found = [finding.message for edit in edits for finding in edit.findings if finding.severity != "info"]
    said = [veto.decision.reason for veto in vetoes if veto.decision is not None]
    whole = (safe(" ".join(text.split()))[:MAX_REASON] for text in (*found[:2], *said[:2], *COMMON))
    return list(dict.fromkeys(text for text in whole if text))[:MAX_OFFERED]


class ReasonField(LineField):
    """A line; a number typed while it is empty takes the reason of that number."""

    def __init__(self, value: str, offers: Sequence[str], *, id: str) -> None:
        super().__init__(value, placeholder="reason", max_length=MAX_REASON, id=id, select_on_focus=False)
        self.offers = offers

    async def on_key(self, event: events.Key) -> None:
        number = int(event.character) if event.character and event.character in "123456789" else 0
        if not self.value and 1 <= number <= len(self.offers):
            self.value = self.offers[number - 1]
            self.cursor_position = len(self.value)
            event.stop()
            event.prevent_default()
        else:
            await super().on_key(event)


class ReasonScreen(DialogScreen[str | None], Listener):
    """Returns the reason, which may be empty, or None when it was cancelled."""

    CSS_PATH: ClassVar = [DIALOG_STYLE, "screen.tcss"]
    BINDINGS: ClassVar = [
        Binding("enter", "send", "veto", priority=True),
        Binding("escape", "cancel", "cancel", priority=True),
    ]

    def __init__(self, run: Path, edits: Sequence[Edit], draft: str, offers: Sequence[str], key: str = "") -> None:
        """`key` is what the draft is kept under; by default the only edit's id."""
        super().__init__()
        self.run, self.draft, self.offers = run, draft, offers
        self.bound = tuple(edits)
        self.key = key or edits[0].id
        self.changed = ""
        """How the edit has changed since, as a sentence; "" if it has not."""
        self._left = False

    @property
    def workbench(self) -> Workbench:
        """The app, by its own type."""
        return cast("Workbench", self.app)

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            what = (
                f"the edit of {safe(self.bound[0].skill)}" if len(self.bound) == 1 else counted(len(self.bound), "edit")
            )
            yield Static(f"Veto {what}", classes="question", markup=False)
            yield Static(HINT, id="hint", classes="more", markup=False)
            numbered = (f"{at} {clip(text, SHOWN)}" for at, text in enumerate(self.offers, 1))
            yield Static("\n".join(numbered), id="offers", classes="more", markup=False)
            yield ReasonField(self.draft, self.offers, id="reason")
            keys = f"enter veto   1-{len(self.offers)} take a reason   esc cancel"
            yield Static(keys, id="hint-keys", classes="keys", markup=False)

    def on_mount(self) -> None:
        reason = self.query_one(Input)
        self.set_focus(reason)  # at once: the next key belongs into it
        reason.cursor_position = len(self.draft)
        self.renew({"review"})

    def renew(self, parts: set[Part]) -> None:
        """Show how the edit has changed; from then on nothing is sent. The text is kept again, since a veto in another
        workbench drops the draft that it sent."""
        self.changed = self.changed or self._change()
        if self.changed and self.is_mounted:
            self.workbench.session.keep_draft(self.run, self.key, self.query_one(Input).value)
            self.query_one("#hint", Static).update(f"{self.changed}\nNothing was sent; your text is kept.")
            self.query_one("#hint-keys", Static).update("esc close   shift+home, ctrl+c copy")

    def _change(self) -> str:
        app = self.workbench
        if app.path != self.run:
            return "Another run was opened."
        if app.lost:
            return "The run cannot be read any more."
        if len(self.bound) > 1:
            return ""  # each decision is refused by itself where its edit has changed
        (bound,) = self.bound
        edit = app.view.edits.get(bound.id)
        if edit is None:
            return "Newer edits superseded this one."
        if edit == bound:
            return ""
        if edit.decision is None:
            return "This edit was queued again with another diff."
        return f"Meanwhile this edit was {PAST[edit.decision.action]} by {safe(edit.decision.by)}."

    def on_input_changed(self, event: Input.Changed) -> None:
        if not self._left:
            self.workbench.session.keep_draft(self.run, self.key, event.value)

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
        self.workbench.session.keep_draft(self.run, self.key, text)
        self.dismiss(text.strip() if send else None)
