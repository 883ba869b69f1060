"""Rewards: every figure of the run over its steps. A list of them, and a large chart of the chosen ones.

The place is written "r_task@12" or "r,r_task@12": the figures of the chart, and the step under the cursor; without a step,
the cursor is at the newest. The absolute paths of the other runs in the chart follow, each after a "|".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from textual.app import ComposeResult
from textual.containers import Container

from engine.core.text import counted
from engine.runs.curves import TOGETHER, Curve, CurveReader, together
from skillos_tui.client.messages import Answered, Reply
from skillos_tui.keymap import NEXT_PANE, PREVIOUS_PANE, Key, bindings
from skillos_tui.model.target import Spot, Target
from skillos_tui.model.view import Part
from skillos_tui.render.plot import SIGNS, Series
from skillos_tui.render.text import safe, short_name
from skillos_tui.screens.base import FullScreen
from skillos_tui.screens.rewards.others import LOOK_SECONDS, Looked, Others, Overlaid
from skillos_tui.widgets.answer import AnswerBar
from skillos_tui.widgets.chart import ChartPane
from skillos_tui.widgets.figures import FigureList
from skillos_tui.widgets.listing import ListPane
from skillos_tui.widgets.tabs import StateBar

FIRST = "parts"
"""What the chart shows at first."""
QUESTION = "curves"
OF_OTHERS = "curves of other runs"
_PLACE = re.compile(r"([\w.,]{1,400})?(?:@(\d{1,9}))?")


class Figures(FigureList):
    """The list; enter goes to the chart."""

    async def action_lead(self) -> None:
        cast(FullScreen, self.screen).go_to("chart")


class Chart(ChartPane):
    """The chart; enter goes to the rollouts of the step under the cursor."""

    held_out = False
    """Whether all curves are of held-out measurements."""

    def target(self) -> Target | None:
        at = self.cursor
        return None if at is None else Target("rollouts", Spot(at, held_out=self.held_out or at == 0).text)


class RewardsScreen(FullScreen):
    """Figures over steps."""

    NAME = "rewards"
    CSS_PATH = "screen.tcss"
    KEYS_TITLE = "On the rewards screen"
    KEYS = (
        Key("space", "keep", "keep", "Keep this figure in the chart beside others, or take it out", True),
        Key("c", "only", "clear", "Take all figures out of the chart but the one under the cursor"),
        Key("o", "overlay", "other runs", "Choose runs whose curves are drawn over those of this one", True),
        Key("x", "export", "export", "Write the chart to a file: PNG, SVG or CSV", True),
        NEXT_PANE,
        PREVIOUS_PANE,
        Key("escape", "back", "close", "Close this screen", True),
    )
    BINDINGS = bindings(KEYS)
    PANES = ("figures", "chart")

    def __init__(self) -> None:
        super().__init__()
        self.figures = Figures("Figures", id="figures")
        self.chart = Chart("Chart", id="chart")
        self.curves: Mapping[str, Curve] = {}
        self.chosen: list[str] = []
        self.others: list[Overlaid] = []
        self._drawn: list[Path] = []
        """The other runs that the person wants in the chart; `others` are those that have been read."""
        self._reader, self._readers = CurveReader(), Others()
        self._asked: object = None
        self._wanted = FIRST

    def compose(self) -> ComposeResult:
        yield StateBar()
        with Container(id="panes"):
            yield self.figures
            yield self.chart
        yield AnswerBar(self.KEYS)

    def on_mount(self) -> None:
        self.composed = True
        self.go_to("figures")
        self.set_interval(LOOK_SECONDS, self._follow_others)
        self._show()
        self.renew({"state", "rewards"})

    def on_screen_resume(self) -> None:
        self._follow_others()

    def renew(self, parts: set[Part]) -> None:
        if not self.composed or not self.is_current:
            return
        if "state" in parts or "review" in parts:
            self.show_state()
        if parts & {"rewards", "state"}:
            self.call_after_refresh(self._ask)  # the thread that reads would compete with the frame

    def _ask(self) -> None:
        """Ask for the curves if the run has more steps or measurements than they have."""
        view = self.workbench.view
        known = (
            self.workbench.path,
            view.history.newest,
            view.history.last,
            view.history.updates.get(view.history.newest),
            len(view.held_out),
        )
        if view.kind and known != self._asked:
            self._asked = known
            self.workbench.client.ask_run(QUESTION, self._reader.read)

    def take(self, reply: Reply) -> None:
        if not isinstance(reply, Answered):
            return
        if reply.trouble and reply.question == QUESTION:
            self.answer(safe(reply.trouble))
        elif reply.question == QUESTION and isinstance(reply.value, dict):
            self.curves = reply.value
            self._show()
            self._arrive()
        elif isinstance(reply.value, Looked):
            self._take_others(reply.value)

    def _follow_others(self) -> None:
        """Look for what the other runs of the chart have written."""
        if self._drawn and self.is_current:
            self.workbench.client.ask(OF_OTHERS, partial(self._readers.look, tuple(self._drawn)))

    def _take_others(self, looked: Looked) -> None:
        found = {each.path: each for each in (*self.others, *looked.runs)}
        others = [found[path] for path in self._drawn if path in found]
        if looked.trouble:
            self.answer(safe(looked.trouble))
        if others != self.others:
            self.others = others
            self._show()

    # What is shown

    def _names(self) -> list[str]:
        """The names of the rows of the list whose curves are in the chart."""
        under = self.figures.value
        here = under if isinstance(under, str) else FIRST
        return self.chosen if here in self.chosen else [*self.chosen, here]

    def _show(self) -> None:
        self.figures.show(self.curves, self.chosen, f"No {self.workbench.view.unit} has ended yet.")
        self._show_chart()

    def _show_chart(self) -> None:
        chart, names = self.chart, self._names()
        curves = list(dict.fromkeys(name for row in names for name in together(row, self.curves)))
        every, series = self._series(curves, curves), self._series(self._with_room(curves), curves)[: len(SIGNS)]
        chart.held_out = bool(curves) and all(name.startswith("held_out") for name in curves)
        title = ", ".join(TOGETHER[name].title if name in TOGETHER else name for name in names)
        left = len(every) - len(series)
        more = f"{counted(left, 'more curve')} {'has' if left == 1 else 'have'} no room"
        chart.retitle(title, more if left else self._meaning(names))
        chart.show(series, "Nothing of it was measured yet.")

    def _with_room(self, names: Sequence[str]) -> Sequence[str]:
        """The first figures that have room in the chart; each is drawn for every run."""
        return names[: max(1, len(SIGNS) // (1 + len(self.others)))]

    def _series(self, names: Sequence[str], among: Sequence[str]) -> list[Series]:
        """The curves of these figures, of this run first. Labels name the figure where several are chosen, `among`."""
        if not self.others:
            return [Series(name, self.curves[name].points, self.curves[name].unit) for name in names]
        path = self.workbench.path
        runs = [Overlaid(path or Path("this run"), self.curves), *self.others]
        return [
            Series(
                short_name(run.path.name) if len(among) == 1 else f"{name} {short_name(run.path.name)}",
                run.curves[name].points,
                run.curves[name].unit,
            )
            for name in names
            for run in runs
            if name in run.curves
        ]

    def _meaning(self, names: Sequence[str]) -> str:
        if len(names) != 1:
            return ""
        name = names[0]
        return TOGETHER[name].meaning if name in TOGETHER else self.curves[name].meaning if name in self.curves else ""

    def on_list_pane_moved(self, message: ListPane.Moved) -> None:
        self._show_chart()

    def on_chart_pane_vertical(self, message: ChartPane.Vertical) -> None:
        """Up and down in the chart go through the list."""
        self.figures.action_scroll_rows(message.by)

    # Places

    def here(self) -> str:
        if not self.composed:
            return ""
        step = self.chart.chosen_step
        others = "".join(f"|{each.path}" for each in self.others)
        return f"{','.join(self._names())}{'' if step is None else f'@{step}'}{others}"

    def arrive(self, at: str) -> None:
        self._wanted = at
        self._arrive()

    def _arrive(self) -> None:
        """Go to the place that is wanted, once the curves are there."""
        place, *others = re.split(r"\|(?=/)", self._wanted)  # a name may have a "|" of its own
        found = _PLACE.fullmatch(place)
        if not self.curves or not self._wanted or found is None:
            return
        self._wanted = ""
        if others:
            self._overlay([Path(other) for other in others[: len(SIGNS)] if other and "\0" not in other])
        names = [name for name in (found[1] or "").split(",") if name in TOGETHER or name in self.curves]
        if names:
            self.chosen = names if len(names) > 1 else []
            self.figures.select(names[-1])
        if found[2] is not None:
            self.chart.go_to_step(int(found[2]))
            self.go_to("chart")
        self._show()

    # Keys

    def action_keep(self) -> None:
        name = self.figures.value
        if not isinstance(name, str):
            self.answer("There is no figure under the cursor.")
            return
        self.chosen = [each for each in self.chosen if each != name] if name in self.chosen else [*self.chosen, name]
        self._show()

    def action_only(self) -> None:
        self.chosen = []
        self._show()

    async def action_overlay(self) -> None:
        from skillos_tui.screens.rewards.runs import RunsDialog

        if self.workbench.path is not None:
            chosen = [each.path for each in self.others]
            await self.app.push_screen(RunsDialog(self.workbench.path, chosen), self._overlay)

    def _overlay(self, paths: list[Path] | None) -> None:
        """Draw the curves of these runs too, and no longer those of others."""
        if paths is None:
            return
        self._drawn = list(dict.fromkeys(paths))
        self.others = [each for each in self.others if each.path in paths]
        known = {each.path for each in self.others}
        again = tuple(path for path in self._drawn if path not in known)
        if again:
            self.workbench.client.ask(OF_OTHERS, partial(self._readers.look, tuple(self._drawn), again))
        self._show()

    async def action_export(self) -> None:
        from skillos_tui.screens.rewards.export import ExportDialog

        chart, path = self.chart, self.workbench.path
        if not chart.series or path is None:
            self.answer("There is nothing to export: no step has ended yet.")
            return
        name = short_name(path.name) + "-" + "-".join(self._names())
        title = f"{path.name}: {', '.join(each.label for each in chart.series)}"
        await self.app.push_screen(ExportDialog(name, title, chart.series, chart.steps))
