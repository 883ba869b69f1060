"""A diff, whole and exact: long lines are wrapped, never cut, and hidden characters are shown.

    pane.show(change)                       # all of it is taken
    pane.show(change, left={1})             # the second hunk is left out
    pane.hunk, pane.move_hunk(1)            # the hunk under the cursor, from 0
    pane.force("pairs")                     # side by side, whatever the width; "rows", or "" for what fits

Only the rows in view are drawn, so 5,000 lines are shown in a tenth of a second.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from copy import copy
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, overload

from rich.cells import cell_len
from rich.style import Style
from textual.message import Message

from skillos_tui.model.view import Change
from skillos_tui.render.diff import Comparison, Row, text_of
from skillos_tui.render.text import Line, Spans, line, wrap
from skillos_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from skillos_tui.model.target import Target
    from skillos_tui.render.marks import Kind

Layout = Literal["", "rows", "pairs"]
"""One below the other, or side by side; "" is what fits the width."""
PAIRS_WIDTH = 116
"""The least width in cells at which lines are shown side by side."""
BETWEEN = " │ "
MAX_DRAWN = 2000
"""The most drawn rows that are kept."""


LEGEND = (
    ("step 2 · g1 r7 p2", "where the edit was proposed: position 2 of rollout 7 of group 1 in step 2"),
    ("+5 -2", "the lines that it adds and removes"),
)


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
        self.left: Collection[int] = ()
        """The hunks that are left out."""
        self.hunk = 0
        """The hunk under the cursor."""
        self.layout_wanted: Layout = ""
        self.built: object = None
        """What the pane holds the rows of, as `shown`; a pane without a size builds nothing."""
        self.nothing = "No edit yet."
        self.behind: Target | None = None
        """What the change comes from: a rollout, an edit, a skill."""
        self._found = Comparison(None, None)
        self._styles: tuple[object, dict[str, Style]] = (None, {})

    @property
    def shown(self) -> object:
        """What is to be shown: the change, and the hunks that are left."""
        return self.change, frozenset(self.left)

    def target(self) -> Target | None:
        return self.behind

    @property
    def hunks(self) -> int:
        """How many hunks the change has."""
        return len(self._found.hunks)

    @property
    def summary(self) -> str:
        """The kind of the change and its size."""
        return _summary(self._found)

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "Edit", LEGEND

    def meanings(self) -> Sequence[str]:
        return "+5 -2: lines added, removed", "g1 r7 p2: group, rollout, position of the step"

    def show(self, change: Change | None, left: Collection[int] = ()) -> None:
        """Show this change, from its first line if it is another one than before."""
        if change == self.change and set(left) == set(self.left) and self.rows:
            return
        if change != self.change:
            self.top, self.hunk = 0, 0
            self._found = Comparison(change.before, change.after) if change else Comparison(None, None)
        self.change, self.left = change, frozenset(left)
        self.renew()

    def news(self) -> int:
        return int(self.shown != self.built)

    def copied(self) -> str:
        return self.as_text(self.change.skill) if self.change is not None else ""

    def as_text(self, name: str) -> str:
        """What is taken of the change as a unified diff, to be copied."""
        return self._found.unified(f"a/{name}", f"b/{name}", self.left)

    def force(self, layout: Layout) -> None:
        """Show the lines in this layout, from now on."""
        self.layout_wanted = layout
        self.renew()

    @property
    def layout_shown(self) -> Layout:
        """The layout at the present width; a new or removed file has nothing to be shown beside it."""
        both = self._found.before is not None and self._found.after is not None
        fits = both and self.content_size.width >= PAIRS_WIDTH
        return self.layout_wanted or ("pairs" if fits else "rows")

    def make_rows(self, width: int, height: int) -> Sequence[Spans]:
        if self.built != self.shown or not self.rows:
            self.built = self.shown
            self.post_message(self.Built(self))
        if self.change is None:
            return wrap(line(f"muted:{self.nothing}"), width)
        if not self._found.old and not self._found.new:
            return wrap(line(f"muted:{_empty(self.change)}"), width)
        paired = self.context is None and self.layout_shown == "pairs"
        left = frozenset(self.left)
        if isinstance(self.rows, DiffRows) and self.rows.laid_out == (self._found, width, self.context, paired):
            return self.rows.chosen(left, self.hunk)
        return DiffRows(self._found, width, self.context, paired, left, self.hunk)

    @property
    def styles_by_name(self) -> dict[str, Style]:
        styles = super().styles_by_name
        if self._styles[0] is not styles:
            from skillos_tui.render.marks import layers

            self._styles = (styles, layers(styles))
        return self._styles[1]

    def move_hunk(self, by: int) -> None:
        """Put the cursor on another hunk, and bring it into view."""
        self.hunk = max(0, min(self.hunks - 1, self.hunk + by))
        self.renew()
        if isinstance(self.rows, DiffRows):
            first, end = self.rows.places_of(self.hunk)
            height = max(1, self.content_size.height)
            if first < self.top or end > self.top + height:
                super().scroll_row_to(max(0, first - 1) if end - first >= height - 1 else min(first, end - height))

    def scroll_row_to(self, top: int) -> None:
        """Put row `top` first; the cursor goes to a hunk that is in view, if one is."""
        super().scroll_row_to(top)
        if isinstance(self.rows, DiffRows) and self.hunks > 1:
            hunk = self.rows.hunk_near(self.top, self.top + self.content_size.height, self.hunk)
            if hunk != self.hunk:
                self.hunk = hunk
                self.renew()


class DiffRows(Sequence[Spans]):
    """The rows of a comparison at a width, each drawn when it is asked for.

    Where there is more than one hunk, a heading before each one says its number and whether it is taken.
    """

    def __init__(
        self,
        found: Comparison,
        width: int,
        context: int | None,
        paired: bool,
        left: frozenset[int],
        cursor: int,
    ) -> None:
        self.found, self.width, self.left, self.cursor = found, width, left, cursor
        self.laid_out = found, width, context, paired
        """What the places of the rows depend on."""
        self.cell = (width - len(BETWEEN)) // 2 if paired else width
        self.paired = paired
        self.heads = len(found.hunks) > 1 and context is None
        self._entries = self._with_heads(found.pairs() if paired else found.rows(context))
        self._starts = [0, *accumulate(map(self._height, self._entries))]
        self._drawn: dict[int, list[Spans]] = {}
        self._kinds: tuple[list[Kind], list[Kind]] | None = None

    def chosen(self, left: frozenset[int], cursor: int) -> DiffRows:
        """The same rows with these hunks left out and this hunk under the cursor; only rows that change are drawn again."""
        made = copy(self)
        made.left, made.cursor = left, cursor
        other = self.left ^ left
        made._drawn = {
            at: rows
            for at, rows in self._drawn.items()
            if not isinstance(entry := self._entries[at], int) and entry.hunk not in other
        }
        return made

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, row: int) -> Spans: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[Spans]: ...

    def __getitem__(self, row: int | slice) -> Spans | Sequence[Spans]:
        if isinstance(row, slice):
            return [self[at] for at in range(*row.indices(len(self)))]
        if not 0 <= row < len(self):
            raise IndexError(row)
        at = bisect_right(self._starts, row) - 1
        return self._draw(at)[row - self._starts[at]]

    def places_of(self, hunk: int) -> tuple[int, int]:
        """The first row of a hunk, and the row after its last one."""
        entries = [at for at, each in enumerate(self._entries) if _hunk_of(each) == hunk]
        return (self._starts[entries[0]], self._starts[entries[-1] + 1]) if entries else (0, 0)

    def hunk_near(self, top: int, end: int, present: int) -> int:
        """The present hunk if one of its rows is between these, else the first that has one there, else the present one."""
        first = bisect_right(self._starts, top) - 1
        seen: list[int] = []
        for at in range(first, len(self._entries)):
            if self._starts[at] >= end:
                break
            if (hunk := _hunk_of(self._entries[at])) is not None:
                seen.append(hunk)
        return present if present in seen or not seen else seen[0]

    def _with_heads(self, rows: list[Row]) -> list[Row | int]:
        """The rows, and before those of a hunk its number."""
        if not self.heads:
            return list(rows)
        entries: list[Row | int] = []
        hunk = None
        for row in rows:
            if row.hunk is not None and row.hunk != hunk:
                entries.append(row.hunk)
            hunk = row.hunk
            entries.append(row)
        return entries

    def _height(self, entry: Row | int) -> int:
        """How many rows an entry takes; most take one, and are not drawn to know that."""
        if isinstance(entry, int) or entry.gap:
            return 1
        texts = []
        if entry.old is not None and (self.paired or entry.new is None):
            texts.append(self.found.old[entry.old])
        if entry.new is not None:
            texts.append(self.found.new[entry.new])
        return max(map(self._rows_of, texts))

    def _rows_of(self, raw: str) -> int:
        if len(raw) + 1 <= self.cell and raw.isascii() and raw[:-1].isprintable() and raw[-1:] == "\n":
            return 1
        return len(wrap(Line(((f"  {text_of(raw)}", ""),), 2), self.cell))

    def _draw(self, at: int) -> list[Spans]:
        if at not in self._drawn:
            if len(self._drawn) >= MAX_DRAWN:
                self._drawn.clear()
            entry = self._entries[at]
            if isinstance(entry, int):
                self._drawn[at] = [self._head(entry)]
            elif entry.gap:
                self._drawn[at] = [(("…", "muted"),)]
            else:
                self._drawn[at] = self._side_by_side(entry) if self.paired else self._unified(entry)
        return self._drawn[at]

    def _head(self, hunk: int) -> Spans:
        """The heading of a hunk: the cursor, its number, and whether it is taken."""
        mark, word, style = ("[ ]", "left", "warn") if hunk in self.left else ("[✓]", "taken", "good")
        here = hunk == self.cursor
        name = f"hunk {hunk + 1}/{len(self.found.hunks)}"
        item = line(f"{'strong' if here else 'muted'}:{'▶ ' if here else '  '}", f"{style}:{mark} {word}")
        item = Line((*item.spans, (" ", ""), (name, "strong" if here else "muted")))
        used = sum(cell_len(text) for text, _ in item.spans)
        return (*item.spans, (" " + "─" * max(0, self.width - used - 1), "axis"))

    def _unified(self, row: Row) -> list[Spans]:
        if row.new is None:
            return self._part(row, old=True, fill=False)
        return self._part(row, old=False, fill=False)

    def _side_by_side(self, row: Row) -> list[Spans]:
        blank: Spans = ((" " * self.cell, ""),)
        one = self._part(row, old=True, fill=True) if row.old is not None else []
        other = self._part(row, old=False, fill=True) if row.new is not None else []
        height = max(len(one), len(other))
        one += [blank] * (height - len(one))
        other += [blank] * (height - len(other))
        return [(*a, (BETWEEN, "axis"), *b) for a, b in zip(one, other, strict=True)]

    def _part(self, row: Row, *, old: bool, fill: bool) -> list[Spans]:
        """The old or the new line of a row, with its sign, in rows of `cell` cells; with `fill`, padded to them."""
        from skillos_tui.render.marks import layered, looks, words

        number = row.old if old else row.new
        assert number is not None
        text = text_of((self.found.old if old else self.found.new)[number])
        spans = looks(text, self._kind(number, old))
        below = "" if row.hunk is None else "removed" if old else "added"
        if row.hunk in self.left:
            spans, below = ((text, "muted"),), ""
        elif below:
            pair = self.found.partner(row)
            marked = words(*pair) if pair else None
            changed = [] if marked is None else marked[0] if old else marked[1]
            spans = layered(spans, changed, below)
        sign = " " if row.hunk is None else "-" if old else "+"
        rows = wrap(Line(((f"{sign} ", below or ("muted" if row.hunk is not None else "")), *spans), 2), self.cell)
        return [self._filled(each, below, fill) for each in rows]

    def _filled(self, spans: Spans, style: str, fill: bool) -> Spans:
        """The row with its background up to the edge of its cell, or, without `fill`, of the pane."""
        used = sum(cell_len(text) for text, _ in spans)
        if fill:
            return (*spans, (" " * max(0, self.cell - used), style))
        return (*spans, (" ", style)) if style and used < self.cell else spans

    def _kind(self, number: int, old: bool) -> Kind:
        from skillos_tui.render.marks import kinds_of

        if self._kinds is None:
            self._kinds = kinds_of(self.found.old), kinds_of(self.found.new)
        return self._kinds[0 if old else 1][number]


def _empty(change: Change) -> str:
    """What is said of a change that has no line."""
    if change.before == change.after:
        return "The text is the same before and after: it is empty."
    return "The new file is empty." if change.before is None else "The file that is removed is empty."


def _hunk_of(entry: Row | int) -> int | None:
    return entry if isinstance(entry, int) else entry.hunk


def summary(change: Change) -> str:
    """The kind of change and its size: "new file · +12", "+3 -1", "file removed · -9"."""
    return _summary(Comparison(change.before, change.after))


def _summary(found: Comparison) -> str:
    added, removed = found.counts
    kind = "new file" if found.before is None else "file removed" if found.after is None else ""
    size = " ".join(part for part in (f"+{added}" if added else "", f"-{removed}" if removed else "") if part)
    return " · ".join(part for part in (kind, size) if part) or "no change"
