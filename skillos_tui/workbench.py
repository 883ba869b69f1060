"""What screens and widgets see of the app: the run that is open, its state, and what opens another one.

    self.workbench.view.edits                       # in a screen (`skillos_tui.screens.base`)
    await self.workbench.open_run(path)

`skillos_tui.app` is the app itself. It imports the screens, so they import this module in its place.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from skillos_tui.keymap import OwnKeys
from skillos_tui.model.session import Session
from skillos_tui.model.view import RunView
from skillos_tui.terminal.app import TerminalApp
from skillos_tui.themes import Theme

if TYPE_CHECKING:
    from engine.runs.status import ShownState
    from engine.skills.repo.rule import LeftOut
    from skillos_tui.attention import How
    from skillos_tui.client import messages
    from skillos_tui.client.client import Client
    from skillos_tui.model.target import Target


class Workbench(TerminalApp[str]):
    """The state of the app. At most one run is open: `path` is its directory, and `view` is folded from its events.

    `lost` is true when the run cannot be read any more, `caught_up` when all events that were in the log when it was opened
    have been folded. `read_only` is why the run can only be read, "" where it can be written. `names` are the skills of its
    repository; None until they were read. `seen` is the id of the newest event, and `news` the summary of what happened
    since the last visit. `skills` is a folder of skills that is shown without a run, else None. `how` is how the person is
    called for what waits; None is the default.
    """

    how: How | None

    def __init__(
        self, theme: Theme, folder: Path | None, run: Path | None, session: Session, keys: OwnKeys | None = None
    ) -> None:
        """`folder` is where new runs are created and listed; None is the user's data folder."""
        super().__init__()
        self.own_theme = theme
        self.own_keys = keys or OwnKeys()
        self.linear = session.saved.linear
        """Whether one pane is shown at a time, as plain lines, for screen readers."""
        self.folder = folder
        self.session = session
        self.path = run
        self.skills: Path | None = None
        self.view = RunView()
        self.names: tuple[str, ...] | None = None
        self.left_out: tuple[LeftOut, ...] = ()
        self.engine: messages.EngineSeen | None = None
        self.lost = False
        self.read_only = ""
        self.caught_up = False
        self.seen = 0
        self.news = ""

    @cached_property
    def client(self) -> Client:
        """Reads and changes runs; loaded after the first paint, which does not need it."""
        from skillos_tui.client.client import Client

        return Client(self, self.folder)

    def key_of(self, action: str) -> str:
        """The key of an action ("live.pause") as the person has it, for a text that names it."""
        raise NotImplementedError

    @property
    def shown_state(self) -> ShownState:
        """The run's state by its events and its engine's process."""
        return self.engine.state if self.engine else self.view.state

    @property
    def silent(self) -> int:
        """For how many seconds a living engine has been silent; 0 while it is not."""
        return self.engine.silent if self.engine else 0

    @property
    def refusal(self) -> str:
        """Why the run cannot be decided on or commanded; "" where it can."""
        if self.lost:
            return f"The run cannot be read any more; {self.key_of('live.home')} shows the runs that are there."
        return f"This run can only be read: {self.read_only}." if self.read_only else ""

    @property
    def shown_screen(self) -> str:
        """The name of the full screen on top; "" where it is a dialog."""
        raise NotImplementedError

    async def open_screen(self, name: str, *, restored: bool = False) -> None:
        """Close the screens above the lowest one, and open this one on it, unless it is open. Raises `UnknownPart`."""
        raise NotImplementedError

    def announce(self, text: str) -> None:
        """In linear mode, append a line to what has changed; else do nothing."""
        raise NotImplementedError

    async def go(self, target: Target) -> None:
        """Show a place, and remember the present one for the key b."""
        raise NotImplementedError

    def use_theme(self, theme: Theme) -> None:
        """Show everything in this theme."""
        raise NotImplementedError

    async def open_skills(self, folder: Path) -> None:
        """Show a folder of skills, without a run."""
        raise NotImplementedError

    async def reopen_skills(self, folder: Path) -> None:
        """Show a folder of skills that was open before."""
        raise NotImplementedError

    async def show(self, target: Target) -> bool:
        """Open the screen of a place, and go to the place; false if it cannot be opened. With `at` of "", the screen is
        shown as it was left."""
        raise NotImplementedError

    async def reopen(self, path: Path, target: Target) -> None:
        """Show a place of a run that was open before."""
        raise NotImplementedError

    async def open_run(self, path: Path) -> None:
        """Close the run that is open, if one is, and show another."""
        raise NotImplementedError

    async def go_home(self) -> None:
        """Back to the list of runs; the run's engine continues."""
        raise NotImplementedError
