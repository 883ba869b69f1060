"""Events of the review queue."""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.core.edit import Decision, Edit, transition
from engine.core.events.base import Event


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


class EditWithheld(Event, frozen=True):
    """An edit of a training step that was not put to review, because others are worth more. Its decision has the reason.
    It can be queued."""

    edit: Edit

    def applied(self, before: Edit | None) -> Edit:
        """The edit after this event; `before` is None. Raises `NotAllowed` for an edit that is in the queue."""
        return msgspec.structs.replace(self.edit, state=transition(before.state if before else "proposed", "withhold"))


class ProposalsWithheld(Event, frozen=True):
    """Edits that were not put to review, and why (they do not apply, the audit blocks them, or others are worth more)."""

    step: int
    count: int
    reason: str


class FindingsAccepted(Event, frozen=True):
    """The person `by` accepted findings of the audit in the run's repository, each as `NAME:RULE:SHA-256`."""

    by: str
    findings: list[str]
