"""What the screens know of one run: a fold over its events, and nothing else.

    view = RunView()
    changed = view.fold(event)        # the parts of the screen that this event touches

Pure data; no widget, no file. Only the newest episodes of the rollout that is followed are kept, so that a run of a
million events costs no more than one of a hundred. Events come in the log's order; those of `FOLDED_AGAIN` may come once
more, from the last step on. The episodes of a held-out measurement are kept apart from those that train.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.outcomes import Outcome
from engine.runs.events import (
    AnyEvent,
    CurationMade,
    CurationSkipped,
    Decision,
    EditDecided,
    EditProposed,
    EpisodeEnded,
    EpisodeStarted,
    HeldOutMeasured,
    MeasurementStarted,
    MemoryMeasured,
    Notice,
    Progress,
    ProposalsWithheld,
    RunKind,
    RunStarted,
    State,
    StateChanged,
    StepEnded,
    StepStarted,
    TurnTaken,
    UpdateMade,
)
from skillos_tui.model.episodes import EPISODE_KINDS, MAX_EPISODES, Episode, EpisodeEvent, Followed, where

__all__ = ["EPISODE_KINDS", "MAX_EPISODES", "Episode", "EpisodeEvent", "RunView", "where"]

Part = Literal["state", "skills", "transcript", "rewards", "memory", "review", "notice"]
EditState = Literal["pending"] | Decision

MAX_NOTICES = 50
MAX_SUPERSEDED = 20
"""Edits that were superseded by newer ones and are kept: a training run has thousands, and the log has them all."""

FOLDED_WHOLE = (
    "run_started",
    "state_changed",
    "step_started",
    "step_ended",
    "update_made",
    "measurement_started",
    "held_out_measured",
    "edit_proposed",
    "edit_decided",
    "proposals_withheld",
    "notice",
)
"""Kinds that are few, and read from the beginning of the log; of the others the newest are enough."""
FOLDED_RECENT = (*EPISODE_KINDS, "memory_measured", "progress")
"""Kinds that are many; the fold needs those since the last steps began."""
FOLDED_AGAIN = (
    *EPISODE_KINDS,
    "state_changed",
    "step_ended",
    "measurement_started",
    "held_out_measured",
    "progress",
)
"""What a view that follows another rollout now needs once more, in the same order."""


@dataclass
class Edit:
    """An edit of the review queue and what was decided about it, if anything was."""

    proposed: EditProposed
    state: EditState = "pending"
    decided: EditDecided | None = None


@dataclass
class Change:
    """A skill's file before and after something changed it, and where that was; None where there is no file."""

    skill: str
    before: str | None
    after: str | None
    where: str


@dataclass
class Measurement:
    """The newest held-out measurement: after which step, of how many groups, and the episodes of the group that is
    followed. `begun` with its first episode; `over` once it has ended, or training goes on without its result."""

    step: int
    groups: int = 1
    begun: bool = False
    over: bool = False
    followed: Followed = field(default_factory=Followed)


@dataclass
class RunView:
    """A run, as far as its events tell. `training` holds the rollout that is followed, `trained` says whether any episode
    of training was seen; `progress` is what the engine does
    now, if it said so; `withheld` counts the edits that were not put to review, by reason, the newest last; `superseded`
    those that newer ones superseded in a full queue, of which `edits` holds the newest."""

    kind: RunKind = "train"
    profile: str = ""
    planned: int = 0
    pid: int = 0
    state: State = "starting"
    reason: str = ""
    step: int = 0
    progress: Progress | None = None
    groups: int = 1
    rollouts: int = 1
    tasks: int = 1
    steps: dict[int, StepEnded] = field(default_factory=dict)
    updates: dict[int, UpdateMade] = field(default_factory=dict)
    held_out: dict[int, HeldOutMeasured] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    training: Followed = field(default_factory=Followed)
    trained: bool = False
    measurement: Measurement | None = None
    fork: dict[str, str] = field(default_factory=dict)
    change: Change | None = None
    edits: dict[str, Edit] = field(default_factory=dict)
    withheld: dict[str, int] = field(default_factory=dict)
    superseded: int = 0
    memory: MemoryMeasured | None = None
    notices: list[Notice] = field(default_factory=list)

    def fold(self, event: AnyEvent) -> set[Part]:
        """Take in one event; answers which parts of the screen it changes."""
        rule = _RULES.get(type(event))
        return rule(self, event) if rule else set()

    @property
    def measuring(self) -> Measurement | None:
        """The held-out measurement that goes on, None while there is none."""
        return self.measurement if self.measurement and not self.measurement.over else None

    @property
    def shown(self) -> Followed:
        """The rollout whose episodes are to be seen: that of the measurement once it has begun and while it goes on, else
        that of training; before any training episode that of the newest measurement."""
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
    def skipped_updates(self) -> int:
        """How many updates of the run left the weights as they were."""
        return sum(bool(update.skipped) for update in self.updates.values())

    def follow(self, group: int, rollout: int) -> None:
        """Follow another rollout, or group of the measurement that goes on; its episodes have to be folded in anew."""
        if self.measuring:
            self.measuring.followed = Followed(group=group, rollout=rollout)
        else:
            self.training = Followed(self.kind, group, rollout)
            self.fork, self.change = {}, None

    def decided_here(self, proposed: EditProposed, state: EditState, decided: EditDecided | None) -> set[Part]:
        """Take in an edit as it is after a decision of this program, before the events that tell the same are read."""
        if proposed.edit in self.edits:
            edit = self.edits[proposed.edit]
            edit.proposed, edit.state, edit.decided = proposed, state, decided
        return {"review", "skills", "state"}

    def neighbour(self, by: int) -> tuple[int, int]:
        """The (group, rollout) that lies `by` further than the one followed, around the end."""
        if self.measuring:
            return (self.measuring.followed.group + by) % self.measuring.groups, 0
        place = self.group * self.rollouts + self.rollout
        return divmod((place + by) % (self.groups * self.rollouts), self.rollouts)

    @property
    def pending(self) -> list[Edit]:
        """Edits that wait for a decision, oldest first."""
        return [edit for edit in self.edits.values() if edit.state in ("pending", "conflicted")]

    def success(self, window: int = 10) -> list[float | None]:
        """A curate run's success rate by task, over the last `window` measured tasks; None where none was measured."""
        rates: list[float | None] = []
        measured: list[float] = []
        for step in sorted(self.outcomes):
            outcome = self.outcomes[step]
            if outcome.measured:
                measured.append(1.0 if outcome.kind == "succeeded" else 0.0)
            last = measured[-window:]
            rates.append(sum(last) / len(last) if last else None)
        return rates

    def _run_started(self, event: RunStarted) -> set[Part]:
        self.kind, self.profile, self.planned, self.pid = event.run_kind, event.profile, event.steps, event.pid
        self.state, self.reason, self.step = "running", "", event.resumed_from
        for table in (self.steps, self.updates, self.outcomes):
            for step in [step for step in table if step > event.resumed_from]:
                del table[step]
        self.training.kind = event.run_kind
        self.training.restart()
        if self.measurement:
            self.measurement.followed.restart()
        self._end_phase("measuring", "rollouts", "update")
        return {"state", "rewards", "transcript", "skills"}

    def _state_changed(self, event: StateChanged) -> set[Part]:
        self.state, self.reason = event.state, event.reason
        if event.state != "running":
            self.progress = None
        return {"state"}

    def _progress(self, event: Progress) -> set[Part]:
        self.progress = event
        return {"state"}

    def _end_phase(self, *phases: str) -> None:
        """Forget the progress of these phases: another one has begun, or they have ended."""
        if self.progress is not None and self.progress.phase in phases:
            self.progress = None

    def _step_started(self, event: StepStarted) -> set[Part]:
        self.step = event.step
        if event.groups:
            self.groups = len(event.groups)
            self.tasks = max(len(group.tasks) for group in event.groups)
        if self.measurement:
            self.measurement.over = True
        self.training.restart()
        self._end_phase("loading", "measuring", "update")
        return {"state", "transcript"}

    def _measurement_started(self, event: MeasurementStarted) -> set[Part]:
        before = self.measurement
        again = before is not None and before.step == event.step and not before.over
        group = before.followed.group if before and before.followed.group < len(event.groups) else 0
        followed = before.followed if before and again else Followed(group=group)
        followed.restart()
        self.measurement = Measurement(event.step, max(1, len(event.groups)), again, followed=followed)
        self._end_phase("loading", "rollouts", "update")
        return {"state", "transcript"}

    def _episode(self, event: EpisodeEvent) -> set[Part]:
        if event.at.held_out:
            return self._measured(event)
        changed: set[Part] = set()
        if isinstance(event, EpisodeStarted):
            self.trained, self.rollouts = True, max(self.rollouts, event.at.rollout + 1)
        if isinstance(event, EpisodeEnded) and self.kind == "curate":
            self.outcomes[event.at.step] = event.outcome
            changed.add("rewards")
        if not self.training.fold(event):
            return changed
        if isinstance(event, EpisodeStarted) and self.kind == "train" and len(self.training.episodes) == 1:
            self.fork = {}
        if isinstance(event, CurationMade):
            self._note_fork(event)
        return changed | ({"transcript", "skills"} if isinstance(event, CurationMade) else {"transcript"})

    def _measured(self, event: EpisodeEvent) -> set[Part]:
        """An event of a held-out episode, which trains nothing: it is shown, and counts nowhere."""
        if self.measurement is None:
            self.measurement = Measurement(event.at.step)
        measurement = self.measurement
        if measurement.step != event.at.step:
            return set()
        measurement.begun, measurement.groups = True, max(measurement.groups, event.at.group + 1)
        return {"transcript"} if measurement.followed.fold(event) else set()

    def _note_fork(self, event: CurationMade) -> None:
        before = self.fork if event.at.position > 1 or self.kind == "curate" else {}
        names = [name for name in {**before, **event.repo} if before.get(name) != event.repo.get(name)]
        if names and (before or self.kind == "train"):
            name = names[-1]
            self.change = Change(name, before.get(name), event.repo.get(name), where(event.at, self.kind))
        self.fork = event.repo

    def _step_ended(self, event: StepEnded) -> set[Part]:
        self.steps[event.step] = event
        self.progress = None
        return {"rewards", "state"}

    def _update_made(self, event: UpdateMade) -> set[Part]:
        self.updates[event.step] = event
        return {"rewards"}

    def _held_out(self, event: HeldOutMeasured) -> set[Part]:
        self.held_out[event.step] = event
        changed: set[Part] = {"rewards"}
        if self.progress is not None:
            self.progress = None
            changed.add("state")
        if self.measurement and self.measurement.step == event.step:
            self.measurement.over = True
            changed.add("transcript")
        return changed

    def _edit_proposed(self, event: EditProposed) -> set[Part]:
        self.edits[event.edit] = Edit(event)  # also when it is asked again, against the present text
        return {"review", "skills", "state"}

    def _edit_decided(self, event: EditDecided) -> set[Part]:
        edit = self.edits.get(event.edit)
        if edit is None:
            return set()
        if event.decision == "undone" and edit.state in ("vetoed", "pending"):
            edit.state, edit.decided = "pending", None
        else:
            edit.state, edit.decided = event.decision, event
        if event.decision == "superseded":
            self.superseded += 1
            names = [name for name, other in self.edits.items() if other.state == "superseded"]
            for name in names[:-MAX_SUPERSEDED]:
                del self.edits[name]
        return {"review", "skills", "state"}

    def _withheld(self, event: ProposalsWithheld) -> set[Part]:
        self.withheld[event.reason] = self.withheld.pop(event.reason, 0) + event.count
        return {"review", "state"}

    def _memory(self, event: MemoryMeasured) -> set[Part]:
        self.memory = event
        return {"memory"}

    def _notice(self, event: Notice) -> set[Part]:
        self.notices = [*self.notices[1 - MAX_NOTICES :], event]
        return {"notice"}


_RULES: dict[type, Callable[[RunView, Any], set[Part]]] = {
    RunStarted: RunView._run_started,
    StateChanged: RunView._state_changed,
    StepStarted: RunView._step_started,
    Progress: RunView._progress,
    MeasurementStarted: RunView._measurement_started,
    EpisodeStarted: RunView._episode,
    TurnTaken: RunView._episode,
    EpisodeEnded: RunView._episode,
    CurationMade: RunView._episode,
    CurationSkipped: RunView._episode,
    StepEnded: RunView._step_ended,
    UpdateMade: RunView._update_made,
    HeldOutMeasured: RunView._held_out,
    EditProposed: RunView._edit_proposed,
    EditDecided: RunView._edit_decided,
    ProposalsWithheld: RunView._withheld,
    MemoryMeasured: RunView._memory,
    Notice: RunView._notice,
}
