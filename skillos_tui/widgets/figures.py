"""The list of a run's figures: a row each with its newest value, its change over the run, and its course as bars.

pane.show(curves, chosen)       # curves by name (`engine.runs.curves`); the chosen ones have the sign of their curve
pane.value                      # the name under the cursor
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from engine.runs.curves import TOGETHER, Curve, Together, shown, together
from skillos_tui.render.chart import bars
from skillos_tui.render.text import Line, crop, fit, line, safe
from skillos_tui.widgets.listing import Item, ListPane

NAME, VALUE, CHANGE = 20, 9, 9
LEAST_NAME = 12
COURSE = range(5, 25)
"""The cells of a course."""
CHANGES = (
    ("value", "that of the last step; n/m: it was not measured"),
    (
        "change",
        "the mean of the last measured steps less that of the first ones: a quarter of all, at most 5, at each end",
    ),
    (
        "bars",
        "the course over all steps, from the least to the greatest value; a dot is a step that did not measure it",
    ),
)


class FigureList(ListPane):
    """Figures to choose from."""

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(title, id=id)
        self.curves: Mapping[str, Curve] = {}
        self.chosen: Sequence[str] = ()
        self.empty = ""

    def show(self, curves: Mapping[str, Curve], chosen: Sequence[str], empty: str = "") -> None:
        """Show these figures; `empty` is shown where there is none."""
        self.curves, self.chosen, self.empty = curves, chosen, empty
        self.renew()

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        """What the figures mean, and what a row shows."""
        views = [(each.title, each.meaning) for each in TOGETHER.values()]
        return "Figures of a step", [*CHANGES, *views, *((name, curve.meaning) for name, curve in self.curves.items())]

    def items(self, width: int) -> Sequence[Item]:
        if not self.curves:
            return [Item(line(f"muted:{self.empty}"), whole=True)]
        found = [Item(_heading("together", width))]
        found += [
            Item(partial(_view, view, name in self.chosen), name)
            for name, view in TOGETHER.items()
            if together(name, self.curves)
        ]
        group = ""
        missing: list[str] = []
        for name, curve in self.curves.items():
            if not curve.measured:
                missing.append(name)
                continue
            if curve.group != group:
                group = curve.group
                found.append(Item(_heading(group, width)))
            found.append(Item(partial(_row, curve, name in self.chosen, width), name))
        if missing:
            found.append(Item(line(f"muted:not measured in this run: {', '.join(missing)}", indent=2), whole=True))
        return found


def _view(view: Together, chosen: bool) -> Line:
    """Curves that are read together: their title, and what they are."""
    return line(f"accent:{_tick(chosen)}", f":{fit(view.title, NAME)}", f"muted: {view.meaning}")


def _tick(chosen: bool) -> str:
    return "✓ " if chosen else "  "


def _row(curve: Curve, chosen: bool, width: int) -> Line:
    """Sign, name, value, change where it fits, and the course."""
    newest = shown(curve.unit, curve.newest)
    spans = [f"accent:{_tick(chosen)}", f":{fit(safe(curve.name), _name_cells(width))}"]
    spans.append(f"{'warn' if curve.newest is None else 'strong'}:{newest:>{VALUE}}")
    spare = width - 2 - _name_cells(width) - VALUE
    if _has_change(width):
        change = curve.change
        spans.append(f"muted:{'' if change is None else _signed(curve.unit, change):>{CHANGE}}")
        spare -= CHANGE
    cells = min(COURSE[-1], spare - 1, max(2, len(curve.course)))
    if cells >= 2 and curve.bounds:
        spans.append(f"chart: {bars(curve.course, len(curve.course), cells, *curve.bounds)}")
    return crop(line(*spans), width)


def _name_cells(width: int) -> int:
    """The cells of the names: fewer where the course would have no room."""
    return max(LEAST_NAME, min(NAME, width - 2 - VALUE - COURSE[0] - 1))


def _has_change(width: int) -> bool:
    return width >= 2 + NAME + VALUE + CHANGE + COURSE[0] + 1


def _heading(text: str, width: int) -> Line:
    columns = f"{'value':>{VALUE}}" + (f"{'change':>{CHANGE}}" if _has_change(width) else "")
    return crop(
        line(f"heading:{fit(text, _name_cells(width) + 2)}", f"muted:{columns if text != 'together' else ''}"), width
    )


def _signed(unit: str, change: float) -> str:
    """A change with its sign, "0" where nothing changed."""
    text = shown(unit, abs(change))
    if len(text) > CHANGE - 2:  # it would touch the value
        text = f"{abs(change):.0e}"
    return "0" if not change or set(text) <= set("0.%") else f"{'+' if change > 0 else '−'}{text}"
