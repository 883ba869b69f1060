"""The bottom line of a screen: its keys, or for the moment the answer to a key that was pressed.

bar.answer("This edit is vetoed already; u takes the veto back.")
bar.note(12)                  # 12 characters were typed since and ignored; said beside the answer
bar.answer("")                # the keys again
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.runs.text import counted
from skillos_tui.render.text import Line, crop, line
from skillos_tui.widgets.bars import KeyBar


class AnswerBar(KeyBar):
    """The keys of a room, until there is something to say."""

    def __init__(self, room: str) -> None:
        super().__init__(room)
        self.text, self.style, self.ignored = "", "", 0

    def answer(self, text: str, style: str = "warn") -> None:
        """Show this text in the place of the keys; "" shows the keys."""
        if (text, style, 0) != (self.text, self.style, self.ignored):
            self.text, self.style, self.ignored = text, style, 0
            self.renew()

    def note(self, ignored: int) -> None:
        """Say that so many keys were ignored."""
        if ignored != self.ignored:
            self.ignored = ignored
            self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        if not self.text:
            return super().build(width, height)
        count = f"   {counted(self.ignored, 'key')} ignored" if self.ignored else ""
        text = crop(line(f"{self.style}:{self.text}"), width - len(count))
        return [Line((*text.spans, (count, "muted")))]
