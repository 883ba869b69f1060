"""All keys of the screen that is open, of its panes, and those that work everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import Screen

from skillos_tui.keymap import APP_KEYS, APP_TITLE, Key, Section, sections_of
from skillos_tui.render.text import Line, fit, line
from skillos_tui.screens.dialog import DIALOG_STYLE, DialogScreen
from skillos_tui.widgets.pane import Pane

Legend = tuple[str, Sequence[tuple[str, str]]]
"""A heading, and what the figures under it mean."""


class KeyList(Pane):
    """Keys under their headings, and what figures mean."""

    def __init__(self, sections: Sequence[Section], legends: Sequence[Legend]) -> None:
        super().__init__("Keys", id="all-keys")
        self.sections = sections
        self.legends = legends

    def build(self, width: int, height: int) -> Sequence[Line]:
        lines: list[Line] = []
        for title, keys in self.sections:
            if lines:
                lines.append(line())
            lines.append(line(f"strong:{title}"))
            lines += [line(f"key:  {fit(key.shown, 14)}", f":{key.help}", indent=16) for key in keys]
        for title, figures in self.legends:
            lines += [line(), line(f"strong:{title}")]
            lines += [line(f"key:  {fit(name, 20)} ", f":{meaning}", indent=23) for name, meaning in figures]
        return lines


class KeysScreen(DialogScreen[None]):
    """The keys of `screen`, and `others`, which open other screens; any of escape, ? and q closes it."""

    CSS_PATH: ClassVar = [DIALOG_STYLE, "screen.tcss"]
    BINDINGS: ClassVar = [Binding("escape,question_mark,q", "close", "close")]

    def __init__(self, screen: Screen[Any], others: tuple[Key, ...]) -> None:
        super().__init__()
        legends = (pane.legend() for pane in screen.query(Pane) if pane.can_focus)
        self.legends = [legend for legend in legends if legend[0]]
        panes = {section: None for pane in screen.query(Pane) if pane.can_focus for section in sections_of(pane)}
        more = [("Other screens", others)] if others else []
        general_first = sorted(panes, key=lambda section: section[0] != Pane.KEYS_TITLE)
        self.sections = [*sections_of(screen), *general_first, *more, (APP_TITLE, APP_KEYS)]

    def compose(self) -> ComposeResult:
        with Vertical(id="sheet"):
            yield KeyList(self.sections, self.legends)

    def on_mount(self) -> None:
        self.query_one(KeyList).focus()

    def action_close(self) -> None:
        self.dismiss()
