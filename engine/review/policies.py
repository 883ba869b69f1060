"""Who decides on edits that nobody decided: the policies of `review.policy`.

    ask             a person, and nobody else
    approve_after   a person, and after `review.policy_seconds` the policy approves
    veto_after      a person, and after `review.policy_seconds` the policy vetoes
    auto            the policy approves what the gates admit
    gate            the policy approves what the gates admit and measure; a person decides on what no gate measured

What a policy decides it signs with its own name (`signature`), and a person can undo it. It is no word of a person
(`engine.review.words`). The time of an edit stands still while a person has it open.
"""

from __future__ import annotations

from typing import get_args

from engine.review.settings import PolicyName

POLICIES: tuple[PolicyName, ...] = get_args(PolicyName)
TIMED: frozenset[PolicyName] = frozenset({"approve_after", "veto_after"})
"""The policies that decide after `review.policy_seconds`."""


def signature(policy: PolicyName) -> str:
    """Who decides where a policy does: "policy auto"."""
    return f"policy {policy}"


def is_policy(by: str) -> bool:
    """Whether a policy, and no person, took a decision that is signed so."""
    return by in _SIGNATURES


_SIGNATURES = frozenset(map(signature, POLICIES))
