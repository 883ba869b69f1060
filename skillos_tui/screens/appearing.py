"""How a screen opens and closes: its widgets are styled once and laid out once, and it closes once.

    class FullScreen(Appearing, Screen[None]): ...

Textual styles each widget when it is mounted and again when the screen is resumed. It adds the classes of the size
after the first paint, and then styles all widgets once more, and lays them out again for that same size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import events
from textual.await_complete import AwaitComplete

if TYPE_CHECKING:
    from textual.app import App
    from textual.screen import Screen

    Base = Screen[Any]
else:
    Base = object


class Appearing(Base):
    """A screen that opens quickly. Comes before `Screen` among the bases; the app calls `fit` before it opens the screen."""

    _resumed = _answered = False

    def fit(self, app: App[Any]) -> None:
        """Add the classes of the terminal's size, before the screen is opened."""
        across = app.HORIZONTAL_BREAKPOINTS if self.HORIZONTAL_BREAKPOINTS is None else self.HORIZONTAL_BREAKPOINTS
        down = app.VERTICAL_BREAKPOINTS if self.VERTICAL_BREAKPOINTS is None else self.VERTICAL_BREAKPOINTS
        for extent, classes in ((app.size.width, across), (app.size.height, down)):
            reached = [name for least, name in classes or () if extent >= least]
            self.add_class(*reached[-1:], update=False)

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Close the screen, once: for the second key of a burst Textual would close the screen below, or fail."""
        return super().dismiss(result) if self.app.screen is self else AwaitComplete()

    def untaken(self, key: str) -> None:
        """A key was pressed that means nothing here."""

    async def on_event(self, event: events.Event) -> None:
        if self.app._exit and isinstance(event, events.Mount | events.ScreenResume):
            return  # no more widgets are mounted after `App.exit`, and the screen would fail to find its own
        if isinstance(event, events.ScreenResume) and not self._resumed:
            self._resumed, event.refresh_styles = True, False
            self.app.stylesheet.apply(self)  # with its own sheet, which has been read since the screen was mounted
        await super().on_event(event)

    async def _on_resize(self, event: events.Resize) -> None:
        first, self._answered = not self._answered, True
        if first and event.size == self.outer_size:  # it is the answer to the first layout, which was of this size
            event.prevent_default()
