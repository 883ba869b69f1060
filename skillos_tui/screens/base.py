"""The base of full screens: keys, panes to walk through, a single pane where space is short.

class SkillsScreen(FullScreen):
    NAME = "skills"                       # its name in the registry
    CSS_PATH = "screen.tcss"
    KEYS_TITLE, KEYS = "On the skills screen", (Key("escape", "back", "live", "Back to the live screen", True),)
    BINDINGS = bindings(KEYS)
    PANES = ("skills",)                   # ids, in the order of the tab key

    def compose(self) -> ComposeResult:
        yield StateBar()
        yield SkillList(id="skills")
        yield AnswerBar(self.KEYS)

    def renew(self, parts: set[Part]) -> None:         # `self.workbench.view` has changed
        self.show_state()

    def take(self, reply: Reply) -> None: ...          # an `Answered` of `self.workbench.client.ask_run(…)`
    def here(self) -> str: ...                         # the place, which b and the next start return to
    def arrive(self, at: str) -> None: ...             # go to that place
"""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.screen import Screen
from textual.widget import Widget

from skillos_tui.client.messages import Reply
from skillos_tui.keymap import Key
from skillos_tui.model.keyguard import PAUSE_SECONDS, Typing
from skillos_tui.model.view import Part
from skillos_tui.render.text import Line, line
from skillos_tui.widgets.answer import AnswerBar
from skillos_tui.widgets.bars import Fitting
from skillos_tui.widgets.state import state_line
from skillos_tui.widgets.tabs import StateBar

if TYPE_CHECKING:
    from skillos_tui.workbench import Workbench


class Listener:
    """A screen that shows a run or a reply; the app calls it."""

    def renew(self, parts: set[Part]) -> None:
        """These parts of the run have changed; `workbench.view` has them."""

    def take(self, reply: Reply) -> None:
        """A reply of the client has arrived."""

    def hear(self, key: events.Key) -> bool:
        """A key was pressed while this screen is on top; returning false drops it."""
        return True


class FullScreen(Screen[None], Listener):
    """A screen that fills the terminal.

    The focused pane, or the last one that was, has the class `-current`; where space is short it alone is shown.
    """

    AUTO_FOCUS = ""  # `go_to` sets the focus; where panes are hidden, Textual would focus and show another one
    NAME: ClassVar[str]
    KEYS_TITLE: ClassVar[str] = ""
    KEYS: ClassVar[tuple[Key, ...]] = ()
    PANES: ClassVar[tuple[str, ...]] = ()
    composed = False

    def __init__(self) -> None:
        super().__init__()
        self.typing = Typing()
        self.pressed = 0.0
        """When the key that is handled now was pressed, by the monotonic clock."""
        self.restored = False
        """Whether the program opened this screen at its start, not a key of the person."""

    @property
    def workbench(self) -> Workbench:
        """The app, by its own type."""
        return cast("Workbench", self.app)

    @property
    def state_line(self) -> Line | Fitting:
        """The state of the run, the first line of its screens."""
        app = self.workbench
        if app.path is None:
            return line()
        if app.lost:
            return line("bad:✗ cannot be read", "axis:  │  ", f"muted:{app.path}")
        silent = app.engine.silent if app.engine else 0
        name = app.path.name if app.path is not None else ""
        return partial(state_line, app.view, app.shown_state, name, silent, read_only=bool(app.read_only))

    def show_state(self) -> None:
        """Show the numbered screens and the state of the run in the first line."""
        view = self.workbench.view
        waiting, alarms = len(view.pending), len(view.alarms)
        marks = {"review": f"·{waiting:,}" if waiting else "", "system": f"!{alarms}" if alarms else ""}
        for bar in self.query(StateBar):
            bar.show_state(self.state_line, self.NAME, marks)

    def here(self) -> str:
        """Where the person is on this screen, in the screen's own notation (`skillos_tui.model.target`)."""
        return ""

    def arrive(self, at: str) -> None:
        """Go to a place that `here` returned, or that another screen leads to. What is not understood is ignored; what has
        not been read yet is gone to when it has been."""

    def hear(self, key: events.Key) -> bool:
        """Drop what is typed right after a key that was refused, and show the count; another key clears the answer."""
        if self.typing.takes(key):
            self.set_timer(0.05, self._show_ignored)
            return False
        self.pressed = key.time
        self.answer("")
        return True

    def answer(self, text: str, style: str = "warn") -> None:
        """Show an answer instead of the key line, until the next key."""
        for bar in self.query(AnswerBar):
            bar.answer(text, style)

    def refuse(self, why: str, pause: float = PAUSE_SECONDS) -> None:
        """Answer that a key does nothing, and ignore what is typed until a pause of so many seconds."""
        self.typing.ignore(monotonic(), pause=pause)
        self.answer(why)

    def _show_ignored(self) -> None:
        for bar in self.query(AnswerBar):
            bar.note(self.typing.ignored)

    def go_to(self, pane: str) -> None:
        """Focus a pane, and show it if it was hidden."""
        self._mark(pane)
        self.query_one(f"#{pane}").focus()

    def on_descendant_focus(self) -> None:
        if isinstance(self.focused, Widget) and self.focused.id in self.PANES:
            self._mark(self.focused.id)

    def _mark(self, pane: str) -> None:
        """Make a pane and its column the current ones."""
        for name in self.PANES:
            self.query_one(f"#{name}").set_class(name == pane, "-current")
        for column in self.query(".column"):
            column.set_class(any(child.id == pane for child in column.children), "-current")

    def action_back(self) -> None:
        """Close this screen; the one below is shown again."""
        self.dismiss()

    def action_next_pane(self) -> None:
        self._step(1)

    def action_previous_pane(self) -> None:
        self._step(-1)

    def _step(self, by: int) -> None:
        names = [name for name in self.PANES if not self.query_one(f"#{name}").has_class("-empty")]
        current = [at for at, name in enumerate(names) if self.query_one(f"#{name}").has_class("-current")]
        self.go_to(names[((current[0] if current else -1) + by) % len(names)])
