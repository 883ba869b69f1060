"""Rollouts: step, group, rollout, position, turn; the record of each; search, selection and comparison.

The tree shows where the steps are in the log (`engine.runs.rollouts.spans`); what an opened level holds is read when it is
opened. While a run writes, new steps appear, and the levels of a step that has not ended are read again.
"""

from __future__ import annotations

import subprocess
from functools import partial

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.timer import Timer
from textual.widgets import Input

from engine.core.position import Spot, spot_of
from engine.runs.rollouts.levels import StepRows
from engine.runs.rollouts.selecting import Rewards, Selection
from engine.runs.rollouts.spans import Spans
from engine.runs.search.texts import Query
from skillos_tui.client import rollouts as ask
from skillos_tui.client.messages import Answered, Reply
from skillos_tui.client.rollouts import Compared, Described, Searched
from skillos_tui.keymap import NEXT_PANE, PREVIOUS_PANE, Key, bindings
from skillos_tui.model.target import SHOWN, Target
from skillos_tui.model.view import Part
from skillos_tui.render.text import safe
from skillos_tui.screens.rollouts.comparing import pair_of, place_of, side_by_side
from skillos_tui.screens.rollouts.detail import DetailPane, message
from skillos_tui.screens.rollouts.selecting import SelectingScreen
from skillos_tui.screens.rollouts.tree import RolloutTree
from skillos_tui.widgets.answer import AnswerBar
from skillos_tui.widgets.field import LineField
from skillos_tui.widgets.listing import ListPane
from skillos_tui.widgets.tabs import StateBar

LOOK_SECONDS = 1.0
"""The log is looked at no more often than this while the run writes."""
PAUSE_SECONDS = 0.1
"""What is under the cursor is read when the cursor has stood there for so long; a search when no key was typed."""
MAX_STEPS = 32
"""Steps whose levels are kept."""
MAX_TYPED = 300


class RolloutsScreen(SelectingScreen):
    """Every rollout of the run, down to its tokens."""

    NAME = "rollouts"
    CSS_PATH = "screen.tcss"
    KEYS_TITLE = "On the rollouts screen"
    KEYS = (
        Key(
            "slash",
            "search",
            "search",
            "Search all that was played, by words; those in quotes stand together. in:prompt searches the prompts",
            True,
        ),
        Key(
            "o", "outcome", "outcome", "Show rollouts with a failed, a succeeded, an unmeasured episode; then all", True
        ),
        Key("i", "invalid", "invalid", "Show rollouts with an invalid action only, or all"),
        Key("t", "by_task", "task", "Show rollouts whose task or family has a text", True),
        Key("left_square_bracket", "bar(-1)", "bar", "Show the rollouts of the previous bar of r only"),
        Key("right_square_bracket", "bar(1)", "bar of r", "Show the rollouts of the next bar of r only", True),
        Key("x", "show_all", "show all", "Show all rollouts again"),
        Key("m", "mark", "mark", "Mark the rollout under the cursor, to compare it", True),
        Key("c", "compare", "compare", "Compare the marked rollout with the one under the cursor, turn by turn", True),
        NEXT_PANE,
        PREVIOUS_PANE,
        Key(
            "escape",
            "leave",
            "close",
            "Leave the search or the comparison, then show all, then close this screen",
            True,
        ),
    )
    BINDINGS = bindings(KEYS)
    PANES = ("tree", "bars", "detail")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-wide"), (150, "-beside")]  # noqa: RUF012 - Textual declares it so

    def __init__(self) -> None:
        super().__init__()
        self.detail = DetailPane("Record", id="detail")
        self.field = LineField(id="field", max_length=MAX_TYPED, classes="-empty")
        self._wanted: Spot | None = None
        """The place to go to when it has been read."""
        self._compared: Compared | None = None
        self._look_timer: Timer | None = None
        self._read_timer: Timer | None = None
        self._indexing: subprocess.Popen[bytes] | None = None
        self._typing = ""
        """What the field is for: "search", "task", or "" while it is hidden."""

    def compose(self) -> ComposeResult:
        yield StateBar()
        with Container(id="panes"):
            with Container(id="left", classes="column"):
                yield self.field
                yield self.levels
                yield self.bars
            with Container(id="right", classes="column"):
                yield self.detail
        yield AnswerBar(self.KEYS)

    def on_mount(self) -> None:
        self.composed = True
        self.go_to("tree")
        self.show_state()
        self.call_after_refresh(self._look)

    def renew(self, parts: set[Part]) -> None:
        if not self.composed:
            return
        if "state" in parts:
            self.show_state()
        if self.is_current and parts & {"state", "transcript", "rewards"} and self._look_timer is None:
            self._look_timer = self.set_timer(LOOK_SECONDS, self._look)

    def on_screen_resume(self) -> None:
        if self.spans.read:  # not the first time, for which the screen has asked already
            self.call_after_refresh(self._look)  # the thread that reads would compete with the frame

    # Reading

    def _look(self) -> None:
        """Ask where the steps are."""
        self._look_timer = None
        self.workbench.client.ask_run("rollouts look", partial(ask.look, before=self.spans))

    def take(self, reply: Reply) -> None:
        if not isinstance(reply, Answered) or not reply.question.startswith("rollouts ") or not self.composed:
            return
        if reply.trouble:
            self._refused(reply)
            return
        match reply.value:
            case Spans():
                self._show_spans(reply.value)
            case Rewards():
                self.bars.show(reply.value)
            case StepRows():
                self._show_step(reply.value)
            case Described():
                self._show_record(reply.value)
            case Searched():
                self._show_found(reply.value)
            case Compared():
                self._show_compared(reply.value)
            case (Selection() as chosen, frozenset() as only) if chosen == self.chosen:
                self.show_selected(only)

    def _refused(self, reply: Answered) -> None:
        if reply.question == "rollouts turn":
            self._wanted = None
        if reply.question in ("rollouts record", "rollouts turn", "rollouts compare"):
            self.detail.show(message(f"? {reply.trouble}", "warn"))
        else:
            self.levels.empty = safe(reply.trouble)
            self.levels.renew()
            self.answer(safe(reply.trouble), "bad")

    def _show_spans(self, spans: Spans) -> None:
        before, self.spans = self.spans, spans
        tree = self.levels
        unit = self.workbench.view.unit
        if spans.by_key != before.by_key or not tree.value:
            tree.show(spans, unit)
            self.workbench.client.ask_run("rollouts rate", partial(ask.rate, known=spans, before=self.bars.rewards))
            if not self.chosen.empty:
                self.select_again()
        shown = spans.all
        if self._wanted is not None:
            self._go_on()
        elif not tree.moved and shown and tree.found is None:
            newest = shown[-1].spot
            if newest not in tree.opened or tree.spot != newest:
                tree.opened.add(newest)
                tree.select(newest.text)
                self.read_soon()
        for spot in tree.opened:
            self.ask_step(spot)
        if not shown:
            tree.show(spans, unit)
            self.detail.show(message("The record of what is under the cursor of the tree appears here."))

    def ask_step(self, spot: Spot) -> None:
        """Ask for the levels of an opened step that has not been read, or goes on."""
        span = self.spans.find(spot)
        if span is None or spot.group is not None:
            return
        rows = self.levels.rows_of(spot)
        if rows is None or rows.span != span or not span.last:
            self.workbench.client.ask_run(f"rollouts step {spot.text}", partial(ask.step, span=span))

    def _show_step(self, rows: StepRows) -> None:
        tree = self.levels
        old = tree.rows_of(rows.span.spot)
        if old is not None and msgspec.structs.replace(old, span=rows.span) == rows:
            old.span = rows.span
            return
        while len(tree.steps) >= MAX_STEPS and rows.span.key not in tree.steps:
            tree.steps.pop(next(iter(tree.steps)))
        tree.give(rows)
        if self._wanted is not None:
            self._go_on()
        spot = tree.spot
        if spot is None or (spot.held_out, spot.step) == rows.span.key:
            self.read_soon()

    def _go_on(self) -> None:
        """Go to the wanted place, as far as it has been read."""
        wanted, tree = self._wanted, self.levels
        if wanted is None:
            return
        if self.spans.read and self.spans.find(wanted) is None:
            self._wanted = None
            self.answer(f"The log has no {wanted.text}.")
            return
        rows = tree.rows_of(wanted)
        if rows is None:
            self.ask_step(Spot(wanted.step, wanted.held_out))
            return
        place = Spot(wanted.step, wanted.held_out, wanted.group, wanted.rollout, wanted.position)
        if wanted.turn is not None and rows.position(wanted) is not None and place not in tree.turns:
            self.workbench.client.ask_run("rollouts turn", partial(ask.record, rows=rows, spot=wanted))
            return
        self._wanted = None
        found = tree.nearest(wanted)
        if found is None:
            self.answer(f"The log has no {wanted.text}.")
            return
        if found != wanted and rows.position(wanted) is None and wanted.position is not None:
            self.answer(f"The log has no {wanted.text}.")
        tree.moved = True
        tree.select(found.text)
        self.read_soon(at_once=True)

    # The record

    def on_list_pane_moved(self, message: ListPane.Moved) -> None:
        self._wanted = None
        self.read_soon()

    def read_soon(self, *, at_once: bool = False) -> None:
        """Read what is under the cursor when the cursor has stood there for a moment."""
        if self._read_timer is not None:
            self._read_timer.stop()
        self._read_timer = self.set_timer(0.001 if at_once else PAUSE_SECONDS, self._read)

    def _read(self) -> None:
        self._read_timer = None
        place = self.levels.place
        spot = place.spot if place is not None else self.levels.spot
        if spot is None or self._compared is not None:
            return
        span = self.spans.find(spot)
        rows = self.levels.rows_of(spot)
        if span is None:
            return
        client = self.workbench.client
        if rows is None:
            client.ask_run("rollouts record", partial(ask.read, span=span, spot=spot))
        else:
            client.ask_run("rollouts record", partial(ask.record, rows=rows, spot=spot))

    def _show_record(self, described: Described) -> None:
        spot, tree = described.spot, self.levels
        if described.record is not None and spot.position is not None:
            above = Spot(spot.step, spot.held_out, spot.group, spot.rollout, spot.position)
            if tree.turns.get(above) != described.record.turns:
                tree.give_turns(above, described.record.turns)
        if self._wanted == spot:
            self._go_on()
        place = tree.place
        if self._compared is None and spot == (place.spot if place is not None else tree.spot):
            same = self.detail.border_subtitle is not None and str(self.detail.border_subtitle) == spot.text
            self.detail.retitle("Record", spot.text)
            self.detail.show(described.document, keep=same)

    @on(RolloutTree.Opened)
    def _opened(self, message: RolloutTree.Opened) -> None:
        spot = message.spot
        self.ask_step(Spot(spot.step, spot.held_out))
        if spot.position is not None:
            self.read_soon(at_once=True)

    @on(RolloutTree.Entered)
    async def _entered(self) -> None:
        """Go to the place that was found, or to the record of what is under the cursor."""
        place = self.levels.place
        if place is not None:
            await self.workbench.go(Target(self.NAME, place.spot.text))
        else:
            self.go_to("detail")

    # Places

    def here(self) -> str:
        if not self.composed:
            return ""
        if self.levels.found is not None:
            return f"/{self._searched}"
        if self._compared is not None:
            return place_of(self._compared)
        spot = self._wanted or self.levels.spot
        if spot is not None and (self.levels.moved or self._wanted is not None):
            return spot.text
        return f"{SHOWN}{self.chosen.shown}" if self.chosen.shown else ""

    def arrive(self, at: str) -> None:
        if at.startswith("/"):
            self._open_field("search", at[1:MAX_TYPED])
            self.go_to("tree")
            self._search()
            return
        shown, pair = at.partition(SHOWN)[2], pair_of(at)
        spot = pair[1] if pair is not None else spot_of(at)
        if spot is None and not shown:
            return
        self._close_field()
        self._end_comparison()
        if self.levels.found is not None:
            self.levels.show_found(None, Query())
        if spot is None:
            self._wanted, self.levels.moved = None, False
            self.select_shown(shown)
            self.go_to("tree")
            return
        if self.levels.hides(spot):
            self.action_show_all()
        self._wanted = spot
        self.levels.moved = True
        self.levels.open_to(spot)
        if self.spans.read:
            self._go_on()
        self.go_to("detail" if spot.turn is not None else "tree")
        if pair is not None and self.spans.read:
            self.levels.marked = pair[0]
            self._ask_comparison(*pair)

    # Search and the field

    @property
    def _searched(self) -> str:
        return self.field.value if self._typing == "search" else ""

    def action_search(self) -> None:
        """Open the field of the search."""
        if self._typing == "search":
            self.set_focus(self.field)
            return
        self._open_field("search", "")
        self.set_focus(self.field)

    def action_by_task(self) -> None:
        """Open the field of the text that the tasks are to have."""
        if self.levels.found is not None:
            self.levels.show_found(None, Query())
        self._open_field("task", self.chosen.text)
        self.set_focus(self.field)

    def _open_field(self, what: str, text: str) -> None:
        self._typing = what
        field = self.field
        field.border_title = {"search": "Search what was played", "task": "Task or family has"}[what]
        field.remove_class("-empty")
        with field.prevent(Input.Changed):
            field.value = text
        self.go_to("tree")

    def _close_field(self) -> None:
        if self._typing:
            self._typing = ""
            focused = self.field.has_focus
            self.field.add_class("-empty")
            if focused:
                self.go_to("tree")

    @on(Input.Changed, "#field")
    def _typed(self) -> None:
        if self._read_timer is not None:
            self._read_timer.stop()
        self._read_timer = self.set_timer(PAUSE_SECONDS, self._search if self._typing == "search" else self._take_text)

    @on(Input.Submitted, "#field")
    def _submitted(self) -> None:
        if self._typing == "task":
            self._take_text()
            self._close_field()
        else:
            self._search()
        self.go_to("tree")

    def _take_text(self) -> None:
        if self._typing == "task":
            self.change(msgspec.structs.replace(self.chosen, text=self.field.value.strip()))

    def _search(self) -> None:
        """Ask for the places of what was typed."""
        if self._typing != "search":
            return
        text = self.field.value
        if text.strip():
            self.workbench.client.ask_run("rollouts find", partial(ask.find, text=text, known=self.spans))
        else:
            self.levels.show_found(None, Query())

    def _show_found(self, searched: Searched) -> None:
        if self._typing != "search" or searched.text != self.field.value:
            return
        found = searched.found
        self.levels.show_found(found, Query.of(searched.text))
        if found.read < found.last:
            self._go_on_indexing()
        if found.places:
            self.read_soon()
        else:
            self.detail.retitle("Record", "")
            self.detail.show(message(found.refusal or "No place has all of these words."))

    def _go_on_indexing(self) -> None:
        """Have the rest of the log indexed in a process of its own, and search again in a moment."""
        if self._indexing is None or self._indexing.poll() is not None:
            path = self.workbench.path
            if path is not None:
                self._indexing = ask.start_indexing(path)
        self.set_timer(LOOK_SECONDS, self._search)

    # Comparison

    def _rollout(self) -> Spot | None:
        """The rollout that the cursor is in."""
        place = self.levels.place
        spot = place.spot if place is not None else self.levels.spot
        if spot is None or spot.rollout is None:
            return None
        return Spot(spot.step, spot.held_out, spot.group, spot.rollout)

    def action_mark(self) -> None:
        """Mark the rollout under the cursor, or take its mark away."""
        rollout = self._rollout()
        if rollout is None:
            self.answer("Put the cursor on a rollout, or on something in it, to mark it.")
            return
        self.levels.marked = None if self.levels.marked == rollout else rollout
        self.levels.renew()
        key = self.workbench.key_of("rollouts.compare")
        marked = f"{rollout.text} is marked; {key} on another rollout compares them."
        self.answer(marked if self.levels.marked else "No mark.", "accent")

    def action_compare(self) -> None:
        """Compare the marked rollout with that under the cursor."""
        a, b = self.levels.marked, self._rollout()
        if a is None:
            mark, key = self.workbench.key_of("rollouts.mark"), self.workbench.key_of("rollouts.compare")
            what = f"{mark} marks the one under the cursor, then {key} on another compares them"
            self.answer(f"No rollout is marked: {what}.")
        elif b is None or a == b:
            self.answer("Put the cursor on another rollout than the marked one.")
        else:
            self._ask_comparison(a, b)

    def _ask_comparison(self, a: Spot, b: Spot) -> None:
        self.workbench.client.ask_run("rollouts compare", partial(ask.compare, known=self.spans, a=a, b=b))

    def _show_compared(self, compared: Compared) -> None:
        self._compared = compared
        self.detail.retitle("Comparison", f"{compared.a.text} | {compared.b.text}")
        self.detail.show(partial(side_by_side, compared))
        self.go_to("detail")

    def _end_comparison(self) -> None:
        self._compared = None

    def action_leave(self) -> None:
        """Leave the field, the search, the comparison, the selection; else close the screen."""
        if self._typing:
            self._close_field()
            if self.levels.found is not None:
                self.levels.show_found(None, Query())
                self.levels.value = None
                self.levels.renew()
                self.read_soon()
        elif self._compared is not None:
            self._end_comparison()
            self.go_to("tree")
            self.read_soon()
        elif not self.chosen.empty:
            self.action_show_all()
        else:
            self.dismiss()
