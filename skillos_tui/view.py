"""What the screens know of one run: a fold over its events, and nothing else.

    view = RunView()
    changed = view.fold(event)        # the parts of the screen that this event touches

Pure data; no widget, no file. Only the newest episodes of the rollout that is followed are kept, so that a run of a
million events costs no more than one of a hundred. An episode's events may come twice and in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.outcomes import Outcome
from engine.runs.events import (
    Address,
    AnyEvent,
    CurationMade,
    CurationSkipped,
    Decision,
    EditDecided,
    EditProposed,
    EpisodeEnded,
    EpisodeStarted,
    HeldOutMeasured,
    MemoryMeasured,
    Notice,
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

Part = Literal["state", "skills", "transcript", "rewards", "memory", "review", "notice"]
EditState = Literal["pending"] | Decision

MAX_EPISODES = 12
"""Episodes of the followed rollout that are kept."""
MAX_NOTICES = 50
MAX_SUPERSEDED = 20
"""Edits that gave way to newer ones and are kept: a training run has thousands, and the log has them all."""

FOLDED_WHOLE = (
    "run_started",
    "state_changed",
    "step_started",
    "step_ended",
    "update_made",
    "held_out_measured",
    "edit_proposed",
    "edit_decided",
    "proposals_withheld",
    "notice",
)
"""Kinds that are few, and read from the beginning of the log; of the others the newest are enough."""
EpisodeEvent = EpisodeStarted | TurnTaken | EpisodeEnded | CurationMade | CurationSkipped
EPISODE_KINDS = ("episode_started", "turn_taken", "episode_ended", "curation_made", "curation_skipped")
"""What happens at one address."""
FOLDED_RECENT = (*EPISODE_KINDS, "memory_measured")
"""Kinds that are many; the fold needs those since the step began."""


@dataclass
class Episode:
    """One position of a rollout, as far as it has got. `turns` are by their number."""

    started: EpisodeStarted
    turns: dict[int, TurnTaken] = field(default_factory=dict)
    ended: EpisodeEnded | None = None
    curation: CurationMade | CurationSkipped | None = None


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
class RunView:
    """A run, as far as its events tell. `rollout` and `group` say which rollout is followed; `withheld` counts the edits
    that were not put to review, by reason, the newest last; `superseded` those that gave way to newer ones in a full queue,
    of which `edits` holds the newest."""

    kind: RunKind = "train"
    profile: str = ""
    planned: int = 0
    pid: int = 0
    state: State = "starting"
    reason: str = ""
    step: int = 0
    group: int = 0
    rollout: int = 0
    groups: int = 1
    rollouts: int = 1
    tasks: int = 1
    steps: dict[int, StepEnded] = field(default_factory=dict)
    updates: dict[int, UpdateMade] = field(default_factory=dict)
    held_out: dict[int, HeldOutMeasured] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    episodes: list[Episode] = field(default_factory=list)
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

    def follow(self, group: int, rollout: int) -> None:
        """Follow another rollout; its episodes have to be folded in anew."""
        self.group, self.rollout = group, rollout
        self.episodes, self.fork, self.change = [], {}, None

    def decided_here(self, proposed: EditProposed, state: EditState, decided: EditDecided | None) -> set[Part]:
        """Take in an edit as it is after a decision of this program, before the events that tell the same are read."""
        if proposed.edit in self.edits:
            edit = self.edits[proposed.edit]
            edit.proposed, edit.state, edit.decided = proposed, state, decided
        return {"review", "skills", "state"}

    def neighbour(self, by: int) -> tuple[int, int]:
        """The (group, rollout) that lies `by` rollouts further, around the end."""
        total = self.groups * self.rollouts
        return divmod((self.group * self.rollouts + self.rollout + by) % total, self.rollouts)

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

    def _followed(self, at: Address) -> bool:
        return at.group == self.group and at.rollout == self.rollout

    def _episode(self, at: Address) -> Episode | None:
        return next((item for item in reversed(self.episodes) if item.started.at == at), None)

    def _run_started(self, event: RunStarted) -> set[Part]:
        self.kind, self.profile, self.planned, self.pid = event.run_kind, event.profile, event.steps, event.pid
        self.state, self.reason, self.step = "running", "", event.resumed_from
        for table in (self.steps, self.updates, self.outcomes):
            for step in [step for step in table if step > event.resumed_from]:
                del table[step]
        self.follow(self.group, self.rollout)
        return {"state", "rewards", "transcript", "skills"}

    def _state_changed(self, event: StateChanged) -> set[Part]:
        self.state, self.reason = event.state, event.reason
        return {"state"}

    def _step_started(self, event: StepStarted) -> set[Part]:
        self.step = event.step
        if event.groups:
            self.groups = len(event.groups)
            self.tasks = max(len(group.tasks) for group in event.groups)
        return {"state"}

    def _episode_started(self, event: EpisodeStarted) -> set[Part]:
        self.rollouts = max(self.rollouts, event.at.rollout + 1)
        if not self._followed(event.at):
            return set()
        if self._episode(event.at) is not None:
            return set()
        newest = self.episodes[-1].started.at.step if self.episodes else 0
        if self.kind == "train" and event.at.step < newest:
            return set()
        if self.kind == "train" and event.at.step > newest:
            self.episodes, self.fork = [], {}
        self.episodes = sorted([*self.episodes, Episode(event)], key=_place)[-MAX_EPISODES:]
        return {"transcript"}

    def _turn_taken(self, event: TurnTaken) -> set[Part]:
        episode = self._episode(event.at) if self._followed(event.at) else None
        if episode is None:
            return set()
        episode.turns[event.turn] = event
        return {"transcript"}

    def _episode_ended(self, event: EpisodeEnded) -> set[Part]:
        changed: set[Part] = set()
        if self.kind == "curate":
            self.outcomes[event.at.step] = event.outcome
            changed.add("rewards")
        episode = self._episode(event.at) if self._followed(event.at) else None
        if episode is not None:
            episode.ended = event
            changed.add("transcript")
        return changed

    def _curation(self, event: CurationMade | CurationSkipped) -> set[Part]:
        episode = self._episode(event.at) if self._followed(event.at) else None
        if episode is None:
            return set()
        episode.curation = event
        if isinstance(event, CurationMade):
            self._note_fork(event)
        return {"transcript", "skills"}

    def _note_fork(self, event: CurationMade) -> None:
        before = self.fork if event.at.position > 1 or self.kind == "curate" else {}
        names = [name for name in {**before, **event.repo} if before.get(name) != event.repo.get(name)]
        if names and (before or self.kind == "train"):
            name = names[-1]
            self.change = Change(name, before.get(name), event.repo.get(name), where(event.at, self.kind))
        self.fork = event.repo

    def _step_ended(self, event: StepEnded) -> set[Part]:
        self.steps[event.step] = event
        return {"rewards", "state"}

    def _update_made(self, event: UpdateMade) -> set[Part]:
        self.updates[event.step] = event
        return {"rewards"}

    def _held_out(self, event: HeldOutMeasured) -> set[Part]:
        self.held_out[event.step] = event
        return {"rewards"}

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


def _place(episode: Episode) -> tuple[int, int]:
    return episode.started.at.step, episode.started.at.position


def where(at: Address, kind: RunKind) -> str:
    """An address in short: "step 3 · g0 r2 p4" (group, rollout, position), or "task 7"."""
    return f"task {at.step}" if kind == "curate" else f"step {at.step} · g{at.group} r{at.rollout} p{at.position}"


_RULES: dict[type, Callable[[RunView, Any], set[Part]]] = {
    RunStarted: RunView._run_started,
    StateChanged: RunView._state_changed,
    StepStarted: RunView._step_started,
    EpisodeStarted: RunView._episode_started,
    TurnTaken: RunView._turn_taken,
    EpisodeEnded: RunView._episode_ended,
    CurationMade: RunView._curation,
    CurationSkipped: RunView._curation,
    StepEnded: RunView._step_ended,
    UpdateMade: RunView._update_made,
    HeldOutMeasured: RunView._held_out,
    EditProposed: RunView._edit_proposed,
    EditDecided: RunView._edit_decided,
    ProposalsWithheld: RunView._withheld,
    MemoryMeasured: RunView._memory,
    Notice: RunView._notice,
}
