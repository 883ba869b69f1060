"""The life of an edit, from its proposal to the commit, as a pure state machine, and the checks that begin it.

    checked = check(operation, repo)                 # before a person sees it: it parses, applies and passes the audit
    state = transition("proposed", "check")          # "checked"; raises `NotAllowed` for what the table does not hold

    proposed ─ check ─ checked ─ gate ─ gated ─ queue ─ pending ─ approve ─ approved ─ commit ─ committed
        └─ refuse ─┬──────┴─ queue ──────────────────────┘ ├─ amend ─── amended ──┤            │
                refused                                     ├─ veto ──── vetoed     └─ conflicted └─ undone
                                                            └─ supersede ─ superseded

Only an approved or amended edit is ever committed. Every decision can be taken back: a veto by `undo`, which asks again, a
commit by `undo`, which is a commit of its own; an undone, conflicted or superseded edit is asked again by `queue`. What the
checks (or the gate: a held-out score) refuse is over, for nobody ever saw it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

import msgspec

from engine.review.settings import AuditSettings
from engine.skills.audit import Context, DuplicateIndex, Finding, audit
from engine.skills.operations import Edit, Malformed, Operation
from engine.skills.repo import Refused, SkillRepo
from engine.skills.skill import Skill

State = Literal[
    "proposed",
    "checked",
    "gated",
    "refused",
    "pending",
    "approved",
    "vetoed",
    "amended",
    "superseded",
    "committed",
    "conflicted",
    "undone",
]
Action = Literal[
    "check", "gate", "refuse", "queue", "approve", "veto", "amend", "supersede", "commit", "conflict", "undo"
]

STATES: tuple[State, ...] = get_args(State)
ACTIONS: tuple[Action, ...] = get_args(Action)

TRANSITIONS: Mapping[tuple[State, Action], State] = MappingProxyType(
    {
        ("proposed", "check"): "checked",
        ("proposed", "refuse"): "refused",
        ("checked", "gate"): "gated",
        ("checked", "refuse"): "refused",
        ("checked", "queue"): "pending",
        ("gated", "refuse"): "refused",
        ("gated", "queue"): "pending",
        ("pending", "approve"): "approved",
        ("pending", "veto"): "vetoed",
        ("pending", "amend"): "amended",
        ("pending", "supersede"): "superseded",
        ("approved", "commit"): "committed",
        ("approved", "conflict"): "conflicted",
        ("amended", "commit"): "committed",
        ("amended", "conflict"): "conflicted",
        ("conflicted", "queue"): "pending",
        ("conflicted", "veto"): "vetoed",
        ("vetoed", "undo"): "pending",
        ("superseded", "queue"): "pending",
        ("committed", "undo"): "undone",
        ("undone", "queue"): "pending",
    }
)


class NotAllowed(Exception):
    """An action that an edit in this state does not know; the message says which ones it does."""


def transition(state: State, action: Action) -> State:
    """The state of an edit after `action`. Raises `NotAllowed`."""
    try:
        return TRANSITIONS[state, action]
    except KeyError as error:
        allowed = ", ".join(actions(state)) or "do nothing more"
        raise NotAllowed(f"an edit that is {state} cannot {action}; it can {allowed}") from error


def actions(state: State) -> tuple[Action, ...]:
    """What can be done with an edit in `state`."""
    return tuple(action for known, action in TRANSITIONS if known == state)


class Checked(msgspec.Struct, frozen=True):
    """What the checks found. `edit` is what the operation would do, None where it may not go before a person: then `refused`
    says why. `notes` tell what in the new file is odd, `findings` what the audit shows a reviewer."""

    edit: Edit | None
    refused: str = ""
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def check(
    operation: Operation | Malformed,
    repo: SkillRepo,
    *,
    policy: AuditSettings | None = None,
    seen: str = "",
    others: DuplicateIndex | None = None,
) -> Checked:
    """Whether `operation` may go before a person: it parses, applies to `repo`, which stays as it is, and passes the audit.

    `policy` says which findings block, are shown, or pass; `seen` is the text of the trajectory that caused the operation;
    `others` an index kept from an earlier check, which is brought up to date with `repo`.
    """
    if isinstance(operation, Malformed):
        return Checked(None, operation.why)
    try:
        edit = operation.apply(repo.fork())
    except Refused as refusal:
        return Checked(None, f"it does not apply: {refusal.why}")
    if edit.after is None:
        return Checked(edit)
    skill = Skill.parse(edit.after, name=edit.new_name or edit.skill)
    policy = policy or AuditSettings()
    others = others if others is not None else DuplicateIndex()
    others.follow(repo)
    context = Context(seen=seen, others=others, itself=(edit.skill, skill.name), similarity=policy.similarity)
    return _judged(edit, skill, audit(skill, context=context), policy)


def _judged(edit: Edit, skill: Skill, found: list[Finding], policy: AuditSettings) -> Checked:
    """What the policy makes of an audit's findings."""
    leads_to = {"danger": policy.danger, "warning": policy.warning, "info": policy.info}
    blocking = [finding for finding in found if leads_to[finding.severity] == "block"]
    shown = tuple(finding for finding in found if leads_to[finding.severity] != "pass")
    if blocking:
        more = f", and {len(blocking) - 1} more" if len(blocking) > 1 else ""
        return Checked(None, f"the audit blocks it: {blocking[0]}{more}", findings=shown)
    notes = tuple(f"line {finding.line}: {finding.message}" for finding in skill.findings)
    return Checked(edit, notes=notes, findings=shown)
