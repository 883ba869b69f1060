"""Evaluation: the held-out measurements of the run beside one of them, paired by group, and every group's outcomes.

The place is written "16", "16-10" or "16-10/g3": the measurement, the one that it is compared with, and the group.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec
from textual.app import ComposeResult
from textual.containers import Container

from engine.runs.directory import Run
from engine.runs.held_out import HeldOutChange, Measured, Results, changes, held_out_results
from engine.runs.measurements import every
from engine.runs.paired import sentence
from skillos_tui.client.messages import Answered, Reply
from skillos_tui.keymap import NEXT_PANE, PREVIOUS_PANE, Key, bindings
from skillos_tui.model.target import Spot, Target
from skillos_tui.model.view import Part
from skillos_tui.render.plot import Series
from skillos_tui.screens.base import FullScreen
from skillos_tui.widgets.answer import AnswerBar
from skillos_tui.widgets.chart import ChartPane
from skillos_tui.widgets.evaluation import Groups, Measurements, next_one
from skillos_tui.widgets.listing import ListPane
from skillos_tui.widgets.tabs import StateBar

QUESTION = "held-out measurements"
EDGES: tuple[tuple[str, Literal["low", "high"]], ...] = (("95 % from", "low"), ("to", "high"))
"""The curves of the interval beside the value."""
_PLACE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?(?:/g(\d{1,6}))?")


class Compared(msgspec.Struct, frozen=True):
    """The measurements of a run, and their changes against that of step `base`; None without a measurement."""

    results: dict[int, Measured]
    base: int | None
    changes: list[HeldOutChange]


def compare(results: Results, base: int | None) -> Compared:
    """The changes against `base`, or against the first measurement where that is gone."""
    chosen = base if base in results else min(results, default=None)
    return Compared(dict(results), chosen, changes(results, chosen))


def _edges(
    found: Sequence[HeldOutChange], which: Literal["low", "high"], first: float | None
) -> dict[int, float | None]:
    """The value of the base and an edge of each change's interval together."""
    edges = {change.step: change.paired.low if which == "low" else change.paired.high for change in found}
    return {step: None if first is None or edge is None else first + edge for step, edge in edges.items()}


class Steps(Measurements):
    """The measurements; enter leads to the rollouts of the one under the cursor."""

    def target(self) -> Target | None:
        return Target("rollouts", Spot(self.value, held_out=True).text) if isinstance(self.value, int) else None


class GroupTable(Groups):
    """The groups; enter leads to the rollout of the group under the cursor."""

    def target(self) -> Target | None:
        group, step = self.group, self.table.step
        if group is None or step is None:
            return None
        return Target("rollouts", Spot(step, held_out=True, group=group.number).text)


class HeldOutChart(ChartPane):
    """The chart; enter leads to the rollouts of the measurement under the cursor."""

    def target(self) -> Target | None:
        return None if self.cursor is None else Target("rollouts", Spot(self.cursor, held_out=True).text)


class EvaluationScreen(FullScreen):
    """Held-out measurements, paired."""

    NAME = "evaluation"
    CSS_PATH = "screen.tcss"
    KEYS_TITLE = "On the evaluation screen"
    KEYS = (
        Key(
            "c",
            "base",
            "compare with",
            "Compare with the measurement under the cursor; again: with the first one",
            True,
        ),
        Key("right_square_bracket", "step(1)", "next", "Select the next measurement", True),
        Key("left_square_bracket", "step(-1)", "previous", "Select the previous measurement"),
        Key("s", "sort", "sort", "Sort the groups by their change, or by their numbers", True),
        NEXT_PANE,
        PREVIOUS_PANE,
        Key("escape", "back", "close", "Close this screen", True),
    )
    BINDINGS = bindings(KEYS)
    PANES = ("steps", "groups", "chart")

    def __init__(self) -> None:
        super().__init__()
        self.steps = Steps("Held-out measurements", id="steps")
        self.groups = GroupTable("Groups", id="groups")
        self.chart = HeldOutChart("Course", id="chart")
        self.compared = Compared({}, None, [])
        self._base: int | None = None
        self._asked: object = None
        self._wanted = ""

    def compose(self) -> ComposeResult:
        yield StateBar()
        yield self.steps
        with Container(id="below", classes="column"):
            yield self.groups
            yield self.chart
        yield AnswerBar(self.KEYS)

    def on_mount(self) -> None:
        self.composed = True
        self.go_to("steps")
        self._show()
        self.renew({"state", "rewards"})

    def renew(self, parts: set[Part]) -> None:
        if not self.composed or not self.is_current:
            return
        if "state" in parts or "review" in parts:
            self.show_state()
        if parts & {"rewards", "state", "transcript"}:
            self._show_note()
            self.call_after_refresh(self._ask)  # the thread that reads would compete with the frame

    def _ask(self) -> None:
        """Ask for the measurements if the run has others than were read."""
        view = self.workbench.view
        known = (self.workbench.path, self._base, *(id(event) for event in view.held_out.values()))
        if view.kind and known != self._asked:
            self._asked, base = known, self._base

            def read(run: Run) -> Compared:
                return compare(held_out_results(run), base)

            self.workbench.client.ask_run(QUESTION, read)

    def take(self, reply: Reply) -> None:
        if not isinstance(reply, Answered) or reply.question != QUESTION:
            return
        if reply.trouble:
            self.answer(reply.trouble)
        elif isinstance(reply.value, Compared):
            self._take(reply.value)

    def _take(self, compared: Compared) -> None:
        """Show the measurements; the cursor is at the newest one until a person moves it."""
        self.compared = compared
        steps = self.steps
        self._show()
        if not steps.moved and compared.results:
            steps.select(max(compared.results))
        self._arrive()
        self._show_step()

    # What is shown

    def _show(self) -> None:
        self._show_note()
        compared = self.compared
        series = Series("held-out r_task", {step: found.summary.r_task for step, found in compared.results.items()})
        first = compared.results[compared.base].summary.r_task if compared.base is not None else None
        bounds = [
            Series(name, {compared.base: first, **_edges(compared.changes, which, first)})
            for name, which in EDGES
            if compared.base is not None
        ]
        series_shown = [series, *bounds] if compared.changes else [series]
        self.chart.show(series_shown if compared.results else [], "No held-out measurement yet.")
        self._show_step()

    def _show_note(self) -> None:
        compared, view = self.compared, self.workbench.view
        note = ""
        if view.measuring is not None and view.state in ("starting", "running"):
            note = f"Measuring after step {view.measuring.step} …"
        elif view.kind and not view.trains:
            note = f"Only a run that trains measures held-out groups; this one is of the kind {view.kind}."
        elif view.kind:
            note = next_one(view.planned, view.history.newest, every(view.settings.settings), [*view.held_out])
        pane = self.steps
        against = f", against step {compared.base}" if compared.changes else ""
        pane.retitle(
            f"Held-out measurements{against}", sentence(compared.changes[-1].paired) if compared.changes else ""
        )
        pane.show(compared.results, compared.changes, note)

    def _show_step(self) -> None:
        """Show the groups of the measurement under the cursor."""
        step = self.steps.value
        found = self.compared.results.get(step) if isinstance(step, int) else None
        groups = self.groups
        groups.retitle(f"Groups after step {step}" if found else "Groups", "by change" if groups.by_change else "")
        groups.show(self.compared.results, self.compared.base, step if found and isinstance(step, int) else None)

    def on_list_pane_moved(self, message: ListPane.Moved) -> None:
        if isinstance(message.pane, Steps) and isinstance(message.pane.value, int):
            self.chart.go_to_step(message.pane.value)
            self._show_step()

    def on_chart_pane_moved(self, message: ChartPane.Moved) -> None:
        """The chart's cursor selects the measurement."""
        if (step := message.pane.cursor) is not None:
            self.steps.select(step)
            self._show_step()

    def on_chart_pane_vertical(self, message: ChartPane.Vertical) -> None:
        self.action_step(message.by)

    # Places

    def here(self) -> str:
        if not self.composed or not self.compared.results:
            return self._wanted
        step, group = self.steps.value, self.groups
        base = f"-{self.compared.base}" if self._base is not None else ""
        return f"{step}{base}" + (f"/g{group.value}" if group.moved and group.value is not None else "")

    def arrive(self, at: str) -> None:
        self._wanted = at
        self._arrive()

    def _arrive(self) -> None:
        """Go to the place that is wanted, once the measurements are there."""
        found = _PLACE.fullmatch(self._wanted)
        if not self.compared.results or found is None:
            return
        self._wanted = ""
        step, base, group = (None if number is None else int(number) for number in found.groups())
        if step in self.compared.results:
            self.steps.choose(step)
        self._show_step()
        if group is not None:
            self.groups.choose(group)
            self.go_to("groups")
        if base in self.compared.results and base != self.compared.base:
            self._compare(base)

    # Keys

    def action_step(self, by: int) -> None:
        """Select another measurement."""
        steps, known = self.steps, [*self.compared.results]
        if steps.value not in known:
            self.answer("There is no measurement to select.")
            return
        at = known.index(steps.value) + by
        if not 0 <= at < len(known):
            self.answer(f"This is the {'last' if by > 0 else 'first'} measurement.")
            return
        steps.choose(known[at])

    def action_base(self) -> None:
        """Compare with the measurement under the cursor, or again with the first one."""
        step = self.steps.value
        if not isinstance(step, int) or len(self.compared.results) < 2:
            self.answer("There is nothing to compare: there are fewer than two measurements.")
        elif step == self.compared.base == min(self.compared.results):
            self.answer(f"All are compared with step {step} already.")
        else:
            self._compare(None if step == self.compared.base else step)

    def _compare(self, base: int | None) -> None:
        """Compare with another measurement; the statistics are made in a thread."""
        self._base = base
        self._ask()

    def action_sort(self) -> None:
        self.groups.sort()
        self._show_step()
