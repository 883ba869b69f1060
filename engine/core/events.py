"""Everything that can happen in a run, as plain data.

Every reward can be recomputed from the event log alone (`method.md` §2). Any room may emit events through a `Sink`; only
`engine.runs.log` knows that they are stored in SQLite. `encode` and `decode` convert an event to JSON and back.

    sink(TurnTaken(at=PositionId(step=1, group=0, rollout=2, position=3), turn=1, action="go box", ...))

Rewards are floats or None, and None means *not measured*: it is never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

import msgspec

from engine.core.edit import Decision, Edit, transition
from engine.core.outcomes import Outcome
from engine.core.position import PositionId as PositionId
from engine.core.records import Call as Call
from engine.core.records import GpuMemory as GpuMemory
from engine.core.records import GroupDrawn as GroupDrawn
from engine.core.records import ModelUse as ModelUse
from engine.core.records import ProcessMemory as ProcessMemory
from engine.core.records import RewardBreakdown as RewardBreakdown
from engine.core.records import SkillFound as SkillFound
from engine.core.records import Veto as Veto

State = Literal["starting", "running", "paused", "stopping", "stopped", "finished", "failed"]


def _tag(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class Event(msgspec.Struct, frozen=True, tag_field="kind", tag=_tag):
    """The base of all events; `kind` in JSON is the class name in snake case."""


class RunStarted(Event, frozen=True):
    """An engine process began (or resumed) the run's work. `run_kind` is a name in `engine.jobs.registry.JOBS`.

    `settings` is the resolved configuration as TOML, which is in force until the next start; None in older logs. `changed`
    names the settings ("training.steps") that differ from those of the start before. `note` is that of the configuration.
    """

    run_kind: str
    profile: str
    steps: int
    pid: int
    resumed_from: int = 0
    settings: str | None = None
    changed: list[str] = []
    note: str = ""


class StateChanged(Event, frozen=True):
    state: State
    reason: str = ""


class StepStarted(Event, frozen=True):
    """A step begins. `vetoes` are quoted to the curator in all of it, as many as its prompt holds; None in older logs."""

    step: int
    groups: list[GroupDrawn]
    vetoes: list[Veto] | None = None


class Progress(Event, frozen=True):
    """How far the engine is in what it does now: `done` of `total` `unit`s after `seconds`; a `total` of 0 is not known.

    `phase` is the job's word for it: "loading", "rollouts", "distilling". `what` names the thing in a few words ("the pocket
    model"). A new phase replaces the present one, and so does the event that ends it (`StepEnded`, `UnitEnded`,
    `HeldOutMeasured`, a `StateChanged` to anything but running).
    """

    phase: str
    what: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    seconds: float = 0.0


class MeasurementStarted(Event, frozen=True):
    """The fixed evaluation after `step` updates begins. Its episodes follow, with position ids that have `held_out`; those
    of an earlier evaluation of the same step that did not end are excluded."""

    step: int
    groups: list[GroupDrawn]


class EpisodeStarted(Event, frozen=True):
    """An episode's beginning. `difficulty` is the number of actions that an expert needs to win; None is unknown.

    `skills` and `briefing` (Markdown, None: no briefing) are what the curation strategy showed to the executor.
    """

    at: PositionId
    task: str
    family: str
    prompt: str
    skills: list[SkillFound]
    observation: str
    max_turns: int
    difficulty: int | None = None
    briefing: str | None = None


class TurnTaken(Event, frozen=True):
    """One executor turn. `invalid_action`: the environment lists actions, and the answer was none of them or
    did not parse (`method.md`, lesson 9).

    `skills` is how many of the skills found, the best first, were in the prompt of this turn; None in older logs.
    """

    at: PositionId
    turn: int
    thought: str
    action: str
    observation: str
    invalid_action: bool
    skills: int | None = None


class EpisodeEnded(Event, frozen=True):
    """An episode's end. `shown` are the skills that were in the prompt of at least one turn; None in older logs.

    `shortened`: the executor's prompt had to leave out skills that were found, or turns that it should quote. `score` is the
    environment's, in [0, 1]; None where it gave none. `judged` is what a judge's model answered where it decided the
    outcome, "" where the environment did.
    """

    at: PositionId
    outcome: Outcome
    turns: int
    invalid_actions: int
    shown: list[str] | None = None
    shortened: bool = False
    score: float | None = None
    judged: str = ""


class CompletionMade(Event, frozen=True):
    """A completion that the curation strategy asked for beside the one in `CurationMade`; each is a training sample.

    `phase`: it was made before the task was played, or after. `version` is the adapter's that answered; None in older logs.
    """

    at: PositionId
    phase: Literal["before", "after"]
    text: str
    prompt_tokens: int
    completion_tokens: int
    finish: Literal["stop", "length"]
    version: int | None = None


class CurationMade(Event, frozen=True):
    """One curation decision c_i and everything its rewards need.

    `completion` is the last answer of the curator after the task; a strategy that asked none has "" and 0 `prompt_tokens`.
    `repo` is the repository's text after it (file text by skill name), `repo_tokens` its tokens |S_i| (None: not counted),
    `prompt_tokens` the tokens of the curator's input |χ_i|, `judge` the content score in [0, 1] or None with `judge_reason`
    set. `shown` are the skills in the curator's prompt (None: it shows none, or in older logs); `dropped_turns` and
    `dropped_vetoes` did not fit into it. `before` is what the decision changed: the file text, before it, of each skill that
    it wrote, renamed or deleted, None where there was none. `canonical`: the completion's text has the same number of tokens
    when it is tokenized again. `version` is the adapter's that answered (None: nothing was asked, or in older logs).
    `judge_text` is what the judge's model answered, and `judge_check` the score of the rule-based rubric beside another
    judge's; None where it was not taken.
    """

    at: PositionId
    completion: str
    calls: list[Call]
    prompt_tokens: int
    completion_tokens: int
    finish: Literal["stop", "length"]
    repo: dict[str, str]
    repo_tokens: int | None
    judge: float | None
    judge_reason: str = ""
    shown: list[str] | None = None
    dropped_turns: int = 0
    dropped_vetoes: int = 0
    before: dict[str, str | None] | None = None
    canonical: bool | None = None
    version: int | None = None
    judge_text: str = ""
    judge_check: float | None = None


class CurationSkipped(Event, frozen=True):
    """The curator was not asked or did not answer, so the position has no training sample."""

    at: PositionId
    reason: str


class RolloutScored(Event, frozen=True):
    """A rollout's rewards. `measured` counts its positions with an outcome and a decision, `unmeasured` the others."""

    step: int
    group: int
    rollout: int
    rewards: RewardBreakdown
    measured: int
    unmeasured: int


class UpdateMade(Event, frozen=True):
    """One optimiser step. `advantages[group][rollout]` is A = r - mean(r); None where the rollout was unmeasured.

    `skipped` says why weights and optimiser were left as they were ("" where they were updated).
    """

    step: int
    advantages: list[list[float | None]]
    samples: int
    loss: float | None
    grad_norm: float | None
    entropy: float | None
    kl: float | None
    learning_rate: float
    seconds: float
    skipped: str = ""


class JudgedTwice(msgspec.Struct, frozen=True):
    """How many decisions have this score of the judge and this one of the rubric beside it, each in [0, 1]."""

    judge: float
    check: float
    decisions: int


class StepEnded(Event, frozen=True):
    """A step's summary. `reward_std` is the mean over groups of the standard deviation of r inside a group, and
    `zero_std_groups` the number of groups in which it is 0. `operations` counts valid calls by name. Rates are in [0, 1].

    `measured` counts the positions with an outcome and a curator's decision, `unmeasured` the others, and of those
    `skipped_curations` the ones that have an outcome but no decision. `shortened` counts the positions at which a prompt was
    cut to its limit, `dropped_skills` the skills that were found there and are in no prompt.
    `unjudged` counts the decisions whose content the judge did not score; `judged_twice` has the scores of the others where
    the rubric scored them beside another judge.
    """

    step: int
    rewards: RewardBreakdown
    reward_std: float | None
    zero_std_groups: int
    measured: int
    unmeasured: int
    success_rate: float | None
    invalid_action_rate: float | None
    operations: dict[str, int]
    invalid_calls: int
    episodes: int
    rollout_seconds: float
    seconds: float
    skipped_curations: int = 0
    shortened: int = 0
    dropped_skills: int = 0
    unjudged: int = 0
    judged_twice: list[JudgedTwice] = []


class UnitEnded(Event, frozen=True):
    """The end of a unit that plays no rollouts; others end with `StepEnded`.

    `step` is the unit's number from 1, and `text` its result for people, on one line.
    """

    step: int
    seconds: float
    text: str = ""


class HeldOutMeasured(Event, frozen=True):
    """The fixed evaluation after `step` updates (0: the untrained curator): the same held-out groups and seeds each time.

    Unlike a step's own r_task, which is of that step's groups, these can be compared. `standard_error` is over groups;
    `unmeasured` counts the positions without an outcome or without a decision; `rewards` are averaged over the
    groups (None in older logs).
    """

    step: int
    groups: int
    r_task: float | None
    standard_error: float | None
    unmeasured: int
    seconds: float
    rewards: RewardBreakdown | None = None


class EditProposed(Event, frozen=True):
    """An edit as it enters the review queue: for the first time, with a person's text, or again after a decision."""

    edit: Edit
    action: Literal["admit", "amend", "requeue"] = "admit"

    def applied(self, before: Edit | None) -> Edit:
        """The edit after this event; `before` is the edit of the same id, None for a new one. Raises `NotAllowed`."""
        state = transition(before.state if before else "proposed", self.action)
        return msgspec.structs.replace(self.edit, state=state, decision=None)


class EditDecided(Event, frozen=True):
    """A decision on the edit of the id `edit`. What the decision does is done: a commit of it is in the repository."""

    edit: str
    decision: Decision

    def applied(self, before: Edit) -> Edit:
        """The edit after this event. Raises `NotAllowed`."""
        return before.decided(self.decision)


class ProposalsWithheld(Event, frozen=True):
    """Edits that were not put to review, and why (they do not apply, or the audit blocks them)."""

    step: int
    count: int
    reason: str


class FindingsAccepted(Event, frozen=True):
    """The person `by` accepted findings of the audit in the run's repository, each as `NAME:RULE:SHA-256`."""

    by: str
    findings: list[str]


class CheckpointSaved(Event, frozen=True):
    step: int
    path: str
    bytes: int


class MemoryMeasured(Event, frozen=True):
    """Bytes of memory. `source` says where the figures come from; None means that it is not known, and `reasons` says why,
    by the figure's name.

    `total` and `available` are those of the pool that the run may use (`engine.system.memory`), in older logs 0 where they
    were not known. `engine` is the resident set of the engine and its helpers, without model servers. `gpu` is what the run
    uses of all GPUs, `gpus` each GPU. `pressure` is the share of the last 10 s in which some task waited for memory.
    `torch_allocated` and `torch_reserved` are the engine's own on the GPU, and `kv_cache` is the share of a server's
    key-value cache that is in use. `headroom` is what the guard keeps free; None: it is off, or in older logs.
    """

    source: str
    total: int | None
    available: int | None
    engine: int | None
    gpu: int | None = None
    processes: list[ProcessMemory] = []
    swap_used: int | None = None
    swap_total: int | None = None
    pressure: float | None = None
    torch_allocated: int | None = None
    torch_reserved: int | None = None
    kv_cache: float | None = None
    reasons: dict[str, str] = {}
    gpus: list[GpuMemory] = []
    headroom: int | None = None


class ServerMeasured(Event, frozen=True):
    """What a model server reports of itself; None: it does not. `server` is its address.

    `running` and `waiting` count requests. `kv_cache` is the share of its key-value cache in use, `prefix_hits` the share of
    prompt tokens since the last event that it had in its prefix cache; rates are tokens a second since then.
    """

    server: str
    running: int | None = None
    waiting: int | None = None
    kv_cache: float | None = None
    prefix_hits: float | None = None
    prompt_rate: float | None = None
    generation_rate: float | None = None


class ModelsUsed(Event, frozen=True):
    """What the run's models were used for so far, over all its starts."""

    models: list[ModelUse]


class AdapterPublished(Event, frozen=True):
    """The curator that answers is the adapter of `step` now, and `how` says by what that was proved.

    `difference`, `separation` and `noise` are those of `engine.models.base.Proof`; `unmeasured` is the reason why the proof
    could not distinguish this adapter from the one before, "" where it could.
    """

    step: int
    how: str
    difference: float | None = None
    separation: float | None = None
    noise: float | None = None
    unmeasured: str = ""


class Notice(Event, frozen=True):
    """Something that a person should know: `level` info, warning or error, what happened, and what to do."""

    level: Literal["info", "warning", "error"]
    message: str


AnyEvent = (
    RunStarted
    | StateChanged
    | StepStarted
    | Progress
    | MeasurementStarted
    | EpisodeStarted
    | TurnTaken
    | EpisodeEnded
    | CompletionMade
    | CurationMade
    | CurationSkipped
    | RolloutScored
    | UpdateMade
    | HeldOutMeasured
    | StepEnded
    | UnitEnded
    | EditProposed
    | EditDecided
    | ProposalsWithheld
    | FindingsAccepted
    | CheckpointSaved
    | MemoryMeasured
    | ServerMeasured
    | ModelsUsed
    | AdapterPublished
    | Notice
)


class Unreadable(msgspec.Struct, frozen=True):
    """What is read in the place of an event that this version cannot read: `kind` as it is stored, and why. It is never
    written. In JSON it is `{"kind": "dreamt", "unreadable": "…"}`."""

    kind: str
    why: str = msgspec.field(name="unreadable")


Sink = Callable[[AnyEvent], None]

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyEvent)


_kinds: Mapping[type, str] = MappingProxyType({type_: type_.__struct_config__.tag for type_ in get_args(AnyEvent)})
_known = frozenset(_kinds.values())
_stored_kinds: Mapping[type, bytes] = MappingProxyType({type_: kind.encode() for type_, kind in _kinds.items()})


def kind_of(event: AnyEvent | Unreadable) -> str:
    """The event's kind, as stored and as shown: `turn_taken`, `step_ended`, …"""
    return event.kind if isinstance(event, Unreadable) else _kinds[type(event)]


def encode(event: AnyEvent) -> bytes:
    """The event as JSON, its kind included."""
    return _encoder.encode(event)


def decode(data: bytes | str) -> AnyEvent:
    """The event of one JSON object. Raises `msgspec.ValidationError` for anything else."""
    event: AnyEvent = _decoder.decode(data)
    return event


def read(kind: bytes, data: bytes) -> AnyEvent | Unreadable:
    """The event of a stored `kind` and its JSON, or why it cannot be read. Raises nothing, whatever the bytes are."""
    try:
        event: AnyEvent = _decoder.decode(data)
        if _stored_kinds[type(event)] == kind:
            return event
        name, why = kind.decode(errors="replace"), f"its content is of another kind: {kind_of(event)}"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        name = kind.decode(errors="replace")
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        why = f"its content is not that of a {name} event: {why}"
        if name not in _known:
            why = "this version does not know its kind; a newer skillos-tui may have written it"
    return Unreadable(name, why)
