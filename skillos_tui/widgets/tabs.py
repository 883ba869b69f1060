"""The first line of every full screen: the numbered screens, and the state of the run beside them.

    SkillOS  1 Live  2 Review·3  3 Skills  4 Rollouts  5 Rewards  6 Evaluation  7 Runs  8 System    ● running │ step 33/40

A number is the key of its screen. The longest form of the screens that leaves enough room for the state is shown; in the
shortest one only the present screen has its name. What waits for the person is marked in every form: "·3" edits, "!1" alarm.
A click on a screen opens it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from textual import events

from skillos_tui.keymap import TABS, Key
from skillos_tui.render.text import Line, crop, width_of
from skillos_tui.widgets.bars import Bar, Fitting

NAME = "SkillOS"
STATE_CELLS = 40
"""The cells that a state with step, phase, progress, time left and the shortest name of the run needs; a form of the screens
leaves it as many."""
FOLDER_CELLS = 20
"""The cells that a form leaves for the path of a folder of skills."""
NO_RUN_CELLS = 6
"""The cells that a form leaves where nothing is open."""
SHORT_NAMES = {"evaluation": "Eval"}
OF_A_RUN = frozenset(("live", "review", "rollouts", "rewards", "evaluation"))
"""The screens that need an open run."""


class Form(NamedTuple):
    """One way to write the screens: with the program's name, with the names of all screens, which may be short, and what is
    between two."""

    brand: bool = False
    named: bool = False
    short: bool = False
    gap: str = "  "


FORMS = (
    Form(brand=True, named=True),
    Form(named=True),
    Form(named=True, short=True),
    Form(named=True, short=True, gap=" "),
    Form(gap=" "),
)


class StateBar(Bar):
    """The numbered screens and the state of the run. `marks` are what waits on a screen, by its name: "·3"."""

    def __init__(self) -> None:
        super().__init__(id="state")
        self.current = ""
        self.marks: Mapping[str, str] = {}
        self._places: list[tuple[range, str]] = []

    def show_state(self, state: Line | Fitting, current: str, marks: Mapping[str, str]) -> None:
        """Show the state of the run, on the screen called `current`."""
        self.current, self.marks = current, marks
        self.show(state)

    def build(self, width: int, height: int) -> Sequence[Line]:
        least = STATE_CELLS
        if self.workbench.path is None:
            least = width_of(self._state(FOLDER_CELLS if self.workbench.skills is not None else NO_RUN_CELLS))
        for form in FORMS:
            tabs = self._tabs(form)
            left = max(0, width - width_of(tabs) - 2)
            if left >= least:
                break
        state = self._state(left)
        gap = " " * max(2, width - width_of(tabs) - width_of(state))
        return [crop(Line((*tabs.spans, (gap, ""), *state.spans)), width)]

    def _state(self, width: int) -> Line:
        return crop(self.line(width) if callable(self.line) else self.line, width)

    def _tabs(self, form: Form) -> Line:
        """The screens in one form; the place of each, in cells, is kept for clicks."""
        spans = [(NAME, "strong")] if form.brand else []
        at = len(NAME) if form.brand else 0
        self._places = []
        for name, key in TABS.items():
            gap = form.gap if at else ""
            tab = self._tab(name, self.workbench.own_keys.of("app", key), form)
            width = width_of(Line(tab))
            self._places.append((range(at + len(gap), at + len(gap) + width), name))
            spans += [(gap, ""), *tab]
            at += len(gap) + width
        return Line(tuple(span for span in spans if span[0]))

    def _tab(self, name: str, key: Key, form: Form) -> tuple[tuple[str, str], ...]:
        """One screen: its number, its name, and what waits there."""
        mark = self.marks.get(name, "")
        here = name == self.current
        title = (SHORT_NAMES.get(name) if form.short else None) or name.capitalize()
        label = f" {title}" if form.named or here else ""
        if here:
            return (f"{key.first}{label}", "cursor"), (mark, "warn")
        if name in OF_A_RUN and self.workbench.path is None:
            return (f"{key.first}{label}", "axis"), (mark, "warn")
        return (key.first, "warn" if mark else "key"), (label, "warn" if mark else "muted"), (mark, "warn")

    async def on_click(self, event: events.Click) -> None:
        """Open the screen that was clicked."""
        x = event.x - (self.content_region.x - self.region.x)
        name = next((name for cells, name in self._places if x in cells), "")
        if name:
            event.stop()
            await self.app.run_action(f"show_screen('{name}')", self.app)
