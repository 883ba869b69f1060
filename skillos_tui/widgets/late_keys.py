"""Keys of one burst, as over a slow line, of which the first closes a dialog.

    class LineField(GivesBack, Input): ...

Textual gives each key to the field that has the focus when the key arrives, and the dialog closes when the field comes to
its own key. The keys behind that one are given back to the app, which gives them to the screen below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.screen import Screen

if TYPE_CHECKING:
    from textual.widget import Widget as Base
else:
    Base = object


class GivesBack(Base):
    """A widget that takes no key after its screen was closed. Comes before `Widget` among the bases."""

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and not self._is_open():
            self.app.post_message(events.Key(event.key, event.character))
        else:
            await super().on_event(event)

    def _is_open(self) -> bool:
        stack = self.app.screen_stack
        return any(isinstance(node, Screen) and node in stack for node in self.ancestors_with_self)
