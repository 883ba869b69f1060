"""Screens that are being opened while the program ends.

    class FullScreen(OpenAtExit, Screen[None]): ...

From the moment of `App.exit` on, Textual mounts no more widgets, and yet sends `Mount` to the screens that wait for theirs.
What they would then do with their widgets would fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.command import CommandPalette

if TYPE_CHECKING:
    from textual.message_pump import MessagePump as Base
else:
    Base = object


class OpenAtExit(Base):
    """A screen that ignores that it was opened, if the program ends meanwhile. Comes before `Screen` among the bases."""

    async def on_event(self, event: events.Event) -> None:
        if not (self.app._exit and isinstance(event, events.Mount | events.ScreenResume)):
            await super().on_event(event)


class Palette(OpenAtExit, CommandPalette):
    """Textual's list of all commands."""
