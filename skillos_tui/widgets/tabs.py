"""The first line of every full screen: the numbered screens, and the state of the run beside them.

    SkillOS  1 Live  2 Review·3  3 Skills  4 Rollouts  5 Rewards  6 Evaluation  7 Runs  8 System    ● running │ step 33/40

Where the line is narrow, only the present screen has its name. What waits for the person keeps its mark and its number,
which is the key that leads there. A click on a screen opens it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual import events

from skillos_tui.keymap import TABS
from skillos_tui.render.text import Line, crop, line, width_of
from skillos_tui.widgets.bars import Bar, Fitting

NAME = "SkillOS"
STATE_CELLS = 34
"""The names of the screens are dropped where fewer cells than these would be left for the state."""


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
        tabs = self._tabs(named=True)
        state = self._state(max(0, width - width_of(tabs) - 2))
        if width - width_of(tabs) - 2 < STATE_CELLS:
            tabs = self._tabs(named=False)
            state = self._state(max(0, width - width_of(tabs) - 2))
        gap = " " * max(2, width - width_of(tabs) - width_of(state))
        return [crop(Line((*tabs.spans, (gap, ""), *state.spans)), width)]

    def _state(self, width: int) -> Line:
        return crop(self.line(width) if callable(self.line) else self.line, width)

    def _tabs(self, *, named: bool) -> Line:
        """The screens; each place in cells is noted for clicks."""
        spans = [*line(f"strong:{NAME}").spans] if named else []
        self._places = []
        at = len(NAME) if named else 0
        for name, key in TABS.items():
            mark = self.marks.get(name, "")
            here = name == self.current
            label = f"{key.first} {name.capitalize()}" if named or here else key.first
            gap = "  " if named else " " if at else ""
            style = "cursor" if here else "warn" if mark else "muted"
            spans += [(gap, ""), (label, style), (mark, "warn")]
            width = len(gap) + len(label) + len(mark)
            self._places.append((range(at, at + width), name))
            at += width
        return Line(tuple(span for span in spans if span[0]))

    async def on_click(self, event: events.Click) -> None:
        """Open the screen that was clicked."""
        x = event.x - (self.content_region.x - self.region.x)
        name = next((name for cells, name in self._places if x in cells), "")
        if name:
            event.stop()
            await self.app.run_action(f"show_screen('{name}')", self.app)
