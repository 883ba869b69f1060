"""The app of the workbench; `skillos_tui.command` starts it.

It shows runs and takes decisions; the work is done by engines in processes of their own, so closing this program, or
the terminal it runs in, stops nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import SystemCommand
from textual.screen import Screen

from engine.runs.events import Notice
from skillos_tui.client import messages
from skillos_tui.command import main
from skillos_tui.keymap import KEYMAP, bindings
from skillos_tui.model.session import Session
from skillos_tui.model.view import Part, RunView
from skillos_tui.render.text import Line, line, safe
from skillos_tui.screens.base import RoomScreen
from skillos_tui.screens.place import Keeper, chosen_look, last_run, state_home
from skillos_tui.terminal.app import TerminalApp
from skillos_tui.themes import Look, ThemeError, load_looks
from skillos_tui.widgets.state import state_line

if TYPE_CHECKING:
    from engine.runs.status import ShownState
    from skillos_tui.client.client import Client
    from skillos_tui.command import Options
    from skillos_tui.terminal.tty import Tty
    from skillos_tui.widgets.bars import Fitting

NEWS_SECONDS = 60.0
"""For how long it is said what happened while the person was away."""
MAX_TOLD = 6
"""Lines of a message that are shown; of a longer one the first and the last."""


class SkillosApp(TerminalApp[str]):
    """The program: one run at most is open; `view` is what its events have told so far."""

    CSS_PATH: ClassVar = [
        "app.tcss",
        "screens/home/screen.tcss",
        "screens/live/screen.tcss",
    ]
    BINDINGS = bindings("app")
    TITLE = "SkillOS"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-wide")]  # noqa: RUF012 - Textual declares it so
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-middling"), (32, "-high")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self,
        looks: dict[str, Look],
        look: str,
        folder: Path | None,
        run: Path | None = None,
        session: Session | None = None,
        *,
        reopened: bool = False,
    ) -> None:
        """`reopened` says that the run is the one of the last time, not one that was asked for."""
        self.looks = looks
        self.look = looks[look]
        super().__init__()
        self.folder = folder
        self.session = session or Session()
        self.path = run
        self.reopened = reopened
        self.keeper = Keeper(self)
        self.seen = 0
        self.news = ""
        self._place = self.session.place(run) if run else None
        self.run_id = ""
        self.view = RunView()
        self.engine: messages.EngineSeen | None = None
        self.names: tuple[str, ...] | None = None
        self.lost = False
        self.caught_up = False
        """Whether all that was in the log when the run was opened has been folded."""
        for each in looks.values():
            self.register_theme(each.theme)
        self._begin_with(self.look)

    def _begin_with(self, look: Look) -> None:
        """Take the theme for the first one. To set `theme` here would have every style sheet parsed twice at the start."""
        self.set_reactive(SkillosApp.theme, look.theme.name)
        self.stylesheet.set_variables(self.get_css_variables())
        self.set_class(look.theme.dark, "-dark-mode", update=False)
        self.set_class(not look.theme.dark, "-light-mode", update=False)

    def get_default_screen(self) -> Screen[Any]:
        return self._new_screen("live" if self.path else "home")

    def _new_screen(self, room: str) -> Screen[Any]:
        """A screen of a room; its module is loaded when the first is made."""
        if room == "home":
            from skillos_tui.screens.home.screen import HomeScreen

            return HomeScreen()
        from skillos_tui.screens.live.screen import LiveScreen

        return LiveScreen()

    async def _go(self, room: str) -> None:
        """Show the room's screen: the one below if there is one, else a new one."""
        if any(getattr(screen, "room", "") == room for screen in self.screen_stack):
            while getattr(self.screen, "room", "") != room:
                await self.pop_screen()
        else:
            await self.push_screen(self._new_screen(room))

    @cached_property
    def client(self) -> Client:
        """What talks to runs; loaded after the first paint, which does not need it."""
        from skillos_tui.client.client import Client

        return Client(self, self.folder)

    def on_mount(self) -> None:
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """What can wait for the first paint."""
        gc.enable()
        self.keeper.begin()
        if self.path and self._place:
            self.view.follow(*self._place.follows)
            self.client.open(self.path, self._place.seen)
        else:
            self.session.keep_home()

    def on_unmount(self) -> None:
        self.client.close()

    @property
    def shown_state(self) -> ShownState:
        """The run's state, as its events and its engine's process tell together."""
        return self.engine.state if self.engine else self.view.state

    @property
    def state_line(self) -> Line | Fitting:
        """The line of run state that stands above every screen of a run."""
        if self.lost:
            return line("bad:✗ cannot be read", "axis:  │  ", f"muted:{self.path}")
        return partial(state_line, self.view, self.shown_state, self.run_id, self.silent)

    @property
    def silent(self) -> int:
        """For how many seconds a living engine has given no sign; 0 while it does."""
        return self.engine.silent if self.engine else 0

    async def on_event(self, event: events.Event) -> None:
        """Let the screen hear of each key first; it may drop one that was not meant for it."""
        if isinstance(event, events.Key) and not event.is_forwarded and self.screen_stack:
            screen = self.screen
            if isinstance(screen, messages.Listener) and not screen.hear(event):
                self.note_input(event)
                return
        await super().on_event(event)

    # Runs

    async def open_run(self, path: Path) -> None:
        """Leave the run that is open, if one is, and show another."""
        self.path, self.run_id, self.view, self.engine, self.names = path, "", RunView(), None, None
        self.lost, self.caught_up, self.reopened, self.seen, self.news, self._place = False, False, False, 0, "", None
        self.client.open(path, self.session.place(path).seen)
        await self._go("live")

    async def go_home(self) -> None:
        """Back to the list of runs; the run's engine goes on."""
        self.keeper.keep()
        self.client.close()
        self.path = None
        self.session.keep_home()
        await self._go("home")

    async def on_run_created(self, message: messages.RunCreated) -> None:
        """Show the new run, unless another one has been opened meanwhile."""
        self._hand_on(message)
        if self.path is None:
            covered = self.screen.is_modal
            await self.open_run(message.path)
            if covered and isinstance(self.screen, RoomScreen):
                self.screen.refuse("The new run has come up.")
        else:
            self.notify(f"The new run has started: {message.path.name}", markup=False)

    def on_start_refused(self, message: messages.StartRefused) -> None:
        self.on_told(messages.Told("error", message.why))
        self._hand_on(message)

    def on_run_opened(self, message: messages.RunOpened) -> None:
        if message.path == self.path:
            self.run_id = message.id
            self.client.follow_skills()
            self._changed({"state"})

    async def on_run_lost(self, message: messages.RunLost) -> None:
        if message.path != self.path:
            return
        if self.reopened and not self.seen:
            await self.go_home()
            self.on_told(messages.Told("warning", f"The run of the last time cannot be opened: {message.why}"))
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
        """The run is on the screen: go to where the person was, and say what happened since."""
        if message.path != self.path:
            return
        self.caught_up = True
        self._changed({"review"})
        place, self._place = self._place, None
        if message.news:
            self.news = message.news
            self.set_timer(NEWS_SECONDS, partial(self._end_news, message.news))
            self._changed({"notice"})
        if place:
            await self.keeper.restore(place)
        if message.news and getattr(self.screen, "room", "") != "live":
            self.notify(safe(message.news), markup=False, timeout=12)
        self.call_after_refresh(self.keeper.arrived, message.path)

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
            self.names = message.names
            self._changed({"skills"})

    def on_runs_found(self, message: messages.RunsFound) -> None:
        self._hand_on(message)

    def on_skill_read(self, message: messages.SkillRead) -> None:
        self._hand_on(message)

    def on_trajectory_read(self, message: messages.TrajectoryRead) -> None:
        self._hand_on(message)

    def on_decision_taken(self, message: messages.DecisionTaken) -> None:
        """A reason that was sent is no draft any more; that of a veto that was undone is one again."""
        if message.action == "veto":
            self.session.keep_draft(message.path, message.edit, "")
        elif message.action == "undo" and message.before is not None and message.before.decision == "vetoed":
            draft = self.session.draft(message.path, message.edit) or message.before.reason
            self.session.keep_draft(message.path, message.edit, draft)
        if message.path == self.path:
            record = message.record
            self._changed(self.view.decided_here(record.proposal, record.state, record.decision))
            self._hand_on(message)

    def on_decision_refused(self, message: messages.DecisionRefused) -> None:
        self.client.decisions(message.path).refuse(message.edit)
        self.on_told(messages.Told("error", message.why))
        if message.path == self.path:
            self._hand_on(message)

    def on_told(self, message: messages.Told) -> None:
        lines = [safe(text) for text in message.text.strip().splitlines()]
        shown = lines if len(lines) <= MAX_TOLD else [lines[0], "…", *lines[2 - MAX_TOLD :]]
        seconds = 12 if message.level == "error" else 5
        self.notify("\n".join(shown), severity=message.level, timeout=seconds, markup=False)

    def _hand_on(self, message: messages.Reply) -> None:
        """Give a reply to the screens that asked for it."""
        for screen in self._listeners():
            screen.take(message)

    def _changed(self, parts: set[Part]) -> None:
        """Tell the screens which parts of the run have changed."""
        for screen in self._listeners() if parts else ():
            screen.renew(parts)

    def _listeners(self) -> list[messages.Listener]:
        """The screens to be told; none while the app ends, for then they lose their panes one by one."""
        return (
            [screen for screen in self.screen_stack if isinstance(screen, messages.Listener)] if self.is_running else []
        )

    # Actions of all screens

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every action of the screen and of the app, for the palette."""
        focused = screen.focused
        places = [(getattr(screen, "room", ""), screen), *((room, focused) for room in getattr(focused, "ROOMS", ()))]
        for room, place in (*places, ("app", self)):
            for key in KEYMAP.get(room, ()):
                if key.action != "command_palette":
                    run = partial(self.run_action, key.action, place)
                    yield SystemCommand(key.label.capitalize(), f"{key.help}  ({key.shown})", run)
        yield SystemCommand("Picture", "Save a picture of this screen as SVG", self.action_picture)

    async def action_keys(self) -> None:
        from skillos_tui.screens.keys.screen import KeysScreen

        await self.push_screen(KeysScreen(getattr(self.screen, "room", "app")))

    def action_switch_theme(self) -> None:
        names = list(self.looks)
        self.look = self.looks[names[(names.index(self.look.name) + 1) % len(names)]]
        self.theme = self.look.theme.name
        self.session.keep_theme(self.look.name)

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
        """Quit, and say what goes on."""
        self.keeper.keep()
        alive = self.engine is not None and self.engine.alive and self.path is not None
        self.exit(f"The engine goes on. See it again: skillos-tui {self.path}" if alive else None)


def make(options: Options, tty: Tty) -> SkillosApp:
    """The app that the command's options ask for, in this terminal. Ends the program where they name what is not there."""
    looks = shipped_looks(options.theme)
    session = Session.load(options.state or state_home())
    look = options.theme or chosen_look(session, looks) or ("light" if tty.dark() is False else "dark")
    folder = options.runs.expanduser().absolute() if options.runs else None
    run = find_run(options.run, folder) if options.run else None
    last = None if options.run or options.home else last_run(session, folder)
    app = SkillosApp(looks, look, folder, run or last, session, reopened=last is not None)
    app.tty = tty
    return app


def shipped_looks(named: str | None) -> dict[str, Look]:
    """The themes by name. Ends the program where one cannot be used, or where there is none of the name."""
    try:
        looks = load_looks()
    except ThemeError as error:
        raise SystemExit(f"skillos-tui: {error}") from error
    if named and named not in looks:
        raise SystemExit(f"skillos-tui: there is no theme {named!r}; the themes are: {', '.join(looks)}")
    return looks


def find_run(name: str, folder: Path | None) -> Path:
    """The run's directory from a path, or from an id in `folder`. Ends the program when there is none."""
    path = Path(name).expanduser()
    if path.is_dir():
        return path.absolute()
    folder = folder or runs_home()
    if (folder / name).is_dir():
        return folder / name
    raise SystemExit(f"skillos-tui: there is no run {name!r}: neither a directory, nor a run in {folder}")


def runs_home() -> Path:
    """Where runs are kept unless a folder is named."""
    from engine.runs import supervisor

    return supervisor.runs_home()


if __name__ == "__main__":
    main()
