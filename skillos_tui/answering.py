"""How the app answers: in the bottom line, by notifications, and in linear mode as lines for screen readers."""

from __future__ import annotations

from typing import Any

from skillos_tui.screens.base import FullScreen
from skillos_tui.widgets.answer import AnswerBar
from skillos_tui.workbench import Workbench


class AnsweringApp(Workbench):
    """The app, as far as it answers."""

    def begin_linear(self, wanted: bool) -> None:
        """Show one pane at a time as plain lines, if that is wanted now or was the last time; before the first paint."""
        self.linear = self.linear or wanted
        self.set_class(self.linear, "-linear", update=False)

    def answer(self, text: str, style: str = "warn") -> None:
        """Answer a key in the bottom line of the full screen, or by a notification where it has none."""
        screen = self.screen
        if isinstance(screen, FullScreen) and screen.query(AnswerBar):
            screen.answer(text, style)
        else:
            self.notify(text, markup=False)

    def action_switch_linear(self) -> None:
        """Show one pane at a time as plain lines, or all panes; kept for the next start."""
        self.linear = not self.linear
        self.session.keep_linear(self.linear)
        self.set_class(self.linear, "-linear")
        for screen in self.screen_stack:
            if isinstance(screen, FullScreen):
                screen.update_node_styles(animate=False)  # Textual styles the one on top only
                screen.show_linear()
        self.answer(
            f"One pane is shown, as plain lines; {self.key_of('screen.next_pane')} shows the next one."
            if self.linear
            else "All panes are shown."
        )

    def announce(self, text: str) -> None:
        if self.linear:
            for screen in self.screen_stack:
                if isinstance(screen, FullScreen):
                    screen.announce(text)

    def notify(self, message: str, **options: Any) -> None:
        """Show a notification; in linear mode it is a line like all others."""
        if self.linear and self.screen_stack and not self.screen.is_modal:
            self.announce(f"{options.get('severity', '')} {message}".strip())
        else:
            super().notify(message, **options)
