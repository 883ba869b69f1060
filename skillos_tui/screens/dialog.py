"""The base of dialogs: a box over the screen below, which stays visible.

The screen below is not tinted, so that only the box has to be sent. Its rows are copied instead of being rendered through
Rich again, as Textual's `ModalScreen` does: that takes three times as long as everything else that opens a dialog.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, cast

from textual import events
from textual.geometry import Region
from textual.screen import ModalScreen, ScreenResultType
from textual.strip import Strip
from textual.widgets import Static

from skillos_tui.keymap import BACK, TABS
from skillos_tui.screens.appearing import Appearing

if TYPE_CHECKING:
    from skillos_tui.workbench import Workbench

DIALOG_STYLE = Path(__file__).with_name("dialog.tcss")
"""The style of all dialogs; a dialog with a style of its own has `CSS_PATH = [DIALOG_STYLE, "screen.tcss"]`."""
_HINT = re.compile(r"(?P<key>\S+) \S.*?(?=\s{2,}|\s*$)")
_NAMES = {"esc": "escape"}


class DialogScreen(Appearing, ModalScreen[ScreenResultType], Generic[ScreenResultType]):
    """A modal screen; what it composes is centered."""

    CSS_PATH: ClassVar = [DIALOG_STYLE]

    @property
    def workbench(self) -> Workbench:
        """The app, by its own type."""
        return cast("Workbench", self.app)

    def untaken(self, key: str) -> None:
        """Answer the keys of the screens below, which do nothing while a dialog is open."""
        own = self.workbench.own_keys
        elsewhere = [name for key in own.all_of("app", (BACK, *TABS.values())) for name in key.keys.split(",")]
        if key in elsewhere:
            self.notify("A dialog is open; close it first (esc).", severity="warning", markup=False)

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked in a line of keys, where each is written before what it does: "y stop now"."""
        widget, _ = self.get_widget_at(*event.screen_offset)
        if not isinstance(widget, Static) or not widget.has_class("keys"):
            return
        x, y = event.screen_offset - widget.region.offset
        row = widget.render_line(y).text
        for hint in _HINT.finditer(row):
            if hint.start() <= x < hint.end():
                event.stop()
                self.app.simulate_key(_NAMES.get(hint["key"], hint["key"]))

    def render_lines(self, crop: Region) -> list[Strip]:
        stack = self.app.screen_stack
        below = stack[stack.index(self) - 1] if self in stack else None
        if below is None or below is self or self.workbench.linear:
            return super().render_lines(crop)
        rows = below._compositor.render_strips()  # of another size than this screen, until the next layout
        cut = [rows[y] if y < len(rows) else Strip.blank(crop.right) for y in crop.line_range]
        return [row.crop_extend(crop.x, crop.right, None).discard_meta() for row in cut]
