"""All keys of the screen that is open, of its panes, and those that work everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import Screen

from skillos_tui.keymap import Key, OwnKeys, Section, general_sections, sections_of
from skillos_tui.render.text import Line, fit, line
from skillos_tui.screens.dialog import DIALOG_STYLE, DialogScreen
from skillos_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual.widgets import Input

Legend = tuple[str, Sequence[tuple[str, str]]]
"""A heading, and what the figures under it mean."""


class KeyList(Pane):
    """Keys under their headings, and what figures mean. `wanted` is what is searched for, "" for all."""

    def __init__(self, sections: Sequence[Section], legends: Sequence[Legend]) -> None:
        super().__init__("Keys", id="all-keys")
        self.retitle("Keys", "/ searches · esc closes")
        self.sections = sections
        self.legends = legends
        self.wanted = ""

    def search(self, wanted: str) -> None:
        """Show only what has these words."""
        self.wanted, self.top = wanted, 0
        self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        lines: list[Line] = []
        for title, keys in self.sections:
            self._add(lines, title, [line(f"key:  {fit(key.shown, 14)}", f":{key.help}", indent=16) for key in keys])
        for title, figures in self.legends:
            rows = [line(f"key:  {fit(name, 20)} ", f":{meaning}", indent=23) for name, meaning in figures]
            self._add(lines, title, rows)
        return lines or [line(f"muted:Nothing here has {self.wanted!r}.")]

    def _add(self, lines: list[Line], title: str, rows: list[Line]) -> None:
        """Add the rows that have the words that are searched for, under their heading."""
        words = self.wanted.lower().split()
        texts = ["".join(text for text, _ in row.spans).lower() for row in rows]
        found = [row for row, text in zip(rows, texts, strict=True) if all(word in text for word in words)]
        if found:
            lines += [*([line()] if lines else []), line(f"strong:{title}"), *found]


class KeysScreen(DialogScreen[None]):
    """The keys of `screen`, and `others`, which open other screens; any of escape, ? and q closes it, / searches."""

    CSS_PATH: ClassVar = [DIALOG_STYLE, "screen.tcss"]
    BINDINGS: ClassVar = [
        Binding("escape,question_mark,q", "close", "close"),
        Binding("slash", "search", "search"),
        Binding("enter,down", "list", "to the keys"),
    ]

    def __init__(self, screen: Screen[Any], others: tuple[Key, ...]) -> None:
        super().__init__()
        own: OwnKeys = screen.app.own_keys  # type: ignore[attr-defined]
        legends = (pane.legend() for pane in screen.query(Pane) if pane.can_focus)
        self.legends = [legend for legend in legends if legend[0]]
        panes = {section: None for pane in screen.query(Pane) if pane.can_focus for section in sections_of(pane, own)}
        more = [("Other screens", others)] if others else []
        general_first = sorted(panes, key=lambda section: section[0] != Pane.KEYS_TITLE)
        screens, everywhere = general_sections(own)
        self.sections = [*sections_of(screen, own), *general_first, screens, *more, everywhere]

    def compose(self) -> ComposeResult:
        with Vertical(id="sheet"):
            yield KeyList(self.sections, self.legends)

    def on_mount(self) -> None:
        self.set_focus(self.query_one(KeyList))

    async def action_search(self) -> None:
        """Have a field above the keys; it is made when it is first wanted, so that the sheet opens fast."""
        from skillos_tui.widgets.field import LineField

        if not self.query("#search"):
            await self.query_one("#sheet").mount(LineField(id="search"), before=0)
        self.set_focus(self.query_one("#search"))

    def on_input_changed(self, message: Input.Changed) -> None:
        self.query_one(KeyList).search(message.value)

    def action_list(self) -> None:
        """From the field to what was found."""
        self.set_focus(self.query_one(KeyList))

    def action_close(self) -> None:
        """Empty the field, or leave it; from the list, close the sheet."""
        for field in self.query("#search"):
            if field.has_focus:
                if self.query_one(KeyList).wanted:
                    cast("Input", field).clear()
                else:
                    self.action_list()
                return
        self.dismiss()
