"""Review: one edit at a time. Its diff, its reason, the trajectory that led to it; approve, veto, undo.

A key acts on the edit under the cursor, as it is shown, or the bottom line gives the reason why not. It does not act on an
edit that was not on the screen when the key was pressed, or that the program showed less than 0.7 s before
(`skillos_tui.model.keyguard`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from textual import events
from textual.app import ComposeResult
from textual.containers import Container

from engine.core.edit import OPEN, PAST, Action, Edit
from skillos_tui.client.messages import DecisionRefused, DecisionTaken, Reply, TrajectoryRead
from skillos_tui.keymap import NEXT_PANE, PREVIOUS_PANE, Key, bindings
from skillos_tui.model.decisions import Decisions
from skillos_tui.model.keyguard import PAUSE_SECONDS, Reading
from skillos_tui.model.view import Part
from skillos_tui.render.text import Line, line, safe
from skillos_tui.screens.base import FullScreen
from skillos_tui.screens.review.keys import ReviewBar, action_of, commit_of, no_use
from skillos_tui.widgets.diff import DiffPane, summary
from skillos_tui.widgets.listing import ListPane
from skillos_tui.widgets.pane import Pane
from skillos_tui.widgets.queue import ReviewQueue, reasons
from skillos_tui.widgets.tabs import StateBar
from skillos_tui.widgets.transcript import TranscriptPane
from skillos_tui.widgets.tree import edit_change

if TYPE_CHECKING:
    from skillos_tui.screens.reason.screen import ReasonScreen

NO_EDIT = "No edit has been proposed yet."
REASON_PAUSE_SECONDS = 1.5
"""The pause that ends a reason which was typed without a dialog; people stop to think between its words."""


class WhyPane(Pane):
    """Task, outcome, reason, checks, audit and decision of one edit."""

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(title, id=id)
        self.lines: list[Line] = []

    def show(self, lines: list[Line]) -> None:
        """Show these lines."""
        self.lines = lines
        self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        return self.lines


class ReviewScreen(FullScreen):
    """The queue of one run. The cursor stays on its edit when others arrive; only keys and a decision move it."""

    NAME = "review"
    CSS_PATH = "screen.tcss"
    KEYS_TITLE = "On the review screen"
    KEYS = (
        Key("a", "approve", "approve", "Approve and commit the edit; ask a conflicted or superseded one again", True),
        Key("v", "veto", "veto", "Veto the edit, with a reason that the curator will read", True),
        Key(
            "u", "undo", "undo", "Undo the decision on this edit: revert its commit, or queue a vetoed one again", True
        ),
        Key("n", "move(1)", "next", "The next edit", True),
        Key("p", "move(-1)", "previous", "The previous edit", True),
        Key("left_square_bracket", "decision(-1)", "my decisions", "Go to the decision taken here before this one"),
        Key("right_square_bracket", "decision(1)", "next decision", "Go to the decision taken here after this one"),
        NEXT_PANE,
        PREVIOUS_PANE,
        Key("escape,l", "back", "live", "Back to the live screen", True),
    )
    BINDINGS = bindings(KEYS)
    PANES = ("diff", "why", "trajectory", "queue")
    CAN_FREEZE = False

    def __init__(self) -> None:
        super().__init__()
        self._shown = ""
        self._idle = False
        self._by_itself = self._unattended = False
        self._reading = Reading()
        self._place: int | None = None
        self.state_bar, self.key_bar = StateBar(), ReviewBar(self.KEYS)
        self.queue = ReviewQueue("Review", id="queue")
        self.diff = DiffPane("Edit", id="diff")
        self.diff.nothing = "The run is being read …"
        self.why = WhyPane("Why", id="why")
        self.trajectory = TranscriptPane("Trajectory", id="trajectory")
        self.trajectory.follow, self.trajectory.waiting = False, "The trajectory that led to the edit appears here."

    def compose(self) -> ComposeResult:
        yield self.state_bar
        with Container(id="panes"):
            with Container(id="left", classes="column"):
                yield self.queue
            with Container(id="right", classes="column"):
                yield self.diff
                yield self.why
                yield self.trajectory
        yield self.key_bar

    def on_mount(self) -> None:
        self.composed = True
        self._by_itself = self._unattended = self.restored
        self.go_to("diff")
        self.renew({"review"})
        self._by_itself = True  # from here on: what comes without a key

    @property
    def decisions(self) -> Decisions:
        """The decisions of this session on the open run."""
        app = self.workbench
        return app.client.decisions(app.path) if app.path else Decisions()

    # What is shown

    def renew(self, parts: set[Part]) -> None:
        if not self.composed or not parts & {"review", "state"}:
            return
        app, queue = self.workbench, self.queue
        self.show_state()
        if not app.caught_up and not app.lost:
            return
        mine = self.decisions.catch_up(app.view.edits)
        if queue.current is None and app.view.edits and queue.value is None:
            queue.value = next(iter(app.view.pending or reversed([*app.view.edits.values()]))).id
        self._follow_arrivals()
        self._show_edit(by_itself=self._by_itself and queue.value not in mine)

    def _follow_arrivals(self) -> None:
        """Go to an edit that has arrived, if all others are decided and the cursor is still on the last decision."""
        queue, decisions = self.queue, self.decisions
        waiting = [edit.id for edit in self.workbench.view.pending]
        others = [name for name in waiting if name not in decisions.under_way and name != queue.value]
        if self._idle and others:
            queue.value = others[0]
        last = decisions.taken[-1:]
        decided = bool(last) and last[0].action in ("approve", "veto") and last[0].edit == queue.value
        self._idle = decided and not others

    def _show_edit(self, *, by_itself: bool = False) -> None:
        """Show the edit under the cursor; `by_itself` when the program brought or changed it, not a key of the person."""
        app, queue = self.workbench, self.queue
        if not app.caught_up and not app.lost:
            return  # an edit that waits in the part of the log that has been read may be decided in the rest
        queue.show(app.view, self.decisions.under_way)
        edit = queue.current
        thing = edit
        if thing != self._reading.thing:
            by_itself = by_itself or self._unattended
            self._reading.show(thing, by_itself=by_itself, diff=edit.change if edit else None)
        self.key_bar.show_edit(edit, edit is not None and edit.id in self.decisions.under_way)
        self._fill(edit)
        self._look()

    def _fill(self, edit: Edit | None) -> None:
        diff, why, view = self.diff, self.why, self.workbench.view
        if edit is None:
            diff.nothing = NO_EDIT
            diff.retitle("Edit")
            diff.show(None)
            diff.renew()
            why.show([])
            return
        change = edit_change(edit, view)
        diff.retitle(f"{edit.operation} · {change.skill}", f"{edit.state} · {summary(change)}")
        diff.show(change)
        name = edit.id
        effects = view.settings.effects if edit.state in OPEN else ""
        said = [line(f"muted:{effects}")] if effects else []
        why.show([*reasons(edit, view.place(edit.provenance.position), self._draft(name)), *said])
        if self._shown != name:
            self._shown = name
            self.trajectory.show([], view)
            self.workbench.client.read_trajectory(name)

    def _draft(self, edit: str) -> str:
        app = self.workbench
        return app.session.draft(app.path, edit) if app.path else ""

    def take(self, reply: Reply) -> None:
        if isinstance(reply, DecisionRefused):
            self._show_edit(by_itself=True)
            edit = self.workbench.view.edits.get(reply.edit)
            self.answer(f"{safe(edit.skill)}: {reply.why}" if edit else reply.why, "bad")
        elif isinstance(reply, DecisionTaken):
            self._report(reply)
        elif isinstance(reply, TrajectoryRead) and (reply.path, reply.edit) == (self.workbench.path, self._shown):
            pane = self.trajectory
            pane.waiting = "The log does not hold what led to this edit."
            pane.show([reply.episode] if reply.episode else [], self.workbench.view)
            pane.action_to_top()

    def _report(self, taken: DecisionTaken) -> None:
        """Report the effect of a decision where the queue does not show it."""
        edit, skill = taken.after, safe(taken.after.skill)
        here = self.queue.value == taken.edit
        if edit.state == "conflicted":
            key = "Press a" if here else "[ goes back to it, and a asks"
            report = f"Nothing was written: {skill} has changed since. {key} for the new diff."
            self.notify(report, severity="warning", markup=False)
            self.answer(report)
        elif taken.action == "undo" and edit.state == "undone":
            self.answer(f"Reverted commit {commit_of(taken.before)} of {skill}. a asks for the edit again.", "accent")
        elif taken.action == "undo":
            self.answer(f"The veto of {skill} is undone. v keeps its reason.", "accent")
        elif taken.action == "requeue":
            self.answer("Asked again against the present repository: read the diff, then decide.", "accent")

    # What has been seen

    def _look(self) -> None:
        """Note that the edit has been painted, after the next refresh that includes its diff."""
        if not self._reading.painted and self._is_built():
            seen = partial(self._note_painted, self._reading.thing)
            self.call_after_refresh(self.workbench.when_seen, seen)

    def _note_painted(self, thing: object) -> None:
        if thing is self._reading.thing and self._is_built():
            self._reading.paint(monotonic())

    def _is_built(self) -> bool:
        """Whether the pane of the diff is visible and has the lines of the edit under the cursor."""
        diff = self.diff
        return self.app.screen is self and diff.is_on_screen and diff.built is diff.change

    def reappear(self) -> None:
        """The edit has to be on the screen again before a key decides on it."""
        super().reappear()
        self._reading = Reading()
        self._show_edit()

    def on_screen_resume(self) -> None:
        if self.composed:
            self._show_edit(by_itself=True)

    def on_diff_pane_built(self, message: DiffPane.Built) -> None:
        self._look()

    def on_descendant_focus(self) -> None:
        super().on_descendant_focus()
        self.call_after_refresh(self._look)

    def on_resize(self) -> None:
        self.call_after_refresh(self._look)

    def on_list_pane_moved(self, message: ListPane.Moved) -> None:
        self._show_edit()

    # Keys

    def hear(self, key: events.Key) -> bool:
        heard = super().hear(key)
        self._unattended = self._unattended and not heard
        self._look()
        return heard

    def action_move(self, by: int) -> None:
        self.queue.move(by)
        self._show_edit()

    def action_approve(self) -> None:
        """Approve an edit that waits; a conflicted, superseded or undone one is queued again first, with its new diff."""
        edit = self._to_act("a")
        if edit is not None and (action := action_of("a", edit)) is not None:
            self._decide(edit, action)

    async def action_veto(self) -> None:
        from skillos_tui.screens.reason.screen import ReasonScreen

        edit, run = self._to_act("v", REASON_PAUSE_SECONDS), self.workbench.path
        if edit is not None and run is not None:
            dialog = ReasonScreen(run, edit, self._draft(edit.id))
            await self.app.push_screen(dialog, partial(self._veto, edit, dialog))

    def _veto(self, edit: Edit, dialog: ReasonScreen, reason: str | None) -> None:
        """Send the veto, if the edit has not changed since the dialog opened."""
        if reason is not None and edit == dialog.bound:
            self._decide(edit, "veto", reason)
        elif reason is not None:
            self.refuse(f"{safe(edit.skill)} is {edit.state} already: nothing was sent; your text is kept.")

    def action_undo(self) -> None:
        """Undo the decision on the edit under the cursor."""
        edit = self._to_act("u")
        if edit is not None:
            what = "Undoing the veto" if edit.state == "vetoed" else f"Reverting commit {commit_of(edit)}"
            if self._decide(edit, "undo"):
                self.answer(f"{what} of {safe(edit.skill)} …", "accent")

    def action_decision(self, by: int) -> None:
        """Go to the decision before or after the one that was gone to last."""
        taken = self.decisions.taken
        if not taken:
            self.answer("No decision has been taken here yet.")
            return
        start = len(taken) if self._place is None else self._place
        self._place = max(0, min(len(taken) - 1, start + by))
        gone = taken[self._place]
        edit = self.workbench.view.edits.get(gone.edit)
        now = f"it is {edit.state} now" if edit is not None else "newer edits superseded it"
        if edit is not None:
            self.queue.select(gone.edit)
            self._show_edit()
        what = f"{PAST[gone.action]} {safe(gone.skill)}"
        self.answer(f"Decision {self._place + 1} of {len(taken)} taken here: {what}; {now}.", "accent")

    def _to_act(self, key: str, pause: float = PAUSE_SECONDS) -> Edit | None:
        """The edit that a key acts on; None if it may not act, after showing the reason."""
        self._show_edit()  # a move of the cursor may not have been shown yet
        edit = self.queue.current
        why = self._why_not(key, edit)
        if why:
            self.refuse(why, pause)
        return edit if not why else None

    def _why_not(self, key: str, edit: Edit | None) -> str:
        if self.workbench.lost:
            return "The run cannot be read any more; nothing can be decided."
        if self.workbench.refusal:
            return safe(self.workbench.refusal)
        if not self.workbench.caught_up:
            return "The run is still being read; wait a moment."
        if edit is None:
            return "There is no edit to decide on."
        under_way = self.decisions.word(edit.id)
        if under_way:
            return f"This edit is {under_way}; wait a moment."
        if action_of(key, edit) is None:
            return no_use(key, edit)
        return self._reading.refusal(self.pressed)

    def _decide(self, edit: Edit, action: Action, reason: str = "") -> bool:
        """Send a decision; after one on an edit that waits, move to the next that waits. False when no run is open."""
        if not self.workbench.client.decide(edit, action, reason):
            self.refuse("The run is not open yet; nothing was decided.")
            return False
        self._place = None
        if action in ("approve", "veto"):
            self.queue.show(self.workbench.view, self.decisions.under_way)
            following = self.queue.next_waiting(edit.id)
            self._idle = following is None
            if following is not None:
                self.queue.select(following)
        self._show_edit()
        return True
