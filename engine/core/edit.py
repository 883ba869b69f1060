"""An edit of a skill from its proposal to its commit: what it is, and the table of what can happen to it.

    state = transition("pending", "approve")          # "committed"; raises `NotAllowed` for what the table does not hold
    actions("pending")                                # ("amend", "approve", "conflict", "veto", "supersede")
    edit = edit.decided(Decision("veto", "ann", "too narrow"))

    proposed ┬ admit ─── pending ─┬─ approve ─── committed ─ undo ── undone
             ├ refuse ── refused  ├─ conflict ── conflicted ─ veto ─ vetoed
             └ withhold  withheld ├─ veto ────── vetoed ───── undo ─ pending
                                  ├─ supersede ─ superseded
                                  └─ amend ───── pending

    conflicted, superseded, undone, withheld ─ requeue ─ pending

A strategy proposes an edit. The gates admit it to the review queue or refuse it. In training the queue holds the best few
edits of a step; the others are withheld, and can be asked for. An approval writes it to the repository as
one git commit; where the file has changed since, the edit is in conflict and nothing is written. An edit that is amended
holds a person's text from then on. Every decision can be undone: a veto by `undo`, which queues the edit again, and a commit
by `undo`, which is a commit of its own.

The review queue, the projections of the log, the command line and the workbench all use this table.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

import msgspec

from engine.core.errors import SkillosError
from engine.core.findings import Finding
from engine.core.outcomes import Outcome, unmeasured
from engine.core.position import PositionId

OperationName = Literal["insert", "update", "delete"]
State = Literal[
    "proposed", "refused", "pending", "committed", "conflicted", "vetoed", "superseded", "undone", "withheld"
]
Action = Literal["admit", "refuse", "amend", "approve", "conflict", "veto", "supersede", "undo", "requeue", "withhold"]

STATES: tuple[State, ...] = get_args(State)
ACTIONS: tuple[Action, ...] = get_args(Action)

OPEN: frozenset[State] = frozenset({"pending", "conflicted"})
"""The states in which an edit waits for a person."""
DECIDED: frozenset[State] = frozenset({"committed", "vetoed", "undone"})
"""The states in which a person's decision has taken effect."""
PERSONAL: tuple[Action, ...] = ("approve", "amend", "veto", "undo", "requeue")
"""The actions that a person can take. The gates, the queue and the repository take the others."""

PAST: Mapping[Action, str] = MappingProxyType(
    {
        "admit": "admitted",
        "refuse": "refused",
        "amend": "amended",
        "approve": "approved",
        "conflict": "conflicted",
        "veto": "vetoed",
        "supersede": "superseded",
        "undo": "undone",
        "requeue": "queued again",
        "withhold": "withheld",
    }
)
"""What an edit is after an action, in a sentence: "e3 was approved by ann"."""

TRANSITIONS: Mapping[tuple[State, Action], State] = MappingProxyType(
    {
        ("proposed", "admit"): "pending",
        ("proposed", "refuse"): "refused",
        ("proposed", "withhold"): "withheld",
        ("pending", "amend"): "pending",
        ("pending", "approve"): "committed",
        ("pending", "conflict"): "conflicted",
        ("pending", "veto"): "vetoed",
        ("pending", "supersede"): "superseded",
        ("conflicted", "veto"): "vetoed",
        ("conflicted", "requeue"): "pending",
        ("superseded", "requeue"): "pending",
        ("vetoed", "undo"): "pending",
        ("committed", "undo"): "undone",
        ("undone", "requeue"): "pending",
        ("withheld", "requeue"): "pending",
    }
)


class NotAllowed(SkillosError):
    """An action that the table does not hold for an edit in this state; the message names those that it holds."""


def transition(state: State, action: Action) -> State:
    """The state of an edit after `action`. Raises `NotAllowed`."""
    try:
        return TRANSITIONS[state, action]
    except KeyError as error:
        allowed = ", ".join(actions(state)) or "do nothing more"
        raise NotAllowed(f"an edit that is {state} cannot {action}; it can {allowed}") from error


def actions(state: State) -> tuple[Action, ...]:
    """What can happen to an edit in `state`."""
    return tuple(action for known, action in TRANSITIONS if known == state)


class Standing(msgspec.Struct, frozen=True):
    """What the rewards of a training step say of an edit. `reward` is r of the rollout that proposed it.

    `advantages` are those (A = r − mean r of the group) of the step's rollouts that leave an equal edit, the proposing
    one's first. `rollouts` is how many rollouts of the step were measured.
    """

    reward: float
    advantages: tuple[float, ...]
    rollouts: int


class Provenance(msgspec.Struct, frozen=True):
    """What caused an edit: the position of its trajectory, its task and outcome, who proposed it, and why.

    `position` is None where no single trajectory caused the edit, and `task` is "" then. `evidence` names more positions:
    those that an edit after many tasks was made from, or that left an equal edit. `standing` is None outside of training,
    and in older logs.
    """

    position: PositionId | None = None
    task: str = ""
    outcome: Outcome = unmeasured("no trajectory caused it")
    proposer: str = ""
    reason: str = ""
    evidence: tuple[PositionId, ...] = ()
    standing: Standing | None = None


class Decision(msgspec.Struct, frozen=True):
    """What was decided on an edit, by whom and when (unix time in seconds).

    `commit` is the git commit that the decision made, "" for none. `token` is its trailer `Decision`, ""
    without a commit and in older logs.
    """

    action: Action
    by: str
    reason: str = ""
    commit: str = ""
    time: float = msgspec.field(default_factory=time.time)
    token: str = ""


class Edit(msgspec.Struct, frozen=True):
    """An edit of the skill named `skill`; `new_name` is "" unless it renames the skill.

    `before` and `after` are the file's whole text, None where there is no file. `id` is unique in a run, and "" before the
    edit is queued. `findings` are what the gates found in the new text, in the order of the gates, and `scores` what they
    measured, by the gate's name. Where a person, `amended_by`, changed the text, `original` is what was proposed. `decision`
    is the last one, None while there is none to undo.
    """

    operation: OperationName
    skill: str
    before: str | None
    after: str | None
    new_name: str = ""
    provenance: Provenance = Provenance()
    id: str = ""
    findings: tuple[Finding, ...] = ()
    scores: dict[str, float] = {}
    original: str | None = None
    amended_by: str = ""
    state: State = "proposed"
    decision: Decision | None = None

    @property
    def name(self) -> str:
        """The skill's name after the edit."""
        return self.new_name or self.skill

    @property
    def change(self) -> tuple[str, str, str | None, str | None]:
        """What the edit does to the repository; equal for edits that do the same."""
        return self.skill, self.new_name, self.before, self.after

    def amended(self, text: str, by: str) -> Edit:
        """The edit with a person's text, which replaces the proposed one. What gates found in that is dropped."""
        original = self.after if self.original is None else self.original
        return msgspec.structs.replace(self, after=text, original=original, amended_by=by, findings=(), scores={})

    def decided(self, decision: Decision) -> Edit:
        """The edit after `decision`. Raises `NotAllowed`."""
        state = transition(self.state, decision.action)
        return msgspec.structs.replace(self, state=state, decision=None if state == "pending" else decision)
