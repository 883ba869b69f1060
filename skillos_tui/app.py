"""The app of the workbench; `skillos_tui.command` starts it.

It shows runs and takes decisions. Engines do the work, in processes of their own, so closing this program, or the terminal
it runs in, stops nothing.
"""

from __future__ import annotations

import gc
import shlex
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from textual import events
from textual.app import SystemCommand
from textual.screen import Screen

from engine.core.events import Notice
from engine.core.records import Check
from engine.core.registry import UnknownPart
from engine.core.text import counted
from skillos_tui.answering import AnsweringApp
from skillos_tui.client import messages
from skillos_tui.keymap import APP_KEYS, APP_TITLE, TABS, Key, OwnKeys, bindings, rebind, sections_of
from skillos_tui.model.session import Session, text_key
from skillos_tui.model.target import Target
from skillos_tui.model.view import Part, RunView
from skillos_tui.render.text import safe
from skillos_tui.screens.base import FullScreen, Listener
from skillos_tui.screens.kind import ScreenKind
from skillos_tui.screens.navigator import Navigator
from skillos_tui.screens.place import PlaceKeeper
from skillos_tui.screens.registry import SCREENS, make_screen
from skillos_tui.themes import Theme

HOME, RUN = "home", "run"
LOWEST = {HOME: "home", RUN: "live"}
"""The modes of the app, and the lowest screen of each."""
NEWS_SECONDS = 60.0
"""How long the summary of what happened since the last visit is shown."""
KEY_ACTIONS = frozenset(key.action.partition("(")[0].removeprefix("app.") for key in (*APP_KEYS, *TABS.values()))
"""The actions of the keys that act on every screen."""
MAX_LINES = 6
"""Lines of a notification; of a longer one the first and the last are shown."""


class SkillosApp(AnsweringApp):
    """The program."""

    # With the styles of the lowest screens, since Textual parses every sheet again for each one that a screen adds.
    CSS_PATH: ClassVar = ["app.tcss", *(f"screens/{name}/screen.tcss" for name in LOWEST.values())]
    KEYS_TITLE, KEYS = APP_TITLE, APP_KEYS
    BINDINGS = bindings((*APP_KEYS, *TABS.values()))
    TITLE = "SkillOS"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-wide")]  # noqa: RUF012 - Textual declares it so
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-middling"), (32, "-high")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self,
        themes: dict[str, Theme],
        theme: str,
        folder: Path | None,
        run: Path | None = None,
        session: Session | None = None,
        *,
        reopened: bool = False,
        keys: OwnKeys | None = None,
        troubles: Sequence[str] = (),
        linear: bool = False,
    ) -> None:
        """`reopened` is true when the run, or Home, is that of the last time, not what was asked for. `troubles` are
        sentences about files of the person, shown after the first paint."""
        self.themes = themes
        self.DEFAULT_MODE = RUN if run else HOME  # type: ignore[misc]  # Textual reads it once, in its own __init__
        super().__init__(themes[theme], folder, run, session or Session(), keys)
        self._bindings = rebind(self._bindings, self, self.own_keys, tuple(TABS.values()))
        self.troubles = troubles
        self.begin_linear(linear)
        self.reopened = reopened
        self.keeper = PlaceKeeper(self)
        self._place = self.session.place(run) if run else None
        self.preflight: list[Check] = []
        """The checks of the run that is being started."""
        self.navigator = Navigator(self)
        self.screen_kinds: tuple[ScreenKind, ...] = ()
        """The full screens, those of installed packages included; empty until they have been looked up."""
        for each in themes.values():
            self.register_theme(each.textual)
        self._set_first_theme(self.own_theme)

    def _set_first_theme(self, theme: Theme) -> None:
        """Set the theme of the first paint. Setting `self.theme` here would parse every style sheet twice."""
        self.set_reactive(SkillosApp.theme, theme.textual.name)
        self.stylesheet.set_variables(self.get_css_variables())
        self.set_class(theme.textual.dark, "-dark-mode", update=False)
        self.set_class(not theme.textual.dark, "-light-mode", update=False)

    def get_default_screen(self) -> Screen[Any]:
        """The first screen. A mode that is listed in `MODES` would parse all style sheets again before the first paint."""
        return make_screen(LOWEST[self.current_mode])

    def on_mount(self) -> None:
        for mode, name in LOWEST.items():
            self.add_mode(mode, partial(make_screen, name))
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """Start what can wait for the first paint."""
        gc.enable()
        self.keeper.begin()
        for trouble in self.troubles:
            self.on_notified(messages.Notified("error", trouble))
        if self.path and self._place:
            self.view.follow(*self._place.follows)
            self.client.open(self.path, self._place.seen)
        elif self.reopened:
            self.call_after_refresh(self.keeper.restore, self.session.saved.home)
        else:
            self.session.keep_home()
        self.run_worker(self._find_screens, name="screens", thread=True)

    def on_unmount(self) -> None:
        self.client.close()

    async def on_event(self, event: events.Event) -> None:
        """Pass each key to the screen first, which may drop it."""
        if isinstance(event, events.Key) and not event.is_forwarded and self.screen_stack:
            screen = self.screen
            if isinstance(screen, Listener) and not screen.hear(event):
                self.note_input(event)
                return
        await super().on_event(event)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The keys of the app do nothing while a dialog is open, which may use them itself."""
        if action in KEY_ACTIONS and self.screen_stack and self.screen.is_modal:
            return False
        return super().check_action(action, parameters)

    # Screens

    def _find_screens(self) -> None:
        """Look up the screens that packages add, in a thread: reading the metadata of all packages takes 7 to 20 ms."""
        kinds: list[ScreenKind] = []
        for name in SCREENS.names():
            try:
                kinds.append(SCREENS.load(name))
            except UnknownPart as error:
                self.call_from_thread(self.on_notified, messages.Notified("warning", str(error)))
        self.call_from_thread(self._add_screens, tuple(kinds))

    def _add_screens(self, kinds: tuple[ScreenKind, ...]) -> None:
        self.screen_kinds = kinds
        for key in self.screen_keys:
            self.bind(key.keys, key.action, description=key.label, show=False)

    @property
    def screen_keys(self) -> tuple[Key, ...]:
        """The keys that open a screen from any other one."""
        keys = [
            Key(kind.key, f"show_screen('{kind.name}')", kind.title.lower(), kind.help, id=f"app.{kind.name}")
            for kind in self.screen_kinds
            if kind.key
        ]
        return self.own_keys.all_of("app", keys)

    def _offered(self, screen: Screen[Any]) -> list[ScreenKind]:
        """The screens that can be opened from this one."""
        here = screen.NAME if isinstance(screen, FullScreen) else ""
        return [kind for kind in self.screen_kinds if kind.name != here and (self.path or not kind.needs_run)]

    async def action_show_screen(self, name: str) -> None:
        """Show a full screen by its name in the registry, as the person left it."""
        await self.go(Target(name))

    async def go(self, target: Target) -> None:
        await self.navigator.go(target)

    async def action_go_back(self) -> None:
        """Return to the place before the last `go`."""
        await self.navigator.back()

    async def show(self, target: Target) -> bool:
        try:
            kind = SCREENS.load(target.screen)
            if kind.needs_run and self.path is None:
                self.notify(f"{kind.title} shows a run; open one first.", severity="warning", markup=False)
                return False
            if target.screen == HOME:
                await self._go_home()
            else:
                await self.open_screen(target.screen)
        except UnknownPart as error:
            self.on_notified(messages.Notified("error", str(error)))
            return False
        screen = self.screen
        if target.at and isinstance(screen, FullScreen) and target.screen == screen.NAME:
            self.call_after_refresh(screen.arrive, target.at)
        return True

    @property
    def shown_screen(self) -> str:
        """The name of the full screen on top; "" where it is a dialog."""
        return self.screen.NAME if isinstance(self.screen, FullScreen) else ""

    async def open_screen(self, name: str, *, restored: bool = False) -> None:
        """Close the screens above the lowest one, and open this one on it, unless it is open. Raises `UnknownPart`."""
        await self.navigator.open(name, restored=restored)

    def _load_screen_css(self, screen: Screen[Any]) -> None:
        """Add the style sheets of a screen that is opened for the first time. Textual would parse all sheets again, and
        style all that is shown; here only the new ones are parsed, since the others are cached."""
        for path in screen.css_path:
            if not self.stylesheet.has_source(str(path), ""):
                self.stylesheet.read(path)
        super()._load_screen_css(screen)

    # Runs

    async def open_run(self, path: Path) -> None:
        """Close the run that is open, if one is, and show another."""
        self.navigator.remember()
        await self._open_run(path)

    async def reopen(self, path: Path, target: Target) -> None:
        await self._open_run(path)
        self._place = msgspec.structs.replace(self.session.place(path), screen=target.screen, at=target.at)

    async def _open_run(self, path: Path) -> None:
        self.path, self.view, self.engine, self.names = path, RunView(), None, None
        self.left_out = ()
        self.lost, self.caught_up, self.reopened, self.seen, self.news, self._place = False, False, False, 0, "", None
        self.read_only = ""
        self.client.open(path, self.session.place(path).seen)
        await self.switch_mode(HOME)
        await self.remove_mode(RUN)
        await self.navigator.forget(RUN)
        self.add_mode(RUN, partial(make_screen, LOWEST[RUN]))
        await self.switch_mode(RUN)

    async def go_home(self) -> None:
        """Back to the list of runs; the run's engine continues."""
        self.navigator.remember()
        await self._go_home()

    async def _go_home(self) -> None:
        self.keeper.keep()
        self.client.close()
        self.path = None
        self.session.keep_home()
        await self.switch_mode(HOME)
        await self.navigator.close_upper()

    async def on_preflight_begun(self, message: messages.PreflightBegun) -> None:
        """Show the preflight, unless a run has been opened meanwhile: then it is shown where it blocks."""
        self.preflight = []
        self._pass_on(message)
        if self.path is None:
            await self._show_preflight()

    def on_preflight_reported(self, message: messages.PreflightReported) -> None:
        if message.check is not None:
            self.preflight.append(message.check)
        self._pass_on(message)

    async def on_preflight_blocked(self, message: messages.PreflightBlocked) -> None:
        from skillos_tui.screens.preflight.screen import PreflightScreen

        if not any(isinstance(screen, PreflightScreen) for screen in self.screen_stack):
            await self._show_preflight()
        self._pass_on(message)

    async def _show_preflight(self) -> None:
        from skillos_tui.screens.preflight.screen import PreflightScreen

        await self.push_screen(PreflightScreen(self.preflight))

    async def on_run_created(self, message: messages.RunCreated) -> None:
        """Show the new run, unless another one has been opened meanwhile."""
        self._pass_on(message)
        if self.path is None:
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
            self.on_notified(messages.Notified("error", message.why))
        self._pass_on(message)

    def on_run_opened(self, message: messages.RunOpened) -> None:
        if message.path != self.path:
            return
        self.read_only = message.read_only
        self.view.identify(message.kind, message.job)
        self.client.follow_skills()
        changed: set[Part] = {"state"}
        if message.job is None:
            missing = f"no installed package has runs of the kind {message.kind!r}: its events are shown as steps"
            changed |= self.view.fold(Notice("warning", missing))
        if message.damaged:
            more = f" (and {counted(len(message.damaged) - 1, 'more row')})" if len(message.damaged) > 1 else ""
            repair = f"leave this run and repair it: skillos-engine repair {shlex.quote(str(message.path))}"
            changed |= self.view.damaged(f"{message.damaged[0]}{more}; {repair}")
        self._changed(changed)

    async def on_run_lost(self, message: messages.RunLost) -> None:
        if message.path != self.path:
            return
        if self.reopened and not self.seen:
            await self.go_home()
            self.on_notified(messages.Notified("warning", f"The run of the last time cannot be opened: {message.why}"))
        else:
            self.lost = True
            self.view.fold(Notice("error", message.why))
            self._changed({"notice", "state"})

    def on_events_read(self, message: messages.EventsRead) -> None:
        if message.path != self.path:
            return
        self.seen = max(self.seen, message.last)
        parts: set[Part] = set()
        for event in message.events:
            parts |= self.view.fold(event)
        self._changed(parts)

    async def on_past_read(self, message: messages.PastRead) -> None:
        """The run is on the screen: restore the place, and show what happened since the last visit."""
        if message.path != self.path:
            return
        self.caught_up = True
        self._changed({"review", *self.view.put_damage_last()})
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

    def _end_news(self, news: str) -> None:
        if self.news == news:
            self.news = ""
            self._changed({"notice"})

    def on_engine_seen(self, message: messages.EngineSeen) -> None:
        if message.path == self.path:
            self.engine = message
            self._changed({"state"})

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
        """Drop the drafts of a reason and a text that were sent; restore the reason of a veto that was undone."""
        if message.action in ("veto", "amend", "approve"):
            self.session.keep_draft(message.path, text_key(message.edit), "")
        if message.action == "veto":
            self.session.keep_draft(message.path, message.edit, "")
        elif message.action == "undo" and message.before.state == "vetoed" and message.before.decision is not None:
            draft = self.session.draft(message.path, message.edit) or message.before.decision.reason
            self.session.keep_draft(message.path, message.edit, draft)
        if message.path == self.path:
            self._changed(self.view.decided_here(message.before, message.after))
            self._pass_on(message)

    def on_decision_refused(self, message: messages.DecisionRefused) -> None:
        self.client.decisions(message.path).refuse(message.edit)
        self.on_notified(messages.Notified("error", message.why))
        if message.path == self.path:
            self._pass_on(message)

    def on_answered(self, message: messages.Answered) -> None:
        if message.path in (None, self.path):
            self._pass_on(message)

    def on_source_read(self, message: messages.SourceRead) -> None:
        self._pass_on(message)

    def on_import_refused(self, message: messages.ImportRefused) -> None:
        if not (self.screen.is_modal and isinstance(self.screen, Listener)):  # the dialog was left meanwhile
            self.on_notified(messages.Notified("error", message.why))
        self._pass_on(message)

    def on_skills_imported(self, message: messages.SkillsImported) -> None:
        self.on_notified(messages.Notified("information", message.text))
        self._pass_on(message)

    def on_notified(self, message: messages.Notified) -> None:
        lines = [safe(text) for text in message.text.strip().splitlines()]
        shown = lines if len(lines) <= MAX_LINES else [lines[0], "…", *lines[2 - MAX_LINES :]]
        seconds = 12 if message.level == "error" else 5
        self.notify("\n".join(shown), severity=message.level, timeout=seconds, markup=False)

    def _pass_on(self, message: messages.Reply) -> None:
        """Give a reply to the screens, also to those that are kept: one of them may have asked."""
        shown = self._listeners()
        kept = [screen for screen in self.navigator.kept.values() if screen not in shown and screen.is_running]
        for screen in (*shown, *kept):
            screen.take(message)

    def _changed(self, parts: set[Part]) -> None:
        """Renew the screens where these parts of the run are shown."""
        for screen in self._listeners() if parts else ():
            screen.renew(parts)

    def _listeners(self) -> list[Listener]:
        """The screens of the present mode; none while the app ends and removes their panes one by one."""
        return [screen for screen in self.screen_stack if isinstance(screen, Listener)] if self.is_running else []

    # Actions of all screens

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every screen, and every action of the screen, of its focused pane and of the app, for the palette."""
        for kind in self._offered(screen):
            run = partial(self.run_action, f"show_screen('{kind.name}')", self)
            yield SystemCommand(f"{kind.title} (screen)", kind.help, run)
        for owner in (screen, screen.focused, self):
            for key in (key for _, keys in sections_of(owner, self.own_keys) for key in keys):
                if key.action != "command_palette":
                    run = partial(self.run_action, key.action, owner)
                    yield SystemCommand(key.label.capitalize(), f"{key.help}  ({key.shown})", run)
        yield SystemCommand("Picture", "Save a picture of this screen as SVG", self.action_picture)

    async def action_keys(self) -> None:
        from skillos_tui.screens.keys.screen import KeysScreen

        await self.push_screen(KeysScreen(self.screen, self.screen_keys))

    def action_switch_theme(self) -> None:
        names = list(self.themes)
        self.own_theme = self.themes[names[(names.index(self.own_theme.name) + 1) % len(names)]]
        self.theme = self.own_theme.textual.name
        self.session.keep_theme(self.own_theme.name)

    def action_picture(self) -> None:
        try:
            path = self.save_screenshot()
        except OSError as error:
            self.notify(
                f"The picture was not saved: {error.strerror} ({error.filename})", severity="error", markup=False
            )
        else:
            self.notify(f"Saved {path}", markup=False)

    async def action_quit(self) -> None:
        self.action_leave()

    def action_leave(self) -> None:
        """Quit, and print how to return to the run if its engine continues."""
        self.keeper.keep()
        alive = self.engine is not None and self.engine.alive and self.path is not None
        self.exit(f"The engine continues. To return: skillos-tui {shlex.quote(str(self.path))}" if alive else None)
