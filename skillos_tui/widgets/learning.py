"""Does the curator learn? The held-out value, its change since the first measurement, and the verdict, on one row.

    bar.show_run(view)              # the measurements that the events have
    bar.show_change(change)         # the paired comparison of the newest with the first (`engine.runs.held_out`), or None

Enter and a click lead to the evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import events

from engine.core.numbers import rounded
from skillos_tui.model.target import Target
from skillos_tui.model.view import RunView
from skillos_tui.render.chart import bars
from skillos_tui.render.text import Line, line, widest
from skillos_tui.widgets.bars import Bar

if TYPE_CHECKING:
    from engine.runs.held_out import HeldOutChange

NOT_MEASURED = "n/m"
QUESTION = "Does it learn?"
COURSE, SHORT_COURSE = 12, 6
"""The most cells of the course, and the most where space is short."""
SIGNS = {"better": "good:▲ ", "worse": "bad:▼ ", "no change shown": "warn:≈ ", "not measured": "warn:? "}
LEGEND = (
    (
        "0.29 → 0.41",
        "success on held-out groups: the first measurement and the newest; the groups are the same each time",
    ),
    ("▲ better, ▼ worse", "the 95 % interval of the groups' changes, in brackets, does not hold 0"),
    ("n/m, not measured", "no episode gave an outcome; it is never 0"),
    ("≈ no change shown", "the interval holds 0: there is no change, or it is too small for so many groups"),
)


NOTE = (
    "success, first → newest",
    "▲ ▼ interval excludes 0, ≈ includes it",
    "n/m: not measured",
)


class LearningBar(Bar, can_focus=True):
    """The row. It is hidden for a run that does not train."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.add_class("-empty", update=False)
        self.view = RunView()
        self.change: HeldOutChange | None = None
        self.trouble = ""
        self._settings = ""
        self._found: int | None = None

    def show_run(self, view: RunView) -> None:
        """Show the measurements of this run."""
        self.view = view
        self.set_class(not view.trains, "-empty")
        self.renew()

    def show_change(self, change: HeldOutChange | None, trouble: str = "") -> None:
        """Show what the newest measurement shows beside the first; `trouble` is why that is not known."""
        self.change, self.trouble = change, trouble
        self.renew()

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return QUESTION, LEGEND

    def meanings(self) -> Sequence[str]:
        return NOTE

    def target(self) -> Target:
        return Target("evaluation")

    def build(self, width: int, height: int) -> Sequence[Line]:
        style = "cursor" if self.has_focus else "heading"
        steps = sorted(self.view.held_out)
        if not steps:
            return [widest(width, *(line(f"{style}:{QUESTION}", f"muted:  {told}") for told in self._first()))]
        values = [self.view.held_out[step].r_task for step in steps]
        known = [value for value in values if value is not None]
        course, short_course = (
            f"chart:{bars(values, len(values), min(cells, len(values)), min(known), max(known))}  "
            if len(known) > 1
            else ""
            for cells in (COURSE, SHORT_COURSE)
        )
        ends = f"{_number(values[0])} → {_number(values[-1])}" if len(values) > 1 else _number(values[0])
        sign, told, short = self._verdict(steps)
        return [
            widest(
                width,
                line(f"{style}:{QUESTION}", f"strong:  held-out {ends}  ", course, f"{sign}{told}"),
                line(f"{style}:{QUESTION}", f"strong:  {ends}  ", course, f"{sign}{told}"),
                line(f"{style}:Learns?", f"strong:  {ends}  ", course, f"{sign}{told}"),
                line(f"{style}:Learns?", f"strong:  {ends}  ", short_course, f"{sign}{told}"),
                line(f"{style}:Learns?", f"strong:  {ends}  ", short_course, f"{sign}{short}"),
                line(f"{style}:Learns?", f"strong:  {ends}  ", f"{sign}{short}"),
                line(f"{style}:Learns?", ":  ", f"{sign}{short}"),
            )
        ]

    def _verdict(self, steps: Sequence[int]) -> tuple[str, str, str]:
        """The verdict's sign, and what it says: at length, and in short."""
        if len(steps) < 2:
            after = self._next_step(steps[-1])
            when = (
                f"its change is measured after step {after}" if after else "a second measurement is needed to compare"
            )
            return "muted:", when, when
        change = self.change
        if self.trouble:
            return "warn:? ", f"the groups cannot be compared: {self.trouble}", "not compared"
        if change is None or (change.base, change.step) != (steps[0], steps[-1]):
            return "muted:", "comparing …", "comparing …"
        from engine.runs.paired import interval, sentence

        found = change.paired
        told = "n/m" if found.difference is None else rounded(found.difference, "+.3f")
        return SIGNS[found.verdict], sentence(found), f"{told} {interval(found) or 'no interval'}"

    def _first(self) -> list[str]:
        """When the first measurement is made, or why none is; at length, and in short."""
        every = self._every()
        if every == 0:
            return ["not measured: training.evaluate_every is 0", "not measured"]
        if self.view.measuring is not None:
            return [f"the first measurement is being made, after step {self.view.measuring.step}", "being measured"]
        after = self._next_step(-1)
        return (
            [f"not measured yet: first after step {after}", f"first after step {after}"]
            if after
            else ["not measured yet"]
        )

    def _next_step(self, last: int) -> int | None:
        """The next step after which there is a measurement; None where there is none."""
        every = self._every()
        if not every:
            return None
        following = max(last, self.view.history.newest) // every * every + every
        following = min(following, self.view.planned) if self.view.planned else following
        return following if following > max(last, 0) else None

    def _every(self) -> int | None:
        """After how many steps the run is measured again; the settings are parsed when they have changed."""
        settings = self.view.settings.settings
        if settings != self._settings:
            from engine.runs.measurements import every  # not for the first paint, when there are no settings

            self._settings, self._found = settings, every(settings)
        return self._found

    def on_focus(self) -> None:
        self.call_later(self.renew)

    def on_blur(self) -> None:
        self.call_later(self.renew)

    async def on_click(self, event: events.Click) -> None:
        event.stop()
        await self.action_lead()


def _number(value: float | None) -> str:
    return NOT_MEASURED if value is None else rounded(value, ".3f")
