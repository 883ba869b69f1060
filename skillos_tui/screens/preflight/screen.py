"""The preflight of a run that is being started: each check as it is made.

The dialog closes when the run begins. Where checks fail, it shows them last, and `o` starts the run although they do. Escape
gives the run up at any time; nothing has been created then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from engine.core.records import Check
from skillos_tui.client.messages import PreflightBlocked, PreflightReported, Reply, RunCreated, StartRefused
from skillos_tui.render.text import safe
from skillos_tui.screens.base import Listener
from skillos_tui.screens.dialog import DIALOG_STYLE, DialogScreen

if TYPE_CHECKING:
    from skillos_tui.workbench import Workbench

MARKS = {"pass": "✓", "warn": "!", "fail": "✗"}
STYLES = {"pass": "good", "warn": "warn", "fail": "bad"}
CANCEL = "esc cancel"


class PreflightScreen(DialogScreen[None], Listener):
    """`checks` are those that were made before the dialog was opened."""

    CSS_PATH: ClassVar = [DIALOG_STYLE, "screen.tcss"]
    BINDINGS: ClassVar = [Binding("o", "override", "override"), Binding("escape", "give_up", "cancel")]

    def __init__(self, checks: list[Check]) -> None:
        super().__init__()
        self._checks = list(checks)
        self._failed: tuple[Check, ...] = ()
        self._ended = False

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="dialog"):
            yield Static("Preflight", classes="question", markup=False)
            yield Static(id="checks", markup=False)
            yield Static("starting the engine …", id="now", classes="more", markup=False)
            yield Static(CANCEL, id="hint", classes="keys", markup=False)

    def on_mount(self) -> None:
        self._show()

    def take(self, reply: Reply) -> None:
        if isinstance(reply, PreflightReported):
            if reply.check is not None:
                self._checks.append(reply.check)
                self._show()
            if not self._failed:
                self.query_one("#now", Static).update(f"{safe(reply.loading)} …" if reply.loading else "")
        elif isinstance(reply, PreflightBlocked):
            self._failed = reply.failed
            names = ", ".join(check.name for check in reply.failed)
            self._checks.sort(key=lambda check: check in reply.failed)
            self._show()
            self.query_one("#now", Static).update(f"No run is made while a check fails: {names}.")
            self.query_one("#hint", Static).update(f"o override {names} and start   {CANCEL}")
            self.call_after_refresh(self.query_one("#dialog").scroll_end, animate=False)
        elif isinstance(reply, RunCreated | StartRefused) and not self._ended:
            self._ended = True
            self._leave()

    def on_screen_resume(self) -> None:
        self._leave()

    def _leave(self) -> None:
        """Close, once nothing is on top."""
        if self._ended and self.is_current:
            self.dismiss()

    def action_override(self) -> None:
        """Start the run although checks fail; before they have, the key does nothing."""
        if self._failed:
            self.query_one("#hint", Static).update("Starting …")
            cast("Workbench", self.app).client.override()

    def action_give_up(self) -> None:
        self.query_one("#hint", Static).update("Ending the engine …")
        cast("Workbench", self.app).client.give_up()

    def _show(self) -> None:
        """All checks so far, each after its mark and name."""
        text, styles = Text(), cast("Workbench", self.app).own_theme.styles
        for number, check in enumerate(self._checks):
            text.append("\n" if number else "")
            text.append(f"{MARKS[check.status]} {check.name}", styles[STYLES[check.status]])
            text.append(f"  {safe(check.message)}")
        self.query_one("#checks", Static).update(text)
