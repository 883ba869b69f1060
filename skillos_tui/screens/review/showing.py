"""What Review shows: the queue, the edit under the cursor with its diff, why, and the trajectory that led to it.

`ReviewScreen` (`skillos_tui.screens.review.screen`) adds the keys. The diff is that of what an approval would write: where a
person has left out hunks, or written another text, it shows that (`Working`), and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import ClassVar

import msgspec
from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.timer import Timer

from engine.core.edit import OPEN, Edit, State
from engine.core.events import CurationMade, TurnTaken
from engine.review.effects import results
from engine.review.opened import RENEW_SECONDS
from engine.runs.directory import Run
from engine.runs.rollouts.lines import figure
from skillos_tui.client.messages import Answered, Reply, TrajectoryRead
from skillos_tui.keymap import PANES_KEYS
from skillos_tui.model.background import Background
from skillos_tui.model.decisions import Decisions
from skillos_tui.model.keyguard import Reading
from skillos_tui.model.rest import rest_of
from skillos_tui.model.review_filter import Filter
from skillos_tui.model.session import leftover_key, text_key
from skillos_tui.model.target import Target, place_of
from skillos_tui.model.view import Part
from skillos_tui.model.working import Checked, Working
from skillos_tui.render.text import safe
from skillos_tui.screens.base import FullScreen
from skillos_tui.screens.review.keys import ReviewBar
from skillos_tui.widgets.diff import DiffPane
from skillos_tui.widgets.listing import ListPane
from skillos_tui.widgets.queue import OLD, ReviewQueue
from skillos_tui.widgets.tabs import StateBar
from skillos_tui.widgets.transcript import TranscriptPane
from skillos_tui.widgets.tree import edit_change
from skillos_tui.widgets.why import Facts, WhyPane

NO_EDIT = "No edit has been proposed yet."
NOTHING_FITS = "No edit fits this filter; {} with an empty text shows them all."
UNCHECKED = "these are of the proposed text; the gates check yours before it is written"
BACKGROUND_SECONDS = 0.2
"""The pause after which the background of an edit is read: it takes long, and a person may go on to the next."""


COPY = [key._replace(line=True) for key in PANES_KEYS if key.action == "copy"]
"""The key of all screens that the key line of this one shows too."""


class TrajectoryPane(TranscriptPane):
    """The episode that led to an edit; `behind` is its place among the rollouts."""

    follow = False
    behind: Target | None = None

    def target(self) -> Target | None:
        return self.behind


class Showing(FullScreen):
    """The queue of one run. The cursor stays on its edit when others arrive; only keys and a decision move it."""

    NAME = "review"
    CSS_PATH = "screen.tcss"
    PANES: ClassVar = ("diff", "why", "trajectory", "queue")
    CAN_FREEZE = False
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-middling"), (32, "-high"), (50, "-tall")]  # noqa: RUF012 - Textual declares it so

    def __init__(self) -> None:
        super().__init__()
        self._shown: object = None
        self._idle = False
        self._by_itself = self._unattended = False
        self._reading = Reading()
        self._working: dict[str, tuple[object, Working]] = {}
        self._checked: Checked | None = None
        self._background: Background | None = None
        self._asking: Timer | None = None
        self._wanted = self._held = ""
        self.state_bar, self.key_bar = StateBar(), ReviewBar((*self.KEYS, *COPY))
        self.queue = ReviewQueue("Review", id="queue")
        self.diff = DiffPane("Edit", id="diff")
        self.diff.nothing = "The run is being read …"
        self.why = WhyPane("Why", id="why")
        self.trajectory = TrajectoryPane("Trajectory", id="trajectory")
        self.trajectory.waiting = "The trajectory that led to the edit appears here."

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
        self.set_interval(RENEW_SECONDS, self._hold_open)

    def _hold_open(self) -> None:
        """Hold the edit under the cursor open while it is on the screen, also behind a dialog."""
        stack, edit = self.app.screen_stack, self.queue.current
        shown = bool(stack) and (stack[-1] is self or (stack[-1].is_modal and stack[-2:-1] == [self]))
        name = edit.id if edit is not None and edit.state in OPEN and shown else ""
        if name or self._held:
            self.workbench.client.hold_open(name)
        self._held = name

    def on_screen_suspend(self) -> None:
        self.call_later(self._hold_open)

    def on_unmount(self) -> None:
        if self._held:
            self.workbench.client.hold_open("")

    def _mark(self, pane: str) -> None:
        super()._mark(pane)
        if pane in ("why", "trajectory"):
            self.query_one("#right").set_class(pane == "trajectory", "-trajectory")

    @property
    def decisions(self) -> Decisions:
        """The decisions of this session on the open run."""
        app = self.workbench
        return app.client.decisions(app.path) if app.path else Decisions()

    # Where the person is

    def here(self) -> str:
        """The edit, and after a question mark the filter: "e12?superseded kettle"."""
        name = self.queue.value if isinstance(self.queue.value, str) else ""
        return f"{name}?{self.queue.filter.text}" if self.queue.filter.text else name

    def arrive(self, at: str) -> None:
        name, _, text = at.partition("?")
        if text != self.queue.filter.text:
            self.look_for(text)
        if name and name != self.queue.value:
            self._wanted = name
            self._go_to_wanted()

    def _go_to_wanted(self) -> None:
        """Go to the edit that another screen leads to; one that the view does not hold is read from the log."""
        name, app = self._wanted, self.workbench
        if not name or not (app.caught_up or app.lost):
            return
        if name in self.queue.known:
            self._wanted = ""
            self.queue.select(name)
            self._show_edit()
        elif app.path is not None and app.caught_up:
            app.client.ask_run("edit", partial(Run.edit, edit_id=name))

    # What is shown

    def renew(self, parts: set[Part]) -> None:
        if not self.composed or not parts & {"review", "state"}:
            return
        app, queue = self.workbench, self.queue
        self.show_state()
        if not app.caught_up and not app.lost:
            return
        mine = self.decisions.catch_up(queue.known)
        self._follow_arrivals()
        self._show_edit(by_itself=self._by_itself and queue.value not in mine)
        if self._wanted:
            self._go_to_wanted()

    def _follow_arrivals(self) -> None:
        """Go to an edit that has arrived, if all others are decided and the cursor is still on the last decision, which took
        effect."""
        queue, decisions = self.queue, self.decisions
        waiting = [edit.id for edit in self.workbench.view.pending if queue.filter.admits(edit)]
        others = [name for name in waiting if name not in decisions.under_way and name != queue.value]
        stands = queue.current is None or queue.current.state not in OPEN or queue.value in decisions.under_way
        if self._idle and stands and others:
            queue.value = others[0]
        last = decisions.taken[-1:]
        decided = bool(last) and last[0].action in ("approve", "amend", "veto") and last[0].edit == queue.value
        self._idle = decided and stands and not others

    def _show_edit(self, *, by_itself: bool = False) -> None:
        """Show the edit under the cursor; `by_itself` when the program brought or changed it, not a key of the person."""
        app, queue = self.workbench, self.queue
        if not app.caught_up and not app.lost:
            return  # an edit that waits in the part of the log that has been read may be decided in the rest
        queue.show(app.view, self.decisions.under_way)
        edit = queue.current
        working = self.working(edit) if edit is not None else Working()
        thing = (edit, working)
        if thing != self._reading.thing:
            by_itself = by_itself or self._unattended
            if by_itself:
                self._drop_answer(edit)
            self._reading.show(thing, by_itself=by_itself, diff=(edit.change, working) if edit else None)
        self._fill(edit, working)
        self._show_keys(edit, working)
        if self._held != (edit.id if edit is not None and edit.state in OPEN else ""):
            self._hold_open()
        queue.retitle(queue.heading, f"policy {app.view.settings.policy}" if app.view.settings.policy else "")
        self._look()

    def _drop_answer(self, edit: Edit | None) -> None:
        """Remove the answer to the last key if somebody else has given the edit another state since: it is not true any
        more."""
        shown = self._reading.thing
        before = shown[0] if isinstance(shown, tuple) else None
        if isinstance(before, Edit) and edit is not None and before.id == edit.id and before.state != edit.state:
            self.answer("")

    def _show_keys(self, edit: Edit | None, working: Working) -> None:
        decisions = self.decisions
        self.key_bar.show_edit(
            edit,
            deciding=edit is not None and edit.id in decisions.under_way,
            touched=working.touched,
            hunks=self.diff.hunks,
            rest=len(rest_of(self.queue.groups, decisions.under_way).all),
            undoes=len(decisions.rest),
        )

    def working(self, edit: Edit) -> Working:
        """What the person wants of an edit that waits: kept while the edit is the same; a text of their own also in the
        session."""
        if edit.state != "pending" or edit.after is None:
            return Working()
        change, kept = self._working.get(edit.id, (None, None))
        if kept is None or change != edit.change:
            own = self._draft(text_key(edit.id)) or None
            kept = Working(own=own if own != edit.after else None)
            self._working[edit.id] = edit.change, kept
        return kept

    def want(self, edit: Edit, working: Working) -> None:
        """Show what the person wants of this edit now, and keep a text of their own. A text in the place of the one
        that an editor left ends the mention of that file; a choice of hunks does not."""
        self._working[edit.id] = edit.change, working
        if self.workbench.path is not None:
            self.workbench.session.keep_draft(self.workbench.path, text_key(edit.id), working.own or "")
            if not working.left:
                self.workbench.session.keep_draft(self.workbench.path, leftover_key(edit.id), "")
        self._show_edit()

    def _fill(self, edit: Edit | None, working: Working) -> None:
        diff, why, view = self.diff, self.why, self.workbench.view
        if edit is None:
            fits_not = NOTHING_FITS.format(self.workbench.key_of("review.filter"))
            diff.nothing = fits_not if view.edits else NO_EDIT
            diff.retitle("Edit")
            diff.show(None)
            diff.renew()
            why.show(None)
            return
        change = edit_change(edit, view)
        diff.show(msgspec.structs.replace(change, after=working.base(edit)), working.left)
        where = view.place(edit.provenance.position)
        diff.retitle(f"{edit.operation} · {change.skill}   {where}", self._subtitle(edit, working))
        if self._shown != (edit.id, edit.change):
            self._shown, self._background = (edit.id, edit.change), None
            self.trajectory.show([], view)
            self.workbench.client.read_trajectory(edit.id)
        at = edit.provenance.position
        self.diff.behind = self.trajectory.behind = Target("rollouts", place_of(at)) if at is not None else None
        why.show(self._facts(edit, working, where))

    def _subtitle(self, edit: Edit, working: Working) -> str:
        """The state, the size, the reward and the most similar skill, as far as they fit."""
        parts: list[str] = [edit.state]
        if working.own is not None:
            parts.append("your text, not approved yet")
        if working.left:
            parts.append(f"{self.diff.hunks - len(working.left)} of {self.diff.hunks} hunks taken")
        parts.append(self.diff.summary)
        standing = edit.provenance.standing
        if standing is not None:
            parts.append(f"r {figure(standing.reward)} ({figure(standing.advantages[0], '+.2f')})")
        if self._background is not None and self._background.similar:
            name, score = self._background.similar[0]
            parts.append(f"like: {name} {figure(score)}")
        room = self.diff.size.width - 4
        while len(parts) > 2 and len(safe(" · ".join(parts))) > room:
            parts.pop()
        return " · ".join(parts)

    def _facts(self, edit: Edit, working: Working, where: str) -> Facts:
        view, shown = self.workbench.view, edit
        checked = self._checked
        unsent, unchecked = "", UNCHECKED if working.touched else ""
        if working.touched and checked is not None and (checked.edit, checked.text) == (edit.id, working.text(edit)):
            unchecked = f"yours cannot be used: {checked.refusal}" if checked.found is None else ""
            if checked.found is not None:
                shown = msgspec.structs.replace(edit, findings=checked.found.findings, scores=checked.found.scores)
        undo = self.workbench.key_of("review.undo")
        if working.own is not None:
            unsent = f"writes your text in place of the proposed one; {undo} drops it"
        elif working.left:
            unsent = f"leaves out {len(working.left)} of {self.diff.hunks} hunks; {undo} takes them all"
        pinned = self._background is not None and self._background.pinned
        engine, settings = self.workbench.engine, view.settings.settings
        works = engine is None or engine.alive
        said = results(edit, settings, view.kind, pinned=pinned, works=works) if edit.state in OPEN else ()
        draft, leftover = self._draft(edit.id), self._draft(leftover_key(edit.id))
        return Facts(shown, where, draft, unsent, unchecked, self._background, tuple(said), leftover)

    def _draft(self, key: str) -> str:
        app = self.workbench
        return app.session.draft(app.path, key) if app.path else ""

    # Answers of the client

    def take(self, reply: Reply) -> None:
        if isinstance(reply, TrajectoryRead):
            edit = self.queue.current
            if edit is not None and (reply.path, reply.edit) == (self.workbench.path, edit.id):
                self._show_trajectory(reply, edit)
        elif isinstance(reply, Answered):
            self._hear_answer(reply)

    def _show_trajectory(self, reply: TrajectoryRead, edit: Edit) -> None:
        pane = self.trajectory
        pane.waiting = "The log does not hold what led to this edit."
        pane.show([reply.episode] if reply.episode else [], self.workbench.view)
        pane.action_to_top()
        turns = [turn for _, turn in sorted(reply.episode.turns.items())] if reply.episode else []
        made = reply.episode.curation if reply.episode else None
        answer = made.completion if isinstance(made, CurationMade) else None
        if self._asking is not None:
            self._asking.stop()
        self._asking = self.set_timer(BACKGROUND_SECONDS, partial(self._ask_background, edit, turns, answer))

    def _ask_background(self, edit: Edit, turns: Sequence[TurnTaken], answer: str | None) -> None:
        if (edit.id, edit.change) == self._shown and self.workbench.caught_up and not self.workbench.lost:
            read = partial(_read_background, edit=edit, turns=turns, answer=answer)
            self.workbench.client.ask_run("background", read)

    def _hear_answer(self, answer: Answered) -> None:
        match answer.question, answer.value:
            case "background", Background() as found:
                if (found.edit.id, found.edit.change) == self._shown:
                    self._background = found
                    self._show_edit(by_itself=True)
            case "old edits", list() as found:
                if self.queue.filter.old:
                    self.queue.look_for(self.queue.filter, found)
                    self._show_edit()
            case "edit", Edit() as found if found.id == self._wanted:
                self.queue.others = {**self.queue.others, found.id: found}
                self._go_to_wanted()
            case "edit", _ if answer.trouble:
                self._wanted = ""
                self.answer(safe(answer.trouble))

    def look_for(self, text: str) -> None:
        """Show only the edits that fit this filter; superseded and withheld ones are read from the log."""
        wanted = Filter(text)
        self.queue.look_for(wanted)
        if wanted.old and self.workbench.caught_up and not self.workbench.lost:
            self.workbench.client.ask_run("old edits", partial(_read_old, states=sorted(wanted.old)))
        self._show_edit()

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
        return self.app.screen is self and diff.is_on_screen and diff.built == diff.shown

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
        if message.pane is self.queue:
            self._show_edit()

    def hear(self, key: events.Key) -> bool:
        heard = super().hear(key)
        self._unattended = self._unattended and not heard
        self._look()
        return heard


def _read_background(run: Run, edit: Edit, turns: Sequence[TurnTaken], answer: str | None) -> Background:
    from skillos_tui.client.background import read  # in the thread: it loads the search

    return read(run, edit, turns, answer)


def _read_old(run: Run, states: Sequence[State]) -> list[Edit]:
    from skillos_tui.client.background import read_old

    return read_old(run, states, OLD)
