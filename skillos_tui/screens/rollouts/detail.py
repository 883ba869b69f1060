"""The record of what is under the cursor of the tree: a document of any length, with lines that lead to what they name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events

from engine.runs.rollouts.lines import Document, Text, plain
from skillos_tui.keymap import Key, bindings
from skillos_tui.model.target import Target
from skillos_tui.render.text import Line, Spans
from skillos_tui.widgets.document import DocumentRows
from skillos_tui.widgets.pane import Pane

Shown = Document | Callable[[int], Document]
"""A document, or a function that makes it for a width."""

LEGEND = (
    ("|S|, |χ|", "tokens of the repository after a decision; tokens of the curator's prompt"),
    ("log-prob", "natural logarithm of a token's probability at temperature 1"),
    ("v3", "the curator's weights after update 3; v0 is the untrained one"),
    ("≠", "in a comparison: the two rollouts did not act alike"),
    ("? not measured", "an outage or a time-out, with its reason; it is never counted as a failure"),
)


class DetailPane(Pane):
    """A document. A line that leads somewhere can be under the cursor; enter goes there."""

    KEYS_TITLE = "In the record"
    KEYS = (
        Key("n", "link(1)", "next link", "Go to the next line that leads somewhere"),
        Key("p", "link(-1)", "previous link", "Go to the previous line that leads somewhere"),
    )
    BINDINGS = bindings(KEYS)

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(title, id=id)
        self.document: Shown = ()
        self._made: tuple[Shown, int, DocumentRows] | None = None

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "The record", LEGEND

    def show(self, document: Shown, *, keep: bool = False) -> None:
        """Show a document from its beginning; with `keep`, from the row that is first now."""
        if document is self.document:
            return
        cursor = self._made[2].cursor if self._made and keep else -1
        self.document, self._made = document, None
        if not keep:
            self.top = 0
        self.renew()
        if self._made is not None and cursor >= 0 and any(at == cursor for at, _ in self._document.leads):
            self._document.cursor = cursor
            self.refresh()

    @property
    def _document(self) -> DocumentRows:
        assert self._made is not None
        return self._made[2]

    def build(self, width: int, height: int) -> Sequence[Line]:
        raise NotImplementedError("the rows are made from the document")

    def copied(self) -> str:
        """The whole document."""
        return plain(self.document(self.content_size.width) if callable(self.document) else self.document)

    def make_rows(self, width: int, height: int) -> Sequence[Spans]:
        if self._made is None or self._made[:2] != (self.document, width):
            cursor = self._made[2].cursor if self._made and self._made[0] is self.document else -1
            document = self.document(width) if callable(self.document) else self.document
            self._made = self.document, width, DocumentRows(document, width)
            self._made[2].cursor = cursor
        self._mark()
        return self._made[2]

    def _mark(self) -> None:
        if self._made is not None:
            self._made[2].style = "cursor" if self.has_focus else "rest"

    @property
    def leads(self) -> str:
        """What the line under the cursor leads to; "" for nothing."""
        if self._made is None:
            return ""
        return dict(self._document.leads).get(self._document.cursor, "")

    def target(self) -> Target | None:
        screen, _, at = self.leads.partition(":")
        return Target(screen, at) if screen else None

    async def action_lead(self) -> None:
        """Go to what the line under the cursor leads to."""
        if self.target() is None and self._made is not None and self._document.leads:
            self.workbench.answer(
                f"{self.workbench.key_of('detail.next_link')} goes to the next line that leads somewhere."
            )
        else:
            await super().action_lead()

    def action_link(self, by: int) -> None:
        """Put the cursor on the next line that leads somewhere: of those in view at first."""
        if self._made is None or not self._document.leads:
            return
        rows = self._document
        lines = [at for at, _ in rows.leads]
        if rows.cursor in lines and self._in_view(rows.cursor):
            chosen = lines[(lines.index(rows.cursor) + by) % len(lines)]
        else:
            first = rows.line_at(min(self.top, max(0, len(rows) - 1)))
            after = [at for at in lines if at >= first]
            chosen = (after or lines)[0] if by > 0 else ([at for at in lines if at < first] or lines)[-1]
        self._choose(chosen)

    def _in_view(self, line: int) -> bool:
        return self.top <= self._document.row_of(line) < self.top + self.content_size.height

    def _choose(self, line: int) -> None:
        before = self._visible()
        self._document.cursor = line
        self._repaint(before)
        if not self._in_view(line):
            self.scroll_row_to(self._document.row_of(line) - self.content_size.height // 2)

    def on_focus(self) -> None:
        self.call_later(self._show_focus)

    def on_blur(self) -> None:
        self.call_later(self._show_focus)

    def _show_focus(self) -> None:
        before = self._visible()
        self._mark()
        self._repaint(before)

    async def on_click(self, event: events.Click) -> None:
        """Put the cursor on the line that was clicked; a second click opens what it leads to."""
        row = self.top + event.y - (self.content_region.y - self.region.y)
        if self._made is None or not 0 <= row < len(self._document):
            return
        line = self._document.line_at(row)
        if any(at == line for at, _ in self._document.leads):
            again = line == self._document.cursor
            self._choose(line)
            if again:
                await self.action_lead()


def message(text: str, style: str = "muted") -> Document:
    """A document of one sentence."""
    return (Text(((text, style),)),)
