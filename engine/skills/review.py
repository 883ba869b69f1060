"""The life of an edit, from its proposal to the commit, as a pure state machine.

    problems = check(operation, repo)                # before a person sees it
    state = transition("proposed", "check")          # "checked"; raises `NotAllowed` for what the table does not hold

Only an approved or amended edit is ever committed. Every decision can be taken back: a veto by `undo`, which asks
again, a commit by `undo`, which is a commit of its own; an undone or conflicted edit is asked again by `queue`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from engine.skills.operations import Malformed, Operation
from engine.skills.repo import Refused, SkillRepo

State = Literal["proposed", "checked", "pending", "approved", "vetoed", "amended", "committed", "conflicted", "undone"]
Action = Literal["check", "queue", "approve", "veto", "amend", "commit", "conflict", "undo"]

STATES: tuple[State, ...] = get_args(State)
ACTIONS: tuple[Action, ...] = get_args(Action)

TRANSITIONS: Mapping[tuple[State, Action], State] = MappingProxyType(
    {
        ("proposed", "check"): "checked",
        ("proposed", "veto"): "vetoed",
        ("checked", "queue"): "pending",
        ("checked", "veto"): "vetoed",
        ("pending", "approve"): "approved",
        ("pending", "veto"): "vetoed",
        ("pending", "amend"): "amended",
        ("approved", "commit"): "committed",
        ("approved", "conflict"): "conflicted",
        ("amended", "commit"): "committed",
        ("amended", "conflict"): "conflicted",
        ("conflicted", "queue"): "pending",
        ("conflicted", "veto"): "vetoed",
        ("vetoed", "undo"): "pending",
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
        allowed = actions(state)
        raise NotAllowed(f"an edit that is {state} cannot {action}; it can {', '.join(allowed)}") from error


def actions(state: State) -> tuple[Action, ...]:
    """What can be done with an edit in `state`."""
    return tuple(action for known, action in TRANSITIONS if known == state)


def check(operation: Operation | Malformed, repo: SkillRepo) -> list[str]:
    """What stops `operation` from entering `repo`, which stays as it is; [] when it may go before a person."""
    if isinstance(operation, Malformed):
        return [operation.why]
    try:
        operation.apply(repo.fork())
    except Refused as refusal:
        return [refusal.why]
    return []
