"""The base of every pane: rows of styled text by the line API, repainting only the rows that changed.

A pane returns what it shows from `build(width, height)`, as lines (`skillos_tui.render.text`); `renew()` builds again and
repaints the difference. Panes with `follow` stay at the end while the end is in view. Text can be selected with the mouse.

Measured on Textual 8.2: a diff of 5,000 lines takes 90 ms by the line API and 11.5 s as a widget a line; `RichLog` takes
17 s for 100,000 lines, and its text cannot be selected.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, cast

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.content import Content
from textual.geometry import Offset, Region
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from skillos_tui.keymap import Key, bindings, rebind
from skillos_tui.render.text import Line, Spans, safe, wrap

if TYPE_CHECKING:
    from skillos_tui.model.target import Target
    from skillos_tui.workbench import Workbench

MAX_COMPARED = 20_000
"""Of a frozen pane with more rows, only their number is compared."""
MAX_ANNOUNCED = 5
"""In linear mode, of more new rows than these only the number is announced."""
RESTORE_SECONDS = 2.0
"""How long a restored scroll position waits for the rows that it needs."""

PANE_KEYS = (
    Key("up,k", "scroll_rows(-1)", "up", "One line up"),
    Key("down,j", "scroll_rows(1)", "down", "One line down"),
    Key("pageup,ctrl+u", "scroll_pages(-1)", "page up", "One page up"),
    Key("pagedown,ctrl+d", "scroll_pages(1)", "page down", "One page down"),
    Key("home,g", "to_top", "top", "To the first line"),
    Key("end,G", "to_end", "end", "To the last line, and follow new ones"),
    Key("enter", "lead", "open", "Open what is behind this line; the way back is kept"),
)

Row = tuple[Spans, str]
"""The content of a row: its spans, and the character of the scroll mark beside it ("" where all rows fit)."""


class Pane(Widget, can_focus=True):
    """A titled, scrollable list of lines. `words` breaks long lines after spaces, else anywhere."""

    KEYS_TITLE: ClassVar[str] = "In the focused pane"
    KEYS: ClassVar[tuple[Key, ...]] = PANE_KEYS
    BINDINGS = bindings(PANE_KEYS)
    ALLOW_SELECT = True
    CAN_FREEZE: ClassVar[bool] = True
    """False for a pane without a border, whose title says that a pane is frozen."""
    follow = False
    words = True

    def __init__(self, title: str = "", *, id: str | None = None, classes: str = "pane") -> None:
        super().__init__(id=id, classes=classes)
        self.rows: Sequence[Spans] = []
        self.top = 0
        self._at_end = True
        self._goal: tuple[int, float] | None = None
        self._titles = self._frozen_titles = ("", "")
        self.frozen = False
        self._news = 0
        self._dragging = False
        self.retitle(title)

    def _on_mount(self, event: events.Mount) -> None:
        super()._on_mount(event)
        if self.workbench.own_keys.chosen:
            self._bindings = rebind(self._bindings, self, self.workbench.own_keys)

    @property
    def workbench(self) -> Workbench:
        """The app, by its own type."""
        return cast("Workbench", self.app)

    def build(self, width: int, height: int) -> Sequence[Line]:
        """What to show in a pane of this size, in cells; more lines than `height` can be scrolled."""
        raise NotImplementedError

    def target(self) -> Target | None:
        """What is behind the row under the cursor, or behind the pane; None where nothing is."""
        return None

    async def action_lead(self) -> None:
        """Go to what is behind the row under the cursor."""
        target = self.target()
        if target is not None:
            await self.workbench.go(target)
        else:
            self.workbench.answer("Nothing is behind this line.")

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        """What the pane's figures mean, for the `?` screen: a heading, and each figure's name and meaning."""
        return "", ()

    def meanings(self) -> Sequence[str]:
        """What the figures mean, in short, for the line at the bottom, the most important first."""
        return [f"{name}: {meaning}" for name, meaning in self.legend()[1]]

    def renew(self) -> None:
        """Build the lines again and repaint the rows that differ."""
        if not self.is_mounted or not self.content_size:
            return
        if self.frozen and self.rows:
            self._count_news()
            return
        width, height = self.content_size
        before, rows = self._visible(), self.rows
        self.rows = self.make_rows(width - 1, height)
        if self.workbench.linear:
            self._make_linear(rows)
        self.top = self._last_top if self.follow and self._at_end else min(self.top, self._last_top)
        self._approach_goal()
        self._repaint(before)

    def make_rows(self, width: int, height: int) -> Sequence[Spans]:
        """The rows of the lines of `build`, long lines wrapped."""
        return [row for item in self.build(width, height) for row in wrap(item, width, words=self.words)]

    # Freezing

    def freeze(self, frozen: bool) -> None:
        """Keep the rows as they are and count what is new, or show the present state again."""
        self.frozen, self._news = frozen, 0
        self.renew()
        self._show_titles()

    def news(self) -> int:
        """How many rows the frozen pane would show that it does not."""
        width, height = self.content_size
        rows = self.make_rows(width - 1, height)
        if len(rows) > MAX_COMPARED:
            return abs(len(rows) - len(self.rows))
        return (Counter(rows) - Counter(self.rows)).total()

    def _count_news(self) -> None:
        news = self.news()
        if news != self._news:
            self._news = news
            self._show_titles()

    # Copying

    def copied(self) -> str:
        """What the key y copies where nothing is selected: the whole text of the pane."""
        if self.frozen:
            return "\n".join("".join(text for text, _ in row).rstrip() for row in self.rows)
        width, height = self.content_size
        return "\n".join("".join(text for text, _ in item.spans).rstrip() for item in self.build(width - 1, height))

    def offset_nearest(self, mouse: Offset) -> Offset:
        """The character nearest to the mouse, by row and column of the pane's text."""
        x, y = mouse - self.content_region.offset
        width, height = self.content_size
        row = max(0, min(self.top + max(0, min(y, height - 1)), len(self.rows) - 1))
        return Offset(0 if y < 0 else width if y >= height else max(0, min(x + 1, width)), row)

    # Linear mode

    @property
    def title_text(self) -> str:
        """The title, as it was given."""
        return self._titles[0]

    def _make_linear(self, before: Sequence[Spans]) -> None:
        """Make the rows plain, and announce those that are new where this is the current pane."""
        from skillos_tui.render.plain import is_blank, plain_row

        if isinstance(self.rows, list):
            plain = [(row, plain_row(row)) for row in self.rows]
            self.rows = [made for row, made in plain if not is_blank(made) or is_blank(row)]
        if before and self.has_class("-current") and isinstance(before, list) and len(self.rows) < MAX_COMPARED:
            left = Counter(before)
            new = [row for row in self.rows if not is_blank(row) and not left.subtract((row,)) and left[row] < 0]
            for row in new[:MAX_ANNOUNCED]:
                self.workbench.announce("".join(text for text, _ in row).strip())
            if len(new) > MAX_ANNOUNCED:
                self.workbench.announce(f"and {len(new) - MAX_ANNOUNCED:,} more lines in {self.title_text}")

    @property
    def at_end(self) -> bool:
        """Whether the last row is in view, so that a pane with `follow` stays at the end."""
        return self._at_end

    def restore(self, top: int) -> None:
        """Scroll to row `top` as soon as there are enough rows, unless a person scrolls first."""
        self._goal = (top, time.monotonic() + RESTORE_SECONDS)
        self.renew()

    def _approach_goal(self) -> None:
        """Scroll to the row that is to be restored, if it exists; for a while also after more rows have been added."""
        if self._goal is None or self._goal[0] > self._last_top:
            return
        top, until = self._goal
        if time.monotonic() > until:
            self._goal = None
        else:
            self.top, self._at_end = top, top == self._last_top

    def retitle(self, title: str, subtitle: str = "") -> None:
        """Change the border's texts, if they are other ones; both may be untrusted."""
        if (title, subtitle) != self._titles:
            self._titles = (title, subtitle)
            self._show_titles()

    def _show_titles(self) -> None:
        """Show the titles; those of a frozen pane stay, with the count of what is new."""
        if not self.frozen:
            self._frozen_titles = self._titles
        title, subtitle = self._frozen_titles
        if self.frozen:
            news = f", {self._news:,} new" if self._news else ""
            title = " · ".join(filter(None, [title, f"frozen{news}"]))
        self.border_title = Content(safe(title)) if title else None
        self.border_subtitle = Content(safe(subtitle)) if subtitle else None

    @property
    def _last_top(self) -> int:
        return max(0, len(self.rows) - self.content_size.height)

    def _visible(self) -> list[Row]:
        """The rows in view."""
        height, thumb = self.content_size.height, self._thumb()
        return [self._row_at(y, thumb) for y in range(height)]

    def _thumb(self) -> range:
        """Where the scroll mark is, in rows of the view; empty where all rows fit."""
        height, total = self.content_size.height, len(self.rows)
        if not total > height > 0 or self.workbench.linear:
            return range(0)
        size = max(1, height * height // total)
        start = (height - size) * self.top // max(1, total - height)
        return range(start, start + size)

    def _row_at(self, y: int, thumb: range) -> Row:
        row = self.rows[self.top + y] if self.top + y < len(self.rows) else ()
        if row and self.workbench.linear and not isinstance(self.rows, list):
            from skillos_tui.render.plain import plain_row

            row = plain_row(row)
        return row, "" if not thumb else "▐" if y in thumb else " "

    def _repaint(self, before: list[Row]) -> None:
        """Refresh the rows that differ from `before`, one region for each run of rows."""
        width = self.content_size.width
        after = self._visible()
        start = None
        for y in range(len(after) + 1):
            differs = y < len(after) and (y >= len(before) or before[y] != after[y])
            if differs and start is None:
                start = y
            elif not differs and start is not None:
                self.refresh(Region(0, start, width, y - start))
                start = None

    def render_lines(self, crop: Region) -> list[Strip]:
        """Build before the first frame, so that it does not show an empty box."""
        if not self.rows:
            self.renew()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width = self.content_size.width
        base = self.rich_style
        spans, mark = self._row_at(y, self._thumb())
        if not spans and not mark:
            return Strip.blank(width, base)
        styles = self.styles_by_name
        segments = [Segment(text, base + styles[style] if style else base) for text, style in spans if text]
        segments = self._selected(segments, self.top + y)
        used = sum(cell_len(text) for text, _, _ in segments)
        tail = segments[-1].style if segments and spans[-1][1] in FILLED else base
        segments.append(Segment(" " * max(0, width - 1 - used), tail))
        segments.append(Segment(mark or " ", base + styles["axis"] if mark.strip() else base))
        return Strip(Segment.simplify(segments)).crop(0, width).apply_offsets(0, self.top + y)

    @property
    def styles_by_name(self) -> dict[str, Style]:
        """The theme's styles."""
        return self.workbench.own_theme.styles

    def _selected(self, segments: list[Segment], row: int) -> list[Segment]:
        """The segments, with those that the mouse has selected in the colours of a selection."""
        selection = self.text_selection
        span = selection.get_span(row) if selection else None
        if span is None:
            return segments
        start, end = span
        style = self.screen.get_component_rich_style("screen--selection")
        parts: list[Segment] = []
        at = 0
        for text, own, _ in segments:
            cuts = sorted({0, len(text), *(c - at for c in (start, end) if 0 < c - at < len(text))})
            for left, right in pairwise(cuts):
                inside = at + left >= start and (end == -1 or at + right <= end)
                parts.append(Segment(text[left:right], (own + style if own else style) if inside else own))
            at += len(text)
        return parts

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        return selection.extract("\n".join("".join(text for text, _ in row).rstrip() for row in self.rows)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    def scroll_row_to(self, top: int) -> None:
        """Put row `top` first, as far as the rows allow; at the end the pane follows again."""
        before = self._visible()
        self._goal = None
        self.top = max(0, min(top, self._last_top))
        self._at_end = self.top == self._last_top
        self._repaint(before)

    def action_scroll_rows(self, by: int) -> None:
        self.scroll_row_to(self.top + by)

    def action_scroll_pages(self, by: int) -> None:
        self.scroll_row_to(self.top + by * max(1, self.content_size.height - 1))

    def action_to_top(self) -> None:
        self.scroll_row_to(0)

    def action_to_end(self) -> None:
        self.scroll_row_to(self._last_top)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_row_to(self.top + 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_row_to(self.top - 3)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Scroll to where the scroll mark was clicked."""
        if self._thumb() and event.get_content_offset(self) == Offset(
            self.content_size.width - 1, event.y - self._inset
        ):
            self.capture_mouse()
            self._dragging = True
            event.stop()
            self._scroll_to_mark(event.y - self._inset)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragging:
            event.stop()
            self._scroll_to_mark(event.y - self._inset)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self._dragging:
            event.stop()
            self._dragging = False
            self.release_mouse()

    @property
    def _inset(self) -> int:
        """The rows of the border and the padding above the content."""
        return self.content_region.y - self.region.y

    def _scroll_to_mark(self, y: int) -> None:
        """Put the middle of the scroll mark at row `y` of the view."""
        height, size = self.content_size.height, len(self._thumb())
        place = (y - size // 2) / max(1, height - size)
        self.scroll_row_to(round(place * self._last_top))

    def on_resize(self) -> None:
        if self.frozen:
            self.top = min(self.top, self._last_top)
            self.refresh()
        self.renew()


FILLED = frozenset({"added", "removed", "cursor", "rest"})
"""Styles whose background continues to the edge of the pane."""
