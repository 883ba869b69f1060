"""A diff, whole and exact: long lines are wrapped, never cut, and hidden characters are shown."""

from __future__ import annotations

from collections.abc import Sequence

from textual.message import Message

from skillos_tui.model.view import Change
from skillos_tui.render.diff import counts, difference
from skillos_tui.render.text import Line, line
from skillos_tui.widgets.pane import Pane


class DiffPane(Pane):
    """One change of one skill. With `context`, only the lines around what changed. Posts `Built`."""

    class Built(Message):
        """The pane holds the lines of another change now; the next refresh paints them."""

        def __init__(self, pane: DiffPane) -> None:
            super().__init__()
            self.pane = pane

        @property
        def control(self) -> DiffPane:
            return self.pane

    def __init__(self, title: str, *, context: int | None = None, id: str | None = None, classes: str = "pane") -> None:
        super().__init__(title, id=id, classes=classes)
        self.context = context
        self.change: Change | None = None
        self.built: Change | None = None
        """The change whose lines the pane holds; `change` is not built while the pane has no size."""
        self._lines: list[Line] = []
        self.nothing = "No edit yet."

    def show(self, change: Change | None) -> None:
        """Show this change, from its first line if it is another one than before."""
        if change == self.change and self.rows:
            return
        self.change, self.top = change, 0
        self._lines = difference(change.before, change.after, context=self.context) if change else []
        self.renew()

    def news(self) -> int:
        return int(self.change is not self.built)

    def build(self, width: int, height: int) -> Sequence[Line]:
        if self.built is not self.change or not self.rows:
            self.built = self.change
            self.post_message(self.Built(self))
        if self.change is None:
            return [line(f"muted:{self.nothing}")]
        return self._lines or [line("muted:The text is the same before and after.")]


def summary(change: Change) -> str:
    """The kind of change and its size: "new file · +12", "+3 -1", "file removed · -9"."""
    added, removed = counts(change.before, change.after)
    kind = "new file" if change.before is None else "file removed" if change.after is None else ""
    size = " ".join(part for part in (f"+{added}" if added else "", f"-{removed}" if removed else "") if part)
    return " · ".join(part for part in (kind, size) if part) or "no change"
