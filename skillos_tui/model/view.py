"""The state of one run as the screens show it: a fold over its events, and nothing else.

    view = RunView()
    view.identify("train", JOBS.load("train"))
    changed = view.fold(event)        # the parts of the screen that this event changes

Pure data; no widget, no file. Only the newest episodes of the rollout that is followed are kept, so that the memory does not
grow with the number of events. Events arrive in the log's order; those of `folded.FOLDED_AGAIN` may arrive a second time,
from the last step on. The episodes of a held-out measurement are kept separately from those of training.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from engine.core.edit import OPEN, Edit, NotAllowed
from engine.core.errors import ConfigError
from engine.core.events import (
    AdapterPublished,
    Alarm,
    AlarmsChecked,
    AnyEvent,
    CompletionMade,
    CurationMade,
    CurationSkipped,
    EditDecided,
    EditProposed,
    EpisodeEnded,
    EpisodeStarted,
    HeldOutMeasured,
    MeasurementStarted,
    MemoryMeasured,
    ModelsUsed,
    Notice,
    PositionId,
    Progress,
    ProposalsWithheld,
    RunStarted,
    ServerMeasured,
    SettingChanged,
    State,
    StateChanged,
    StepEnded,
    StepStarted,
    TurnTaken,
    UnitEnded,
    Unreadable,
    UpdateMade,
    kind_of,
)
from engine.core.outcomes import Outcome
from skillos_tui.model.episodes import Episode, EpisodeEvent, Followed, Measurement
from skillos_tui.model.history import History, NoSuchStep
from skillos_tui.model.in_force import InForce

if TYPE_CHECKING:
    from engine.jobs.base import JobKind

Part = Literal["state", "skills", "transcript", "rewards", "memory", "review", "notice"]

MAX_NOTICES = 50
MAX_SERVERS = 8
MAX_SUPERSEDED = 20
"""How many superseded edits are kept: a training run has thousands, and the log has all of them."""


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

    def fold(self, event: AnyEvent | Unreadable) -> set[Part]:
        """Apply one event; returns the parts of the screen that it changes. One that cannot be applied becomes a notice."""
        rule = _RULES.get(type(event))
        try:
            return rule(self, event) if rule else set()
        except (NotAllowed, NoSuchStep) as error:
            return self._unreadable(Unreadable(kind_of(event), str(error)))

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

    def _run_started(self, event: RunStarted) -> set[Part]:
        self.profile, self.planned, self.note = event.profile, event.steps, event.note
        self.reason, self.step, self.ending = "", event.resumed_from, False
        self.settings = InForce.of(event.settings or "")
        self.history.cut(event.resumed_from)
        for table in (self.checked, self.outcomes):
            for step in [step for step in table if step > event.resumed_from]:
                del table[step]
        self.training.restart()
        self.servers = {}
        if self.state != "starting":  # else what was measured since is of this engine
            self.memory, self.measured_at = None, None
        if self.measurement:
            self.measurement.followed.restart()
        self.state = "running"
        self._end_phase("measuring", "rollouts", "update")
        return {"state", "rewards", "transcript", "skills", "notice", "memory"}

    def _setting_changed(self, event: SettingChanged) -> set[Part]:
        if event.total is not None:
            self.planned = event.total
        try:
            self.settings = self.settings.changed(event)
        except ConfigError as error:
            return self._unreadable(Unreadable(kind_of(event), str(error)))
        return {"state", "rewards", "review"}

    def _state_changed(self, event: StateChanged) -> set[Part]:
        self.state, self.reason, self.ending = event.state, event.reason, event.ending
        if event.state != "running":
            self.progress = None
        if event.state == "starting":
            self.memory, self.measured_at, self.servers = None, None, {}  # of the engine before
            return {"state", "memory"}
        return {"state"}

    def _progress(self, event: Progress) -> set[Part]:
        self.progress = event
        return {"state"}

    def _end_phase(self, *phases: str) -> None:
        """Forget the progress of these phases: they have ended, or another one has started."""
        if self.progress is not None and self.progress.phase in phases:
            self.progress = None

    def _step_started(self, event: StepStarted) -> set[Part]:
        self.step = event.step
        if event.groups:
            self.groups = len(event.groups)
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
        if isinstance(event, CurationMade) and event.judge_text:
            self.judged = event
            changed.add("rewards")
        if isinstance(event, EpisodeStarted):
            self.trained, self.rollouts = True, max(self.rollouts, event.at.rollout + 1)
        if isinstance(event, EpisodeEnded) and not self.trains:
            self.outcomes[event.at.step] = event.outcome
            changed.add("rewards")
        if not self.training.fold(event):
            return changed
        if isinstance(event, EpisodeStarted) and self.forks and len(self.training.episodes) == 1:
            self.fork = {}
        if isinstance(event, CurationMade):
            self._note_fork(event)
        return changed | ({"transcript", "skills"} if isinstance(event, CurationMade) else {"transcript"})

    def _measured(self, event: EpisodeEvent) -> set[Part]:
        """Apply an event of a held-out episode: it is shown, and enters no count."""
        if self.measurement is None:
            self.measurement = Measurement(event.at.step)
        measurement = self.measurement
        if measurement.step != event.at.step:
            return set()
        measurement.begun, measurement.groups = True, max(measurement.groups, event.at.group + 1)
        return {"transcript"} if measurement.followed.fold(event) else set()

    def _note_fork(self, event: CurationMade) -> None:
        before = self.fork if event.at.position > 1 or not self.forks else {}
        names = [name for name in {**before, **event.repo} if before.get(name) != event.repo.get(name)]
        if names and (before or self.forks):
            name = names[-1]
            self.change = Change(name, before.get(name), event.repo.get(name), self.place(event.at))
        self.fork = event.repo

    def _step_ended(self, event: StepEnded) -> set[Part]:
        self.history.end(event)
        self.progress = None
        return {"rewards", "state"}

    def _unit_ended(self, event: UnitEnded) -> set[Part]:
        self.step, self.progress = event.step, None
        return {"state"}

    def _update_made(self, event: UpdateMade) -> set[Part]:
        self.history.update(event)
        return {"rewards"}

    def _alarms_checked(self, event: AlarmsChecked) -> set[Part]:
        self.checked[event.step] = event.alarms or ()
        return {"notice"}

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
        name = event.edit.id
        before = self._read(name)
        known = before is not None or event.action == "admit"  # the view does not hold every superseded edit
        self._show(event.applied(before) if known else event.edit)
        return {"review", "skills", "state"}

    def _edit_decided(self, event: EditDecided) -> set[Part]:
        before = self._read(event.edit)
        if before is None:
            return set()
        self._show(event.applied(before))
        if event.decision.action == "supersede":
            self.superseded += 1
            names = [name for name, other in self.edits.items() if other.state == "superseded"]
            for name in names[:-MAX_SUPERSEDED]:
                del self.edits[name]
        return {"review", "skills", "state"}

    def _read(self, name: str) -> Edit | None:
        """An edit as the events before the present one have it."""
        return self.unread[name][0] if name in self.unread else self.edits.get(name)

    def _show(self, edit: Edit) -> None:
        """Show an edit after an event, unless further decisions on it were taken here."""
        _, count = self.unread.pop(edit.id, (edit, 1))
        if count > 1:
            self.unread[edit.id] = edit, count - 1
        else:
            self.edits[edit.id] = edit

    def _withheld(self, event: ProposalsWithheld) -> set[Part]:
        self.withheld[event.reason] = self.withheld.pop(event.reason, 0) + event.count
        return {"review", "state"}

    def _memory(self, event: MemoryMeasured) -> set[Part]:
        self.memory = event
        return {"memory"}

    def _server(self, event: ServerMeasured) -> set[Part]:
        if event.server not in self.servers and len(self.servers) >= MAX_SERVERS:
            return set()
        self.servers[event.server] = event
        return {"memory"}

    def _used(self, event: ModelsUsed) -> set[Part]:
        self.used = event
        return {"memory"}

    def _published(self, event: AdapterPublished) -> set[Part]:
        self.published = event
        return {"rewards"}

    def _notice(self, event: Notice) -> set[Part]:
        self.notices = [*self.notices[1 - MAX_NOTICES :], event]
        return {"notice"}

    def _unreadable(self, event: Unreadable) -> set[Part]:
        """Something in the log that cannot be shown; the same is said once."""
        why = f"an event of the log cannot be read ({event.kind}: {event.why}); `skillos-engine verify` names each"
        return self.damaged(why)

    def damaged(self, why: str) -> set[Part]:
        """Something of the run cannot be read; the same is said once."""
        notice = Notice("warning", why)
        if notice in self.damage:
            return set()
        self.damage = [*self.damage[1 - MAX_NOTICES :], notice]
        return self._notice(notice)

    def put_damage_last(self) -> set[Part]:
        """Make the damage the newest notices, so that no older warning of the log hides it."""
        self.notices = [notice for notice in self.notices if notice not in self.damage] + self.damage
        return {"notice"} if self.damage else set()


_RULES: dict[type, Callable[[RunView, Any], set[Part]]] = {
    RunStarted: RunView._run_started,
    StateChanged: RunView._state_changed,
    SettingChanged: RunView._setting_changed,
    StepStarted: RunView._step_started,
    Progress: RunView._progress,
    MeasurementStarted: RunView._measurement_started,
    EpisodeStarted: RunView._episode,
    TurnTaken: RunView._episode,
    EpisodeEnded: RunView._episode,
    CompletionMade: RunView._episode,
    CurationMade: RunView._episode,
    CurationSkipped: RunView._episode,
    StepEnded: RunView._step_ended,
    UnitEnded: RunView._unit_ended,
    UpdateMade: RunView._update_made,
    HeldOutMeasured: RunView._held_out,
    AlarmsChecked: RunView._alarms_checked,
    EditProposed: RunView._edit_proposed,
    EditDecided: RunView._edit_decided,
    ProposalsWithheld: RunView._withheld,
    MemoryMeasured: RunView._memory,
    ServerMeasured: RunView._server,
    ModelsUsed: RunView._used,
    AdapterPublished: RunView._published,
    Notice: RunView._notice,
    Unreadable: RunView._unreadable,
}
