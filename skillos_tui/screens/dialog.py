"""The base of dialogs: a box over the screen below, which is shown as it is.

Nothing below is tinted, so that only the box has to be sent; and the screen below is copied row by row rather than
rendered through Rich again, which takes three times as long as all else that opens a dialog.
"""

from __future__ import annotations

from typing import ClassVar, Generic

from textual.geometry import Region
from textual.screen import ModalScreen, ScreenResultType
from textual.strip import Strip


class DialogScreen(ModalScreen[ScreenResultType], Generic[ScreenResultType]):
    """A modal screen; what it composes is placed in the middle."""

    CSS_PATH: ClassVar = "dialog.tcss"

    def render_lines(self, crop: Region) -> list[Strip]:
        stack = self.app.screen_stack
        below = stack[stack.index(self) - 1] if self in stack else None
        if below is None or below is self:
            return super().render_lines(crop)
        rows = below._compositor.render_strips()  # of another size than this screen, until it has been laid out anew
        cut = [rows[y] if y < len(rows) else Strip.blank(crop.right) for y in crop.line_range]
        return [row.crop_extend(crop.x, crop.right, None).discard_meta() for row in cut]
