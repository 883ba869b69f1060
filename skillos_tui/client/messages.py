"""What the client tells the app: small messages, and nothing else goes that way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from textual.events import Key
from textual.message import Message

from engine.runs.events import AnyEvent, EditDecided
from skillos_tui.model.view import Episode, Part

if TYPE_CHECKING:
    from engine.runs.status import ShownState
    from engine.runs.store import EditRecord
    from skillos_tui.model.decisions import Action


@dataclass
class RunsFound(Message):
    """The runs under the runs' folder, newest first; `trouble` says why they could not be listed."""

    runs: tuple[RunRow, ...]
    folder: Path
    trouble: str = ""


@dataclass(frozen=True)
class RunRow:
    """A run in the list. `started` is unix time in seconds; `trouble` says why a run cannot be read."""

    path: Path
    id: str
    started: float
    kind: str = ""
    profile: str = ""
    state: ShownState | None = None
    step: int = 0
    steps: int = 0
    success: float | None = None
    pending: int = 0
    trouble: str = ""


@dataclass
class RunOpened(Message):
    """A run is open, and its events will come."""

    path: Path
    id: str


@dataclass
class RunLost(Message):
    """The run cannot be read (any more), and why."""

    path: Path
    why: str


@dataclass
class EventsRead(Message):
    """Events of the run, in order; `live` is false for those that were there when it was opened. `last` is the id of the
    newest event that was read."""

    path: Path
    events: tuple[AnyEvent, ...]
    live: bool
    last: int = 0


@dataclass
class PastRead(Message):
    """All that was in the log when the run was opened has been told; `news` is what happened since the person left."""

    path: Path
    news: str = ""


@dataclass
class EngineSeen(Message):
    """The run's state as its events and its engine's process tell together, whether the engine lives, and for how long
    a living one has given no sign (seconds; 0 while it does)."""

    path: Path
    state: ShownState
    alive: bool
    silent: int = 0


@dataclass
class RepoRead(Message):
    """The names of the skills in the run's repository."""

    path: Path
    names: tuple[str, ...]


@dataclass
class SkillRead(Message):
    """The text of one skill of the run's repository."""

    path: Path
    name: str
    text: str


@dataclass
class TrajectoryRead(Message):
    """What happened at the place where an edit was proposed; None when the log does not hold it."""

    path: Path
    edit: str
    episode: Episode | None


@dataclass
class RunCreated(Message):
    """A new run exists, and its engine has been started."""

    path: Path


@dataclass
class StartRefused(Message):
    """A run could not be made, and why."""

    why: str


@dataclass
class DecisionTaken(Message):
    """A decision was taken; `record` is the edit after it, `before` the decision that stood until then."""

    path: Path
    edit: str
    action: Action
    record: EditRecord
    before: EditDecided | None


@dataclass
class DecisionRefused(Message):
    """A decision on an edit was not taken, and why; the edit is as it was."""

    path: Path
    edit: str
    action: Action
    why: str


@dataclass
class Told(Message):
    """Something a person should know: what was done, or what went wrong and what to do."""

    level: Literal["information", "warning", "error"]
    text: str


Reply = RunsFound | RunCreated | StartRefused | SkillRead | TrajectoryRead | DecisionTaken | DecisionRefused
"""Messages that answer what a screen asked for."""


class Listener:
    """A screen that shows a run or a reply; the app calls it."""

    def renew(self, parts: set[Part]) -> None:
        """Parts of the run have changed; `app.view` has them."""

    def take(self, reply: Reply) -> None:
        """An answer has come."""

    def hear(self, key: Key) -> bool:
        """A key was pressed while this screen is on top, and is about to act; False drops it."""
        return True
