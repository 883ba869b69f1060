"""The app of the workbench; `skillos_tui.command` starts it.

It shows runs and takes decisions. Engines do the work, in processes of their own, so closing this program, or the terminal
it runs in, stops nothing.
"""

from __future__ import annotations

import gc
import shlex
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from textual import events
from textual.app import SystemCommand
from textual.filter import ANSIToTruecolor, Monochrome, NoColor
from textual.screen import Screen

from engine.core.registry import UnknownPart
from skillos_tui.keymap import APP_KEYS, APP_TITLE, TABS, Key, OwnKeys, bindings, rebind, sections_of
from skillos_tui.model.session import Session
from skillos_tui.model.target import Target
from skillos_tui.model.view import RunView
from skillos_tui.replies import Replies
from skillos_tui.screens.appearing import Appearing
from skillos_tui.screens.base import FullScreen, Listener
from skillos_tui.screens.kind import ScreenKind
from skillos_tui.screens.naming import key_of
from skillos_tui.screens.navigator import Navigator
from skillos_tui.screens.palette import Palette
from skillos_tui.screens.place import PlaceKeeper
from skillos_tui.screens.registry import SCREENS, load_shipped, make_screen
from skillos_tui.themes import Theme, Themes
from skillos_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from engine.core.records import Check
    from skillos_tui.attention import How, Watch

HOME, RUN, SKILLS = "home", "run", "skills"
LOWEST = {HOME: "home", RUN: "live", SKILLS: "skills"}
"""The modes of the app, and the lowest screen of each."""
LOAD_SECONDS = 1.0
"""After how long the other screens are loaded, when a run has been read."""
KEY_ACTIONS = frozenset(key.action.partition("(")[0].removeprefix("app.") for key in (*APP_KEYS, *TABS.values()))
"""The actions of the keys that act on every screen."""


class SkillosApp(Replies):
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
        themes: Themes,
        theme: str,
        folder: Path | None,
        run: Path | None = None,
        session: Session | None = None,
        *,
        reopened: bool = False,
        keys: OwnKeys | None = None,
        troubles: Sequence[str] = (),
        linear: bool = False,
        skills: Path | None = None,
        how: How | None = None,
    ) -> None:
        """`reopened` is true when the run, or Home, is that of the last time, not what was asked for. `troubles` are
        sentences about files of the person, shown after the first paint. `skills` is a folder of skills to show, without a
        run. `how` is how the person is called for what waits; None is the default."""
        self.themes = themes
        mode = RUN if run else SKILLS if skills else HOME
        self.DEFAULT_MODE = mode  # type: ignore[misc]  # Textual reads it once, in its own __init__
        super().__init__(themes[theme], folder, run, session or Session(), keys)
        self._bindings = rebind(self._bindings, self, self.own_keys, tuple(TABS.values()))
        self.troubles = troubles
        self._key_names: dict[str, str] = {}
        """The keys that texts have named, by their actions."""
        self.begin_linear(linear)
        self.skills, self.how = skills, how
        self.known: Watch | None = None
        """What the person knows of the open run already; None until the run has been read and its engine looked at."""
        self.reopened = reopened
        self.keeper = PlaceKeeper(self)
        self._place = self.session.place(run) if run else None
        self.preflight: list[Check] = []
        """The checks of the run that is being started."""
        self.navigator = Navigator(self)
        self.screen_kinds: tuple[ScreenKind, ...] = ()
        """The full screens, those of installed packages included; empty until they have been looked up."""
        if self.no_color:
            self._filters = [NoColor() if isinstance(each, Monochrome) else each for each in self._filters]
            self.own_theme = self.own_theme.without_colours()
        self.register_theme(self.own_theme.textual)
        self._set_first_theme(self.own_theme)

    def _set_first_theme(self, theme: Theme) -> None:
        """Set the theme of the first paint. Setting `self.theme` here would parse every style sheet twice."""
        self.set_reactive(SkillosApp.theme, theme.textual.name)
        self.stylesheet.set_variables(self.get_css_variables())
        self._use_own_colours(theme)
        self.set_class(theme.textual.dark, "-dark-mode", update=False)
        self.set_class(not theme.textual.dark, "-light-mode", update=False)

    def get_default_screen(self) -> Screen[Any]:
        """The first screen. A mode that is listed in `MODES` would parse all style sheets again before the first paint."""
        return make_screen(LOWEST[self.current_mode])

    def get_screen(self, screen: Any, screen_class: Any = None) -> Any:
        """Textual's, which is asked for each screen before it is opened."""
        found = super().get_screen(screen, screen_class)
        if isinstance(found, Appearing) and not found.is_running:
            found.fit(self)
        return found

    def key_of(self, action: str) -> str:
        if action not in self._key_names:
            self._key_names[action] = key_of(self.own_keys, action)
        return self._key_names[action]

    def on_mount(self) -> None:
        for mode in LOWEST:
            self.add_mode(mode, partial(make_screen, LOWEST[mode]))
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """Start what can wait for the first paint."""
        self.collect_between_keys()
        self.keeper.begin()
        for trouble in self.troubles:
            self.note(trouble, "error")
        if self.path and self._place:
            self.view.follow(*self._place.follows)
            self.client.open(self.path, self._place.seen)
        elif self.reopened:
            self.call_after_refresh(self.keeper.restore, self.session.saved.home)
        else:
            self.session.keep_home()
        self.run_worker(self._find_screens, name="screens", thread=True)
        self.set_timer(LOAD_SECONDS, Thread(target=load_shipped, name="screens", daemon=True).start)

    def on_unmount(self) -> None:
        self.client.end()

    async def _on_key(self, event: events.Key) -> None:
        """Act on a key that no widget took. The bindings that come before all others are looked up again: the key before
        it, of the same burst, may have closed the dialog that this one was given to."""
        event.prevent_default()  # Textual calls the handlers of all bases
        for first in (True, False):
            if await self._check_bindings(event.key, priority=first):
                return
        if isinstance(self.screen, Appearing):
            self.screen.untaken(event.key)

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
                self.call_from_thread(self.note, str(error), "warning")
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
            self.note(str(error), "error")
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
        gc.unfreeze()  # what is left of the run before can be collected
        self.path, self.view, self.engine, self.names = path, RunView(), None, None
        self.skills = None
        self.left_out = ()
        self.lost, self.caught_up, self.reopened, self.seen, self.news, self._place = False, False, False, 0, "", None
        self.read_only, self.known = "", None
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

    # Actions of all screens

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every screen, and every action of the screen, of its panes and of the app, for the palette."""
        for kind in self._offered(screen):
            run = partial(self.run_action, f"show_screen('{kind.name}')", self)
            yield SystemCommand(f"{kind.title} (screen)", kind.help, run)
        for owner in (screen, screen.focused, self):
            for key in (key for _, keys in sections_of(owner, self.own_keys) for key in keys):
                if key.action != "command_palette":
                    run = partial(self.run_action, key.action, owner)
                    yield SystemCommand(key.label.capitalize(), f"{key.help}  ({key.shown})", run)
        for pane in self._other_panes(screen):
            where = pane.title_text.partition(" · ")[0] or "another pane"
            own = [keys for title, keys in sections_of(pane, self.own_keys) if title != Pane.KEYS_TITLE]
            for key in chain.from_iterable(own):
                go = partial(self._run_in, pane, key.action)
                yield SystemCommand(key.label.capitalize(), f"{key.help}  ({key.shown} in {where})", go)
        yield SystemCommand("Picture", "Save a picture of this screen as SVG", self.action_picture)

    def _other_panes(self, screen: Screen[Any]) -> list[Pane]:
        """The panes of the screen that are shown and do not have the focus."""
        names = screen.PANES if isinstance(screen, FullScreen) else ()
        panes = [screen.query_one(f"#{name}", Pane) for name in names]
        return [pane for pane in panes if pane is not screen.focused and not pane.has_class("-empty")]

    async def _run_in(self, pane: Pane, action: str) -> None:
        """Go to a pane of the screen, and run an action of it."""
        if isinstance(self.screen, FullScreen):
            self.screen.go_to(str(pane.id))
        await self.run_action(action, pane)

    def action_command_palette(self) -> None:
        """Find any action or screen by name."""
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    async def action_keys(self) -> None:
        from skillos_tui.screens.keys.screen import KeysScreen

        await self.push_screen(KeysScreen(self.screen, self.screen_keys))

    async def action_glossary(self) -> None:
        """Explain the words of the workbench."""
        from skillos_tui.screens.glossary.screen import GlossaryScreen

        await self.push_screen(GlossaryScreen())

    async def open_skills(self, folder: Path) -> None:
        """Show a folder of skills, without a run."""
        self.navigator.remember()
        await self.reopen_skills(folder)

    async def reopen_skills(self, folder: Path) -> None:
        await self._go_home()
        self.skills = folder
        await self.remove_mode(SKILLS)
        await self.navigator.forget(SKILLS)
        self.add_mode(SKILLS, partial(make_screen, LOWEST[SKILLS]))
        await self.switch_mode(SKILLS)

    async def action_choose_theme(self) -> None:
        """Choose among the themes; each is shown when the cursor is on it."""
        from skillos_tui.screens.theming.screen import ThemeScreen

        await self.push_screen(ThemeScreen(self.themes, self.own_theme.name), self._keep_theme)

    def _keep_theme(self, name: str | None) -> None:
        if name and name != self.session.saved.theme:
            self.session.keep_theme(name)

    def _use_own_colours(self, theme: Theme) -> None:
        """Let the 16 colours of the terminal be its own where the theme uses them; else Textual gives them fixed values."""
        for each in self._filters:
            if isinstance(each, ANSIToTruecolor):
                each.enabled = not theme.textual.ansi

    def use_theme(self, theme: Theme) -> None:
        """Show everything in this theme."""
        self.own_theme = theme.without_colours() if self.no_color else theme
        self.register_theme(theme.textual)
        self.theme = theme.textual.name
        self._use_own_colours(theme)
        for screen in self.screen_stack:
            screen.refresh(layout=True)

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
