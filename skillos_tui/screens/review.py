"""Review: one edit at a time. What would change, why it was proposed, what led to it; approve, veto, undo."""

from __future__ import annotations

import time
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Container

from skillos_tui.keymap import bindings
from skillos_tui.messages import DecisionRefused, Reply, TrajectoryRead
from skillos_tui.screens.base import RoomScreen
from skillos_tui.text import Line
from skillos_tui.view import Edit, Part, where
from skillos_tui.widgets.bars import Bar, KeyBar
from skillos_tui.widgets.diff import DiffPane, summary
from skillos_tui.widgets.listing import ListPane
from skillos_tui.widgets.pane import Pane
from skillos_tui.widgets.queue import ReviewQueue, reasons
from skillos_tui.widgets.transcript import TranscriptPane
from skillos_tui.widgets.tree import edit_change

OPEN = ("pending", "conflicted")
DECIDED = ("approved", "amended", "vetoed")
ASKED_AGAIN = ("conflicted", "superseded", "undone")
UNREAD_SECONDS = 0.7
"""For so long after an edit came up by itself no decision is taken: the key was meant for another."""


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


class ReviewScreen(RoomScreen):
    """The queue of one run. The cursor stays on its edit whatever else comes; only keys and a decision move it."""

    room = "review"
    CSS_PATH = "review.tcss"
    BINDINGS = bindings("review")
    PANES = ("diff", "why", "trajectory", "queue")

    def __init__(self, *, by_itself: bool = False) -> None:
        super().__init__()
        self._shown = ""
        self._taken: list[str] = []
        self._idle = False
        self._arrived = time.monotonic() if by_itself else 0.0

    def compose(self) -> ComposeResult:
        yield Bar(id="state")
        with Container(id="panes"):
            with Container(id="left", classes="column"):
                yield ReviewQueue("Review", id="queue")
            with Container(id="right", classes="column"):
                yield DiffPane("Edit", id="diff")
                yield WhyPane("Why", id="why")
                yield TranscriptPane("Trajectory", id="trajectory")
        yield KeyBar(self.room)

    def on_mount(self) -> None:
        self.composed = True
        self.query_one(DiffPane).nothing = "No edit has been proposed yet."
        trajectory = self.query_one(TranscriptPane)
        trajectory.follow, trajectory.waiting = False, "What led to the edit stands here."
        self.go_to("diff")
        self.renew({"review"})

    def renew(self, parts: set[Part]) -> None:
        if not self.composed or not parts & {"review", "state"}:
            return
        app = self.workbench
        queue = self.query_one(ReviewQueue)
        self.query_one("#state", Bar).show(app.state_line)
        if queue.current is None and app.view.edits:
            queue.value = next(iter(app.view.pending or reversed([*app.view.edits.values()]))).proposed.edit
        self._follow_arrivals(queue)
        queue.show(app.view)
        self._tell_conflicts(queue)
        self._show_edit()

    def _follow_arrivals(self, queue: ReviewQueue) -> None:
        """Go to an edit that has come, when all was decided and the cursor is still on the last decision."""
        waiting = self.workbench.view.pending
        if self._idle and waiting:
            queue.value = waiting[0].proposed.edit
            self._arrived = time.monotonic()
        current = queue.current
        decided = current is not None and current.proposed.edit in self._taken[-1:]
        self._idle = decided and not waiting

    def _tell_conflicts(self, queue: ReviewQueue) -> None:
        """Come back to an edit whose approval was not written, for its file had changed."""
        for name in self._taken:
            edit = self.workbench.view.edits.get(name)
            if edit is not None and edit.state == "conflicted":
                self._taken = [taken for taken in self._taken if taken != name]
                queue.select(name)
                told = f"Nothing was written: {edit.proposed.skill} has changed since. Press a for the new diff."
                self.notify(told, severity="warning")

    def _show_edit(self) -> None:
        edit = self.query_one(ReviewQueue).current
        diff, why = self.query_one(DiffPane), self.query_one(WhyPane)
        if edit is None:
            diff.show(None)
            return
        change = edit_change(edit, self.workbench.view)
        diff.retitle(f"{edit.proposed.operation} · {change.skill}", f"{edit.state} · {summary(change)}")
        diff.show(change)
        why.show(reasons(edit, where(edit.proposed.at, self.workbench.view.kind)))
        if self._shown != edit.proposed.edit:
            self._shown = edit.proposed.edit
            self.query_one(TranscriptPane).show([], self.workbench.view.kind)
            self.workbench.client.read_trajectory(edit.proposed.edit)

    def take(self, reply: Reply) -> None:
        if isinstance(reply, DecisionRefused):
            self._taken = [name for name in self._taken if name != reply.edit]
            self.query_one(ReviewQueue).select(reply.edit)
            self._show_edit()
        if isinstance(reply, TrajectoryRead) and reply.edit == self._shown:
            pane = self.query_one(TranscriptPane)
            pane.waiting = "The log does not hold what led to this edit."
            pane.show([reply.episode] if reply.episode else [], self.workbench.view.kind)
            pane.action_to_top()

    def on_list_pane_moved(self, message: ListPane.Moved) -> None:
        self._show_edit()

    # Keys

    def action_move(self, by: int) -> None:
        self.query_one(ReviewQueue).action_scroll_rows(by)

    def action_approve(self) -> None:
        """Approve what waits; what conflicts, gave way or was undone is asked again first, with its new diff."""
        edit = self.query_one(ReviewQueue).current
        if edit is not None and edit.state in ASKED_AGAIN:
            self.workbench.client.ask_again(edit.proposed.edit)
            self.notify("Asked again against the repository as it is now: look at the diff, then decide.")
        elif edit is not None and self._open(edit):
            self._decided(edit)
            self.workbench.client.approve(edit.proposed.edit)

    async def action_veto(self) -> None:
        from skillos_tui.screens.reason import ReasonScreen

        edit = self.query_one(ReviewQueue).current
        if edit is None or not self._open(edit):
            return

        def veto(reason: str | None) -> None:
            if reason is not None:
                self._decided(edit)
                self.workbench.client.veto(edit.proposed.edit, reason)

        await self.app.push_screen(ReasonScreen(edit.proposed.skill), veto)

    def action_undo(self) -> None:
        """Undo what was decided about the edit under the cursor, else the last decision taken here."""
        edits = self.workbench.view.edits
        current = self.query_one(ReviewQueue).current
        last = edits.get(self._taken[-1]) if self._taken else None
        edit = current if current and current.state in DECIDED else last
        if edit is None:
            self.notify("There is no decision to undo.", severity="warning")
        elif edit.state not in DECIDED:
            self.notify("The last decision is not written yet; try again in a moment.", severity="warning")
        else:
            name = edit.proposed.edit
            self._taken = [taken for taken in self._taken if taken != name]
            self.query_one(ReviewQueue).select(name)
            self._show_edit()
            self.workbench.client.undo(name)

    def action_back(self) -> None:
        self.dismiss()

    def _open(self, edit: Edit) -> bool:
        """Whether the edit still waits for a decision, and was there to be read; says so if not."""
        if time.monotonic() - self._arrived < UNREAD_SECONDS:
            self.notify("This edit has just come; look at it first.", severity="warning")
            return False
        if edit.state not in OPEN:
            self.notify(f"This edit is {edit.state} already; u undoes that.", severity="warning")
        return edit.state in OPEN

    def _decided(self, edit: Edit) -> None:
        """Remember the decision for undo, and go on to the next edit that waits."""
        self._taken.append(edit.proposed.edit)
        waiting = [other.proposed.edit for other in self.workbench.view.pending]
        place = waiting.index(edit.proposed.edit)
        left = [name for name in (*waiting[place:], *waiting[:place]) if name not in self._taken]
        if left:
            self.query_one(ReviewQueue).select(left[0])
            self._show_edit()
