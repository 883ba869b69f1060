"""The rows of a long document, each made when it comes into view: 100,000 lines open as fast as ten.

    rows = DocumentRows(document, width)       # a `Document` of `engine.runs.rollouts.lines`
    rows[40_000]                               # wraps this one line

Lines that fit are counted and not touched. Of lines that have to be wrapped, the first `MAX_WRAPPED` are broken after words;
more of them are broken at fixed widths, which needs no look at their characters.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import overload

from engine.runs.rollouts.lines import Document, Text
from skillos_tui.render.text import Line, Spans, safe, wrap

MAX_WRAPPED = 2_000
PIECE = 4_000
"""Characters of one line of a text; a longer line is shown as several."""

_Source = Text | tuple[str, str, str]
"""A line of the document: a `Text`, or a line of a block with its style and its prefix."""


class DocumentRows(Sequence[Spans]):
    """The rows of a document in `width` cells. `cursor` is the line that is under the cursor, -1 for none, and `style` the
    style of its rows."""

    def __init__(self, document: Document, width: int) -> None:
        self.width = max(width, 4)
        self.cursor = -1
        self.style = "rest"
        self._lines = list(_lines(document))
        self._wrapped: dict[int, list[Spans]] = {}
        self._starts: list[int] = []
        total = 0
        for at, line in enumerate(self._lines):
            self._starts.append(total)
            total += self._count(at, line)
        self._total = total
        self.leads = [(at, line.leads) for at, line in enumerate(self._lines) if isinstance(line, Text) and line.leads]
        """The lines that lead somewhere, and where."""

    def __len__(self) -> int:
        return self._total

    @overload
    def __getitem__(self, row: int) -> Spans: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[Spans]: ...

    def __getitem__(self, row: int | slice) -> Spans | Sequence[Spans]:
        if isinstance(row, slice):
            return [self[at] for at in range(*row.indices(len(self)))]
        row += self._total if row < 0 else 0
        if not 0 <= row < self._total:
            raise IndexError(row)
        at = self.line_at(row)
        part = row - self._starts[at]
        rows = self._wrapped.get(at)
        found = rows[part] if rows is not None else self._fixed(self._lines[at], part)
        return _under(found, self.style, self.width) if at == self.cursor else found

    def line_at(self, row: int) -> int:
        """The line that a row belongs to."""
        return bisect_right(self._starts, row) - 1

    def row_of(self, line: int) -> int:
        """The first row of a line."""
        return self._starts[line]

    def _count(self, at: int, line: _Source) -> int:
        """How many rows a line has; the rows of one that has to be looked at are kept."""
        if not isinstance(line, Text):
            text, _, prefix = line
            if len(text) + len(prefix) <= self.width and text.isascii() and text.isprintable():
                return 1
            if len(self._wrapped) >= MAX_WRAPPED:
                shown = safe(text)
                return max(1, -(-len(shown) // self._step(shown, prefix)))
        self._wrapped[at] = wrap(_line(line), self.width)
        return len(self._wrapped[at])

    def _step(self, shown: str, prefix: str) -> int:
        """Characters of a row of a line that is broken at fixed widths; a character has at most two cells."""
        return max(4, (self.width - len(prefix)) // (1 if shown.isascii() else 2))

    def _fixed(self, line: _Source, part: int) -> Spans:
        assert not isinstance(line, Text)
        text, style, prefix = line
        shown = safe(text)
        step = self._step(shown, prefix)
        return ((prefix + shown[part * step : (part + 1) * step], style),)


def _lines(document: Document) -> Iterator[_Source]:
    for item in document:
        if isinstance(item, Text):
            yield item
            continue
        for text in item.text.rstrip("\n").split("\n"):
            for start in range(0, max(1, len(text)), PIECE):
                yield text[start : start + PIECE], item.style, item.prefix


def _line(line: _Source) -> Line:
    if isinstance(line, Text):
        return Line(tuple((safe(text), style) for text, style in line.spans), line.indent)
    text, style, prefix = line
    return Line(((prefix + safe(text), style),), len(prefix))


def _under(row: Spans, style: str, width: int) -> Spans:
    text = "".join(text for text, _ in row)
    return ((text.ljust(width), style),)


def as_line(text: Text | Spans) -> Line:
    """One line of a document as a line of a pane."""
    spans = text.spans if isinstance(text, Text) else text
    return Line(tuple((safe(part), style) for part, style in spans), text.indent if isinstance(text, Text) else 0)
