"""A pane with a cursor: one row an item, some of them headings that the cursor skips.

The cursor stays on its item when others come and go, because an item is known by its value, not by its row.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from textual import events
from textual.message import Message

from skillos_tui.text import Line, crop
from skillos_tui.widgets.pane import Pane


class Item(NamedTuple):
    """One row; a `value` of None makes it a heading."""

    line: Line
    value: Hashable | None = None


class ListPane(Pane):
    """A list to choose from. Posts `Moved` when a person moves the cursor; `moved` says whether one ever did."""

    class Moved(Message):
        """The cursor is on another item of `pane` now."""

        def __init__(self, pane: ListPane) -> None:
            super().__init__()
            self.pane = pane

        @property
        def control(self) -> ListPane:
            return self.pane

    def __init__(self, title: str = "", *, id: str | None = None, classes: str = "pane") -> None:
        super().__init__(title, id=id, classes=classes)
        self.value: Hashable | None = None
        self.moved = False
        self._items: list[Item] = []
        self._row = 0

    def items(self, width: int) -> Sequence[Item]:
        """What there is to choose from."""
        raise NotImplementedError

    def build(self, width: int, height: int) -> Sequence[Line]:
        self._items = list(self.items(width))
        self._row = self._find()
        if self._row < len(self._items):
            self.value = self._items[self._row].value
        return [
            _under_cursor(item.line, width, "cursor" if self.has_focus else "rest")
            if at == self._row and self.value is not None
            else crop(item.line, width)
            for at, item in enumerate(self._items)
        ]

    def select(self, value: Hashable) -> None:
        """Put the cursor on the item of this value and bring it into view."""
        self.value = value
        self.renew()
        self._into_view()

    def _find(self) -> int:
        """The row of the present value; without one, or when it is gone, the nearest item to where the cursor was."""
        rows = [at for at, item in enumerate(self._items) if item.value is not None]
        held = [at for at in rows if self._items[at].value == self.value and self.value is not None]
        return held[0] if held else min(rows, key=lambda at: (abs(at - self._row), at), default=0)

    def _move(self, by: int) -> None:
        """Go `by` items further, as far as there are any."""
        rows = [at for at, item in enumerate(self._items) if item.value is not None]
        if not rows:
            return
        place = rows.index(self._row) if self._row in rows else 0
        self._row = rows[max(0, min(len(rows) - 1, place + by))]
        changed = self._items[self._row].value != self.value or not self.moved
        self.moved = True
        self.value = self._items[self._row].value
        self.renew()
        self._into_view()
        if changed:
            self.post_message(self.Moved(self))

    def _into_view(self) -> None:
        height = self.content_size.height
        if self._row < self.top or self._row < 3:
            self.scroll_row_to(0 if self._row < 3 else self._row)
        elif self._row >= self.top + height:
            self.scroll_row_to(self._row - height + 1)

    def action_scroll_rows(self, by: int) -> None:
        self._move(by)

    def action_scroll_pages(self, by: int) -> None:
        self._move(by * max(1, self.content_size.height - 1))

    def action_to_top(self) -> None:
        self._move(-len(self._items))

    def action_to_end(self) -> None:
        self._move(len(self._items))

    def on_focus(self) -> None:
        self.call_later(self.renew)

    def on_blur(self) -> None:
        self.call_later(self.renew)

    def on_click(self, event: events.Click) -> None:
        row = self.top + event.y - (self.content_region.y - self.region.y)
        if 0 <= row < len(self._items) and self._items[row].value is not None:
            self._row, self.value, self.moved = row, self._items[row].value, True
            self.renew()
            self.post_message(self.Moved(self))


def _under_cursor(item: Line, width: int, style: str) -> Line:
    text = "".join(text for text, _ in crop(item, width).spans)
    return Line(((text + " " * max(0, width - cell_len(text)), style),))
