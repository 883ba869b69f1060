"""System: memory, model servers, preflight, plan, log and alarms."""

from __future__ import annotations

from textual.app import ComposeResult

from skillos_tui.keymap import Key, bindings
from skillos_tui.model.view import Part
from skillos_tui.screens.base import FullScreen
from skillos_tui.widgets.answer import AnswerBar
from skillos_tui.widgets.tabs import StateBar


class SystemScreen(FullScreen):
    """Memory, model servers, preflight, plan, log and alarms."""

    NAME = "system"
    CSS_PATH = "screen.tcss"
    KEYS_TITLE = "On the system screen"
    KEYS = (Key("escape", "back", "close", "Close this screen", True),)
    BINDINGS = bindings(KEYS)

    def compose(self) -> ComposeResult:
        yield StateBar()
        yield AnswerBar(self.KEYS)

    def on_mount(self) -> None:
        self.composed = True
        self.show_state()

    def renew(self, parts: set[Part]) -> None:
        if self.composed and "state" in parts:
            self.show_state()
