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

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Literal, cast, get_args

from rich.cells import cell_len
from textual import events
from textual.geometry import Offset
from textual.reactive import Reactive
from textual.screen import Screen
from textual.selection import Selection, SelectState
from textual.widget import Widget

from skillos_tui.keymap import PANES_KEYS, PANES_TITLE, Key, bindings, rebind
from skillos_tui.model.keyguard import PAUSE_SECONDS, Typing
from skillos_tui.model.view import Part
from skillos_tui.render.text import Line, line, safe, tail, widest, width_of
from skillos_tui.screens.appearing import Appearing
from skillos_tui.widgets.answer import AnswerBar
from skillos_tui.widgets.bars import Fitting
from skillos_tui.widgets.pane import Pane
from skillos_tui.widgets.state import state_line
from skillos_tui.widgets.tabs import StateBar

if TYPE_CHECKING:
    from skillos_tui.client.messages import Reply
    from skillos_tui.screens.layout import Grip
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


class FullScreen(Appearing, Screen[None], Listener):
    """A screen that fills the terminal.

    The focused pane, or the last one that was, has the class `-current`; where space is short it alone is shown.
    """

    AUTO_FOCUS = ""  # `go_to` sets the focus; where panes are hidden, Textual would focus and show another one
    NAME: ClassVar[str]
    KEYS_TITLE: ClassVar[str] = PANES_TITLE
    KEYS: ClassVar[tuple[Key, ...]] = PANES_KEYS
    BINDINGS = bindings(PANES_KEYS)
    PANES: ClassVar[tuple[str, ...]] = ()
    CAN_FREEZE: ClassVar[bool] = True
    """False where keys decide on what the panes show, so that they must not be out of date."""
    composed = False
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)  # the two widgets repaint; Textual repaints all

    def __init__(self) -> None:
        super().__init__()
        self.typing = Typing()
        self.pressed = 0.0
        """When the key that is handled now was pressed, by the monotonic clock."""
        self.restored = False
        """Whether the program opened this screen at its start, not a key of the person."""
        self._away = False
        self._grip: Grip | None = None
        """The border that is dragged."""
        self._announced: tuple[object, ...] = ()

    @property
    def workbench(self) -> Workbench:
        """The app, by its own type."""
        return cast("Workbench", self.app)

    @property
    def state_line(self) -> Line | Fitting:
        """The state of the run, the first line of its screens."""
        app = self.workbench
        if app.path is None:
            return partial(_path_line, app.skills, ()) if app.skills else _no_run
        if app.lost:
            return partial(_path_line, app.path, ("bad:✗ cannot be read", "axis:  │  "))
        name = app.path.name if app.path is not None else ""
        return partial(state_line, app.view, app.shown_state, name, app.silent, read_only=bool(app.read_only))

    def show_state(self) -> None:
        """Show the numbered screens and the state of the run in the first line."""
        view = self.workbench.view
        waiting, alarms = (len(view.pending), len(view.alarms)) if self.workbench.path is not None else (0, 0)
        marks = {"review": f"·{waiting:,}" if waiting else "", "system": f"!{alarms}" if alarms else ""}
        for bar in self.query(StateBar):
            bar.show_state(self.state_line, self.NAME, marks)
        if self.workbench.linear:
            self._announce_state(waiting, alarms)

    def _announce_state(self, waiting: int, alarms: int) -> None:
        """Announce another state, step, number of edits or alarms; not each tick of a progress."""
        app = self.workbench
        facts = (app.shown_state, app.view.step, waiting, alarms, app.view.settings.policy, app.lost)
        if facts != self._announced and self.is_current:
            self._announced = facts
            made = self.state_line(200) if callable(self.state_line) else self.state_line
            words = ["".join(text for text, _ in made.spans)]
            words += [f"{waiting:,} waiting for review"] if waiting else []
            words += [f"{alarms} alarms"] if alarms else []
            self.announce("; ".join(words))

    def here(self) -> str:
        """Where the person is on this screen, in the screen's own notation (`skillos_tui.model.target`)."""
        return ""

    def arrive(self, at: str) -> None:
        """Go to a place that `here` returned, or that another screen leads to. What is not understood is ignored; what has
        not been read yet is gone to when it has been."""

    def on_mount(self) -> None:
        if self.workbench.own_keys.chosen:
            self._bindings = rebind(self._bindings, self, self.workbench.own_keys)
        if (kept := self.workbench.session.saved.sizes.get(self.NAME)) is not None:
            from skillos_tui.screens.layout import restore

            restore(self, kept)
        if self.workbench.linear:
            self.show_linear()

    def show_linear(self) -> None:
        """In linear mode, have the lines that say what changed; else none."""
        from skillos_tui.widgets.announcements import Announcements

        found = self.query(Announcements)
        if self.workbench.linear and not found:
            bars = self.query(AnswerBar)
            self.mount(Announcements(), before=bars.first() if bars else None)
        elif not self.workbench.linear:
            found.remove()
        for pane in self.query(Pane):
            pane.renew()

    def announce(self, text: str) -> None:
        """Append a line to what has changed, in linear mode."""
        from skillos_tui.widgets.announcements import Announcements

        for pane in self.query(Announcements):
            pane.add(text)

    def on_screen_suspend(self) -> None:
        """Another screen is shown now; what changes meanwhile is shown when this one is again."""
        self._away = True

    def on_screen_resume(self) -> None:
        if self.query("#announcements") if not self.workbench.linear else not self.query("#announcements"):
            self.show_linear()
        if self._away:
            self._away = False
            self.renew(set(get_args(Part)))

    def reappear(self) -> None:
        """This screen is shown again, and nothing of it is on the terminal yet; called before the next key is handled."""
        self.answer("")

    def hear(self, key: events.Key) -> bool:
        """Drop what is typed right after a key that was refused, and show the count; another key clears the answer."""
        if self.typing.takes(key):
            self.set_timer(0.05, self._show_ignored)
            return False
        self.pressed = key.time
        self.answer("")
        if key.key == "escape" and self.has_class("-zoomed") and not self.workbench.in_text:
            self.remove_class("-zoomed")
            return False
        return True

    def answer(self, text: str, style: str = "warn") -> None:
        """Show an answer instead of the key line, until the next key."""
        for bar in self.query(AnswerBar):
            bar.answer(text, style)
        if text:
            self.workbench.announce(text)

    def refuse(self, why: str, pause: float = PAUSE_SECONDS) -> None:
        """Answer that a key does nothing, and ignore what is typed until a pause of so many seconds."""
        self.typing.ignore(monotonic(), pause=pause)
        self.answer(why)

    def _show_ignored(self) -> None:
        for bar in self.query(AnswerBar):
            bar.note(self.typing.ignored)

    def go_to(self, pane: str) -> None:
        """Focus a pane now, so that the next key acts on it, and show it if it was hidden."""
        self._mark(pane)
        self.set_focus(self.query_one(f"#{pane}"))

    def on_descendant_focus(self) -> None:
        if isinstance(self.focused, Widget) and self.focused.id in self.PANES:
            self._mark(self.focused.id)

    def _explain(self, pane: Widget | None) -> None:
        """Show what the figures of a pane mean, which a key or the mouse led to."""
        if isinstance(pane, Pane):
            self.workbench.announce(f"{pane.title_text}, pane")
            meanings = pane.meanings()
            if meanings and not self.workbench.linear:  # the sheet of keys has them as lines
                more = f"{self.workbench.key_of('app.keys')} more"
                self.answer(_whole(meanings, more, self.size.width - 3), "muted")

    def _mark(self, pane: str) -> None:
        """Make a pane and its column the current ones."""
        columns = self.query(".column")
        panes = [self.query_one(f"#{name}") for name in self.PANES]
        current = {widget for widget in panes if widget.id == pane}
        current |= {column for column in columns if any(widget in current for widget in column.query(".pane"))}
        changed = [each for each in (*columns, *panes) if each.has_class("-current") != (each in current)]
        for widget in changed:
            widget.set_class(widget in current, "-current", update=False)
        for widget in changed:  # a column styles its panes
            if not any(above in changed for above in widget.ancestors):
                widget.update_node_styles()

    # Panes

    @property
    def current_pane(self) -> Pane | None:
        """The pane that has the focus or had it last."""
        return next((pane for pane in self.query(Pane) if pane.has_class("-current")), None)

    @property
    def one_pane(self) -> bool:
        """Whether the terminal is too small for more than one pane."""
        return self.has_class("-narrow") or self.has_class("-low") or self.workbench.linear

    def action_zoom(self) -> None:
        """Show the current pane alone, or all panes again."""
        if len(self.PANES) < 2:
            self.answer("This screen has no other pane.")
        elif self.one_pane and not self.has_class("-zoomed"):
            why = "In linear mode one pane is shown" if self.workbench.linear else "The terminal is too small for more"
            self.answer(f"{why}; {self.workbench.key_of('screen.next_pane')} shows the next one.")
        else:
            self.toggle_class("-zoomed")
            shown = f"One pane is shown; {self.workbench.key_of('screen.zoom')} or esc shows all of them."
            self.answer(shown if self.has_class("-zoomed") else "", "muted")

    def action_freeze(self) -> None:
        """Freeze the current pane, or let it go on."""
        pane = self.current_pane
        if pane is None:
            self.answer("There is no pane to freeze here.")
        elif not self.CAN_FREEZE:
            self.answer("The panes of this screen cannot be frozen: its keys act on what they show.")
        elif not pane.CAN_FREEZE:
            self.answer("This line cannot be frozen; go to a pane with a border.")
        else:
            pane.freeze(not pane.frozen)

    def action_resize(self, axis: Literal["horizontal", "vertical"], by: int) -> None:
        """Move the border beside the current column or pane, and keep that for the next start."""
        from skillos_tui.screens import layout

        pane = self.current_pane
        if self.one_pane or self.has_class("-zoomed"):
            self.answer("One pane is shown; there is no border to move.")
        elif pane is None or not layout.move(self, pane, axis, by):
            self.answer("There is nothing beside this pane." if axis == "horizontal" else "No pane is above or below.")
        else:
            self.workbench.session.keep_sizes(self.NAME, layout.sizes(self))

    def action_copy(self) -> None:
        """Copy what is selected, else what the current pane offers."""
        self._copy()

    def action_copy_text(self) -> None:
        """Copy, by Textual's own ctrl+c; a person who wanted to leave is shown the key that leaves."""
        self._copy("" if self.get_selected_text() else f"; {self.workbench.key_of('app.leave')} leaves the workbench")

    def _copy(self, also: str = "") -> None:
        pane = self.current_pane
        text = self.get_selected_text() or (pane.copied() if pane is not None else "")
        self.workbench.copy(text, also)

    # Mouse

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Start to drag the border under the mouse."""
        from skillos_tui.screens.layout import grip_at

        self._explain(self.get_focusable_widget_at(int(event.screen_x), int(event.screen_y)))
        if event.button == 1 and not (self.one_pane or self.has_class("-zoomed")):
            self._grip = grip_at(self, int(event.screen_x), int(event.screen_y))
            if self._grip is not None:
                self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._grip is not None:
            self._grip.drag(int(event.screen_x), int(event.screen_y))

    def on_mouse_up(self) -> None:
        if self._grip is not None:
            from skillos_tui.screens.layout import sizes

            self._grip = None
            self.release_mouse()
            self.workbench.session.keep_sizes(self.NAME, sizes(self))

    def _watch__select_state(self, select_state: SelectState | None) -> None:
        """Keep a selection inside the pane where it began; Textual's goes on into the panes beside it."""
        pane = select_state.start.content_widget if select_state is not None else None
        if select_state is None or select_state.end is None:
            super()._watch__select_state(select_state)
        elif not isinstance(pane, Pane):
            self.selections = {}
        elif select_state.end.content_widget is pane:
            super()._watch__select_state(select_state)
        else:
            self._selecting = True
            start, end = select_state.start.content_offset, pane.offset_nearest(self.app.mouse_position)
            self.selections = {pane: Selection.from_offsets(start or Offset(0, 0), end)}

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
        self._explain(self.focused)


def _whole(items: Sequence[str], more: str, width: int) -> str:
    """As many whole items as fit into `width` cells; where that is not all of them, `more` after them."""
    for count in range(len(items), 0, -1):
        text = " · ".join([*items[:count], *([more] if count < len(items) else [])])
        if cell_len(text) <= width:
            return text
    return items[0]


def _no_run(width: int) -> Line:
    return widest(width, line("muted:no run is open"), line("muted:no run"))


def _path_line(path: Path, before: Sequence[str], width: int) -> Line:
    """A path after other text; its beginning is cut where it is too long."""
    left = max(0, width - width_of(line(*before)))
    return line(*before, f"muted:{tail(safe(str(path)), left).rstrip()}")
