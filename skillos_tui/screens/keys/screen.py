"""All keys of the screen that was open, and those that work everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical

from skillos_tui.keymap import KEYMAP
from skillos_tui.render.text import Line, fit, line
from skillos_tui.screens.dialog import DialogScreen
from skillos_tui.widgets.pane import Pane

TITLES = {"pane": "In the focused pane", "tree": "In the tree of skills", "app": "Everywhere"}


class KeyList(Pane):
    """The keys of some rooms of the keymap."""

    def __init__(self, rooms: Sequence[str]) -> None:
        super().__init__("Keys", id="all-keys")
        self.rooms = rooms

    def build(self, width: int, height: int) -> Sequence[Line]:
        lines: list[Line] = []
        for room in self.rooms:
            if lines:
                lines.append(line())
            lines.append(line(f"strong:{TITLES.get(room, f'On the {room} screen')}"))
            lines += [line(f"key:  {fit(key.shown, 14)}", f":{key.help}", indent=16) for key in KEYMAP[room]]
        return lines


class KeysScreen(DialogScreen[None]):
    """The keys; any of escape, ? and q closes it."""

    BINDINGS: ClassVar = [Binding("escape,question_mark,q", "close", "close")]

    def __init__(self, room: str) -> None:
        super().__init__()
        self.rooms = [*dict.fromkeys([room, "pane", *(["tree"] if room == "live" else []), "app"])]

    def compose(self) -> ComposeResult:
        with Vertical(id="sheet"):
            yield KeyList(self.rooms)

    def on_mount(self) -> None:
        self.query_one(KeyList).focus()

    def action_close(self) -> None:
        self.dismiss()
