"""The bottom line of a screen: its keys, or the answer to the last key.

bar.answer("This edit is vetoed already; u takes the veto back.")
bar.note(12)                  # 12 characters were typed since and ignored; shown after the answer
bar.answer("")                # the keys again
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.geometry import Size

from engine.core.text import counted
from skillos_tui.keymap import Key
from skillos_tui.render.text import Line, crop, line, wrap
from skillos_tui.widgets.bars import KeyBar


class AnswerBar(KeyBar):
    """The keys of a screen, or an answer, which takes the rows that it needs, at most `MAX_ROWS`."""

    MAX_ROWS = 3

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__(keys)
        self.text, self.style, self.ignored = "", "", 0

    def answer(self, text: str, style: str = "warn") -> None:
        """Show this text instead of the keys; "" shows the keys."""
        if (text, style, 0) != (self.text, self.style, self.ignored):
            self.text, self.style, self.ignored = text, style, 0
            self._change()

    def note(self, ignored: int) -> None:
        """Show how many keys were ignored."""
        if ignored != self.ignored:
            self.ignored = ignored
            self._change()

    def _change(self) -> None:
        self.renew()
        if self.size.height != len(self._rows(self.content_size.width - 1)):
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._rows(width - 1))

    def build(self, width: int, height: int) -> Sequence[Line]:
        if not self.text:
            return super().build(width, height)
        self._places = []
        return self._rows(width)

    def _rows(self, width: int) -> Sequence[Line]:
        """The rows of the answer; one where the keys are shown."""
        if not self.text:
            return [line()]
        count = f"   {counted(self.ignored, 'key')} ignored" if self.ignored else ""
        rows = wrap(line(f"{self.style}:{self.text}"), width)
        full = min(len(rows), self.MAX_ROWS) - 1
        last = crop(Line(tuple(span for row in rows[full:] for span in row)), width - len(count))
        return [*map(Line, rows[:full]), Line((*last.spans, (count, "muted")))]
