"""The bottom line of a screen: its keys, or the answer to the last key.

bar.answer("This edit is vetoed already; u takes the veto back.")
bar.note(12)                  # 12 characters were typed since and ignored; shown after the answer
bar.answer("")                # the keys again
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.text import counted
from skillos_tui.keymap import Key
from skillos_tui.render.text import Line, crop, line
from skillos_tui.widgets.bars import KeyBar


class AnswerBar(KeyBar):
    """The keys of a screen, or an answer."""

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__(keys)
        self.text, self.style, self.ignored = "", "", 0

    def answer(self, text: str, style: str = "warn") -> None:
        """Show this text instead of the keys; "" shows the keys."""
        if (text, style, 0) != (self.text, self.style, self.ignored):
            self.text, self.style, self.ignored = text, style, 0
            self.renew()

    def note(self, ignored: int) -> None:
        """Show how many keys were ignored."""
        if ignored != self.ignored:
            self.ignored = ignored
            self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        if not self.text:
            return super().build(width, height)
        self._places = []
        count = f"   {counted(self.ignored, 'key')} ignored" if self.ignored else ""
        text = crop(line(f"{self.style}:{self.text}"), width - len(count))
        return [Line((*text.spans, (count, "muted")))]
