"""What the full screens share: a room of the keymap, panes to walk through, one pane alone where space is short."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.screen import Screen
from textual.widget import Widget

from skillos_tui.client.messages import Listener
from skillos_tui.model.keyguard import PAUSE_SECONDS, Typing
from skillos_tui.widgets.answer import AnswerBar

if TYPE_CHECKING:
    from skillos_tui.app import SkillosApp


class RoomScreen(Screen[None], Listener):
    """A screen whose keys are the room's of `keymap`. `PANES` are the ids of its panes, in the order of the tab key.

    The focused pane, or the last one that was, has the class `-current`; the styles show it alone where space is short.
    """

    AUTO_FOCUS = ""  # `go_to` gives the focus; where panes are hidden, another one would be shown
    room: ClassVar[str]
    PANES: ClassVar[tuple[str, ...]] = ()
    composed = False

    def __init__(self) -> None:
        super().__init__()
        self.typing = Typing()
        self.pressed = 0.0
        """When the key that acts now was pressed, by the monotonic clock."""

    @property
    def workbench(self) -> SkillosApp:
        """The app, by its own type."""
        return cast("SkillosApp", self.app)

    def hear(self, key: events.Key) -> bool:
        """Drop what is typed right after a key that could not act, and show that; another key clears the answer."""
        if self.typing.takes(key):
            self.set_timer(0.05, self._show_ignored)
            return False
        self.pressed = key.time
        self.answer("")
        return True

    def answer(self, text: str, style: str = "warn") -> None:
        """Say something in the place of the key line, until the next key."""
        for bar in self.query(AnswerBar):
            bar.answer(text, style)

    def refuse(self, why: str, pause: float = PAUSE_SECONDS) -> None:
        """Say that a key cannot act, and ignore what is typed until there is a pause of so many seconds."""
        self.typing.ignore(monotonic(), pause=pause)
        self.answer(why)

    def _show_ignored(self) -> None:
        """Say how much of what was typed was ignored."""
        for bar in self.query(AnswerBar):
            bar.note(self.typing.ignored)

    def go_to(self, pane: str) -> None:
        """Give a pane the focus, shown if it was not."""
        self._mark(pane)
        self.query_one(f"#{pane}").focus()

    def on_descendant_focus(self) -> None:
        if isinstance(self.focused, Widget) and self.focused.id in self.PANES:
            self._mark(self.focused.id)

    def _mark(self, pane: str) -> None:
        """Make a pane the current one, and the column that it is in."""
        for name in self.PANES:
            self.query_one(f"#{name}").set_class(name == pane, "-current")
        for column in self.query(".column"):
            column.set_class(any(child.id == pane for child in column.children), "-current")

    def action_next_pane(self) -> None:
        self._step(1)

    def action_previous_pane(self) -> None:
        self._step(-1)

    def _step(self, by: int) -> None:
        current = [at for at, name in enumerate(self.PANES) if self.query_one(f"#{name}").has_class("-current")]
        self.go_to(self.PANES[((current[0] if current else -1) + by) % len(self.PANES)])
