"""The way through the screens: which are kept, and the places that the key b returns to.

    await navigator.go(Target("review", "e12"))     # show a place, and remember the present one
    await navigator.back()                          # return to it, also into the run that was open then

A screen that was opened is kept until its run is closed, so that it is found as it was left and appears without being made
again: its cursor, its scroll position and what it has read. The screens of Home are kept apart from those of the run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from skillos_tui.model.target import Target
from skillos_tui.screens.base import FullScreen
from skillos_tui.screens.registry import make_screen

if TYPE_CHECKING:
    from skillos_tui.workbench import Workbench

MAX_TRAIL = 100
"""Places that `back` remembers."""


class Opened(NamedTuple):
    """What is open: a run, or a folder of skills; neither on Home."""

    run: Path | None
    skills: Path | None


class Navigator:
    """The screens of `app` beside the lowest one of each mode. `trail` is where the person was, with the open run, or the
    folder of skills that was open without one."""

    def __init__(self, app: Workbench) -> None:
        self.app = app
        self.trail: list[tuple[Opened, Target]] = []
        self.kept: dict[tuple[str, str], FullScreen] = {}
        """The screens that were opened, by mode and name."""

    @property
    def present(self) -> Target | None:
        """The place of the full screen on top, below the dialogs; None before there is one."""
        full = [screen for screen in self.app.screen_stack if isinstance(screen, FullScreen)]
        return Target(full[-1].NAME, full[-1].here()) if full else None

    @property
    def opened(self) -> Opened:
        """What is open now."""
        return Opened(self.app.path, self.app.skills)

    def remember(self) -> None:
        """Remember the present place as the one that `back` returns to."""
        if (place := self.present) is not None and (self.opened, place) not in self.trail[-1:]:
            self.trail = [*self.trail, (self.opened, place)][-MAX_TRAIL:]

    async def go(self, target: Target) -> None:
        """Show a place, and remember the present one if it is another."""
        before, trail = (self.opened, self.present), self.trail
        self.remember()
        shown = await self.app.show(target)
        # A screen that stays goes to its new place later, when it has read what is there.
        stayed = before == (self.opened, self.present) and target.at in ("", before[1].at if before[1] else "")
        if not shown or stayed:
            self.trail = trail

    async def back(self) -> None:
        """Return to the place before the last `go`; where another run or folder was open there, into that one."""
        if not self.trail:
            self.app.notify("There is no place to go back to.", markup=False)
            return
        *self.trail, (opened, target) = self.trail
        if opened.run is not None and opened.run != self.app.path:
            await self.app.reopen(opened.run, target)
            return
        if opened.skills is not None and opened.skills != self.app.skills:
            await self.app.reopen_skills(opened.skills)
        await self.app.show(target)

    async def open(self, name: str, *, restored: bool = False) -> None:
        """Show a screen in the place of the one above the lowest; dialogs are closed. Raises `UnknownPart`."""
        app = self.app
        screen = self._screen(name, restored=restored)
        while len(app.screen_stack) > 1 and not isinstance(app.screen, FullScreen):
            await app.pop_screen()
        if app.screen is screen:
            return
        if screen.is_running:
            screen.reappear()
        if screen in app.screen_stack:
            await self.close_upper()
        elif len(app.screen_stack) > 1:
            await app.switch_screen(screen)
        else:
            await app.push_screen(screen)

    def _screen(self, name: str, *, restored: bool) -> FullScreen:
        """The screen of this name in the present mode; made now if it has not been opened yet."""
        lowest = self.app.screen_stack[0]
        if isinstance(lowest, FullScreen) and name == lowest.NAME:
            return lowest
        key = (self.app.current_mode, name)
        if key not in self.kept:
            screen = make_screen(name)
            screen.restored = restored
            self.app.install_screen(screen, "/".join(key))
            self.kept[key] = screen
        return self.kept[key]

    async def close_upper(self) -> None:
        """Close what is above the lowest screen."""
        while len(self.app.screen_stack) > 1:
            await self.app.pop_screen()

    async def forget(self, mode: str) -> None:
        """Remove the screens that are kept of a mode; none of them is shown."""
        for key in [key for key in self.kept if key[0] == mode]:
            screen = self.kept.pop(key)
            self.app.uninstall_screen(screen)
            if screen.is_running:
                await screen.remove()
