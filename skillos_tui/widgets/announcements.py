"""What has changed, as appended lines, for screen readers: the last rows of a screen in linear mode."""

from __future__ import annotations

from collections.abc import Sequence

from skillos_tui.render.text import Line, line
from skillos_tui.widgets.pane import Pane

MAX_LINES = 200


class Announcements(Pane, can_focus=False):
    """Lines of which the newest are in view."""

    follow = True

    def __init__(self) -> None:
        super().__init__("Announcements", id="announcements", classes="")
        self.lines: list[Line] = []

    def add(self, text: str) -> None:
        """Append a line; the same text as the last one is not repeated."""
        item = line(f":{text}")
        if text.strip() and self.lines[-1:] != [item]:
            self.lines = [*self.lines, item][-MAX_LINES:]
            self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        return self.lines
