"""The messages that the client sends to the app, and the request to start a run. Cheap to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, dataclass_transform

from textual.message import Message

from engine.core.edit import Action, Edit
from engine.core.events import AnyEvent, Unreadable
from engine.core.records import Check
from skillos_tui.model.episodes import Episode

if TYPE_CHECKING:
    from engine.jobs.base import JobKind
    from engine.runs.status import ShownState
    from engine.runs.supervisor import RunSummary
    from engine.skills.repo.rule import LeftOut
    from skillos_tui.client.importing import Source


Field = str
"""A field of `StartRun`, or the setting of an entry of `given`; "" for an error that concerns none of them."""


@dataclass(frozen=True)
class StartRun:
    """The request to start a run.

    `kind` is a name in `engine.jobs.registry.JOBS`, `profile` a shipped one or one of the user's own, each setting is
    "section.key=value". `path` is the run's directory, by default a new one in the runs' folder. `repo` is the skill
    repository to work on, made if absent; by default one of the run's own. A kind whose rollouts fork takes no `repo`.
    `given` are the values of single fields, by setting; `settings` take precedence.
    """

    kind: str
    profile: str
    settings: tuple[str, ...] = ()
    path: Path | None = None
    repo: Path | None = None
    given: Mapping[str, str] = field(default_factory=dict)


M = TypeVar("M", bound=Message)


@dataclass_transform(eq_default=False)
def message(kind: type[M]) -> type[M]:
    """A dataclass that is neither compared nor printed, which takes half the time to define."""
    return dataclass(repr=False, eq=False)(kind)


@message
class RunsFound(Message):
    """The runs in the runs' folder, newest first; `trouble` is why they could not be listed."""

    runs: tuple[RunSummary, ...]
    folder: Path
    trouble: str = ""


@message
class RunOpened(Message):
    """A run is open; its events follow. `job` is None when the run's kind is not installed; `read_only` is why the run can
    only be read, "" where it can be written. `damaged` are sentences about the rows that cannot be read."""

    path: Path
    kind: str
    job: JobKind | None
    read_only: str = ""
    damaged: tuple[str, ...] = ()


@message
class RunLost(Message):
    """The run cannot be read, or cannot be read any more, and why."""

    path: Path
    why: str


@message
class EventsRead(Message):
    """Events of the run, in order; `live` is false for those that were in the log when it was opened. `last` is the id of
    the newest one. `measured_at` is when the newest `MemoryMeasured` of them was written, in unix seconds."""

    path: Path
    events: tuple[AnyEvent | Unreadable, ...]
    live: bool
    last: int = 0
    measured_at: float | None = None


@message
class PastRead(Message):
    """All events that were in the log at the opening have been sent; `news` summarises those since the last visit."""

    path: Path
    news: str = ""


@message
class EngineSeen(Message):
    """The run's state by its events and its engine's process, whether the engine is alive, and for how many seconds a
    living engine has been silent (0 while it is not)."""

    path: Path
    state: ShownState
    alive: bool
    silent: int = 0


@message
class RepoRead(Message):
    """The names of the skills in the run's repository, and what could be taken for a skill there and is none."""

    path: Path
    names: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()


@message
class SkillRead(Message):
    """The text of one skill of the run's repository."""

    path: Path
    name: str
    text: str


@message
class TrajectoryRead(Message):
    """The episode in which an edit was proposed; None when the log does not have it."""

    path: Path
    edit: str
    episode: Episode | None


@message
class PreflightBegun(Message):
    """The request was understood; an engine loads the models and tries them out."""


@message
class PreflightReported(Message):
    """What an engine loads now, or a check's result (None: none yet)."""

    loading: str
    check: Check | None = None


@message
class PreflightBlocked(Message):
    """Checks failed; the engine waits until they are overridden, or the run is given up."""

    failed: tuple[Check, ...]


@message
class RunCreated(Message):
    """A new run exists, and its engine has been started."""

    path: Path


@message
class StartRefused(Message):
    """A run was not created, and why. `field` is the field of the request that was refused, "" for none of them."""

    why: str
    field: Field = ""


@message
class DecisionTaken(Message):
    """A decision was taken: the edit `before` and `after` it."""

    path: Path
    action: Action
    before: Edit
    after: Edit

    @property
    def edit(self) -> str:
        """The edit's id."""
        return self.after.id


@message
class DecisionRefused(Message):
    """A decision on an edit was refused, and why; the edit has not changed."""

    path: Path
    edit: str
    action: Action
    why: str


@message
class SourceRead(Message):
    """The skills of a source that a person wants to import from."""

    source: Source


@message
class ImportRefused(Message):
    """A source could not be read, or its skills could not be imported, and why; nothing was written."""

    why: str


@message
class SkillsImported(Message):
    """Skills were imported, as one commit; `text` says which."""

    text: str


@message
class Answered(Message):
    """The answer to a question of a screen (`Client.ask`, `Client.ask_run`): `value` is what the question's function
    returned, `trouble` why it returned nothing. `path` is the run that was asked, None for a question about none."""

    question: str
    value: object = None
    trouble: str = ""
    path: Path | None = None


@message
class Notified(Message):
    """Something a person should know: what was done, or what went wrong and what to do."""

    level: Literal["information", "warning", "error"]
    text: str


Reply = (
    RunsFound
    | PreflightBegun
    | PreflightReported
    | PreflightBlocked
    | RunCreated
    | StartRefused
    | SkillRead
    | TrajectoryRead
    | DecisionTaken
    | DecisionRefused
    | SourceRead
    | ImportRefused
    | SkillsImported
    | Answered
)
"""Messages that answer a screen's request."""
