"""What the client's messages change: the state of the workbench, and the screens that show it.

`skillos_tui.app` derives from it. A reply that only a screen needs is passed on to the screens.
"""

from __future__ import annotations

import gc
import shlex
from functools import partial
from typing import TYPE_CHECKING

from engine.core.text import counted
from skillos_tui.answering import AnsweringApp
from skillos_tui.model.session import REST, text_key
from skillos_tui.model.view import Part
from skillos_tui.render.text import safe
from skillos_tui.screens.base import FullScreen, Listener
from skillos_tui.screens.place import LOWEST, PlaceKeeper

if TYPE_CHECKING:
    from textual.notifications import SeverityLevel

    from engine.core.records import Check
    from skillos_tui.attention import Watch
    from skillos_tui.client import messages
    from skillos_tui.model.session import Place
    from skillos_tui.screens.navigator import Navigator

NEWS_SECONDS = 60.0
"""How long the summary of what happened since the last visit is shown."""
MAX_LINES = 6
"""Lines of a notification; of a longer one the first and the last are shown."""


class Replies(AnsweringApp):
    """The app, as far as the client's messages change it.

    Methods import `model.folding`, which loads all events: the first paint does without them.
    """

    keeper: PlaceKeeper
    navigator: Navigator
    reopened: bool
    known: Watch | None
    preflight: list[Check]
    _place: Place | None

    async def on_preflight_begun(self, message: messages.PreflightBegun) -> None:
        """Show the preflight where a person waits for it: at the form, or without an open run. Where a run was
        opened meanwhile, it is shown when a check fails."""
        from skillos_tui.screens.start.screen import StartScreen

        self.preflight = []
        waited = self.path is None or isinstance(self.screen, StartScreen)
        self._pass_on(message)
        if waited:
            await self._show_preflight()

    def on_preflight_reported(self, message: messages.PreflightReported) -> None:
        if message.check is not None:
            self.preflight.append(message.check)
        self._pass_on(message)

    async def on_preflight_blocked(self, message: messages.PreflightBlocked) -> None:
        if not self._shows_preflight:
            await self._show_preflight()
        self._pass_on(message)

    @property
    def _shows_preflight(self) -> bool:
        from skillos_tui.screens.preflight.screen import PreflightScreen

        return any(isinstance(screen, PreflightScreen) for screen in self.screen_stack)

    async def _show_preflight(self) -> None:
        from skillos_tui.screens.preflight.screen import PreflightScreen

        await self.push_screen(PreflightScreen(self.preflight))

    async def on_run_created(self, message: messages.RunCreated) -> None:
        """Show the new run, unless another run was opened meanwhile and the preflight is not shown."""
        waited = self.path is None or self._shows_preflight
        self._pass_on(message)
        if waited:
            covered = self.screen.is_modal
            await self.open_run(message.path)
            if covered and isinstance(self.screen, FullScreen):
                self.screen.refuse("The new run has started.")
        else:
            self.notify(f"The new run has started: {message.path.name}", markup=False)

    def on_start_refused(self, message: messages.StartRefused) -> None:
        if not (
            self.screen.is_modal and isinstance(self.screen, Listener)
        ):  # else the dialog shows it beside the field
            self.note(message.why, "error")
        self._pass_on(message)

    def on_run_opened(self, message: messages.RunOpened) -> None:
        from skillos_tui.model import folding

        if message.path != self.path:
            return
        self.read_only = message.read_only
        self.view.identify(message.kind, message.job)
        self.client.follow_skills()
        changed: set[Part] = {"state"}
        if message.job is None:
            missing = f"no installed package has runs of the kind {message.kind!r}: its events are shown as steps"
            changed |= folding.notice(self.view, "warning", missing)
        if message.damaged:
            more = f" (and {counted(len(message.damaged) - 1, 'more row')})" if len(message.damaged) > 1 else ""
            repair = f"leave this run and repair it: skillos-engine repair {shlex.quote(str(message.path))}"
            changed |= folding.damaged(self.view, f"{message.damaged[0]}{more}; {repair}")
        self._changed(changed)

    async def on_run_lost(self, message: messages.RunLost) -> None:
        from skillos_tui.model import folding

        if message.path != self.path:
            return
        if self.reopened and not self.seen:
            await self.go_home()
            self.note(f"The run of the last time cannot be opened: {message.why}", "warning")
        else:
            self.lost = True
            folding.notice(self.view, "error", message.why)
            self._changed({"notice", "state"})

    def on_events_read(self, message: messages.EventsRead) -> None:
        from skillos_tui.model import folding

        if message.path != self.path:
            return
        self.seen = max(self.seen, message.last)
        parts: set[Part] = set()
        for event in message.events:
            parts |= folding.fold(self.view, event)
        if message.measured_at is not None:
            self.view.measured_at = message.measured_at
        self._changed(parts)
        self._call_a_person()

    def _call_a_person(self) -> None:
        """Ring where something new waits for a person; what was there when the run was opened is known."""
        if not self.caught_up or self.engine is None:
            return
        if self.known is None:
            from skillos_tui.attention import Watch

            self.known = Watch()
            self.known.begin(self.view, self.shown_state)
        for text in self.known.look(self.view, self.shown_state):
            self.client.ring(self.how, text)

    async def on_past_read(self, message: messages.PastRead) -> None:
        """The run is on the screen: restore the place, and show what happened since the last visit."""
        from skillos_tui.model import folding

        if message.path != self.path:
            return
        self.caught_up = True
        self._changed({"review", *folding.put_damage_last(self.view)})
        place, self._place = self._place, None
        if message.news:
            self.news = message.news
            self.set_timer(NEWS_SECONDS, partial(self._end_news, message.news))
            self._changed({"notice"})
        if place:
            await self.keeper.restore(place)
        if message.news and self.shown_screen != "live":
            self.notify(safe(message.news), markup=False, timeout=12)
        self.call_after_refresh(self.keeper.restored, message.path)
        if not self.is_headless:
            self.call_after_refresh(gc.freeze)  # what was read stays; `skillos_tui.terminal.garbage`

    def _end_news(self, news: str) -> None:
        if self.news == news:
            self.news = ""
            self._changed({"notice"})

    def on_engine_seen(self, message: messages.EngineSeen) -> None:
        if message.path == self.path:
            self.engine = message
            self._changed({"state"})
            self._call_a_person()

    def on_repo_read(self, message: messages.RepoRead) -> None:
        if message.path == self.path:
            self.names, self.left_out = message.names, message.left_out
            self._changed({"skills"})

    def on_runs_found(self, message: messages.RunsFound) -> None:
        self._pass_on(message)

    def on_skill_read(self, message: messages.SkillRead) -> None:
        self._pass_on(message)

    def on_trajectory_read(self, message: messages.TrajectoryRead) -> None:
        self._pass_on(message)

    def on_decision_taken(self, message: messages.DecisionTaken) -> None:
        """Drop the draft of a reason or a text that was sent; restore the reason of a veto that was undone. A text that was
        not sent is kept, also what was typed in another workbench: the decision may be undone."""
        if message.action == "amend":
            self.session.keep_draft(message.path, text_key(message.edit), "")
        elif message.action == "veto" and message.after.decision is not None:
            for draft in (message.edit, REST):
                self.session.drop_sent(message.path, draft, message.after.decision.reason)
        elif message.action == "undo" and message.before.state == "vetoed" and message.before.decision is not None:
            draft = self.session.draft(message.path, message.edit) or message.before.decision.reason
            self.session.keep_draft(message.path, message.edit, draft)
        if message.path == self.path:
            self._changed(self.view.decided_here(message.before, message.after))
            self._pass_on(message)

    def on_decision_refused(self, message: messages.DecisionRefused) -> None:
        self.client.decisions(message.path).refuse(message.edit)
        self.note(message.why, "error")
        if message.path == self.path:
            self._pass_on(message)

    def on_answered(self, message: messages.Answered) -> None:
        if message.path in (None, self.path):
            self._pass_on(message)

    def on_source_read(self, message: messages.SourceRead) -> None:
        self._pass_on(message)

    def on_import_refused(self, message: messages.ImportRefused) -> None:
        if not (self.screen.is_modal and isinstance(self.screen, Listener)):  # the dialog was left meanwhile
            self.note(message.why, "error")
        self._pass_on(message)

    def on_skills_imported(self, message: messages.SkillsImported) -> None:
        self.note(message.text, "information")
        self._pass_on(message)

    def on_notified(self, message: messages.Notified) -> None:
        self.note(message.text, message.level)

    def note(self, text: str, level: SeverityLevel) -> None:
        """Show a notification; of a long one, the first and the last lines."""
        lines = [safe(line) for line in text.strip().splitlines()]
        shown = lines if len(lines) <= MAX_LINES else [lines[0], "…", *lines[2 - MAX_LINES :]]
        seconds = 12 if level == "error" else 5
        self.notify("\n".join(shown), severity=level, timeout=seconds, markup=False)

    def _pass_on(self, message: messages.Reply) -> None:
        """Give a reply to the screens, also to Home and those that are kept: one of them may have asked."""
        shown = self._listeners()
        home = [screen for screen in self._screen_stacks.get(LOWEST[False], ())[:1] if isinstance(screen, FullScreen)]
        kept = [screen for screen in (*home, *self.navigator.kept.values()) if screen.is_running]
        for screen in (*shown, *(screen for screen in kept if screen not in shown)):
            screen.take(message)

    def _changed(self, parts: set[Part]) -> None:
        """Renew the screens where these parts of the run are shown."""
        for screen in self._listeners() if parts else ():
            screen.renew(parts)

    def _listeners(self) -> list[Listener]:
        """The screens of the present mode; none while the app ends and removes their panes one by one."""
        return [screen for screen in self.screen_stack if isinstance(screen, Listener)] if self.is_running else []
