"""The state of one run as the screens show it; `skillos_tui.model.folding` makes it from the run's events, and nothing else.

    view = RunView()
    view.identify("train", JOBS.load("train"))
    view.pending, view.alarms, view.episodes

Pure data; no widget, no file, and no event is loaded for it before a run has one. Only the newest episodes of the rollout
that is followed are kept, so that the memory does not grow with the number of events. The episodes of a held-out measurement
are kept separately from those of training.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from engine.core.edit import OPEN, Edit
from skillos_tui.model.episodes import Episode, Followed, Measurement
from skillos_tui.model.history import History
from skillos_tui.model.in_force import InForce

if TYPE_CHECKING:
    from engine.core.events import (
        AdapterPublished,
        Alarm,
        CurationMade,
        HeldOutMeasured,
        MemoryMeasured,
        ModelsUsed,
        Notice,
        PositionId,
        Progress,
        ServerMeasured,
        State,
    )
    from engine.core.outcomes import Outcome
    from engine.jobs.base import JobKind

Part = Literal["state", "skills", "transcript", "rewards", "memory", "review", "notice"]


class Change(msgspec.Struct):
    """A skill's file before and after a change, and where the change was made; None where there is no file."""

    skill: str
    before: str | None
    after: str | None
    where: str


class RunView(msgspec.Struct):
    """The state of a run.

    `kind` is the name of the run's kind, "" before the run is open. `job` describes the kind; it is None when the package
    that adds the kind is not installed. `training` holds the episodes of the rollout that is followed; `trained` is true
    after the first episode that is not held out. `progress` is the engine's present work, if it has reported any. `withheld`
    counts the edits that were not queued, by reason, the newest last. `superseded` counts the edits that newer ones replaced
    in a full queue; `edits` holds the newest of them. `memory` is what the engine that was started last has measured, at
    `measured_at` in unix seconds, and `servers` are the newest figures of each model server. `unread` holds, for an edit
    that was decided on here, the edit as the log has been read, and how many of its decisions are still to be read. `judged`
    is the newest decision that a judge's model answered for. `checked` are the alarms that held after a step. `ending`: the
    run stops when the present unit has ended. `settings` are those in force.
    """

    kind: str = ""
    job: JobKind | None = None
    profile: str = ""
    note: str = ""
    planned: int = 0
    state: State = "starting"
    reason: str = ""
    ending: bool = False
    settings: InForce = msgspec.field(default_factory=InForce)
    step: int = 0
    progress: Progress | None = None
    groups: int = 1
    rollouts: int = 1
    history: History = msgspec.field(default_factory=History)
    held_out: dict[int, HeldOutMeasured] = msgspec.field(default_factory=dict)
    checked: dict[int, Sequence[Alarm]] = msgspec.field(default_factory=dict)
    outcomes: dict[int, Outcome] = msgspec.field(default_factory=dict)
    training: Followed = msgspec.field(default_factory=Followed)
    trained: bool = False
    measurement: Measurement | None = None
    fork: dict[str, str] = msgspec.field(default_factory=dict)
    change: Change | None = None
    judged: CurationMade | None = None
    edits: dict[str, Edit] = msgspec.field(default_factory=dict)
    unread: dict[str, tuple[Edit, int]] = msgspec.field(default_factory=dict)
    withheld: dict[str, int] = msgspec.field(default_factory=dict)
    superseded: int = 0
    memory: MemoryMeasured | None = None
    measured_at: float | None = None
    servers: dict[str, ServerMeasured] = msgspec.field(default_factory=dict)
    used: ModelsUsed | None = None
    published: AdapterPublished | None = None
    notices: list[Notice] = msgspec.field(default_factory=list)
    damage: list[Notice] = msgspec.field(default_factory=list)

    def identify(self, kind: str, job: JobKind | None) -> None:
        """Set the run's kind; before the first event."""
        self.kind, self.job = kind, job
        self.training.forks = self.forks

    @property
    def unit(self) -> str:
        """What the run counts: "step", "task"; "step" for a kind that is not installed."""
        return self.job.unit if self.job else "step"

    @property
    def trains(self) -> bool:
        """Whether the run updates a curator; false for a kind that is not installed."""
        return self.job is not None and self.job.trains

    @property
    def forks(self) -> bool:
        """Whether each rollout edits a repository of its own; false for a kind that is not installed, so that the
        episodes of all its rollouts are shown."""
        return self.job is not None and self.job.forks

    def place(self, at: PositionId | None) -> str:
        """A position in short: "step 3 · g0 r2 p4" (group, rollout, position), "held-out step 10 · g3 p2", or "task 7"."""
        if at is None:
            return "no single position"
        if at.held_out:
            return f"held-out step {at.step} · g{at.group} p{at.position}"
        rollout = f" · g{at.group} r{at.rollout} p{at.position}" if self.forks else ""
        return f"{self.unit} {at.step}{rollout}"

    @property
    def measuring(self) -> Measurement | None:
        """The held-out measurement that is running, or None."""
        return self.measurement if self.measurement and not self.measurement.over else None

    @property
    def shown(self) -> Followed:
        """The rollout whose episodes are shown: that of a running measurement after its first episode, else that of
        training; before the first training episode that of the newest measurement."""
        if self.measurement and (not self.trained or (self.measuring and self.measurement.begun)):
            return self.measurement.followed
        return self.training

    @property
    def episodes(self) -> list[Episode]:
        """The newest training episodes of the rollout that is followed."""
        return self.training.episodes

    @property
    def group(self) -> int:
        """The group of the training rollout that is followed."""
        return self.training.group

    @property
    def rollout(self) -> int:
        """The number of the training rollout that is followed, in its group."""
        return self.training.rollout

    @property
    def alarms(self) -> Sequence[Alarm]:
        """The alarms that held when they were last checked."""
        return self.checked[max(self.checked)] if self.checked else ()

    def follow(self, group: int, rollout: int) -> None:
        """Follow another rollout, or another group of the running measurement; its episodes have to be folded again."""
        if self.measuring:
            self.measuring.followed = Followed(group=group, rollout=rollout)
        else:
            self.training = Followed(self.forks, group, rollout)
            self.fork, self.change = {}, None

    def decided_here(self, before: Edit, after: Edit) -> set[Part]:
        """Show the effect of a decision of this program at once, before its event is read from the log.

        A decision is valid for the edit as it was `before`, so its event is the next one of this edit.
        """
        if self.edits.get(after.id) == before:
            read, count = self.unread.get(after.id, (before, 0))
            self.unread[after.id], self.edits[after.id] = (read, count + 1), after
        return {"review", "skills", "state"}

    def neighbour(self, by: int) -> tuple[int, int]:
        """The (group, rollout) that is `by` after the one followed; after the last comes the first."""
        if self.measuring:
            return (self.measuring.followed.group + by) % self.measuring.groups, 0
        place = self.group * self.rollouts + self.rollout
        return divmod((place + by) % (self.groups * self.rollouts), self.rollouts)

    @property
    def pending(self) -> list[Edit]:
        """Edits that wait for a decision, oldest first."""
        return [edit for edit in self.edits.values() if edit.state in OPEN]

    def success(self, window: int = 10) -> list[float | None]:
        """The success rate by step, over the last `window` measured episodes; None where none was measured."""
        rates: list[float | None] = []
        last: deque[bool] = deque(maxlen=window)
        succeeded = 0
        for step in sorted(self.outcomes):
            outcome = self.outcomes[step]
            if outcome.measured:
                succeeded += (outcome.kind == "succeeded") - (last[0] if len(last) == window else 0)
                last.append(outcome.kind == "succeeded")
            rates.append(succeeded / len(last) if last else None)
        return rates
