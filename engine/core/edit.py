"""The lifecycle of an edit, from its proposal to its commit: its states, and the table of what leads to each.

    state = transition("proposed", "check")          # "checked"; raises `NotAllowed` for what the table does not hold

    proposed ─ check ─ checked ─ gate ─ gated ─ queue ─ pending ─ approve ─ approved ─ commit ─ committed
        └─ refuse ─┬──────┴─ queue ──────────────────────┘ ├─ amend ─── amended ──┤            │
                refused                                     ├─ veto ──── vetoed     └─ conflicted └─ undone
                                                            └─ supersede ─ superseded

Only an approved or amended edit is ever committed. Every decision can be undone: a veto by `undo`, which queues the edit
again, a commit by `undo`, which is a commit of its own. An undone, conflicted or superseded edit is queued again by `queue`.
An edit that the checks or a gate refuse ends there: no person sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from engine.core.errors import SkillosError

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


class NotAllowed(SkillosError):
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
