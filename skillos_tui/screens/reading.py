"""Dialogs whose keys decide at once: a key that was pressed before the dialog was on the screen is dropped.

class PolicyScreen(ReadFirst, DialogScreen[str | None]): ...
"""

from __future__ import annotations

import math
from time import monotonic
from typing import TYPE_CHECKING, cast

from textual import events
from textual.screen import Screen

from skillos_tui.screens.base import Listener

if TYPE_CHECKING:
    from skillos_tui.workbench import Workbench


class ReadFirst(Listener):
    """Drops keys that were pressed before the dialog was painted; escape is heard at any time."""

    _painted = math.inf

    def on_mount(self) -> None:
        self.wait_for_paint()

    def wait_for_paint(self) -> None:
        """Drop the keys that are pressed before the dialog, as it is now, is on the screen."""
        self._painted = math.inf
        screen = cast("Screen[object]", self)
        screen.call_after_refresh(cast("Workbench", screen.app).when_seen, self._note_painted)

    def _note_painted(self) -> None:
        self._painted = monotonic()

    def hear(self, key: events.Key) -> bool:
        return key.key == "escape" or key.time >= self._painted
