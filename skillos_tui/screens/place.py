"""Coming back: where a person is, kept while they are there, and shown again at the next start.

    run = last_run(session, folder)                   # the run that was open when the program ended, however it ended
    keeper = Keeper(app)
    keeper.begin()                                    # from now on the place is on the disk within a second
    keeper.restore(place)                             # screen, selection, focus and scroll

The place is compared every second, and written in a thread when it is another one, so a closed terminal loses a second.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from skillos_tui.model.session import Place, Session
from skillos_tui.render.text import safe

if TYPE_CHECKING:
    from skillos_tui.app import SkillosApp
    from skillos_tui.screens.base import RoomScreen
    from skillos_tui.themes import Look

KEEP_SECONDS = 1.0
SEEN_SECONDS = 5.0
"""Where only new events have come, the place is written no more often than this."""


def state_home() -> Path:
    """Where the session is kept unless a folder is named: the user's state folder."""
    import platformdirs

    return platformdirs.user_state_path("skillos-tui", appauthor=False)


def last_run(session: Session, folder: Path | None) -> Path | None:
    """The run to open again; None for the list of runs. Where a runs' folder was named, only a run of that folder."""
    last = Path(session.saved.last) if session.saved.last else None
    return last if last is not None and folder in (None, last.parent) else None


def chosen_look(session: Session, looks: dict[str, Look]) -> str | None:
    """The theme that the person chose by a key at some time, if there still is one of that name."""
    return session.saved.theme if session.saved.theme in looks else None


class Keeper:
    """Keeps the place of the run that is open. `kept` is the newest that was handed to the disk."""

    def __init__(self, app: SkillosApp) -> None:
        self.app = app
        self.kept: tuple[Path, Place] | None = None
        self._ready: Path | None = None
        self._written = 0.0

    def begin(self) -> None:
        """Look at the place every second."""
        self.app.set_interval(KEEP_SECONDS, self._look)

    def arrived(self, run: Path) -> None:
        """The run is on the screen as it should be: from now on its place is kept."""
        self._ready = run

    def keep(self) -> None:
        """Write the place now; when this returns it is on the disk."""
        where = self._where()
        if where is not None:
            self.kept = where
            self.app.session.keep_place(*where)
        elif self.app.path is None:
            self.app.session.keep_home()

    def _look(self) -> None:
        where = self._where()
        if where is None or where == self.kept:
            return
        if self.kept is not None and self._is_near(self.kept, where):
            return
        self.kept, self._written = where, time.monotonic()
        keep = partial(self.app.session.keep_place, *where)
        self.app.run_worker(keep, name="keep", group="keep", thread=True, exit_on_error=True)

    def _is_near(self, kept: tuple[Path, Place], where: tuple[Path, Place]) -> bool:
        """Whether only events came, and the last writing is not long ago."""
        same = (kept[0], _without_seen(kept[1])) == (where[0], _without_seen(where[1]))
        return same and time.monotonic() - self._written < SEEN_SECONDS

    def _where(self) -> tuple[Path, Place] | None:
        """The run that is open and the place in it; None on Home, and until the run has been read."""
        app = self.app
        rooms = [screen for screen in app.screen_stack if getattr(screen, "room", "") in ("live", "review")]
        if app.path is None or app.path != self._ready or app.lost or not rooms:
            return None
        screen: RoomScreen = rooms[-1]  # type: ignore[assignment]
        return app.path, place_of(screen, app.seen)

    async def restore(self, place: Place) -> None:
        """Show the screen, the selection, the focus and the scroll of this place; the run's events have been folded."""
        app = self.app
        if place.screen == "review" and app.view.edits:
            from skillos_tui.screens.review.screen import ReviewScreen

            await app.push_screen(ReviewScreen(by_itself=True))
        room: RoomScreen = app.screen  # type: ignore[assignment]
        if getattr(room, "room", "") != place.screen:
            return  # the person is somewhere else already
        app.call_after_refresh(_restore_panes, room, place)
        names = [edit.proposed.skill for edit in app.view.pending if edit.proposed.edit in place.drafts]
        if names:
            told = f"A half-typed reason is kept, about {safe(', '.join(names[:3]))}: v there goes on with it."
            app.notify(told, markup=False, timeout=12)


def place_of(screen: RoomScreen, seen: int) -> Place:
    """Where a person is on this screen of a run."""
    from skillos_tui.widgets.pane import Pane
    from skillos_tui.widgets.queue import ReviewQueue
    from skillos_tui.widgets.tree import SkillTree

    panes = [pane for pane in screen.query(Pane) if pane.id in screen.PANES]
    queue = next((pane.value for pane in panes if isinstance(pane, ReviewQueue)), "")
    tree = next((pane.value for pane in panes if isinstance(pane, SkillTree) and pane.moved), ("", ""))
    return Place(
        screen=screen.room,
        selected=queue if isinstance(queue, str) else "",
        focus=next((str(pane.id) for pane in panes if pane.has_class("-current")), ""),
        tops={str(pane.id): pane.top for pane in panes if pane.top and not (pane.follow and pane.at_end)},
        seen=seen,
        tree=tree if isinstance(tree, tuple) else ("", ""),
        follows=(screen.workbench.view.group, screen.workbench.view.rollout),
    )


def _without_seen(place: Place) -> Place:
    import msgspec

    return msgspec.structs.replace(place, seen=0, drafts={})


def _restore_panes(screen: RoomScreen, place: Place) -> None:
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
