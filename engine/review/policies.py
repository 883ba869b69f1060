"""Who decides on edits that nobody decided: the policies of `review.policy`.

    ask             a person, and nobody else
    approve_after   a person, and after `review.policy_seconds` the policy approves
    veto_after      a person, and after `review.policy_seconds` the policy vetoes
    auto            the policy approves what the gates admit
    gate            the policy approves what the gates admit and measure; a person decides on what no gate measured

    since = Since()
    for stored in run.stream(kinds=KINDS):
        since.take(stored)
    since.decision(settings, edit, opened, now)         # Decision("approve", "policy auto"), or None

What a policy decides it signs with its own name (`signature`), and a person can undo it. It does not count as a person's
decision (`engine.review.words`). A policy takes no edit that a person has open, and none that a person queued again or whose
veto a person took back: that one is the person's. Each policy decides on what is proposed after it was chosen; those with a
time also on what waits already, whose time begins then. The time stands still while a person has the edit open. A policy
decides while the run's engine works (`engine.jobs.deciding`), or when it works again.
"""

from __future__ import annotations

from typing import get_args

from engine.core.edit import Decision, Edit
from engine.core.events import EditDecided, EditProposed, RunStarted, SettingChanged
from engine.review.effects import time_of
from engine.review.opened import Opened
from engine.review.settings import PolicyName, ReviewSettings
from engine.runs.log import Stored

POLICIES: tuple[PolicyName, ...] = get_args(PolicyName)
SETTINGS = ("review.policy", "review.policy_seconds")
"""The settings with which a policy is chosen."""
KINDS = ("edit_proposed", "edit_decided", "setting_changed", "run_started")
"""The events that `Since` is made of."""


def signature(policy: PolicyName) -> str:
    """Who decides where a policy does: "policy auto"."""
    return f"policy {policy}"


def is_policy(by: str) -> bool:
    """Whether a policy, and no person, took a decision that is signed so."""
    return by in _SIGNATURES


def policy_line(review: ReviewSettings) -> str:
    """A policy for a person, in a line: "approve_after: what nobody decided within 600 s is approved"."""
    return f"{review.policy}: {meaning(review.policy, review.policy_seconds)}"


def meaning(policy: PolicyName, seconds: float | None) -> str:
    """Who decides under a policy; `seconds` is `review.policy_seconds`, None where it is not known."""
    time = time_of(seconds)
    said: dict[PolicyName, str] = {
        "ask": "a person decides",
        "auto": "what the gates admit is approved",
        "gate": "what the gates admit and measure is approved; a person decides on the rest",
        "approve_after": f"what nobody decided within {time} is approved",
        "veto_after": f"what nobody decided within {time} is vetoed",
    }
    return said[policy]


class Since:
    """Since when each edit waits for a policy, and since when the present policy is chosen, by the log."""

    def __init__(self) -> None:
        self._edits: dict[str, float] = {}
        self._chosen = 0.0

    def take(self, stored: Stored) -> None:
        """Take one event; those of other kinds than `KINDS` change nothing."""
        match stored.event:
            case EditProposed(edit=edit, action="admit"):
                self._edits[edit.id] = stored.at
            case EditProposed(edit=edit):
                self._edits.pop(edit.id, None)
            case EditDecided(edit=edit_id):
                self._edits.pop(edit_id, None)
            case SettingChanged(key=key) if key in SETTINGS:
                self._chosen = stored.at
            case RunStarted(changed=changed) if set(SETTINGS) & set(changed or ()):
                self._chosen = stored.at

    def decision(
        self, review: ReviewSettings, edit: Edit, opened: Opened, now: float, *, done: int = 0, waited_for: bool = False
    ) -> Decision | None:
        """What the policy decides on an edit that waits, at the unix time `now`; None where it decides nothing now.

        What the first `done` steps proposed waits for a person where the policy has no time: these steps were done before
        this engine began. The next task waits for an edit that is `waited_for`: a policy that was chosen meanwhile decides
        on it too.
        """
        since = self._edits.get(edit.id)
        if since is None or review.policy == "ask" or edit.id in opened.now(now):
            return None
        by = signature(review.policy)
        if review.policy in ("auto", "gate"):
            at = edit.provenance.position
            later = waited_for or (since >= self._chosen and at is not None and at.step > done)
            measured = ", ".join(f"{gate} {score:.3f}" for gate, score in edit.scores.items())
            if not later or (review.policy == "gate" and not measured):
                return None
            return Decision("approve", by, f"measured by the gates: {measured}" if review.policy == "gate" else "")
        begun = max(since, self._chosen)
        if now - begun - opened.seconds(edit.id, begun, now) < review.policy_seconds:
            return None
        why = f"nobody decided within {review.policy_seconds:g} s"
        return Decision("approve" if review.policy == "approve_after" else "veto", by, why)


_SIGNATURES = frozenset(map(signature, POLICIES))
