"""Where a person is, saved while they are there and restored at the next start.

    run = last_run(session, folder)                   # the run that was open when the program ended, however it ended
    keeper = PlaceKeeper(app)
    keeper.begin()                                    # from now on the place is on the disk within a second
    await keeper.restore(place)                       # screen, selection, focus and scroll

The place is compared every second and written in a thread when it has changed, so a closed terminal loses one second.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.core.registry import UnknownPart
from skillos_tui.model.session import Place, Session
from skillos_tui.render.text import safe
from skillos_tui.screens.base import FullScreen

if TYPE_CHECKING:
    from skillos_tui.workbench import Workbench

KEEP_SECONDS = 1.0
LOWEST = {False: "home", True: "live"}
"""The lowest screen without a run, and with one."""
SEEN_SECONDS = 5.0
"""While only new events arrive, the place is written no more often than this."""


def state_home() -> Path:
    """Where the session is kept unless a folder is named: the user's state folder."""
    import platformdirs

    return platformdirs.user_state_path("skillos-tui", appauthor=False)


def config_home() -> Path:
    """The user's configuration folder, where `keys.toml` is."""
    import platformdirs

    return platformdirs.user_config_path("skillos-tui", appauthor=False)


def last_run(session: Session, folder: Path | None) -> Path | None:
    """The run to open again; None for the list of runs. Where a runs' folder was named, only a run of that folder."""
    last = Path(session.saved.last) if session.saved.last else None
    return last if last is not None and folder in (None, last.parent) else None


def chosen_theme(session: Session, themes: Collection[str]) -> str:
    """The theme that the person chose last; "" if none was chosen, or it does not exist any more."""
    return session.saved.theme if session.saved.theme in themes else ""


class PlaceKeeper:
    """Saves the place in the open run. `kept` is the newest that was sent to the disk."""

    def __init__(self, app: Workbench) -> None:
        self.app = app
        self.kept: tuple[Path | None, Place] | None = None
        self._ready: Path | None = None
        self._written = 0.0

    def begin(self) -> None:
        """Start comparing the place every second."""
        self.app.set_interval(KEEP_SECONDS, self._compare)

    def restored(self, run: Path) -> None:
        """The run is shown and its place restored: from now on its place is saved."""
        self._ready = run

    def keep(self) -> None:
        """Write the place now; when this returns it is on the disk."""
        place = self._place()
        if place is not None:
            self.kept = place
            self._write(*place)
        elif self.app.path is None:
            self.app.session.keep_home()

    def _write(self, run: Path | None, place: Place) -> None:
        if run is None:
            self.app.session.keep_home(place)
        else:
            self.app.session.keep_place(run, place)

    def _compare(self) -> None:
        place = self._place()
        if place is None or place == self.kept:
            return
        if self.kept is not None and self._is_near(self.kept, place):
            return
        self.kept, self._written = place, time.monotonic()
        keep = partial(self._write, *place)
        self.app.run_worker(keep, name="keep", group="keep", thread=True, exit_on_error=True)

    def _is_near(self, kept: tuple[Path | None, Place], place: tuple[Path | None, Place]) -> bool:
        """Whether only events have arrived, and the place was written recently."""
        same = (kept[0], _without_seen(kept[1])) == (place[0], _without_seen(place[1]))
        return same and time.monotonic() - self._written < SEEN_SECONDS

    def _place(self) -> tuple[Path | None, Place] | None:
        """The open run and the place in it; None until the run has been read. Without a run, the place on its screen."""
        app = self.app
        screens = [screen for screen in app.screen_stack if isinstance(screen, FullScreen)]
        if (app.path is not None and app.path != self._ready) or app.lost or not screens:
            return None
        return app.path, place_of(screens[-1], app.seen)

    async def restore(self, place: Place) -> None:
        """Show the screen, the selection, the focus and the scroll of this place, after the run's events were folded."""
        app = self.app
        if app.shown_screen == LOWEST[app.path is not None] != place.screen:
            try:
                await app.open_screen(place.screen, restored=True)
            except UnknownPart:  # the package that added the screen was removed
                return
        screen = app.screen
        if not isinstance(screen, FullScreen) or place.screen != screen.NAME:
            return  # the person has opened another screen already, or this one needs a run
        if place.at:
            app.call_after_refresh(screen.arrive, place.at)
        app.call_after_refresh(_restore_panes, screen, place)
        names = [edit.skill for edit in app.view.pending if edit.id in place.drafts]
        if names:
            about = safe(", ".join(names[:3]))
            key = app.key_of("review.veto")
            app.notify(f"A half-typed reason is kept, about {about}: {key} continues it.", markup=False, timeout=12)


def place_of(screen: FullScreen, seen: int) -> Place:
    """Where a person is on this screen of a run."""
    from skillos_tui.widgets.pane import Pane
    from skillos_tui.widgets.queue import ReviewQueue
    from skillos_tui.widgets.tree import SkillTree

    panes = [pane for pane in screen.query(Pane) if pane.id in screen.PANES]
    queue = next((pane.value for pane in panes if isinstance(pane, ReviewQueue)), "")
    tree = next((pane.value for pane in panes if isinstance(pane, SkillTree) and pane.moved), ("", ""))
    return Place(
        screen=screen.NAME,
        selected=queue if isinstance(queue, str) else "",
        focus=next((str(pane.id) for pane in panes if pane.has_class("-current")), ""),
        tops={str(pane.id): pane.top for pane in panes if pane.top and not (pane.follow and pane.at_end)},
        seen=seen,
        tree=tree if isinstance(tree, tuple) else ("", ""),
        at=screen.here(),
        follows=(screen.workbench.view.group, screen.workbench.view.rollout),
    )


def _without_seen(place: Place) -> Place:
    import msgspec

    return msgspec.structs.replace(place, seen=0, drafts={})


def _restore_panes(screen: FullScreen, place: Place) -> None:
    from skillos_tui.widgets.listing import ListPane
    from skillos_tui.widgets.pane import Pane

    chosen: dict[str, object] = {"queue": place.selected or None, "skills": place.tree if place.tree[0] else None}
    for pane in screen.query(Pane):
        if isinstance(pane, ListPane) and chosen.get(str(pane.id)) is not None:
            pane.choose(chosen[str(pane.id)])
        if place.tops.get(str(pane.id)):
            pane.restore(place.tops[str(pane.id)])
    if place.focus in screen.PANES:
        screen.go_to(place.focus)
