"""The settings of the review queue and of the audit gate."""

from __future__ import annotations

from typing import Literal

from engine.core.fields import Count, Fraction, Seconds
from engine.core.parts import Settings

Consequence = Literal["block", "warn", "pass"]
PolicyName = Literal["ask", "approve_after", "veto_after", "auto", "gate"]


class ReviewSettings(Settings, frozen=True):
    """Who decides on edits, and which gates they pass before."""

    policy: PolicyName = "ask"
    """Who decides. `ask`: a person. `approve_after`, `veto_after`: a person, and the policy for an edit that waited
    `policy_seconds`. `auto`: the policy approves every edit that the gates admit. `gate`: the policy approves what a gate
    measured and admitted, and a person decides on the rest. Decisions of a policy can be undone."""

    policy_seconds: Seconds = 600.0
    """How long an edit waits before `approve_after` or `veto_after` decides. While a person has it open, no time passes."""

    per_step: Count = 3
    """The most edits of one step of a train run that are put to review: the best by their worth, at most one a skill. The
    others are kept and can be asked for."""

    gates: tuple[str, ...] = ("format", "audit")
    """The gates that an edit passes, in this order. An edit that one of them refuses never waits for a person."""

    wait_seconds: Seconds = 3600.0
    """How long a curate run waits for a decision before the next task. An undecided edit stays in the queue."""

    max_pending: Count = 20
    """The most undecided edits of a train run. A newer edit supersedes the oldest, and an event records it."""


class AuditSettings(Settings, frozen=True):
    """What the audit of an edit leads to, by the severity of a finding. `block` refuses the edit, with the finding as the
    reason; `warn` shows the finding beside the edit; `pass` drops it."""

    danger: Consequence = "block"
    """For a finding of the severity `danger`, such as a command that deletes everything."""

    warning: Consequence = "warn"
    """For a finding of the severity `warning`."""

    info: Consequence = "pass"
    """For a finding of the severity `info`."""

    similarity: Fraction = 0.8
    """The Jaccard similarity of word triples from which two skills count as near-identical."""
