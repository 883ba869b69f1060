"""A pane with a chart of one or several curves over the steps, a cursor, and the values of all curves at that step.

    pane.show([Series("r_task", points)], empty="No step has ended yet.")
    pane.cursor                   # the step under the cursor; None: no step
    pane.go_to_step(12)

Without a move of the cursor it is at the newest step, and stays there when steps are added. A frame repaints only the rows
that changed, and the terminal gets only the cells that changed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.message import Message

from engine.runs.curves import shown
from skillos_tui.keymap import Key, bindings
from skillos_tui.render.plot import (
    Bounds,
    Series,
    axis_labels,
    bounds_of,
    plot,
    scales_of,
    sign_of,
    step_at,
    step_axis,
    style_of,
)
from skillos_tui.render.text import Line, crop, line, width_of
from skillos_tui.widgets.pane import PANE_KEYS, Pane

MOST_STEPS = 10**9
"""The numbers of steps that a log of a real run has; others are left out."""
LEAST_STEPS = 4
"""The fewest steps of a range."""
CHART_KEYS = (
    Key("left,h", "move_cursor(-1)", "step back", "The cursor one step back", True),
    Key("right,l", "move_cursor(1)", "step on", "The cursor one step further", True),
    Key("shift+left,left_curly_bracket", "move_cursor(-10)", "10 back", "The cursor ten steps back"),
    Key("shift+right,right_curly_bracket", "move_cursor(10)", "10 on", "The cursor ten steps further"),
    Key("home,g", "first_step", "first step", "The cursor to the first step"),
    Key("end,G", "newest_step", "newest step", "The cursor to the newest step, and to new ones as they come"),
    Key("i,equals_sign", "zoom(-1)", "zoom in", "Show half of the steps, around the cursor", True),
    Key("u,underscore", "zoom(1)", "zoom out", "Show twice as many steps"),
    Key("asterisk", "whole", "all steps", "Show all steps"),
    *(key for key in PANE_KEYS if key.action == "lead"),
)


class ChartPane(Pane):
    """A chart. Posts `Moved` when a person moves the cursor, and `Vertical` for the keys up and down."""

    KEYS_TITLE = "In a chart"
    KEYS = CHART_KEYS
    BINDINGS: ClassVar = bindings(CHART_KEYS)

    class Moved(Message):
        """The cursor of `pane` is at another step now."""

        def __init__(self, pane: ChartPane) -> None:
            super().__init__()
            self.pane = pane

    class Vertical(Message):
        """A person wants to go `by` rows further, where the screen has something above and below."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def __init__(self, title: str, *, id: str | None = None, classes: str = "pane") -> None:
        super().__init__(title, id=id, classes=classes)
        self.series: Sequence[Series] = ()
        self.empty = ""
        self._steps: list[int] = []
        self._cursor: int | None = None
        self._range: tuple[int, int] | None = None
        self._bounded: tuple[range, list[Bounds]] = range(0), []
        """The bounds of the curves at these steps, as last computed."""
        self._plotted = (0, 0)
        """The first column of the chart and its width, as last drawn."""

    def show(self, series: Sequence[Series], empty: str = "") -> None:
        """Show these curves; `empty` is shown where there is no step."""
        self.series, self.empty = series, empty
        self._steps = sorted(set().union(*(each.points for each in series)))
        if self._steps and max(-self._steps[0], self._steps[-1]) > MOST_STEPS:
            self._steps = [step for step in self._steps if abs(step) <= MOST_STEPS]
        self._bounded = range(0), []
        self.renew()

    @property
    def cursor(self) -> int | None:
        """The step under the cursor: the one that was chosen, or the next one that there is; else the newest."""
        if not self._steps:
            return None
        return self._steps[-1] if self._cursor is None else self._nearest(self._cursor)

    def _nearest(self, step: int) -> int:
        """The step of the curves that is nearest to this one."""
        at = bisect_left(self._steps, step)
        return min(self._steps[max(0, at - 1) : at + 1], key=lambda each: (abs(each - step), each))

    @property
    def chosen_step(self) -> int | None:
        """The step that a person chose; None while the cursor is at the newest."""
        return None if self._cursor is None else self.cursor

    @property
    def steps(self) -> range:
        """The steps that are shown."""
        if not self._steps:
            return range(0)
        first, last = self._steps[0], self._steps[-1]
        if self._range is not None:
            first, last = max(first, self._range[0]), min(last, self._range[1])
        return range(first, max(first, last) + 1)

    @property
    def _bounds(self) -> list[Bounds]:
        """The bounds of the curves at the steps that are shown."""
        if self._bounded[0] != self.steps:
            self._bounded = self.steps, [bounds_of(each, self.steps) for each in self.series]
        return self._bounded[1]

    def go_to_step(self, step: int | None) -> None:
        """Put the cursor at a step, and into view; None: at the newest."""
        self._cursor = step
        if (at := self.cursor) is not None and at not in self.steps:
            self._show_range(at, len(self.steps))
        self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        if not self._steps:
            return [line(f"muted:{self.empty}")]
        legend = self._legend(width)[: max(1, height // 3)]
        rows = max(1, height - len(legend) - 2)
        scales = scales_of(self.series, self._bounds, rows)
        labels = axis_labels(scales[0], rows) if len(set(scales)) == 1 else _shares(rows)
        left = max(map(len, labels))
        cells = max(8, width - left - 2)
        self._plotted = left + 2, cells
        drawn = plot(self.series, self.steps, scales, width=cells, height=rows, cursor=self.cursor)
        lines = [
            Line(((f"{label:>{left}} ", "muted"), ("┤" if label else "│", "axis"), *row))
            for label, row in zip(labels, drawn, strict=True)
        ]
        marks, numbers = step_axis(self.steps, cells, self.cursor)
        below = [
            Line(((" " * (left + 1), ""), ("└", "axis"), *marks.spans)),
            Line(((" " * (left + 2), ""), *numbers.spans)),
        ]
        return [*legend, *lines, *below]

    def _legend(self, width: int) -> list[Line]:
        """The step under the cursor, and each curve's sign, label and value there; none is cut between two rows."""
        at = self.cursor
        own = len(set(scales_of(self.series, self._bounds, 1))) > 1
        rows = [line("muted:step ", f"strong:{at}")]
        for number, (each, bounds) in enumerate(zip(self.series, self._bounds, strict=True)):
            value = shown(each.unit, each.points[at]) if at is not None and at in each.points else "–"
            ends = f" ({shown(each.unit, bounds[0])} to {shown(each.unit, bounds[1])})" if own and bounds else ""
            item = line(f"{style_of(number)}:   {sign_of(number)} {each.label} ", f"strong:{value}", f"muted:{ends}")
            if width_of(rows[-1]) + width_of(item) > width:
                rows.append(line())
            rows[-1] = Line((*rows[-1].spans, *item.spans))
        return [crop(row, width) for row in rows]

    # Keys

    def action_move_cursor(self, by: int) -> None:
        """Go `by` steps of the run further."""
        if (at := self.cursor) is None:
            return
        place = max(0, min(len(self._steps) - 1, self._steps.index(at) + by))
        self._put(None if place == len(self._steps) - 1 else self._steps[place])

    def action_first_step(self) -> None:
        self._put(self._steps[0] if self._steps else None)

    def action_newest_step(self) -> None:
        self._put(None)

    def _put(self, step: int | None) -> None:
        self.go_to_step(step)
        self.post_message(self.Moved(self))

    def action_zoom(self, by: int) -> None:
        """Show half as many steps, or twice as many."""
        if (at := self.cursor) is not None:
            count = len(self.steps)
            self._show_range(at, max(LEAST_STEPS, count // 2 if by < 0 else count * 2))
            self.renew()

    def action_whole(self) -> None:
        self._range = None
        self.renew()

    def _show_range(self, at: int, count: int) -> None:
        """Show `count` steps with step `at` in the middle, or nearer to an end."""
        first, last = self._steps[0], self._steps[-1]
        if count > last - first:
            self._range = None
            return
        start = max(first, min(at - count // 2, last - count + 1))
        self._range = start, start + count - 1

    def action_scroll_rows(self, by: int) -> None:
        self.post_message(self.Vertical(by))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor at the step that was clicked."""
        left, width = self._plotted
        column = event.x - (self.content_region.x - self.region.x) - left
        if self._steps and 0 <= column < width:
            wanted = step_at(column, self.steps, width)
            step = self._nearest(wanted)
            self._put(None if step == self._steps[-1] else step)


def _shares(rows: int) -> list[str]:
    """The labels of an axis whose curves have a scale each."""
    labels = [""] * rows
    labels[0], labels[-1] = "high", "low"
    return labels
