"""What can go wrong when edits are reviewed."""

from __future__ import annotations

import time

from engine.core.edit import PAST, Edit, actions
from engine.core.errors import SkillosError
from engine.runs.errors import RunError


class ReviewError(RunError):
    """A decision that cannot be taken; nothing was changed."""


class AlreadyDecided(ReviewError):
    """A decision that the edit's state does not allow (any more); `edit` holds who decided, when and what."""

    def __init__(self, edit: Edit) -> None:
        self.edit = edit
        if edit.state == "conflicted":
            why = "the skill changed since it was proposed; queue it again or veto it"
            super().__init__(f"{edit.id} is conflicted: {why}")
            return
        decision = edit.decision
        what, who = (PAST[decision.action], f" by {decision.by}") if decision else (edit.state, "")
        when = f" at {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(decision.time))}" if decision else ""
        again = "; it can be queued again" if "requeue" in actions(edit.state) else ""
        super().__init__(f"{edit.id} was {what}{who}{when}{again}")


class NotLogged(RunError):
    """A decision whose commit is made, or may be, and that could not be logged. The message says which.

    `reconcile` logs it later.
    """


class EditRefused(SkillosError):
    """An edit that does not reach the review queue; `why` is the reason."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class NoPlace(EditRefused):
    """An edit that may be good, but has no place in the queue: the same one is there, or the queue is full."""


class PinnedSkill(ReviewError):
    """A policy may not decide on an edit of a pinned skill."""
